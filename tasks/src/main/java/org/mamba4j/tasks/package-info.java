/** Evaluations that work on any {@link org.mamba4j.inference.LanguageModel}. */
@NullMarked
package org.mamba4j.tasks;

import org.jspecify.annotations.NullMarked;
