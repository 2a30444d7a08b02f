/** MemMamba's note-taking memory: which tokens are noted, and which notes a bounded pool keeps. */
@NullMarked
package org.mamba4j.memory;

import org.jspecify.annotations.NullMarked;
