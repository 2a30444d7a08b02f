/** Selective scan and causal convolution: one interface, a plain reference, a Vector API version. */
@NullMarked
package org.mamba4j.kernel;

import org.jspecify.annotations.NullMarked;
