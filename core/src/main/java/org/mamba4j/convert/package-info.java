/** Models from one file format to another, tokenizer included. */
@NullMarked
package org.mamba4j.convert;

import org.jspecify.annotations.NullMarked;
