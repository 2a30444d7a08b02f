package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jline.keymap.KeyMap;
import org.jline.reader.Completer;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.Parser;
import org.jline.reader.Reference;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.reader.impl.completer.ArgumentCompleter;
import org.jline.reader.impl.completer.NullCompleter;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.TerminalBuilder;
import org.jline.utils.Signals;

/** A person at a terminal: lines that can be edited, a history, Ctrl-C for what takes too long. */
final class TerminalConsole implements ChatConsole {
    private static final String PROMPT = "> ";

    private final org.jline.terminal.Terminal terminal;
    private final LineReader reader;
    private volatile boolean interrupted;
    private boolean warned;

    /** @param history file that keeps what was typed */
    static TerminalConsole open(Path history) {
        try {
            return new TerminalConsole(
                    TerminalBuilder.builder().system(true).dumb(true).build(), history);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param terminal from now on closed with this */
    TerminalConsole(org.jline.terminal.Terminal terminal, Path history) {
        this.terminal = terminal;
        terminal.handle(Signal.INT, signal -> interrupted = true);
        if (terminal.getType().startsWith(org.jline.terminal.Terminal.TYPE_DUMB)) {
            // JLine leaves the process's signals alone where it knows nothing of the terminal.
            Signals.register("INT", () -> interrupted = true);
        }
        reader = LineReaderBuilder.builder()
                .terminal(terminal)
                .appName("mamba4j")
                .parser(new Message())
                .completer(completer())
                .variable(LineReader.SECONDARY_PROMPT_PATTERN, ". ")
                .variable(LineReader.BELL_STYLE, "none")
                .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true) // a ! is text
                .option(LineReader.Option.HISTORY_IGNORE_SPACE, false)
                .build();
        remember(history);
        // Alt-Enter begins a new line of the message.
        reader.getWidgets().put("new-line", () -> {
            reader.getBuffer().write('\n');
            return true;
        });
        Objects.requireNonNull(reader.getKeyMaps().get(LineReader.MAIN))
                .bind(new Reference("new-line"), KeyMap.alt('\r'), KeyMap.alt('\n'));
    }

    /** What was typed earlier; without it, and without keeping anything, if the file cannot be used. */
    private void remember(Path history) {
        reader.getHistory().attach(reader);
        reader.setVariable(LineReader.HISTORY_FILE, history);
        try {
            reader.getHistory().load();
        } catch (IOException | UncheckedIOException | IllegalArgumentException e) {
            reader.getVariables().remove(LineReader.HISTORY_FILE);
            note(history + " is no history of messages that can be used (" + e.getMessage() + "): nothing is kept");
        }
    }

    /** Of commands; what comes after one is left to the user. */
    private static Completer completer() {
        List<String> words = Arrays.stream(ChatCommand.Word.values())
                .map(ChatCommand.Word::spelling)
                .toList();
        return new ArgumentCompleter(new StringsCompleter(words), NullCompleter.INSTANCE);
    }

    /** A message is whole unless its last line is marked as continued; commands are completed word by word. */
    private static final class Message implements Parser {
        private final Parser words = new DefaultParser().quoteChars(new char[0]).escapeChars(new char[0]);

        @Override
        public ParsedLine parse(String line, int cursor, ParseContext context) {
            if (context == ParseContext.ACCEPT_LINE && line.endsWith(CONTINUED)) {
                throw new EOFError(-1, -1, "the message goes on");
            }
            return words.parse(line, cursor, context);
        }
    }

    @Override
    public Optional<String> next() {
        while (true) {
            try {
                String message = reader.readLine(PROMPT).replace(CONTINUED + "\n", "\n");
                interrupted = false;
                warned = false;
                return Optional.of(message);
            } catch (UserInterruptException e) {
                // As in a shell the line is given up; who wants to leave is told how.
                if (e.getPartialLine().isEmpty() && !warned) {
                    note("Ctrl-D ends the conversation");
                    warned = true;
                }
            } catch (EndOfFileException e) {
                return Optional.empty();
            }
        }
    }

    @Override
    public void say(String piece) {
        terminal.writer().print(piece);
        terminal.flush();
    }

    @Override
    public void endAnswer(String remark) {
        terminal.writer().println(Terminal.STDOUT.dim(remark));
        terminal.flush();
    }

    @Override
    public void note(String lines) {
        terminal.writer().println(Terminal.STDOUT.dim(lines));
        terminal.flush();
    }

    @Override
    public boolean isInterrupted() {
        return interrupted;
    }

    @Override
    public void close() {
        try {
            reader.getHistory().save();
        } catch (IOException e) {
            note("what was typed could not be kept (" + e.getMessage() + ")");
        }
        try {
            terminal.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
