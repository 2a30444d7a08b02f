/** One training run by several processes, the ranks: their places, what they tell each other, who watches them. */
@NullMarked
package org.mamba4j.torch.parallel;

import org.jspecify.annotations.NullMarked;
