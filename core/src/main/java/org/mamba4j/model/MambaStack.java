package org.mamba4j.model;

/** The configuration of a family whose blocks are a {@link MambaConfig}'s, with or without something beside them. */
public sealed interface MambaStack extends ModelConfig permits MambaConfig, MemMambaConfig {
    /** The configuration of its blocks: itself, or that of the Mamba which it extends. */
    MambaConfig mamba();
}
