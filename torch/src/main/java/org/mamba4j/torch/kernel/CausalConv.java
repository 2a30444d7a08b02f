package org.mamba4j.torch.kernel;

/**
 * silu(bias + Σ_k weight_k x_{t-K+1+k}), each channel by itself, as a differentiable operation. Every input has a
 * gradient, the initial state included; the last state that is returned has none. Sequences may hold several documents
 * ({@link ConvInputs#resets}), which do not see one another.
 */
@FunctionalInterface
public interface CausalConv {
    /**
     * @param wantState whether the last K - 1 inputs are wanted
     * @throws IllegalArgumentException if an input is not float32 or does not live where this implementation runs
     */
    SequenceOutput apply(ConvInputs inputs, boolean wantState);
}
