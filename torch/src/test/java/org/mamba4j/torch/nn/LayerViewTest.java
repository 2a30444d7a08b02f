package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

class LayerViewTest {
    private static final int LENGTH = 20;
    private static final int WIDTH = 4;

    private static ComposedConfig.Builder config() {
        return ComposedConfig.builder().vocabSize(7).dModel(WIDTH).nLayer(2).kernelLength(32);
    }

    private static Tensor text() {
        return Tensors.ofTokens(new SplittableRandom(2).ints(LENGTH, 0, 7).toArray(), 0, 1, LENGTH);
    }

    /** The kernel that is shown is what the layer does to an impulse, its skip connection left out. */
    @ParameterizedTest
    @CsvSource({
        "plain, s4, legs, auto, mixer.ssm.D",
        "mamba, s4d, lin, bilinear, mixer.ssm.D",
        "h3, s4d, real, zoh, mixer.ssm.D",
        "h3, hyena, auto, auto, mixer.filter.skip",
        "mamba, s6, real, auto, mixer.D",
        "plain, s6, inv, auto, mixer.D"
    })
    void theKernelIsWhatAnImpulseGives(String block, String inner, String init, String rule, String skip) {
        ComposedConfig.Builder builder =
                config().block(block).innerLayer(inner).aInit(init).discretisation(rule);
        if (inner.equals("s6")) {
            builder.selective("none");
        }
        ComposedConfig config = builder.build();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 3)) {
            TensorScope.run(() -> NoGrad.run(() -> {
                List<LayerView> views = LayerView.of(network, text());
                assertThat(views).hasSize(2).allMatch(LayerView.Invariant.class::isInstance);
                Tensor kernel = ((LayerView.Invariant) views.getFirst()).kernel(); // (D, T)
                assertThat(kernel.size(1)).isEqualTo(LENGTH);
                ComposedLayer layer = new ComposedLayer(config.layer(0), Gpu.kernelsUnderTest(), network.weights(), 0);
                layer.weight(skip).fill_(new Scalar(0.0));
                Tensor impulse = Tensors.zeros(1, LENGTH, config.dInner());
                impulse.select(1, 0).fill_(new Scalar(1.0));
                Tensor y = Composed.innerLayer(layer).forward(impulse, Carry.NONE); // (1, L, D)
                assertThat(Tensors.toFloats(kernel.t().contiguous()))
                        .usingComparatorWithPrecision(1e-5f)
                        .containsExactly(Tensors.toFloats(y));
            }));
        }
    }

    /** S4 begins with HiPPO, whose eigenvalues are -1, -2, …, -N. */
    @Test
    void ratesOfS4AreItsEigenvalues() {
        ComposedConfig config =
                config().block("plain").innerLayer("s4").dState(8).build();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 3)) {
            TensorScope.run(() -> NoGrad.run(() -> {
                LayerView.Invariant view =
                        (LayerView.Invariant) LayerView.of(network, text()).getLast();
                float[] steps = Tensors.toFloats(network.weights()
                        .get("backbone.layers.1.mixer.ssm.log_dt")
                        .exp());
                float[] rates = Tensors.toFloats(view.rates().to(typeOf(view)));
                float[] perToken = Tensors.toFloats(view.perToken().to(typeOf(view)));
                for (int d = 0; d < WIDTH; d++) {
                    float[] sorted = Arrays.copyOfRange(rates, 8 * d, 8 * d + 8);
                    float[] discrete = Arrays.copyOfRange(perToken, 8 * d, 8 * d + 8);
                    Arrays.sort(sorted);
                    Arrays.sort(discrete);
                    for (int n = 1; n <= 8; n++) {
                        double z = n * steps[d] / 2;
                        assertThat((double) sorted[n - 1]).isCloseTo(n, within(0.01));
                        assertThat((double) discrete[n - 1])
                                .isCloseTo(Math.log((1 + z) / (1 - z)), within(0.01 * n * steps[d]));
                    }
                }
            }));
        }
    }

    private static ScalarType typeOf(LayerView.Invariant view) {
        return view.kernel().scalar_type().intern();
    }

    @ParameterizedTest
    @CsvSource({"all, real", "delta, lin", "b-c, half", "delta-b, legs"})
    void selectiveLayersAreRecurrences(String selective, String init) {
        ComposedConfig config = config().selective(selective).aInit(init).build();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 3)) {
            TensorScope.run(() -> NoGrad.run(() -> {
                for (LayerView view : LayerView.of(network, text())) {
                    LayerView.Recurrence layer = (LayerView.Recurrence) view;
                    assertThat(layer.steps().sizes().vec().get()).containsExactly(LENGTH, 2 * WIDTH);
                    assertThat(layer.a().is_complex()).isEqualTo(config.layer(0).isComplex());
                    assertThat(LayerView.Recurrence.isOfToken(layer.b()))
                            .isEqualTo(config.layer(0).isBSelective());
                    assertThat(LayerView.Recurrence.isOfToken(layer.c()))
                            .isEqualTo(config.layer(0).isCSelective());
                    assertThat(layer.b().size(2)).isEqualTo(layer.a().size(1));
                }
            }));
        }
    }

    @Test
    void otherFamiliesAreRefused() {
        RecurrentConfig config =
                RecurrentConfig.builder().vocabSize(7).dModel(4).nLayer(1).build();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 1)) {
            assertThatThrownBy(() -> LayerView.of(network, text()))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("of type rnn");
        }
    }
}
