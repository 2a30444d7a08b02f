package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MixtureTest {
    @TempDir
    private Path folder = Path.of("");

    private Cli train(Object... more) throws IOException {
        Path text = Files.writeString(
                folder.resolve("text.txt"), "All work and no play makes Jack a dull boy. ".repeat(200));
        Path recipe = Files.writeString(folder.resolve("tiny.yaml"), """
                out: %s
                model: {type: memmamba, hidden_size: 16, num_hidden_layers: 2, state_size: 4}
                data: {path: %s, valid_fraction: 0.2, length: 512, batch: 1, lengths: "256@0,512@0.5"}
                mixture: {passkey: 0.9, keys: "1,2", distractors: 0.5}
                notes: {dense: 256}
                schedule: {steps: 4, warmup_steps: 1}
                evaluation: {every: 2, windows: 2}
                """.formatted(folder.resolve("run"), text));
        Object[] all = new Object[2 + more.length];
        all[0] = "train";
        all[1] = recipe;
        System.arraycopy(more, 0, all, 2, more.length);
        return Cli.run(all);
    }

    @Test
    void aRecipeWithPassKeysTrainsStopsAndGoesOn() throws IOException {
        Cli first = train("--stop-after", "0.00001");
        assertThat(first.code()).as(first.err()).isZero();
        assertThat(first.out()).contains("step 1 of 4 is saved in").contains("continue with --resume");
        Cli second = train("--resume");
        assertThat(second.code()).as(second.err()).isZero();
        assertThat(second.out()).contains("step 4  answers: ").contains("finished after step 4");
    }

    @Test
    void whatDoesNotFitIsOneLineAndLeavesNoRun() throws IOException {
        for (Cli run : new Cli[] {
            train("--stop-after", "0"),
            train("--set", "mixture.keys=9"),
            train("--set", "mixture.keys=1,1,1"),
            train("--set", "mixture.keys=0")
        }) {
            assertThat(run.code()).as(run.err()).isEqualTo(2);
            assertThat(run.err().strip().lines().toList()).hasSize(1);
        }
        assertThat(folder.resolve("run/config.yaml")).doesNotExist();
    }
}
