package org.mamba4j.torch.kernel;

/**
 * The selective scan of Mamba (arXiv 2312.00752, section 3.2) as a differentiable operation; the recurrence is stated at
 * {@link org.mamba4j.kernel.SequenceKernels}. Every input has a gradient, the initial state included; the last state
 * that is returned has none, so a sequence that is cut is trained by truncated backpropagation. Sequences may hold several
 * documents ({@link ScanInputs#resets}), which do not see one another.
 */
@FunctionalInterface
public interface SelectiveScan {
    /**
     * @param wantState whether the state after the last step is wanted
     * @throws IllegalArgumentException if an input is not float32 or does not live where this implementation runs
     */
    SequenceOutput apply(ScanInputs inputs, boolean wantState);
}
