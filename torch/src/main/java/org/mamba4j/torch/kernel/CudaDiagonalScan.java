package org.mamba4j.torch.kernel;

import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.CudaKernel;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * {@link DiagonalScan} of float32 on an NVIDIA GPU by kernels of our own ({@code cuda/diagonal.cu}, which explains itself): six
 * launches and three sums for a step of training. Between the passes it keeps the inputs and the state before every 64
 * steps; backward it holds about four times as much, and, where B or C are the token's, a part of their gradients for each 32 channels.
 * Waits for nothing, copies nothing from the host; the same call gives the same bits.
 *
 * <p>Shapes: B batch, L length, D channels, M modes, N numbers of state (2 M where A is complex).
 */
final class CudaDiagonalScan {
    /** The one switch: false, and a GPU scans by libtorch's operations, as everything else does. */
    private static final boolean ON = Boolean.parseBoolean(System.getProperty("mamba4j.diagonal.cuda", "true"));

    /** Bytes of the kernels' {@code DiagonalParams}: 19 pointers, a 64-bit and four 32-bit integers. */
    private static final long PARAMETER_BYTES = 19 * 8 + 8 + 4 * 4;

    private static final int MAX_MODES = 64;
    private static final int MAX_BATCH = 65_535;
    private static final int LANES = 32;
    private static final Tensor ABSENT = Tensors.absent();

    private final DiagonalScan.Inputs in;
    private final int batch;
    private final long length;
    private final int channels;
    private final int modes;
    private final long states;
    private final KernelModule module;
    private final int threads;
    private final int carryThreads;
    private final int chunks;
    private final int blocks;

    /** @param in contiguous */
    private CudaDiagonalScan(DiagonalScan.Inputs in) {
        this.in = in;
        batch = Math.toIntExact(in.u().size(0));
        length = in.u().size(1);
        channels = Math.toIntExact(in.u().size(2));
        modes = Math.toIntExact(in.rate().size(1));
        states = in.states();
        module = KernelModule.load(
                CudaDiagonalScan.class,
                "diagonal.cu",
                CudaOptions.of(in.u())
                        .with("MODES", modes)
                        .with("COMPLEX", in.isComplex() ? 1 : 0)
                        .with("B_TOKEN", isOfToken(in.b()) ? 1 : 0)
                        .with("C_TOKEN", isOfToken(in.c()) ? 1 : 0)
                        .list());
        int[] geometry = module.ints("diagonal_geometry");
        threads = geometry[0];
        chunks = Math.toIntExact(Math.ceilDiv(length, (long) geometry[1]));
        carryThreads = geometry[2];
        blocks = Math.ceilDiv(channels, LANES);
    }

    /** Whether it can and shall compute {@code in}. */
    static boolean takes(DiagonalScan.Inputs in) {
        return ON && canTake(in);
    }

    private static boolean canTake(DiagonalScan.Inputs in) {
        for (Tensor x : in.list()) {
            if (x.defined() && (!x.is_cuda() || x.scalar_type().intern() != ScalarType.Float)) {
                return false;
            }
        }
        long warps = Math.ceilDiv(in.u().size(2), (long) LANES) * in.u().size(1); // more than blocks of a grid
        return in.u().numel() > 0
                && in.rate().numel() > 0
                && in.rate().size(1) <= MAX_MODES
                && in.u().size(0) <= MAX_BATCH
                && in.u().size(0) * in.rate().numel() <= Integer.MAX_VALUE
                && warps <= Integer.MAX_VALUE;
    }

    /** As {@link DiagonalScan#apply}. */
    static SequenceOutput apply(DiagonalScan.Inputs in) {
        DiagonalScan.Inputs packed = in.map(CudaDiagonalScan::packed);
        CudaDiagonalScan scan = new CudaDiagonalScan(packed);
        Tensor y = Tensors.emptyLike(packed.u());
        Tensor last = scan.floats(scan.batch, scan.channels, scan.states);
        Tensor sums = scan.floats(scan.batch, scan.chunks, scan.channels);
        Tensor befores = scan.perChunk();
        scan.forward(y, last, sums, befores);
        if (CustomGradient.wanted(in.list())) {
            DiagonalScan.Inputs saved = packed.map(CustomGradient::save);
            Tensor savedSums = CustomGradient.save(sums);
            Tensor savedBefores = CustomGradient.save(befores);
            CustomGradient.apply(
                    y,
                    in.list(),
                    (gradY, gradients) -> new CudaDiagonalScan(saved)
                            .backward(Memory.dense(gradY), savedSums, savedBefores, gradients));
        }
        return new SequenceOutput(y, last);
    }

