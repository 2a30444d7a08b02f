/** The mamba4j command: one class per subcommand. */
@NullMarked
package org.mamba4j.cli;

import org.jspecify.annotations.NullMarked;
