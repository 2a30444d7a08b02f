package org.mamba4j.inference;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mamba4j.TestSeed;
import org.mamba4j.text.TinyBpe;
import org.mamba4j.text.Tokenizer;

/** Stop texts, wherever tokens begin and end. */
class StreamedTextTest {
    private static final List<String> ALPHABET = List.of("a", "b", "ä", "世", "界", "🎉", "\n", "ab", "aab");

    private static String next(Random random, int most) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(most) + 1; i > 0; i--) {
            text.append(ALPHABET.get(random.nextInt(ALPHABET.size())));
        }
        return text.toString();
    }

    /** Where the stop text begins that is complete first, of two the longer one. */
    private static int firstStop(String text, List<String> stops) {
        for (int end = 1; end <= text.length(); end++) {
            String read = text.substring(0, end);
            var complete = stops.stream().filter(read::endsWith).mapToInt(String::length);
            var longest = complete.max();
            if (longest.isPresent()) {
                return end - longest.getAsInt();
            }
        }
        return text.length();
    }

    /** What is handed over of {@code text}, whose bytes come in pieces that end at random. */
    private static String streamed(String text, List<String> stops, Random random, List<String> pieces) {
        StreamedText streamed = new StreamedText(stops);
        byte[] bytes = text.getBytes(UTF_8);
        boolean stopped = false;
        for (int from = 0; from < bytes.length && !stopped; ) {
            int to = Math.min(bytes.length, from + random.nextInt(6)); // some tokens stand for nothing
            stopped = streamed.add(Arrays.copyOfRange(bytes, from, to), pieces::add);
            from = to;
        }
        streamed.finish(pieces::add);
        return streamed.text();
    }

    @Test
    void aTextEndsBeforeTheFirstStopTextHoweverItIsCut() {
        long seed = TestSeed.of("StreamedTextTest");
        Random random = new Random(seed);
        int stopped = 0;
        for (int i = 0; i < 20_000; i++) {
            String text = next(random, 30);
            List<String> stops = List.of(next(random, 4), next(random, 3));
            int end = firstStop(text, stops);
            List<String> pieces = new ArrayList<>();
            assertThat(streamed(text, stops, random, pieces))
                    .as("seed %d, text %s, stops %s", seed, text, stops)
                    .isEqualTo(text.substring(0, end))
                    .isEqualTo(String.join("", pieces));
            assertThat(pieces).noneMatch(String::isEmpty);
            for (String piece : pieces) {
                assertThat(piece.codePoints().noneMatch(c -> c == 0xFFFD)).isTrue();
            }
            stopped += end < text.length() ? 1 : 0;
        }
        assertThat(stopped).isGreaterThan(5_000);
    }

    @Test
    void tokensOfATokenizerAreCutToo() {
        Tokenizer bpe = new TinyBpe().load();
        String text = "the quick brown Größe, 東京 🎉🎉 then there these";
        int[] tokens = bpe.encode(text);
        assertThat(tokens.length).isLessThan(text.getBytes(UTF_8).length); // some tokens are longer than a byte
        for (int from = 1; from < text.length(); from++) {
            for (int to = from + 1; to <= text.length(); to++) {
                String stop = text.substring(from, to);
                if (Character.isLowSurrogate(stop.charAt(0)) || Character.isHighSurrogate(text.charAt(to - 1))) {
                    continue;
                }
                StreamedText streamed = new StreamedText(List.of(stop));
                boolean stopped = false;
                for (int i = 0; i < tokens.length && !stopped; i++) {
                    stopped = streamed.add(bpe.bytes(tokens[i]), piece -> {});
                }
                assertThat(stopped).as(stop).isTrue();
                assertThat(streamed.text()).isEqualTo(text.substring(0, text.indexOf(stop)));
            }
        }
    }
}
