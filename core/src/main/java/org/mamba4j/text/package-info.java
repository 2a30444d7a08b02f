/** Tokenizers: bytes, and byte-level BPE from a tokenizer.json. */
@NullMarked
package org.mamba4j.text;

import org.jspecify.annotations.NullMarked;
