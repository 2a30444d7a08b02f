package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * What a layer computes besides its {@link SequenceKernels}: products with stored weights, norms, reading of notes, on the
 * rows of a sequence of any length. One row is the step of token-by-token generation, whose time is that of reading the weights
 * once; many rows read them once for all.
 *
 * <p>A row's result does not depend on the other rows of a call, nor on the number of threads: reading a text at once or
 * token by token gives the same bits.
 *
 * <p>Arguments are float32, batch 1, in native memory; outputs overlap no input. A call allocates nothing once its
 * thread is warm. Implementations are thread-safe.
 */
public interface DenseKernels {
    /** What this is, for logs and reports: {@code plain}, {@code vector 512 bits}. */
    String name();

    /**
     * y_t = W x_t + bias for every row t.
     *
     * @param weight W (n, k)
     * @param x (1, L, k)
     * @param bias (n), optional: {@link MemorySegment#NULL}
     * @param y output (1, L, n)
     * @throws IllegalArgumentException naming the argument whose shape or memory does not fit
     */
    void multiply(Matrix weight, Rows x, MemorySegment bias, Rows y);

    /**
     * The residual stream and its norm: x_t += added_t, then y_t = x_t / √(mean(x_t²) + ε) · weight for every row t.
     *
     * @param x (1, L, k), changed
     * @param added (1, L, k), optional: {@link Rows#ABSENT}
     * @param weight (k)
     * @param epsilon added to the mean square
     * @param y output (1, L, k)
     * @throws IllegalArgumentException naming the argument whose shape or memory does not fit
     */
    void addNorm(Rows x, Rows added, MemorySegment weight, float epsilon, Rows y);

    /**
     * x = f(x), each element by itself.
     *
     * @param x (1, L, k), changed
     * @throws IllegalArgumentException if its memory does not fit
     */
    void activate(Activation function, Rows x);

    /**
     * Attention of every row over the same notes and over nothing: with logits l_j = scale · q_t · s_j + bias_j of the notes
     * of all tables, and one more, {@code nothing}, whose note is 0,
     *
     * <pre>
     * read_t = Σ_j softmax_j(l) s_j        missed_t = the share of nothing
     * </pre>
     *
     * @param q queries (1, L, s)
     * @param tables the notes, at least one table, all of width s
     * @param scale of the products
     * @param nothing the logit of reading nothing
     * @param read output (1, L, s)
     * @param missed output (1, L, 1)
     * @throws IllegalArgumentException naming the argument whose shape or memory does not fit
     */
    void attend(Rows q, List<NoteTable> tables, float scale, float nothing, Rows read, Rows missed);
}
