package org.mamba4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.impl.DumbTerminal;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;

class ChatCommandTest {
    private static final GenerationOptions GREEDY =
            GenerationOptions.DEFAULTS.withSampling(SamplingOptions.GREEDY).withMaxNewTokens(12);

    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
    }

    private static Cli piped(byte[] input, Object... words) {
        InputStream before = System.in;
        try {
            System.setIn(new ByteArrayInputStream(input));
            Cli run = Cli.run(words);
            assertThat(run.code()).as(run.err()).isZero();
            return run;
        } finally {
            System.setIn(before);
        }
    }

    private Cli chat(String input, Object... more) {
        List<Object> words =
                new ArrayList<>(List.of("chat", "--model", model, "--temperature", "0", "--max-new-tokens", "12"));
        words.addAll(List.of(more));
        return piped(input.getBytes(UTF_8), words.toArray());
    }

    /** What the model says to each of {@code prompts}, one after the other. */
    private String said(String... prompts) {
        StringBuilder all = new StringBuilder();
        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            Generator generator = new Generator(opened, opened.tokenizer());
            for (String prompt : prompts) {
                all.append(generator
                                .generate(state, prompt, GREEDY, piece -> {})
                                .text())
                        .append(System.lineSeparator());
            }
        }
        return all.toString();
    }

    @Test
    void messagesAreAnsweredInTurnThroughAPipe() {
        assertThat(chat("hello\nand you?").out()).isEqualTo(said("hello\n", "and you?\n"));
        assertThat(chat("two\\\nlines\n\n//x").out()).isEqualTo(said("two\nlines\n", "", "/x\n"));
        assertThat(chat("a", "--before", "Q: ", "--after", "\nA:").out()).isEqualTo(said("Q: a\nA:"));
        assertThat(chat("").out()).isEmpty();
        assertThat(chat("\n\n\n").out()).isEmpty();
        assertThat(chat("end\\").out()).isEqualTo(said("end\n\n"));
    }

    @Test
    void whatIsNoTextIsRead() {
        byte[] bytes = {(byte) 0xFF, 'a', 0, (byte) 0xC3, '\n'};
        Cli run = piped(bytes, "chat", "--model", model, "--temperature", "0", "--max-new-tokens", "12");
        assertThat(run.out()).isEqualTo(said("\uFFFDa\0\uFFFD\n"));
        String huge = "x".repeat(30_000);
        assertThat(chat(huge).out()).isEqualTo(said(huge + "\n"));
    }

    @Test
    void commandsSaveLoadAndForget() {
        Path file = folder.resolve("my state");
        Cli run =
                chat("hello\n/save " + file + "\nmore\n/load " + file + "\nmore\n/reset\nhello\n/state\n/quit\nunread");
        String[] answers = said("hello\n", "more\n").split(System.lineSeparator(), -1);
        assertThat(answers).hasSizeGreaterThanOrEqualTo(3);
        String hello = said("hello\n");
        String more = said("hello\n", "more\n").substring(hello.length());
        assertThat(run.out()).isEqualTo(hello + more + more + hello);
        assertThat(run.err())
                .contains("saved: " + file + ", after 18 tokens", "loaded: ", "forgotten", "18 tokens read")
                .contains(String.format("%,d bytes kept", TinyModel.CONFIG.stateBytes()));
        assertThat(chat("more", "--state-in", file).out()).isEqualTo(more);
    }

    @Test
    void whatGoesWrongIsSaidAndTheConversationGoesOn() throws IOException {
        Path damaged = Files.writeString(folder.resolve("damaged"), "no state");
        Cli run = chat("hello\n/nothing\n/save\n/reset now\n/load " + damaged + "\n/load " + folder.resolve("none")
                + "\n/save " + folder + "\nmore");
        assertThat(run.out()).isEqualTo(said("hello\n", "more\n"));
        assertThat(run.err().lines()).hasSize(6);
        assertThat(run.err())
                .contains("no command /nothing", "/save needs a file name", "/reset takes no words")
                .contains("damaged", "does not exist");
    }

    @Test
    void aStopTextIsNoPartOfTheConversation() {
        GenerationOptions options = GenerationOptions.DEFAULTS.withMaxNewTokens(200);
        try (LanguageModel opened = LanguageModel.open(model);
                State whole = opened.newState();
                State state = opened.newState()) {
            Generator generator = new Generator(opened, opened.tokenizer());
            String answer =
                    generator.generate(whole, "hello\n", options, piece -> {}).text();
            String stop = answer.codePoints()
                    .filter(c -> c > ' ' && c < 127)
                    .skip(2)
                    .mapToObj(Character::toString)
                    .findFirst()
                    .orElseThrow();
            String kept = answer.substring(0, answer.indexOf(stop));
            opened.prefill(state, opened.tokenizer().encode("hello\n"));
            opened.prefill(state, opened.tokenizer().encode(kept));
            // Every turn draws other numbers.
            String second = generator
                    .generate(
                            state,
                            "more\n",
                            options.withSampling(SamplingOptions.DEFAULTS.withSeed(1))
                                    .withStop(List.of(stop)),
                            piece -> {})
                    .text();
            Cli run = piped(
                    "hello\nmore\n".getBytes(UTF_8),
                    "chat",
                    "--model",
                    model,
                    "--max-new-tokens",
                    "200",
                    "--stop",
                    stop);
            assertThat(run.out()).isEqualTo(kept + System.lineSeparator() + second + System.lineSeparator());
        }
    }

    /** A terminal whose keys are all pressed in advance. */
    private static DumbTerminal terminal(String keys, ByteArrayOutputStream out) throws IOException {
        return new DumbTerminal("test", "ansi", new ByteArrayInputStream(keys.getBytes(UTF_8)), out, UTF_8);
    }

    @Test
    void linesAreEditedContinuedAndRemembered() throws IOException {
        Path history = folder.resolve("history");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (TerminalConsole console = new TerminalConsole(
                terminal("onee\b\r" + "two\\\rlines\r" + "al\u001b\rt\r" + "!x\r\u0004", out), history)) {
            assertThat(console.next()).contains("one");
            assertThat(console.next()).contains("two\nlines");
            assertThat(console.next()).contains("al\nt");
            assertThat(console.next()).contains("!x");
            assertThat(console.next()).isEmpty();
        }
        try (TerminalConsole console = new TerminalConsole(terminal("\u0010\u0010\r", out), history)) {
            assertThat(console.next()).contains("al\nt");
            assertThat(console.next()).isEmpty();
        }
    }

    @Test
    void ctrlCStopsTheAnswerAndNotTheProgram() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        DumbTerminal terminal = terminal("go on\r/state\r", out);
        try (LanguageModel opened = LanguageModel.open(model);
                Conversation conversation = new Conversation(
                        opened,
                        opened.newState(),
                        new Conversation.Format("", "\n"),
                        GenerationOptions.DEFAULTS.withMaxNewTokens(1_000_000));
                TerminalConsole inner = new TerminalConsole(terminal, folder.resolve("history"))) {
            ChatConsole console = new ChatConsole() {
                private int pieces;

                @Override
                public Optional<String> next() {
                    return inner.next();
                }

                @Override
                public void say(String piece) {
                    inner.say(piece);
                    if (++pieces == 5) {
                        terminal.raise(Signal.INT);
                    }
                }

                @Override
                public void endAnswer(String remark) {
                    inner.endAnswer(remark);
                }

                @Override
                public void note(String lines) {
                    inner.note(lines);
                }

                @Override
                public boolean isInterrupted() {
                    return inner.isInterrupted();
                }

                @Override
                public void close() {}
            };
            ChatCommand.talk(conversation, console);
            assertThat(conversation.state().tokensSeen()).isBetween(11L, 40L);
        }
        assertThat(out.toString(UTF_8)).contains("(stopped)", "tokens read");
    }

    @Test
    void aHistoryThatCannotBeUsedEndsNothing() throws IOException {
        Path text = Files.writeString(folder.resolve("text"), "no history\n");
        for (Path bad : List.of(folder, text.resolve("below"))) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try (TerminalConsole console = new TerminalConsole(terminal("one\r", out), bad)) {
                assertThat(console.next()).contains("one");
            }
            assertThat(out.toString(UTF_8)).as(bad.toString()).containsAnyOf("nothing is kept", "could not be kept");
        }
    }
}
