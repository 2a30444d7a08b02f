package org.mamba4j.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;

/** {@code score}, and states that pass from one command to the next. */
class ScoreCommandTest {
    private static final String TEXT = "Größe\n\nOnce upon a time\r\nno end";

    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");
    private Path text = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
        text = Files.writeString(folder.resolve("text.txt"), TEXT);
    }

    private static Cli done(Object... words) {
        Cli run = Cli.run(words);
        assertThat(run.code()).as(run.err()).isZero();
        return run;
    }

    private static JsonFields object(String line) {
        return JsonFields.of(Json.parse(line.getBytes(UTF_8), "output"), "output");
    }

    private double expected(byte[] bytes) {
        int[] tokens = new int[bytes.length];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = bytes[i] & 0xFF;
        }
        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            return Arrays.stream(opened.logProbabilities(state, tokens)).skip(1).sum();
        }
    }

    @Test
    void sumsTokensAndLinesAgree() throws IOException {
        double sum = expected(TEXT.getBytes(UTF_8));
        int bytes = TEXT.getBytes(UTF_8).length;
        JsonFields whole =
                object(done("score", "--model", model, "--json", text).out());
        assertThat(whole.decimal("log_probability")).isCloseTo(sum, within(1e-6));
        assertThat(whole.integer("tokens", 0, Long.MAX_VALUE)).isEqualTo(bytes);
        assertThat(whole.integer("scored_tokens", 0, Long.MAX_VALUE)).isEqualTo(bytes - 1);
        assertThat(whole.decimal("bits_per_byte")).isCloseTo(-sum / Math.log(2) / (bytes - 1), within(1e-6));
        assertThat(whole.decimal("perplexity")).isCloseTo(Math.exp(-sum / (bytes - 1)), within(1e-3));

        List<String> tokens = done("score", "--model", model, "--json", "--per-token", text)
                .out()
                .lines()
                .toList();
        assertThat(tokens).hasSize(bytes + 1);
        assertThat(object(tokens.getFirst()).has("log_probability")).isFalse();
        double ofTokens = 0;
        for (String token : tokens.subList(1, bytes)) {
            ofTokens += object(token).decimal("log_probability");
        }
        assertThat(ofTokens).isCloseTo(sum, within(1e-6));

        List<String> lines = done("score", "--model", model, "--json", "--per-line", text)
                .out()
                .lines()
                .toList();
        assertThat(lines).hasSize(4 + 1);
        double ofLines = 0;
        for (String line : lines.subList(0, 4)) {
            ofLines += object(line).decimal("log_probability");
        }
        assertThat(ofLines).isCloseTo(sum, within(1e-6));
        assertThat(object(lines.get(1)).integer("bytes", 0, Long.MAX_VALUE)).isEqualTo(1);
        assertThat(object(lines.get(3)).integer("line", 0, Long.MAX_VALUE)).isEqualTo(4);

        Cli table = done("score", "--model", model, "--per-line", text);
        assertThat(table.out().lines().toList())
                .hasSize(5)
                .first()
                .isEqualTo("line\ttokens\tbytes\tlog probability\tbits/byte");
        assertThat(table.err()).contains("perplexity", text.toString());
        assertThat(done("score", "--model", model, "--per-token", text).out())
                .contains("0\t71\t–\t\"G\"\n", "\t10\t-", "\"\\x0A\"");
    }

    @Test
    void severalTextsAreSummedUpAndStandardInputIsOne() throws IOException {
        InputStream before = System.in;
        try {
            System.setIn(new ByteArrayInputStream("from a pipe".getBytes(UTF_8)));
            Cli run = done("score", "--model", model, text, "-");
            assertThat(run.out()).containsPattern("(?m)^- +11 +11 ").containsPattern("(?m)^all +");
            assertThat(run.out().lines()).hasSize(4);
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void whatNobodyCanScoreIsRefused() throws IOException {
        Path empty = Files.createFile(folder.resolve("empty"));
        for (Object[] bad : new Object[][] {
            {empty, "is empty"}, {folder, "is a folder"}, {folder.resolve("none"), "there is no file"}
        }) {
            Cli run = Cli.run("score", "--model", model, bad[0]);
            assertThat(run.code()).isEqualTo(2);
            assertThat(run.err()).contains(bad[0].toString(), bad[1].toString()).hasLineCount(1);
        }
        assertThat(Cli.run("score", "--model", model).code()).isEqualTo(2);
        assertThat(Cli.run("score", "--model", model, "--per-line", "--per-token", text)
                        .code())
                .isEqualTo(2);
        assertThat(done("score", "--model", model, Files.write(folder.resolve("one"), new byte[1]))
                        .out())
                .contains("–");
        byte[] noText = {(byte) 0xFF, (byte) 0xC3, 0, (byte) 0x80};
        Path bytes = Files.write(folder.resolve("bytes"), noText);
        assertThat(object(done("score", "--model", model, "--json", bytes).out())
                        .decimal("log_probability"))
                .isCloseTo(expected(noText), within(1e-6));
    }

    @Test
    void aReaderThatGoesAwayEndsItQuietly() {
        PrintStream before = System.out;
        PrintStream beforeErr = System.err;
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setErr(new PrintStream(err, true, UTF_8));
        System.setOut(new PrintStream(
                new OutputStream() {
                    @Override
                    public void write(int b) throws IOException {
                        throw new IOException("Broken pipe");
                    }
                },
                true,
                UTF_8));
        try {
            assertThat(Main.run("score", "--model", model.toString(), "--per-token", text.toString()))
                    .isEqualTo(141);
            assertThat(Main.run("generate", "--model", model.toString(), "--prompt", "a"))
                    .isEqualTo(141);
        } finally {
            System.setOut(before);
            System.setErr(beforeErr);
        }
        assertThat(err.toString(UTF_8)).isEmpty();
    }

    @Test
    void aStateGoesFromOneCommandToTheNext() throws IOException {
        Path state = folder.resolve("state");
        List<Object> greedy = List.of("generate", "--model", model, "--temperature", "0", "--max-new-tokens");
        String whole = done(words(greedy, 20, "--prompt", "ab")).out();
        Cli first = done(words(greedy, 8, "--prompt", "ab", "--state-out", state));
        assertThat(first.err()).contains("state after 10 tokens");
        // Read and replaced in one go.
        String second = done(words(greedy, 5, "--state-in", state, "--state-out", state))
                .out();
        String third =
                done(words(greedy, 7, "--state-in", state, "--prompt", "")).out();
        assertThat(first.out() + second + third).isEqualTo(whole);

        done(words(greedy, 0, "--prompt", "Once upon ", "--state-out", state));
        Path rest = Files.writeString(folder.resolve("rest"), "a time");
        JsonFields after = object(done("score", "--model", model, "--json", "--state-in", state, rest)
                .out());
        assertThat(after.integer("scored_tokens", 0, Long.MAX_VALUE)).isEqualTo(6);
        assertThat(after.decimal("log_probability"))
                .isCloseTo(
                        expected("Once upon a time".getBytes(UTF_8)) - expected("Once upon ".getBytes(UTF_8)),
                        within(1e-4));
    }

    @Test
    void statesThatCannotBeUsedAreRefused() throws IOException {
        Path state = folder.resolve("state");
        List<Object> generate = List.of("generate", "--model", model, "--max-new-tokens");
        done(words(generate, 3, "--prompt", "ab", "--state-out", state));
        byte[] whole = Files.readAllBytes(state);
        refused("give --prompt", words(generate, 3));
        refused("is a folder", words(generate, 3, "--prompt", "a", "--state-out", folder));
        refused("there is no folder", words(generate, 3, "--prompt", "a", "--state-out", folder.resolve("x/y")));
        refused("does not exist", words(generate, 3, "--state-in", folder.resolve("none")));
        Files.write(state, Arrays.copyOf(whole, whole.length / 2));
        refused("state", words(generate, 3, "--state-in", state));
        Files.write(state, new byte[0]);
        refused("state", words(generate, 3, "--state-in", state));
        Files.writeString(state, "not a state at all");
        refused("state", words(generate, 3, "--state-in", state));
        refused("is not a saved state", words(generate, 3, "--state-in", model.resolve("model.safetensors")));
        Files.write(
                state,
                new String(whole, ISO_8859_1)
                        .replace("\"version\":\"2\"", "\"version\":\"9\"")
                        .getBytes(ISO_8859_1));
        refused("newer than this program", words(generate, 3, "--state-in", state));
    }

    private static void refused(String message, Object... words) {
        Cli run = Cli.run(words);
        assertThat(run.code()).as(run.err()).isEqualTo(2);
        assertThat(run.err()).contains(message).hasLineCount(1);
        assertThat(run.out()).isEmpty();
    }

    private static Object[] words(List<Object> begin, int tokens, Object... end) {
        List<Object> all = new ArrayList<>(begin);
        all.add(tokens);
        all.addAll(Arrays.asList(end));
        return all.toArray();
    }
}
