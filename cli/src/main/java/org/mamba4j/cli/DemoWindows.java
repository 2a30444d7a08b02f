package org.mamba4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.Split;
import org.mamba4j.data.TokenFile;
import org.mamba4j.data.TokenView;
import org.mamba4j.tasks.EvaluationWindows;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.Window;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.train.TrainConfig;

/**
 * What the demo measures its model on: windows of the validation documents. They are picked before training, so that
 * a text that cannot be measured is known of in seconds, and before anything is written.
 *
 * @param lengths context lengths that the documents allow
 * @param windows as long as the greatest
 * @param note what is left out and why; empty if nothing is
 */
record DemoWindows(List<Integer> lengths, List<Window> windows, String note) {
    private static final List<Integer> LENGTHS = List.of(256, 1000, 4000);
    private static final int WINDOWS = 24;

    /** @throws UserError if the text cannot be read, or no validation document is as long as the shortest length */
    static DemoWindows of(TrainConfig config) {
        TrainConfig.Data data = config.data();
        Corpus corpus = Corpus.of(data.path());
        Tokenizer tokenizer = TokenizeCommand.tokenizer(data.tokenizer());
        try {
            // The run's own token file may be of another text, and its folder is the trainer's.
            Path folder = Files.createTempDirectory("mamba4j-demo-");
            Path tokens = folder.resolve("tokens");
            try (TokenFile file = TokenFile.of(corpus, tokenizer, tokens)) {
                return pick(Split.of(file, data.validFraction(), config.seed()).valid(), data.path());
            } finally {
                Files.deleteIfExists(tokens);
                Files.deleteIfExists(folder);
            }
        } catch (IOException e) {
            Path temporary = Path.of(System.getProperty("java.io.tmpdir", ""));
            throw new UserError(
                    "cannot write to " + temporary + ": " + AtomicFile.reason(e, temporary)
                            + "; make room there or name another folder with MAMBA4J_JAVA_OPTS=-Djava.io.tmpdir=DIR",
                    e);
        }
    }

    private static DemoWindows pick(TokenView valid, String path) {
        long[] ends = valid.ends().toArray();
        long longest = 0;
        for (int d = 0; d < ends.length; d++) {
            longest = Math.max(longest, ends[d] - (d == 0 ? 0 : ends[d - 1]));
        }
        long limit = longest;
        List<Integer> lengths =
                LENGTHS.stream().filter(length -> length <= limit).toList();
        if (lengths.isEmpty()) {
            throw new UserError(String.format(
                    Locale.ROOT,
                    "%s is too short to measure a model on: the longest document kept for validation has %,d tokens, "
                            + "but %,d are needed; give longer documents, or keep more of them with --set "
                            + "data.valid_fraction=0.2",
                    path,
                    longest,
                    LENGTHS.getFirst()));
        }
        List<Integer> left = new ArrayList<>(LENGTHS);
        left.removeAll(lengths);
        String note = left.isEmpty()
                ? ""
                : String.format(
                        Locale.ROOT,
                        "no perplexity at %s tokens: the longest document kept for validation has %,d",
                        left.stream().map(Lengths::format).collect(Collectors.joining(" and ")),
                        longest);
        return new DemoWindows(
                lengths,
                EvaluationWindows.pick("the validation part", documents(valid, ends), lengths.getLast(), WINDOWS)
                        .windows(),
                note);
    }

    /** The validation documents; the token file knows their tokens but not their names. */
    private static EvaluationWindows.Documents documents(TokenView view, long... ends) {
        return new EvaluationWindows.Documents() {
            @Override
            public void forEach(Consumer<EvaluationWindows.Tokens> reader) {
                long from = 0;
                for (int d = 0; d < ends.length; d++) {
                    reader.accept(document(view, "document " + d, from, ends[d]));
                    from = ends[d];
                }
            }
        };
    }

    private static EvaluationWindows.Tokens document(TokenView view, String name, long from, long to) {
        return new EvaluationWindows.Tokens() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public int[] read() {
                int[] tokens = new int[Math.toIntExact(to - from)];
                view.read(from, tokens.length, tokens, 0);
                return tokens;
            }
        };
    }
}
