package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.data.Corpus;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;
import org.mamba4j.memory.NotePosition;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.kernel.Precision;

/**
 * A key of five digits is hidden in a long text of this machine, and a model that takes notes, in pure Java, is asked for
 * it at the end; then the same weights without their notes.
 *
 * @param folder of the model
 * @param text where the text comes from, as {@link Corpus#of} takes it
 * @param seed of key, places and text
 */
record KeySearch(Path folder, DemoCorpus text, long seed) {
    /** Lengths to choose from, in tokens. */
    private static final List<Integer> LENGTHS =
            List.of(10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000, 400_000);

    /** What one reading may take; there are two. */
    private static final double SECONDS = 18;

    private static final double WARM_UP_SECONDS = 1.5;
    private static final int PIECE = 2048;

    /**
     * How it came out.
     *
     * @param length tokens read
     * @param right whether all digits were right
     * @param rightWithoutNotes whether they were without the notes
     */
    record Outcome(int length, boolean right, boolean rightWithoutNotes) {
        /** One line for a report. */
        String summary() {
            return String.format(
                    Locale.ROOT,
                    "%s after %,d bytes; %s without its notes",
                    right ? "found" : "not found",
                    length,
                    rightWithoutNotes ? "found" : "not found");
        }
    }

    /** @throws UserError if model or text cannot be read */
    Outcome run() {
        SplittableRandom random = new SplittableRandom(seed);
        ModelChoice noting = ModelChoice.of(folder, Notes.ON);
        Tokenizer tokenizer = noting.tokenizer();
        boolean right;
        Passkey.Example example;
        try (LanguageModel model = open(noting)) {
            int[] tokens = tokens(tokenizer, random);
            int length = length(model, tokens);
            example = Passkey.example(
                    tokenizer, Filler.of(tokens), length, 0.1 + 0.4 * random.nextDouble(), random.nextLong());
            announce(model, tokenizer, example);
            right = ask(model, tokenizer, example, true);
        }
        boolean without;
        try (LanguageModel model = open(ModelChoice.of(folder, Notes.OFF))) {
            without = ask(model, tokenizer, example, false);
        }
        return new Outcome(example.answerFrom(), right, without);
    }

    private static LanguageModel open(ModelChoice choice) {
        return Engine.JAVA.open(choice, "cpu", Precision.FLOAT32);
    }

    /** Twice what the longest reading needs, from a document drawn at random on. */
    private int[] tokens(Tokenizer tokenizer, SplittableRandom random) {
        int most = 2 * LENGTHS.getLast();
        Corpus corpus = Corpus.of(text.location());
        int[] all = new int[most];
        int[] filled = {0};
        int first = random.nextInt(corpus.size());
        for (int round = 0; round < 2 && filled[0] < most; round++) {
            boolean later = round == 0;
            int[] number = {0};
            corpus.forEach(document -> {
                boolean wanted = later == number[0]++ >= first;
                if (wanted && filled[0] < most) {
                    int[] tokens = tokenizer.encode(document.bytes());
                    int count = Math.min(tokens.length, most - filled[0]);
                    System.arraycopy(tokens, 0, all, filled[0], count);
                    filled[0] += count;
                }
            });
        }
        return Arrays.copyOf(all, filled[0]);
    }

