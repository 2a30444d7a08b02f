/** The experiments of the Mamba and MemMamba papers: what is compared, how it is run, and how results are shown. */
@NullMarked
package org.mamba4j.experiments;

import org.jspecify.annotations.NullMarked;
