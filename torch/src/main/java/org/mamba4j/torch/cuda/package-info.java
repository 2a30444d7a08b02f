/**
 * CUDA kernels of our own: NVRTC compiles them for the GPU at hand, the driver launches them on libtorch's stream. The
 * driver and NVRTC are called through the foreign function interface; a launch is one native call.
 */
@NullMarked
package org.mamba4j.torch.cuda;

import org.jspecify.annotations.NullMarked;
