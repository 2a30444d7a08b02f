package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.text.Tokenizers;

class RememberTest {
    private static final String TEXT = "Call me Ishmael. ".repeat(1_000);

    @TempDir
    Path folder;

    @Test
    void whatWasReadOnceIsGoneOnWithLater() throws IOException {
        Path model = randomModel();
        Path text = Files.writeString(folder.resolve("text.txt"), TEXT);
        Path saved = folder.resolve("saved.state");

        String read = run(model, text, saved);
        assertTrue(read.startsWith("read 17000 tokens, kept "), read);
        String first = run(model, saved);
        String second = run(model, saved);

        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            opened.prefill(state, opened.tokenizer().encode(TEXT));
            GenerationOptions options = GenerationOptions.DEFAULTS.withMaxNewTokens(100);
            for (String printed : List.of(first, second)) {
                String expected = String.join("", opened.generate(state, options).toList());
                assertEquals(expected + System.lineSeparator(), printed);
            }
        }
    }

    private static String run(Path... arguments) throws IOException {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            String[] words = new String[arguments.length];
            for (int i = 0; i < words.length; i++) {
                words[i] = arguments[i].toString();
            }
            Remember.main(words);
        } finally {
            System.setOut(before);
        }
        return printed.toString(StandardCharsets.UTF_8);
    }

    /** A model of bytes that knows nothing, so that this needs no download. */
    private Path randomModel() throws IOException {
        MambaConfig config = MambaConfig.builder()
                .vocabSize(256)
                .dModel(16)
                .nLayer(2)
                .eosTokenId(MambaConfig.NO_TOKEN)
                .build();
        Random random = new Random(1);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            float[] values = new float[Math.toIntExact(spec.shape().elements())];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (0.3 * random.nextGaussian());
            }
            tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
        }
        Path model = folder.resolve("model");
        Checkpoint.write(model, config, tensors);
        Tokenizers.bytes().save(model);
        return model;
    }
}
