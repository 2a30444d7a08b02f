package org.mamba4j.model;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * Reads and writes a Mamba-2's config.json: state-spaces' spelling is turned into Hugging Face's, where each key stands
 * beside the others, and that is read.
 */
final class Mamba2ConfigReader {
    /** How transformers 5 writes what JSON has no number for. */
    private static final JsonObject INFINITY =
            JsonObject.builder().put("__float__", "Infinity").build();

    private static final String LIMIT = "time_step_limit";
    private static final String SSM = "ssm_cfg.";

    /**
     * What transformers writes, or wrote in 4.44, and no version of it reads: a Mamba-2 has no projection of a rank and no
     * such scale, and the gate comes before the norm whatever the file says (Codestral's says true).
     */
    private static final List<String> UNREAD =
            List.of("time_step_rank", "time_step_scale", "time_step_init_scheme", "norm_before_gate");

    /** As transformers 4 writes it, which is no JSON. */
    private static final Pattern BARE_INFINITY =
            Pattern.compile("(\"" + LIMIT + "\"\\s*:\\s*\\[[^\\]\"]*,\\s*)Infinity(\\s*])");

    private Mamba2ConfigReader() {}

    /** A file in which an infinite limit, if there is one, is written as transformers 5 does; else the file as it is. */
    static byte[] asJson(byte[] file) {
        Matcher found = BARE_INFINITY.matcher(new String(file, StandardCharsets.ISO_8859_1)); // byte by byte
        return found.find()
                ? found.replaceFirst("$1{\"__float__\":\"Infinity\"}$2").getBytes(StandardCharsets.ISO_8859_1)
                : file;
    }

    static Mamba2Config read(JsonValue value, String source) {
        JsonFields json = JsonFields.of(value, source);
        boolean huggingFace = json.has("hidden_size") || !json.has("d_model");
        return huggingFace ? readHuggingFace(value, source) : readHuggingFace(translated(json), source);
    }

    private static Mamba2Config readHuggingFace(JsonValue value, String source) {
        JsonFields json = JsonFields.of(withLimits(JsonFields.of(value, source), (JsonObject) value), source);
        ConfigJson.only(json, "model_type", new JsonString(Mamba2Config.MODEL_TYPE));
        ConfigJson.only(json, "hidden_act", new JsonString("silu"), new JsonString("swish"));
        ConfigJson.only(json, "rms_norm", JsonBoolean.TRUE);
        ConfigJson.checkDecoderOnly(json);
        ConfigJson.checkArchitectures(json, "Mamba2ForCausalLM", "MambaLMHeadModel");
        UNREAD.forEach(json::has);
        json.has("A_init_range"); // of initial values, which are from 1 to 16 here
        Mamba2Config config = ConfigJson.make(ConfigJson.values(Mamba2Config.SCHEMA, json)::make, source);
        if (json.has("intermediate_size")
                && json.integer("intermediate_size", 1, Integer.MAX_VALUE) != config.dInner()) {
            throw json.error("intermediate_size", "expand times the model's width is " + config.dInner());
        }
        ConfigJson.refuseUnknown(json, "");
        return config;
    }

    /** {@code time_step_limit} as two keys. */
    private static JsonObject withLimits(JsonFields json, JsonObject object) {
        if (!json.has(LIMIT)) {
            return object;
        }
        List<JsonValue> limits = json.array(LIMIT);
        if (limits.size() != 2 || !(limits.get(0) instanceof JsonNumber low)) {
            throw json.error(LIMIT, "must be two numbers, the second of which may be infinite");
        }
        Map<String, JsonValue> all = new LinkedHashMap<>(object.fields());
        all.remove(LIMIT);
        all.put("time_step_limit_low", low);
        JsonValue high = limits.get(1);
        if (high instanceof JsonNumber number && number.doubleValue() > 0) {
            all.put("time_step_limit_high", high);
        } else if (!high.equals(INFINITY) && high != JsonNull.NULL) {
            throw json.error(LIMIT, "must be two numbers, the second of which may be infinite");
        }
        return build(all);
    }

