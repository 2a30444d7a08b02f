package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.Parameter;
import org.mamba4j.torch.parallel.GradientExchange;
import org.mamba4j.torch.parallel.RankThreads;
import org.mamba4j.torch.parallel.Ranks;

/** Several ranks, here threads of one process, give what one rank gives. */
@Timeout(60)
class DataParallelTest {
    private static final int STEPS = 6;

    @TempDir
    Path folder;

    /** Made-up batches of five sequences; one of them too small for every rank to have a row. */
    private record MadeUp(boolean weighted) implements BatchSource {
        @Override
        public Batch batch(long index) {
            Random random = new Random(index);
            int rows = index == 3 ? 1 : 5;
            int[] inputs = random.ints(rows * 24L, 0, 256).toArray();
            int[] targets = random.ints(rows * 24L, 0, 256).toArray();
            if (!weighted) {
                return Batch.of(rows, inputs, targets);
            }
            float[] weights = new float[inputs.length];
            for (int i = 0; i < weights.length; i++) {
                // The first row counts for little; the last one of a batch not at all.
                boolean counts = random.nextInt(4) == 0 && (i / 24 < rows - 1 || rows == 1);
                weights[i] = counts ? (i < 24 ? 0.1f : 1 + random.nextFloat()) : 0;
            }
            return Batch.weighted(rows, inputs, targets, weights);
        }

        @Override
        public long batchesPerEpoch() {
            return Long.MAX_VALUE;
        }

        @Override
        public int vocabSize() {
            return 256;
        }
    }

    /** Losses and norms of all steps, and the weights after them. */
    private record Outcome(List<Double> losses, List<Double> norms, List<float[]> weights) {}

    private static Outcome learn(TrainConfig config, BatchSource source, Ranks ranks) {
        List<Double> losses = new ArrayList<>();
        List<Double> norms = new ArrayList<>();
        List<float[]> weights = new ArrayList<>();
        try (Learner learner = new Learner(config.model().config(256), config, ranks)) {
            for (int step = 0; step < STEPS; step++) {
                Descent.Step done = learner.step(step, source);
                losses.add(done.loss());
                norms.add(done.gradientNorm());
            }
            for (Parameter parameter : learner.network().parameters()) {
                weights.add(Tensors.toFloats(parameter.tensor()));
            }
        }
        return new Outcome(losses, norms, weights);
    }

    @ParameterizedTest(name = "{0} ranks, {1} batches a step, weighted {2}, clipped at {3}")
    @CsvSource({
        "2, 1, false, 0.5",
        "2, 2, false, 1",
        "3, 2, false, 0",
        "4, 2, false, 1",
        "2, 1, true, 1",
        "3, 2, true, 0.5",
        "5, 1, true, 1",
    })
    void ranksLearnWhatOneLearns(int size, int accumulate, boolean weighted, double clip) throws Exception {
        TrainConfig config = TinyRuns.config(
                folder, "run", "optimiser.accumulate=" + accumulate, "optimiser.clip_norm=" + clip, "threads=1");
        BatchSource source = new MadeUp(weighted);
        Outcome one = learn(config, source, Ranks.alone());

        List<Outcome> all = RankThreads.run(size, ranks -> learn(config, source, ranks));

        for (Outcome outcome : all) {
            assertThat(outcome.losses()).isEqualTo(all.getFirst().losses());
            assertThat(outcome.norms()).isEqualTo(all.getFirst().norms());
            for (int i = 0; i < outcome.weights().size(); i++) {
                assertThat(outcome.weights().get(i))
                        .containsExactly(all.getFirst().weights().get(i));
            }
        }
        for (int step = 0; step < STEPS; step++) {
            assertClose(all.getFirst().losses().get(step), one.losses().get(step), 2e-6);
            assertClose(all.getFirst().norms().get(step), one.norms().get(step), 2e-5);
        }
        assertSameWeights(all.getFirst().weights(), one.weights());
    }

