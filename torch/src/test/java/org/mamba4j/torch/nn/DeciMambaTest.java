package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.State;
import org.mamba4j.model.DeciMambaConfig;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** Against a plain float64 reading of the paper, and against the Mamba that it is where nothing is left out. */
class DeciMambaTest {
    private static final int VOCABULARY = 29;

    private static final MambaConfig MAMBA = MambaConfig.builder()
            .vocabSize(VOCABULARY)
            .dModel(16)
            .nLayer(4)
            .dState(4)
            .initializerRange(1)
            .build();

    private static final DecimationConfig SHORT = DecimationConfig.parse("layers=1-2;base=12;beta=0.5;min=4");

    @TempDir
    Path folder;

    private static DeciMamba network(DecimationConfig decimation) {
        return (DeciMamba) LanguageNetwork.create(new DeciMambaConfig(MAMBA, decimation), Gpu.kernelsUnderTest(), 4);
    }

    private static int[] text(int length) {
        return new SplittableRandom(length).ints(length, 0, VOCABULARY).toArray();
    }

    private static void assertClose(float[] actual, double[] expected) {
        assertThat(actual).hasSize(expected.length);
        for (int i = 0; i < actual.length; i++) {
            assertThat((double) actual[i])
                    .isCloseTo(expected[i], Offset.offset(1e-4 * Math.max(1, Math.abs(expected[i]))));
        }
    }

    private static float[] logits(LanguageNetwork network, int[] tokens, int rows, int wanted) {
        return TensorScope.call(() -> {
            int length = tokens.length / rows;
            Tensor all = network.forward(Tensors.ofTokens(tokens, 0, rows, length), wanted);
            return Tensors.toFloats(all.narrow(1, length - wanted, wanted).contiguous());
        });
    }

    @ParameterizedTest
    @CsvSource({
        "layers=1-2;base=12;beta=0.5;min=4, 40, 1",
        "layers=1-2;base=12;beta=0.5;min=4, 40, 7",
        "layers=0;base=9;beta=1;min=1, 33, 3",
        "layers=0-3;base=30;beta=0.7;min=2, 50, 1",
        "layers=3;base=1;beta=1;min=1, 20, 1",
        "layers=2-3;base=5;beta=0;min=30, 20, 2", // the least number is more than there are
        "layers=1-2;base=12;beta=0.5;min=4, 1, 1",
        "layers=1-2;base=12;beta=0.5;min=4, 12, 12",
    })
    void whatIsWantedIsThatOfThePlainAlgorithm(String decimation, int length, int wanted) {
        int[] tokens = text(length);
        try (DeciMamba network = network(DecimationConfig.parse(decimation))) {
            float[] actual = logits(network, tokens, 1, wanted);
            double[][] expected = new PlainDeciMamba(network).read(tokens, wanted);
            for (int i = 0; i < wanted; i++) {
                assertClose(Arrays.copyOfRange(actual, i * VOCABULARY, (i + 1) * VOCABULARY), expected[i]);
            }
        }
    }

