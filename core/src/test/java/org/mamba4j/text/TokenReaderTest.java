package org.mamba4j.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.mamba4j.TestSeed;

class TokenReaderTest {
    private static final Tokenizer BPE = new TinyBpe().load();

    /** Tokens of {@code text} piece by piece, and how often it was cut for want of a better place. */
    private record Read(List<Integer> tokens, int uncertainCuts, int longest) {
        static Read of(Tokenizer tokenizer, byte[] text, int pieceBytes, int mostBytes) throws IOException {
            TokenReader reader = new TokenReader(tokenizer, new ByteArrayInputStream(text), pieceBytes, mostBytes);
            IntStream all = IntStream.empty();
            int longest = 0;
            while (!reader.isDone()) {
                int[] tokens = reader.next();
                longest = Math.max(longest, tokens.length);
                all = IntStream.concat(all, IntStream.of(tokens));
            }
            assertThat(reader.next()).isEmpty();
            assertThat(reader.bytesRead()).isEqualTo(text.length);
            return new Read(all.boxed().toList(), reader.uncertainCuts(), longest);
        }
    }

    private static List<Integer> list(int[] tokens) {
        return IntStream.of(tokens).boxed().toList();
    }

    @Test
    void piecesGiveTheTokensOfTheWhole() throws IOException {
        long seed = TestSeed.of("TokenReaderTest");
        Random random = new Random(seed);
        for (int i = 0; i < 300; i++) {
            String text = (NastyText.next(random, 30) + "a\nb").repeat(1 + random.nextInt(4));
            byte[] bytes = text.getBytes(UTF_8);
            int piece = 4 + random.nextInt(40);
            Read read = Read.of(BPE, bytes, piece, 1 << 20);
            assertThat(read.tokens()).as("seed %d, text %d", seed, i).isEqualTo(list(BPE.encode(bytes)));
            assertThat(read.uncertainCuts()).isZero();
        }
    }

    @Test
    void aLineWithoutAnEndIsCutBetweenCharacters() throws IOException {
        String text = "世界ä🎉x".repeat(200);
        for (int most = 8; most < 40; most++) {
            Read read = Read.of(BPE, text.getBytes(UTF_8), 5, most);
            assertThat(BPE.decode(
                            read.tokens().stream().mapToInt(Integer::intValue).toArray()))
                    .as("%d bytes at most", most)
                    .isEqualTo(text);
            assertThat(read.uncertainCuts()).isPositive();
            assertThat(read.longest()).isLessThanOrEqualTo(most);
        }
        // What is no text is cut anywhere.
        byte[] none = new byte[1000];
        Arrays.fill(none, (byte) 0x80);
        assertThat(Read.of(BPE, none, 5, 20).uncertainCuts()).isPositive();
        Arrays.fill(none, (byte) 0xF0);
        assertThat(Read.of(BPE, none, 5, 20).uncertainCuts()).isPositive();
    }

    @Test
    void bytesAreCutAnywhere() throws IOException {
        byte[] bytes = new byte[1000];
        new Random(1).nextBytes(bytes);
        Read read = Read.of(Tokenizers.bytes(), bytes, 7, 7);
        assertThat(read.tokens()).isEqualTo(list(Tokenizers.bytes().encode(bytes)));
        assertThat(read.uncertainCuts()).isZero();
        assertThat(read.longest()).isEqualTo(7);
        assertThat(Read.of(BPE, new byte[0], 7, 7).tokens()).isEmpty();
    }

    @Test
    void whatReadingThrowsIsPassedOn() throws IOException {
        InputStream broken = InputStream.nullInputStream();
        broken.close();
        assertThatThrownBy(() -> new TokenReader(BPE, broken, 8, 8).next())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("closed");
        assertThatThrownBy(() -> new TokenReader(BPE, broken, 9, 8)).isInstanceOf(IllegalArgumentException.class);
    }
}
