package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.model.Shape;

/** What works with a folder works with a GGUF file. */
class ConvertCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");
    private Path file = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
        file = folder.resolve("tiny.gguf");
        Cli converted = Cli.run("convert", model, file);
        assertThat(converted.err()).contains("tiny.gguf: 0.", "note: the model has no token that ends a text");
        assertThat(converted.code()).isZero();
    }

    @Test
    void aFileGeneratesWhatTheFolderDoes() {
        Object[] arguments = {"--prompt", "abc", "--max-new-tokens", "20", "--seed", "3"};
        Cli fromFile = generate(file, arguments);
        assertThat(fromFile.code()).as(fromFile.err()).isZero();
        assertThat(fromFile.out())
                .isNotEmpty()
                .isEqualTo(generate(model, arguments).out());
    }

    private static Cli generate(Path from, Object... arguments) {
        Object[] all = Arrays.copyOf(new Object[] {"generate", "--model", from}, 3 + arguments.length);
        System.arraycopy(arguments, 0, all, 3, arguments.length);
        return Cli.run(all);
    }

    @Test
    void aFileIsInspected() {
        Cli whole = Cli.run("inspect", file);
        assertThat(whole.code()).isZero();
        assertThat(whole.out())
                .contains("GGUF version 3", "general.architecture", "mamba.block_count", "256 × TEXT")
                .containsPattern("blk\\.1\\.ssm_a +F32 +\\(16, 4\\) +256")
                .containsPattern("tensors +22");
        assertThat(Cli.run("inspect", file, "--no-tensors").out()).doesNotContain("ssm_a");
    }

    @Test
    void logitsAndPerplexityComeFromAFile() throws IOException {
        Path input = folder.resolve("input.safetensors");
        SafetensorsWriter.write(
                input,
                java.util.Map.of(),
                java.util.List.of(
                        SafetensorsWriter.Tensor.ofLongs("input_ids", Shape.of(1, 5), new long[] {1, 2, 3, 4, 5})));
        Path expected = folder.resolve("expected.safetensors");
        Path actual = folder.resolve("actual.safetensors");
        assertThat(Cli.run("logits", "--model", model, "--input", input, "--output", expected)
                        .code())
                .isZero();
        assertThat(Cli.run("logits", "--model", file, "--input", input, "--output", actual)
                        .code())
                .isZero();
        try (SafetensorsFile a = SafetensorsFile.open(actual);
                SafetensorsFile b = SafetensorsFile.open(expected)) {
            assertThat(a.floats("logits")).usingComparatorWithPrecision(1e-6f).containsExactly(b.floats("logits"));
        }
        Path text = Files.writeString(folder.resolve("text.txt"), "to be or not to be ".repeat(40));
        Cli perplexity = Cli.run("eval", "perplexity", "--model", file, "--data", text, "--lengths", "128");
        assertThat(perplexity.code()).as(perplexity.err()).isZero();
        assertThat(folder.resolve("tiny.gguf.eval")).isDirectory();
    }

    @Test
    void aFileBecomesAFolderAgain() throws IOException {
        Path back = folder.resolve("back");
        assertThat(Cli.run("convert", file, back).code()).isZero();
        assertThat(Files.readString(back.resolve("tokenizer_config.json"))).contains("bytes");
        assertThat(generate(back, "--prompt", "x", "--max-new-tokens", "5").code())
                .isZero();
        Cli again = Cli.run("convert", file, back);
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("exists already");
    }

    @Test
    void whatCannotBeConvertedIsRefusedInOneLine() throws IOException {
        refused("neither", "convert", model, folder.resolve("other"));
        refused("cut off", "convert", truncated(), folder.resolve("other.gguf"));
        refused("cut off", "generate", "--model", truncated(), "--prompt", "x");
        refused("cut off", "inspect", truncated());
        refused("not a checkpoint folder", "quantize", file, folder.resolve("q8"), "--type", "q8");
        refused("Q9", "convert", model, folder.resolve("other.gguf"), "--type", "Q9");
        Path text = Files.writeString(folder.resolve("text.gguf"), "no model");
        refused("does not begin as a GGUF file does", "generate", "--model", text, "--prompt", "x");
    }

    private Path truncated() throws IOException {
        byte[] all = Files.readAllBytes(file);
        return Files.write(folder.resolve("truncated.gguf"), Arrays.copyOf(all, all.length / 2));
    }

    private static void refused(String message, Object... arguments) {
        Cli run = Cli.run(arguments);
        assertThat(run.code()).as(run.err()).isEqualTo(2);
        assertThat(run.err()).contains(message).doesNotContain("\tat ");
    }
}
