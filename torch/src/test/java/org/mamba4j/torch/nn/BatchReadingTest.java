package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.inference.State;
import org.mamba4j.json.Json;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.kernel.MambaKernels;

class BatchReadingTest {
    private static final String MAMBA =
            "{\"model_type\":\"mamba\",\"vocab_size\":16,\"hidden_size\":8,\"num_hidden_layers\":2}";
    private static final String MEMMAMBA = "{\"model_type\":\"memmamba\",\"vocab_size\":16,\"hidden_size\":8,"
            + "\"num_hidden_layers\":3,\"memory_chunk_size\":4,\"memory_pool_size\":3,\"memory_summary_size\":4}";
    private static final String LLAMA = "{\"model_type\":\"llama\",\"vocab_size\":16,\"hidden_size\":8,"
            + "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":8}";

    private static LanguageNetwork network(String json) {
        ModelConfig config = ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), "test"), "test");
        return LanguageNetwork.create(config, MambaKernels.fused(), 3);
    }

    /** One sequence after the other, as a language model reads them. */
    private static int[] oneByOne(TorchLanguageModel model, int rows, int[] tokens) {
        int length = tokens.length / rows;
        int[] all = new int[rows];
        for (int row = 0; row < rows; row++) {
            try (State state = model.newState()) {
                model.prefill(state, Arrays.copyOfRange(tokens, row * length, (row + 1) * length));
                float[] logits = model.logits(state);
                for (int i = 1; i < logits.length; i++) {
                    all[row] = logits[i] > logits[all[row]] ? i : all[row];
                }
            }
        }
        return all;
    }

    @ParameterizedTest
    @ValueSource(strings = {MAMBA, MEMMAMBA, LLAMA})
    void readsAsALanguageModelDoesHoweverItIsCut(String json) {
        int rows = 5;
        int[] tokens = new Random(7).ints(rows * 37L, 0, 16).toArray();
        LanguageNetwork network = network(json);
        try (TorchLanguageModel model = new TorchLanguageModel(network)) {
            int[] expected = oneByOne(model, rows, tokens);
            assertThat(Arrays.stream(expected).distinct().count()).isGreaterThan(1);
            for (int tokensAtOnce : new int[] {1, 3, 36, 37, 38, 100, 1000}) {
                assertThat(new BatchReading(network, tokensAtOnce).likeliestAfter(rows, tokens))
                        .as("%d tokens at once", tokensAtOnce)
                        .isEqualTo(expected);
            }
        }
    }

    @Test
    void refusesWhatIsNoBatch() {
        try (LanguageNetwork network = network(MAMBA)) {
            BatchReading reading = new BatchReading(network);
            assertThatThrownBy(() -> reading.likeliestAfter(2, new int[3]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("3 tokens in 2 rows");
            assertThatThrownBy(() -> reading.likeliestAfter(1, new int[0]))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> reading.likeliestAfter(1, new int[] {16}))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("16");
        }
    }
}
