package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan on an NVIDIA GPU, by kernels of our own ({@code cuda/selective_scan_*.cu}, each of which explains
 * itself). u, delta, z, b and c are float32 or all bfloat16; parameters, states and arithmetic are float32. Strided rows
 * are read where they are. Between the passes it keeps the inputs, the state before every eight steps in the activations' type, and,
 * where there is a gate, the output.
 */
public final class CudaScan implements SelectiveScan {
    @Override
    public SequenceOutput apply(ScanInputs in, boolean wantState) {
        List<Tensor> inputs =
                List.of(in.u(), in.delta(), in.a(), in.b(), in.c(), in.d(), in.deltaBias(), in.z(), in.initialState());
        boolean train = CustomGradient.wanted(inputs);
        ScanInputs packed = detached(in);
        CudaScanLaunch launch = new CudaScanLaunch(packed);
        Tensor y = Tensors.emptyLike(packed.u());
        Tensor last = wantState ? launch.newStates() : Tensors.absent();
        Tensor checkpoints = train ? launch.newCheckpoints() : Tensors.absent();
        launch.forward(y, last, checkpoints);
        if (train) {
            ScanInputs saved = packed.map(CustomGradient::save);
            Tensor savedCheckpoints = CustomGradient.save(checkpoints);
            Tensor savedY = in.z().defined() ? CustomGradient.save(y) : Tensors.absent();
            CustomGradient.apply(
                    y,
                    inputs,
                    (gradY, gradients) -> new CudaScanLaunch(saved)
                            .backward(savedY, withContiguousRows(gradY), savedCheckpoints, gradients));
        }
        return new SequenceOutput(y, last);
    }

    private static ScanInputs detached(ScanInputs in) {
        check("u", in.u(), in.u());
        check("delta", in.delta(), in.u());
        check("b", in.b(), in.u());
        check("c", in.c(), in.u());
        check("z", in.z(), in.u());
        return new ScanInputs(
                rows(in.u()),
                rows(in.delta()),
                dense(plain(in.a())),
                rows(in.b()),
                rows(in.c()),
                dense(plain(in.d())),
                dense(plain(in.deltaBias())),
                rows(in.z()),
                in.softplus(),
                dense(plain(in.initialState())),
                Documents.onGpu(in.resets()));
    }

    private static Tensor rows(Tensor tensor) {
        return withContiguousRows(plain(tensor));
    }

    private static Tensor plain(Tensor tensor) {
        return tensor.defined() ? tensor.detach() : tensor;
    }

    private static void check(String what, Tensor tensor, Tensor like) {
        if (!tensor.defined()) {
            return;
        }
        ScalarType type = tensor.scalar_type().intern();
        if (!tensor.is_cuda() || type != like.scalar_type().intern() || !CudaScanLaunch.isActivation(type)) {
            throw new IllegalArgumentException(what + " is " + type + (tensor.is_cuda() ? " on a GPU" : " on the CPU")
                    + ": the CUDA scan takes float32 or bfloat16 on a GPU, the same for u, delta, z, b and c");
        }
    }
}
