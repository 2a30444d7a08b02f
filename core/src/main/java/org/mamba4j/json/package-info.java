/** A small JSON reader and writer, so that the core has no dependency. */
@NullMarked
package org.mamba4j.json;

import org.jspecify.annotations.NullMarked;
