/** Genomes as sequences of tokens: reading them, keeping contigs apart for tests, and what models are trained on and asked. */
@NullMarked
package org.mamba4j.tasks.dna;

import org.jspecify.annotations.NullMarked;
