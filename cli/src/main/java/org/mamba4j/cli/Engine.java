package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.engine.JavaLanguageModel;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.MambaStack;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.decode.CudaLanguageModel;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.TorchLanguageModel;

/** What computes a model; the one place that names them all. */
enum Engine {
    /** Pure Java, on the CPU. */
    JAVA {
        @Override
        LanguageModel open(ModelChoice model, String device, Precision precision) {
            if (!runsInJava(device, precision)) {
                throw new UserError("the engine java computes float32 on the CPU, not " + precision + " on " + device
                        + ": leave --device and --precision out, or take --engine torch");
            }
            return JavaLanguageModel.open(model.reading().of(Checkpoint.openQuantised(model.checkpoint())));
        }

        @Override
        int readers(String device) {
            return Workers.shared().parallelism();
        }
    },
    /** libtorch, on the CPU or a GPU. */
    TORCH {
        @Override
        LanguageModel open(ModelChoice model, String device, Precision precision) {
            MambaKernels kernels =
                    MambaKernels.on(device, precision, Workers.shared().parallelism());
            try (Checkpoint opened = model.reading().of(Checkpoint.open(model.checkpoint()))) {
                return kernels.isCuda()
                        ? CudaLanguageModel.open(opened, device, precision)
                        : TorchLanguageModel.of(opened, kernels);
            }
        }

        @Override
        int readers(String device) {
            return device.equals("cpu") ? 1 : READERS_ON_GPU; // on the CPU libtorch has threads of its own
        }
    };

    /** So many that the GPU has work while others wait for the next call to be made. */
    private static final int READERS_ON_GPU = 4;

    /** What is used where the user does not say: pure Java where it can. */
    static Engine preferred(ModelChoice model, String device, Precision precision) {
        return runsInJava(device, precision) && !model.reading().needsTorch() && isMamba(model.checkpoint())
                ? JAVA
                : TORCH;
    }

    private static boolean isMamba(Path checkpoint) {
        return !Files.isDirectory(checkpoint) || ModelConfig.read(checkpoint) instanceof MambaStack;
    }

    private static boolean runsInJava(String device, Precision precision) {
        return device.equals("cpu") && precision == Precision.FLOAT32;
    }

    /**
     * Opens a model; the caller closes it.
     *
     * @param device {@code cpu}, {@code cuda} or {@code cuda:N}
     * @throws org.mamba4j.UserError if the folder does not hold a sound checkpoint, or the engine cannot run there
     */
    abstract LanguageModel open(ModelChoice model, String device, Precision precision);

    /** How many texts are best read at the same time. */
    abstract int readers(String device);
}
