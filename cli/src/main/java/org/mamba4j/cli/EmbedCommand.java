package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Pooling;
import org.mamba4j.inference.State;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "embed",
        description = {
            "Make vectors of texts, whose directions tell similar texts from others.",
            "",
            "Prints one JSON object per line: file, line (with --per-line), tokens and embedding, as many numbers as the model is wide."
        },
        footer = {
            "",
            "Examples:  ./mamba4j embed --model runs/demo README.md docs/*.md",
            "           cat *.log | ./mamba4j embed --model runs/demo --per-line -"
        })
final class EmbedCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Texts; - is standard input.")
    private List<String> files = new ArrayList<>();

    @Option(
            names = "--pooling",
            paramLabel = "NAME",
            defaultValue = "MEAN",
            description = "What is taken of the vectors of a text's tokens, their mean or the last one:"
                    + " ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private Pooling pooling = Pooling.MEAN;

    @Option(
            names = "--per-line",
            description = "Each line that is not empty is a text, its line break no part of it (default: false).")
    private boolean perLine;

    @Override
    public void run() {
        files.forEach(TextFiles::check);
        Tokenizer tokenizer = model.tokenizer();
        Output out = new Output();
        try (LanguageModel opened = model.open();
                State state = opened.newState()) {
            for (String file : files) {
                byte[] text = read(file);
                if (perLine) {
                    lines(opened, tokenizer, state, file, text, out);
                } else {
                    out.line(JsonText.compact(embedding(opened, tokenizer, state, text, object(file))));
                }
            }
        }
        out.flush();
    }

    private static JsonObject.Builder object(String file) {
        return JsonObject.builder().put("file", file);
    }

    private void lines(LanguageModel opened, Tokenizer tokenizer, State state, String file, byte[] text, Output out) {
        int number = 0;
        int texts = 0;
        for (int from = 0; from < text.length; ) {
            int to = from;
            while (to < text.length && text[to] != '\n') {
                to++;
            }
            int end = to > from && text[to - 1] == '\r' ? to - 1 : to;
            number++;
            if (end > from) {
                byte[] line = Arrays.copyOfRange(text, from, end);
                JsonObject.Builder object = object(file).put("line", number);
                out.line(JsonText.compact(embedding(opened, tokenizer, state, line, object)));
                texts++;
            }
            from = to + 1;
        }
        if (texts == 0) {
            throw nothing(file);
        }
    }

    private JsonObject embedding(
            LanguageModel opened, Tokenizer tokenizer, State state, byte[] text, JsonObject.Builder object) {
        state.reset();
        int[] tokens = tokenizer.encode(text);
        List<JsonValue> numbers = new ArrayList<>();
        for (float value : opened.embed(state, tokens, pooling)) {
            if (!Float.isFinite(value)) {
                throw new UserError("the model makes " + value + " of a text: its weights are damaged or overflow");
            }
            numbers.add(JsonNumber.of(Double.parseDouble(Float.toString(value)))); // no digits of the double
        }
        return object.put("tokens", tokens.length)
                .put("embedding", new JsonArray(numbers))
                .build();
    }

    private static byte[] read(String file) {
        try (InputStream in = TextFiles.open(file)) {
            byte[] text = in.readAllBytes();
            if (text.length == 0) {
                throw nothing(file);
            }
            return text;
        } catch (IOException e) {
            throw TextFiles.unreadable(file, e);
        }
    }

    private static UserError nothing(String file) {
        return new UserError(TextFiles.name(file) + " is empty: there is nothing to embed");
    }
}
