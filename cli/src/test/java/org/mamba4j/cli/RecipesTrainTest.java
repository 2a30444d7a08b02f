package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.torch.train.TrainConfig;

/** Every recipe trains, made small. */
class RecipesTrainTest {
    private static final List<String> TOY = List.of(
            "model.hidden_size=16",
            "model.state_size=4",
            "model.num_hidden_layers=2",
            "data.batch=1",
            "data.lengths=constant",
            "mixture.keys=1",
            "optimiser.accumulate=1",
            "schedule.steps=2",
            "schedule.warmup_steps=1",
            "evaluation.windows=1",
            "metrics.plot=false");

    @TempDir
    private Path folder = Path.of("");

    static Stream<Path> recipes() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("..", "recipes"))) {
            return files.filter(f -> f.toString().endsWith(".yaml")).sorted().toList().stream();
        }
    }

    @ParameterizedTest
    @MethodSource("recipes")
    void trains(Path recipe) throws IOException {
        Path text = Files.writeString(folder.resolve("text.txt"), "A rose is a rose is a rose. ".repeat(5000));
        List<Object> words = new ArrayList<>(List.of("train", recipe));
        for (String override : TOY) {
            words.addAll(List.of("--set", override));
        }
        Path squad = Files.writeString(folder.resolve("squad.json"), """
                {"data": [{"paragraphs": [{"context": "It is a rose.", "qas": [{"question": "What is it?"}]}]}]}""");
        TrainConfig config = TrainConfig.load(recipe, List.of());
        boolean documents = config.mixture().documents() > 0;
        words.addAll(List.of("--set", "data.length=" + (documents ? 2100 : 600)));
        words.addAll(List.of("--set", "mixture.questions=" + squad));
        words.addAll(List.of("--set", "data.path=" + text, "--set", "out=" + folder.resolve("run")));
        Cli run = Cli.run(words.toArray());
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("finished after step 2");
        if (config.mixture().asks()) {
            assertThat(run.out()).contains("step 2  answers: ");
            assertThat(config.tokensPerStep()).as("as the recipe in docs").isBetween(60_000L, 140_000L);
        }
    }
}
