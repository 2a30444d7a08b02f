package org.mamba4j.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;

class CorpusTest {
    @TempDir
    Path dir;

    @Test
    void fileIsOneDocument() throws IOException {
        write("a.txt", "hello");
        assertThat(read(dir + "/a.txt")).containsExactly("a.txt=hello");
    }

    @Test
    void folderIsReadByNameRecursively() throws IOException {
        write("b/z.txt", "1");
        write("b/a/y.txt", "2");
        write("a.txt", "3");
        write("c.java", "4");
        write(".git/config", "hidden");
        write("b/.hidden", "hidden");
        assertThat(read(dir.toString())).containsExactly("a.txt=3", "b/a/y.txt=2", "b/z.txt=1", "c.java=4");
    }

    @Test
    void globChoosesAndCountsNamesFromItsFolder() throws IOException {
        write("src/A.java", "1");
        write("src/p/B.java", "2");
        write("src/p/B.txt", "3");
        write("src/p/q/C.java", "4");
        assertThat(read(dir + "/src/**/*.java")).containsExactly("A.java=1", "p/B.java=2", "p/q/C.java=4");
        assertThat(read(dir + "/src/*/*.{txt,md}")).containsExactly("p/B.txt=3");
        assertThat(read(dir + "/src/*.java")).containsExactly("A.java=1");
        assertThat(read(dir + "/*/p/B.*")).containsExactly("src/p/B.java=2", "src/p/B.txt=3");
    }

    @Test
    void nameWithGlobCharactersThatExistsIsTaken() throws IOException {
        write("a[1].txt", "x");
        assertThat(read(dir + "/a[1].txt")).containsExactly("a[1].txt=x");
    }

    @Test
    void zipIsReadByNameWithOrWithoutPattern() throws IOException {
        Path zip = zip("src.zip", "m/p/B.java", "2", "m/A.java", "1", "n/C.java", "3", "m/x.txt", "4");
        assertThat(read(zip.toString())).containsExactly("m/A.java=1", "m/p/B.java=2", "m/x.txt=4", "n/C.java=3");
        assertThat(read(zip + "!m/**.java")).containsExactly("m/A.java=1", "m/p/B.java=2");
        assertThat(read(zip + "!/n/*")).containsExactly("n/C.java=3");
    }

    @Test
    void jdkSourcesAreACorpus() {
        Path src = Path.of(System.getProperty("java.home"), "lib", "src.zip");
        assumeTrue(Files.exists(src), "skipped: this JDK has no lib/src.zip");
        Corpus corpus = Corpus.of(src + "!java.base/java/lang/*.java");
        List<String> names = new ArrayList<>();
        corpus.forEach(d -> {
            names.add(d.name());
            assertThat(new String(d.bytes(), UTF_8)).contains("java.lang");
        });
        assertThat(names).contains("java.base/java/lang/String.java").isSorted().hasSize(corpus.size());
    }

    @Test
    void bytesAreHandedOutAsTheyAre() throws IOException {
        byte[] bytes = "caf\u00e9 \u0000\u00ff".getBytes(ISO_8859_1);
        Files.write(dir.resolve("latin1.txt"), bytes);
        Corpus.of(dir + "/latin1.txt").forEach(d -> assertThat(d.bytes()).isEqualTo(bytes));
    }

    @Test
    void linksAreFollowedAndLoopsEnd() throws IOException {
        write("real/a.txt", "1");
        Path corpus = Files.createDirectory(dir.resolve("corpus"));
        link(corpus.resolve("link"), dir.resolve("real"));
        link(corpus.resolve("self"), corpus);
        link(dir.resolve("real/back"), corpus);
        link(corpus.resolve("file.txt"), dir.resolve("real/a.txt"));
        assertThat(read(corpus.toString())).containsExactly("file.txt=1", "link/a.txt=1");
    }

    @Test
    void linkToNothingIsNamed() throws IOException {
        write("a.txt", "1");
        link(dir.resolve("b.txt"), dir.resolve("gone"));
        fails(dir.toString(), "b.txt is a link to nothing", "remove it");
        link(dir.resolve("round.txt"), dir.resolve("round.txt"));
        Files.delete(dir.resolve("b.txt"));
        fails(dir.toString(), "round.txt");
    }

    @Test
    void whatIsNotThereIsNamed() {
        fails(dir + "/none.txt", "no such file or folder", dir + "/none.txt");
        fails(dir + "/none/*.txt", "there is no folder", "check the pattern");
        fails(dir + "/none.zip!a", "no such file or folder");
        fails("", "empty string");
        fails("\0", "not a path");
    }

    @Test
    void emptinessIsNamed() throws IOException {
        fails(dir.toString(), "has no text", "put text files into it");
        write("sub/empty.txt", "");
        fails(dir.toString(), "has no text");
        fails(dir + "/sub/empty.txt", "has no text", "it is empty");
        fails(dir + "/*.txt", "no file with content matches");
        Path zip = zip("e.zip", "a/b.txt", "");
        fails(zip.toString(), "has no text");
        fails(zip + "!*.java", "matches *.java");
    }

    @Test
    void emptyFilesBesideOthersAreHandedOutEmpty() throws IOException {
        write("a.txt", "");
        write("b.txt", "1");
        assertThat(read(dir.toString())).containsExactly("a.txt=", "b.txt=1");
    }

