/**
 * The engine that needs nothing but a JVM: a {@link org.mamba4j.inference.LanguageModel} on core's own kernels. {@link
 * org.mamba4j.inference.LanguageModel#open} makes one.
 *
 * <p><b>Weights</b> stay where they are, in the mapped files, in the format that they have there; opening reads next to
 * nothing, and two processes share the memory. Only what is small and not float32 is copied (norms, biases, A).
 *
 * <p><b>A pass</b> takes L tokens of one sequence through the model, L from 1 to {@value
 * org.mamba4j.inference.engine.JavaLanguageModel#CHUNK}. Its activations, (1, L, n) arrays, lie in {@code Activations};
 * {@code Layer} takes them through one block, calling the kernels of {@link org.mamba4j.kernel.DenseKernels} and {@link
 * org.mamba4j.kernel.SequenceKernels}:
 *
 * <pre>
 * tokens → embedding → x ┬→ [memory: x += what was noted] → norm → u → in_proj ┬→ conv, SiLU → x_proj → dt_proj ┐
 *                        │                                                     └→ z ──────────── scan, gate  ←──┘
 *                        └← + ←──────────────────────────────────────────────────────── out_proj ←────┘
 * last block → norm → hidden → head → logits
 * </pre>
 *
 * <p>A long text passes in chunks, which read the weights once for many tokens (products are bound by arithmetic); a
 * generated token is a pass of L = 1, which is bound by the reading of all weights, and takes buffers and arguments that
 * its state made once, so that it allocates nothing.
 *
 * <p><b>A state</b> is one piece of native memory with the tensors of {@link
 * org.mamba4j.model.ModelConfig#stateTensors()}, so copying one is copying bytes, and saving is writing them. Whatever a
 * pass changes is in the state; whatever the model holds besides weights (buffers for chunks) is borrowed for a pass. So
 * any number of threads may read with one model, each with states of its own. One pass at a time is shared by the worker
 * threads; passes that run meanwhile have their own thread only.
 */
@NullMarked
package org.mamba4j.inference.engine;

import org.jspecify.annotations.NullMarked;
