/** Models as training graphs, one readable file each. */
@NullMarked
package org.mamba4j.torch.nn;

import org.jspecify.annotations.NullMarked;
