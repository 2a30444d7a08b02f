package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.Tensors;

/** {@link SequencePasses} of scans. */
final class ScanPasses {
    private ScanPasses() {}

    private static List<Tensor> inputs(ScanInputs in) {
        return List.of(in.u(), in.delta(), in.a(), in.b(), in.c(), in.d(), in.deltaBias(), in.z(), in.initialState());
    }

    private static List<Tensor> like(List<Tensor> inputs) {
        return inputs.stream()
                .map(input -> input.defined() ? Tensors.emptyLike(input) : input)
                .toList();
    }

    /** The kernels that are used. */
    static final class OnGpu implements SequencePasses {
        private final CudaScanLaunch launch;
        private final Tensor y;
        private final Tensor checkpoints;
        private final List<Tensor> gradients;

        OnGpu(ScanInputs in) {
            launch = new CudaScanLaunch(in);
            y = Tensors.emptyLike(in.u());
            checkpoints = launch.newCheckpoints();
            gradients = like(inputs(in));
        }

        @Override
        public Tensor forward() {
            launch.forward(y, Tensors.absent(), checkpoints);
            return y;
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            launch.backward(y, gradY, checkpoints, gradients);
            return gradients;
        }
    }

    /** The kernels that those are compared with. */
    static final class Plain implements SequencePasses {
        private final ScanInputs in;
        private final CudaScanLaunch launch;
        private final Tensor y;

        Plain(ScanInputs in) {
            this.in = in;
            launch = new CudaScanLaunch(in);
            y = Tensors.emptyLike(in.u());
        }

        @Override
        public Tensor forward() {
            launch.plainForward(y);
            return y;
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            Tensor states = Tensors.emptyLike(
                    in.u(),
                    ScalarType.Double,
                    in.u().size(0),
                    in.u().size(1),
                    in.u().size(2),
                    in.a().size(1));
            List<Tensor> gradients = List.of(
                    Tensors.emptyLike(in.u()),
                    Tensors.emptyLike(in.delta()),
                    sum(in.a()),
                    sum(in.b()),
                    sum(in.c()),
                    sum(in.d()),
                    sum(in.deltaBias()),
                    in.z().defined() ? Tensors.emptyLike(in.z()) : in.z(),
                    in.initialState().defined() ? Tensors.emptyLike(in.initialState()) : in.initialState());
            launch.plainBackward(gradY, states, gradients);
            return gradients;
        }

        /** Zeros to add to, in double. */
        private static Tensor sum(Tensor input) {
            return input.defined()
                    ? Tensors.emptyLike(input, ScalarType.Double, input.shape()).zero_()
                    : input;
        }
    }

    /** Core's kernels. */
    static final class OnCpu implements SequencePasses {
        private final SequenceKernels kernels;
        private final ScanInputs in;
        private final Tensor y;
        private final Tensor checkpoints;
        private final List<Tensor> gradients;

        OnCpu(SequenceKernels kernels, ScanInputs in) {
            this.kernels = kernels;
            this.in = in;
            y = Tensors.emptyLike(in.u());
            checkpoints = Tensors.empty(
                    ScalarType.Byte,
                    kernels.scanCheckpointBytes(
                            Math.toIntExact(in.u().size(0)),
                            Math.toIntExact(in.u().size(1)),
                            Math.toIntExact(in.u().size(2)),
                            Math.toIntExact(in.a().size(1))));
            gradients = like(inputs(in));
        }

        @Override
        public Tensor forward() {
            kernels.scanForward(FusedScan.arguments(in, y, Tensors.absent(), checkpoints));
            return y;
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            FusedScan.backward(kernels, in, checkpoints, gradY, gradients);
            return gradients;
        }
    }
}
