package org.mamba4j.torch.bench;

import java.util.List;
import org.bytedeco.cuda.cudart.cudaDeviceProp;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.cuda.CUDAEvent;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.CapturedGraph;
import org.mamba4j.torch.cuda.DriverVersion;
import org.mamba4j.torch.cuda.GpuMemory;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequencePasses;

/**
 * One NVIDIA GPU. Times are those between two events on the GPU around the replay of a CUDA graph of several calls, so
 * that neither the host nor its launches are measured.
 */
final class CudaMachine extends Machine {
    private static final int TIMED_EVENTS = 0; // cudaEventDefault
    private static final long COPIED_FLOATS = 1L << 30;
    private static final int COPIES = 12;
    private static final int WARM_REPLAYS = 2;
    private static final int EXP_THREADS = 256;
    private static final int EXP_BLOCKS_PER_UNIT = 8;
    private static final int EXP_ROUNDS = 4096;
    private static final int EXP_PER_ROUND = 8;
    private static final int EXP_LAUNCHES = 25;
    private static final long EXP_PARAMETER_BYTES = 16;

    /** Where x = 2^-x: what the exponentials end at. */
    private static final float FIXED_POINT = 0.64118576f;

    private final String device;

    private CudaMachine(String device) {
        this.device = device;
    }

    /** Of a device that there is. */
    static CudaMachine open(String device) {
        Devices.use(device);
        return new CudaMachine(device);
    }

    @Override
    public String name() {
        return properties().name().getString();
    }

    @Override
    public String driver() {
        return DriverVersion.get();
    }

    @Override
    public int units() {
        return properties().multiProcessorCount();
    }

    private static cudaDeviceProp properties() {
        return torch_cuda.getCurrentDeviceProperties();
    }

    @Override
    public Precision defaultPrecision() {
        return Precision.BFLOAT16;
    }

    @Override
    void check(Precision precision) {}

    @Override
    TensorOptions options() {
        return new TensorOptions(ScalarType.Float).device(new DeviceOptional(new Device(device)));
    }

    @Override
    long cacheBytes() {
        return properties().l2CacheSize();
    }

    @Override
    long freeBytes() {
        GpuMemory.releaseUnused();
        return GpuMemory.free();
    }

    @Override
    long referenceBytes() {
        return freeBytes() / 10 * 9;
    }

    @Override
    SequencePasses passes(ScanInputs in) {
        return SequencePasses.cuda(in);
    }

    @Override
    SequencePasses passes(ConvInputs in) {
        return SequencePasses.cuda(in);
    }

    @Override
    SequencePasses reference(ScanInputs in) {
        return SequencePasses.plainCuda(in);
    }

    @Override
    SequencePasses reference(ConvInputs in) {
        return SequencePasses.composed(in);
    }

    @Override
    Timing time(Runnable round, int calls, int repeats) {
        CapturedGraph.rehearse(round);
        try (CapturedGraph graph = CapturedGraph.record(round)) {
            return events(graph::replay, calls, repeats);
        }
    }

    /** Without a graph: for what cannot be recorded. What the host needs to launch is in the times. */
    static Timing events(Runnable round, int calls, int repeats) {
        for (int i = 0; i < WARM_REPLAYS; i++) {
            round.run();
        }
        double[] seconds = new double[repeats];
        try (CUDAEvent start = new CUDAEvent(TIMED_EVENTS);
                CUDAEvent end = new CUDAEvent(TIMED_EVENTS)) {
            for (int i = 0; i < repeats; i++) {
                start.record();
                round.run();
                end.record();
                end.synchronize();
                seconds[i] = start.elapsed_time(end) * 1e-3 / calls;
            }
        }
        return Timing.of(seconds);
    }

    @Override
    public Ceilings ceilings() {
        return TensorScope.call(() -> new Ceilings(copy(), exponentials()));
    }

    /** Not as a graph: copies of a graph go another, slower way. */
    private double copy() {
        long count = Math.min(COPIED_FLOATS, freeBytes() / (4 * Float.BYTES));
        Tensor from = torch.randn(new long[] {count}, options());
        Tensor to = Tensors.emptyLike(from);
        Timing timing = events(() -> to.copy_(from), 1, COPIES);
        return 2.0 * Float.BYTES * count / timing.leastSeconds();
    }

    private double exponentials() {
        int blocks = EXP_BLOCKS_PER_UNIT * units();
        long threads = (long) blocks * EXP_THREADS;
        Tensor ends = torch.randn(new long[] {threads}, options());
        Timing timing = events(
                () -> KernelModule.load(CudaMachine.class, "exponentials.cu", List.of("--std=c++17", "-default-device"))
                        .kernel("exponentials")
                        .launch(
                                LaunchShape.of(blocks, EXP_THREADS),
                                EXP_PARAMETER_BYTES,
                                to -> to.pointer(ends).int32(EXP_ROUNDS)),
                1,
                EXP_LAUNCHES);
        for (float end : Tensors.toFloats(ends)) {
            if (!(Math.abs(end - FIXED_POINT) < 1e-5)) {
                throw new WrongAnswerException("repeated exponentials end at " + end + " instead of " + FIXED_POINT);
            }
        }
        return (double) threads * EXP_ROUNDS * EXP_PER_ROUND / timing.leastSeconds();
    }
}
