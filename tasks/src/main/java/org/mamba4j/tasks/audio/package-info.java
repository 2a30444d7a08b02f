/** Sound as sequences of tokens: reading and writing it, what models are trained on, and who listens to what they say. */
@NullMarked
package org.mamba4j.tasks.audio;

import org.jspecify.annotations.NullMarked;
