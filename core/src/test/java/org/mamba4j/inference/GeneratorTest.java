package org.mamba4j.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizers;

class GeneratorTest {
    private static final GenerationOptions GREEDY =
            GenerationOptions.DEFAULTS.withSampling(SamplingOptions.GREEDY).withMaxNewTokens(40);

    private final List<String> pieces = new ArrayList<>();

    @Test
    void streamsWhatTheModelSays() {
        Generation result = generate("Grüße, 世界!\n", "Gr", GREEDY.withMaxNewTokens(15));
        assertThat(result.text()).isEqualTo("üße, 世界!\n");
        assertThat(String.join("", pieces)).isEqualTo(result.text());
        assertThat(pieces).contains("ü", "世").noneMatch(String::isEmpty);
        assertThat(result.promptTokens()).isEqualTo(2);
        assertThat(result.newTokens()).isEqualTo(15);
        assertThat(result.finish()).isEqualTo(Generation.Finish.LENGTH);
    }

    @Test
    void stopsAtATextAcrossTokensAndHoldsItsBeginningBack() {
        Generation result = generate("abcabdabcabc", "a", GREEDY.withStop(List.of("abdab", "zzz")));
        assertThat(result.text()).isEqualTo("bc");
        assertThat(pieces).containsExactly("b", "c");
        assertThat(result.finish()).isEqualTo(Generation.Finish.STOP_TEXT);
        assertThat(result.newTokens()).isEqualTo(7);
    }

    @Test
    void givesBackAHeldBeginningThatCameToNothing() {
        assertThat(generate("xabcy", "x", GREEDY.withStop(List.of("abd")).withMaxNewTokens(4))
                        .text())
                .isEqualTo("abcy");
        assertThat(pieces).containsExactly("abc", "y");
        // At the end of the text as well.
        assertThat(generate("xxab", "x", GREEDY.withStop(List.of("abd")).withMaxNewTokens(3))
                        .text())
                .isEqualTo("xab");
    }

    @Test
    void aStopTextMayBeginInsideACharacterOfManyBytes() {
        assertThat(generate("x世界人", "x", GREEDY.withStop(List.of("界"))).text()).isEqualTo("世");
    }

    @Test
    void ofTwoStopTextsTheEarlierCounts() {
        assertThat(generate("x one two", "x", GREEDY.withStop(List.of("two", "one")))
                        .text())
                .isEqualTo(" ");
    }

    @Test
    void bytesThatAreNotUtf8BecomeReplacementCharacters() {
        int[] script = {'a', 0xFF, 0xE4, 'b', 0xE4};
        generate(FakeLanguageModel.scripted(256, script), "a", GREEDY.withMaxNewTokens(4));
        assertThat(String.join("", pieces))
                .isEqualTo(new String(new byte[] {(byte) 0xFF, (byte) 0xE4, 'b', (byte) 0xE4}, StandardCharsets.UTF_8));
    }

    @Test
    void endsAtAnEndTokenWithoutItsText() {
        Generation result = generate("abc.def", "a", GREEDY.withEndTokens(Set.of((int) '.')));
        assertThat(result.text()).isEqualTo("bc");
        assertThat(result.newTokens()).isEqualTo(2);
        assertThat(result.finish()).isEqualTo(Generation.Finish.END_TOKEN);
    }

    @Test
    void continuesAState() {
        FakeLanguageModel model = FakeLanguageModel.scripted(256, codes("hello world"));
        Generator generator = new Generator(model, Tokenizers.bytes());
        State state = model.newState();
        String first = generator
                .generate(state, "h", GREEDY.withMaxNewTokens(4), pieces::add)
                .text();
        String second = generator
                .generate(state, "", GREEDY.withMaxNewTokens(6), pieces::add)
                .text();
        assertThat(first + second).isEqualTo("ello world");
        assertThat(state.tokensSeen()).isEqualTo(11);
    }

    @Test
    void zeroNewTokensReadThePrompt() {
        FakeLanguageModel model = FakeLanguageModel.scripted(256, codes("abc"));
        State state = model.newState();
        Generation result = new Generator(model, Tokenizers.bytes())
                .generate(state, "abc", GREEDY.withMaxNewTokens(0), pieces::add);
        assertThat(result.text()).isEmpty();
        assertThat(pieces).isEmpty();
        assertThat(state.tokensSeen()).isEqualTo(3);
    }

    @Test
    void neverChoosesAPaddingRow() {
        FakeLanguageModel model = new FakeLanguageModel(260, history -> {
            float[] logits = new float[260];
            logits[259] = 9;
            logits['x'] = 1;
            return logits;
        });
        assertThat(generate(model, "a", GREEDY.withMaxNewTokens(2)).text()).isEqualTo("xx");
    }

    @Test
    void refusesWhatItCannotContinue() {
        assertThatThrownBy(() -> generate("abc", "", GREEDY))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("prompt is empty");
        assertThatThrownBy(() -> new Generator(FakeLanguageModel.scripted(200, codes("a")), Tokenizers.bytes()))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("256")
                .hasMessageContaining("200");
        assertThatThrownBy(() -> GREEDY.withStop(List.of(""))).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> GREEDY.withMaxNewTokens(-1)).isInstanceOf(UserError.class);
    }

    @Test
    void whatTheSinkThrowsEndsTheGeneration() {
        FakeLanguageModel model = FakeLanguageModel.scripted(256, codes("abc"));
        assertThatThrownBy(() -> new Generator(model, Tokenizers.bytes())
                        .generate(model.newState(), "a", GREEDY, piece -> {
                            throw new IllegalStateException("gone");
                        }))
                .hasMessage("gone");
    }

    private Generation generate(String script, String prompt, GenerationOptions options) {
        return generate(FakeLanguageModel.scripted(256, codes(script)), prompt, options);
    }

    private Generation generate(LanguageModel model, String prompt, GenerationOptions options) {
        pieces.clear();
        try (State state = model.newState()) {
            return new Generator(model, Tokenizers.bytes()).generate(state, prompt, options, pieces::add);
        }
    }

    private static int[] codes(String text) {
        return Tokenizers.bytes().encode(text);
    }
}
