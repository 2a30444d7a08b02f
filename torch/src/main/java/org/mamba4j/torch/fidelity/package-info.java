/** What trained models remember: measured from inside, for reports. */
@NullMarked
package org.mamba4j.torch.fidelity;

import org.jspecify.annotations.NullMarked;
