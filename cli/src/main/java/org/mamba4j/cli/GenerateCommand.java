package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.inference.Generation;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "generate",
        description = "Continue a text, as it comes; figures go to standard error.",
        footer = {
            "",
            "Examples:",
            "  ./mamba4j generate --model models/memmamba --prompt 'It was a dark and '",
            "  ./mamba4j generate --model DIR --prompt - --state-out read.state < BOOK",
            "  ./mamba4j generate --model DIR --state-in read.state --prompt 'And then '"
        })
final class GenerateCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description =
                    "The text to continue; - reads it, to the end and as it is, from standard input (default: none; needed without"
                            + " --state-in).")
    private @Nullable String prompt;

    @Option(names = "--echo", description = "Print the prompt before its continuation (default: false).")
    private boolean echo;

    @Mixin
    private final GenerationArguments generation = new GenerationArguments();

    @Mixin
    private final StateOptions states = new StateOptions();

    @Override
    public void run() {
        GenerationOptions options = generation.toOptions();
        if (prompt == null && !states.continues()) {
            throw new UserError("there is nothing to continue: give --prompt TEXT or --state-in FILE");
        }
        Tokenizer tokenizer = model.tokenizer();
        try (LanguageModel opened = model.open();
                State state = states.open(opened)) {
            String text = "-".equals(prompt) ? standardInput() : Objects.requireNonNullElse(prompt, "");
            if (echo) {
                Output.show(text);
            }
            Generation result = new Generator(opened, tokenizer)
                    .generate(state, text, options.withEndTokenOf(opened.config()), Output::show);
            if (Terminal.STDOUT.isInteractive()) {
                System.out.println();
            }
            System.out.flush();
            System.err.println(Terminal.STDERR.dim(summary(result, options)));
            states.save(state);
        }
    }

    static String summary(Generation result, GenerationOptions options) {
        String end = switch (result.finish()) {
            case LENGTH -> "at --max-new-tokens";
            case STOP_TEXT -> "at a stop text";
            case END_TOKEN -> "by itself";
            case ENDED -> "early";
        };
        return String.format(
                Locale.ROOT,
                "%,d prompt tokens in %.2f s, %,d new tokens in %.2f s (%,.0f tokens/s), ended %s, seed %d",
                result.promptTokens(),
                result.promptSeconds(),
                result.newTokens(),
                result.newSeconds(),
                result.newTokens() / Math.max(1e-9, result.newSeconds()),
                end,
                options.sampling().seed());
    }

    static String standardInput() {
        try {
            return new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
