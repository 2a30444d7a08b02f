package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.UserError;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryProbe;
import org.mamba4j.torch.nn.Parameter;

class MemoryStudyTest {
    private static final MambaConfig MAMBA =
            MambaConfig.builder().vocabSize(40).dModel(16).nLayer(3).dState(4).build();
    private static final MemMambaConfig MEMORY = new MemMambaConfig(
            MAMBA,
            MemoryConfig.builder().chunkSize(16).poolSize(6).crossLayerPeriod(3).build());

    private static LanguageNetwork network(boolean memory) {
        return LanguageNetwork.create(memory ? MEMORY : MAMBA, MambaKernels.fused(), 3);
    }

    private static int[] tokens(int length, long seed) {
        return new SplittableRandom(seed).ints(length, 0, 40).toArray();
    }

    /** Sets every parameter whose name ends so. */
    private static void set(LanguageNetwork network, String suffix, double value) {
        for (Parameter parameter : network.parameters()) {
            if (parameter.name().endsWith(suffix)) {
                NoGrad.run(
                        () -> TensorScope.run(() -> parameter.tensor().fill_(new org.bytedeco.pytorch.Scalar(value))));
            }
        }
    }

    private static float[] steps(LanguageNetwork network, int layer) {
        return NoGrad.call(() -> TensorScope.call(() -> {
            Tensor ids = Tensors.ofTokens(tokens(100, 1), 0, 1, 100);
            return Tensors.toFloats(
                    MemoryProbe.of(network, ids).layers().get(layer).steps());
        }));
    }

    @Test
    void aProbeSeesWhatTheNetworkComputes() {
        for (boolean memory : new boolean[] {false, true}) {
            try (LanguageNetwork network = network(memory)) {
                set(network, "value.weight", 0.05);
                NoGrad.run(() -> TensorScope.run(() -> {
                    Tensor ids = Tensors.ofTokens(tokens(100, 1), 0, 1, 100);
                    List<Tensor> states = network.hiddenStates(ids);
                    MemoryProbe probe = MemoryProbe.of(network, ids);
                    for (int i = 0; i < 3; i++) {
                        assertThat(Tensors.toFloats(probe.layers().get(i).output()))
                                .isEqualTo(Tensors.toFloats(states.get(i)));
                        assertThat(probe.layers().get(i).notes()).hasSize(memory && i > 0 ? 1 : 0);
                    }
                }));
            }
        }
    }

    @Test
    void theRecurrenceOfALayerWorksOnWhatWasReadToo() {
        try (LanguageNetwork mamba = network(false);
                LanguageNetwork memory = network(true)) {
            assertThat(steps(memory, 2)).as("nothing is read at first").isEqualTo(steps(mamba, 2));
            set(memory, "value.weight", 0.3);
            assertThat(steps(memory, 0)).isEqualTo(steps(mamba, 0));
            assertThat(steps(memory, 1)).isNotEqualTo(steps(mamba, 1));
        }
    }

    @Test
    void aStudyHasAFigureForEveryLayerAndLag() {
        List<int[]> sequences = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            sequences.add(tokens(128, i));
        }
        for (boolean memory : new boolean[] {false, true}) {
            try (LanguageNetwork network = network(memory)) {
                long before = TensorScope.liveObjects();
                MemoryStudy study = MemoryStudy.of(network, sequences, fraction -> {});
                assertThat(TensorScope.liveObjects())
                        .as("nothing native is left")
                        .isEqualTo(before);
                assertThat(study.lags()).containsExactly(0, 1, 2, 4, 8, 16, 32, 64);
                assertThat(study.layers()).hasSize(3).allSatisfy(layer -> {
                    assertThat(layer.influence())
                            .hasSize(8)
                            .allSatisfy(w -> assertThat(w).isNotNegative());
                    assertThat(layer.influence().getFirst())
                            .isGreaterThan(layer.influence().getLast());
                    assertThat(layer.halfLife()).isPositive();
                    assertThat(layer.fidelity().getFirst())
                            .as("an untrained layer passes the embedding on")
                            .isGreaterThan(0.8);
                    assertThat(layer.fidelity().getLast()).isBetween(-0.2, 0.2);
                });
                assertThat(study.explained().get(2))
                        .hasSize(2)
                        .allSatisfy(r2 -> assertThat(r2).isBetween(0.5, 1.0));
                assertThat(study.layers().get(2).notes()).hasSize(memory ? 1 : 0);
            }
        }
        assertThatThrownBy(() -> MemoryStudy.of(network(false), List.of(new int[50]), fraction -> {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("1 of 50");
    }

    @Test
    void notesThatAreHeldAreAmongThoseThatWereTaken() {
        try (LanguageNetwork network = network(true)) {
            set(network, "threshold", -1e9);
            NotedText all = NotedText.of(network, tokens(100, 2));
            assertThat(all.layers()).hasSize(2).allSatisfy(layer -> {
                assertThat(layer.noted()).containsOnly(true);
                assertThat(count(layer.kept())).isEqualTo(6);
                for (int i = 96; i < 100; i++) {
                    assertThat(layer.kept()[i])
                            .as("the open chunk has committed nothing")
                            .isFalse();
                }
                assertThat(layer.gates()).hasSize(100);
            });
            set(network, "threshold", 1e9);
            assertThat(NotedText.of(network, tokens(100, 2)).layers()).allSatisfy(layer -> {
                assertThat(layer.noted()).containsOnly(false);
                assertThat(count(layer.kept())).isZero();
            });
        }
        try (LanguageNetwork mamba = network(false)) {
            assertThat(NotedText.of(mamba, tokens(100, 2)).layers()).isEmpty();
        }
    }

    private static int count(boolean[] flags) {
        int count = 0;
        for (boolean flag : flags) {
            count += flag ? 1 : 0;
        }
        return count;
    }
}
