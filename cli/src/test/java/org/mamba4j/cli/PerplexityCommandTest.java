package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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

class PerplexityCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path memMamba() {
        Path model = folder.resolve("noting");
        MemMambaConfig config = new MemMambaConfig(TinyModel.CONFIG, MemoryConfig.DEFAULTS);
        try (LanguageNetwork network = LanguageNetwork.create(config, MambaKernels.fused(), 1)) {
            network.save(model);
        }
        Tokenizers.bytes().save(model);
        return model;
    }

    @Test
    void severalModelsAreMeasuredOnTheSameWindowsInOneTable() throws IOException {
        Path noting = memMamba();
        Path text = Files.writeString(folder.resolve("text.txt"), "One text, again and again. ".repeat(60));
        Path json = folder.resolve("out/compared.json");
        Object[] words = {
            "eval",
            "perplexity",
            "--model",
            noting,
            "--compare",
            noting + ":notes-off," + TinyModel.in(folder),
            "--data",
            text,
            "--lengths",
            "64,200",
            "--scored",
            10,
            "--windows",
            5,
            "--json",
            json
        };
        Cli run = Cli.run(words);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("against the first model", "noting, notes off", "5 windows of 1 documents");
        JsonArray models = (JsonArray) Json.read(json);
        assertThat(models.values())
                .extracting(model -> JsonFields.of(model, "model").string("model"))
                .containsExactly("noting", "noting, notes off", "model");
        assertThat(Files.size(folder.resolve("out/compared.png"))).isGreaterThan(1000);
        words[5] = folder.resolve("nothing");
        assertThat(Cli.run(words).code()).isEqualTo(2);
    }
}
