package org.mamba4j.torch.bench;

import java.util.Locale;
import org.bytedeco.pytorch.TensorOptions;
import org.mamba4j.UserError;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequencePasses;

/** A device that is measured: what it is, its clock, its memory, its kernels. */
public abstract sealed class Machine permits CpuMachine, CudaMachine {
    private static final double GIGABYTE = 1e9;

    /**
     * The device of a name.
     *
     * @param device {@code cpu}, {@code cuda} or {@code cuda:N}; a GPU becomes libtorch's current one
     * @throws UserError if there is no such device
     */
    public static Machine of(String device) {
        Devices.check(device);
        Torch.load();
        return device.equals("cpu") ? new CpuMachine() : CudaMachine.open(device);
    }

    /** What it is called by its maker. */
    public abstract String name();

    /** Version of what drives it, for reports: NVIDIA's driver or the Java virtual machine. */
    public abstract String driver();

    /** Multiprocessors, or threads that are used. */
    public abstract int units();

    /** Measures; takes some tenths of a second. */
    public abstract Ceilings ceilings();

    /** What is used where the user does not say. */
    public abstract Precision defaultPrecision();

    /** @throws UserError if kernels for it do not exist here */
    abstract void check(Precision precision);

    /** For tensors there. */
    abstract TensorOptions options();

    /** Bytes of the cache that inputs should not fit into. */
    abstract long cacheBytes();

    abstract long freeBytes();

    /** What the reference may take at most. */
    abstract long referenceBytes();

    abstract SequencePasses passes(ScanInputs in);

    abstract SequencePasses passes(ConvInputs in);

    abstract SequencePasses reference(ScanInputs in);

    abstract SequencePasses reference(ConvInputs in);

    /**
     * Runs {@code round} often enough to warm up, then {@code repeats} times by the clock.
     *
     * @param calls that a round makes; the times are of one call
     */
    abstract Timing time(Runnable round, int calls, int repeats);

    /**
     * Checks that there is memory enough.
     *
     * @throws UserError naming what it is for, the size and what to change
     */
    final void require(String purpose, double bytes) {
        long free = freeBytes();
        if (bytes > free) {
            throw new UserError(String.format(
                    Locale.ROOT,
                    "%s needs %.1f GB of memory, %s has %.1f GB free: use a smaller --batch, --length or --width",
                    purpose,
                    bytes / GIGABYTE,
                    name(),
                    free / GIGABYTE));
        }
    }
}
