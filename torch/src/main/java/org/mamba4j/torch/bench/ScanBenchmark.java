package org.mamba4j.torch.bench;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequencePasses;

/**
 * The selective scan with z, D, delta's bias and softplus, laid out as a layer of the model has it: z is the second half of in_proj's
 * output, B and C are slices of x_proj's.
 */
public final class ScanBenchmark extends OperationBenchmark {
    /** States of a channel unless told. */
    public static final int STATES = 16;

    private static final double LEAST_STEP = 1e-3;
    private static final double STEPS_RATIO = 100;

    private final StepSizes steps;

    /** @throws org.mamba4j.UserError if the machine does not compute in that precision */
    public ScanBenchmark(Machine machine, Precision precision, SequenceShape shape, StepSizes steps) {
        super(machine, precision, shape);
        this.steps = steps;
    }

    /** What is measured where the user names no shape. */
    public static List<SequenceShape> shapes(Machine machine) {
        return machine instanceof CpuMachine
                ? List.of(new SequenceShape(1, 2048, 1536, STATES), new SequenceShape(1, 8192, 384, STATES))
                : List.of(
                        new SequenceShape(8, 2048, 1536, STATES),
                        new SequenceShape(1, 131_072, 1536, STATES),
                        new SequenceShape(1, 8192, 384, STATES));
    }

    @Override
    Problem problem() {
        int batch = shape().batch();
        int length = shape().length();
        int channels = shape().channels();
        int states = shape().inner();
        // Rounded so that B and C begin at multiples of 16 bytes.
        int rank = Math.ceilDiv(channels, 256) * 8;
        try (TensorScope scope = new TensorScope()) {
            Tensor z = normal(batch, length, 2L * channels).narrow(2, channels, channels);
            Tensor selection = normal(batch, length, rank + 2L * states);
            boolean large = steps == StepSizes.LARGE;
            Tensor delta = random(batch, length, channels).mul_(new Scalar(large ? 1 : 0.3));
            Tensor spread = random(channels, states).mul_(new Scalar(0.1)).add_(new Scalar(1.0));
            Tensor numbers =
                    torch.ones(new long[] {states}, machine().options()).cumsum(0); // 1, 2 … N
            Tensor a = spread.clamp_min_(new Scalar(0.1)).mul_(numbers).neg_();
            ScanInputs inputs = new ScanInputs(
                    scope.promote(normal(batch, length, channels)),
                    scope.promote(delta.to(type())),
                    scope.promote(a),
                    scope.promote(selection.narrow(2, rank, states)),
                    scope.promote(selection.narrow(2, rank + states, states)),
                    scope.promote(random(channels)),
                    scope.promote(bias(channels, large)),
                    scope.promote(z),
                    true,
                    Tensors.absent());
            return new Inputs(machine(), inputs, scope.promote(normal(batch, length, channels)));
        }
    }

    /** softplus⁻¹ of the channels' step sizes. */
    private Tensor bias(int channels, boolean large) {
        Tensor wanted = torch.rand(new long[] {channels}, machine().options());
        if (large) {
            wanted.fill_(new Scalar(1.0));
        } else {
            wanted.mul_(new Scalar(Math.log(STEPS_RATIO)))
                    .add_(new Scalar(Math.log(LEAST_STEP)))
                    .exp_();
        }
        return wanted.expm1_().log_();
    }

    private Tensor normal(long... sizes) {
        return random(sizes).to(type());
    }

    private Tensor random(long... sizes) {
        return torch.randn(sizes, machine().options());
    }

    @Override
    String work() {
        return "scan " + shape() + " N" + shape().inner();
    }

    @Override
    String note() {
        return steps.key();
    }

    @Override
    List<String> inputs() {
        return List.of("u", "delta", "A+", "B", "C", "D+", "bias+", "z", "initial state");
    }

    /**
     * u, delta, z, B, C and y; backward y's gradient and the gradients of all. States kept in between are not counted, as
     * how many are kept is the kernels' choice.
     */
    @Override
    PassResult.Cost cost(Pass pass) {
        double element = bytesPerElement();
        double activations = shape().activations();
        double selections = 2.0 * shape().batch() * shape().length() * shape().inner();
        double bytes = switch (pass) {
            case FORWARD -> (4 * activations + selections) * element;
            case BACKWARD -> (7 * activations + 2 * selections) * element;
        };
        // Besides the decays, softplus and silu take one each.
        return new PassResult.Cost(bytes, activations * (shape().inner() + 2));
    }

    private double bytesPerElement() {
        return type() == ScalarType.Float ? Float.BYTES : Short.BYTES;
    }

    @Override
    double bytesOfASet() {
        // With the float32 numbers that inputs are made of, and sums of dB and dC for each block of channels.
        return 2 * cost(Pass.FORWARD).bytes()
                + 1.5 * cost(Pass.BACKWARD).bytes()
                + 2 * Float.BYTES * shape().activations();
    }

    @Override
    double bytesOfReference(int of) {
        SequenceShape part = shape().prefix(of);
        double perActivation = machine() instanceof CpuMachine ? 0 : 10.0 * Float.BYTES;
        return part.activations() * (part.inner() * Double.BYTES + perActivation);
    }

    private record Inputs(Machine machine, ScanInputs inputs, Tensor gradY) implements Problem {
        @Override
        public SequencePasses passes(int steps) {
            return machine.passes(prefix(inputs, steps));
        }

        @Override
        public SequencePasses reference(int steps) {
            ScanInputs in = prefix(inputs, steps);
            return machine.reference(new ScanInputs(
                    wide(in.u()),
                    wide(in.delta()),
                    in.a(),
                    wide(in.b()),
                    wide(in.c()),
                    in.d(),
                    in.deltaBias(),
                    wide(in.z()),
                    in.softplus(),
                    in.initialState()));
        }

        @Override
        public Tensor gradY(int steps) {
            return gradY.narrow(1, 0, steps);
        }

        private static ScanInputs prefix(ScanInputs in, int steps) {
            return new ScanInputs(
                    in.u().narrow(1, 0, steps),
                    in.delta().narrow(1, 0, steps),
                    in.a(),
                    in.b().narrow(1, 0, steps),
                    in.c().narrow(1, 0, steps),
                    in.d(),
                    in.deltaBias(),
                    in.z().narrow(1, 0, steps),
                    in.softplus(),
                    in.initialState());
        }

        private static Tensor wide(Tensor tensor) {
            return tensor.to(ScalarType.Float);
        }
    }
}
