package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
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
        footer = {"", "Example:  ./mamba4j generate --model runs/demo --prompt 'public static ' --temperature 0.8"})
final class GenerateCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--prompt",
            required = true,
            paramLabel = "TEXT",
            description = "The text to continue; - reads it, to the end and as it is, from standard input.")
    private String prompt = "";

    @Option(names = "--echo", description = "Print the prompt before its continuation (default: false).")
    private boolean echo;

    @Mixin
    private final GenerationArguments generation = new GenerationArguments();

    @Override
    public void run() {
        GenerationOptions options = generation.toOptions();
        Tokenizer tokenizer = model.tokenizer();
        try (LanguageModel opened = model.open();
                State state = opened.newState()) {
            String text = prompt.equals("-") ? standardInput() : prompt;
            if (echo) {
                show(text);
            }
            int end = opened.config().eosTokenId();
            Generation result = new Generator(opened, tokenizer)
                    .generate(
                            state,
                            text,
                            options.withEndTokens(end < 0 ? Set.of() : Set.of(end)),
                            GenerateCommand::show);
            if (Terminal.STDOUT.isInteractive()) {
                System.out.println();
            }
            System.out.flush();
            System.err.println(Terminal.STDERR.dim(summary(result, options)));
        }
    }

    private static void show(String piece) {
        System.out.print(piece);
        System.out.flush();
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
