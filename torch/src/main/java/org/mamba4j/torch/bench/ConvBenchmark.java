package org.mamba4j.torch.bench;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.SequencePasses;

/** The causal convolution with bias and silu; its input is the first half of in_proj's output, as in a layer of the model. */
public final class ConvBenchmark extends OperationBenchmark {
    /** Steps of the kernel unless told. */
    public static final int TAPS = 4;

    /** @throws org.mamba4j.UserError if the machine does not compute in that precision */
    public ConvBenchmark(Machine machine, Precision precision, SequenceShape shape) {
        super(machine, precision, shape);
    }

    /** What is measured where the user names no shape. */
    public static List<SequenceShape> shapes(Machine machine) {
        return List.of(new SequenceShape(machine instanceof CpuMachine ? 1 : 8, 2048, 1536, TAPS));
    }

    @Override
    Problem problem() {
        int channels = shape().channels();
        try (TensorScope scope = new TensorScope()) {
            Tensor x = random(shape().batch(), shape().length(), 2L * channels).to(type());
            ConvInputs inputs = new ConvInputs(
                    scope.promote(x.narrow(2, 0, channels)),
                    scope.promote(random(channels, 1, shape().inner()).mul_(new Scalar(0.5))),
                    scope.promote(random(channels).mul_(new Scalar(0.5))),
                    Tensors.absent());
            Tensor gradY = random(shape().batch(), shape().length(), channels).to(type());
            return new Inputs(machine(), inputs, scope.promote(gradY));
        }
    }

    private Tensor random(long... sizes) {
        return torch.randn(sizes, machine().options());
    }

    @Override
    String work() {
        return "conv " + shape() + " W" + shape().inner();
    }

    @Override
    String note() {
        return "";
    }

    @Override
    List<String> inputs() {
        return List.of("x", "weight+", "bias+", "initial state");
    }

    /** x and y; backward x and both gradients. */
    @Override
    PassResult.Cost cost(Pass pass) {
        double element = type() == ScalarType.Float ? Float.BYTES : Short.BYTES;
        double activations = shape().activations();
        double bytes = switch (pass) {
            case FORWARD -> 2 * activations * element;
            case BACKWARD -> 3 * activations * element;
        };
        return new PassResult.Cost(bytes, activations);
    }

    @Override
    double bytesOfASet() {
        return 2 * cost(Pass.BACKWARD).bytes() + 2 * Float.BYTES * shape().activations();
    }

    @Override
    double bytesOfReference(int steps) {
        return shape().prefix(steps).activations() * Float.BYTES * (10 + 2.0 * shape().inner());
    }

    private record Inputs(Machine machine, ConvInputs inputs, Tensor gradY) implements Problem {
        @Override
        public SequencePasses passes(int steps) {
            return machine.passes(with(inputs.x().narrow(1, 0, steps)));
        }

        @Override
        public SequencePasses reference(int steps) {
            return machine.reference(with(inputs.x().narrow(1, 0, steps).to(ScalarType.Float)));
        }

        @Override
        public Tensor gradY(int steps) {
            return gradY.narrow(1, 0, steps);
        }

        private ConvInputs with(Tensor x) {
            return new ConvInputs(x, inputs.weight(), inputs.bias(), inputs.initialState());
        }
    }
}
