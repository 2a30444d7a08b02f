package org.mamba4j.torch.train;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.Batch;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MambaPass;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.nn.Parameter;
import org.mamba4j.torch.parallel.Ranks;

/** How gradients are computed where a step is to be recorded: on a GPU, the same kernels each time, waiting for nothing. */
interface GradientPass extends AutoCloseable {
    /** The fastest for a network whose parameters have gradients; none where its steps cannot be recorded. */
    static Optional<GradientPass> of(LanguageNetwork network, TrainConfig config, Ranks ranks) {
        if (MambaPass.covers(network)) {
            return Optional.of(new MambaGradients(network, config));
        }
        // Several ranks exchange gradients by hooks of autograd's, which are not made to be recorded.
        return network.kernels().isCuda() && network.isRecordable() && ranks.size() == 1
                ? Optional.of(new AutogradGradients(network))
                : Optional.empty();
    }

    /** Called before a batch is computed: for what depends on the step. Not recorded. */
    default void prepare(Batch batch, int step, long number) {}

    /**
     * Computes the loss of a batch and the gradient of each parameter.
     *
     * @param memory the batch, and where the loss goes
     * @param add whether to add to the gradients instead of overwriting them
     * @param ready is told the names of parameters, or the beginning they share, as soon as their gradients are complete
     */
    void run(BatchMemory memory, boolean add, Consumer<String> ready);

    /** What products read in the place of {@code parameter}, to be kept equal to it; absent if they read it itself. */
    default Tensor copy(Parameter parameter) {
        return Tensors.absent();
    }

    /** Makes the copies again, after something else than the optimiser set the parameters. */
    default void refresh() {}

    /** As {@link Descent#notes}, of the last batch. */
    default List<MemoryTraining.Statistics> notes() {
        return List.of();
    }

    @Override
    void close();
}
