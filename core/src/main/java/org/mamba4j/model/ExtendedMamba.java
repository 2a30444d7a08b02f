package org.mamba4j.model;

/** The configuration of a family that is a Mamba and something more; what it says of itself is the Mamba's by default. */
public sealed interface ExtendedMamba extends ModelConfig permits MemMambaConfig, DeciMambaConfig, MambaUNetConfig {
    /** The configuration of what is extended. */
    MambaConfig mamba();

    @Override
    default int vocabSize() {
        return mamba().vocabSize();
    }

    @Override
    default int dModel() {
        return mamba().dModel();
    }

    @Override
    default int nLayer() {
        return mamba().nLayer();
    }

    @Override
    default int eosTokenId() {
        return mamba().eosTokenId();
    }

    @Override
    default TensorSpec embedding() {
        return mamba().embedding();
    }

    @Override
    default TensorSpec head() {
        return mamba().head();
    }
}
