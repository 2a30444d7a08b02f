package org.mamba4j.torch.train;

import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemMamba;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.nn.Parameter;
import org.mamba4j.torch.parallel.Ranks;

/**
 * A network with its optimiser: one step, one evaluation, and all their tensors in files. With several ranks every one
 * has its own, and all must take the same steps.
 */
final class Learner implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Learner.class.getName());
    private static final String OPTIMISER = "optimizer.safetensors";
    private static final String RANDOM = "random";

    private final LanguageNetwork network;
    private final Descent descent;

    /** With the reference's initial weights, drawn from the configuration's seed. */
    Learner(ModelConfig model, TrainConfig config, Ranks ranks) {
        // libtorch's threads and those of our own kernels are of two kinds, so both are told.
        int threads = config.threads() == 0 ? ranks.threads(Workers.shared().parallelism()) : config.threads();
        Torch.setThreads(threads);
        torch.manual_seed(config.seed());
        network = translated(
                "making the model",
                () -> LanguageNetwork.create(
                        model, MambaKernels.on(config.device(), config.precision(), threads), config.seed()));
        try {
            descent = translated("making the optimiser", () -> descent(network, config, ranks));
        } catch (RuntimeException e) {
            network.close();
            throw e;
        }
    }

    private static Descent descent(LanguageNetwork network, TrainConfig config, Ranks ranks) {
        Optional<GraphDescent> recorded = GraphDescent.of(network, config, ranks);
        if (recorded.isPresent()) {
            return recorded.get();
        }
        if (network instanceof MemMamba && network.kernels().isCuda()) {
            LOG.log(
                    Level.INFO,
                    "a memory with these variants trains by autograd, several times slower than memory_fusion residual,"
                            + " memory_cross_layer_trigger period, memory_importance learned and no memory_newest_size, which have kernels");
        }
        return new AutogradDescent(network, config, ranks);
    }

    /** Runs {@code computation}; libtorch's exceptions become ours. */
    private static <T> T translated(String operation, Supplier<T> computation) {
        try {
            return computation.get();
        } catch (RuntimeException e) {
            throw Torch.translate(operation, e);
        }
    }

    LanguageNetwork network() {
        return network;
    }

    /** As {@link Descent#step}. */
    Descent.Step step(int step, BatchSource source) {
        return translated("training step " + (step + 1), () -> descent.step(step, source));
    }

    /** As {@link Descent#notes}. */
    List<MemoryTraining.Statistics> notes() {
        return descent.notes();
    }

    /** Sum over the batch's tokens of the loss in nats, without a gradient. */
    double evaluate(Batch batch) {
        return translated(
                        "evaluation",
                        () -> NoGrad.call(() -> TensorScope.call(
                                () -> (double) BatchTensors.loss(network, batch).item_float())))
                * batch.rows()
                * batch.length();
    }

    /** How the answers of a batch, which are what has a weight, are predicted. */
    Answers answers(Batch batch) {
        return translated(
                "evaluation",
                () -> NoGrad.call(() -> TensorScope.call(() -> {
                    Tensor likeliest = network.forward(BatchTensors.inputs(batch), BatchTensors.wanted(batch))
                            .argmax(new LongOptional(2), false);
                    double loss = BatchTensors.loss(network, batch).item_float();
                    return Answers.of(batch, Tensors.toLongs(likeliest), loss);
                })));
    }

    /** Writes weights, optimiser and random state into a folder. */
    void save(Path folder) {
        List<SafetensorsWriter.Tensor> weights = new ArrayList<>();
        for (Parameter parameter : network.parameters()) {
            weights.add(TensorFiles.toWrite(parameter.name(), parameter.tensor()));
        }
        Checkpoint.write(folder, network.config(), weights);
        List<SafetensorsWriter.Tensor> state = new ArrayList<>();
        descent.state().forEach((name, tensor) -> state.add(TensorFiles.toWrite(name, tensor)));
        TensorScope.run(() -> {
            Tensor random = torch.getDefaultCPUGenerator().get_state();
            byte[] bytes = Tensors.segment(random).toArray(ValueLayout.JAVA_BYTE);
            state.add(new SafetensorsWriter.Tensor(
                    RANDOM, DType.U8, Shape.of(bytes.length), () -> MemorySegment.ofArray(bytes)));
        });
        SafetensorsWriter.write(folder.resolve(OPTIMISER), Map.of("steps", Integer.toString(descent.steps())), state);
    }

    /** Reads what {@link #save} has written for a model of the same configuration. */
    void load(Path folder) {
        try (Checkpoint weights = Checkpoint.open(folder);
                SafetensorsFile state = SafetensorsFile.open(folder.resolve(OPTIMISER))) {
            for (Parameter parameter : network.parameters()) {
                TensorFiles.fill(parameter.tensor(), DType.F32, weights.data(parameter.name()));
            }
            descent.state().forEach((name, tensor) -> {
                state.requireShape(name, Shape.of(tensor.shape()));
                TensorFiles.fill(tensor, DType.F32, state.data(name));
            });
            descent.restored(Integer.parseInt(state.metadata().getOrDefault("steps", "0")));
            TensorScope.run(() -> {
                Tensor random = torch.getDefaultCPUGenerator().get_state();
                Tensors.segment(random).copyFrom(state.data(RANDOM));
                torch.getDefaultCPUGenerator().set_state(random);
            });
        }
    }

    @Override
    public void close() {
        descent.close();
        network.close();
    }
}
