package org.mamba4j.torch.nn;

import java.util.function.Supplier;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.inference.Requests;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;

/**
 * Reads many sequences of one length side by side and says what the model expects after each: a task with one answer at
 * the end of a million tokens asks for nothing else.
 *
 * <p>A model with a state of constant size reads in chunks that meet in it, so memory does not grow with the length. One
 * that remembers every token reads a few sequences at a time, each as a whole. A memory's notes are those of one sequence,
 * so with them sequences are read one after the other.
 */
public final class BatchReading {
    private static final int TOKENS_AT_ONCE = 1 << 14;
    private static final int TOKENS_AT_ONCE_ON_A_GPU = 1 << 20;

    private final LanguageNetwork network;
    private final int tokensAtOnce;

    /** @param network not to be trained meanwhile */
    public BatchReading(LanguageNetwork network) {
        this(network, network.kernels().isCuda() ? TOKENS_AT_ONCE_ON_A_GPU : TOKENS_AT_ONCE);
    }

    BatchReading(LanguageNetwork network, int tokensAtOnce) {
        this.network = network;
        this.tokensAtOnce = tokensAtOnce;
    }

    /**
     * The likeliest token after each sequence.
     *
     * @param rows sequences (B)
     * @param tokens (B, L), L at least 1
     * @return (B)
     */
    public int[] likeliestAfter(int rows, int[] tokens) {
        if (rows < 1 || tokens.length == 0 || tokens.length % rows != 0) {
            throw new IllegalArgumentException(tokens.length + " tokens in " + rows + " rows");
        }
        Requests.checkTokens(tokens, network.config().vocabSize());
        int length = tokens.length / rows;
        int together = rowsTogether(rows, length);
        int[] all = new int[rows];
        try {
            Devices.use(network.kernels().device());
            for (int from = 0; from < rows; from += together) {
                int count = Math.min(together, rows - from);
                long[] some = read(tokens, from, count, length);
                for (int i = 0; i < count; i++) {
                    all[from + i] = (int) some[i];
                }
            }
            return all;
        } catch (RuntimeException e) {
            throw Torch.translate("reading " + rows + " sequences of " + length + " tokens", e);
        }
    }

    private int rowsTogether(int rows, int length) {
        if (network.config() instanceof MemMambaConfig) {
            return 1;
        }
        return streams() ? Math.min(rows, tokensAtOnce) : Math.clamp(tokensAtOnce / length, 1, rows);
    }

    /** Whether texts may be read in parts, and what the model remembers has a constant size. */
    private boolean streams() {
        ModelConfig config = network.config() instanceof MemMambaConfig memory ? memory.mamba() : network.config();
        return !network.needsWholeTexts() && config.stateTensors(0).equals(config.stateTensors(1));
    }

    private long[] read(int[] tokens, int firstRow, int rows, int length) {
        int chunk = streams() ? Math.clamp(tokensAtOnce / rows, 1, length) : length;
        if (chunk == length) {
            Carry lastAlone = Carry.wanting(1);
            return compute(() -> likeliest(network.hidden(
                    ids(tokens, firstRow, rows, length, 0, length), lastAlone, LanguageNetwork.UNOBSERVED)));
        }
        try (BatchCarry carry = new BatchCarry(0)) {
            long[] likeliest = new long[0];
            for (int at = 0; at < length; at += chunk) {
                int from = at;
                int count = Math.min(chunk, length - at);
                likeliest = compute(() -> {
                    Tensor hidden = network.hidden(
                            ids(tokens, firstRow, rows, length, from, count), carry, LanguageNetwork.UNOBSERVED);
                    carry.commit(count);
                    return from + count == length ? likeliest(hidden) : new long[0];
                });
            }
            return likeliest;
        }
    }

    private static <T> T compute(Supplier<T> computation) {
        return NoGrad.call(() -> TensorScope.call(computation));
    }

    /** (B, L, d) → (B), of the last position. */
    private long[] likeliest(Tensor hidden) {
        Tensor last = hidden.narrow(1, hidden.size(1) - 1, 1); // (B, 1, d)
        return Tensors.toLongs(network.logits(last).argmax(new LongOptional(2), false)); // (B, 1)
    }

    /** Tokens {@code from} to {@code from + count} of each of some rows (rows, count). */
    private static Tensor ids(int[] tokens, int firstRow, int rows, int length, int from, int count) {
        int[] some = new int[rows * count];
        for (int row = 0; row < rows; row++) {
            System.arraycopy(tokens, (firstRow + row) * length + from, some, row * count, count);
        }
        return Tensors.ofTokens(some, 0, rows, count);
    }
}
