package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.memory.RandomImportance;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

class MemMambaTest {
    private static final int LENGTH = 31;

    static Stream<MemoryConfig> variants() {
        return MemoryVariants.all();
    }

    private static float[] logits(LanguageNetwork model, int[] tokens, int rows) {
        return NoGrad.call(() -> TensorScope.call(
                () -> Tensors.toFloats(model.forward(Tensors.ofTokens(tokens, 0, rows, tokens.length / rows)))));
    }

    @ParameterizedTest
    @MethodSource("variants")
    void whatComesLaterChangesNothingBefore(MemoryConfig memory) {
        try (MemMamba model = MemoryModels.random(memory, 1)) {
            int[] tokens = MemoryModels.text(LENGTH, 2);
            float[] before = logits(model, tokens, 1);
            for (int t : new int[] {0, 1, 3, 4, 7, 8, 17, LENGTH - 1}) {
                int[] changed = tokens.clone();
                changed[t] = (changed[t] + 1) % MemoryModels.VOCABULARY;
                float[] after = logits(model, changed, 1);
                int same = t * MemoryModels.VOCABULARY;
                assertThat(Arrays.copyOf(after, same)).isEqualTo(Arrays.copyOf(before, same));
                assertThat(after).isNotEqualTo(before);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"residual", "gate", "plain", "product", "conv", "scalar"})
    void untrainedItIsTheMambaThatItWraps(String fusion) {
        MemMambaConfig config =
                MemoryModels.config(MemoryModels.memory().fusion(fusion).build());
        try (MemMamba model = MemMamba.create(config, Gpu.kernelsUnderTest(), 5);
                Mamba mamba = Mamba.create(config.mamba(), Gpu.kernelsUnderTest(), 5)) {
            int[] tokens = MemoryModels.text(2 * LENGTH, 6);
            assertThat(logits(model, tokens, 2)).isEqualTo(logits(mamba, tokens, 2));
            assertThat(logits(MemoryModels.randomised(model, 5), tokens, 2)).isNotEqualTo(logits(mamba, tokens, 2));
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void batchItemsDoNotSeeEachOther(MemoryConfig memory) {
        try (MemMamba model = MemoryModels.random(memory, 7)) {
            int[] tokens = MemoryModels.text(3 * LENGTH, 8);
            float[] together = logits(model, tokens, 3);
            int each = LENGTH * MemoryModels.VOCABULARY;
            for (int b = 0; b < 3; b++) {
                float[] alone = logits(model, Arrays.copyOfRange(tokens, b * LENGTH, (b + 1) * LENGTH), 1);
                assertThat(Arrays.copyOfRange(together, b * each, (b + 1) * each))
                        .usingComparatorWithPrecision(1e-5f)
                        .containsExactly(alone);
            }
        }
    }

    @Test
    void bothSelectionsGiveTheSameModel() {
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba ranked = MemMamba.create(config, Gpu.kernelsUnderTest(), new RankedSelection(), 3);
                MemMamba merged = MemMamba.create(config, Gpu.kernelsUnderTest(), new MergedSelection(), 3)) {
            int[] tokens = MemoryModels.text(2 * LENGTH, 4);
            assertThat(logits(MemoryModels.randomised(ranked, 9), tokens, 2))
                    .isEqualTo(logits(MemoryModels.randomised(merged, 9), tokens, 2));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void gradientsAgreeWithAPlainVersion(long seed) {
        try (MemMamba model = MemoryModels.random(MemoryModels.memory().build(), seed)) {
            int[] tokens = MemoryModels.text(LENGTH + 1, seed + 20);
            Map<String, float[]> plain = gradients(
                    model, tokens, ids -> model.crossEntropy(new PlainMemory(model).logits(ids), targets(tokens)));
            Map<String, float[]> batched = gradients(model, tokens, ids -> model.loss(ids, targets(tokens)));
            assertThat(batched.keySet()).isEqualTo(plain.keySet());
            for (String name : plain.keySet()) {
                float[] expected = plain.getOrDefault(name, new float[0]);
                double greatest = greatest(expected);
                assertThat(batched.getOrDefault(name, new float[0]))
                        .as("%s, seed %d", name, seed)
                        .usingComparatorWithPrecision((float) (1e-4 * greatest + 1e-8))
                        .containsExactly(expected);
                boolean reached = !name.endsWith("threshold");
                assertThat(greatest > 0)
                        .as("%s receives a gradient, seed %d", name, seed)
                        .isEqualTo(reached);
            }
        }
    }

    @Test
    void atFirstOnlyTheValuesOfTheMemoryReceiveAGradient() {
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba model = MemMamba.create(config, Gpu.kernelsUnderTest(), 11)) {
            int[] tokens = MemoryModels.text(LENGTH + 1, 12);
            gradients(model, tokens, ids -> model.loss(ids, targets(tokens))).forEach((name, gradient) -> {
                boolean reached = !name.contains(".memory.") || name.endsWith("value.weight");
                assertThat(greatest(gradient) > 0).as(name).isEqualTo(reached);
            });
        }
    }

    private interface Loss {
        Tensor of(Tensor ids);
    }

    private static Map<String, float[]> gradients(MemMamba model, int[] tokens, Loss loss) {
        return TensorScope.call(() -> {
            loss.of(Tensors.ofTokens(tokens, 0, 1, tokens.length - 1)).backward();
            Map<String, float[]> all = new LinkedHashMap<>();
            for (Parameter parameter : model.parameters()) {
                Tensor gradient = parameter.tensor().grad();
                all.put(
                        parameter.name(),
                        gradient.defined()
                                ? Tensors.toFloats(gradient)
                                : new float[(int) parameter.tensor().numel()]);
                if (gradient.defined()) {
                    NoGrad.run(gradient::zero_);
                }
            }
            return all;
        });
    }

    private static Tensor targets(int[] tokens) {
        return Tensors.ofTokens(tokens, 1, 1, tokens.length - 1);
    }

    private static double greatest(float[] values) {
        double greatest = 0;
        for (float value : values) {
            greatest = Math.max(greatest, Math.abs(value));
        }
        return greatest;
    }

    private static <T> T step(Supplier<T> body) {
        return TensorScope.call(body);
    }

    @Test
    void theDensePhaseNotesEveryTokenAndReadsThemAll() {
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba model = MemoryModels.randomised(MemMamba.create(config, Gpu.kernelsUnderTest(), 1), 1)) {
            int[] tokens = MemoryModels.text(2 * LENGTH, 2);
            Tensor ids = Tensors.ofTokens(tokens, 0, 2, LENGTH);
            MemoryTraining dense = new MemoryTraining(new MemoryTraining.Controls(LENGTH, true, 0, 0, false));
            List<MemoryTraining.Statistics> statistics = step(() -> {
                model.forward(ids, dense);
                return dense.statistics();
            });
            assertThat(statistics).extracting(MemoryTraining.Statistics::layer).containsExactly(1, 2, 3);
            for (MemoryTraining.Statistics layer : statistics) {
                assertThat(layer.noteRate()).isEqualTo(1);
                assertThat(layer.attentionOnNotes()).isBetween(0.0, 1.0);
                assertThat(Double.isNaN(layer.attentionBelow())).isEqualTo(layer.layer() != 3);
            }
            ids.close();
        }
    }

    @Test
    void atRandomTheScorerDoesNotMatterAndPlacesAreSpread() {
        MemMambaConfig config =
                MemoryModels.config(MemoryModels.memory().importance("random").build());
        try (MemMamba model = MemoryModels.random(config.memory(), 1)) {
            int[] tokens = MemoryModels.text(200, 2);
            float[] before = logits(model, tokens, 1);
            for (Parameter parameter : model.parameters()) {
                if (parameter.name().contains(".score_")) {
                    MambaInit.set(parameter, () -> 7);
                }
            }
            assertThat(logits(model, tokens, 1)).isEqualTo(before);
        }
        float[] importance = RandomImportance.of(2, 1_000_000, 100_000);
        double mean = 0;
        for (int i = 0; i < importance.length; i++) {
            assertThat(importance[i])
                    .isBetween(4f, Math.nextDown(5f))
                    .isEqualTo(RandomImportance.of(2, 1_000_000L + i));
            mean += importance[i] / (double) importance.length;
        }
        assertThat(mean).isCloseTo(4.5, within(0.005)); // five times the standard deviation of such a mean
        assertThat(RandomImportance.of(3, 1_000_000, 10)).isNotEqualTo(Arrays.copyOf(importance, 10));
    }

    @Test
    void thresholdsMoveToTheQuantileOfTheScores() {
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba model = MemoryModels.random(config.memory(), 1)) {
            int[] tokens = MemoryModels.text(2 * LENGTH, 2);
            double rate = 0;
            for (int i = 0; i < 120; i++) {
                MemoryTraining training = new MemoryTraining(new MemoryTraining.Controls(4, false, 0, i, true));
                rate = step(() -> NoGrad.call(() -> {
                    model.forward(Tensors.ofTokens(tokens, 0, 2, LENGTH), training);
                    return training.statistics().getFirst().noteRate();
                }));
            }
            assertThat(rate).isCloseTo(1.5 * 4 / LENGTH, within(2.0 / (2 * LENGTH)));
            float moved =
                    model.weights().get("backbone.layers.1.memory.threshold").item_float();
            logits(model, tokens, 2);
            assertThat(model.weights().get("backbone.layers.1.memory.threshold").item_float())
                    .as("frozen at inference")
                    .isEqualTo(moved)
                    .isNotZero();
        }
    }

    @Test
    void explorationNotesAtRandomAndRanksItAboveAll() {
        NotePolicy all = new MemoryTraining(new MemoryTraining.Controls(3, false, 1, 5, false));
        NotePolicy some = new MemoryTraining(new MemoryTraining.Controls(3, false, 0.25, 5, false));
        TensorScope.run(() -> {
            assertThat(all.explored(1, 2, 3).sum().item_float()).isEqualTo(6);
            assertThat(some.explored(1, 4, 1000).sum().item_float()).isBetween(900f, 1100f);
            assertThat(Tensors.toFloats(some.explored(1, 4, 100)))
                    .isEqualTo(Tensors.toFloats(some.explored(1, 4, 100)))
                    .isNotEqualTo(Tensors.toFloats(some.explored(2, 4, 100)));
        });
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba model = MemMamba.create(config, Gpu.kernelsUnderTest(), 1)) {
            MambaInit.set(
                    model.parameters().stream()
                            .filter(p -> p.name().equals("backbone.layers.1.memory.threshold"))
                            .findFirst()
                            .orElseThrow(),
                    () -> 1e6);
            MemoryTraining training = new MemoryTraining(new MemoryTraining.Controls(3, false, 0.5, 5, false));
            double rate = step(() -> {
                model.forward(Tensors.ofTokens(MemoryModels.text(400, 1), 0, 1, 400), training);
                return training.statistics().getFirst().noteRate();
            });
            assertThat(rate).isBetween(0.4, 0.6);
        }
    }

