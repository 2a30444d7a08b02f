package org.mamba4j.torch.decode;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Requests;
import org.mamba4j.inference.State;
import org.mamba4j.inference.StopTexts;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.text.LazyTokenizer;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.TorchLanguageModel;

/**
 * A Mamba on an NVIDIA GPU: prompts by the parallel scan, single tokens by {@link TokenKernel}. Its states are files that other
 * engines can continue, and the other way round.
 */
public final class CudaLanguageModel implements LanguageModel {
    /** Tokens of one pass. */
    private static final int CHUNK = 1 << 14;

    /** Greatest number of logits that are held at once while scoring. */
    private static final int SCORED_AT_ONCE = 1 << 24;

    private final DecodeModel model;
    private final String fingerprint;
    private final LazyTokenizer tokenizer;
    private final BatchGenerator batches;

    private CudaLanguageModel(DecodeModel model, Checkpoint checkpoint) {
        this.model = model;
        this.fingerprint = checkpoint.fingerprint();
        this.tokenizer = new LazyTokenizer(checkpoint.folder());
        this.batches = new BatchGenerator(model);
    }

    /**
     * Loads the model of a checkpoint folder.
     *
     * @param device {@code cuda} or {@code cuda:N}
     * @throws UserError as {@link BatchGenerator#load}
     */
    public static CudaLanguageModel load(Path folder, String device, Precision precision) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            return of(checkpoint, device, precision);
        }
    }

    /**
     * The model of a checkpoint, of any family; those that this class does not know run on {@link TorchLanguageModel}.
     *
     * @param checkpoint its weights are copied
     * @param device {@code cuda} or {@code cuda:N}
     * @throws UserError as {@link BatchGenerator#load}
     */
    public static LanguageModel open(Checkpoint checkpoint, String device, Precision precision) {
        return checkpoint.config() instanceof MambaConfig
                ? of(checkpoint, device, precision)
                : TorchLanguageModel.of(checkpoint, MambaKernels.cuda(device, precision));
    }

    private static CudaLanguageModel of(Checkpoint checkpoint, String device, Precision precision) {
        return new CudaLanguageModel(DecodeModel.load(checkpoint, device, precision), checkpoint);
    }

    @Override
    public MambaConfig config() {
        return model.config();
    }

    @Override
    public Tokenizer tokenizer() {
        return tokenizer.get();
    }

    @Override
    public State newState() {
        return new CudaState(config(), fingerprint, model.device());
    }

    @Override
    public void prefill(State state, int[] tokens) {
        read(state, tokens, (from, x) -> {});
    }

    @Override
    public void step(State state, int token) {
        int[] one = {token};
        if (model.tokens().isEmpty()) {
            prefill(state, one);
            return;
        }
        CudaState own = own(state);
        Requests.checkToken(token, vocabSize());
        compute("step", () -> {
            Tensor ids = Tensors.on(model.device(), Tensors.ofTokens(one, 0, 1).to(ScalarType.Int));
            model.tokens()
                    .get()
                    .run(own.content(), 0, ids, 1, TokenKernel.Head.NONE, Tensors.absent(), Tensors.absent());
            return 1;
        });
        own.read(1);
    }

    @Override
    public float[] logits(State state) {
        CudaState own = own(state);
        Requests.checkHasRead(own);
        return compute("logits", () -> {
            Tensor normed = own.content().hidden().to(model.sizes().type()); // (1, d)
            float[] logits = Tensors.toFloats(model.prompt().logits(normed));
            model.tokens().ifPresent(TokenKernel::finish);
            return logits;
        });
    }

    @Override
    public void score(State state, int[] tokens, int from, RowConsumer consumer) {
        Requests.checkFrom(from, tokens);
        int rows = Math.max(1, SCORED_AT_ONCE / vocabSize());
        read(state, tokens, (start, x) -> {
            int end = start + Math.toIntExact(x.size(1));
            for (int first = Math.max(start, from); first < end; first += rows) {
                int count = Math.min(rows, end - first);
                hand(x.narrow(1, first - start, count), first, consumer);
            }
        });
    }

    @Override
    public void hidden(State state, int[] tokens, int from, RowConsumer consumer) {
        Requests.checkFrom(from, tokens);
        read(state, tokens, (start, x) -> {
            int first = Math.max(start, from);
            long count = start + x.size(1) - first;
            if (count > 0) {
                Tensor some = x.narrow(1, first - start, count);
                hand(
                        () -> model.prompt().norm(some, config().nLayer()).to(ScalarType.Float),
                        config().dModel(),
                        first,
                        consumer);
            }
        });
    }

    /** Hands over the logits of each position of the residual stream {@code x} (1, count, d). */
    private void hand(Tensor x, int position, RowConsumer consumer) {
        hand(() -> model.prompt().logits(model.prompt().norm(x, config().nLayer())), vocabSize(), position, consumer);
    }

    /** Hands over each row, {@code width} wide, of what is computed. */
    private static void hand(Supplier<Tensor> rows, int width, int position, RowConsumer consumer) {
        float[] all = TensorScope.call(() -> Tensors.toFloats(rows.get()));
        for (int i = 0; i < all.length / width; i++) {
            consumer.accept(position + i, Arrays.copyOfRange(all, i * width, (i + 1) * width));
        }
    }

    /** On the device, but for stop texts, which are looked for afterwards in what it made. */
    @Override
    public List<int[]> generate(List<int[]> prompts, GenerationOptions options) {
        List<int[]> all;
        synchronized (batches) {
            all = batches.generate(prompts, options.withStop(List.of()));
        }
        return options.stop().isEmpty() ? all : StopTexts.cut(all, options.stop(), tokenizer());
    }

    @Override
    public State loadState(Path file) {
        return Requests.loaded(new CudaState(config(), fingerprint, model.device()), state -> state.load(file));
    }

    @Override
    public void close() {
        batches.close(); // and the model with it
    }

    /** Sees the residual stream after the last block, of each chunk. */
    @FunctionalInterface
    private interface ChunkConsumer {
        /**
         * @param from index of its first token
         * @param x (1, length of the chunk, d)
         */
        void accept(int from, Tensor x);
    }

    private void read(State state, int[] tokens, ChunkConsumer consumer) {
        CudaState own = own(state);
        Requests.checkTokens(tokens, vocabSize());
        for (int from = 0; from < tokens.length; from += CHUNK) {
            int start = from;
            int length = Math.min(CHUNK, tokens.length - from);
            compute("prefill", () -> {
                Tensor ids = Tensors.on(model.device(), Tensors.ofTokens(tokens, start, 1, length));
                Tensor x = model.prompt().read(ids, Tensors.absent(), own.content());
                model.keepHidden(x, own.content());
                own.read(length);
                consumer.accept(start, x);
                return length;
            });
        }
    }

    private CudaState own(State state) {
        if (state instanceof CudaState own && own.isOf(fingerprint, model.device())) {
            return own;
        }
        throw Requests.foreignState();
    }

    private <T> T compute(String operation, Supplier<T> computation) {
        try {
            Devices.use(model.device());
            return NoGrad.call(() -> TensorScope.call(computation));
        } catch (RuntimeException e) {
            throw Torch.translate(operation, e);
        }
    }
}
