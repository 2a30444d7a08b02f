package org.mamba4j.torch.train;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemMamba;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.parallel.GradientExchange;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.parallel.WorkShare;

/** Steps by libtorch's autograd: any network, any device. */
final class AutogradDescent implements Descent {
    private final LanguageNetwork network;
    private final TrainConfig config;
    private final Schedule schedule;
    private final Ranks ranks;
    private final WorkShare work;
    private final GradientExchange exchange;
    private final AdamW optimiser;
    private List<MemoryTraining.Statistics> notes = List.of();

    AutogradDescent(LanguageNetwork network, TrainConfig config, Ranks ranks) {
        this.network = network;
        this.config = config;
        this.schedule = config.rates();
        TrainConfig.Optimiser o = config.optimiser();
        this.ranks = ranks;
        this.work = new WorkShare(ranks.rank(), ranks.size(), config.optimiser().accumulate());
        this.exchange = ranks.exchange(network.parameters());
        this.optimiser =
                new AdamW(network.parameters(), new AdamW.Settings(o.beta1(), o.beta2(), o.eps(), o.weightDecay()));
    }

    @Override
    public Step step(int step, BatchSource source) {
        int accumulate = config.optimiser().accumulate();
        optimiser.zeroGradients();
        notes = List.of();
        double sum = 0;
        for (int i = 0; i < work.count(); i++) {
            if (i == work.count() - 1) {
                exchange.arm();
            }
            Optional<Batch> part = work.part(source, step, i);
            if (part.isPresent()) {
                sum += pass(part.get(), step, work.batch(step, i));
            }
        }
        // Before the gradients: it is here that a rank which is not there any more is noticed.
        double total = ranks.sum(sum)[0];
        exchange.finish();
        if (accumulate > 1) {
            optimiser.scaleGradients(1.0 / accumulate);
        }
        Step done =
                new Step(total / accumulate, optimiser.clip(config.optimiser().clipNorm()));
        if (done.isFinite()) {
            optimiser.step(schedule.rate(step));
        }
        return done;
    }

    /** Adds the gradient of this rank's part of a batch; its loss, as part of the whole batch's. */
    private double pass(Batch part, int step, long number) {
        return TensorScope.call(() -> {
            Tensor loss = trainingLoss(part, step, number);
            loss.backward();
            return (double) loss.item_float();
        });
    }

    /** The loss that is descended on; with a memory, the price of its notes is part of it. */
    private Tensor trainingLoss(Batch batch, int step, long pass) {
        if (!(network instanceof MemMamba memory)) {
            return BatchTensors.loss(network, batch);
        }
        MemoryCourse course =
                MemoryCourse.of(config.notes(), memory.config().memory().poolSize());
        double progress = (double) step / config.schedule().steps();
        MemoryCourse.Stage stage = course.at(progress, batch.length());
        MemoryTraining training = stage.training(MemoryCourse.seed(config.seed(), pass));
        Tensor inputs = BatchTensors.inputs(batch);
        Tensor targets = BatchTensors.targets(batch);
        Tensor loss = batch.isWeighted()
                ? memory.loss(inputs, targets, BatchTensors.weights(batch), training)
                : memory.loss(inputs, targets, training);
        if (config.isMeasured(step + 1)) {
            notes = training.statistics(); // of the last of several batches
        }
        return stage.priced(loss, training);
    }

    @Override
    public List<MemoryTraining.Statistics> notes() {
        return notes;
    }

    @Override
    public Map<String, Tensor> state() {
        return optimiser.state();
    }

    @Override
    public int steps() {
        return optimiser.steps();
    }

    @Override
    public void restored(int steps) {
        optimiser.setSteps(steps);
    }

    @Override
    public void close() {
        optimiser.close();
        exchange.close();
    }
}
