package org.mamba4j.torch.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.SequencePasses;

class OperationBenchmarkTest {
    private static final Machine CPU = Machine.of("cpu");
    private static final SequenceShape SHAPE = new SequenceShape(2, 70, 5, 3);

    @ParameterizedTest
    @EnumSource(StepSizes.class)
    void measuresAScan(StepSizes steps) {
        OperationBenchmark benchmark = new ScanBenchmark(CPU, Precision.FLOAT32, SHAPE, steps);
        List<PassResult> results = benchmark.run(List.of(Pass.FORWARD), 3);
        assertThat(results).hasSize(1);
        PassResult result = results.getFirst();
        assertThat(result.key()).isEqualTo("scan B2 D5 L70 N3 float32 forward");
        assertThat(result.timing().leastSeconds())
                .isPositive()
                .isLessThanOrEqualTo(result.timing().medianSeconds());
        assertThat(result.answer().steps()).isEqualTo(70);
        assertThat(result.answer().worst()).isPositive().isLessThan(1);
        // u, delta, z, y (700 each) and B, C (420 each); 3 decays, softplus, silu.
        assertThat(result.cost().bytes()).isEqualTo((4 * 700 + 2 * 420) * 4);
        assertThat(result.cost().exponentials()).isEqualTo(700 * 5);
    }

    @Test
    void measuresAConvolution() {
        OperationBenchmark benchmark =
                new ConvBenchmark(CPU, Precision.FLOAT32, new SequenceShape(1, 40, 6, ConvBenchmark.TAPS));
        List<PassResult> results = benchmark.run(List.of(Pass.BACKWARD), 1);
        assertThat(results.getFirst().cost().bytes()).isEqualTo(3 * 240 * 4);
        assertThat(results.getFirst().answer().worst()).isLessThan(1);
    }

    /** A long sequence is compared with the reference as far as that takes no minutes. */
    @Test
    void comparesTheFirstStepsOfALongSequence() {
        SequenceShape longer = new SequenceShape(1, 100_000, 8, 16);
        PassResult result = new ScanBenchmark(CPU, Precision.FLOAT32, longer, StepSizes.NEW)
                .run(List.of(Pass.FORWARD), 1)
                .getFirst();
        assertThat(result.answer().steps()).isEqualTo(12_500);
    }

    /** The reference is given other inputs than the kernels that are measured. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void refusesToTimeAWrongAnswer(boolean gradientsOnly) {
        OperationBenchmark wrong = new Wrong(gradientsOnly);
        assertThatExceptionOfType(WrongAnswerException.class)
                .isThrownBy(() -> wrong.run(List.of(Pass.FORWARD), 1))
                .withMessageContaining("wrong answer, not timed")
                .withMessageContaining(gradientsOnly ? "gradient of x" : " y ");
    }

    @Test
    void numbersThatAreNoneAreWrong() {
        TensorScope.run(() -> {
            Agreement.Check check = new Agreement.Check("work", Precision.FLOAT32);
            var right = Tensors.of(new float[] {1, 2, 3}, 3);
            check.output(right, Tensors.of(new float[] {1, 2.002f, 3}, 3));
            assertThat(check.after(3).worst()).isBetween(0.6, 0.65); // 0.002 of 0.002 + 0.0012
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 2.1f}) {
                var wrong = Tensors.of(new float[] {1, bad, 3}, 3);
                assertThatThrownBy(() -> check.output(wrong, right)).isInstanceOf(WrongAnswerException.class);
            }
        });
    }

    @Test
    void saysWhatDoesNotFit() {
        assertThatExceptionOfType(UserError.class)
                .isThrownBy(() -> new ScanBenchmark(
                                CPU, Precision.FLOAT32, new SequenceShape(64, 1 << 20, 4096, 16), StepSizes.NEW)
                        .run(List.of(Pass.FORWARD), 1))
                .withMessageContaining("GB of memory")
                .withMessageContaining("--length");
        assertThatExceptionOfType(UserError.class)
                .isThrownBy(() -> new ScanBenchmark(CPU, Precision.BFLOAT16, SHAPE, StepSizes.NEW))
                .withMessageContaining("bfloat16");
        assertThatExceptionOfType(UserError.class).isThrownBy(() -> new SequenceShape(1, 0, 1, 1));
    }

    @Test
    void ceilingsArePlausible() {
        Ceilings ceilings = CPU.ceilings();
        assertThat(ceilings.bytesPerSecond()).isBetween(1e8, 1e13);
        assertThat(ceilings.exponentialsPerSecond()).isBetween(1e7, 1e13);
    }

    /** Figures of the contract, by the keys that results have. */
    @Test
    void knowsTheReferencesFigures() {
        assertThat(Reference.of("conv B8 D1536 L2048 W4 bfloat16 backward", "NVIDIA H200"))
                .hasValue(106e-6);
        assertThat(Reference.of("scan B1 D384 L8192 N16 bfloat16 forward", "NVIDIA H100 80GB HBM3"))
                .hasValue(93e-6);
        assertThat(Reference.of("scan B1 D384 L8192 N16 bfloat16 forward", "AMD EPYC"))
                .isEmpty();
        assertThat(Reference.of("scan B1 D384 L8192 N16 float32 forward", "NVIDIA H200"))
                .isEmpty();
    }

    private static final class Wrong extends OperationBenchmark {
        private final boolean gradientsOnly;

        Wrong(boolean gradientsOnly) {
            super(CPU, Precision.FLOAT32, SHAPE);
            this.gradientsOnly = gradientsOnly;
        }

        @Override
        Problem problem() {
            OperationBenchmark sound = new ConvBenchmark(CPU, Precision.FLOAT32, SHAPE);
            Problem one = sound.problem();
            Problem other = sound.problem();
            return new Problem() {
                @Override
                public SequencePasses passes(int steps) {
                    return one.passes(steps);
                }

                @Override
                public SequencePasses reference(int steps) {
                    var right = one.reference(steps);
                    return gradientsOnly ? new GradientsOfAnother(right, other.gradY(steps)) : other.reference(steps);
                }

                @Override
                public Tensor gradY(int steps) {
                    return one.gradY(steps);
                }
            };
        }

        @Override
        String work() {
            return "wrong";
        }

        @Override
        String note() {
            return "";
        }

        @Override
        PassResult.Cost cost(Pass pass) {
            return new PassResult.Cost(1e9, 1);
        }

        @Override
        List<String> inputs() {
            return List.of("x", "weight+", "bias+", "initial state");
        }

        @Override
        double bytesOfASet() {
            return 1;
        }

        @Override
        double bytesOfReference(int steps) {
            return 1;
        }
    }

    private record GradientsOfAnother(SequencePasses right, Tensor gradY) implements SequencePasses {
        @Override
        public Tensor forward() {
            return right.forward();
        }

        @Override
        public List<Tensor> backward(Tensor ignored) {
            return right.backward(gradY);
        }
    }
}
