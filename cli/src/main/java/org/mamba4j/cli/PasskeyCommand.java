package org.mamba4j.cli;

import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.tasks.RetrievalReport;
import org.mamba4j.tasks.RetrievalResult;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Both passkey tasks: they differ in how many keys a text states. */
abstract class PasskeyCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "PATH",
            description = "Text to hide keys in: a file, a folder, a glob or a zip; ARCHIVE.zip!GLOB takes a part of"
                    + " a zip. It should not be what the model was trained on.")
    private String data = "";

    @Option(
            names = "--lengths",
            paramLabel = "LIST",
            defaultValue = "1k,4k,16k",
            description = "Tokens read before the answer; 1k is 1,000 (default: ${DEFAULT-VALUE}).")
    private String lengths = "";

    @Mixin
    private final RetrievalOptions options = new RetrievalOptions();

    private final String task;

    PasskeyCommand(String task) {
        this.task = task;
    }

    /** Keys that a text states. */
    abstract int keys();

    @Override
    public void run() {
        Passkey.Grid grid = new Passkey.Grid(
                Lengths.parseList(lengths), options.depths(), options.trials(), keys(), options.seed());
        Tokenizer tokenizer = model.tokenizer();
        RetrievalReport report = options.report(model, task);
        Filler text = RetrievalOptions.text(data, tokenizer);
        RetrievalResult result;
        try (LanguageModel opened = model.open();
                StatusLine status = new StatusLine(task)) {
            result = new Passkey(options.readers().subject(model, opened, tokenizer)).measure(grid, text, status::show);
        }
        String asked = keys() + " key" + (keys() == 1 ? "" : "s, one asked for");
        options.show(result, "all five digits right, of " + grid.trials() + " trials a cell, " + asked);
        report.write(result, task + ", " + data + ": answers right");
        System.err.println(Terminal.STDERR.dim("written: " + report.json() + ", " + report.png()));
    }

    @Command(
            name = "passkey",
            description = {
                "Hide a key of five digits in long texts and ask for it at the end.",
                "",
                "Only a model that was trained on such questions can answer them."
            },
            footer = {"", "Example:", "  ./mamba4j eval passkey --model models/memmamba --data docs --lengths 1k"})
    static final class One extends PasskeyCommand {
        One() {
            super("passkey");
        }

        @Override
        int keys() {
            return 1;
        }
    }

    @Command(
            name = "multi-key",
            description = {
                "Hide keys of several names in long texts and ask for one of them at the end.",
                "",
                "Only a model that was trained on such questions can answer them."
            },
            footer = {"", "Example:", "  ./mamba4j eval multi-key --model models/memmamba --data docs --lengths 1k"})
    static final class Several extends PasskeyCommand {
        @Option(
                names = "--keys",
                paramLabel = "N",
                defaultValue = "4",
                description = "Keys in a text (default: ${DEFAULT-VALUE}).")
        private int keys;

        Several() {
            super("multi-key");
        }

        @Override
        int keys() {
            return keys;
        }
    }
}
