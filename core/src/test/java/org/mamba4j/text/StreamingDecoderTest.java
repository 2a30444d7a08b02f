package org.mamba4j.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mamba4j.TestSeed;

class StreamingDecoderTest {
    @Test
    void holdsBackTheHeadOfACharacter() {
        StreamingDecoder decoder = new StreamingDecoder();
        byte[] cat = "a🐈".getBytes(UTF_8);
        assertThat(decoder.add(Arrays.copyOf(cat, 1))).isEqualTo("a");
        assertThat(decoder.add(Arrays.copyOfRange(cat, 1, 3))).isEmpty();
        assertThat(decoder.add(new byte[0])).isEmpty();
        assertThat(decoder.add(Arrays.copyOfRange(cat, 3, 4))).isEmpty();
        assertThat(decoder.add(Arrays.copyOfRange(cat, 4, 5))).isEqualTo("🐈");
        assertThat(decoder.finish()).isEmpty();
    }

    @Test
    void headWithoutItsRestIsReplacedAtTheEnd() {
        StreamingDecoder decoder = new StreamingDecoder();
        assertThat(decoder.add(new byte[] {'a', (byte) 0xE4, (byte) 0xBD})).isEqualTo("a");
        assertThat(decoder.finish()).isEqualTo("\ufffd");
        assertThat(decoder.add(new byte[] {'b'})).isEqualTo("b");
        assertThat(decoder.finish()).isEmpty();
    }

    @Test
    void anyPiecesOfAnyBytesGiveTheWhole() {
        long seed = TestSeed.of("StreamingDecoderTest");
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes =
                    random.nextBoolean() ? NastyText.next(random, 20).getBytes(UTF_8) : new byte[random.nextInt(12)];
            for (int k = random.nextInt(4); k > 0 && bytes.length > 0; k--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
            }
            StreamingDecoder decoder = new StreamingDecoder();
            StringBuilder text = new StringBuilder();
            for (int at = 0; at < bytes.length; ) {
                int end = Math.min(bytes.length, at + random.nextInt(4));
                text.append(decoder.add(Arrays.copyOfRange(bytes, at, end)));
                at = end;
            }
            assertThat(text.append(decoder.finish())).hasToString(new String(bytes, UTF_8));
        }
    }
}
