package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonValue;

class PasskeyCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");
    private Path text = Path.of("");

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.in(folder);
        text = Files.writeString(folder.resolve("text.txt"), "All work and no play makes Jack a dull boy. ".repeat(50));
    }

    private Cli eval(String task, Object... more) {
        Object[] all = new Object[6 + more.length];
        Object[] first = {"eval", task, "--model", model, "--data", text};
        System.arraycopy(first, 0, all, 0, first.length);
        System.arraycopy(more, 0, all, first.length, more.length);
        return Cli.run(all);
    }

    @Test
    void figuresAreAnArrayOfCellsAndAMapIsDrawn() throws IOException {
        Path json = folder.resolve("out/one.json");
        Cli run = eval("passkey", "--lengths", "300,1k", "--depths", "0,1", "--trials", 2, "--seed", 5, "--json", json);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("tokens read", "depth 1.00", "0/2", "0.0 %", "seed 5");
        JsonArray cells = (JsonArray) Json.read(json);
        assertThat(cells.values()).hasSize(4);
        for (JsonValue value : cells.values()) {
            JsonFields cell = JsonFields.of(value, "cell");
            assertThat(cell.keys()).containsExactly("length", "depth", "trials", "correct");
            assertThat(cell.integer("trials", 2, 2)).isEqualTo(2);
            assertThat(cell.integer("correct", 0, 0))
                    .as("a model that was never trained")
                    .isZero();
        }
        assertThat(Files.size(folder.resolve("out/one.png"))).isGreaterThan(1000);
    }

    @Test
    void severalKeysAreAskedAlike() {
        Cli run = eval("multi-key", "--lengths", "800", "--depths", "0.5", "--trials", 1, "--keys", 3);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("3 keys, one asked for");
        assertThat(model.resolve("eval/multi-key.json")).exists();
    }

    @Test
    void documentsAreAskedForByNumber() throws IOException {
        String article = "{\"paragraphs\": [{\"context\": \"A paragraph.\", \"qas\": [{\"question\": \"What?\"}]}]}";
        Path squad = Files.writeString(
                folder.resolve("squad.json"),
                "{\"data\": [" + String.join(",", Collections.nCopies(4, article)) + "]}");
        Object[] words = {
            "eval",
            "document-retrieval",
            "--model",
            model,
            "--data",
            squad,
            "--text",
            text,
            "--documents",
            "2,3",
            "--depths",
            "0",
            "--trials",
            1
        };
        Cli run = Cli.run(words);
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("documents", "depth 0.00", "0/1", "stretches of");
        assertThat(model.resolve("eval/document-retrieval.json")).content().contains("\"documents\": 3");
        words[5] = text;
        assertThat(Cli.run(words).code()).isEqualTo(2);
    }

    @Test
    void whatCannotBeAskedIsOneLine() {
        for (Cli run : new Cli[] {
            eval("passkey", "--lengths", "100"),
            eval("passkey", "--lengths", "1M"),
            eval("passkey", "--depths", "0,deep"),
            eval("passkey", "--depths", "2"),
            eval("multi-key", "--keys", "31"),
            eval("passkey", "--json", folder.resolve("figures.txt"))
        }) {
            assertThat(run.code()).as(run.err()).isEqualTo(2);
            assertThat(run.err().strip().lines().toList()).hasSize(1);
        }
        assertThat(model.resolve("eval")).doesNotExist();
    }
}
