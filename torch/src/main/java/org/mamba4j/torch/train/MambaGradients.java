package org.mamba4j.torch.train;

import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.Batch;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.TrainedWeight;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MambaPass;
import org.mamba4j.torch.nn.MemMamba;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.nn.Parameter;

/** Gradients of a Mamba or MemMamba by {@link MambaPass}; with a memory, its course says how notes are taken. */
final class MambaGradients implements GradientPass {
    private final LanguageNetwork network;
    private final TrainConfig config;
    private final MambaPass pass;

    MambaGradients(LanguageNetwork network, TrainConfig config) {
        this.network = network;
        this.config = config;
        this.pass = new MambaPass(network, config.recompute());
    }

    @Override
    public void prepare(Batch batch, int step, long number) {
        if (network instanceof MemMamba memory) {
            MemoryCourse.Stage stage = MemoryCourse.of(
                            config.notes(), memory.config().memory().poolSize())
                    .at((double) step / config.schedule().steps(), batch.length());
            pass.memories()
                    .prepare(
                            stage.training(MemoryCourse.seed(config.seed(), number)),
                            stage.freeShare(),
                            stage.price(),
                            (long) batch.rows() * batch.length(),
                            batch.length());
        }
    }

    @Override
    public void run(BatchMemory memory, boolean add, Consumer<String> ready) {
        pass.run(memory.inputs(), memory.targets(), memory.weights(), memory.loss(), add, ready);
    }

    @Override
    public Tensor copy(Parameter parameter) {
        TrainedWeight weight = pass.weights().getOrDefault(parameter.name(), TrainedWeight.ABSENT);
        return weight.isCopied() ? weight.compute() : Tensors.absent();
    }

    @Override
    public void refresh() {
        pass.refresh();
    }

    @Override
    public List<MemoryTraining.Statistics> notes() {
        return pass.memories().statistics();
    }

    @Override
    public void close() {
        pass.close();
    }
}
