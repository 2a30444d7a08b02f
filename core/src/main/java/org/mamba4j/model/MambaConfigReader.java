package org.mamba4j.model;

import java.util.List;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * Reads a Mamba's config.json in both spellings.
 *
 * <p>The rule for what is not a field of {@link MambaConfig}: a key that could change what the model computes must have
 * the one value that this project computes; a key of {@link ConfigJson}'s list changes nothing and is passed over; any other key
 * is refused, because nobody knows what it changes. Files converted from state-spaces to Hugging Face carry keys of
 * both: there Hugging Face's count, as they do in transformers, and the others must agree with them.
 */
final class MambaConfigReader {

    private final JsonFields json;
    private final JsonFields ssm;
    private final boolean huggingFace;

    private MambaConfigReader(JsonValue value, String source) {
        json = JsonFields.of(value, source);
        huggingFace = json.has("hidden_size") || !json.has("d_model");
        ssm = json.has("ssm_cfg")
                ? json.object("ssm_cfg")
                : JsonFields.of(JsonObject.builder().build(), source);
    }

    static MambaConfig read(JsonValue value, String source) {
        return new MambaConfigReader(value, source).read();
    }

    private MambaConfig read() {
        checkWhatIsComputed();
        ConfigSchema<MambaConfig>.Values values = MambaConfig.SCHEMA.values();
        for (ConfigSchema.Field field : MambaConfig.SCHEMA.fields()) {
            readField(field, values);
        }
        MambaConfig config = make(values);
        if (huggingFace) {
            checkLeftovers(config);
        } else {
            config = make(MambaConfig.SCHEMA.values(config).set("vocabSize", paddedVocabulary(config)));
        }
        checkDerived("intermediate_size", config.dInner());
        checkDerived("d_inner", config.dInner());
        ConfigJson.refuseUnknown(json, "");
        ConfigJson.refuseUnknown(ssm, "ssm_cfg.");
        return config;
    }

    private MambaConfig make(ConfigSchema<MambaConfig>.Values values) {
        return ConfigJson.make(values::make, json.source());
    }

    private void readField(ConfigSchema.Field field, ConfigSchema<MambaConfig>.Values values) {
        String path = huggingFace ? field.key() : field.definition().stateSpaces();
        if (path.isEmpty()) {
            return; // a field that this spelling does not have keeps its default
        }
        JsonFields holder = path.startsWith("ssm_cfg.") ? ssm : json;
        String key = path.substring(path.indexOf('.') + 1);
        if (holder.has(key)) {
            values.set(field.component(), readValue(field, holder, key));
        } else if (ConfigJson.TOKEN_IDS.contains(key) && json.keys().contains(key)) {
            values.set(field.component(), MambaConfig.NO_TOKEN); // null
        } else if (field.isRequired()) {
            holder.value(key); // names the missing key
        }
    }

    private static Object readValue(ConfigSchema.Field field, JsonFields holder, String key) {
        if (!field.component().equals("dtRank")) {
            return field.read(holder, key);
        }
        JsonValue value = holder.value(key);
        if (value.equals(new JsonString("auto"))) {
            return MambaConfig.AUTO;
        }
        if (value instanceof JsonNumber number && number.isLong() && number.longValue() > 0) {
            return field.read(holder, key);
        }
        throw holder.error(
                key,
                "must be \"auto\" or an integer from 1 to "
                        + (long) field.definition().max());
    }

    /** Keys of both spellings that select a function, of which this project computes one. */
    private void checkWhatIsComputed() {
        ConfigJson.only(json, "model_type", new JsonString(MambaConfig.MODEL_TYPE));
        ConfigJson.only(json, "hidden_act", new JsonString("silu"), new JsonString("swish"));
        ConfigJson.only(json, "rms_norm", JsonBoolean.TRUE);
        ConfigJson.only(json, "d_intermediate", JsonNumber.of(0));
        ConfigJson.only(
                json,
                "attn_layer_idx",
                new JsonArray(List.of()),
                JsonObject.builder().build());
        ConfigJson.checkDecoderOnly(json);
        ConfigJson.only(ssm, "layer", new JsonString("Mamba1"));
        ssm.has("use_fast_path"); // how mamba_ssm runs it
        ConfigJson.checkArchitectures(json, "MambaForCausalLM", "MambaLMHeadModel");
    }

    /** state-spaces makes the embedding's rows a multiple of this; Hugging Face's vocab_size has it done already. */
    private int paddedVocabulary(MambaConfig config) {
        int multiple = json.has("pad_vocab_size_multiple") ? padMultiple() : 8;
        return Math.ceilDiv(config.vocabSize(), multiple) * multiple;
    }

    private int padMultiple() {
        return (int) json.integer("pad_vocab_size_multiple", 1, 1 << 16);
    }

    /** state-spaces' keys in a file of Hugging Face's spelling: transformers passes over them, so they must agree. */
    private void checkLeftovers(MambaConfig config) {
        ConfigSchema<MambaConfig>.Values actual = MambaConfig.SCHEMA.values(config);
        for (ConfigSchema.Field field : MambaConfig.SCHEMA.fields()) {
            String path = field.definition().stateSpaces();
            JsonFields holder = path.startsWith("ssm_cfg.") ? ssm : json;
            String key = path.substring(path.indexOf('.') + 1);
            boolean leftover = !path.isEmpty() && !path.equals(field.key()) && holder.has(key);
            if (leftover) {
                Object value = readValue(field, holder, key);
                boolean auto = field.component().equals("dtRank") && value.equals(MambaConfig.AUTO);
                if (!auto && !value.equals(actual.get(field.component()))) {
                    throw holder.error(key, "\"" + field.key() + "\" is " + actual.get(field.component()));
                }
            }
        }
        if (json.has("pad_vocab_size_multiple")) {
            padMultiple();
        }
    }

    private void checkDerived(String key, int value) {
        if (json.has(key) && json.integer(key, 1, Integer.MAX_VALUE) != value) {
            throw json.error(key, "expand times the model's width is " + value);
        }
    }
}
