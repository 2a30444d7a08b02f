package org.mamba4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Pooling;
import org.mamba4j.inference.State;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNumber;

/** {@code embed}: what it prints is what the model makes of each text alone. */
class EmbedCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
    }

    private float[] expected(String text, Pooling pooling) {
        byte[] bytes = text.getBytes(UTF_8);
        int[] tokens = new int[bytes.length];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = bytes[i] & 0xFF;
        }
        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            return opened.embed(state, tokens, pooling);
        }
    }

    private static List<JsonFields> printed(Object... words) {
        Cli run = Cli.run(words);
        assertThat(run.code()).as(run.err()).isZero();
        return run.out()
                .lines()
                .map(line -> JsonFields.of(Json.parse(line.getBytes(UTF_8), "output"), "output"))
                .toList();
    }

    private static void assertEmbedding(JsonFields object, float[] expected) {
        List<Double> numbers = object.array("embedding").stream()
                .map(value -> ((JsonNumber) value).doubleValue())
                .toList();
        assertThat(numbers).hasSize(expected.length);
        for (int i = 0; i < expected.length; i++) {
            assertThat(numbers.get(i).floatValue()).isEqualTo(expected[i]);
        }
    }

    @Test
    void everyFileIsATextOfItsOwn() throws IOException {
        Path first = Files.writeString(folder.resolve("first.txt"), "Größe\nand more");
        Path second = Files.writeString(folder.resolve("second.txt"), "x");
        List<JsonFields> all = printed("embed", "--model", model, first, second);
        assertThat(all).hasSize(2);
        assertThat(all.getFirst().string("file")).isEqualTo(first.toString());
        assertThat(all.getFirst().integer("tokens", 0, Long.MAX_VALUE)).isEqualTo(16);
        assertThat(all.getFirst().has("line")).isFalse();
        assertEmbedding(all.getFirst(), expected("Größe\nand more", Pooling.MEAN));
        assertEmbedding(all.getLast(), expected("x", Pooling.MEAN));
    }

    @Test
    void linesOfStandardInputAndTheLastToken() {
        InputStream before = System.in;
        try {
            System.setIn(new ByteArrayInputStream("one line\r\n\n three\nlast".getBytes(UTF_8)));
            List<JsonFields> all = printed("embed", "--model", model, "--per-line", "--pooling", "last", "-");
            assertThat(all.stream().map(object -> object.integer("line", 1, 9))).containsExactly(1L, 3L, 4L);
            assertEmbedding(all.get(0), expected("one line", Pooling.LAST));
            assertEmbedding(all.get(1), expected(" three", Pooling.LAST));
            assertEmbedding(all.get(2), expected("last", Pooling.LAST));
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void whatHoldsNoTextIsRefused() throws IOException {
        Path empty = Files.writeString(folder.resolve("empty.txt"), "");
        Path blank = Files.writeString(folder.resolve("blank.txt"), "\n\r\n\n");
        assertRefused("empty.txt is empty", empty);
        assertRefused("blank.txt is empty", "--per-line", blank);
        assertRefused("there is no file", folder.resolve("absent.txt"));
        assertRefused("is a folder", folder);
    }

    private void assertRefused(String message, Object... words) {
        Object[] all = new Object[words.length + 3];
        all[0] = "embed";
        all[1] = "--model";
        all[2] = model;
        System.arraycopy(words, 0, all, 3, words.length);
        Cli run = Cli.run(all);
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains(message).doesNotContain("\tat ");
    }
}
