package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.text.Tokenizers;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;

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

    private Path documents(String name, int length) throws IOException {
        Path data = Files.createDirectory(folder.resolve(name));
        Random random = new Random(3);
        for (int i = 0; i < 8; i++) {
            StringBuilder text = new StringBuilder();
            while (text.length() < length) {
                text.append("word").append(random.nextInt(10)).append(random.nextInt(8) == 0 ? ".\n" : " ");
            }
            Files.writeString(data.resolve("document" + i + ".txt"), text);
        }
        return data;
    }

    /** A demo with a model that is ready in seconds. */
    private static Object[] words(Path data, Path output, Object... more) {
        Object[] words = {
            "demo",
            "--skip-search",
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
        Object[] all = Arrays.copyOf(words, words.length + more.length);
        System.arraycopy(more, 0, all, words.length, more.length);
        return all;
    }

    private static Cli refused(String named, Object... words) {
        Cli result = Cli.run(words);
        assertThat(result.code()).as(result.err()).isEqualTo(2);
        assertThat(result.err().lines()).hasSize(1);
        assertThat(result.err()).contains(named);
        return result;
    }

    /** The whole demo, on a text that is read in a moment. */
    @Test
    void trainsSamplesMeasuresAndReports() throws IOException {
        Path data = documents("data", 5000);
        Path output = folder.resolve("demo");
        Object[] words = words(data, output);
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

        // Another text is another run: the message knows the demo's own options.
        Path shorter = documents("shorter", 1500);
        Map<String, String> before = Cli.snapshot(output.resolve("checkpoints"));
        Cli other = Cli.run(words(shorter, output));
        assertThat(other.code()).isEqualTo(2);
        assertThat(other.err()).contains("--fresh", "--output DIR").doesNotContain("--set out");
        assertThat(Cli.snapshot(output.resolve("checkpoints"))).isEqualTo(before);

        // Nothing is deleted where anything is of no run, or for a text that cannot be learned.
        Path mine = Files.writeString(output.resolve("checkpoints").resolve("notes.txt"), "mine");
        refused("checkpoints/notes.txt", words(shorter, output, "--fresh"));
        Files.delete(mine);
        refused("nowhere", words(folder.resolve("nowhere"), output, "--fresh"));
        assertThat(Cli.snapshot(output.resolve("checkpoints")).keySet()).isEqualTo(before.keySet());

        try (FileChannel trainer = FileChannel.open(output.resolve("run.lock"), StandardOpenOption.WRITE);
                FileLock held = trainer.lock()) {
            assertThat(held.isValid()).isTrue();
            refused("in use by a trainer", words(shorter, output, "--fresh"));
        }
        assertThat(Cli.snapshot(output.resolve("checkpoints")).keySet()).isEqualTo(before.keySet());

        Cli fresh = Cli.run(words(shorter, output, "--fresh"));
        assertThat(fresh.code()).as(fresh.err()).isZero();
        assertThat(fresh.out()).contains("no perplexity at 4k tokens").doesNotContain("goes on in");
        assertThat(Files.readString(output.resolve("perplexity.json"))).doesNotContain("4000");
    }

    @Test
    void aFolderOfSomethingElseSurvives() throws IOException {
        Path data = documents("data", 5000);
        Files.writeString(data.resolve("config.yaml"), "of another program");
        Map<String, String> before = Cli.snapshot(data);
        refused("document", words(data, data, "--fresh"));
        assertThat(Cli.snapshot(data)).isEqualTo(before);
    }

    @Test
    void whatCannotBeMeasuredIsNotTrained() throws IOException {
        Path data = documents("data", 200);
        Path output = folder.resolve("demo");
        refused("256", words(data, output));
        refused("--output", words(documents("long", 5000), output, "--set", "out=" + folder.resolve("elsewhere")));
        assertThat(output).doesNotExist();
        assertThat(folder.resolve("elsewhere")).doesNotExist();
    }

    /** A project with a model that was never trained. */
    private Path project() throws IOException {
        Path home = Files.createDirectory(folder.resolve("home"));
        Files.createDirectories(home.resolve("recipes"));
        Files.copy(Path.of("../recipes/demo.yaml"), home.resolve("recipes/demo.yaml"));
        MemMambaConfig config = new MemMambaConfig(TinyModel.CONFIG, MemoryConfig.DEFAULTS);
        Path model = home.resolve("models/memmamba");
        Files.createDirectories(model);
        try (LanguageNetwork network = LanguageNetwork.create(config, MambaKernels.fused(), 1)) {
            network.save(model);
        }
        Tokenizers.bytes().save(model);
        System.setProperty(HOME, home.toString());
        return model;
    }

    private static Object[] searching(Object... words) {
        return Arrays.stream(words)
                .filter(word -> !word.equals("--skip-search"))
                .toArray();
    }

    @Test
    void looksForAKeyWithTheShippedModelAndSaysHowItCameOut() throws IOException {
        Path model = project();
        Path data = documents("data", 5000);
        Object[] words = searching(words(data, folder.resolve("demo"), "--seed", 5));
        Cli result = Cli.run(words);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out().replaceAll("\\s+", " "))
                .contains("0/4 find", "The pass key of", "(seed 5)", "What is the pass key of", "notes are kept")
                .contains("wrong: it is", "reading nothing of what they note", "1/4 train")
                .contains("30,000 bytes of");
        assertThat(Files.readString(folder.resolve("demo/report.html"))).contains("hidden key", "not found after");

        Path weights = model.resolve("model.safetensors");
        Files.write(weights, new byte[] {1, 2, 3});
        Cli damaged = Cli.run(words);
        assertThat(damaged.code()).as(damaged.err()).isZero();
        assertThat(damaged.out()).contains("left out: ", "model.safetensors", "4/4 report");

        Files.delete(model.resolve("config.json"));
        Cli absent = Cli.run(words);
        assertThat(absent.code()).as(absent.err()).isZero();
        assertThat(absent.out()).contains("no trained model in models/memmamba", "4/4 report");
    }

    @Test
    void theShippedModelIsFoundInTheFirstPlaceThatHasOne() throws IOException {
        Path model = project();
        Path home = folder.resolve("home");
        assertThat(ShippedModel.find())
                .hasValueSatisfying(found -> assertThat(found).isEqualTo(model));
        assertThat(ShippedModel.find(List.of(folder, home, folder))).contains(model);
        assertThat(ShippedModel.find(List.of(folder))).isEmpty();
        System.clearProperty(HOME);
        assertThat(ShippedModel.find())
                .as("around the jar, without the launcher")
                .satisfies(found -> found.ifPresent(at -> assertThat(at)
                        .isEqualTo(Path.of("..").toAbsolutePath().normalize().resolve("models/memmamba"))));
    }

    @Test
    void aBarGrowsByEighths() {
        assertThat(ProgressBar.bar(0)).isEqualTo("░".repeat(24));
        assertThat(ProgressBar.bar(1)).isEqualTo("█".repeat(24));
        assertThat(ProgressBar.bar(0.5)).isEqualTo("█".repeat(12) + "░".repeat(12));
        assertThat(ProgressBar.bar(1.0 / 48)).isEqualTo("▌" + "░".repeat(23));
        assertThat(ProgressBar.bar(7)).hasSize(24);
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
