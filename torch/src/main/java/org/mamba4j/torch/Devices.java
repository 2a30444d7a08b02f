package org.mamba4j.torch;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.UserError;

/** Where tensors live and operations run. */
public final class Devices {
    private Devices() {}

    /** @throws UserError as {@link #of} */
    public static void check(String name) {
        TensorScope.run(() -> of(name));
    }

    /**
     * The device that a user asked for by name: {@code cpu}, {@code cuda} or {@code cuda:1}.
     *
     * @throws UserError if there is no such device here, with what to do about it; never another device instead
     */
    public static Device of(String name) {
        Torch.load();
        if (name.equals("cpu")) {
            return new Device(torch.DeviceType.CPU);
        }
        if (name.matches("cuda(:\\d{1,3})?")) {
            if (!torch.hasCUDA()) {
                throw new UserError(
                        "device " + name + ": no CUDA device can be used here (libtorch on the class path is"
                                + " built for CPUs, or there is no NVIDIA driver); use --device cpu, or start with"
                                + " MAMBA4J_CUDA=1 ./mamba4j (in a program of yours: the -gpu artifact of org.bytedeco:pytorch)");
            }
            return new Device(name);
        }
        throw new UserError("device " + name + ": unknown; use cpu, cuda or cuda:N");
    }
}
