package org.mamba4j.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class TokenizersTest {
    @TempDir
    Path dir;

    @Test
    void bytesAreTokens() {
        Tokenizer bytes = Tokenizers.bytes();
        assertThat(bytes.vocabSize()).isEqualTo(256);
        assertThat(bytes.encode("aé")).containsExactly('a', 0xC3, 0xA9);
        assertThat(bytes.encode(new byte[] {-1, 0, 127, -128})).containsExactly(255, 0, 127, 128);
        assertThat(bytes.decode(new int[] {'a', 0xC3, 0xA9, 0xFF})).isEqualTo("aé\ufffd");
        assertThat(bytes.bytes(200)).containsExactly(200);
        assertThat(bytes.encode("")).isEmpty();
        assertThat(bytes.splitPoint(new byte[9], 7)).isEqualTo(7);
        assertThat(bytes.fingerprint()).hasSize(64);
        for (int bad : new int[] {-1, 256}) {
            assertThatThrownBy(() -> bytes.bytes(bad))
                    .isInstanceOf(UserError.class)
                    .hasMessageContainingAll("token " + bad, "0 to 255");
            assertThatThrownBy(() -> bytes.decode(new int[] {bad})).isInstanceOf(UserError.class);
        }
    }

    @Test
    void folderGivesBackWhatWasSaved() throws IOException {
        Path a = Files.createDirectory(dir.resolve("a"));
        Tokenizers.bytes().save(a);
        assertThat(Tokenizers.load(a)).isEqualTo(Tokenizers.bytes());
        Path b = Files.createDirectory(dir.resolve("b"));
        Tokenizer bpe = new TinyBpe().load();
        bpe.save(b);
        assertThat(Tokenizers.load(b).fingerprint()).isEqualTo(bpe.fingerprint());
        assertThat(Tokenizers.load(b.resolve("tokenizer.json")).encode("hello")).isEqualTo(bpe.encode("hello"));
        // tokenizer.json wins.
        bpe.save(a);
        assertThat(Tokenizers.load(a).vocabSize()).isEqualTo(bpe.vocabSize());
    }

    @Test
    void missingTokenizerIsNamedWithItsRemedy() throws IOException {
        assertThatThrownBy(() -> Tokenizers.load(dir))
                .isInstanceOf(UserError.class)
                .hasMessageContainingAll(dir + " has no tokenizer", "tokenizer.json", "\"tokenizer_class\": \"bytes\"");
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"GPTNeoXTokenizer\"}");
        assertThatThrownBy(() -> Tokenizers.load(dir))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no tokenizer");
        Files.writeString(dir.resolve("tokenizer_config.json"), "{");
        assertThatThrownBy(() -> Tokenizers.load(dir))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer_config.json");
        assertThatThrownBy(() -> Tokenizers.load(dir.resolve("none")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("does not exist");
        Files.write(dir.resolve("tokenizer.json"), "no json".getBytes(UTF_8));
        assertThatThrownBy(() -> Tokenizers.load(dir))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer.json");
    }

    @Test
    void folderThatCannotBeWrittenIsNamed() {
        Path none = dir.resolve("none");
        assertThatThrownBy(() -> Tokenizers.bytes().save(none))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer_config.json cannot be written");
        assertThatThrownBy(() -> new TinyBpe().load().save(none))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer.json cannot be written");
    }
}
