package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoTest {
    private static final String HOME = "mamba4j.home";

    @TempDir
    private Path folder = Path.of("");

    @BeforeEach
    void whatTheLauncherSays() {
        System.setProperty(HOME, Path.of("..").toAbsolutePath().normalize().toString());
    }

    @AfterEach
    void forget() {
        System.clearProperty(HOME);
    }

    /** The whole demo, on a text and with a model that are ready in seconds. */
    @Test
    void trainsSamplesMeasuresAndReports() throws IOException {
        Path data = Files.createDirectory(folder.resolve("data"));
        Random random = new Random(3);
        for (int i = 0; i < 8; i++) {
            StringBuilder text = new StringBuilder();
            while (text.length() < 5000) {
                text.append("word").append(random.nextInt(10)).append(random.nextInt(8) == 0 ? ".\n" : " ");
            }
            Files.writeString(data.resolve("document" + i + ".txt"), text);
        }
        Path output = folder.resolve("demo");
        Object[] words = {
            "demo",
            "--data",
            data,
            "--output",
            output,
            "--set",
            "model.hidden_size=8",
            "--set",
            "model.num_hidden_layers=1",
            "--set",
            "model.state_size=4",
            "--set",
            "schedule.minutes=0",
            "--set",
            "schedule.steps=12",
            "--set",
            "schedule.warmup_steps=1",
            "--set",
            "data.valid_fraction=0.3",
            "--set",
            "evaluation.windows=4"
        };
        Cli result = Cli.run(words);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out())
                .contains("1/4 train", "2/4 sample", "3/4 perplexity", "4/4 report", "bits per byte")
                .contains("./mamba4j generate --model " + output);
        String report = Files.readString(output.resolve("report.html"));
        assertThat(report).contains("<svg", "Perplexity by context length", "4,000", "hidden_size: 8");
        assertThat(report).as("needs no other file").doesNotContainPattern("(src|href)\\s*=");
        assertThat(output.resolve("perplexity.json")).exists();
        assertThat(output.resolve("perplexity.png")).exists();

        // A finished run is not trained again; everything after it is as before.
        Cli again = Cli.run(words);
        assertThat(again.code()).as(again.err()).isZero();
        assertThat(again.out()).contains("goes on in");

        Cli mistyped = Cli.run("demo", "--data", data, "--output", data, "--fresh");
        assertThat(mistyped.code()).isEqualTo(2);
        assertThat(mistyped.err()).contains("holds no run");
        assertThat(data).isNotEmptyDirectory();
    }

    @Test
    void learnsTheProjectsSourcesWhereTheJdkHasNone() throws IOException {
        DemoCorpus own = DemoCorpus.find(folder, folder);
        assertThat(own.location()).isEqualTo(folder.toAbsolutePath() + "/*/src/**.java");
        assertThat(own.description()).contains("src.zip").doesNotContain("\n");
        Files.createDirectory(folder.resolve("lib"));
        Files.createFile(folder.resolve("lib").resolve("src.zip"));
        assertThat(DemoCorpus.find(folder, folder).location()).endsWith("src.zip!java.base/**.java");
    }
}
