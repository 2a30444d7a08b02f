/** JMH benchmarks; each checks its answer before it is timed. */
@NullMarked
package org.mamba4j.benchmarks;

import org.jspecify.annotations.NullMarked;
