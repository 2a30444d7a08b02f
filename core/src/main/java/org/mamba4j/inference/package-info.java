/** Running a model: {@link org.mamba4j.inference.LanguageModel}, its {@link org.mamba4j.inference.State}, sampling and generation. */
@NullMarked
package org.mamba4j.inference;

import org.jspecify.annotations.NullMarked;
