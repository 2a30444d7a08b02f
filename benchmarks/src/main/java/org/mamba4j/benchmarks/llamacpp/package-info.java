/**
 * The pure-Java engine against llama.cpp, as Java reaches it through the binding {@code de.kherud:llama}: the same GGUF
 * file, the same prompt, in turns. {@link org.mamba4j.benchmarks.llamacpp.LlamaCppComparison} is the way in.
 */
@NullMarked
package org.mamba4j.benchmarks.llamacpp;

import org.jspecify.annotations.NullMarked;
