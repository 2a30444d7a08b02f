package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScalingTest {
    /** Bits of a byte, for who knows nothing. */
    private static final double GUESS = 8;

    @Test
    void everyFamilyLearnsInSecondsAndHasItsLaw(@TempDir Path folder) {
        Smoke smoke = new Smoke(new ScalingExperiment(), folder);
        ExperimentRun.Outcome outcome = smoke.run();

        assertThat(outcome.left()).isEmpty();
        assertThat(outcome.missing()).isEmpty();
        Results results = outcome.results();
        assertThat(results.models()).hasSize(5 * 2);
        for (String model : results.models()) {
            double bits = results.values(model, "length 64", ScalingExperiment.BITS)[0];
            assertThat(bits).as(model).isBetween(0.5, 0.75 * GUESS);
            assertThat(results.values(model, "length 64", ScalingExperiment.OPERATIONS)[0])
                    .as(model)
                    .isGreaterThan(6.0 * results.parameters(model) * 24 * 256 / 4);
        }
        assertThat(outcome.findings().tables())
                .extracting(table -> table.rows().size())
                .containsExactly(10, 5);
        assertThat(outcome.pictures()).hasSize(1);
        assertThat(smoke.lines.get(1)).startsWith("projected time: ");
    }

    @Test
    void operationsOfAttentionAreThoseCountedByHand() {
        ModelRow row = ModelRow.of(
                "t",
                "'model_type':'llama','vocab_size':10,'hidden_size':8,'intermediate_size':12,'num_hidden_layers':2,"
                        + "'num_attention_heads':2,'tie_word_embeddings':true");
        // A layer: q, k, v, o of 8 × 8, three of 8 × 12; the head 8 × 10; two operations for each of their numbers.
        double matrices = 2 * (2 * (4 * 64 + 3 * 96) + 80);
        // At 5 tokens: on average 3 are looked at, 8 products and 8 sums of values each, times two.
        double looks = 2 * 4 * 8 * 3;
        assertThat(Flops.forwardPerToken(row.config(), 5)).isEqualTo(matrices + looks);
        assertThat(Flops.trainingPerToken(row.config(), 5)).isEqualTo(3 * (matrices + looks));
    }

    @Test
    void operationsOfAScanAreThoseCountedByHand() {
        ModelRow row = ModelRow.of(
                "m",
                "'model_type':'mamba','vocab_size':10,'hidden_size':8,'num_hidden_layers':1,'state_size':4,"
                        + "'time_step_rank':2,'conv_kernel':4,'expand':2");
        // D = 16: in 8 × 32, convolution 16 × 4, x 16 × (2 + 8), Δ 2 × 16, out 16 × 8; the head 8 × 10.
        double matrices = 2 * (256 + 64 + 160 + 32 + 128 + 80);
        double scan = 7 * 16 * 4 + 3 * 16;
        assertThat(Flops.forwardPerToken(row.config(), 100)).isEqualTo(matrices + scan);
        // What a scan does for a token does not depend on the length.
        assertThat(Flops.forwardPerToken(row.config(), 100_000)).isEqualTo(matrices + scan);
    }

    @Test
    void operationsOfCellsAreThoseCountedByHand() {
        ModelRow row = ModelRow.of("l", "'model_type':'rnn','vocab_size':10,'hidden_size':8,'num_hidden_layers':3");
        // Untied: the look-up is free, the head is not.
        assertThat(Flops.forwardPerToken(row.config(), 7)).isEqualTo(2 * (3 * 2 * 32 * 8 + 80) + 3 * 10 * 8);
    }

    @Test
    void operationsOfALongConvolutionAreThoseCountedByHand() {
        String h3 = "'model_type':'composed','block':'h3','vocab_size':10,'hidden_size':8,'num_hidden_layers':1,";
        ModelRow s4d = ModelRow.of("h", h3 + "'inner_layer':'s4d','mlp':'gated','intermediate_size':12");
        ModelRow hyena = ModelRow.of("y", h3 + "'inner_layer':'hyena','conv_kernel':3");
        // Three transforms of 128 = 2 · 64 numbers at 2.5 · 7 each, for 64 tokens, and a product of complex numbers.
        double convolution = 8 * (3 * 2.5 * 128 * 7 / 64 + 3);
        // q, k, v 24 × 8, a filter of 64 taps over k, out 8 × 8, fc1 24 × 8, fc2 8 × 12, head 10 × 8.
        assertThat(Flops.forwardPerToken(s4d.config(), 64))
                .isEqualTo(2 * (192 + 8 * 64 + 64 + 192 + 96 + 80) + convolution);
        // A filter of 3 taps over q, k and v. What draws the kernel does so once for a batch.
        assertThat(Flops.forwardPerToken(hyena.config(), 64)).isEqualTo(2 * (192 + 24 * 3 + 64 + 80) + convolution);
    }

    @Test
    void operationsOfAHybridAreThoseOfItsLayers() {
        String sizes = "'model_type':'composed','vocab_size':10,'hidden_size':8,'num_hidden_layers':3,'inner_layer':";
        double s4d = Flops.forwardPerToken(ModelRow.of("4", sizes + "'s4d'").config(), 64);
        double s6 = Flops.forwardPerToken(ModelRow.of("6", sizes + "'s6'").config(), 64);
        double head = 2 * 80;
        ModelRow hybrid = ModelRow.of("h", sizes + "['s6','s4d','s6']");
        assertThat(Flops.forwardPerToken(hybrid.config(), 64))
                .isCloseTo((2 * (s6 - head) + (s4d - head)) / 3 + head, within(1e-6));
    }

    @Test
    void learnedPositionsAreLookedUp() {
        String sizes = "'model_type':'llama','vocab_size':10,'hidden_size':8,'intermediate_size':0,"
                + "'num_hidden_layers':1,'num_attention_heads':2,'position_embedding':";
        assertThat(Flops.forwardPerToken(ModelRow.of("l", sizes + "'learned'").config(), 5))
                .isEqualTo(
                        Flops.forwardPerToken(ModelRow.of("n", sizes + "'none'").config(), 5));
    }

    @Test
    void operationsOfAMemoryAreThoseCountedByHand() {
        String sizes = "'vocab_size':10,'hidden_size':8,'num_hidden_layers':4";
        double mamba = Flops.forwardPerToken(
                ModelRow.of("m", "'model_type':'mamba'," + sizes).config(), 100);
        ModelRow row = ModelRow.of(
                "n",
                "'model_type':'memmamba'," + sizes + ",'memory_summary_size':4,'memory_pool_size':5,"
                        + "'memory_first_layer':2,'memory_cross_layer_period':4");
        // Layers 2, 3, 4: scorer 2 × 8 and 1 × 2, summary 4 × 8, then as many reads as follow.
        double noting = 3 * 2 * (16 + 2 + 32);
        // Each of them reads its own notes, and layer 4 those of 2 and 3: query 4 × 8, key 4 × 4, value 8 × 4, gate 8.
        double reading = 4 * 2 * (32 + 16 + 32 + 8);
        // Pools of 5 notes of 4 numbers, a product and a sum each: 3 of one's own, and 2 below layer 4.
        double pools = (3 + 2) * 5 * 4 * 2 * 2;
        assertThat(Flops.forwardPerToken(row.config(), 100)).isEqualTo(mamba + noting + reading + pools);
    }

    @Test
    void aPowerLawIsFoundAgain() {
        List<LineChart.Point> exact = List.of(1e9, 3e9, 2e10, 5e11).stream()
                .map(x -> LineChart.Point.of(x, 40 * Math.pow(x, -0.125)))
                .toList();
        PowerLaw law = PowerLaw.fit(exact).orElseThrow();
        assertThat(law.exponent().value()).isCloseTo(-0.125, within(1e-12));
        assertThat(law.exponent().high() - law.exponent().low()).isLessThan(1e-9);
        assertThat(law.factor()).isCloseTo(40, within(1e-9));
        assertThat(law.at(1e12)).isCloseTo(40 * Math.pow(1e12, -0.125), within(1e-9));
    }

    @Test
    void theIntervalIsTheOneOfALineThroughThreePoints() {
        // In logarithms (0, 0), (1, 1), (2, 1): slope 1/2, residuals -1/6, 1/3, -1/6, one degree of freedom.
        double e = Math.E;
        PowerLaw law = PowerLaw.fit(
                        List.of(LineChart.Point.of(1, 1), LineChart.Point.of(e, e), LineChart.Point.of(e * e, e)))
                .orElseThrow();
        double half = 12.7062047 * Math.sqrt(1.0 / 6 / 2);
        assertThat(law.exponent().value()).isCloseTo(0.5, within(1e-12));
        assertThat(law.exponent().high()).isCloseTo(0.5 + half, within(1e-5));
    }

    @Test
    void noLawGoesThroughOnePoint() {
        assertThat(PowerLaw.fit(List.of(LineChart.Point.of(1, 1)))).isEmpty();
        assertThat(PowerLaw.fit(List.of(LineChart.Point.of(1, 1), LineChart.Point.of(1, 2))))
                .isEmpty();
        assertThat(PowerLaw.fit(List.of(LineChart.Point.of(1, 1), LineChart.Point.of(2, 0))))
                .isEmpty();
    }
}
