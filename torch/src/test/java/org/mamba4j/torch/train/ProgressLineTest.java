package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.train.TrainListener.Progress;

class ProgressLineTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    private long nanos = 1;

    @Test
    void rewritesOneLineOnATerminal() {
        ProgressLine line = new ProgressLine(out, true, () -> nanos);
        for (int step = 1; step <= 100; step++) {
            line.stepped(progress(step));
            nanos += 50_000_000L;
        }
        line.note("something else");

        String text = bytes.toString(StandardCharsets.UTF_8);
        // Every other step: 20 a second come, 10 are shown; the note replaces the last one.
        assertThat(text.split("\u001b\\[K", -1)).hasSize(53);
        assertThat(text.lines().filter(l -> l.endsWith("something else"))).hasSize(1);
        assertThat(text)
                .contains("step 99/100  1:30 left  loss 2.000")
                .doesNotContain("step 2/100")
                .endsWith("something else" + System.lineSeparator());
    }

    @Test
    void whatMattersFitsIntoEightyColumns() {
        ProgressLine line = new ProgressLine(out, true, () -> nanos);
        line.stepped(new Progress(123_456, 200_000, 2 * Math.log(2), 1e-3, 0.5, 123_456, 36_000));
        String shown = bytes.toString(StandardCharsets.UTF_8).replaceAll("\r|\u001b\\[[?0-9]*[a-zA-Z]", "");
        assertThat(shown.substring(0, 79)).contains("10:00:00 left", "loss 2.000", "123,456 tokens/s");
        assertThat(shown).endsWith(" "); // or the last column shows the last letter of what is cut off
    }

    @Test
    void printsPlainLinesNowAndThenElsewhere() {
        ProgressLine line = new ProgressLine(out, false, () -> nanos);
        for (int step = 1; step <= 100; step++) {
            line.stepped(progress(step));
            nanos += 500_000_000L;
        }

        String text = bytes.toString(StandardCharsets.UTF_8);
        assertThat(text).doesNotContain("\u001b").doesNotContain("\r\u001b");
        assertThat(text.lines())
                .hasSize(6)
                .allMatch(l -> l.contains("tokens/s") && l.contains("lr") && l.contains("left"));
        assertThat(text).contains("step 100/100");
    }

    @Test
    void showsTheValidationLoss() {
        ProgressLine line = new ProgressLine(out, false, () -> nanos);
        line.measured(new Metrics(
                5,
                0,
                Map.of(
                        Metrics.VALID_LOSS,
                        Math.log(2),
                        Metrics.VALID_BITS_PER_TOKEN,
                        1.0,
                        Metrics.VALID_BITS_PER_BYTE,
                        0.25,
                        Metrics.VALID_PERPLEXITY,
                        2.0)));
        line.stepped(progress(6));

        assertThat(bytes.toString(StandardCharsets.UTF_8))
                .contains("0.2500 bits/byte")
                .contains("(valid 1.000)");
    }

    @Test
    void writesDurations() {
        assertThat(ProgressLine.duration(0.4)).isEqualTo("0:00");
        assertThat(ProgressLine.duration(179.6)).isEqualTo("3:00");
        assertThat(ProgressLine.duration(3_725)).isEqualTo("1:02:05");
        assertThat(ProgressLine.duration(Double.NaN)).isEqualTo("?");
    }

    private static Progress progress(int step) {
        return new Progress(step, 100, 2 * Math.log(2), 1e-3, 0.5, 12_345, 90);
    }
}
