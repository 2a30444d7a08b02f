/** Fused scan and convolution as differentiable operations, beside composed references. */
@NullMarked
package org.mamba4j.torch.kernel;

import org.jspecify.annotations.NullMarked;