    @Test
    void aRunMayChangeItsRanks() throws Exception {
        TrainConfig whole = TinyRuns.config(folder, "whole", "threads=1", "optimiser.eps=1e-5");
        Trainer.train(whole, TrainListener.SILENT);
        TrainConfig parts = TinyRuns.config(folder, "parts", "threads=1", "optimiser.eps=1e-5");

        List<Integer> seen = new ArrayList<>();
        for (int[] session : new int[][] {{2, 5}, {4, 10}, {1, 15}, {3, 24}}) {
            int first = seen.isEmpty() ? 0 : seen.getLast();
            int last = session[1];
            int steps = last == 24 ? Integer.MAX_VALUE : last - first;
            List<TrainResult> results = RankThreads.run(
                    session[0],
                    ranks -> Trainer.resume(
                            parts, TrainSession.of(TrainListener.SILENT).among(new StoppingRanks(ranks, steps))));
            seen.add(results.getFirst().step());
            assertThat(results).allMatch(result -> result.step() == last && result.finished() == (last == 24));
        }

        assertThat(seen).containsExactly(5, 10, 15, 24);
        assertSameWeights(weights(folder.resolve("parts")), weights(folder.resolve("whole")));
        List<Metrics> a = Metrics.of(folder.resolve("whole"));
        List<Metrics> b = Metrics.of(folder.resolve("parts"));
        assertThat(b).hasSameSizeAs(a);
        for (int i = 0; i < a.size(); i++) {
            assertThat(b.get(i).values().keySet()).isEqualTo(a.get(i).values().keySet());
            for (String name : List.of(Metrics.TRAIN_LOSS, Metrics.VALID_LOSS, Metrics.GRADIENT_NORM, Metrics.TOKENS)) {
                assertClose(b.get(i).get(name), a.get(i).get(name), 1e-4);
            }
        }
    }

    @Test
    void moreRanksThanWorkAreRefused() throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run");

        Trainer.checkRanks(config, 8);
        assertThatThrownBy(() -> Trainer.checkRanks(config, 16))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("16 ranks would cut a batch of 4 windows into 8")
                .hasMessageContaining("data.batch times optimiser.accumulate");
        assertThatThrownBy(() -> Trainer.checkRanks(TinyRuns.config(folder, "run", "model.type=memmamba"), 2))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("2 ranks cannot train a memmamba");
    }

    /** The last of these ranks is asked to stop, as by Ctrl-C, in a certain step. */
    private static final class StoppingRanks implements Ranks {
        private final Ranks ranks;
        private final int last;
        private int steps;

        StoppingRanks(Ranks ranks, int last) {
            this.ranks = ranks;
            this.last = last;
        }

        @Override
        public GradientExchange exchange(Collection<Parameter> parameters) {
            GradientExchange exchange = ranks.exchange(parameters);
            return new GradientExchange() {
                @Override
                public void arm() {
                    steps++;
                    exchange.arm();
                }

                @Override
                public void ready(String names) {
                    exchange.ready(names);
                }

                @Override
                public void addUp(Tensor numbers) {
                    exchange.addUp(numbers);
                }

                @Override
                public void finish() {
                    exchange.finish();
                }

                @Override
                public void close() {
                    exchange.close();
                }
            };
        }

        @Override
        public void watch(BooleanSupplier wish) {
            ranks.watch(() -> wish.getAsBoolean() || (rank() == size() - 1 && steps >= last));
        }

        @Override
        public int rank() {
            return ranks.rank();
        }

        @Override
        public int size() {
            return ranks.size();
        }

        @Override
        public int threads(int processors) {
            return ranks.threads(processors);
        }

        @Override
        public double[] sum(double... values) {
            return ranks.sum(values);
        }

        @Override
        public String fromFirst(String text) {
            return ranks.fromFirst(text);
        }

        @Override
        public boolean isAsked() {
            return ranks.isAsked();
        }

        @Override
        public void finish() {}

        @Override
        public void close() {}
    }

    private static List<float[]> weights(Path run) {
        List<float[]> all = new ArrayList<>();
        try (Checkpoint checkpoint =
                Checkpoint.open(Checkpoints.of(run).list().getLast().folder())) {
            for (var spec : checkpoint.config().parameters()) {
                assertThat(checkpoint.info(spec.name()).dtype()).isEqualTo(DType.F32);
                all.add(checkpoint.data(spec.name()).toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED));
            }
        }
        return all;
    }

    private static void assertSameWeights(List<float[]> actual, List<float[]> expected) {
        double worst = 0;
        double largest = 0;
        for (int i = 0; i < expected.size(); i++) {
            for (int j = 0; j < expected.get(i).length; j++) {
                worst = Math.max(worst, Math.abs(actual.get(i)[j] - expected.get(i)[j]));
                largest = Math.max(largest, Math.abs(expected.get(i)[j]));
            }
        }
        System.out.printf("weights up to %.3f differ by %.2e%n", largest, worst);
        assertThat(worst).isLessThan(2e-5);
    }

    private static void assertClose(double actual, double expected, double tolerance) {
        if (!Double.isNaN(expected)) {
            assertThat(actual).isCloseTo(expected, org.assertj.core.data.Offset.offset(tolerance * Math.abs(expected)));
        }
    }
}
