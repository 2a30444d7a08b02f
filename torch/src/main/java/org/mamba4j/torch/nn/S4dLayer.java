package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.ComplexTensors;

/**
 * S4D [1]: a {@link LinearLayer} whose A is diagonal, B = 1, discretised by zero-order hold or the bilinear rule.
 *
 * <p>Reference: [1] A. Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization and Initialization of Diagonal State Space
 * Models, arXiv 2206.11893.
 */
final class S4dLayer extends LinearLayer {
    S4dLayer(ComposedLayer layer) {
        super(layer);
    }

    private DiagonalSystem system() {
        boolean complex = layer().parts().isComplex();
        Tensor rate = weight("A_log").exp().neg(); // (D, M)
        Tensor c = weight("C"); // (D, N)
        return DiagonalSystem.of(
                weight("log_dt").exp(),
                complex ? ComplexTensors.of(rate, weight("A_imag")) : rate,
                complex ? ComplexTensors.ofPairs(c) : c,
                layer().parts().discretisation().equals("bilinear"));
    }

    private Tensor weight(String name) {
        return layer().weight("mixer.ssm." + name);
    }

    @Override
    Tensor kernel(long length) {
        return system().kernel(length);
    }

    @Override
    long longestKernel() {
        return Long.MAX_VALUE;
    }

    @Override
    Rates rates() {
        return new Rates(weight("A_log").exp(), torch.real(system().logDecay()).neg());
    }

    @Override
    Response response(long length, Carry carry) {
        return system().response(length);
    }
}
