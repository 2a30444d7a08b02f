/** libtorch from Java: scopes for native memory, custom gradients, devices. */
@NullMarked
package org.mamba4j.torch;

import org.jspecify.annotations.NullMarked;
