package org.mamba4j.torch.decode;

import java.util.Locale;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.cuda.GpuMemory;

/** Memory of one GPU: tensors outside of every scope, and a clear error before it runs out. */
final class DeviceMemory {
    private static final double GIGABYTE = 1e9;

    private DeviceMemory() {}

    /**
     * Checks that so much can be allocated on the current device.
     *
     * @param purpose what for, as in "the states of 300 sequences"
     * @param remedy what the user can change
     * @throws UserError naming purpose, size and remedy if it cannot
     */
    static void require(String purpose, long bytes, String remedy) {
        if (bytes > GpuMemory.free()) {
            GpuMemory.releaseUnused();
        }
        long free = GpuMemory.free();
        if (bytes > free) {
            throw new UserError(String.format(
                    Locale.ROOT,
                    "not enough GPU memory for %s: %.2f GB needed, %.2f GB free; %s",
                    purpose,
                    bytes / GIGABYTE,
                    free / GIGABYTE,
                    remedy));
        }
    }

    /** A tensor of zeros on {@code device}, which the caller closes. */
    static Tensor zeros(String device, ScalarType type, long... shape) {
        try (TensorScope scope = new TensorScope()) {
            TensorOptions options = new TensorOptions(type).device(new DeviceOptional(new Device(device)));
            return scope.release(torch.zeros(shape, options));
        }
    }
}
