/** Mamba and MemMamba on the JVM: what every package shares. */
@NullMarked
package org.mamba4j;

import org.jspecify.annotations.NullMarked;
