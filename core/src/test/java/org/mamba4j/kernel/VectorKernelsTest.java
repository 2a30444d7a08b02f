package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.kernel.GuardedMemory.Layout;

/** The contracts at every width of vectors, that of the machine or not. */
class VectorKernelsTest {
    private static final Workers WORKERS = new Workers(3);

    @Nested
    class Scan128 extends CpuScanContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(128, WORKERS);
        }
    }

    @Nested
    class Scan256 extends CpuScanContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(256, WORKERS);
        }
    }

    @Nested
    class Scan512 extends CpuScanContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(512, WORKERS);
        }
    }

    @Nested
    class Conv128 extends CpuConvContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(128, WORKERS);
        }
    }

    @Nested
    class Conv256 extends CpuConvContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(256, WORKERS);
        }
    }

    @Nested
    class Conv512 extends CpuConvContract {
        @Override
        protected SequenceKernels kernels() {
            return VectorWidths.kernels(512, WORKERS);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 7})
    void theNumberOfThreadsChangesNoBit(int threads) {
        ScanCase scan = ScanCase.random(new Random(threads), 2, 100, 420, 16, ScanCase.ALL);
        Map<String, float[]> expected = GuardedScan.run(VectorWidths.kernels(512, new Workers(1)), scan, Layout.DENSE);
        GuardedScan.run(VectorWidths.kernels(512, new Workers(threads)), scan, Layout.DENSE)
                .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
    }
}
