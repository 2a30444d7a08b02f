package org.mamba4j.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.TokenFile;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "tokenize",
        description = "Show the tokens of a text, or tokenise a corpus into a token file.",
        footer = {
            "",
            "Examples:  ./mamba4j tokenize --tokenizer tokenizer.json --pieces Hello",
            "           ./mamba4j tokenize --data books/ --output books.tokens"
        })
final class TokenizeCommand implements Runnable {
    @Option(
            names = "--tokenizer",
            paramLabel = "PATH",
            defaultValue = "bytes",
            description = "bytes, a tokenizer.json, or a folder that holds one (default: ${DEFAULT-VALUE}).")
    private String tokenizer = "";

    @Option(names = "--pieces", description = "One line per token: id and text (default: all ids on one line).")
    private boolean pieces;

    @Option(
            names = "--data",
            paramLabel = "PATH",
            description = "Tokenise a file, a folder, a glob or a zip instead of TEXT (default: none).")
    private @Nullable String data;

    @Option(names = "--output", paramLabel = "FILE", description = "Token file to write for --data (default: none).")
    private @Nullable Path output;

    @Parameters(
            arity = "0..1",
            paramLabel = "TEXT",
            description = "The text; - reads it, to the end and as it is, from standard input.")
    private @Nullable String text;

    @Override
    public void run() {
        boolean corpus = data != null && output != null && text == null;
        boolean words = data == null && output == null && text != null;
        if (!corpus && !words) {
            throw new UserError("give either TEXT, or --data PATH and --output FILE");
        }
        Tokenizer chosen = tokenizer(tokenizer);
        if (data != null && output != null) {
            tokenise(data, chosen, output);
        } else if (text != null) {
            show(text.equals("-") ? GenerateCommand.standardInput() : text, chosen);
        }
    }

    /** The tokenizer of that name: {@code bytes}, or a path. */
    static Tokenizer tokenizer(String name) {
        return name.equals("bytes") ? Tokenizers.bytes() : Tokenizers.load(Path.of(name));
    }

    private void show(String input, Tokenizer chosen) {
        int[] tokens = chosen.encode(input);
        if (pieces) {
            Table table = new Table("rl");
            for (int token : tokens) {
                table.row(Integer.toString(token), visible(chosen.bytes(token)));
            }
            table.lines().forEach(System.out::println);
        } else {
            System.out.println(Arrays.stream(tokens).mapToObj(Integer::toString).collect(Collectors.joining(" ")));
        }
        System.err.println(Terminal.STDERR.dim(String.format(
                Locale.ROOT, "%,d tokens, %,d bytes", tokens.length, input.getBytes(StandardCharsets.UTF_8).length)));
    }

    /** A token's bytes in quotes; those that are no printable character as hexadecimal digits. */
    static String visible(byte[] bytes) {
        StringBuilder result = new StringBuilder("\"");
        String decoded = new String(bytes, StandardCharsets.UTF_8);
        boolean whole = Arrays.equals(decoded.getBytes(StandardCharsets.UTF_8), bytes);
        if (whole) {
            decoded.codePoints().forEach(c -> {
                if (Character.isISOControl(c) || c == '"' || c == '\\') {
                    result.append(String.format(Locale.ROOT, "\\x%02X", c));
                } else {
                    result.appendCodePoint(c);
                }
            });
        } else {
            for (byte b : bytes) {
                result.append(String.format(Locale.ROOT, "\\x%02X", b));
            }
        }
        return result.append('"').toString();
    }

    private static void tokenise(String data, Tokenizer tokenizer, Path output) {
        long start = System.nanoTime();
        Corpus corpus = Corpus.of(data);
        try (TokenFile file = TokenFile.of(corpus, tokenizer, output)) {
            System.err.println(Terminal.STDERR.dim(String.format(
                    Locale.ROOT,
                    "%s: %,d tokens of %,d documents in %.1f s",
                    output,
                    file.size(),
                    file.documents(),
                    (System.nanoTime() - start) * 1e-9)));
        }
    }
}
