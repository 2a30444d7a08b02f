package org.mamba4j.data;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

class TokenFileTest {
    @TempDir
    Path dir;

    /** Bytes under other names: id = byte + vocabSize - 256, so that every width of token occurs. */
    private record Shifted(int vocabSize) implements Tokenizer {
        @Override
        public int[] encode(String text) {
            return encode(text.getBytes(UTF_8));
        }

        @Override
        public int[] encode(byte[] utf8) {
            return Arrays.stream(Tokenizers.bytes().encode(utf8))
                    .map(b -> b + vocabSize - 256)
                    .toArray();
        }

        @Override
        public byte[] bytes(int token) {
            return new byte[] {(byte) (token - vocabSize + 256)};
        }

        @Override
        public String decode(int[] tokens) {
            return "";
        }

        @Override
        public String fingerprint() {
            return "%064x".formatted(vocabSize);
        }

        @Override
        public int splitPoint(byte[] utf8, int length) {
            return length / 2;
        }

        @Override
        public void save(Path folder) {
            throw new UnsupportedOperationException();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {256, 257, 65_536, 65_537, 1_000_000})
    void readsBackWhatTheTokenizerSaid(int vocabSize) {
        Tokenizer tokenizer = new Shifted(vocabSize);
        byte[] a = random(5_000, 1);
        byte[] b = random(3_001, 2);
        SequencedMap<String, byte[]> texts = new LinkedHashMap<>();
        texts.put("a", a);
        texts.put("empty", new byte[0]);
        texts.put("b", b);
        Path path = dir.resolve("t.tokens");
        new TokenFileWriter(new MemoryCorpus(texts), tokenizer, 1000).write(path);
        try (TokenFile file = TokenFile.open(path, tokenizer)) {
            assertThat(file.size()).isEqualTo(8_001);
            assertThat(file.vocabSize()).isEqualTo(vocabSize);
            assertThat(file.documents()).isEqualTo(2);
            assertThat(file.start(1)).isEqualTo(5_000);
            assertThat(file.start(2)).isEqualTo(8_001);
            assertThat(file.textBytes(0)).isEqualTo(5_000);
            assertThat(file.textBytes(1)).isEqualTo(3_001);
            int[] ids = new int[8_003];
            file.read(0, 8_001, ids, 1);
            assertThat(Arrays.copyOfRange(ids, 1, 5_001)).isEqualTo(tokenizer.encode(a));
            assertThat(Arrays.copyOfRange(ids, 5_001, 8_002)).isEqualTo(tokenizer.encode(b));
            assertThat(ids[0]).isZero();
            assertThat(ids[8_002]).isZero();
            assertThatThrownBy(() -> file.read(8_000, 2, ids, 0)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> file.read(-1, 1, ids, 0)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> file.start(3)).isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void reusesUntilSomethingChanges() throws IOException {
        Path text = Files.writeString(dir.resolve("a.txt"), "one");
        Path path = dir.resolve("sub/t.tokens");
        String content;
        try (TokenFile file = of(text, path)) {
            content = file.contentFingerprint();
        }
        FileTime written = FileTime.fromMillis(1_000_000);
        Files.setLastModifiedTime(path, written);
        of(text, path).close();
        assertThat(Files.getLastModifiedTime(path)).isEqualTo(written);

        Files.setLastModifiedTime(text, FileTime.fromMillis(5));
        try (TokenFile file = of(text, path)) {
            assertThat(file.contentFingerprint()).isEqualTo(content);
        }
        assertThat(Files.getLastModifiedTime(path)).isNotEqualTo(written);

        Files.writeString(text, "two");
        try (TokenFile file = of(text, path)) {
            assertThat(file.contentFingerprint()).isNotEqualTo(content);
        }
        try (TokenFile file = TokenFile.of(Corpus.of(text.toString()), new Shifted(300), path)) {
            assertThat(file.vocabSize()).isEqualTo(300);
        }
        try (Stream<Path> files = Files.list(dir.resolve("sub"))) {
            assertThat(files).containsExactly(path);
        }
    }

    @Test
    void wrongTokenizerIsNamed() throws IOException {
        Path path = sample();
        assertThatThrownBy(() -> TokenFile.open(path, new Shifted(300)))
                .isInstanceOf(UserError.class)
                .hasMessageContainingAll(path.toString(), "another tokenizer", "vocabulary 256", "300", "delete it");
    }

    @Test
    void foreignFileIsLeftAlone() throws IOException {
        Path text = Files.writeString(dir.resolve("a.txt"), "one");
        for (String content : new String[] {"", "x", "my precious diary, much longer than any header ".repeat(10)}) {
            Path path = Files.writeString(dir.resolve("diary"), content);
            assertThatThrownBy(() -> of(text, path))
                    .isInstanceOf(UserError.class)
                    .hasMessageContainingAll("diary exists and is not a token file", "left alone");
            assertThat(path).hasContent(content);
            assertThatThrownBy(() -> TokenFile.open(path))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("is not a token file");
        }
    }

    @Test
    void missingFileAndFolderAreNamed() {
        assertThatThrownBy(() -> TokenFile.open(dir.resolve("none")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no such token file");
        assertThatThrownBy(() -> TokenFile.open(dir)).isInstanceOf(UserError.class);
    }

    @Test
    void everyTruncationIsNamed() throws IOException {
        byte[] whole = Files.readAllBytes(sample());
        Path cut = dir.resolve("cut");
        for (int n = 0; n < whole.length; n++) {
            Files.write(cut, Arrays.copyOf(whole, n));
            assertThatThrownBy(() -> TokenFile.open(cut))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cut");
        }
        Files.write(cut, Arrays.copyOf(whole, whole.length + 1));
        assertThatThrownBy(() -> TokenFile.open(cut))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("damaged");
    }

    @Test
    void everyFlippedBitOfTheHeaderIsNoticed() throws IOException {
        Path path = sample();
        byte[] whole = Files.readAllBytes(path);
        Path bad = dir.resolve("bad");
        for (int bit = 0; bit < TokenFile.HEADER_BYTES * 8; bit++) {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << bit % 8);
            Files.write(bad, flipped);
            assertThatThrownBy(() -> TokenFile.open(bad)).as("bit %d", bit).isInstanceOf(UserError.class);
        }
    }

    @Test
    void damagedFileOfOursIsMadeAgain() throws IOException {
        Path text = Files.writeString(dir.resolve("a.txt"), "one");
        Path path = dir.resolve("t.tokens");
        of(text, path).close();
        byte[] whole = Files.readAllBytes(path);
        Files.write(path, Arrays.copyOf(whole, whole.length - 5));
        of(text, path).close();
        assertThat(Files.readAllBytes(path)).isEqualTo(whole);
    }

    @Test
    void tokenOutsideTheVocabularyIsNamed() throws IOException {
        Path path = dir.resolve("t.tokens");
        Path text = Files.writeString(dir.resolve("a.txt"), "one");
        Tokenizer tokenizer = new Shifted(1000);
        TokenFile.of(Corpus.of(text.toString()), tokenizer, path).close();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.seek(TokenFile.HEADER_BYTES);
            file.write(new byte[] {-1, -1});
        }
        try (TokenFile file = TokenFile.open(path, tokenizer)) {
            assertThatThrownBy(() -> file.read(0, 3, new int[3], 0))
                    .isInstanceOf(UserError.class)
                    .hasMessageContainingAll("token 65535", "vocabulary has 1000");
        }
    }

    @Test
    void folderThatCannotBeWrittenIsNamed() throws IOException {
        Path text = Files.writeString(dir.resolve("a.txt"), "one");
        assertThatThrownBy(() -> of(text, text.resolve("t.tokens")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("t.tokens cannot be written");
        Path locked = Files.createDirectory(dir.resolve("locked"));
        Files.setPosixFilePermissions(locked, PosixFilePermissions.fromString("r-xr-xr-x"));
        assumeFalse(Files.isWritable(locked), "skipped: this user may write everywhere");
        assertThatThrownBy(() -> of(text, locked.resolve("t.tokens")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("cannot be written");
    }

    @Test
    void failureWhileReadingLeavesNothing() throws IOException {
        Files.writeString(dir.resolve("a.txt"), "one");
        Path second = Files.writeString(dir.resolve("b.txt"), "two");
        Corpus corpus = Corpus.of(dir.toString());
        Files.delete(second);
        Path out = Files.createDirectory(dir.resolve("out"));
        assertThatThrownBy(() -> TokenFile.of(corpus, Tokenizers.bytes(), out.resolve("t")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("b.txt cannot be read");
        assertThat(out).isEmptyDirectory();
    }

    @Test
    void longLineIsReadInPieces() throws IOException {
        byte[] line = new byte[40 << 20];
        Arrays.fill(line, (byte) 'x');
        Path text = Files.write(dir.resolve("line.txt"), line);
        try (TokenFile file = of(text, dir.resolve("t"))) {
            assertThat(file.size()).isEqualTo(line.length);
            assertThat(file.documents()).isEqualTo(1);
            int[] end = new int[3];
            file.read(file.size() - 3, 3, end, 0);
            assertThat(end).containsExactly('x', 'x', 'x');
        }
    }

    /** 2^31 tokens and more: as a sparse file, so that it costs nothing. */
    @Test
    void moreTokensThanAnArrayHolds() throws IOException {
        long tokens = (1L << 31) + 1_000_003;
        Path path = dir.resolve("huge");
        SparseTokenFile.write(path, tokens, 1);
        assertThatCode(() -> {
                    try (TokenFile file = TokenFile.open(path)) {
                        assertThat(file.size()).isEqualTo(tokens);
                        int[] end = new int[5];
                        file.read(tokens - 5, 5, end, 0);
                        assertThat(end).containsExactly(0, 0, 0, 0, 7);
                        Windows windows = Windows.shuffled(TokenView.all(file), 1000, 4, 1);
                        assertThat(windows.windows()).isEqualTo((tokens - 1) / 1000);
                        assertThat(windows.batch(1L << 40).rows()).isEqualTo(4);
                    }
                })
                .doesNotThrowAnyException();
    }

    @Test
    void closedFileFails() throws IOException {
        TokenFile file = TokenFile.open(sample());
        file.close();
        assertThatThrownBy(() -> file.read(0, 1, new int[1], 0)).isInstanceOf(IllegalStateException.class);
    }

    private Path sample() throws IOException {
        Path text = Files.writeString(dir.resolve("sample.txt"), "some text");
        Path path = dir.resolve("sample.tokens");
        of(text, path).close();
        return path;
    }

    private static TokenFile of(Path text, Path path) {
        return TokenFile.of(Corpus.of(text.toString()), Tokenizers.bytes(), path);
    }

    static byte[] random(int n, long seed) {
        byte[] bytes = new byte[n];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
