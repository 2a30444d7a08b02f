package org.mamba4j.model;

import java.util.List;
import java.util.Set;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Reads a Mamba's config.json in both spellings.
 *
 * <p>The rule for what is not a field of {@link MambaConfig}: a key that could change what the model computes must have
 * the one value that this project computes; a key of {@link #HARMLESS} changes nothing and is passed over; any other key
 * is refused, because nobody knows what it changes. Files converted from state-spaces to Hugging Face carry keys of
 * both: there Hugging Face's count, as they do in transformers, and the others must agree with them.
 */
final class MambaConfigReader {
    /** Keys that say nothing about the function: where the file comes from, how others run it, how texts are made. */
    private static final Set<String> HARMLESS = Set.of(
            // where it comes from, how it was stored
            "transformers_version",
            "dtype",
            "torch_dtype",
            "tokenizer_class",
            // how transformers or mamba_ssm run it
            "use_cache",
            "use_mambapy",
            "use_associative_scan",
            "fused_add_norm",
            "return_dict",
            "return_dict_in_generate",
            "output_hidden_states",
            "output_attentions",
            "output_scores",
            "torchscript",
            "use_bfloat16",
            "chunk_size_feed_forward",
            // heads and tasks that a causal language model does not have
            "id2label",
            "label2id",
            "num_labels",
            "problem_type",
            "finetuning_task",
            "task_specific_params",
            "decoder_start_token_id",
            "sep_token_id",
            "prefix",
            // attention, where no layer has it
            "attn_cfg",
            // defaults of generation
            "max_length",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens");

    private static final Set<String> TOKEN_IDS = Set.of("bos_token_id", "eos_token_id", "pad_token_id");
    private static final Set<String> ARCHITECTURES = Set.of("MambaForCausalLM", "MambaLMHeadModel");

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
        refuseUnknown(json, "");
        refuseUnknown(ssm, "ssm_cfg.");
        return config;
    }

    private MambaConfig make(ConfigSchema<MambaConfig>.Values values) {
        try {
            return values.make();
        } catch (UserError e) {
            throw new UserError(json.source() + ": " + e.getMessage(), e); // the record knows nothing of files
        }
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
        } else if (TOKEN_IDS.contains(key) && json.keys().contains(key)) {
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
        only(json, "model_type", new JsonString(MambaConfig.MODEL_TYPE));
        only(json, "hidden_act", new JsonString("silu"), new JsonString("swish"));
        only(json, "rms_norm", JsonBoolean.TRUE);
        only(json, "d_intermediate", JsonNumber.of(0));
        only(
                json,
                "attn_layer_idx",
                new JsonArray(List.of()),
                JsonObject.builder().build());
        only(json, "is_encoder_decoder", JsonBoolean.FALSE);
        only(json, "is_decoder", JsonBoolean.FALSE, JsonBoolean.TRUE);
        only(json, "add_cross_attention", JsonBoolean.FALSE);
        only(json, "cross_attention_hidden_size", JsonNull.NULL);
        only(json, "tie_encoder_decoder", JsonBoolean.FALSE);
        only(json, "pruned_heads", JsonObject.builder().build());
        only(ssm, "layer", new JsonString("Mamba1"));
        ssm.has("use_fast_path"); // how mamba_ssm runs it
        for (JsonValue architecture : json.optional("architectures", json::array, List.<JsonValue>of())) {
            if (!(architecture instanceof JsonString name) || !ARCHITECTURES.contains(name.value())) {
                throw json.error("architectures", "must name MambaForCausalLM or MambaLMHeadModel");
            }
        }
    }

    private static void only(JsonFields holder, String key, JsonValue... computed) {
        if (!holder.has(key)) {
            return;
        }
        JsonValue value = holder.value(key);
        for (JsonValue one : computed) {
            if (one.equals(value)) {
                return;
            }
        }
        throw holder.error(key, "only " + JsonText.compact(computed[0]) + " is supported");
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

    private static void refuseUnknown(JsonFields holder, String path) {
        for (String key : holder.unread()) {
            // Keys with an underscore in front are transformers' notes to itself.
            if (!HARMLESS.contains(key) && !key.startsWith("_")) {
                throw new UserError(holder.source() + ": the key " + JsonText.quoted(path + key)
                        + " is unknown and may change what the model computes; remove it if it does not");
            }
        }
    }
}