    @Test
    void unreadableFileIsNamed() throws IOException {
        write("a.txt", "1");
        Path locked = write("locked.txt", "2");
        assumeTrue(Files.getFileStore(dir).supportsFileAttributeView("posix"), "skipped: no POSIX permissions");
        Files.setPosixFilePermissions(locked, PosixFilePermissions.fromString("---------"));
        assumeFalse(Files.isReadable(locked), "skipped: this user may read everything");
        assertThatThrownBy(() -> read(dir.toString()))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("locked.txt cannot be read (access denied)");
    }

    @Test
    void fileThatVanishesIsNamed() throws IOException {
        write("a.txt", "1");
        Corpus corpus = Corpus.of(dir.toString());
        Files.delete(dir.resolve("a.txt"));
        assertThatThrownBy(() -> corpus.forEach(Document::bytes))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("a.txt cannot be read");
    }

    @Test
    void damagedZipIsNamed() throws IOException {
        Files.writeString(dir.resolve("not.zip"), "this is no zip");
        fails(dir + "/not.zip", "not.zip cannot be read as a zip", "fetch it again");
        byte[] whole = Files.readAllBytes(zip("whole.zip", "a.txt", "some text ".repeat(1000), "b.txt", "more"));
        Files.write(dir.resolve("cut.zip"), java.util.Arrays.copyOf(whole, whole.length / 2));
        fails(dir + "/cut.zip", "cut.zip cannot be read as a zip");
        // Content damaged, directory sound: found when the entry is read.
        byte[] flipped = whole.clone();
        for (int i = 40; i < 60; i++) {
            flipped[i] ^= 0x55;
        }
        Files.write(dir.resolve("flipped.zip"), flipped);
        Corpus corpus = Corpus.of(dir + "/flipped.zip");
        assertThatThrownBy(() -> corpus.forEach(Document::bytes))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("flipped.zip!a.txt cannot be read");
    }

    @Test
    void fingerprintFollowsChanges() throws IOException {
        Path file = write("a.txt", "1");
        String before = Corpus.of(dir.toString()).fingerprint();
        assertThat(Corpus.of(dir.toString()).fingerprint()).isEqualTo(before).hasSize(64);
        Files.setLastModifiedTime(file, FileTime.fromMillis(1));
        String touched = Corpus.of(dir.toString()).fingerprint();
        assertThat(touched).isNotEqualTo(before);
        write("b.txt", "2");
        assertThat(Corpus.of(dir.toString()).fingerprint()).isNotEqualTo(touched);
        Path one = zip("one.zip", "a", "1");
        Path two = zip("two.zip", "a", "2");
        assertThat(Corpus.of(one.toString()).fingerprint())
                .isNotEqualTo(Corpus.of(two.toString()).fingerprint());
    }

    @ParameterizedTest
    @CsvSource(textBlock = """
            *.txt,        a.txt,      true
            *.txt,        b/a.txt,    false
            **.txt,       b/a.txt,    true
            **/a.txt,     a.txt,      true
            **/a.txt,     b/c/a.txt,  true
            **/a.txt,     ba.txt,     false
            b/**/a.txt,   b/a.txt,    true
            b/**/a.txt,   b/c/d/a.txt,true
            b/**,         b/c/d,      true
            ?.txt,        a.txt,      true
            ?.txt,        ab.txt,     false
            [a-c].txt,    b.txt,      true
            [!a-c].txt,   b.txt,      false
            [!a-c].txt,   d.txt,      true
            a+(b).txt,    a+(b).txt,  true
            a.txt,        aXtxt,      false
            '{a,b}.txt',  b.txt,      true
            '{a,b}.txt',  c.txt,      false
            \\*.txt,      *.txt,      true
            \\*.txt,      a.txt,      false
            """)
    void globMatches(String glob, String name, boolean expected) {
        assertThat(new Glob(glob).matches(name)).isEqualTo(expected);
    }

    @Test
    void badGlobIsNamed() {
        fails(dir + "/[a.txt", "[a.txt has a [ without a ]");
        fails(dir + "/{a.txt", "{a.txt is not a glob");
        fails(dir + "/[z-a].txt", "[z-a].txt is not a glob");
    }

    private Path write(String name, String text) throws IOException {
        Path file = dir.resolve(name);
        Files.createDirectories(file.resolveSibling("."));
        return Files.writeString(file, text);
    }

    private Path zip(String name, String... entries) throws IOException {
        Path file = dir.resolve(name);
        try (OutputStream out = Files.newOutputStream(file);
                ZipOutputStream zip = new ZipOutputStream(out)) {
            for (int i = 0; i < entries.length; i += 2) {
                zip.putNextEntry(new ZipEntry(entries[i]));
                zip.write(entries[i + 1].getBytes(UTF_8));
                zip.closeEntry();
            }
        }
        return file;
    }

    private static void link(Path link, Path target) {
        try {
            Files.createSymbolicLink(link, target);
        } catch (IOException | UnsupportedOperationException e) {
            assumeTrue(false, "skipped: no symbolic links here: " + e);
        }
    }

    private static List<String> read(String location) {
        List<String> found = new ArrayList<>();
        Corpus.of(location).forEach(d -> found.add(d.name() + "=" + new String(d.bytes(), UTF_8)));
        return found;
    }

    private static void fails(String location, String... parts) {
        assertThatThrownBy(() -> Corpus.of(location))
                .isInstanceOf(UserError.class)
                .hasMessageContainingAll(parts)
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
    }
}
