package org.mamba4j.inference;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Function;
import org.mamba4j.UserError;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.ModelConfig;

/** A model whose logits are any function of all tokens read so far: for tests of what is written on the interface. */
public final class FakeLanguageModel implements LanguageModel {
    private final int vocabSize;
    private final Function<int[], float[]> logits;
    private final boolean inParts;

    /** @param logits from the history (never empty, not to be modified) to (V) */
    public FakeLanguageModel(int vocabSize, Function<int[], float[]> logits) {
        this(vocabSize, logits, true);
    }

    private FakeLanguageModel(int vocabSize, Function<int[], float[]> logits, boolean inParts) {
        this.vocabSize = vocabSize;
        this.logits = logits;
        this.inParts = inParts;
    }

    /** The same, but it must be given whole texts: one that goes on is an error. */
    public FakeLanguageModel ofWholeTexts() {
        return new FakeLanguageModel(vocabSize, logits, false);
    }

    @Override
    public boolean readsInParts() {
        return inParts;
    }

    /** A model that, whatever it reads, thinks of token {@code script[n]} as certain to come as number n, n from 0. */
    public static FakeLanguageModel scripted(int vocabSize, int[] script) {
        return new FakeLanguageModel(vocabSize, history -> {
            float[] logits = new float[vocabSize];
            logits[script[history.length % script.length]] = 50;
            return logits;
        });
    }

    @Override
    public ModelConfig config() {
        return MambaConfig.builder().vocabSize(vocabSize).dModel(8).nLayer(1).build();
    }

    @Override
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public State newState() {
        return new History(new int[0]);
    }

    @Override
    public void prefill(State state, int[] tokens) {
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0 || tokens[i] >= vocabSize) {
                throw new UserError("token " + tokens[i] + " at " + i + " is not in [0, " + vocabSize + ")");
            }
        }
        History history = (History) state;
        int[] longer = Arrays.copyOf(history.tokens, history.tokens.length + tokens.length);
        System.arraycopy(tokens, 0, longer, history.tokens.length, tokens.length);
        history.tokens = longer;
    }

    @Override
    public void step(State state, int token) {
        prefill(state, new int[] {token});
    }

    @Override
    public float[] logits(State state) {
        int[] history = ((History) state).tokens;
        if (history.length == 0) {
            throw new IllegalStateException("the state has seen no token");
        }
        return logits.apply(history).clone();
    }

    @Override
    public void score(State state, int[] tokens, int from, RowConsumer consumer) {
        if (!inParts && state.tokensSeen() > 0) {
            throw new IllegalStateException(state.tokensSeen() + " tokens of this text were read before");
        }
        for (int i = 0; i < tokens.length; i++) {
            step(state, tokens[i]);
            if (i >= from) {
                consumer.accept(i, logits(state));
            }
        }
    }

    @Override
    public void hidden(State state, int[] tokens, int from, RowConsumer consumer) {
        throw new UnsupportedOperationException("a fake has no inner life");
    }

    @Override
    public State loadState(Path file) {
        throw new UnsupportedOperationException("a fake has no file format");
    }

    @Override
    public void close() {}

    private static final class History implements State {
        private int[] tokens;

        History(int[] tokens) {
            this.tokens = tokens;
        }

        @Override
        public long tokensSeen() {
            return tokens.length;
        }

        @Override
        public long sizeInBytes() {
            return 4L * tokens.length;
        }

        @Override
        public State copy() {
            return new History(tokens.clone());
        }

        @Override
        public void reset() {
            tokens = new int[0];
        }

        @Override
        public void save(Path file) {
            throw new UnsupportedOperationException("a fake has no file format");
        }

        @Override
        public void close() {}
    }
}
