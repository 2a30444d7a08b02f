/**
 * The kernels on the Vector API. Nothing outside refers to these classes by name: {@link org.mamba4j.kernel.Kernels} loads
 * them where the module {@code jdk.incubator.vector} is present.
 */
@NullMarked
package org.mamba4j.kernel.vector;

import org.jspecify.annotations.NullMarked;
