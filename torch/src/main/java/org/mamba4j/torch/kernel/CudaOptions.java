package org.mamba4j.torch.kernel;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.torch.Tensors;

/** What all CUDA kernels of this package are compiled and launched with. */
record CudaOptions(List<String> list) {
    private static final int VECTOR_BYTES = 16;

    CudaOptions {
        list = List.copyOf(list);
    }

    /** For activations of the type of {@code tensor}, one document a sequence. */
    static CudaOptions of(Tensor tensor) {
        return of(tensor, Tensors.absent());
    }

    /** For activations of the type of {@code tensor} and documents that begin where {@code resets} says, if it is there. */
    static CudaOptions of(Tensor tensor, Tensor resets) {
        return new CudaOptions(List.of("--std=c++17", "-default-device"))
                .with("IO_BF16", tensor.scalar_type().intern() == ScalarType.BFloat16 ? 1 : 0)
                .with("RESETS", resets.defined() ? 1 : 0);
    }

    /** With the macro {@code name} defined as {@code value}. */
    CudaOptions with(String name, int value) {
        List<String> more = new ArrayList<>(list);
        more.add("-D" + name + "=" + value);
        return new CudaOptions(more);
    }

    /** Whether rows of all {@code tensors} that are there begin at multiples of 16 bytes. */
    static boolean aligned(Tensor... tensors) {
        for (Tensor tensor : tensors) {
            if (tensor.defined()) {
                long size = tensor.element_size();
                if (tensor.data_ptr().address() % VECTOR_BYTES != 0
                        || tensor.stride(0) * size % VECTOR_BYTES != 0
                        || tensor.stride(1) * size % VECTOR_BYTES != 0) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Multiprocessors of the current device. */
    static int multiprocessors() {
        return torch_cuda.getCurrentDeviceProperties().multiProcessorCount();
    }
}
