package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.SharedData;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.model.Shape;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

class CommandsTest {
    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
    }

    @Test
    void everyCommandAndOptionIsDescribed() {
        Map<String, CommandLine> commands = new TreeMap<>();
        collect("mamba4j", Main.commandLine(), commands);
        assertThat(commands).containsKeys("mamba4j train", "mamba4j eval perplexity", "mamba4j demo");
        commands.forEach((name, command) -> {
            assertThat(command.getCommandSpec().usageMessage().description())
                    .as(name)
                    .isNotEmpty();
            for (OptionSpec option : command.getCommandSpec().options()) {
                String text = String.join(" ", option.description());
                assertThat(text).as("%s %s", name, option.longestName()).isNotBlank();
                boolean needsDefault = !option.required() && option.typeInfo().getType() != boolean.class;
                if (needsDefault) {
                    assertThat(text).as("%s %s", name, option.longestName()).containsAnyOf("default:", "may be given");
                }
            }
            Cli help = Cli.run(
                    (Object[]) (name + " --help").substring("mamba4j ".length()).split(" "));
            assertThat(help.code()).as(name).isZero();
            assertThat(help.out()).as(name).contains("Usage: " + name).doesNotContain("${");
            // An example that is broken over two lines cannot be copied.
            assertThat(command.getCommandSpec().usageMessage().footer())
                    .as(name)
                    .isNotEmpty()
                    .allSatisfy(line -> assertThat(help.out()).contains(line));
        });
    }

    private static void collect(String name, CommandLine command, Map<String, CommandLine> all) {
        if (!name.endsWith(" help")) {
            all.put(name, command);
            command.getSubcommands().forEach((word, sub) -> collect(name + " " + word, sub, all));
        }
    }

    @Test
    void printsVersionAndHelp() {
        Cli version = Cli.run("--version");
        assertThat(version.code()).isZero();
        assertThat(version.out()).matches("mamba4j \\d+\\.\\d+\\.\\d+\\S* \\(Java \\d+.*\\)\\R");
        assertThat(Cli.run().out()).contains("Usage: mamba4j", "Begin with");
    }

    @Test
    void completionScriptNamesTheCommands() {
        assertThat(Cli.run("completion").out()).startsWith("#!").contains("perplexity", "--max-new-tokens");
    }

    @Test
    void sameSeedSameText() {
        Object[] words = {"generate", "--model", model, "--prompt", "ab", "--max-new-tokens", "20", "--seed", "5"};
        Cli first = Cli.run(words);
        assertThat(first.code()).isZero();
        assertThat(first.out()).isEqualTo(Cli.run(words).out()).isNotEmpty();
        assertThat(first.err()).contains("2 prompt tokens", "20 new tokens", "tokens/s", "seed 5");
        Cli other = Cli.run("generate", "--model", model, "--prompt", "ab", "--max-new-tokens", "20", "--seed", "6");
        assertThat(other.out()).isNotEqualTo(first.out());
    }

    @Test
    void echoesThePromptAndReadsItFromStandardInput() {
        Object[] words = {"generate", "--model", model, "--prompt", "-", "--max-new-tokens", "8", "--temperature", "0"};
        Cli plain =
                Cli.run("generate", "--model", model, "--prompt", "ab", "--max-new-tokens", "8", "--temperature", "0");
        InputStream before = System.in;
        try {
            System.setIn(new ByteArrayInputStream("ab".getBytes(StandardCharsets.UTF_8)));
            assertThat(Cli.run(words).out()).isEqualTo(plain.out()).isNotEmpty();
        } finally {
            System.setIn(before);
        }
        Cli echo = Cli.run(
                "generate",
                "--model",
                model,
                "--prompt",
                "ab",
                "--max-new-tokens",
                "8",
                "--temperature",
                "0",
                "--echo");
        assertThat(echo.out()).isEqualTo("ab" + plain.out());
    }

    @Test
    void logitsOfABatchDoNotDependOnTheOthers() {
        Path input = folder.resolve("input.safetensors");
        Path both = folder.resolve("both.safetensors");
        Path one = folder.resolve("one.safetensors");
        SafetensorsWriter.write(
                input, Map.of(), List.of(SafetensorsWriter.Tensor.ofLongs("input_ids", Shape.of(2, 3), new long[] {
                    1, 2, 3, 200, 201, 202
                })));
        assertThat(Cli.run("logits", "--model", model, "--input", input, "--output", both)
                        .code())
                .isZero();
        SafetensorsWriter.write(
                input,
                Map.of(),
                List.of(SafetensorsWriter.Tensor.ofLongs("input_ids", Shape.of(1, 3), new long[] {200, 201, 202})));
        assertThat(Cli.run("logits", "--model", model, "--input", input, "--output", one)
                        .code())
                .isZero();
        float[] expected = floats(one, Shape.of(1, 3, 256));
        float[] actual = floats(both, Shape.of(2, 3, 256));
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[expected.length + i]).isCloseTo(expected[i], within(1e-6f));
        }
        assertThat(Arrays.copyOf(actual, 256)).isNotEqualTo(Arrays.copyOf(expected, 256));
    }

    @Test
    void logitsOfNothing() {
        Path input = folder.resolve("input.safetensors");
        Path output = folder.resolve("output.safetensors");
        SafetensorsWriter.write(
                input, Map.of(), List.of(SafetensorsWriter.Tensor.ofLongs("input_ids", Shape.of(3, 0), new long[0])));
        assertThat(Cli.run("logits", "--model", model, "--input", input, "--output", output)
                        .code())
                .isZero();
        assertThat(floats(output, Shape.of(3, 0, 256))).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"torch", "java"})
    void logitsEqualTheGoldenOnes(String engine) {
        Path golden = SharedData.require("golden/hf-mamba-tiny");
        Path output = folder.resolve("logits.safetensors");
        Path expectedFile = golden.resolve("expected.safetensors");
        Cli result =
                Cli.run("logits", "--model", golden, "--engine", engine, "--input", expectedFile, "--output", output);
        assertThat(result.code()).as(result.err()).isZero();
        try (SafetensorsFile expected = SafetensorsFile.open(expectedFile)) {
            float[] values = expected.floats("logits");
            float[] actual = floats(output, expected.info("logits").shape());
            for (int i = 0; i < values.length; i++) {
                assertThat(actual[i]).isCloseTo(values[i], within(1e-4f));
            }
        }
    }

    @Test
    void bothEnginesContinueAlike() {
        List<String> texts = new ArrayList<>();
        for (String engine : List.of("java", "torch")) {
            Cli result =
                    Cli.run("generate", "--model", model, "--engine", engine, "--prompt", "abc", "--temperature", "0");
            assertThat(result.code()).as(result.err()).isZero();
            texts.add(result.out());
        }
        assertThat(texts.getFirst()).isNotEmpty().isEqualTo(texts.getLast());
    }

    @Test
    void perplexityWritesFiguresAndAPicture() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "the quick brown fox ".repeat(200));
        Path output = folder.resolve("eval");
        Cli result = Cli.run(
                "eval",
                "perplexity",
                "--model",
                model,
                "--data",
                data,
                "--lengths",
                "0.2k,1k",
                "--windows",
                "3",
                "--output",
                output);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("context", "1,000", "same last 100 tokens of 3 windows");
        JsonFields json = JsonFields.of(Json.read(output.resolve("perplexity.json")), "perplexity.json");
        assertThat(json.integer("windows", 0, 100)).isEqualTo(3);
        JsonFields first = JsonFields.of(json.array("lengths").getFirst(), "lengths");
        assertThat(first.integer("length", 0, 1000)).isEqualTo(200);
        assertThat(first.object("perplexity").decimal("value")).isPositive();
        assertThat(Files.size(output.resolve("perplexity.png"))).isGreaterThan(1000);
    }

    /** From a recipe to text: a run, the same run continued from its middle, and what may be asked of its folder. */
    @Test
    void trainsResumesAndUsesTheRun() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "the quick brown fox ".repeat(200));
        Path run = folder.resolve("run");
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), """
                out: %s
                model: {hidden_size: 8, num_hidden_layers: 1}
                data: {path: %s, length: 32, batch: 2}
                schedule: {steps: 4, warmup_steps: 1}
                checkpoints: {every: 2, keep: 2}
                """.formatted(run, data));
        Cli trained = Cli.run("train", recipe);
        assertThat(trained.code()).as(trained.err()).isZero();
        Path last = run.resolve("checkpoints/step-000000004");
        byte[] weights = Files.readAllBytes(last.resolve("model.safetensors"));
        try (Stream<Path> files = Files.list(last)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(last);
        Cli resumed = Cli.run("train", recipe, "--resume");
        assertThat(resumed.code()).as(resumed.err()).isZero();
        assertThat(resumed.out()).contains("resumed after step 2", "finished after step 4");
        assertThat(Files.readAllBytes(last.resolve("model.safetensors"))).isEqualTo(weights);

        Object[] words = {
            "generate",
            "--model",
            run,
            "--prompt",
            "the ",
            "--max-new-tokens",
            "40",
            "--seed",
            "3",
            "--top-k",
            "50",
            "--min-p",
            "0.001",
            "--repetition-penalty",
            "1.3"
        };
        Cli whole = Cli.run(words);
        assertThat(whole.code()).as(whole.err()).isZero();
        assertThat(whole.err()).contains("40 new tokens", "at --max-new-tokens");
        // Whatever it says, told to stop at a text of its middle it says the same up to there.
        int at = whole.out()
                .offsetByCodePoints(0, whole.out().codePointCount(0, whole.out().length()) / 2);
        String stop = Character.toString(whole.out().codePointAt(at));
        Object[] stopped = Arrays.copyOf(words, words.length + 2);
        stopped[words.length] = "--stop";
        stopped[words.length + 1] = stop;
        Cli part = Cli.run(stopped);
        assertThat(part.code()).as(part.err()).isZero();
        assertThat(part.err()).contains("at a stop text");
        assertThat(part.out()).isEqualTo(whole.out().substring(0, whole.out().indexOf(stop)));

        Cli evaluated =
                Cli.run("eval", "perplexity", "--model", run, "--data", data, "--lengths", "200", "--windows", "2");
        assertThat(evaluated.code()).as(evaluated.err()).isZero();
        assertThat(run.resolve("eval/perplexity.json")).exists();
        assertThat(last.resolve("eval")).doesNotExist();
    }

    @Test
    void paddedEmbeddingsCount() throws IOException {
        Path config = model.resolve("config.json");
        String text = Files.readString(config);
        Files.writeString(config, text.replace("\"vocab_size\": 256", "\"vocab_size\": 250"));
        Cli whole = Cli.run("inspect", model);
        assertThat(whole.code()).as(whole.err()).isZero();
        assertThat(whole.out())
                .contains("before padding", "250", String.format("%,d", TinyModel.CONFIG.parameterCount()));
    }

    @Test
    void documentsLeftOutAreCounted() throws IOException {
        Path data = Files.createDirectory(folder.resolve("texts"));
        Files.writeString(data.resolve("a.txt"), "x".repeat(500));
        Files.writeString(data.resolve("b.txt"), "x".repeat(199));
        Cli run = Cli.run("eval", "perplexity", "--model", model, "--data", data, "--lengths", "200");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("left out: 1 of 2 documents, which have fewer than 200 tokens");
    }

    @Test
    void inspectsFolderAndFile() {
        Cli whole = Cli.run("inspect", model);
        assertThat(whole.code()).isZero();
        assertThat(whole.out())
                .contains("\"mamba\"", "backbone.layers.1.mixer.A_log", "(16, 4)")
                .contains(String.format("%,d", TinyModel.CONFIG.parameterCount()))
                .contains(String.format("%,d", TinyModel.CONFIG.stateBytes()));
        assertThat(whole.out()).containsPattern("A_log +F32 +\\(16, 4\\) +64");
        Cli file = Cli.run("inspect", model.resolve("model.safetensors"));
        assertThat(file.out()).contains("F32", "backbone.embeddings.weight", "(256, 8)");
    }

    @Test
    void tokenizes() {
        Cli ids = Cli.run("tokenize", "hé");
        assertThat(ids.out().strip()).isEqualTo("104 195 169");
        assertThat(ids.err()).contains("3 tokens, 3 bytes");
        assertThat(Cli.run("tokenize", "--pieces", "a\n").out()).contains("97  \"a\"", "10  \"\\x0A\"");
        assertThat(Cli.run("tokenize").code()).isEqualTo(2);
    }

    @Test
    void tokenizesACorpusIntoAFile() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "abc");
        Path output = folder.resolve("text.tokens");
        Cli result = Cli.run("tokenize", "--data", data, "--output", output);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.err()).contains("3 tokens of 1 documents");
        assertThat(output).exists();
    }

    private static float[] floats(Path file, Shape shape) {
        try (SafetensorsFile opened = SafetensorsFile.open(file)) {
            opened.requireShape("logits", shape);
            return opened.floats("logits");
        }
    }
}
