/** From files to batches: a corpus of documents, a memory-mapped token file, windows shuffled by seed. */
@NullMarked
package org.mamba4j.data;

import org.jspecify.annotations.NullMarked;
