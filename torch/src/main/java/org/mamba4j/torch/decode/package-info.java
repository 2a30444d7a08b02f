/**
 * Generation with a Mamba on an NVIDIA GPU: weights in device memory in the form that a step wants, prompts read by the
 * parallel scan, tokens chosen on the device. Long runs of kernels are launched without waiting for a result in between.
 */
@NullMarked
package org.mamba4j.torch.decode;

import org.jspecify.annotations.NullMarked;
