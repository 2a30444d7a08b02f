/** Weights on disk: safetensors files and checkpoint folders as Hugging Face and state-spaces write them. */
@NullMarked
package org.mamba4j.checkpoint;

import org.jspecify.annotations.NullMarked;
