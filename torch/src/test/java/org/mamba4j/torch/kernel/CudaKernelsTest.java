package org.mamba4j.torch.kernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.kernel.ConvCase;
import org.mamba4j.kernel.ScanCase;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.cuda.KernelModule;

/**
 * The contracts of scan and convolution on a GPU, in float32 and bfloat16, and sizes that only a GPU is used for. Skipped
 * where there is none.
 *
 * <p>Kernels are compiled for each number of states and each width: the contracts' many are brought down to a few.
 */
@Tag("gpu")
class CudaKernelsTest {
    private static final int[] STATES = {1, 3, 8, 16, 64, 256};
    private static final int[] WIDTHS = {1, 3, 4};
    private static final Placement FLOAT = new Placement("cuda", ScalarType.Float);
    private static final Placement BFLOAT16 = new Placement("cuda", ScalarType.BFloat16);

    @BeforeAll
    static void needsGpu() {
        Torch.load();
        assumeTrue(torch.hasCUDA() && torch.cuda_is_available(), "skipped: no CUDA device");
        compileAhead();
    }

    /** The scan's kernels, which take most of the time otherwise, on all cores. */
    private static void compileAhead() {
        List<CudaOptions> variants = TensorScope.call(() -> {
            List<CudaOptions> options = new ArrayList<>();
            for (Placement place : List.of(FLOAT, BFLOAT16)) {
                Tensor activations = Tensors.zeros(1).to(place.type());
                for (int states : STATES) {
                    options.add(CudaOptions.of(activations, Tensors.zeros(1)).with("STATES", states));
                    options.add(CudaOptions.of(activations).with("STATES", states));
                }
            }
            return options;
        });
        variants.stream()
                .flatMap(options -> Stream.of("forward", "carry", "backward").map(pass -> Map.entry(pass, options)))
                .toList()
                .parallelStream()
                .forEach(module -> KernelModule.load(
                        CudaScan.class,
                        "selective_scan_" + module.getKey() + ".cu",
                        module.getValue().list()));
    }

    /** The greatest of {@code few} that is at most {@code usual}. */
    private static int among(int[] few, int usual) {
        int chosen = few[0];
        for (int candidate : few) {
            chosen = candidate <= usual ? candidate : chosen;
        }
        return chosen;
    }

    abstract static class CudaScanContract extends TorchScanContract {
        @Override
        protected SelectiveScan scan() {
            return new CudaScan();
        }

        @Override
        protected int states(int usual) {
            return among(STATES, usual);
        }

        @ParameterizedTest
        @ValueSource(ints = {32_769, 131_072})
        void agreesForLongSequences(int length) {
            check(ScanCase.random(new Random(length), 1, length, 9, 16, options(ScanCase.ALL)));
        }
    }

    abstract static class CudaConvContract extends TorchConvContract {
        @Override
        protected CausalConv conv() {
            return new CudaConv();
        }

        @Override
        protected int width(int usual) {
            return among(WIDTHS, usual);
        }

        @ParameterizedTest
        @ValueSource(ints = {32_769, 131_072})
        void agreesForLongSequences(int length) {
            check(ConvCase.random(new Random(length), 1, length, 9, 4, options(ConvCase.ALL)));
        }
    }

    @Nested
    class FloatScan extends CudaScanContract {
        @Override
        protected Placement placement() {
            return FLOAT;
        }
    }

    @Nested
    class Bfloat16Scan extends CudaScanContract {
        @Override
        protected Placement placement() {
            return BFLOAT16;
        }
    }

    @Nested
    class FloatConv extends CudaConvContract {
        @Override
        protected Placement placement() {
            return FLOAT;
        }
    }

    @Nested
    class Bfloat16Conv extends CudaConvContract {
        @Override
        protected Placement placement() {
            return BFLOAT16;
        }
    }

    /** More than 2^31 elements in each of the great tensors: 5 GB each. The end of it is compared with a run on the end. */
    @Nested
    class Huge {
        private static final long LENGTH = 1_500_000;
        private static final long CHANNELS = 1536;
        private static final long STATES = 16;
        /** Long enough that a scan's state has forgotten what was before. */
        private static final long WARM_UP = 2_000;

        private static final long COMPARED = 1_000;

        @Test
        void scanOfMoreThan2To31Elements() {
            TensorScope.run(() -> {
                Tensor u = normal(LENGTH, CHANNELS);
                Tensor delta = normal(LENGTH, CHANNELS);
                Tensor a = Tensors.on("cuda", negative(CHANNELS, STATES));
                Tensor b = normal(LENGTH, STATES);
                Tensor c = normal(LENGTH, STATES);
                ScanInputs whole = ScanInputs.of(u, delta, a, b, c).withSoftplus(true);
                for (boolean packed : new boolean[] {false, true}) {
                    TensorScope.run(() -> {
                        ScanInputs in = packed ? whole.withResets(beginning(LENGTH - COMPARED)) : whole;
                        long from = LENGTH - COMPARED - (packed ? 0 : WARM_UP);
                        ScanInputs end = whole.part(new Documents.Span(0, 1, from, LENGTH - from, false, true));
                        SequenceOutput all = new CudaScan().apply(in, true);
                        SequenceOutput last = new CudaScan().apply(end, true);
                        BFLOAT16.compareForward("y", tail(all.y()), tail(last.y()));
                        FLOAT.compareForward("state", all.lastState(), last.lastState());
                    });
                }
            });
        }

        @Test
        void convolutionOfMoreThan2To31Elements() {
            TensorScope.run(() -> {
                Tensor x = normal(LENGTH, CHANNELS);
                Tensor weight = Tensors.on("cuda", negative(CHANNELS, 4)).unsqueeze(1);
                ConvInputs whole = new ConvInputs(x, weight, Tensors.absent(), Tensors.absent());
                for (boolean packed : new boolean[] {false, true}) {
                    TensorScope.run(() -> {
                        ConvInputs in = packed ? whole.withResets(beginning(LENGTH - COMPARED)) : whole;
                        long from = LENGTH - COMPARED - (packed ? 0 : WARM_UP);
                        ConvInputs end = whole.part(new Documents.Span(0, 1, from, LENGTH - from, false, true));
                        SequenceOutput all = new CudaConv().apply(in, true);
                        SequenceOutput last = new CudaConv().apply(end, true);
                        BFLOAT16.compareForward("y", tail(all.y()), tail(last.y()));
                        FLOAT.compareForward("state", all.lastState(), last.lastState());
                    });
                }
            });
        }

        private static Tensor tail(Tensor rows) {
            return rows.narrow(1, rows.size(1) - COMPARED, COMPARED);
        }

        /** (1, length, columns) bfloat16 on the GPU. */
        private static Tensor normal(long length, long columns) {
            Tensor like = Tensors.on("cuda", Tensors.zeros(1));
            return Tensors.emptyLike(like, ScalarType.BFloat16, 1, length, columns)
                    .normal_();
        }

        private static Tensor negative(long rows, long columns) {
            float[] values = new float[Math.toIntExact(rows * columns)];
            for (int i = 0; i < values.length; i++) {
                values[i] = -1 - i % 7 / 7f;
            }
            return Tensors.of(values, rows, columns);
        }

        private static Tensor beginning(long at) {
            Tensor flags = Tensors.empty(ScalarType.Byte, 1, LENGTH).zero_();
            flags.narrow(1, at, 1).add_(new Scalar(1));
            return Tensors.on("cuda", flags);
        }
    }
}
