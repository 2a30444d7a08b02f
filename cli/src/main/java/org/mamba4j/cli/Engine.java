package org.mamba4j.cli;

import java.nio.file.Path;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.torch.nn.TorchLanguageModel;

/** What computes a model; the one place that names them all. */
enum Engine {
    /** libtorch, on the CPU. */
    TORCH {
        @Override
        LanguageModel open(Path checkpoint) {
            return TorchLanguageModel.load(checkpoint);
        }
    };

    /** What is used where the user does not say. */
    static final String DEFAULT = "TORCH";

    /**
     * Opens the model in a checkpoint folder; the caller closes it.
     *
     * @throws org.mamba4j.UserError if the folder does not hold a sound checkpoint
     */
    abstract LanguageModel open(Path checkpoint);
}
