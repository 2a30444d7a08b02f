package org.mamba4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonText;
import org.mamba4j.memory.Replacement;

class MemMambaConfigTest {
    private static final MambaConfig MAMBA =
            MambaConfig.builder().vocabSize(256).dModel(16).nLayer(8).build();

    private static ModelConfig read(String json) {
        return ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), "config.json"), "config.json");
    }

    private static MemMambaConfig with(MemoryConfig memory) {
        return new MemMambaConfig(MAMBA, memory);
    }

    @Test
    void whatIsWrittenReadsBackEqual() {
        MemoryConfig memory = MemoryConfig.builder()
                .chunkSize(8)
                .poolSize(3)
                .summarySize(5)
                .crossLayerPeriod(2)
                .firstLayer(3)
                .replacement("fifo")
                .fusion("gate")
                .readThreshold(0.25)
                .crossToken(false)
                .crossLayerTrigger("need")
                .poolGrowth(2.5)
                .poolGrowthFrom(100)
                .poolLimit(9)
                .importance("random")
                .build();
        MambaConfig mamba = MAMBA.toBuilder().eosTokenId(MambaConfig.NO_TOKEN).build();
        for (ModelConfig config : List.of(with(MemoryConfig.DEFAULTS), new MemMambaConfig(mamba, memory))) {
            assertThat(read(JsonText.compact(config.toJson()))).isEqualTo(config);
        }
        assertThat(read("{\"model_type\":\"memmamba\",\"vocab_size\":256,\"hidden_size\":16,\"num_hidden_layers\":8}"))
                .isEqualTo(with(MemoryConfig.DEFAULTS));
    }

    @Test
    void theDefaultsAreThoseOfTheSpecification() {
        MemoryConfig memory = MemoryConfig.DEFAULTS;
        assertThat(List.of(memory.chunkSize(), memory.poolSize(), memory.summarySize(), memory.crossLayerPeriod()))
                .containsExactly(64, 50, 64, 4);
        assertThat(memory.firstLayer()).isEqualTo(2);
        assertThat(memory.replacementPolicy()).isEqualTo(Replacement.PRIORITY);
        assertThat(memory.fusion()).isEqualTo("residual");
        assertThat(memory.poolSizeAfter(1L << 40))
                .isEqualTo(memory.greatestPool())
                .isEqualTo(50);
    }

    @Test
    void layersReadThoseBelowThatHaveNotes() {
        MemMambaConfig config = with(MemoryConfig.DEFAULTS);
        assertThat(config.takesNotes(0)).isFalse();
        assertThat(config.takesNotes(1)).isTrue();
        assertThat(layersThatReadBelow(config)).containsExactly(3, 7);
        assertThat(config.layersBelow(3)).containsExactly(1, 2);
        assertThat(config.layersBelow(7)).containsExactly(3, 4, 5, 6);
        assertThat(layersThatReadBelow(with(MemoryConfig.builder().firstLayer(4).build())))
                .containsExactly(7);
        assertThat(layersThatReadBelow(
                        with(MemoryConfig.builder().crossLayerTrigger("need").build())))
                .containsExactly(2, 3, 4, 5, 6, 7);
        assertThat(layersThatReadBelow(
                        with(MemoryConfig.builder().crossLayer(false).build())))
                .isEmpty();
    }

    private static List<Integer> layersThatReadBelow(MemMambaConfig config) {
        return IntStream.range(0, config.nLayer())
                .filter(config::readsBelow)
                .boxed()
                .toList();
    }

    @Test
    void parametersStandBeforeTheMixersOfTheirLayer() {
        List<TensorSpec> specs = with(MemoryConfig.DEFAULTS).parameters();
        assertThat(specs).containsAll(MAMBA.parameters());
        assertThat(specs)
                .contains(
                        TensorSpec.of("backbone.layers.1.memory.score_in.weight", 4, 16),
                        TensorSpec.of("backbone.layers.1.memory.threshold", 1),
                        TensorSpec.of("backbone.layers.1.memory.token.query.weight", 64, 16),
                        TensorSpec.of("backbone.layers.3.memory.layer.value.weight", 16, 64));
        List<String> names = specs.stream().map(TensorSpec::name).toList();
        assertThat(names).doesNotHaveDuplicates();
        assertThat(names.indexOf("backbone.layers.1.memory.norm.weight"))
                .isEqualTo(names.indexOf("backbone.layers.0.mixer.out_proj.weight") + 1);
        assertThat(names).noneMatch(name -> name.startsWith("backbone.layers.0.memory"));
    }

    @Test
    void theStateHasRoomForTheGreatestPool() {
        MemoryConfig growing =
                MemoryConfig.builder().poolGrowth(3).poolLimit(60).build();
        assertThat(with(growing).stateTensors()).contains(TensorSpec.of("layers.1.memory.pool.summary", 60, 64));
        assertThat(growing.poolSizeAfter(8192)).isEqualTo(50);
        assertThat(growing.poolSizeAfter(8192 * 4)).isEqualTo(56);
        assertThat(growing.poolSizeAfter(Long.MAX_VALUE)).isEqualTo(60);
        long perLayer = 50 * (64 + 1 + 2) + 64 * (64 + 2);
        assertThat(with(MemoryConfig.DEFAULTS).stateBytes()).isEqualTo(MAMBA.stateBytes() + 4 * 7 * perLayer);
        assertThat(with(MemoryConfig.builder().fusion("conv").build()).stateTensors())
                .contains(TensorSpec.of("layers.7.memory.layer.conv", 16, 3));
    }

    @Test
    void theBuilderHasEveryComponent() throws ReflectiveOperationException {
        for (ConfigSchema.Field field : MemoryConfig.SCHEMA.fields()) {
            Method setter = MemoryConfig.Builder.class.getMethod(field.component(), field.type());
            assertThat(setter.getReturnType()).isEqualTo(MemoryConfig.Builder.class);
            assertThat(field.key()).startsWith("memory_");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"memory_pool_size\":0|\"memory_pool_size\" is 0, but must be an integer from 1",
                "\"memory_fusion\":\"sum\"|\"memory_fusion\" is \"sum\", but must be one of residual, gate",
                "\"memory_replacement\":\"lru\"|must be one of priority, fifo",
                "\"memory_first_layer\":9|\"memory_first_layer\" is 9, but must be at most \"num_hidden_layers\", 8",
                "\"memory_cross_token\":false,\"memory_cross_layer\":false|nothing would read",
                "\"memory_pool_growth\":1,\"memory_pool_limit\":49|\"memory_pool_limit\" is 49, but must be at least",
                "\"memory_poolsize\":50|the key \"memory_poolsize\" is unknown",
                "\"state_size\":0|\"state_size\" is 0",
                "\"headdim\":64|the key \"headdim\" is unknown",
                "\"architectures\":[\"MambaForCausalLM\"]|must name MemMambaForCausalLM"
            })
    void whatIsNotComputedIsRefusedByName(String field, String message) {
        assertThatThrownBy(() -> read("{\"model_type\":\"memmamba\",\"vocab_size\":256,\"hidden_size\":16,"
                        + "\"num_hidden_layers\":8," + field + "}"))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("config.json: ")
                .hasMessageContaining(message);
    }
}
