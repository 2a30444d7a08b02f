/**
 * What {@code mamba4j bench} measures: the scan and the convolution alone, with the answer checked first, against ceilings that
 * are measured on the same machine.
 */
@NullMarked
package org.mamba4j.torch.bench;

import org.jspecify.annotations.NullMarked;
