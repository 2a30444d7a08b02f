package org.mamba4j.torch.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;

/** Recorded work equals the same work run at once, whatever has been allocated in between. */
@Tag("gpu")
@SuppressWarnings("try") // a scope is there to be closed, not to be used
class CapturedGraphTest {
    private static final int SIZE = 300;

    @BeforeAll
    static void needsGpu() {
        Torch.load();
        assumeTrue(torch.hasCUDA() && torch.cuda_is_available(), "skipped: no CUDA device");
    }

    @Test
    void replaysForwardAndBackwardOnNewInputs() {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = onGpu(randn(1));
            Tensor weight = onGpu(randn(2)).requires_grad_(true);
            Runnable step = () -> {
                try (TensorScope inner = new TensorScope()) {
                    weight.mutable_grad().zero_();
                    loss(x, weight).backward();
                }
            };
            // Makes the gradient outside of the graph's memory; its graph is gone before another is recorded.
            TensorScope.run(() -> loss(x, weight).backward());
            CapturedGraph.rehearse(step);
            try (CapturedGraph graph = CapturedGraph.record(step)) {
                for (int seed = 10; seed < 14; seed++) {
                    x.copy_(onGpu(randn(seed)));
                    TensorScope.run(
                            () -> { // would overwrite the graph's temporaries if it could be given them
                                for (int i = 0; i < 20; i++) {
                                    onGpu(Tensors.zeros(SIZE, SIZE)).fill_(new Scalar(Float.NaN));
                                }
                            });
                    graph.replay();
                    float[] replayed = Tensors.toFloats(weight.grad());
                    step.run();
                    assertThat(replayed).containsExactly(Tensors.toFloats(weight.grad()));
                }
            }
        }
    }

    @Test
    void givesItsMemoryBack() {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = onGpu(randn(1));
            Tensor sum = onGpu(Tensors.zeros(1));
            Runnable work = () -> {
                try (TensorScope inner = new TensorScope()) {
                    sum.copy_(x.repeat(40, 40).mul(new Scalar(2)).sum().reshape(1)); // 576 MB twice
                }
            };
            CapturedGraph.rehearse(work);
            torch_cuda.getAllocator().emptyCache();
            long before = free();
            for (int i = 0; i < 3; i++) {
                CapturedGraph graph = CapturedGraph.record(work);
                graph.replay();
                assertThat(before - free()).as("bytes of one graph").isGreaterThan(1L << 30);
                graph.close();
                torch_cuda.getAllocator().emptyCache();
                assertThat(before - free()).as("bytes left behind").isLessThan(64L << 20);
                assertThatThrownBy(graph::replay).hasMessageContaining("closed");
            }
        }
    }

    @Test
    void sendsAnErrorOnAndCanRecordAgain() {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = onGpu(randn(1));
            assertThatThrownBy(() -> CapturedGraph.record(() -> {
                        x.mul_(new Scalar(2));
                        throw new IllegalStateException("on purpose");
                    }))
                    .hasMessage("on purpose");
            float[] before = Tensors.toFloats(x);
            try (CapturedGraph graph = CapturedGraph.record(() -> x.mul_(new Scalar(2)))) {
                graph.replay();
                assertThat(Tensors.toFloats(x)[0]).isEqualTo(2 * before[0]);
            }
        }
    }

    private static Tensor loss(Tensor x, Tensor weight) {
        Tensor hidden = torch.mm(x, weight).relu();
        return torch.mm(hidden, weight).pow(new Scalar(2)).mean();
    }

    private static long free() {
        torch_cuda.device_synchronize();
        return torch_cuda.getAllocator().getMemoryInfo((byte) 0).first();
    }

    private static Tensor randn(int seed) {
        torch.manual_seed(seed);
        return torch.randn(SIZE, SIZE);
    }

    private static Tensor onGpu(Tensor tensor) {
        return tensor.to(new Device("cuda"), torch.ScalarType.Float);
    }
}
