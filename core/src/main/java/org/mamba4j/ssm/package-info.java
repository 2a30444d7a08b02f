/**
 * State spaces, from the ground, in float64: continuous systems, their discretisations, the recurrent and the convolutional
 * view, HiPPO, and what selection changes. Plain references, for study and for tests.
 */
@NullMarked
package org.mamba4j.ssm;

import org.jspecify.annotations.NullMarked;
