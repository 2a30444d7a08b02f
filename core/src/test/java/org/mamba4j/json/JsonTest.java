package org.mamba4j.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;

class JsonTest {
    private static JsonValue parse(String text) {
        return Json.parse(text.getBytes(UTF_8), "t.json");
    }

    @Test
    void everyKindReadsAndWritesBack() {
        String text = "{\"a\":[1,-2.5e-3,true,false,null],\"b\":{\"\":\"x\"},\"c\":[],\"d\":{}}";
        JsonObject object = (JsonObject) parse(" \t\r\n" + text + "\n");
        assertThat(JsonText.compact(object)).isEqualTo(text);
        assertThat(object.fields().keySet()).containsExactly("a", "b", "c", "d");
        assertThat(object.fields().get("a"))
                .isEqualTo(new JsonArray(List.of(
                        JsonNumber.of(1),
                        new JsonNumber("-2.5e-3"),
                        JsonBoolean.TRUE,
                        JsonBoolean.FALSE,
                        JsonNull.NULL)));
    }

    @Test
    void prettyTextIsIndentedByTwoAndReadsBack() {
        JsonValue value = parse("{\"a\":[1,{\"b\":2}],\"c\":[],\"d\":{}}");
        String expected = """
                {
                  "a": [
                    1,
                    {
                      "b": 2
                    }
                  ],
                  "c": [],
                  "d": {}
                }""";
        assertThat(JsonText.pretty(value)).isEqualTo(expected);
        assertThat(parse(expected)).isEqualTo(value);
    }

