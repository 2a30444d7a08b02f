package org.mamba4j.torch.bench;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.kernel.Workers;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.TorchException;
import org.mamba4j.torch.cuda.GpuMemory;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.ParallelScan;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SelectiveScan;
import org.mamba4j.torch.nn.FftConvolution;

/**
 * What mixes a sequence's tokens in one layer of different models, forward, without the products around it, each over one
 * sequence of L tokens of D channels [1, figure 8].
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.5 and appendix E.5.
 */
public enum CoreOperation {
    /** The selective scan, D · N numbers of state that stay on the chip. */
    FUSED_SCAN("fused scan"),
    /** The same of libtorch's operations, in O(log L) rounds through memory: {@link ParallelScan}. */
    COMPOSED_SCAN("composed parallel scan"),
    /** A kernel as long as the sequence, by float32 transforms, the kernel's included; how the kernel is made is not. */
    FFT_CONVOLUTION("FFT convolution"),
    /** Causal attention, heads of 64 numbers, by libtorch's fastest kernel (FlashAttention on NVIDIA GPUs). */
    ATTENTION("attention (SDPA)");

    private static final int HEAD = 64;
    private static final int STATES = 16;
    private static final double WRONG = 0.05;

    private final String label;

    CoreOperation(String label) {
        this.label = label;
    }

    /** As tables have it. */
    public String label() {
        return label;
    }

    /**
     * What was measured.
     *
     * @param seconds median of a call; NaN where the memory did not suffice
     * @param recorded whether on a GPU it was a recorded graph, without the time the host needs to launch
     */
    public record Measured(double seconds, boolean recorded) {
        private static final Measured IMPOSSIBLE = new Measured(Double.NaN, false);
    }

    /**
     * Measures, in bfloat16 on a GPU and in float32 on a CPU.
     *
     * @param channels D, a multiple of {@value #HEAD}
     * @param repeats of which the median is taken
     */
    public Measured measure(Machine machine, int length, int channels, int repeats) {
        if (channels % HEAD != 0) {
            throw new UserError(channels + " channels: attention here has heads of " + HEAD + ", so give a multiple");
        }
        try {
            return NoGrad.call(() -> TensorScope.call(() -> {
                Runnable call = call(machine, length, channels);
                return time(machine, () -> TensorScope.run(call), repeats);
            }));
        } catch (RuntimeException e) {
            RuntimeException translated = Torch.translate(label, e);
            if (translated instanceof UserError || translated instanceof TorchException) {
                GpuMemory.releaseUnused();
                return Measured.IMPOSSIBLE;
            }
            throw translated;
        }
    }

    /** As a recorded graph, so that what is timed is the GPU; launched call by call where it cannot be recorded. */
    private static Measured time(Machine machine, Runnable round, int repeats) {
        try {
            return new Measured(machine.time(round, 1, repeats).medianSeconds(), true);
        } catch (RuntimeException e) {
            if (machine instanceof CpuMachine) {
                throw e;
            }
            GpuMemory.releaseUnused();
            round.run();
            return new Measured(CudaMachine.events(round, 1, repeats).medianSeconds(), false);
        }
    }

    /**
     * Compares the two scans on the same random inputs.
     *
     * @throws WrongAnswerException if they differ by more than rounding explains
     */
    public static void checkScans(Machine machine, int length, int channels) {
        double off = NoGrad.call(() -> TensorScope.call(() -> {
            ScanInputs in = scanInputs(machine, length, channels);
            Tensor fused = kernels(machine).scan().apply(in, false).y().to(ScalarType.Float);
            Tensor composed = new ParallelScan().apply(in, false).y().to(ScalarType.Float);
            return (double) fused.sub(composed).norm().div(composed.norm()).item_float();
        }));
        if (!(off < WRONG)) {
            throw new WrongAnswerException("fused and composed scan of " + length + " steps differ by " + off
                    + " of their size: do not use these times");
        }
    }

    private Runnable call(Machine machine, int length, int channels) {
        return switch (this) {
            case FUSED_SCAN -> scan(kernels(machine).scan(), machine, length, channels);
            case COMPOSED_SCAN -> scan(new ParallelScan(), machine, length, channels);
            case FFT_CONVOLUTION -> {
                Tensor u = random(machine, 1, channels, length);
                Tensor kernel = random(machine, channels, length);
                yield () -> FftConvolution.causal(u, kernel);
            }
            case ATTENTION -> {
                long heads = channels / HEAD;
                Tensor q = inputs(machine, 1, heads, length, HEAD);
                Tensor k = inputs(machine, 1, heads, length, HEAD);
                Tensor v = inputs(machine, 1, heads, length, HEAD);
                yield () -> torch.scaled_dot_product_attention(
                        q, k, v, new TensorOptional(), 0.0, true, new DoubleOptional(), false);
            }
        };
    }

    private static Runnable scan(SelectiveScan scan, Machine machine, int length, int channels) {
        ScanInputs in = scanInputs(machine, length, channels);
        return () -> scan.apply(in, false);
    }

    private static ScanInputs scanInputs(Machine machine, int length, int channels) {
        Tensor a = torch.ones(new long[] {STATES}, machine.options())
                .cumsum(0)
                .neg()
                .expand(channels, STATES)
                .contiguous(); // (D, N)
        Tensor steps = torch.rand(new long[] {1, length, channels}, machine.options())
                .mul(new Scalar(0.1))
                .to(machine.defaultPrecision().type()); // (1, L, D)
        return ScanInputs.of(
                inputs(machine, 1, length, channels),
                steps,
                a,
                inputs(machine, 1, length, STATES),
                inputs(machine, 1, length, STATES));
    }

    private static MambaKernels kernels(Machine machine) {
        return machine instanceof CpuMachine
                ? MambaKernels.fused(Workers.shared().parallelism())
                : MambaKernels.cuda("cuda", machine.defaultPrecision());
    }

    private static Tensor random(Machine machine, long... sizes) {
        return torch.randn(sizes, machine.options());
    }

    private static Tensor inputs(Machine machine, long... sizes) {
        return random(machine, sizes).to(machine.defaultPrecision().type());
    }
}
