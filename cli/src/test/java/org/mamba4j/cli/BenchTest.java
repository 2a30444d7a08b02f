package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;

/** {@code bench} on the CPU in sizes that take no time; on a GPU it is the same path with another clock. */
class BenchTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void scan() {
        Path file = folder.resolve("scan.json");
        Cli result = Cli.run(
                "bench",
                "scan",
                "--batch",
                "1",
                "--width",
                "8",
                "--length",
                "50",
                "--states",
                "4",
                "--passes",
                "forward",
                "--step-sizes",
                "new",
                "--repeats",
                "3",
                "--json",
                file);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out())
                .contains("ceilings measured: copy", "scan B1 D8 L50 N4", "all steps agree with the reference")
                .doesNotContain("backward");
        JsonFields json = JsonFields.of(Json.read(file), "scan.json");
        assertThat(json.string("benchmark")).isEqualTo("scan");
        assertThat(json.string("commit")).isNotBlank();
        assertThat(json.string("date")).matches("\\d{4}-\\d\\d-\\d\\d");
        assertThat(json.decimal("copy_bytes_per_second")).isPositive();
        assertThat(json.array("rows")).hasSize(1);
        JsonFields row = JsonFields.of(json.array("rows").getFirst(), "row");
        assertThat(row.string("pass")).isEqualTo("forward");
        assertThat(row.decimal("exponentials")).isEqualTo(50 * 8 * 6);
        assertThat(row.decimal("worst_of_tolerance")).isBetween(0.0, 1.0);
        assertThat(row.decimal("median_seconds")).isPositive();
    }

    @Test
    void conv() {
        Cli result =
                Cli.run("bench", "conv", "--width", "8", "--length", "50", "--passes", "backward", "--repeats", "1");
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("conv B1 D8 L50 W4", "all steps agree with the reference");
    }

    @Test
    void train() {
        Path file = folder.resolve("train.json");
        Cli result = Cli.run(
                "bench",
                "train",
                "--width",
                "8",
                "--layers",
                "1",
                "--vocabulary",
                "11",
                "--batch",
                "2",
                "--length",
                "20",
                "--warm-up",
                "1",
                "--steps",
                "9",
                "--json",
                file);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("tokens/s", "d8 x1 V11 B2 L20");
        JsonFields row = JsonFields.of(
                JsonFields.of(Json.read(file), "train.json").array("rows").getFirst(), "row");
        assertThat(row.integer("tokens_per_step", 0, 100)).isEqualTo(40);
        assertThat(row.decimal("last_loss")).isLessThan(row.decimal("first_loss"));
        assertThat(row.decimal("tokens_per_second") * row.decimal("median_step_seconds"))
                .isCloseTo(40, within(1e-6));
    }

    @Test
    void badInput() {
        refused("cuda", "scan", "--device", "cuda:999");
        refused("float16", "conv", "--precision", "float16");
        refused("bfloat16 is for GPUs", "scan", "--precision", "bfloat16");
        refused("sideways", "scan", "--passes", "sideways");
        refused("huge", "scan", "--step-sizes", "huge");
        refused("GB of memory", "scan", "--batch", "1000", "--length", "1000000", "--width", "4096");
        refused("GB of memory", "conv", "--batch", "2000000000", "--length", "2000000000", "--width", "2000000000");
        refused("--repeats", "scan", "--width", "8", "--repeats", "0");
        refused("at least 1", "scan", "--width", "0");
        refused("at most 256", "scan", "--states", "257");
        refused("wide", "scan", "--width", "wide");
        refused("bfloat16", "train", "--precision", "bfloat16");
        refused("--steps", "train", "--steps", "0");
        refused("use --device cuda", "generate");
        refused("--new 0", "generate", "--new", "0");
        refused("--batch 0", "generate", "--device", "cuda:0", "--batch", "0");
    }

    private static void refused(String named, Object... words) {
        Object[] all = new Object[words.length + 1];
        all[0] = "bench";
        System.arraycopy(words, 0, all, 1, words.length);
        Cli result = Cli.run(all);
        assertThat(result.code()).as(result.err()).isEqualTo(2);
        assertThat(result.err()).startsWith("mamba4j: ").contains(named).hasLineCount(1);
    }
}