    private static JsonObject build(Map<String, JsonValue> fields) {
        JsonObject.Builder json = JsonObject.builder();
        fields.forEach(json::put);
        return json.build();
    }

    /** state-spaces' spelling as Hugging Face's. */
    private static JsonObject translated(JsonFields json) {
        JsonFields ssm = json.has("ssm_cfg")
                ? json.object("ssm_cfg")
                : JsonFields.of(JsonObject.builder().build(), json.source());
        Map<String, JsonValue> all = new LinkedHashMap<>();
        all.put("model_type", new JsonString(Mamba2Config.MODEL_TYPE));
        all.put("tie_word_embeddings", JsonBoolean.TRUE); // unless it says otherwise
        for (ConfigSchema.Field field : Mamba2Config.SCHEMA.fields()) {
            String path = field.definition().stateSpaces();
            JsonFields holder = path.startsWith(SSM) ? ssm : json;
            String key = path.substring(path.indexOf('.') + 1);
            if (!path.isEmpty() && (holder.has(key) || field.isRequired())) {
                all.put(field.key(), holder.value(key));
            } else if (ConfigJson.TOKEN_IDS.contains(field.key())) {
                all.put(field.key(), JsonNumber.of(MambaConfig.NO_TOKEN)); // it writes none
            }
        }
        if (ssm.has("dt_limit")) {
            all.put(LIMIT, ssm.value("dt_limit"));
        }
        checkWhatIsComputed(json, ssm);
        int multiple =
                (int) (json.has("pad_vocab_size_multiple") ? json.integer("pad_vocab_size_multiple", 1, 1 << 16) : 8);
        long tokens = json.integer("vocab_size", 1, 1 << 24);
        all.put("vocab_size", JsonNumber.of(Math.ceilDiv(tokens, (long) multiple) * multiple));
        ConfigJson.refuseUnknown(json, "");
        ConfigJson.refuseUnknown(ssm, SSM);
        return build(all);
    }

    private static void checkWhatIsComputed(JsonFields json, JsonFields ssm) {
        ConfigJson.only(json, "model_type", new JsonString(Mamba2Config.MODEL_TYPE));
        ConfigJson.only(json, "rms_norm", JsonBoolean.TRUE);
        ConfigJson.only(json, "d_intermediate", JsonNumber.of(0));
        ConfigJson.only(
                json,
                "attn_layer_idx",
                new JsonArray(List.of()),
                JsonObject.builder().build());
        ConfigJson.checkArchitectures(json, "MambaLMHeadModel");
        ConfigJson.only(ssm, "layer", new JsonString("Mamba2"));
        ConfigJson.only(ssm, "rmsnorm", JsonBoolean.TRUE);
        ConfigJson.only(ssm, "norm_before_gate", JsonBoolean.FALSE);
        ConfigJson.only(ssm, "D_has_hdim", JsonBoolean.FALSE);
        ConfigJson.only(ssm, "d_ssm", JsonNull.NULL);
        // With several, it normalises each group of channels on its own, where transformers normalises all together.
        ConfigJson.only(ssm, "ngroups", JsonNumber.of(1));
        ssm.has("use_mem_eff_path"); // how it is run
        ssm.has("A_init_range"); // of initial values
    }

    /** As transformers 5 writes it. */
    static JsonObject toJson(Mamba2Config config) {
        Map<String, JsonValue> all = new LinkedHashMap<>(
                ConfigJson.write(Mamba2Config.SCHEMA, config, Mamba2Config.MODEL_TYPE, "Mamba2ForCausalLM")
                        .build()
                        .fields());
        all.remove("time_step_limit_low");
        all.remove("time_step_limit_high");
        JsonValue high = config.dtHigh() == 0 ? INFINITY : JsonNumber.of(config.dtHigh());
        all.put(LIMIT, new JsonArray(List.of(JsonNumber.of(config.dtLow()), high)));
        all.put("hidden_act", new JsonString("silu"));
        return build(all);
    }
}