    @Test
    void textsAreReadWholeAndStepsLeaveNothingOut() {
        int[] tokens = text(60);
        try (DeciMamba network = network(SHORT)) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            PlainDeciMamba plain = new PlainDeciMamba(network);
            assertThat(model.readsInParts()).isFalse();
            try (State state = model.newState()) {
                model.prefill(state, Arrays.copyOf(tokens, 40));
                assertClose(model.logits(state), plain.read(Arrays.copyOf(tokens, 40), 1)[0]);
                for (int t = 40; t < 45; t++) {
                    model.step(state, tokens[t]);
                    assertClose(model.logits(state), plain.read(new int[] {tokens[t]}, 1)[0]);
                }
                // More text, of which the last five tokens are to be predicted.
                int[] more = Arrays.copyOfRange(tokens, 45, 60);
                double[][] expected = plain.read(more, 5);
                int[] seen = new int[1];
                model.score(state, more, 10, (position, row) -> {
                    assertClose(row, expected[position - 10]);
                    seen[0]++;
                });
                assertThat(seen[0]).isEqualTo(5);
                assertThat(state.tokensSeen()).isEqualTo(60);
            }
        }
    }

    @Test
    void whereNothingIsLeftOutItIsAMamba() {
        int[] tokens = text(80);
        try (DeciMamba network = network(SHORT);
                DeciMamba patient = network(DecimationConfig.parse("layers=0-3;base=80;beta=1;min=20"));
                Mamba mamba = Mamba.create(MAMBA, Gpu.kernelsUnderTest(), 4)) {
            float[] expected = logits(mamba, tokens, 1, 80);
            assertThat(logits(network, tokens, 1, 80)).isEqualTo(expected);
            assertThat(logits(patient, tokens, 1, 1))
                    .isEqualTo(Arrays.copyOfRange(expected, 79 * VOCABULARY, 80 * VOCABULARY));
            assertThat(logits(network, tokens, 1, 1)).isNotEqualTo(logits(patient, tokens, 1, 1));
        }
    }

    @Test
    void rowsOfABatchChooseForThemselves() {
        int[] tokens = text(90);
        try (DeciMamba network = network(SHORT)) {
            float[] together = logits(network, tokens, 2, 3);
            for (int row = 0; row < 2; row++) {
                float[] alone = logits(network, Arrays.copyOfRange(tokens, row * 45, row * 45 + 45), 1, 3);
                int size = 3 * VOCABULARY;
                assertThat(Arrays.copyOfRange(together, row * size, (row + 1) * size))
                        .usingComparatorWithPrecision(1e-4f)
                        .containsExactly(alone);
            }
        }
    }

    @Test
    void whatAnswersWantAloneIsPredictedInTraining() {
        int[] tokens = text(41);
        float[] weights = new float[40];
        weights[37] = 0.5f;
        weights[39] = 0.25f;
        try (DeciMamba network = network(SHORT)) {
            double[][] plain = new PlainDeciMamba(network).read(Arrays.copyOf(tokens, 40), 3);
            double expected = -0.5 * logProbability(plain[0], tokens[38]) - 0.25 * logProbability(plain[2], tokens[40]);
            TensorScope.run(() -> {
                Tensor loss = network.loss(
                        Tensors.ofTokens(tokens, 0, 1, 40),
                        Tensors.ofTokens(tokens, 1, 1, 40),
                        Tensors.of(weights, 1, 40));
                assertThat((double) loss.item_float()).isCloseTo(expected, Offset.offset(1e-4));
                loss.backward();
                for (Parameter parameter : network.parameters()) {
                    assertThat(Tensors.toFloats(parameter.tensor().grad()))
                            .as(parameter.name())
                            .doesNotContain(Float.NaN)
                            .matches(all -> has(all), "something is learned");
                }
            });
        }
    }

    private static boolean has(float[] gradient) {
        for (float value : gradient) {
            if (value != 0) {
                return true;
            }
        }
        return false;
    }

    private static double logProbability(double[] logits, int token) {
        double greatest = Arrays.stream(logits).max().orElseThrow();
        double sum = Arrays.stream(logits).map(x -> Math.exp(x - greatest)).sum();
        return logits[token] - greatest - Math.log(sum);
    }

    /** The first half as a Mamba, the second with tokens of the first left out. */
    @Test
    void aLanguageModelsLossIsTakenInHalves() {
        int[] tokens = text(42);
        try (DeciMamba network = network(SHORT)) {
            double[][] first = new PlainDeciMamba(network).read(Arrays.copyOf(tokens, 20), 20);
            double[][] second = new PlainDeciMamba(network).read(Arrays.copyOf(tokens, 41), 21);
            double sum = 0;
            for (int t = 0; t < 41; t++) {
                sum -= logProbability(t < 20 ? first[t] : second[t - 20], tokens[t + 1]);
            }
            double mean = sum / 41;
            TensorScope.run(() -> {
                Tensor loss = network.loss(Tensors.ofTokens(tokens, 0, 1, 41), Tensors.ofTokens(tokens, 1, 1, 41));
                assertThat((double) loss.item_float()).isCloseTo(mean, Offset.offset(1e-4));
            });
        }
    }

    @Test
    void anyMambaCanBeReadSo() {
        int[] tokens = text(50);
        try (Mamba mamba = Mamba.create(MAMBA, Gpu.kernelsUnderTest(), 4);
                DeciMamba network = network(SHORT)) {
            mamba.save(folder.resolve("mamba"));
            network.save(folder.resolve("deci"));
            float[] expected = logits(network, tokens, 1, 1);
            try (Checkpoint plain = Checkpoint.open(folder.resolve("mamba"));
                    Checkpoint own = Checkpoint.open(folder.resolve("deci"));
                    LanguageNetwork one = LanguageNetwork.load(plain.decimated(SHORT), Gpu.kernelsUnderTest());
                    LanguageNetwork other = LanguageNetwork.load(own, Gpu.kernelsUnderTest())) {
                assertThat(own.config()).isEqualTo(network.config());
                assertThat(logits(one, tokens, 1, 1)).isEqualTo(expected);
                assertThat(logits(other, tokens, 1, 1)).isEqualTo(expected);
                assertThatThrownBy(() -> plain.decimated(DecimationConfig.parse("layers=3-4")))
                        .isInstanceOf(UserError.class)
                        .hasMessageContaining("the last layer is 3");
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"layers", "layers=a", "top=3", "layers=3-1", "beta=2", "'layers=1,base=3'", "base=0"})
    void whatIsNoDecimationIsRefused(String text) {
        assertThatThrownBy(() -> DecimationConfig.parse(text)).isInstanceOf(UserError.class);
    }
}
