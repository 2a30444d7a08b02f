package org.mamba4j.torch.train;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
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

/** A network with its optimiser: one step, one evaluation, and all their tensors in files. */
final class Learner implements AutoCloseable {
    private static final String OPTIMISER = "optimizer.safetensors";
    private static final String RANDOM = "random";

    private final LanguageNetwork network;
    private final AdamW optimiser;
    private final TrainConfig config;
    private final Schedule schedule;

    /**
     * What a step did.
     *
     * @param loss mean over its batches, nats per token
     * @param gradientNorm before clipping
     */
    record Step(double loss, double gradientNorm) {
        boolean isFinite() {
            return Double.isFinite(loss) && Double.isFinite(gradientNorm);
        }
    }

    /** With the reference's initial weights, drawn from the configuration's seed. */
    Learner(ModelConfig model, TrainConfig config) {
        this.config = config;
        this.schedule = config.rates();
        // libtorch's threads and those of our own kernels are of two kinds, so both are told.
        int threads = config.threads() == 0 ? Workers.shared().parallelism() : config.threads();
        Torch.setThreads(threads);
        torch.manual_seed(config.seed());
        network = translated(
                "making the model",
                () -> LanguageNetwork.create(
                        model, MambaKernels.on(config.device(), config.precision(), threads), config.seed()));
        TrainConfig.Optimiser o = config.optimiser();
        AdamW.Settings settings = new AdamW.Settings(o.beta1(), o.beta2(), o.eps(), o.weightDecay());
        try {
            optimiser = translated("making the optimiser", () -> new AdamW(network.parameters(), settings));
        } catch (RuntimeException e) {
            network.close();
            throw e;
        }
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

    /**
     * One step of gradient descent. Weights change only if loss and gradient are numbers.
     *
     * @param step counted from 0
     * @param source its batches are those from {@code step · accumulate} on
     */
    Step step(int step, BatchSource source) {
        return translated("training step " + (step + 1), () -> descend(step, source));
    }

    private Step descend(int step, BatchSource source) {
        int accumulate = config.optimiser().accumulate();
        optimiser.zeroGradients();
        double sum = 0;
        for (int micro = 0; micro < accumulate; micro++) {
            Batch batch = source.batch((long) step * accumulate + micro);
            long pass = (long) step * accumulate + micro;
            sum += TensorScope.call(() -> {
                Tensor loss = trainingLoss(batch, step, pass);
                loss.backward();
                return (double) loss.item_float();
            });
        }
        if (accumulate > 1) {
            optimiser.scaleGradients(1.0 / accumulate);
        }
        Step done = new Step(sum / accumulate, optimiser.clip(config.optimiser().clipNorm()));
        if (done.isFinite()) {
            optimiser.step(schedule.rate(step));
        }
        return done;
    }

    /** Sum over the batch's tokens of the loss in nats, without a gradient. */
    double evaluate(Batch batch) {
        return translated(
                        "evaluation",
                        () -> NoGrad.call(() ->
                                TensorScope.call(() -> (double) loss(batch).item_float())))
                * batch.rows()
                * batch.length();
    }

    /** The loss that is descended on; with a memory, the price of its notes is part of it. */
    private Tensor trainingLoss(Batch batch, int step, long pass) {
        if (!(network instanceof MemMamba memory)) {
            return loss(batch);
        }
        int poolSize = memory.config().memory().poolSize();
        MemoryCourse course = new MemoryCourse(
                poolSize,
                Math.max(poolSize, config.notes().dense()),
                config.notes().price());
        double progress = (double) step / config.schedule().steps();
        MemoryCourse.Stage stage = course.at(progress, batch.length());
        MemoryTraining training = stage.training(config.seed() * 0x9E3779B97F4A7C15L + pass);
        Tensor loss = batch.isWeighted()
                ? memory.loss(inputs(batch), targets(batch), weights(batch), training)
                : memory.loss(inputs(batch), targets(batch), training);
        return stage.priced(loss, training);
    }

    private Tensor loss(Batch batch) {
        return batch.isWeighted()
                ? network.loss(inputs(batch), targets(batch), weights(batch))
                : network.loss(inputs(batch), targets(batch));
    }

    private static Tensor inputs(Batch batch) {
        return Tensors.ofTokens(batch.inputs(), 0, batch.rows(), batch.length());
    }

    private static Tensor targets(Batch batch) {
        return Tensors.ofTokens(batch.targets(), 0, batch.rows(), batch.length());
    }

    private static Tensor weights(Batch batch) {
        return Tensors.of(batch.weights(), batch.rows(), batch.length());
    }

    /** Writes weights, optimiser and random state into a folder. */
    void save(Path folder) {
        List<SafetensorsWriter.Tensor> weights = new ArrayList<>();
        for (Parameter parameter : network.parameters()) {
            weights.add(TensorFiles.toWrite(parameter.name(), parameter.tensor()));
        }
        Checkpoint.write(folder, network.config(), weights);
        List<SafetensorsWriter.Tensor> state = new ArrayList<>();
        optimiser.state().forEach((name, tensor) -> state.add(TensorFiles.toWrite(name, tensor)));
        TensorScope.run(() -> {
            Tensor random = torch.getDefaultCPUGenerator().get_state();
            byte[] bytes = Tensors.segment(random).toArray(ValueLayout.JAVA_BYTE);
            state.add(new SafetensorsWriter.Tensor(
                    RANDOM, DType.U8, Shape.of(bytes.length), () -> MemorySegment.ofArray(bytes)));
        });
        SafetensorsWriter.write(folder.resolve(OPTIMISER), Map.of("steps", Integer.toString(optimiser.steps())), state);
    }

    /** Reads what {@link #save} has written for a model of the same configuration. */
    void load(Path folder) {
        try (Checkpoint weights = Checkpoint.open(folder);
                SafetensorsFile state = SafetensorsFile.open(folder.resolve(OPTIMISER))) {
            for (Parameter parameter : network.parameters()) {
                TensorFiles.fill(parameter.tensor(), DType.F32, weights.data(parameter.name()));
            }
            optimiser.state().forEach((name, tensor) -> {
                state.requireShape(name, Shape.of(tensor.shape()));
                TensorFiles.fill(tensor, DType.F32, state.data(name));
            });
            optimiser.setSteps(Integer.parseInt(state.metadata().getOrDefault("steps", "0")));
            TensorScope.run(() -> {
                Tensor random = torch.getDefaultCPUGenerator().get_state();
                Tensors.segment(random).copyFrom(state.data(RANDOM));
                torch.getDefaultCPUGenerator().set_state(random);
            });
        }
    }

    @Override
    public void close() {
        optimiser.close();
        network.close();
    }
}
