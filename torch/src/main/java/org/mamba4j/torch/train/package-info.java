/** The trainer: optimiser, schedules, metrics, checkpoints, resume. */
@NullMarked
package org.mamba4j.torch.train;

import org.jspecify.annotations.NullMarked;
