package org.mamba4j.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.ModelParameters;
import de.kherud.llama.args.LogFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.SharedData;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.text.TinyTokenizers;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/**
 * llama.cpp itself loads what we write, finds the same tokens in a text and continues it with the same text. Skipped where
 * its native library does not load.
 */
class LlamaCppTest {
    private static final String PROMPT =
            "The quick brown fox jumps; it's 1999 and\n  they'd see <|endoftext|>don't you";
    private static final int NEW_TOKENS = 48;

    @TempDir
    Path folder;

    @BeforeAll
    static void loadLibrary() {
        try {
            LlamaModel.setLogger(LogFormat.TEXT, (level, message) -> {});
        } catch (LinkageError | RuntimeException e) {
            abort("llama.cpp does not run here: " + e);
        }
    }

    private static MambaConfig.Builder config(Tokenizer tokenizer) {
        return MambaConfig.builder()
                .vocabSize(Math.ceilDiv(tokenizer.vocabSize(), 8) * 8)
                .dModel(64)
                .nLayer(3)
                .initializerRange(1)
                .eosTokenId(0);
    }

    /** What a model says after {@link #PROMPT}. */
    private static String ours(Path model) {
        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            StringBuilder text = new StringBuilder();
            new Generator(opened, Tokenizers.load(model))
                    .generate(
                            state,
                            PROMPT,
                            GenerationOptions.DEFAULTS
                                    .withMaxNewTokens(NEW_TOKENS)
                                    .withSampling(SamplingOptions.GREEDY),
                            text::append);
            return text.toString();
        }
    }

    /** What llama.cpp says; its tokens of the prompt must be ours. */
    private static String theirs(Path file) {
        ModelParameters parameters = new ModelParameters()
                .setModel(file.toString())
                .setThreads(2)
                .setCtxSize(512)
                .disableLog();
        try (LlamaModel model = new LlamaModel(parameters)) {
            assertThat(model.encode(PROMPT)).isEqualTo(Tokenizers.load(file).encode(PROMPT));
            return model.complete(new InferenceParameters(PROMPT)
                    .setNPredict(NEW_TOKENS)
                    .setTemperature(0)
                    .setRepeatPenalty(1)
                    .setCachePrompt(false));
        }
    }

    private void assertSameText(MambaConfig config, Tokenizer tokenizer, WeightFormat format, long seed) {
        Path model = GgufModels.printable(folder.resolve("model" + seed), config, tokenizer, seed);
        Path file = folder.resolve("model" + seed + ".gguf");
        GgufConverter.toFile(model, file, Optional.of(format));
        String expected = ours(file);
        assertThat(expected).hasSizeGreaterThanOrEqualTo(NEW_TOKENS);
        assertThat(expected.chars().distinct().count()).as(expected).isGreaterThan(12);
        if (format == WeightFormat.F32) {
            assertThat(theirs(file)).isEqualTo(expected);
            assertThat(ours(model)).isEqualTo(expected);
        } else {
            // The other factor is rounded there too, which may turn a near-tie some day on some machine.
            assertThat(theirs(file)).startsWith(expected.substring(0, 24));
        }
    }

    @Test
    void bytePairsWithATiedHead() {
        Tokenizer tokenizer = TinyTokenizers.bpe();
        assertSameText(config(tokenizer).build(), tokenizer, WeightFormat.F32, 1);
    }

    @Test
    void bytesWithAHeadOfTheirOwn() {
        Tokenizer tokenizer = Tokenizers.bytes();
        assertSameText(
                config(tokenizer).tieEmbeddings(false).dConv(3).dState(8).build(), tokenizer, WeightFormat.F32, 2);
    }

    @Test
    void halfFloats() {
        Tokenizer tokenizer = TinyTokenizers.bpe();
        assertSameText(config(tokenizer).build(), tokenizer, WeightFormat.F16, 3);
        assertSameText(config(tokenizer).build(), tokenizer, WeightFormat.BF16, 4);
    }

    /**
     * llama.cpp rounds the other factor of quantised products to 8 bits as well, so that texts part at the first near-tie;
     * seeds where the first tokens have none.
     */
    @Test
    void quantisedModelsBeginAlike() {
        Tokenizer tokenizer = TinyTokenizers.bpe();
        for (WeightFormat format : new WeightFormat[] {WeightFormat.Q8, WeightFormat.Q4}) {
            Path model = GgufModels.printable(
                    folder.resolve(format.name()), config(tokenizer).build(), tokenizer, 5);
            Path file = folder.resolve(format + ".gguf");
            GgufConverter.toFile(model, file, Optional.of(format));
            try (Checkpoint checkpoint = Checkpoint.openQuantised(file)) {
                assertThat(checkpoint.format("backbone.embeddings.weight")).isEqualTo(format);
            }
            assertThat(theirs(file)).startsWith(ours(file).substring(0, 12));
        }
    }

    /** The tokenizer of Pythia and of the published Mambas: 40,000 characters of a novel, of Java and of other scripts. */
    @Test
    void readsTextIntoTheTokensOfGptNeox() throws IOException {
        Tokenizer tokenizer = Tokenizers.load(SharedData.require("data/tokenizers/gpt-neox-20b/tokenizer.json"));
        MambaConfig config = config(tokenizer).dModel(32).nLayer(1).build();
        Path model = GgufModels.random(folder.resolve("neox"), config, tokenizer, 1);
        Path file = folder.resolve("neox.gguf");
        assertThat(GgufConverter.toFile(model, file, Optional.of(WeightFormat.Q8)))
                .singleElement()
                .asString()
                .contains("does not normalise text (NFC)");
        String novel = Files.readString(SharedData.require("data/text/tinyshakespeare.txt"))
                .substring(0, 40_000);
        String java = Files.readString(Path.of("src/main/java/org/mamba4j/checkpoint/GgufHeader.java"));
        String scripts =
                "Größe, naïve café — „Москва“ 東京 서울 🎉🎉 x\u00a0y\r\n\t\t  1234567   <|endoftext|>  ½ €5\n\n\n";
        ModelParameters parameters =
                new ModelParameters().setModel(file.toString()).setCtxSize(64).disableLog();
        try (LlamaModel opened = new LlamaModel(parameters)) {
            for (String text : List.of(novel, java, scripts)) {
                assertThat(opened.encode(text)).isEqualTo(tokenizer.encode(text));
            }
        }
    }
}
