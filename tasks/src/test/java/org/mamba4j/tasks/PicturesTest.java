package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PicturesTest {
    @Test
    void aJavaWithoutFontsWritesNoPictureAndGoesOn(@TempDir Path folder) {
        Path png = folder.resolve("map.png");
        Pictures.write(png, () -> {
            throw new IllegalStateException("Fontconfig head is null, check your fonts or fonts configuration");
        });
        assertThat(png).doesNotExist();
    }

    @Test
    void whatWasDrawnIsWritten(@TempDir Path folder) throws Exception {
        Path png = folder.resolve("map.png");
        Pictures.write(png, () -> new byte[] {1, 2, 3});
        assertThat(Files.readAllBytes(png)).containsExactly(1, 2, 3);
    }
}