    @Test
    void stringsResolveEveryEscape() {
        assertThat(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\uDE00é😀\""))
                .isEqualTo(new JsonString("\"\\/\b\f\n\r\té😀é😀"));
        String all = "\u0000\u001f\"\\/\u007f\u2028é😀\uffff";
        assertThat(parse(JsonText.compact(new JsonString(all)))).isEqualTo(new JsonString(all));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"\\ud800\"",
                "\"\\udc00\"",
                "\"\\ud800\\ud800\"",
                "\"\\ud83d\\n\"",
                "\"\\u12g4\"",
                "\"\\u12",
                "\"\\x\"",
                "\"\\",
                "\"abc",
                "\"a\nb\"",
                "\"\\n\n\"",
                "'a'"
            })
    void brokenStringsAreRefused(String text) {
        assertThatThrownBy(() -> parse(text)).isInstanceOf(UserError.class).hasMessageStartingWith("t.json, line ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "{",
                "[",
                "}",
                "{\"a\"}",
                "{\"a\":}",
                "{\"a\":1,}",
                "{a:1}",
                "{\"a\":1 \"b\":2}",
                "[1,]",
                "[,1]",
                "[1 2]",
                "01",
                "-",
                "-a",
                "+1",
                "1.",
                ".5",
                "1e",
                "1e+",
                "0x10",
                "NaN",
                "Infinity",
                "tru",
                "True",
                "nul",
                "falsey",
                "1 2",
                "{} x",
                "// c\n1",
                "\ufeff1"
            })
    void brokenTextIsRefused(String text) {
        assertThatThrownBy(() -> parse(text)).isInstanceOf(UserError.class).hasMessageStartingWith("t.json, line ");
    }

    @Test
    void errorsSayWhere() {
        assertThatThrownBy(() -> parse("{\n  \"a\": 1,\n  \"b\": x\n}"))
                .hasMessage("t.json, line 3, column 8 (byte 19): expected a value, found 'x'");
        assertThatThrownBy(() -> parse("[1,2"))
                .hasMessage("t.json, line 1, column 5 (byte 4): expected ',' or ']', " + "found the end of the text");
    }

    @Test
    void aKeyStandsOnce() {
        assertThatThrownBy(() -> parse("{\"a\":1,\"b\":2,\"\\u0061\":3}"))
                .hasMessageContaining("the key \"a\" stands twice in one object");
        JsonReader reader = new JsonReader("{\"a\":1,\"a\":2}".getBytes(UTF_8), "t.json");
        assertThatThrownBy(() -> reader.readObject(key -> reader.readLong())).hasMessageContaining("stands twice");
    }

    @ParameterizedTest
    @CsvSource({
        "0, true, 0",
        "-0, true, 0",
        "9223372036854775807, true, 9223372036854775807",
        "-9223372036854775808, true, -9223372036854775808",
        "9223372036854775808, false, 0",
        "1000000000000000019884624838656, false, 0",
        "1.0, false, 0",
        "1e3, false, 0"
    })
    void integersStayExact(String text, boolean isLong, long value) {
        JsonNumber number = (JsonNumber) parse(text);
        assertThat(number.literal()).isEqualTo(text);
        assertThat(number.isLong()).isEqualTo(isLong);
        if (isLong) {
            assertThat(number.longValue()).isEqualTo(value);
        }
        assertThat(number.doubleValue()).isEqualTo(Double.parseDouble(text));
    }

    @Test
    void doublesReadBackToTheLastBit() {
        long seed = 5;
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 10_000; i++) {
            double value = Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(value)) {
                JsonNumber read = (JsonNumber) parse(JsonText.compact(JsonNumber.of(value)));
                assertThat(Double.doubleToLongBits(read.doubleValue())).isEqualTo(Double.doubleToLongBits(value));
            }
        }
        assertThatThrownBy(() -> JsonNumber.of(Double.NaN)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void deepNestingIsAnErrorAndNoOverflow() {
        assertThat(parse("[".repeat(JsonReader.MAX_DEPTH) + "]".repeat(JsonReader.MAX_DEPTH)))
                .isInstanceOf(JsonArray.class);
        assertThatThrownBy(() -> parse("[".repeat(1_000_000))).hasMessageContaining("more than 128 levels");
        assertThatThrownBy(() -> parse("{\"a\":".repeat(1_000_000))).hasMessageContaining("more than 128 levels");
        // Depth is what is open at once: siblings do not add up.
        assertThat(parse("[" + "[[]],".repeat(1_000) + "1]")).isInstanceOf(JsonArray.class);
    }

    @Test
    void bytesThatAreNotUtf8AreRefusedExactlyWhenTheJdkRefusesThem() {
        long seed = 11;
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        int valid = 0;
        for (int i = 0; i < 200_000; i++) {
            byte[] bytes = new byte[1 + random.nextInt(6)];
            random.nextBytes(bytes);
            if (i % 2 == 0) { // a character with perhaps one bit wrong: more often near the edge
                bytes = new String(Character.toChars(0x80 + random.nextInt(0x10ff00)))
                        .getBytes(i % 4 == 0 ? UTF_8 : java.nio.charset.StandardCharsets.UTF_16BE);
                bytes[random.nextInt(bytes.length)] ^= (byte) (random.nextInt(3) << random.nextInt(8));
            }
            boolean jdk = isUtf8(bytes);
            assertThat(Utf8.firstInvalid(bytes) == bytes.length).as("%s", bytes).isEqualTo(jdk);
            valid += jdk ? 1 : 0;
        }
        assertThat(valid).isBetween(10_000, 190_000);
    }

    private static boolean isUtf8(byte[] bytes) {
        try {
            UTF_8.newDecoder().decode(java.nio.ByteBuffer.wrap(bytes));
            return true;
        } catch (java.nio.charset.CharacterCodingException e) {
            return false;
        }
    }

    @Test
    void messagesStayOneLineWhateverTheTextHolds() {
        assertThat(JsonText.quoted("a\n\u0007\ud800b")).isEqualTo("\"a\\n\\u0007\\ud800b\"");
        assertThat(JsonText.quoted("x".repeat(1000))).hasSizeLessThan(70);
        assertThatThrownBy(() -> JsonText.compact(new JsonString("\udc00")))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void fieldsNameKeyValueAndExpectation() {
        JsonFields fields = JsonFields.of(
                parse("{\"n\":1.5,\"s\":\"x\",\"b\":true,\"o\":{\"k\":\"v\"},\"nul\":null,\"big\":1e999}"), "c.json");
        assertThatThrownBy(() -> fields.integer("n", 1, 9))
                .hasMessage("c.json: \"n\" is 1.5, but must be an integer from 1 to 9");
        assertThatThrownBy(() -> fields.bool("s")).hasMessage("c.json: \"s\" is \"x\", but must be true or false");
        assertThatThrownBy(() -> fields.string("missing")).hasMessage("c.json: the key \"missing\" is missing");
        assertThatThrownBy(() -> fields.decimal("big")).hasMessageContaining("finite");
        assertThatThrownBy(() -> fields.object("o").bool("k")).hasMessageContaining("\"o.k\" is \"v\"");
        assertThat(fields.optional("nul", fields::string, "none")).isEqualTo("none");
        assertThat(fields.unread()).containsExactly("b");
        assertThatThrownBy(() -> JsonFields.of(parse("[1]"), "c.json"))
                .hasMessage("c.json: expected an object, found [1]");
    }

    @Test
    void filesThatCannotBeReadAreNamed(@TempDir Path folder) throws IOException {
        assertThatThrownBy(() -> Json.read(folder.resolve("none.json")))
                .isInstanceOf(UserError.class)
                .hasMessage(folder.resolve("none.json") + " does not exist");
        Path file = Files.writeString(folder.resolve("a.json"), "[1,2,3]");
        assertThatThrownBy(() -> Json.readBytes(file, 6)).hasMessageContaining("has 7 bytes, more than the 6");
        assertThatThrownBy(() -> Json.read(folder)).isInstanceOf(UserError.class);
        assertThat(Json.read(file)).isEqualTo(parse("[1,2,3]"));
    }

    @Test
    void aTokenizerOfFiftyThousandTokensReadsBackEqual() throws IOException {
        byte[] bytes = Files.readAllBytes(SharedData.require("data/tokenizers/gpt-neox-20b/tokenizer.json"));
        JsonObject tree = (JsonObject) Json.parse(bytes, "tokenizer.json");
        assertThat(Json.parse(JsonText.pretty(tree).getBytes(UTF_8), "again")).isEqualTo(tree);
        // Piece by piece, keeping only the vocabulary, gives what the tree holds.
        Map<String, Long> vocabulary = new HashMap<>();
        List<String> merges = new ArrayList<>();
        JsonReader reader = new JsonReader(bytes, "tokenizer.json");
        reader.readObject(key -> {
            if (key.equals("model")) {
                reader.readObject(modelKey -> {
                    switch (modelKey) {
                        case "vocab" -> reader.readObject(token -> vocabulary.put(token, reader.readLong()));
                        case "merges" -> reader.readArray(() -> merges.add(reader.readString()));
                        default -> reader.readValue();
                    }
                });
            } else {
                reader.readValue();
            }
        });
        reader.end();
        JsonObject model = (JsonObject) JsonFields.of(tree, "tokenizer.json").value("model");
        assertThat(vocabulary).hasSize(50254);
        assertThat(((JsonObject) JsonFields.of(model, "m").value("vocab")).fields())
                .hasSize(50254);
        assertThat(merges).hasSize(JsonFields.of(model, "m").array("merges").size());
    }
}
