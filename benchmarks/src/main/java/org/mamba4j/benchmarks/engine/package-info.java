/** How fast the pure-Java engine is, how soon its first token is there, and whether it stays as it is over many tokens. */
@NullMarked
package org.mamba4j.benchmarks.engine;

import org.jspecify.annotations.NullMarked;