    @Test
    void thePriceOfNotesClosesGatesThatAreTooManyAndNoOthers() {
        MemMambaConfig config = MemoryModels.config(MemoryModels.memory().build());
        try (MemMamba model = MemMamba.create(config, Gpu.kernelsUnderTest(), 1)) {
            MemoryTraining training = new MemoryTraining(new MemoryTraining.Controls(3, true, 0, 0, false));
            assertThatThrownBy(() -> training.notePrice(0.1)).isInstanceOf(IllegalStateException.class);
            TensorScope.run(() -> {
                model.forward(Tensors.ofTokens(MemoryModels.text(40, 1), 0, 1, 40), training);
                double expected = training.statistics().stream()
                        .mapToDouble(s -> Math.log(s.meanGate() / 0.1))
                        .sum();
                Tensor price = training.notePrice(0.1);
                assertThat((double) price.item_float()).isCloseTo(expected, within(1e-5));
                assertThat(training.notePrice(1).item_float()).isZero();
                price.backward();
                Tensor bias = model.weights().get("backbone.layers.1.memory.score_out.bias");
                assertThat(bias.grad().item_float())
                        .as("descent closes the gate")
                        .isPositive();
            });
        }
    }

    @Test
    void refusesControlsThatMeanNothing() {
        assertThatThrownBy(() -> new MemoryTraining.Controls(0, false, 0, 0, false))
                .hasMessageContaining("capacity 0");
        assertThatThrownBy(() -> new MemoryTraining.Controls(1, false, Double.NaN, 0, false))
                .hasMessageContaining("exploration NaN");
    }
}