    private static Tensor packed(Tensor x) {
        return x.defined() ? Memory.dense(x.detach()) : x;
    }

    private static boolean isOfToken(Tensor matrix) {
        return matrix.dim() == 3;
    }

    private Tensor floats(long... shape) {
        return Tensors.emptyLike(in.u(), ScalarType.Float, shape);
    }

    /** Room for a state of each chunk (B, chunks, D, N). */
    private Tensor perChunk() {
        return floats(batch, chunks, channels, states);
    }

    private void forward(Tensor y, Tensor last, Tensor sums, Tensor befores) {
        Results results =
                new Results(y, last, sums, befores, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT);
        overChunks("diagonal_ends", results);
        overStates("diagonal_carry", results);
        overChunks("diagonal_scan", results);
    }

    /** Fills {@code gradients}, in the order of the inputs; absent ones are not wanted. */
    private void backward(Tensor gradY, Tensor sums, Tensor befores, List<Tensor> gradients) {
        Tensor gradRate = gradients.get(2);
        Tensor gradFrequency = gradients.get(3);
        Tensor gradB = gradients.get(4);
        Tensor gradC = gradients.get(5);
        Tensor partsA = gradRate.defined() || gradFrequency.defined() ? perChunk() : ABSENT;
        Tensor partsB = parts(gradB);
        Tensor partsC = parts(gradC);
        Results results = new Results(
                ABSENT,
                ABSENT,
                sums,
                befores,
                gradY,
                perChunk(),
                gradients.get(0),
                gradients.get(1),
                partsA,
                partsB,
                partsC,
                gradients.get(6));
        overChunks("diagonal_back_ends", results);
        overStates("diagonal_back_carry", results);
        overChunks("diagonal_back", results);
        fill(gradB, () -> sumOf(partsB, gradB));
        fill(gradC, () -> sumOf(partsC, gradC));
        if (partsA.defined()) {
            Tensor gradA = partsA.sum(0, 1).view(channels, modes, -1); // (D, M, 1 or 2)
            fill(gradRate, () -> gradA.select(2, 0));
            fill(gradFrequency, () -> gradA.select(2, 1));
        }
    }

    /** Room for the parts of the gradient of B or C: for each block of channels, or for each chunk of steps. */
    private Tensor parts(Tensor gradient) {
        if (!gradient.defined()) {
            return ABSENT;
        }
        return isOfToken(gradient) ? floats(blocks, batch, length, states) : perChunk();
    }

    private static Tensor sumOf(Tensor parts, Tensor gradient) {
        return isOfToken(gradient) ? parts.sum(0) : parts.sum(0, 1);
    }

    private static void fill(Tensor gradient, Supplier<Tensor> value) {
        if (gradient.defined()) {
            gradient.copy_(value.get());
        }
    }

    private void overChunks(String kernel, Results results) {
        launch(kernel, LaunchShape.grid(Math.multiplyExact(blocks, chunks), batch, 1, threads), results);
    }

    private void overStates(String kernel, Results results) {
        long all = (long) batch * channels * modes;
        launch(kernel, LaunchShape.of(Math.toIntExact(Math.ceilDiv(all, (long) carryThreads)), carryThreads), results);
    }

    private void launch(String name, LaunchShape shape, Results results) {
        CudaKernel kernel = module.kernel(name);
        kernel.launch(shape, PARAMETER_BYTES, to -> write(to, results));
    }

    /** The fields of {@code DiagonalParams} in diagonal.cu, in their order. */
    private void write(StructWriter to, Results results) {
        in.list().forEach(to::pointer);
        results.list().forEach(to::pointer);
        to.int64(length).int32(batch).int32(channels).int32(chunks).int32(blocks);
    }

    /** What kernels write and pass on, in the order of their parameters; the first two by the forward pass, from dy on by the backward pass. */
    private record Results(
            Tensor y,
            Tensor last,
            Tensor sums,
            Tensor ends,
            Tensor dy,
            Tensor back,
            Tensor du,
            Tensor ddelta,
            Tensor da,
            Tensor db,
            Tensor dc,
            Tensor dstart) {
        List<Tensor> list() {
            return List.of(y, last, sums, ends, dy, back, du, ddelta, da, db, dc, dstart);
        }
    }
}
