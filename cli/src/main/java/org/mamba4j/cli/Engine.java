package org.mamba4j.cli;

import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.kernel.Workers;
import org.mamba4j.torch.decode.CudaLanguageModel;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.TorchLanguageModel;

/** What computes a model; the one place that names them all. */
enum Engine {
    /** Pure Java, on the CPU. */
    JAVA {
        @Override
        LanguageModel open(Path checkpoint, String device, Precision precision) {
            if (!runsInJava(device, precision)) {
                throw new UserError("the engine java computes float32 on the CPU, not " + precision + " on " + device
                        + ": leave --device and --precision out, or take --engine torch");
            }
            return LanguageModel.open(checkpoint);
        }
    },
    /** libtorch, on the CPU or a GPU. */
    TORCH {
        @Override
        LanguageModel open(Path checkpoint, String device, Precision precision) {
            MambaKernels kernels =
                    MambaKernels.on(device, precision, Workers.shared().parallelism());
            return kernels.isCuda()
                    ? CudaLanguageModel.open(checkpoint, device, precision)
                    : TorchLanguageModel.load(checkpoint, kernels);
        }
    };

    /** What is used where the user does not say: pure Java where it can. */
    static Engine preferred(String device, Precision precision) {
        return runsInJava(device, precision) ? JAVA : TORCH;
    }

    private static boolean runsInJava(String device, Precision precision) {
        return device.equals("cpu") && precision == Precision.FLOAT32;
    }

    /**
     * Opens the model in a checkpoint folder; the caller closes it.
     *
     * @param device {@code cpu}, {@code cuda} or {@code cuda:N}
     * @throws org.mamba4j.UserError if the folder does not hold a sound checkpoint, or the engine cannot run there
     */
    abstract LanguageModel open(Path checkpoint, String device, Precision precision);
}
