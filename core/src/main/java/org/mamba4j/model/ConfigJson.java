package org.mamba4j.model;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
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
 * What the readers and writers of config.json of all families do alike.
 *
 * <p>The rule for what is not a field of the family's record: a key that could change what the model computes must have
 * the one value that this project computes; a key of {@link #HARMLESS} changes nothing and is passed over; any other key
 * is refused, because nobody knows what it changes.
 */
final class ConfigJson {
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

    /** Keys of a token's id, whose null says that there is no such token. */
    static final Set<String> TOKEN_IDS = Set.of("bos_token_id", "eos_token_id", "pad_token_id");

    /** A token id that stands for no token; {@code null} in config.json. */
    static final int NO_TOKEN = -1;

    private ConfigJson() {}

    /** Refuses any value of {@code key}, if it is there, but those that this project computes. */
    static void only(JsonFields holder, String key, JsonValue... computed) {
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

    /** @throws UserError if {@code architectures} is there and names something else */
    static void checkArchitectures(JsonFields json, String... names) {
        for (JsonValue architecture : json.optional("architectures", json::array, List.<JsonValue>of())) {
            if (!(architecture instanceof JsonString name)
                    || !Arrays.asList(names).contains(name.value())) {
                throw json.error("architectures", "must name " + String.join(" or ", names));
            }
        }
    }

    /** Refuses what would make more than a decoder of one text of it. */
    static void checkDecoderOnly(JsonFields json) {
        only(json, "is_encoder_decoder", JsonBoolean.FALSE);
        only(json, "is_decoder", JsonBoolean.FALSE, JsonBoolean.TRUE);
        only(json, "add_cross_attention", JsonBoolean.FALSE);
        only(json, "cross_attention_hidden_size", JsonNull.NULL);
        only(json, "tie_encoder_decoder", JsonBoolean.FALSE);
        only(json, "pruned_heads", JsonObject.builder().build());
    }

    /** Refuses every key that nobody asked for, unless it is known to say nothing. */
    static void refuseUnknown(JsonFields holder, String path) {
        for (String key : holder.unread()) {
            // Keys with an underscore in front are transformers' notes to itself.
            if (!HARMLESS.contains(key) && !key.startsWith("_")) {
                throw new UserError(holder.source() + ": the key " + JsonText.quoted(path + key)
                        + " is unknown and may change what the model computes; remove it if it does not");
            }
        }
    }

    /** The values of all fields of {@code schema} that {@code json} has; the others keep their defaults. */
    static <R extends Record> ConfigSchema<R>.Values values(ConfigSchema<R> schema, JsonFields json) {
        ConfigSchema<R>.Values values = schema.values();
        for (ConfigSchema.Field field : schema.fields()) {
            if (json.has(field.key())) {
                checkOneToken(json, field.key());
                values.set(field.component(), field.read(json, field.key()));
            } else if (TOKEN_IDS.contains(field.key()) && json.keys().contains(field.key())) {
                values.set(field.component(), NO_TOKEN); // null
            } else if (field.isRequired()) {
                json.value(field.key()); // names the missing key
            }
        }
        return values;
    }

    private static void checkOneToken(JsonFields json, String key) {
        if (TOKEN_IDS.contains(key) && json.value(key) instanceof JsonArray) {
            throw json.error(key, "only one token is supported: leave the one at which texts should end");
        }
    }

    /** What {@code maker} makes; what is wrong names {@code source}, as the record knows nothing of files. */
    static <R extends Record> R make(Supplier<R> maker, String source) {
        try {
            return maker.get();
        } catch (UserError e) {
            throw new UserError(source + ": " + e.getMessage(), e);
        }
    }

    /** All fields of {@code config} with Hugging Face's keys, and null for tokens that there are not. */
    static <R extends Record> JsonObject.Builder write(
            ConfigSchema<R> schema, R config, String modelType, String architecture) {
        JsonObject.Builder json = JsonObject.builder()
                .put("architectures", new JsonArray(List.of(new JsonString(architecture))))
                .put("model_type", modelType);
        schema.toJson(config).build().fields().forEach((key, value) -> {
            boolean none = TOKEN_IDS.contains(key) && value.equals(JsonNumber.of(NO_TOKEN));
            json.put(key, none ? JsonNull.NULL : value);
        });
        return json;
    }
}
