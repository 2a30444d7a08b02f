package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.Tokenizers;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;

class DynamicsCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path mamba = Path.of("");
    private Path text = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        mamba = TinyModel.in(folder);
        text = Files.writeString(folder.resolve("text.txt"), "Größe is <b>bold</b> & \"so\" on. ".repeat(20));
    }

    @Test
    void twoModelsAreShownSideBySideOnOnePage() throws IOException {
        Path memory = folder.resolve("memory & <co>");
        try (LanguageNetwork network = LanguageNetwork.create(
                new MemMambaConfig(TinyModel.CONFIG, MemoryConfig.DEFAULTS), MambaKernels.fused(), 1)) {
            network.save(memory);
        }
        Tokenizers.bytes().save(memory);
        Path page = folder.resolve("out/dynamics.html");
        Cli run = Cli.run(
                "dynamics", "--model", memory, "--compare", mamba, "--text", text, "--length", 200, "--out", page);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("time scale", "half-life", "memory & <co>, memmamba", "model, mamba");
        String html = Files.readString(page);
        assertThat(html)
                .contains("memory &amp; &lt;co&gt;", "The first 200 tokens of text.txt", "Impulse responses")
                .doesNotContain("{{", "NaN", "Infinity", "http://", "https://", "<b>bold", " src=");
        assertThat(html.replaceAll("</?span[^>]*>", ""))
                .contains("Größe is &lt;b&gt;bold&lt;/b&gt; &amp; &quot;so&quot;");
        // What the page's script reads is JSON: a layer for each of the model's, a value for each token.
        String figures = html.substring(html.indexOf("class=\"figures\">") + 16, html.indexOf("</script>"));
        JsonArray layers = (JsonArray) Json.parse(figures.getBytes(StandardCharsets.UTF_8), "figures");
        assertThat(layers.values()).hasSize(2);
        JsonFields first = JsonFields.of(layers.values().getFirst(), "layer");
        assertThat(first.array("valve")).hasSize(200);
        assertThat(first.array("life")).hasSize(200);
        assertThat(first.string("v")).hasSize(200);
        JsonArray models = (JsonArray) Json.read(folder.resolve("out/dynamics.json"));
        assertThat(models.values()).hasSize(2);
        assertThat(JsonFields.of(models.values().getLast(), "model").string("type"))
                .isEqualTo("mamba");
    }

    private Path composed(String name, String parts) throws IOException {
        Path model = folder.resolve(name);
        String json =
                "{\"model_type\": \"composed\", \"vocab_size\": 256, \"hidden_size\": 8, \"num_hidden_layers\": 3, "
                        + parts.replace('\'', '"') + "}";
        ModelConfig config = ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), name), name);
        try (LanguageNetwork network = LanguageNetwork.create(config, MambaKernels.fused(), 1)) {
            network.save(model);
        }
        Tokenizers.bytes().save(model);
        return model;
    }

    @Test
    void whatTreatsAllTokensAlikeShowsItsKernel() throws IOException {
        Path s4 = composed("s4", "'block': 'plain', 'inner_layer': 's4', 'state_size': 8");
        Path page = folder.resolve("s4.html");
        Cli run =
                Cli.run("dynamics", "--model", s4, "--compare", mamba, "--text", text, "--length", 100, "--out", page);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("composed: s4 in a block of type plain", "half of the kernel", "half-life");
        assertThat(Files.readString(page))
                .contains("No valve", "nothing to colour", "There is none: what a token leaves behind", "every token")
                .doesNotContain("{{", "NaN", "Infinity");
        JsonArray models = (JsonArray) Json.read(folder.resolve("s4.json"));
        JsonFields first = JsonFields.of(models.values().getFirst(), "model");
        JsonFields layer = JsonFields.of(first.array("layers").getFirst(), "layer");
        assertThat(layer.array("kernel")).hasSameSizeAs(first.array("lags"));
        assertThat(layer.has("time_scales_a")).isTrue();
        assertThat(layer.has("delta")).isFalse();
    }

    @Test
    void everyInnerLayerCanBeShown() throws IOException {
        for (String parts : new String[] {
            "'inner_layer': 's4d'",
            "'block': 'h3', 'inner_layer': 'hyena'",
            "'inner_layer': 's6'",
            "'inner_layer': 's6', 'a_init': 'lin'",
            "'block': 'plain', 'inner_layer': 's6', 'selective': 'delta'",
            "'inner_layer': 's6', 'selective': 'b-c'",
            "'inner_layer': 's6', 'selective': 'none'"
        }) {
            Path model = composed("m" + parts.hashCode(), parts);
            Path page = model.resolve("eval/dynamics.html");
            Cli run = Cli.run("dynamics", "--model", model, "--text", text, "--length", 60);
            assertThat(run.code()).as(parts + run.err()).isZero();
            String html = Files.readString(page);
            assertThat(html).as(parts).doesNotContain("{{", "NaN", "Infinity");
            assertThat(html.contains("This layer has no A")).as(parts).isEqualTo(parts.contains("hyena"));
            boolean selective = parts.contains("s6") && !parts.contains("none");
            assertThat(html.contains("class=\"figures\">")).as(parts).isEqualTo(selective);
            assertThat(html.contains("No valve")).as(parts).isEqualTo(!selective || parts.contains("b-c"));
            assertThat(html.contains("B and C are the channel"))
                    .as(parts)
                    .isEqualTo(!selective || parts.contains("delta"));
        }
    }

    @Test
    void layersOfAHybridKeepTheirNumbers() throws IOException {
        Path hybrid = composed("hybrid", "'inner_layer': ['s4d', 's6', 's4d']");
        Path page = folder.resolve("hybrid.html");
        Cli run = Cli.run(
                "dynamics", "--model", hybrid, "--compare", mamba, "--text", text, "--length", 60, "--out", page);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out())
                .contains("composed: s4d, s6, s4d in a block of type mamba", "half-life", "half of the kernel")
                .containsPattern("(?s)half-life.*\n *2 .*half of the kernel.*\n *1 .*\n *3 ");
        String html = Files.readString(page);
        assertThat(html)
                .contains("median reach of a kernel", "median half-life")
                .doesNotContain("{{", "NaN", "Infinity");
        String figures = html.substring(html.indexOf("class=\"figures\">") + 16, html.indexOf("</script>"));
        JsonArray layers = (JsonArray) Json.parse(figures.getBytes(StandardCharsets.UTF_8), "figures");
        assertThat(layers.values()).hasSize(3);
        assertThat(layers.values().getFirst()).isEqualTo(JsonNull.NULL);
        assertThat(JsonFields.of(layers.values().get(1), "layer").array("valve"))
                .hasSize(60);
        assertThat(html)
                .containsPattern("(?s)<h2>The kernel</h2>.*data-layer=\"0\" hidden><svg.*data-layer=\"1\"><p class");
    }

    @Test
    void aShortTextIsReadWhole() throws IOException {
        Cli run = Cli.run("dynamics", "--model", mamba, "--text", Files.writeString(text, "sixteen letters."));
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(Files.readString(mamba.resolve("eval/dynamics.html"))).contains("The first 16 tokens");
    }

    @Test
    void whatCannotBeShownIsOneLine() throws IOException {
        Path llama = folder.resolve("llama");
        String json = """
                {"model_type": "llama", "vocab_size": 256, "hidden_size": 8, "intermediate_size": 16,
                 "num_hidden_layers": 1, "num_attention_heads": 2}""";
        ModelConfig config = ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), "llama"), "llama");
        try (LanguageNetwork network = LanguageNetwork.create(config, MambaKernels.fused(), 1)) {
            network.save(llama);
        }
        Tokenizers.bytes().save(llama);
        Path empty = Files.writeString(folder.resolve("empty.txt"), "");
        for (Cli run : new Cli[] {
            Cli.run("dynamics", "--model", llama, "--text", text),
            Cli.run("dynamics", "--model", mamba, "--text", empty),
            Cli.run("dynamics", "--model", mamba, "--text", folder.resolve("none.txt")),
            Cli.run("dynamics", "--model", mamba, "--text", folder),
            Cli.run("dynamics", "--model", mamba, "--text", text, "--length", "0"),
            Cli.run("dynamics", "--model", mamba, "--text", text, "--out", folder.resolve("x.txt")),
            Cli.run("dynamics", "--model", mamba, "--text", text, "--compare", folder),
            Cli.run("dynamics", "--model", mamba)
        }) {
            assertThat(run.code()).as(run.err()).isEqualTo(2);
            assertThat(run.err()
                            .strip()
                            .lines()
                            .filter(line -> !line.startsWith("WARNING"))
                            .toList())
                    .hasSize(1);
        }
    }
}
