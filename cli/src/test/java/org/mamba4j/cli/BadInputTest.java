package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.model.Shape;

/** What the user can put right gets one line and exit code 2, and changes nothing. */
class BadInputTest {
    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
    }

    // --- safetensors ---

    @Test
    void truncatedFile() throws IOException {
        Path weights = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        for (int length : new int[] {0, 7, 8, 100, bytes.length / 2, bytes.length - 1}) {
            Files.write(weights, Arrays.copyOf(bytes, length));
            refused("model.safetensors", "inspect", weights);
            refused("model.safetensors", "generate", "--model", model, "--prompt", "a");
            refused("model.safetensors", "inspect", model);
        }
        Files.delete(weights);
        refused("model.safetensors", "inspect", model);
    }

    @Test
    void fileThatIsTooLong() throws IOException {
        Path weights = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, Arrays.copyOf(bytes, bytes.length + 1));
        refused("model.safetensors", "inspect", weights);
    }

    @Test
    void headersThatLie() throws IOException {
        for (long length : new long[] {-1, 0, 1, 1L << 40, Long.MAX_VALUE}) {
            refused("header", "inspect", safetensors(length, "{}", 0));
        }
        refused("header", "inspect", safetensors("{\"a\":", 0));
        refused("\"a\"", "inspect", safetensors(entry("a", "F32", "[2]", 0, 8), 4));
        refused("\"a\"", "inspect", safetensors(entry("a", "F32", "[2]", 4, 12), 12));
        refused("\"a\"", "inspect", safetensors(entry("a", "F32", "[3]", 0, 8), 8));
        refused("F8_E4M3", "inspect", safetensors(entry("a", "F8_E4M3", "[8]", 0, 8), 8));
        refused("\"a\"", "inspect", safetensors(entry("a", "F32", "[4611686018427387904, 4]", 0, 8), 8));
        refused("\"a\"", "inspect", safetensors(entry("a", "F32", "[-2]", 0, 8), 8));
    }

    @Test
    void overlappingTensors() throws IOException {
        String header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}";
        refused("\"b\"", "inspect", safetensors(header, 12));
    }

    // --- checkpoints ---

    @Test
    void shapeThatDoesNotFitTheConfiguration() throws IOException {
        replaceInConfig("\"state_size\": 4", "\"state_size\": 5");
        Cli result = refused("x_proj", "generate", "--model", model, "--prompt", "a");
        assertThat(result.err()).contains("(9, 16)", "(11, 16)");
    }

    @Test
    void weightsThatAreIntegers() throws IOException {
        Path weights = model.resolve("model.safetensors");
        String text = Files.readString(weights, StandardCharsets.ISO_8859_1);
        assertThat(text).contains("\"F32\"");
        Files.writeString(weights, text.replace("\"F32\"", "\"I32\""), StandardCharsets.ISO_8859_1);
        refused("I32", "generate", "--model", model, "--prompt", "a");
    }

    @Test
    void missingTensors() throws IOException {
        replaceInConfig("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
        refused("backbone.layers.2.", "generate", "--model", model, "--prompt", "a");
    }

    @Test
    void unknownConfigurationValues() throws IOException {
        replaceInConfig("\"model_type\": \"mamba\"", "\"model_type\": \"rwkv\"");
        refused("rwkv", "inspect", model);
        replaceInConfig("\"model_type\": \"rwkv\"", "\"model_type\": \"mamba\"");
        replaceInConfig("\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu\"");
        refused("relu", "inspect", model);
        replaceInConfig("\"hidden_act\": \"relu\"", "\"hidden_act\": \"silu\"");
        replaceInConfig("\"state_size\": 4", "\"state_size\": 4000");
        refused("state_size", "inspect", model);
        Files.writeString(model.resolve("config.json"), "{");
        refused("config.json", "inspect", model);
    }

    @Test
    void missingTokenizer() throws IOException {
        Files.delete(model.resolve("tokenizer_config.json"));
        refused("tokenizer", "generate", "--model", model, "--prompt", "a");
    }

    @Test
    void foldersThatAreNone() throws IOException {
        refused("nowhere", "inspect", folder.resolve("nowhere"));
        refused("nowhere", "generate", "--model", folder.resolve("nowhere"), "--prompt", "a");
        refused("config.json", "generate", "--model", folder, "--prompt", "a");
        refused("not a folder", "generate", "--model", model.resolve("config.json"), "--prompt", "a");
        refused("no file", "convert", folder.resolve("none.gguf"), folder.resolve("out"));
        Path text = Files.writeString(folder.resolve("text.gguf"), "GG");
        refused("text.gguf does not begin as a GGUF file", "generate", "--model", text, "--prompt", "a");
    }

    // --- tokens and text ---

    @Test
    void tokenOutOfRange() {
        Path input = folder.resolve("input.safetensors");
        for (long bad : new long[] {-1, 256, Long.MAX_VALUE}) {
            write(input, Shape.of(2, 2), 1, 2, 3, bad);
            Cli result = refused(Long.toString(bad), logits(input, folder.resolve("output.safetensors")));
            assertThat(result.err()).contains("[1, 1]").contains("256");
        }
    }

    @Test
    void moreRowsThanAnArrayHas() throws IOException {
        String header = "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[3000000000,0],\"data_offsets\":[0,0]}}";
        refused("3000000000", logits(safetensors(header, 0), folder.resolve("output.safetensors")));
    }

    @Test
    void weightsThatAreNoNumbers() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        Path weights = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Arrays.fill(bytes, bytes.length - 4096, bytes.length, (byte) 0xFF); // NaN
        Files.write(weights, bytes);
        refused("NaN", evaluation(data, folder.resolve("eval")));
        refused("NaN", "generate", "--model", model, "--prompt", "a");
        refused("NaN", "eval", "passkey", "--model", model, "--data", data, "--lengths", "300", "--trials", "1");
        refused("NaN", "memory", "--model", model, "--data", data, "--length", "128", "--sequences", "2");
        Cli dynamics = refused("NaN", "dynamics", "--model", model, "--text", data);
        assertThat(dynamics.err()).contains(model.toString(), "tensor \"backbone.");
    }

    @Test
    void inputOfTheWrongShapeOrType() {
        Path input = folder.resolve("input.safetensors");
        write(input, Shape.of(4), 1, 2, 3, 4);
        refused("(4)", logits(input, folder.resolve("output.safetensors")));
        SafetensorsWriter.write(
                input, Map.of(), List.of(SafetensorsWriter.Tensor.ofFloats("input_ids", Shape.of(1, 1), new float[1])));
        refused("F32", logits(input, folder.resolve("output.safetensors")));
        SafetensorsWriter.write(
                input, Map.of(), List.of(SafetensorsWriter.Tensor.ofLongs("ids", Shape.of(1, 1), new long[1])));
        refused("input_ids", logits(input, folder.resolve("output.safetensors")));
    }

    @Test
    void emptyPromptAndBadOptions() {
        refused("prompt is empty", "generate", "--model", model, "--prompt", "");
        refused("temperature is -1", "generate", "--model", model, "--prompt", "a", "--temperature", "-1");
        refused("top-p is 2", "generate", "--model", model, "--prompt", "a", "--top-p", "2");
        refused("--max-new-tokens", "generate", "--model", model, "--prompt", "a", "--max-new-tokens", "many");
        refused("--prompt", "generate", "--model", model);
        refused("--engine", "generate", "--model", model, "--prompt", "a", "--engine", "abacus");
        refused(
                "take --engine torch",
                "generate",
                "--model",
                model,
                "--prompt",
                "a",
                "--engine",
                "java",
                "--device",
                "cuda");
        refused("there are demo, train", "fly");
        refused("there are perplexity", "eval", "fly");
        refused("scan, conv, train or generate", "bench");
    }

    @Test
    void emptyCorpus() throws IOException {
        Path empty = Files.createFile(folder.resolve("empty.txt"));
        refused("empty", "eval", "perplexity", "--model", model, "--data", empty);
        Path none = Files.createDirectory(folder.resolve("none"));
        refused("none", "eval", "perplexity", "--model", model, "--data", none);
        refused("none", "train", recipe(none, folder.resolve("run")));
        refused("empty.txt", "train", recipe(empty, folder.resolve("run")));
        refused("missing", "train", recipe(folder.resolve("missing"), folder.resolve("run")));
    }

    @Test
    void documentsThatAreTooShort() throws IOException {
        Path data = Files.writeString(folder.resolve("short.txt"), "x".repeat(300));
        Cli result = refused("4,000", "eval", "perplexity", "--model", model, "--data", data);
        assertThat(result.err()).contains("short.txt with 300");
        refused("101", "eval", "perplexity", "--model", model, "--data", data, "--lengths", "100");
        refused("'1x'", "eval", "perplexity", "--model", model, "--data", data, "--lengths", "1x");
    }

    @Test
    void unknownKeysAndValuesOfARecipe() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        Path recipe = recipe(data, folder.resolve("run"));
        refused("optimiser.speed", "train", recipe, "--set", "optimiser.speed=9");
        refused("lr", "train", recipe, "--set", "optimiser.lr=fast");
        refused("rwkv", "train", recipe, "--set", "model.type=rwkv");
        refused("nothing.yaml", "train", folder.resolve("nothing.yaml"));
    }

    // --- output ---

    @Test
    void folderThatCannotBeWritten() throws IOException {
        // A file in the place of a folder stops everybody, also the superuser that containers run as.
        Path file = Files.createFile(folder.resolve("file"));
        Path input = folder.resolve("input.safetensors");
        write(input, Shape.of(1, 2), 1, 2);
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        refused("file", logits(input, file.resolve("output.safetensors")));
        refused("file", evaluation(data, file.resolve("eval")));
        Path taken = Files.createDirectory(folder.resolve("taken.html"));
        for (Path page : List.of(file.resolve("page.html"), taken)) {
            // Before anything is measured: nothing is on standard output yet.
            Cli memory = refused(
                    folder.relativize(page).getName(0).toString(),
                    "memory",
                    "--model",
                    model,
                    "--data",
                    data,
                    "--output",
                    page);
            assertThat(memory.out()).isEmpty();
            Cli dynamics = refused("is", "dynamics", "--model", model, "--text", data, "--out", page);
            assertThat(dynamics.out()).isEmpty();
        }
        refused("file", "train", recipe(data, file.resolve("run")));
        refused("missing", logits(input, folder.resolve("missing").resolve("output.safetensors")));
    }

    @Test
    void readOnlyFolder() throws Exception {
        Path mount = Files.createDirectory(folder.resolve("mount"));
        Path input = folder.resolve("input.safetensors");
        write(input, Shape.of(1, 2), 1, 2);
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        assumeTrue(mount(mount, "ro"), "skipped: no permission to mount a file system");
        try {
            refused("mount", logits(input, mount.resolve("output.safetensors")));
            refused("mount", evaluation(data, mount));
            refused("mount", "train", recipe(data, mount.resolve("run")));
        } finally {
            unmount(mount);
        }
    }

    @Test
    void fullDisk() throws Exception {
        Path mount = Files.createDirectory(folder.resolve("mount"));
        Path input = folder.resolve("input.safetensors");
        write(input, Shape.of(4, 500), new long[2000]); // logits of 2 MB
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        assumeTrue(mount(mount, "size=1m"), "skipped: no permission to mount a file system");
        try {
            refused("mount", logits(input, mount.resolve("output.safetensors")));
            Files.write(mount.resolve("filler"), new byte[1 << 20]);
            refused("mount", evaluation(data, mount));
            refused("mount", "train", recipe(data, mount.resolve("run")));
        } finally {
            unmount(mount);
        }
    }

    @Test
    void diskThatFillsUpWhileSaving() throws Exception {
        Path mount = Files.createDirectory(folder.resolve("mount"));
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        assumeTrue(mount(mount, "size=256k"), "skipped: no permission to mount a file system");
        try {
            Path run = mount.resolve("run");
            Object[] words = {
                "train",
                recipe(data, run),
                "--set",
                "model.hidden_size=32",
                "--set",
                "checkpoints.every=1",
                "--set",
                "checkpoints.keep=4"
            };
            Cli result = Cli.run(words);
            assertThat(result.code()).as(result.err()).isEqualTo(2);
            assertThat(result.err().lines()).hasSize(1);
            assertThat(result.err()).startsWith("mamba4j: ").contains("mount").doesNotContain("Exception");
            // What was saved before is whole.
            try (Stream<Path> saved = Files.list(run.resolve("checkpoints"))) {
                for (Path checkpoint : saved.filter(
                                p -> !p.getFileName().toString().startsWith("."))
                        .toList()) {
                    Checkpoint.open(checkpoint).close();
                }
            }
        } finally {
            unmount(mount);
        }
    }

    @Test
    void aFolderThatHoldsARun() throws IOException {
        Path data = Files.writeString(folder.resolve("text.txt"), "some text ".repeat(1000));
        Path recipe = recipe(data, folder.resolve("run"));
        Cli first = Cli.run("train", recipe);
        assertThat(first.code()).as(first.err()).isZero();
        assertThat(Cli.run("inspect", folder.resolve("run")).out()).contains("\"mamba\"");
        Cli again = Cli.run("train", recipe);
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("already holds a run", "--resume");
        assertThat(Cli.run("train", recipe, "--resume").code()).isZero();
        Cli other = Cli.run("train", recipe, "--resume", "--set", "data.length=16");
        assertThat(other.code()).isEqualTo(2);
        assertThat(other.err().lines()).hasSize(1);
        assertThat(other.err()).contains("data.length was 32, is 16");
    }

    // --- helpers ---

    /** Runs the command; expects one line that contains {@code named}, exit code 2 and no change. */
    private Cli refused(String named, Object... args) {
        Map<String, String> before = Cli.snapshot(folder);
        Cli result = Cli.run(args);
        assertThat(result.err().lines()).as("%s", List.of(args)).hasSize(1);
        assertThat(result.err()).startsWith("mamba4j: ").contains(named).doesNotContain("Exception");
        assertThat(result.code()).isEqualTo(2);
        assertThat(Cli.snapshot(folder)).isEqualTo(before);
        return result;
    }

    private Object[] logits(Path input, Path output) {
        return new Object[] {"logits", "--model", model, "--input", input, "--output", output};
    }

    private Object[] evaluation(Path data, Path output) {
        return new Object[] {
            "eval", "perplexity", "--model", model, "--data", data, "--lengths", "200", "--output", output
        };
    }

    private Path recipe(Path data, Path out) throws IOException {
        Path recipe = Files.createTempFile("recipe", ".yaml");
        recipe.toFile().deleteOnExit();
        return Files.writeString(recipe, """
                out: %s
                model: {hidden_size: 8, num_hidden_layers: 1}
                data: {path: %s, length: 32, batch: 2}
                schedule: {steps: 4, warmup_steps: 1}
                """.formatted(out, data));
    }

    private void replaceInConfig(String from, String to) throws IOException {
        Path config = model.resolve("config.json");
        String text = Files.readString(config);
        assertThat(text).contains(from);
        Files.writeString(config, text.replace(from, to));
    }

    private static void write(Path file, Shape shape, long... ids) {
        SafetensorsWriter.write(file, Map.of(), List.of(SafetensorsWriter.Tensor.ofLongs("input_ids", shape, ids)));
    }

    private Path safetensors(String header, int dataBytes) throws IOException {
        return safetensors(header.getBytes(StandardCharsets.UTF_8).length, header, dataBytes);
    }

    private Path safetensors(long length, String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(length).put(json);
        return Files.write(folder.resolve("bad.safetensors"), file.array());
    }

    private static String entry(String name, String dtype, String shape, long begin, long end) {
        return "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}}"
                .formatted(name, dtype, shape, begin, end);
    }

    private static boolean mount(Path folder, String options) throws Exception {
        return succeeds("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder.toString());
    }

    private static void unmount(Path folder) throws Exception {
        assertThat(succeeds("umount", folder.toString())).isTrue();
    }

    private static boolean succeeds(String... command) throws Exception {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException noSuchProgram) {
            return false;
        }
    }
}
