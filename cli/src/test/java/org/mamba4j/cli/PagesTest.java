package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.StringReader;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.xml.sax.InputSource;

class PagesTest {
    private static final SvgChart.Axis STEPS =
            new SvgChart.Axis("step <1>", false, List.of(), value -> String.valueOf(Math.round(value)));
    private static final SvgChart.Axis LOSS = new SvgChart.Axis("loss", false, List.of(), SvgChart::plain);

    @Test
    void escapesWhatAModelMaySay() {
        assertThat(Html.escape("<b>&\"\u0000\u0007\u007Fé😀\n"))
                .isEqualTo("&lt;b&gt;&amp;&quot;\uFFFD\uFFFD\uFFFDé😀\n");
    }

    @Test
    void everyPlaceholderNeedsAValue() {
        assertThatThrownBy(() -> Html.fill("report.html", Map.of()))
                .isInstanceOf(NullPointerException.class)
                .hasMessageContaining("{{title}}");
    }

    @Test
    void chartsAreWellFormed() throws Exception {
        var valid = List.of(new SvgChart.Point(10, 2, 1.5, 2.5), new SvgChart.Point(20, 1, 0.9, 1.2));
        for (var points : List.of(valid, valid.subList(0, 1), List.<SvgChart.Point>of())) {
            String svg = new SvgChart(STEPS, LOSS, List.of(new SvgChart.Series("a & b", "main", points, true))).toSvg();
            DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new InputSource(new StringReader(svg)));
            assertThat(svg).doesNotContain("NaN").doesNotContain("Infinity");
        }
    }

    @Test
    void placesPointsInsideTheAxes() {
        var points = List.of(new SvgChart.Point(10, 2, 2, 2), new SvgChart.Point(20, 1, 1, 1));
        String svg = new SvgChart(STEPS, LOSS, List.of(new SvgChart.Series("a", "main", points, false))).toSvg();
        // The first point is at the left end; a greater loss is higher up, where y is smaller.
        assertThat(svg).containsPattern("d=\"M72\\.0 (2|3)\\d\\.\\d L736\\.0 2\\d\\d\\.\\d\"");
    }

    @Test
    void ticksAreRoundValues() {
        assertThat(SvgChart.ticks(0, 10)).containsExactly(0.0, 2.0, 4.0, 6.0, 8.0, 10.0);
        assertThat(SvgChart.ticks(1.07, 1.43).stream().map(SvgChart::plain).toList())
                .containsExactly("1.1", "1.2", "1.3", "1.4");
        assertThat(SvgChart.plain(1200)).isEqualTo("1200");
    }

    @Test
    void tablesAlign() {
        assertThat(new Table("lr").row("a", "1").row("bcd", "1,000").lines())
                .containsExactly("a        1", "bcd  1,000");
    }
}
