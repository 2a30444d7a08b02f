package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonValue;
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
        assertThat(run.out()).contains("against first model", "noting, notes off", "5 windows of 1 documents");
        JsonArray models = (JsonArray) Json.read(json);
        assertThat(models.values())
                .extracting(model -> JsonFields.of(model, "model").string("model"))
                .containsExactly("noting", "noting, notes off", "model");
        assertThat(Files.size(folder.resolve("out/compared.png"))).isGreaterThan(1000);
        words[5] = folder.resolve("nothing");
        assertThat(Cli.run(words).code()).isEqualTo(2);
    }

    /** Perplexities of each model by length, as the table has them. */
    private Cli comparedWith(String others, Object... more) throws IOException {
        Path text = Files.writeString(folder.resolve("text.txt"), "One text, again and again. ".repeat(60));
        Stream<Object> words = Stream.of(
                "eval",
                "perplexity",
                "--model",
                TinyModel.in(folder),
                "--compare",
                others,
                "--data",
                text,
                "--lengths",
                "64,200",
                "--scored",
                10,
                "--windows",
                3,
                "--json",
                folder.resolve("compared.json"));
        return Cli.run(Stream.concat(words, Stream.of(more)).toArray());
    }

    @Test
    void aMambaIsMeasuredWithTokensLeftOut() throws IOException {
        Path model = TinyModel.in(folder);
        String patient = model + ":decimate:layers=0-1;base=300;beta=1";
        String hasty = model + ":decimate:layers=1;base=8;min=4";
        Cli run = comparedWith(patient + "," + hasty, "--engine", "torch");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("model, decimated");
        JsonArray models = (JsonArray) Json.read(folder.resolve("compared.json"));
        List<List<JsonValue>> figures = models.values().stream()
                .map(one -> JsonFields.of(one, "model").object("result").array("lengths"))
                .map(lengths -> lengths.stream()
                        .flatMap(at -> JsonFields.of(at, "length").array("losses").stream())
                        .toList())
                .toList();
        assertThat(figures).hasSize(3);
        assertThat(figures.get(1)).isEqualTo(figures.get(0)); // no text is longer than what is kept
        assertThat(figures.get(2)).isNotEqualTo(figures.get(0));
    }

    @Test
    void tokensAreLeftOutOfAMambaOnlyAndOnLibtorch() throws IOException {
        Path noting = memMamba();
        assertThat(comparedWith(noting + ":decimate:layers=0").err()).contains("of a mamba only");
        assertThat(comparedWith(noting.toString(), "--decimate", "layers=7").err())
                .contains("the last layer is 1");
        assertThat(comparedWith(noting.toString(), "--decimate", "layers=0", "--engine", "java")
                        .err())
                .contains("take the engine torch");
        Cli both = comparedWith(noting.toString(), "--decimate", "layers=0", "--notes", "off");
        assertThat(both.err()).contains("give only one");
        assertThat(both.code()).isEqualTo(2);
    }
}
