package org.mamba4j.torch.nn;

import java.util.function.DoubleUnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * How an attention knows where tokens stand: {@code position_embedding} of a {@link LlamaConfig}. Attention by itself sees a
 * set; what tells it the order decides how it fares on texts longer than those of training.
 *
 * <ul>
 *   <li>{@code learned}, {@code sinusoidal} [1]: absolute. A vector for each position joins the embedding: from a trained
 *       table, which ends at {@code max_position_embeddings}, or of sines and cosines of geometric wavelengths, the
 *       embedding then scaled by √d. Far positions are ones that were never seen.
 *   <li>{@code rope} [2]: pairs of numbers of queries and keys are turned by angles proportional to the position, so that
 *       their products depend on the distance of two tokens. Far distances are ones that were never seen.
 *   <li>{@code xpos} [3]: turned, and besides pair i of a product at distance s is scaled by ζᵢ to the power of s / base
 *       with ζᵢ = (2i / n + γ) / (1 + γ), γ = 0.4: pairs that turn quickly fade with distance, so that what is left at
 *       far ones changes slowly.
 *   <li>{@code none}: the causal mask alone tells the order.
 * </ul>
 *
 * <p>The paper scales queries by ζ to the power of their position and keys by the inverse, which leaves float32's range
 * after some ten thousand tokens. Here keys are kept turned but unscaled, and both are scaled from the first query of a
 * piece on: the product is the same, far keys fade to 0, and nothing overflows however long the text is.
 *
 * <p>Shapes: B batch, L tokens at hand, T all tokens, H heads, K heads of keys and values, n width of a head, d model width.
 *
 * <p>References: [1] A. Vaswani et al.: Attention Is All You Need, arXiv 1706.03762. [2] J. Su et al.: RoFormer, arXiv
 * 2104.09864. [3] Y. Sun et al.: A Length-Extrapolatable Transformer, arXiv 2212.10554.
 */
final class Positions {
    /** Greatest number of queries that are scaled from one position on. */
    private static final int PIECE = Attention.MASKED_QUERIES;

    /** The same in terms of the base: pair 0 of a key is scaled by less than 10⁹. */
    private static final double PIECE_IN_BASES = 16;

    private static final double GAMMA = 0.4;

    private final LlamaConfig config;
    private final MambaKernels kernels;
    private final Parameters parameters;
    private final Attention attention;
    private final Tensor table; // (max_position_embeddings, d) or absent

    Positions(LlamaConfig config, MambaKernels kernels, Parameters parameters) {
        this.config = config;
        this.kernels = kernels;
        this.parameters = parameters;
        this.attention = new Attention(config.rope(), kernels, parameters);
        this.table = parameters.get(LlamaConfig.POSITIONS);
    }

    /**
     * Absolute positions: (B, L, d) → (B, L, d).
     *
     * @param start tokens read before
     * @throws UserError if the table of learned positions ends before the text
     */
    Tensor enter(Tensor embedded, long start) {
        long length = embedded.size(1);
        return switch (config.positions()) {
            case "learned" -> {
                if (start + length > config.maxPositions()) {
                    throw new UserError("the text has " + (start + length)
                            + " tokens or more, but this model learned positions of "
                            + config.maxPositions() + " (\"max_position_embeddings\"): read less");
                }
                yield embedded.add(table.narrow(0, start, length)); // (B, L, d)
            }
            case "sinusoidal" ->
                embedded.mul(new Scalar(Math.sqrt(config.dModel()))).add(waves(start, length)); // (B, L, d)
            default -> embedded;
        };
    }

    /** Sines, then cosines: (L, d). */
    private Tensor waves(long start, long length) {
        int pairs = config.dModel() / 2;
        Tensor frequency =
                row("waves.frequency", pairs, i -> Math.pow(config.ropeTheta(), -2.0 * i / config.dModel())); // (d / 2)
        Tensor angle = parameters.range(start, start + length).unsqueeze(1).mul(frequency); // (L, d / 2)
        return torch.cat(new TensorVector(angle.sin(), angle.cos()), 1); // (L, d)
    }

    /** The angles of {@code length} tokens after {@code start} others, for {@link #turn}. */
    Attention.Turns turns(long start, long length) {
        return isTurned() ? attention.turns(start, length) : new Attention.Turns(Tensors.absent(), Tensors.absent());
    }

    private boolean isTurned() {
        return config.positions().equals("rope") || isScaled();
    }

    private boolean isScaled() {
        return config.positions().equals("xpos");
    }

    /** Queries or keys with their positions: (B, H, L, n) → (B, H, L, n). */
    Tensor turn(Tensor x, Attention.Turns turns) {
        return isTurned() ? attention.turn(x, turns) : x;
    }

    /**
     * What each token finds in those up to itself.
     *
     * @param q turned (B, H, L, n)
     * @param k turned, the last L are those at hand (B, K, T, n)
     * @param v likewise (B, K, T, n)
     * @return (B, L, H · n)
     */
    Tensor attend(Tensor q, Tensor k, Tensor v) {
        if (!isScaled()) {
            return Attention.attend(q, k, v);
        }
        long length = q.size(2);
        long before = k.size(2) - length;
        long piece = (long) Math.min(PIECE, PIECE_IN_BASES * config.xposScaleBase());
        TensorVector pieces = new TensorVector();
        for (long from = 0; from < length; from += piece) {
            long count = Math.min(piece, length - from);
            long seen = before + from + count;
            pieces.push_back(Attention.attend(
                    scaled(q.narrow(2, from, count), parameters.range(0, count)),
                    scaled(
                            k.narrow(2, 0, seen),
                            parameters.range(-before - from, count).neg()),
                    v.narrow(2, 0, seen)));
        }
        return pieces.size() == 1 ? pieces.get(0) : torch.cat(pieces, 1);
    }

    /** Pair i times ζᵢ to the power of {@code distance} (T) / base: (B, K, T, n) → (B, K, T, n). */
    private Tensor scaled(Tensor x, Tensor distance) {
        int n = config.headSize();
        Tensor logs = row(
                "xpos.logs",
                n / 2,
                i -> Math.log((2.0 * i / n + GAMMA) / (1 + GAMMA)) / config.xposScaleBase()); // (n / 2)
        Tensor factors = distance.unsqueeze(1).mul(logs).exp(); // (T, n / 2)
        Tensor both = torch.cat(new TensorVector(factors, factors), 1); // (T, n): pairs are (i, i + n / 2)
        return kernels.activation(x.to(ScalarType.Float).mul(both));
    }

    private Tensor row(String name, int length, DoubleUnaryOperator value) {
        return parameters.constant(name, () -> values(length, value), length);
    }

    private static float[] values(int length, DoubleUnaryOperator value) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = (float) value.applyAsDouble(i);
        }
        return values;
    }
}
