package org.mamba4j.benchmarks.llamacpp;

import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/**
 * One engine in a process of its own, which generates once for each line that it is given: so that two can take turns, and
 * neither has the other's threads, heap or compiled code beside it. The first argument names the engine, then come the file,
 * the number of threads, prompt tokens and new tokens.
 */
final class Contender {
    /** Begins the lines that are meant for the other process; llama.cpp writes to the same stream. */
    static final String MARK = "@contender ";

    private Contender() {}

    /**
     * What one generation took.
     *
     * @param firstNanos from the prompt's text to the first token
     * @param restNanos from there to the last
     * @param text what was generated
     */
    record Timing(long firstNanos, long restNanos, String text) {
        String line() {
            return MARK + firstNanos + " " + restNanos + " "
                    + Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
        }

        static Timing parse(String line) {
            String[] parts = line.substring(MARK.length()).split(" ", -1);
            return new Timing(
                    Long.parseLong(parts[0]),
                    Long.parseLong(parts[1]),
                    new String(Base64.getDecoder().decode(parts[2]), StandardCharsets.UTF_8));
        }
    }

    /** Generates greedily. */
    @FunctionalInterface
    private interface Engine {
        Timing generate(String prompt, int newTokens);
    }

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[1]);
        int threads = Integer.parseInt(args[2]);
        String prompt = ComparisonModel.prompt(Integer.parseInt(args[3]));
        int newTokens = Integer.parseInt(args[4]);
        if (args[0].equals("mamba4j")) {
            try (LanguageModel model = LanguageModel.open(file)) {
                Tokenizer tokenizer = Tokenizers.load(file);
                serve((text, count) -> ours(model, tokenizer, text, count), prompt, newTokens);
            }
        } else {
            ModelParameters parameters = new ModelParameters()
                    .setModel(file.toString())
                    .setThreads(threads)
                    .setThreadsBatch(threads)
                    .setCtxSize(prompt.length() + newTokens + 64);
            try (LlamaModel model = new LlamaModel(parameters)) {
                if (model.encode(prompt).length != prompt.length()) {
                    throw new IllegalStateException("llama.cpp finds " + model.encode(prompt).length
                            + " tokens in the prompt of " + prompt.length());
                }
                serve((text, count) -> theirs(model, text, count), prompt, newTokens);
            }
        }
    }

    private static void serve(Engine engine, String prompt, int newTokens) throws IOException {
        System.out.println("\n" + MARK + "ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (in.readLine() != null) {
            System.out.println("\n" + engine.generate(prompt, newTokens).line());
        }
    }

    private static Timing ours(LanguageModel model, Tokenizer tokenizer, String prompt, int newTokens) {
        long start = System.nanoTime();
        int[] chosen = new int[newTokens];
        float[] logits = new float[model.vocabSize()];
        try (State state = model.newState()) {
            model.prefill(state, tokenizer.encode(prompt));
            long first = start;
            for (int i = 0; i < newTokens; i++) {
                model.logits(state, logits);
                chosen[i] = greatest(logits);
                if (i == 0) {
                    first = System.nanoTime();
                }
                if (i < newTokens - 1) {
                    model.step(state, chosen[i]);
                }
            }
            return new Timing(first - start, System.nanoTime() - first, tokenizer.decode(chosen));
        }
    }

    private static int greatest(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    /** With the fewest samplers that it can be told to run, so that little but the model is timed. */
    private static Timing theirs(LlamaModel model, String prompt, int newTokens) {
        InferenceParameters parameters = new InferenceParameters(prompt)
                .setNPredict(newTokens)
                .setTemperature(0)
                .setTopK(1)
                .setRepeatPenalty(1)
                .setIgnoreEos(true)
                .setCachePrompt(false);
        StringBuilder text = new StringBuilder();
        long start = System.nanoTime();
        long first = start;
        for (LlamaOutput output : model.generate(parameters)) {
            if (first == start) {
                first = System.nanoTime();
            }
            text.append(output.text);
        }
        return new Timing(first - start, System.nanoTime() - first, text.toString());
    }
}
