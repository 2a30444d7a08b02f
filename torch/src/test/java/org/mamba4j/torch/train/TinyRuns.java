package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Runs that take a second: a tiny model on a made-up text. */
final class TinyRuns {
    private TinyRuns() {}

    /**
     * A configuration of 24 steps with checkpoints every 5.
     *
     * @param folder gets the text and the run
     * @param run name of the run's folder
     */
    static TrainConfig config(Path folder, String run, String... overrides) throws IOException {
        Path text = folder.resolve("text");
        if (!Files.exists(text)) {
            Files.createDirectory(text);
            Random random = new Random(7);
            for (int document = 0; document < 12; document++) {
                StringBuilder words = new StringBuilder();
                for (int i = 0; i < 150; i++) {
                    words.append(random.nextBoolean() ? "the cat sat " : "a dog ran ");
                }
                Files.writeString(text.resolve(document + ".txt"), words);
            }
        }
        Path yaml = Files.writeString(folder.resolve("tiny.yaml"), """
                out: %s
                seed: 3
                threads: 2
                model: {hidden_size: 16, num_hidden_layers: 2, state_size: 4, initializer_range: 0.02}
                data: {path: %s, valid_fraction: 0.2, length: 32, batch: 4}
                optimiser: {lr: 1e-2, accumulate: 2}
                schedule: {shape: cosine, steps: 24, warmup_steps: 3, min_lr: 1e-4}
                evaluation: {every: 6, windows: 8}
                checkpoints: {every: 5, keep: 2}
                metrics: {every: 2, plot: false}
                """.formatted(folder.resolve(run), text));
        return TrainConfig.load(yaml, new ArrayList<>(List.of(overrides)));
    }
}
