package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.text.Tokenizers;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;

class MemoryCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path mamba = Path.of("");
    private Path memory = Path.of("");
    private Path text = Path.of("");

    @BeforeEach
    void makeModels() throws IOException {
        mamba = TinyModel.in(folder);
        memory = folder.resolve("memory & <co>");
        MemMambaConfig config = new MemMambaConfig(TinyModel.CONFIG, MemoryConfig.DEFAULTS);
        try (LanguageNetwork network = LanguageNetwork.create(config, MambaKernels.fused(), 1)) {
            network.save(memory);
        }
        Tokenizers.bytes().save(memory);
        text = Files.writeString(folder.resolve("text.txt"), "Größe is <b>bold</b> & \"so\" on. ".repeat(200));
    }

    @Test
    void twoModelsAreShownSideBySideOnOnePage() throws IOException {
        Path page = folder.resolve("out/memory.html");
        Cli run = Cli.run(
                "memory",
                "--model",
                memory,
                "--compare",
                mamba,
                "--data",
                text,
                "--length",
                128,
                "--sequences",
                4,
                "--output",
                page);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("half-life", "ETMF", "read gate", "memory & <co>, memmamba", "model, mamba");
        String html = Files.readString(page);
        assertThat(html)
                .contains("memory &amp; &lt;co&gt;", "ECLMF", "this project's", "When notes are read", "What was noted")
                .contains("key stated")
                .doesNotContain("{{", "NaN", "Infinity", "http://", "https://", "<b>bold");
        assertThat(html.replaceAll("</?span[^>]*>", ""))
                .contains("Größe is &lt;b&gt;bold&lt;/b&gt; &amp; &quot;so&quot; on.");
        JsonArray models = (JsonArray) Json.read(folder.resolve("out/memory.json"));
        assertThat(models.values()).hasSize(2);
        JsonFields first = JsonFields.of(models.values().getFirst(), "model");
        assertThat(first.string("type")).isEqualTo("memmamba");
        JsonFields layer = JsonFields.of(first.array("layers").getLast(), "layer");
        assertThat(layer.keys()).contains("influence", "bound_bits", "etmf", "eclmf", "note_rate", "read_gate");
    }

    @Test
    void oneModelWithoutAMemoryIsAPageToo() throws IOException {
        Cli run = Cli.run("memory", "--model", mamba, "--data", text, "--length", 64, "--sequences", 2);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(Files.readString(mamba.resolve("eval/memory.html"))).contains("No model here takes notes.");
    }

    @Test
    void aModelIsShownBesideItselfReadingNothing() throws IOException {
        Cli run = Cli.run(
                "memory",
                "--model",
                memory,
                "--compare",
                memory + ":notes-off",
                "--data",
                text,
                "--length",
                64,
                "--sequences",
                2);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("memory & <co>, memmamba", "memory & <co>, notes off, mamba");
        JsonArray models = (JsonArray) Json.read(memory.resolve("eval/memory.json"));
        assertThat(JsonFields.of(models.values().getLast(), "model").string("model"))
                .endsWith("notes off");
    }

    @Test
    void whatCannotBeStudiedIsOneLine() {
        for (Cli run : new Cli[] {
            Cli.run("memory", "--model", mamba, "--data", text, "--length", 5),
            Cli.run("memory", "--model", mamba, "--data", text, "--length", "1M"),
            Cli.run("memory", "--model", mamba, "--data", text, "--sequences", 1),
            Cli.run("memory", "--model", mamba, "--data", text, "--output", folder.resolve("x.txt")),
            Cli.run("memory", "--model", mamba, "--data", text, "--compare", folder),
            Cli.run("memory", "--model", mamba, "--data", text, "--notes", "off"),
            Cli.run("memory", "--model", mamba, "--data", text, "--notes", "some"),
            Cli.run("generate", "--model", mamba, "--prompt", "a", "--notes", "off"),
            Cli.run("memory", "--model", mamba, "--data", text, "--device", "cuda:99")
        }) {
            assertThat(run.code()).as(run.err()).isEqualTo(2);
            assertThat(run.err().strip().lines().toList()).hasSize(1);
        }
    }
}
