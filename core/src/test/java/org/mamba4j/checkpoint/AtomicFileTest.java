package org.mamba4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class AtomicFileTest {
    @TempDir
    Path folder;

    @Test
    void aFileIsWrittenAndReplaced() throws IOException {
        Path file = folder.resolve("f");
        AtomicFile.writeString(file, "one é");
        assertThat(file).hasContent("one é");
        AtomicFile.writeString(file, "two");
        assertThat(file).hasContent("two");
        assertThat(folder.toFile().list()).containsExactly("f");
    }

    @Test
    void aFullDiskLeavesWhatWasThere() {
        Path file = folder.resolve("f");
        AtomicFile.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFile.write(file, channel -> {
                    channel.write(ByteBuffer.allocate(1000));
                    throw new IOException("No space left on device");
                }))
                .isInstanceOf(UserError.class)
                .hasMessage(file + " cannot be written: No space left on device; what was there before is unchanged");
        assertThat(file).hasContent("old");
        assertThat(folder.toFile().list()).containsExactly("f");
    }

    @Test
    void aMistakeInTheBodyLeavesWhatWasThere() {
        Path file = folder.resolve("f");
        AtomicFile.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFile.write(file, channel -> {
                    throw new IllegalStateException("x");
                }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(file).hasContent("old");
        assertThat(folder.toFile().list()).containsExactly("f");
    }

    @Test
    void aFolderThatIsMissingOrInTheWayIsNamed() throws IOException {
        assertThatThrownBy(() -> AtomicFile.writeString(folder.resolve("no/f"), "x"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("the folder " + folder.resolve("no") + " does not exist");
        Path inTheWay = Files.createDirectory(folder.resolve("d"));
        assertThatThrownBy(() -> AtomicFile.writeString(inTheWay, "x"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("it is a folder");
    }

    @Test
    void aReadOnlyFolderIsNamedAndLeftAlone() throws IOException {
        Path file = folder.resolve("f");
        AtomicFile.writeString(file, "old");
        assertThat(folder.toFile().setWritable(false)).isTrue();
        try {
            assumeFalse(Files.isWritable(folder), "this user may write everywhere");
            assertThatThrownBy(() -> AtomicFile.writeString(file, "new"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("the folder " + folder + " is read-only");
            assertThat(file).hasContent("old");
        } finally {
            assertThat(folder.toFile().setWritable(true)).isTrue();
        }
    }

    /** Nobody, not even root, makes files there. */
    @Test
    void aFileSystemThatTakesNoFilesIsNamed() {
        assumeTrue(Files.isDirectory(Path.of("/sys")), "no /sys on this system");
        assertThatThrownBy(() -> AtomicFile.writeString(Path.of("/sys/f"), "x"))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("/sys/f cannot be written: ")
                .message()
                .containsIgnoringCase("read-only");
    }
}
