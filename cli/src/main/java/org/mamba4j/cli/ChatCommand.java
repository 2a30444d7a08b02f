package org.mamba4j.cli;

import java.io.Console;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.inference.Generation;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "chat",
        description = {
            "Write a text in turns with a model.",
            "",
            "The model reads each message once and remembers it in a state of constant size. A model that was not trained to answer"
                    + " goes on with the text. Ctrl-C stops what it says, Ctrl-D ends, /help says more."
        },
        footer = {
            "",
            "Examples:  ./mamba4j chat --model runs/demo",
            "           ./mamba4j chat --model DIR --before 'Q: ' --after $'\\nA:' --stop Q:",
            "           echo 'Once upon a time' | ./mamba4j chat --model runs/demo"
        })
final class ChatCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--before",
            paramLabel = "TEXT",
            defaultValue = "",
            description = "What the model reads before each message (default: nothing).")
    private String before = "";

    @Option(
            names = "--after",
            paramLabel = "TEXT",
            defaultValue = "\n",
            description = "What it reads after each message (default: a line feed).")
    private String after = "\n";

    @Option(
            names = "--history",
            paramLabel = "FILE",
            description = "Where typed messages are kept (default: .mamba4j_history in the home folder).")
    private @Nullable Path history;

    @Mixin
    private final GenerationArguments generation = new GenerationArguments();

    @Mixin
    private final StateOptions states = new StateOptions();

    /** What can be said to the program rather than to the model. */
    enum Word {
        /** Saves the state. */
        SAVE(true, "save what the model remembers"),
        /** Loads one. */
        LOAD(true, "go on from what was saved"),
        /** Begins anew. */
        RESET(false, "let the model forget everything"),
        /** Tells of the state. */
        STATE(false, "say what the model has read, and how much it keeps of it"),
        /** Lists these. */
        HELP(false, "list the commands"),
        /** Ends. */
        QUIT(false, "end; so does Ctrl-D");

        private final boolean takesFile;
        private final String what;

        Word(boolean takesFile, String what) {
            this.takesFile = takesFile;
            this.what = what;
        }

        boolean takesFile() {
            return takesFile;
        }

        String spelling() {
            return "/" + name().toLowerCase(Locale.ROOT);
        }
    }

    @Override
    public void run() {
        GenerationOptions options = generation.toOptions();
        try (LanguageModel opened = model.open();
                Conversation conversation =
                        new Conversation(opened, states.open(opened), new Conversation.Format(before, after), options);
                ChatConsole console = console()) {
            talk(conversation, console);
            states.save(conversation.state());
        }
    }

    private ChatConsole console() {
        if (!Optional.ofNullable(System.console()).map(Console::isTerminal).orElse(false)) {
            return new PipedConsole();
        }
        Path file = history == null ? Path.of(System.getProperty("user.home", "."), ".mamba4j_history") : history;
        TerminalConsole console = TerminalConsole.open(file);
        console.note(model.choice().name() + ": an empty message lets it go on; /help lists commands, Ctrl-D ends");
        return console;
    }

    /** Until there is no more to say. */
    static void talk(Conversation conversation, ChatConsole console) {
        for (Optional<String> next = console.next(); next.isPresent(); next = console.next()) {
            String message = next.get();
            try {
                if (!message.startsWith("/")) {
                    answer(conversation, console, message);
                } else if (message.startsWith("//")) {
                    answer(conversation, console, message.substring(1));
                } else if (!command(conversation, console, message.strip())) {
                    return;
                }
            } catch (UserError e) {
                console.note(String.valueOf(e.getMessage()));
            }
        }
    }

    private static void answer(Conversation conversation, ChatConsole console, String message) {
        if (message.isEmpty() && conversation.state().tokensSeen() == 0) {
            return;
        }
        Generation answer = conversation.answer(message, console::say, console::isInterrupted);
        console.endAnswer(
                switch (answer.finish()) {
                    case LENGTH -> " …";
                    case ENDED -> " (stopped)";
                    case STOP_TEXT, END_TOKEN -> "";
                });
    }

    /** @return whether the conversation goes on */
    private static boolean command(Conversation conversation, ChatConsole console, String line) {
        String[] words = line.split("\\s+", 2);
        Word word = Arrays.stream(Word.values())
                .filter(each -> each.spelling().equals(words[0]))
                .findFirst()
                .orElseThrow(() -> new UserError("there is no command " + words[0]
                        + ": /help lists them; two slashes begin a message with one"));
        if (word.takesFile() != (words.length == 2)) {
            throw new UserError(
                    word.takesFile() ? word.spelling() + " needs a file name" : word.spelling() + " takes no words");
        }
        switch (word) {
            case SAVE -> {
                conversation.state().save(file(words[1]));
                console.note("saved: " + words[1] + ", after " + tokens(conversation));
            }
            case LOAD -> {
                conversation.load(file(words[1]));
                console.note("loaded: " + words[1] + ", after " + tokens(conversation));
            }
            case RESET -> {
                conversation.reset();
                console.note("forgotten");
            }
            case STATE ->
                console.note(String.format(
                        Locale.ROOT,
                        "%s read, %,d bytes kept",
                        tokens(conversation),
                        conversation.state().sizeInBytes()));
            case HELP -> console.note(help());
            case QUIT -> {
                return false;
            }
        }
        return true;
    }

    private static String tokens(Conversation conversation) {
        return String.format(Locale.ROOT, "%,d tokens", conversation.state().tokensSeen());
    }

    private static Path file(String name) {
        return name.startsWith("~/") ? Path.of(System.getProperty("user.home", "."), name.substring(2)) : Path.of(name);
    }

    private static String help() {
        Table table = new Table("ll");
        for (Word word : Word.values()) {
            table.row(word.spelling() + (word.takesFile() ? " FILE" : ""), word.what);
        }
        return table.lines().stream().collect(Collectors.joining(System.lineSeparator()))
                + System.lineSeparator()
                + "A line that ends in " + ChatConsole.CONTINUED
                + ", or Alt-Enter, goes on with the message in the next line.";
    }
}