    /** The longest that can be read in the time there is, on this machine and from this text. */
    private static int length(LanguageModel model, int[] tokens) {
        double speed = 0;
        try (State state = model.newState();
                StatusLine status = new StatusLine("how fast does this machine read?")) {
            long start = System.nanoTime();
            for (int at = 0; (System.nanoTime() - start) * 1e-9 < WARM_UP_SECONDS; at += PIECE) {
                status.show((System.nanoTime() - start) * 1e-9 / WARM_UP_SECONDS);
                int from = at % Math.max(1, tokens.length - PIECE);
                int[] piece = Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + PIECE));
                long begin = System.nanoTime();
                model.prefill(state, piece);
                speed = Math.max(speed, piece.length / ((System.nanoTime() - begin) * 1e-9));
            }
        }
        double most = Math.min(speed * SECONDS, tokens.length);
        return LENGTHS.stream()
                .filter(length -> length <= most)
                .reduce((a, b) -> b)
                .orElse(Math.clamp(tokens.length, 1, LENGTHS.getFirst()));
    }

    private void announce(LanguageModel model, Tokenizer tokenizer, Passkey.Example example) {
        DemoCommand.fact(
                "model",
                String.format(
                        Locale.ROOT,
                        "MemMamba of %,d parameters, trained on texts with keys in them; pure Java, no GPU",
                        model.config().parameterCount()));
        DemoCommand.fact(
                "text", String.format(Locale.ROOT, "%,d bytes of %s", example.answerFrom(), text.description()));
        DemoCommand.fact(
                "hidden",
                String.format(
                        Locale.ROOT,
                        "after %,d of them: \"%s\" (seed %d)",
                        example.statedFrom(),
                        part(tokenizer, example, example.statedFrom(), example.statedTo()),
                        seed));
        DemoCommand.fact("asked", "\"" + part(tokenizer, example, example.askedFrom(), example.answerFrom()) + " …\"");
    }

    private static String part(Tokenizer tokenizer, Passkey.Example example, int from, int to) {
        return tokenizer.decode(Arrays.copyOfRange(example.tokens(), from, to)).strip();
    }

    private boolean ask(LanguageModel model, Tokenizer tokenizer, Passkey.Example example, boolean notes) {
        String label = notes ? "read" : "no notes";
        try (State state = model.newState()) {
            long start = System.nanoTime();
            try (ProgressBar bar = new ProgressBar(label)) {
                for (int at = 0; at < example.askedFrom(); at += PIECE) {
                    int to = Math.min(example.askedFrom(), at + PIECE);
                    model.prefill(state, Arrays.copyOfRange(example.tokens(), at, to));
                    bar.show((double) to / example.askedFrom(), speed(to, start));
                }
            }
            if (notes) {
                DemoCommand.fact(
                        label,
                        String.format(
                                Locale.ROOT,
                                "%s; remembered in %,d KB, however long the text is",
                                speed(example.askedFrom(), start),
                                state.sizeInBytes() / 1000));
                DemoCommand.fact("noted", noted(model.config(), state, example));
            }
            String key = part(tokenizer, example, example.answerFrom(), example.answerTo());
            String answer = answer(model, tokenizer, example, state);
            boolean right = answer.equals(key);
            String verdict = right
                    ? Terminal.STDOUT.bold(answer) + "  right"
                    : Terminal.STDOUT.bold(answer) + "  wrong: it is " + key;
            DemoCommand.fact(
                    notes ? "answer" : label,
                    notes ? verdict : verdict + "; the same weights, reading nothing of what they note");
            return right;
        }
    }

    private static String speed(int tokens, long start) {
        double seconds = (System.nanoTime() - start) * 1e-9;
        return String.format(Locale.ROOT, "%,d bytes in %.1f s, %,.0f a second", tokens, seconds, tokens / seconds);
    }

    /** What it thinks likeliest, as many tokens as the key has; what cannot be shown on a line is a question mark. */
    private static String answer(LanguageModel model, Tokenizer tokenizer, Passkey.Example example, State state) {
        GenerationOptions greedy = GenerationOptions.DEFAULTS
                .withMaxNewTokens(example.answerTo() - example.answerFrom())
                .withSampling(SamplingOptions.GREEDY);
        String question =
                tokenizer.decode(Arrays.copyOfRange(example.tokens(), example.askedFrom(), example.answerFrom()));
        return new Generator(model, tokenizer)
                .generate(state, question, greedy, piece -> {})
                .text()
                .replaceAll("[\\p{Cntrl}\\uFFFD]", "?");
    }

    /** How many notes are held, and how many of them are of the sentence that states the key. */
    private static String noted(ModelConfig config, State state, Passkey.Example example) {
        int held = 0;
        int inside = 0;
        try {
            Path file = Files.createTempFile("mamba4j-", ".state");
            try {
                state.save(file);
                try (SafetensorsFile saved = SafetensorsFile.open(file)) {
                    for (var spec : config.stateTensors()) {
                        if (spec.name().endsWith(".pool.position")) {
                            float[] halves = saved.floats(spec.name());
                            for (int i = 0; i < halves.length; i += 2) {
                                long position = NotePosition.of(halves[i], halves[i + 1]);
                                boolean any = halves[i] != NotePosition.NONE;
                                held += any ? 1 : 0;
                                inside += any && position >= example.statedFrom() && position < example.statedTo()
                                        ? 1
                                        : 0;
                            }
                        }
                    }
                }
            } finally {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return String.format(
                Locale.ROOT, "%,d notes are kept in all layers, %,d of them of that sentence", held, inside);
    }
}
