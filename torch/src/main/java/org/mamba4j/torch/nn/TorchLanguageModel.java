package org.mamba4j.torch.nn;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Requests;
import org.mamba4j.inference.State;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.LazyTokenizer;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * A {@link LanguageNetwork} that streams, on libtorch. Long inputs pass in chunks of {@value #CHUNK} tokens, on a GPU of
 * {@value #GPU_CHUNK} or, where attention would need a mask, more, so memory does not grow with their length; the chunks meet in the state, and the layers are those of training. A model that must see whole texts gets them in one piece.
 */
public final class TorchLanguageModel implements LanguageModel {
    /** Tokens of one forward pass. */
    static final int CHUNK = 1024;

    /** The same on a GPU, which waits for the next call most of the time unless there is much to do in each. */
    static final int GPU_CHUNK = 1 << 16;

    /** Greatest number of values of the residual stream of what is read at once on a GPU by a model that looks back. */
    private static final int STREAM_AT_ONCE = 1 << 27;

    /** Greatest number of logits that are held at once while scoring. */
    private static final int SCORED_AT_ONCE = 1 << 22;

    private final LanguageNetwork model;
    private final String fingerprint;
    private final Supplier<Tokenizer> tokenizer;

    /** @param model from now on closed with this, and not to be trained meanwhile */
    public TorchLanguageModel(LanguageNetwork model) {
        this.model = model;
        this.fingerprint = model.fingerprint();
        this.tokenizer = LanguageModel.super::tokenizer;
    }

    private TorchLanguageModel(LanguageNetwork model, Checkpoint checkpoint) {
        this.model = model;
        // The file's numbers are the model's, and can be read one by one without waiting for a GPU each time.
        this.fingerprint = checkpoint.fingerprint();
        this.tokenizer = new LazyTokenizer(checkpoint.folder())::get;
    }

    /**
     * Loads the model of a checkpoint folder, to run on the CPU.
     *
     * @throws UserError if the folder does not hold a sound checkpoint of a model that can run here
     */
    public static TorchLanguageModel load(Path folder) {
        return load(folder, MambaKernels.fused());
    }

    /**
     * Loads the model of a checkpoint folder.
     *
     * @param kernels say where it runs, and in which arithmetic
     * @throws UserError if the folder does not hold a sound checkpoint of a model that can run here
     */
    public static TorchLanguageModel load(Path folder, MambaKernels kernels) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            return of(checkpoint, kernels);
        }
    }

    /** The model of a checkpoint, whose weights are copied. */
    public static TorchLanguageModel of(Checkpoint checkpoint, MambaKernels kernels) {
        return new TorchLanguageModel(LanguageNetwork.load(checkpoint, kernels), checkpoint);
    }

    @Override
    public ModelConfig config() {
        return model.config();
    }

    @Override
    public Tokenizer tokenizer() {
        return tokenizer.get();
    }

    @Override
    public State newState() {
        return new TorchState(config(), fingerprint, model.kernels().device());
    }

    @Override
    public boolean readsInParts() {
        return !model.needsWholeTexts();
    }

    @Override
    public void prefill(State state, int[] tokens) {
        read(state, tokens, tokens.length, (from, hidden) -> {});
    }

    @Override
    public void step(State state, int token) {
        prefill(state, new int[] {token});
    }

    @Override
    public float[] logits(State state) {
        TorchState own = own(state);
        Requests.checkHasRead(own);
        return compute("logits", () -> Tensors.toFloats(floats(model.logits(own.lastHidden()))));
    }

    @Override
    public void score(State state, int[] tokens, int from, RowConsumer consumer) {
        Requests.checkFrom(from, tokens);
        float[] row = new float[vocabSize()];
        int rows = Math.max(1, SCORED_AT_ONCE / row.length);
        read(state, tokens, from, (start, hidden) -> {
            int end = start + (int) hidden.size(1);
            for (int first = Math.max(start, from); first < end; first += rows) {
                int position = first;
                Tensor some = hidden.narrow(1, first - start, Math.min(rows, end - first));
                TensorScope.run(() -> hand(model.logits(some), position, row, consumer));
            }
        });
    }

    @Override
    public void hidden(State state, int[] tokens, int from, RowConsumer consumer) {
        Requests.checkFrom(from, tokens);
        float[] row = new float[config().dModel()];
        read(state, tokens, from, (start, hidden) -> {
            int first = Math.max(start, from);
            long count = start + hidden.size(1) - first;
            if (count > 0) {
                hand(hidden.narrow(1, first - start, count), first, row, consumer);
            }
        });
    }

    /** Hands over each row of {@code rows} (1, count, n), copied to {@code row} (n). */
    private static void hand(Tensor rows, int position, float[] row, RowConsumer consumer) {
        Tensor floats = floats(rows).cpu().contiguous();
        MemorySegment memory = Tensors.segment(floats);
        for (int i = 0; i < floats.size(1); i++) {
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 4L * i * row.length, row, 0, row.length);
            consumer.accept(position + i, row);
        }
    }

    private static Tensor floats(Tensor logits) {
        return logits.to(ScalarType.Float);
    }

    @Override
    public State loadState(Path file) {
        return Requests.loaded(
                new TorchState(config(), fingerprint, model.kernels().device()), state -> state.load(file));
    }

    @Override
    public void close() {
        model.close();
    }

    /** Sees the output of each chunk. */
    @FunctionalInterface
    private interface ChunkConsumer {
        /**
         * @param from index of its first token
         * @param hidden what the head reads (1, length of the chunk, d)
         */
        void accept(int from, Tensor hidden);
    }

    /** @param wanted index of the first token whose output is read; where there is none, the last one's is kept anyway */
    private void read(State state, int[] tokens, int wanted, ChunkConsumer consumer) {
        TorchState own = own(state);
        Requests.checkTokens(tokens, vocabSize());
        int chunk = readsInParts() ? chunk() : Math.max(1, tokens.length);
        for (int from = 0; from < tokens.length; from += chunk) {
            int start = from;
            int length = Math.min(chunk, tokens.length - from);
            own.expect(Math.max(1, start + length - Math.max(start, wanted)));
            compute("prefill", () -> {
                Tensor hidden = pass(own, Tensors.ofTokens(tokens, start, 1, length));
                consumer.accept(start, hidden);
                return hidden.size(1);
            });
        }
    }

    /** Tokens that are read at once. */
    private int chunk() {
        if (!model.kernels().isCuda()) {
            return CHUNK;
        }
        return model.looksBack() ? Math.max(GPU_CHUNK, STREAM_AT_ONCE / config().dModel()) : GPU_CHUNK;
    }

    private Tensor pass(TorchState state, Tensor ids) {
        boolean done = false;
        try {
            Tensor hidden = model.hidden(ids, state, LanguageNetwork.UNOBSERVED);
            state.commit(hidden);
            done = true;
            return hidden;
        } finally {
            if (!done) {
                state.rollBack();
            }
        }
    }

    private TorchState own(State state) {
        if (state instanceof TorchState own && own.isOf(fingerprint)) {
            return own;
        }
        throw Requests.foreignState();
    }

    private <T> T compute(String operation, Supplier<T> computation) {
        try {
            Devices.use(model.kernels().device());
            return NoGrad.call(() -> TensorScope.call(computation));
        } catch (RuntimeException e) {
            throw Torch.translate(operation, e);
        }
    }
}
