package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

class MambaInitTest {
    private static final MambaConfig CONFIG = MambaConfig.builder()
            .vocabSize(256)
            .dModel(64)
            .nLayer(4)
            .useBias(true)
            .initializerRange(0.02)
            .rescalePrenormResidual(true)
            .build();

    @Test
    void theSameSeedGivesTheSameModelAndAnotherOneAnother() {
        Map<String, float[]> one = values(CONFIG, 7);
        Map<String, float[]> same = values(CONFIG, 7);
        Map<String, float[]> other = values(CONFIG, 8);
        one.forEach((name, values) -> assertThat(same.get(name)).as(name).isEqualTo(values));
        String drawn = "backbone.layers.0.mixer.in_proj.weight";
        assertThat(other.get(drawn)).isNotEqualTo(one.get(drawn));
        assertThat(one.get("backbone.layers.1.mixer.in_proj.weight")).isNotEqualTo(one.get(drawn));
    }

    @Test
    void everyParameterStartsAsTheReferenceDoes() {
        values(CONFIG, 1).forEach((name, values) -> {
            String kind = name.replaceAll("backbone\\.|layers\\.\\d+\\.|mixer\\.", "");
            switch (kind) {
                case "norm.weight", "norm_f.weight", "D" ->
                    assertThat(values).as(name).containsOnly(1);
                case "in_proj.bias", "out_proj.bias" ->
                    assertThat(values).as(name).containsOnly(0);
                case "A_log" -> {
                    for (int i = 0; i < values.length; i++) {
                        assertThat(values[i]).as(name).isEqualTo((float) Math.log(i % 16 + 1));
                    }
                }
                case "embeddings.weight" -> normal(name, values, 0.02);
                case "in_proj.weight" -> uniform(name, values, 1 / Math.sqrt(64));
                case "conv1d.weight", "conv1d.bias" -> uniform(name, values, 0.5);
                case "x_proj.weight" -> uniform(name, values, 1 / Math.sqrt(128));
                case "dt_proj.weight" -> uniform(name, values, 1 / Math.sqrt(4));
                case "dt_proj.bias" -> timeSteps(name, values);
                case "out_proj.weight" -> uniform(name, values, 1 / Math.sqrt(128) / Math.sqrt(4));
                default -> throw new AssertionError("no initial value is expected for " + name);
            }
        });
    }

    @Test
    void aConstantTimeStepProjection() {
        float[] weights = values(
                        CONFIG.toBuilder().dtInit("constant").dtScale(3).build(), 1)
                .get("backbone.layers.0.mixer.dt_proj.weight");
        assertThat(weights).containsOnly(1.5f);
    }

    @Test
    void matricesDecayAndWhatHasAScaleOfItsOwnDoesNot() {
        try (Mamba model = Mamba.create(CONFIG, MambaKernels.fused(), 1)) {
            for (Parameter parameter : model.parameters()) {
                boolean decays =
                        parameter.name().endsWith("weight") && !parameter.name().contains("norm");
                assertThat(parameter.decays()).as(parameter.name()).isEqualTo(decays);
            }
        }
    }

    @Test
    void anUntrainedModelKnowsNothing() {
        TensorScope.run(() -> {
            try (Mamba model = Mamba.create(CONFIG, MambaKernels.fused(), 1)) {
                long[] ids = new long[65];
                Arrays.setAll(ids, i -> i * 37 % 256);
                var loss = model.loss(
                        Tensors.of(Arrays.copyOf(ids, 64), 1, 64), Tensors.of(Arrays.copyOfRange(ids, 1, 65), 1, 64));
                assertThat(loss.item_double()).isCloseTo(Math.log(256), within(0.1));
            }
        });
    }

    private static Map<String, float[]> values(MambaConfig config, long seed) {
        Map<String, float[]> values = new TreeMap<>();
        try (Mamba model = Mamba.create(config, MambaKernels.fused(), seed)) {
            for (Parameter parameter : model.parameters()) {
                values.put(parameter.name(), Tensors.toFloats(parameter.tensor()));
            }
        }
        return values;
    }

    /** Within the bound, close to it, and with the variance of a uniform distribution. */
    private static void uniform(String name, float[] values, double bound) {
        double greatest = 0;
        double squares = 0;
        for (float value : values) {
            greatest = Math.max(greatest, Math.abs(value));
            squares += value * value;
        }
        assertThat(greatest).as(name).isBetween(0.95 * bound, 1.000001 * bound);
        assertThat(Math.sqrt(squares / values.length)).as(name).isCloseTo(bound / Math.sqrt(3), within(0.1 * bound));
    }

    private static void normal(String name, float[] values, double deviation) {
        double squares = 0;
        for (float value : values) {
            squares += value * value;
        }
        assertThat(Math.sqrt(squares / values.length)).as(name).isCloseTo(deviation, within(0.05 * deviation));
    }

    private static void timeSteps(String name, float[] values) {
        double least = 1;
        double greatest = 0;
        for (float value : values) {
            double step = Math.log1p(Math.exp(value));
            least = Math.min(least, step);
            greatest = Math.max(greatest, step);
        }
        assertThat(least).as(name).isBetween(0.00099, 0.0015);
        assertThat(greatest).as(name).isBetween(0.07, 0.1001);
    }
}
