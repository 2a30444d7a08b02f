package org.mamba4j.inference;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.inference.engine.RandomModels;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.text.TinyBpe;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

class ScorerTest {
    @TempDir
    Path folder;

    private LanguageModel model(int vocabulary) {
        MambaConfig config = MambaConfig.builder()
                .vocabSize(vocabulary)
                .dModel(8)
                .nLayer(1)
                .dState(2)
                .build();
        return LanguageModel.open(RandomModels.write(folder.resolve("model"), config, DType.F32, 1));
    }

    @Test
    void aTextIsScoredTokenByTokenInOrder() throws IOException {
        Tokenizer bpe = new TinyBpe().load();
        String text = "Größe the fox\njumps over 東京 🎉\n".repeat(400);
        try (LanguageModel model = model(bpe.vocabSize() + 5);
                State state = model.newState();
                State whole = model.newState()) {
            List<Double> each = new ArrayList<>();
            List<Integer> tokens = new ArrayList<>();
            TextScore score = new Scorer(model, bpe).score(state, stream(text), (token, bytes, logProbability) -> {
                tokens.add(token);
                each.add(logProbability);
                assertThat(bytes).isEqualTo(bpe.bytes(token));
            });
            int[] ids = tokens.stream().mapToInt(Integer::intValue).toArray();
            assertThat(ids).isEqualTo(bpe.encode(text));
            double[] expected = model.logProbabilities(whole, ids);
            assertThat(each.getFirst()).isNaN();
            double sum = 0;
            for (int i = 1; i < ids.length; i++) {
                assertThat(each.get(i)).isCloseTo(expected[i], within(1e-4));
                sum += each.get(i);
            }
            assertThat(score.tokens()).isEqualTo(ids.length);
            assertThat(score.scoredTokens()).isEqualTo(ids.length - 1);
            assertThat(score.bytes()).isEqualTo(text.getBytes(UTF_8).length);
            assertThat(score.scoredBytes()).isEqualTo(score.bytes() - bpe.bytes(ids[0]).length);
            assertThat(score.logProbability()).isCloseTo(sum, within(1e-9));
            assertThat(score.bitsPerByte()).isCloseTo(-sum / Math.log(2) / score.scoredBytes(), within(1e-9));
            assertThat(score.perplexity()).isCloseTo(Math.exp(-sum / score.scoredTokens()), within(1e-6));
            assertThat(state.tokensSeen()).isEqualTo(ids.length);
        }
    }

    @Test
    void aTextAfterAnotherIsScoredFromItsFirstToken() throws IOException {
        try (LanguageModel model = model(256);
                State parts = model.newState();
                State whole = model.newState()) {
            Scorer scorer = new Scorer(model, Tokenizers.bytes());
            TextScore one = scorer.score(parts, stream("Once upon "), (token, bytes, value) -> {});
            TextScore two = scorer.score(parts, stream("a time"), (token, bytes, value) -> {});
            TextScore all = scorer.score(whole, stream("Once upon a time"), (token, bytes, value) -> {});
            TextScore sum = one.plus(two);
            assertThat(two.scoredTokens()).isEqualTo(6);
            assertThat(sum.scoredTokens()).isEqualTo(all.scoredTokens()).isEqualTo(15);
            assertThat(sum.logProbability()).isCloseTo(all.logProbability(), within(1e-4));
            assertThat(sum.tokens()).isEqualTo(16);
        }
    }

    @Test
    void nothingHasNoScore() throws IOException {
        try (LanguageModel model = model(256);
                State state = model.newState()) {
            Scorer scorer = new Scorer(model, Tokenizers.bytes());
            TextScore none = scorer.score(state, stream(""), (token, bytes, value) -> {});
            assertThat(none.tokens()).isZero();
            assertThat(none.bitsPerByte()).isNaN();
            assertThat(none.perplexity()).isNaN();
            assertThat(scorer.score(state, stream("x"), (token, bytes, value) -> {})
                            .scoredTokens())
                    .isZero();
            assertThatThrownBy(() -> scorer.score(state, stream("abc"), (token, bytes, value) -> {
                        throw new IllegalStateException("enough");
                    }))
                    .hasMessage("enough");
            assertThatThrownBy(() -> new Scorer(model, new TinyBpe().load()))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("do not belong together");
        }
    }

    private static InputStream stream(String text) {
        return new ByteArrayInputStream(text.getBytes(UTF_8));
    }
}
