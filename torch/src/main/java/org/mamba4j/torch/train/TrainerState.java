package org.mamba4j.torch.train;

import org.mamba4j.UserError;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Where a run stands, apart from tensors: {@code trainer.json} in a checkpoint. The learning rate and the next batch
 * follow from the step; they are written all the same, for people.
 *
 * @param step steps done
 * @param seed of the run
 * @param data fingerprint of the tokens
 * @param nextBatch number of the batch that comes next
 * @param nextRate learning rate of the next step
 * @param tokens trained on
 * @param seconds of training
 * @param lossSum sum of the losses since the last line of metrics, nats per token
 * @param lossCount number of them
 * @param valid newest evaluation
 */
record TrainerState(
        int step,
        long seed,
        String data,
        long nextBatch,
        double nextRate,
        long tokens,
        double seconds,
        double lossSum,
        int lossCount,
        Evaluation valid) {

    private static final JsonMapper JSON = JsonMapper.shared();

    /**
     * What an evaluation found.
     *
     * @param loss nats per token, NaN where there was none
     * @param bitsPerByte of text
     */
    record Evaluation(double loss, double bitsPerByte) {
        static final Evaluation NONE = new Evaluation(Double.NaN, Double.NaN);
    }

    String toJson() {
        ObjectNode json = JSON.createObjectNode();
        json.put("format", 1).put("step", step).put("seed", seed);
        json.put("data", data).put("next_batch", nextBatch).put("next_learning_rate", nextRate);
        json.put("tokens", tokens).put("seconds", seconds);
        json.put("loss_sum", lossSum).put("loss_count", lossCount);
        if (Double.isFinite(valid.loss)) {
            json.put("valid_loss", valid.loss).put("valid_bits_per_byte", valid.bitsPerByte);
        }
        return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n";
    }

    static TrainerState parse(String text, String source) {
        try {
            JsonNode json = JSON.readTree(text);
            int format = json.required("format").asInt();
            if (format != 1) {
                throw new UserError(source + " is of format " + format
                        + ", this version reads 1: continue the run with the version that began it");
            }
            Evaluation valid = json.has("valid_loss")
                    ? new Evaluation(
                            json.required("valid_loss").asDouble(),
                            json.required("valid_bits_per_byte").asDouble())
                    : Evaluation.NONE;
            return new TrainerState(
                    json.required("step").asInt(),
                    json.required("seed").asLong(),
                    json.required("data").asString(),
                    json.required("next_batch").asLong(),
                    json.required("next_learning_rate").asDouble(),
                    json.required("tokens").asLong(),
                    json.required("seconds").asDouble(),
                    json.required("loss_sum").asDouble(),
                    json.required("loss_count").asInt(),
                    valid);
        } catch (JacksonException e) {
            throw new UserError(source + " is not what a trainer writes: " + e.getOriginalMessage(), e);
        }
    }
}
