package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainerTest {
    @TempDir
    Path folder;

    @Test
    void learns() throws IOException {
        TrainResult result = Trainer.train(TinyRuns.config(folder, "run"), ProgressLine.onConsole());

        assertThat(result.finished()).isTrue();
    }
}
