package org.mamba4j.torch.train;

import java.util.function.Consumer;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.Parameter;

/**
 * Gradients by libtorch's autograd, in a form that can be recorded. A pass of some thousand small kernels takes Java and
 * libtorch 10 to 20 ms to launch, however small the model; replayed, it takes as long as its kernels.
 */
final class AutogradGradients implements GradientPass {
    private final LanguageNetwork network;
    private final IValue gradients;

    AutogradGradients(LanguageNetwork network) {
        this.network = network;
        try (TensorScope scope = new TensorScope()) {
            gradients = scope.release(Operators.list(network.parameters().stream()
                    .map(parameter -> parameter.tensor().grad())
                    .toList()));
        }
    }

    @Override
    public void run(BatchMemory memory, boolean add, Consumer<String> ready) {
        TensorScope.run(() -> {
            if (!add) {
                NoGrad.run(() -> Operators.zero(gradients));
            }
            Tensor loss = memory.weights().defined()
                    ? network.loss(memory.inputs(), memory.targets(), memory.weights())
                    : network.loss(memory.inputs(), memory.targets());
            loss.backward();
            memory.loss().copy_(loss.detach());
        });
        network.parameters().stream().map(Parameter::name).forEach(ready);
    }

    @Override
    public void close() {
        gradients.close();
    }
}
