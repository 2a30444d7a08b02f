package org.mamba4j.torch.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.CudaAdamW;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.nn.Parameter;
import org.mamba4j.torch.parallel.GradientExchange;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.parallel.WorkShare;

/**
 * Steps on a GPU: gradients by a {@link GradientPass}, update by {@link CudaAdamW}, both recorded as CUDA graphs and
 * replayed, since the kernels of a small model run for less time than their launches take.
 *
 * <p>What a recorded step reads and writes keeps its address: token ids, targets and weights of the batch at hand, the
 * learning rate, how notes are taken, the loss. Whether loss and gradient are numbers is decided on the GPU, before weights change; the host
 * waits once a step, to read both.
 */
final class GraphDescent implements Descent {
    private final TrainConfig config;
    private final Ranks ranks;
    private final WorkShare work;
    private final GradientExchange exchange;
    private final Schedule schedule;
    private final LanguageNetwork network;
    private final GradientPass pass;
    private final CudaAdamW optimiser;
    private final Map<String, Tensor> state = new LinkedHashMap<>();
    private final Tensor losses;
    private final RecordedWork update;
    private BatchMemory memory = BatchMemory.NONE;
    private RecordedWork gradients = RecordedWork.NONE;
    private RecordedWork lastGradients = RecordedWork.NONE;
    private Ahead ahead = Ahead.NOTHING;
    private List<MemoryTraining.Statistics> notes = List.of();

    /** None where the network's steps cannot be recorded. */
    static Optional<GraphDescent> of(LanguageNetwork network, TrainConfig config, Ranks ranks) {
        TensorScope.run(() -> network.parameters().stream()
                .map(Parameter::tensor)
                .filter(tensor -> !tensor.grad().defined())
                .forEach(tensor -> tensor.mutable_grad().put(torch.zeros_like(tensor.detach()))));
        return GradientPass.of(network, config, ranks).map(pass -> new GraphDescent(network, config, ranks, pass));
    }

    private GraphDescent(LanguageNetwork network, TrainConfig config, Ranks ranks, GradientPass pass) {
        this.config = config;
        this.schedule = config.rates();
        this.network = network;
        this.ranks = ranks;
        this.work = new WorkShare(ranks.rank(), ranks.size(), config.optimiser().accumulate());
        this.exchange = ranks.exchange(network.parameters());
        try (TensorScope scope = new TensorScope()) {
            for (Parameter parameter : network.parameters()) {
                Tensor tensor = parameter.tensor();
                state.put("mean." + parameter.name(), scope.release(torch.zeros_like(tensor.detach())));
                state.put("square." + parameter.name(), scope.release(torch.zeros_like(tensor.detach())));
            }
            Tensor first = network.parameters().iterator().next().tensor().detach();
            losses = scope.release(torch.zeros(new long[] {work.count()}, first.options()));
        }
        this.pass = pass;
        optimiser = TensorScope.call(() -> new CudaAdamW(entries(), settings()));
        update = new RecordedWork("the optimiser's update", () -> TensorScope.run(() -> optimiser.step(losses.sum())));
    }

    private List<CudaAdamW.Entry> entries() {
        return network.parameters().stream()
                .map(parameter -> new CudaAdamW.Entry(
                        parameter.tensor().detach(),
                        parameter.tensor().grad(),
                        state("mean." + parameter.name()),
                        state("square." + parameter.name()),
                        pass.copy(parameter),
                        parameter.decays(),
                        parameter.greatestRate()))
                .toList();
    }

    private Tensor state(String name) {
        return state.getOrDefault(name, Tensors.absent());
    }

    private CudaAdamW.Settings settings() {
        TrainConfig.Optimiser o = config.optimiser();
        return new CudaAdamW.Settings(
                o.beta1(), o.beta2(), o.eps(), o.weightDecay(), o.clipNorm(), 1.0 / o.accumulate(), work.count() > 1);
    }

    @Override
    public Step step(int step, BatchSource source) {
        optimiser.setRate(schedule.rate(step));
        for (int i = 0; i < work.count(); i++) {
            Optional<Batch> part = i == 0 && ahead.is(step, source) ? ahead.part() : work.part(source, step, i);
            int at = i;
            TensorScope.run(() -> {
                Tensor loss = losses.narrow(0, at, 1);
                boolean last = at == work.count() - 1;
                part.ifPresent(batch -> pass.prepare(batch, step, work.batch(step, at)));
                part.ifPresentOrElse(batch -> pass(batch, loss, last), () -> skip(loss, last));
            });
        }
        // While the GPU is at work; and it is here that a rank which is not there any more is noticed.
        ranks.sum();
        exchange.addUp(losses);
        update.run();
        // The GPU is at work: time to make its next batch.
        ahead = new Ahead(List.of(source), step + 1, work.part(source, step + 1, 0));
        notes = config.isMeasured(step + 1) ? pass.notes() : List.of();
        return TensorScope.call(() -> new Step(
                losses.sum().item_float() / config.optimiser().accumulate(),
                optimiser.norm().item_float()));
    }

    /** The first part of a step to come. */
    private record Ahead(List<BatchSource> source, int step, Optional<Batch> part) {
        static final Ahead NOTHING = new Ahead(List.of(), -1, Optional.empty());

        boolean is(int wanted, BatchSource of) {
            return step == wanted && source.getFirst().equals(of);
        }
    }

    @Override
    public List<MemoryTraining.Statistics> notes() {
        return notes;
    }

    private void pass(Batch batch, Tensor loss, boolean last) {
        fill(batch);
        (last ? lastGradients : gradients).run();
        loss.copy_(memory.loss());
    }

    /** Nothing of a batch is this rank's. */
    private void skip(Tensor loss, boolean last) {
        loss.zero_();
        if (work.count() == 1) {
            NoGrad.run(() -> network.parameters()
                    .forEach(parameter -> parameter.tensor().grad().zero_()));
        }
        if (last) {
            exchange.arm();
            exchange.finish();
        }
    }

    /** Puts a batch where the recorded step reads it; a batch of another form needs another recording. */
    private void fill(Batch batch) {
        if (!memory.fits(batch)) {
            gradients.close();
            lastGradients.close();
            memory.close();
            memory = BatchMemory.of(batch, losses);
            gradients = new RecordedWork("the training step", () -> computeGradients(name -> {}));
            // The exchange is recorded too: gradients travel as soon as they are complete, while others are computed.
            lastGradients = ranks.size() > 1
                    ? new RecordedWork("the training step with its exchange", this::exchangeGradients)
                    : gradients;
        }
        memory.fill(batch);
    }

    private void exchangeGradients() {
        exchange.arm();
        computeGradients(exchange::ready);
        exchange.finish();
    }

    private void computeGradients(Consumer<String> ready) {
        // With more than one batch a step, the update has zeroed the gradients, and each batch adds to them.
        boolean add = work.count() > 1;
        pass.run(memory, add, ready);
    }

    @Override
    public Map<String, Tensor> state() {
        return java.util.Collections.unmodifiableMap(state);
    }

    @Override
    public int steps() {
        return TensorScope.call(() -> Math.round(optimiser.steps().item_float()));
    }

    @Override
    public void restored(int steps) {
        optimiser.setSteps(steps);
        pass.refresh();
    }

    @Override
    public void close() {
        gradients.close();
        lastGradients.close();
        update.close();
        memory.close();
        optimiser.close();
        pass.close();
        exchange.close();
        losses.close();
        state.values().forEach(Tensor::close);
    }
}
