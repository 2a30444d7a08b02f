package org.mamba4j.torch;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.UserError;

/** Where tensors live and operations run. */
public final class Devices {
    private Devices() {}

    /** How many GPUs this process can use. */
    public static int gpus() {
        Torch.load();
        return torch.hasCUDA() ? Math.toIntExact(torch.cuda_device_count()) : 0;
    }

    /** @throws UserError as {@link #of} */
    public static void check(String name) {
        TensorScope.run(() -> of(name));
    }

    /**
     * Makes a GPU the one that this thread's kernels run on; of the CPU nothing is changed.
     *
     * @param name a device that {@link #check} accepts
     */
    public static void use(String name) {
        if (!name.equals("cpu") && torch_cuda.current_device() != index(name)) {
            torch_cuda.set_device((byte) index(name));
        }
    }

    private static int index(String name) {
        int colon = name.indexOf(':');
        return colon < 0 ? 0 : Integer.parseInt(name.substring(colon + 1));
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
            int count = gpus();
            if (index(name) >= count) {
                throw new UserError("device " + name + ": there is no such GPU, "
                        + (count == 0 ? "there is none" : "the last is cuda:" + (count - 1)));
            }
            return new Device(name);
        }
        throw new UserError("device " + name + ": unknown; use cpu, cuda or cuda:N");
    }
}
