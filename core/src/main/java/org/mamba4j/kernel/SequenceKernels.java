package org.mamba4j.kernel;

/**
 * The two operations of a Mamba layer that are no matrix products, each with its gradient.
 *
 * <p><b>Selective scan</b> (Mamba [1], section 3.2, with the simplified Euler discretisation of B that its
 * implementation uses). For every batch item and channel d, with states n = 1..N:
 *
 * <pre>
 *   δ_t  = softplus?(delta_t + deltaBias)
 *   h_t  = exp(δ_t A) h_{t-1} + δ_t B_t u_t          (N)
 *   y_t  = (C_t · h_t + D u_t) · silu?(z_t)
 * </pre>
 *
 * <p>The (B, L, D, N) array of all h_t, N times as large as any other, is never stored: the forward pass keeps h at the
 * boundaries of chunks ("checkpoints"), from which the backward pass recomputes one chunk at a time, last one first.
 *
 * <p><b>Causal convolution</b>: y_t = silu?(bias + Σ_k weight_k x_{t-K+1+k}), each channel by itself.
 *
 * <p>Both can start from a given state and return the last one, so that a sequence may be cut anywhere: the parts give
 * what the whole gives. With L = 1 this is the step of token-by-token generation.
 *
 * <p>Implementations are thread-safe; forward and backward of one scan must use the same implementation. The same
 * arguments give the same bits every time, however many threads there are.
 *
 * <p>References. [1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752.
 *
 * @see Kernels#best()
 */
public interface SequenceKernels {
    /** What this is, for logs and reports: {@code plain}, {@code vector 512 bits}. */
    String name();

    /** How many bytes {@link ScanArguments#checkpoints} must have: about 1/32 of (B, L, D, N) floats, or less. */
    long scanCheckpointBytes(int batch, int length, int channels, int states);

    /**
     * Writes y, and the last state and checkpoints if they are given.
     *
     * @throws IllegalArgumentException if y is absent or the checkpoints have the wrong size
     */
    void scanForward(ScanArguments arguments);

    /**
     * Writes the gradients that are asked for. Of the arguments, y and lastState are not used.
     *
     * @param arguments those of the forward pass, with the checkpoints that it wrote
     * @throws IllegalArgumentException if a gradient's shape or memory does not fit, or the checkpoints are not given
     */
    void scanBackward(ScanArguments arguments, ScanGradients gradients);

    /**
     * Writes y, and the last state if it is given.
     *
     * @throws IllegalArgumentException if y is absent
     */
    void convForward(ConvArguments arguments);

    /**
     * Writes the gradients that are asked for. Of the arguments, y and lastState are not used.
     *
     * @throws IllegalArgumentException if a gradient's shape or memory does not fit
     */
    void convBackward(ConvArguments arguments, ConvGradients gradients);
}
