package org.mamba4j.torch.train;

import java.nio.file.Path;

/**
 * How a run, or one session of it, ended.
 *
 * @param runFolder where everything was written
 * @param lastCheckpoint the newest checkpoint: a folder that transformers can read too
 * @param bestCheckpoint the checkpoint with the lowest validation loss; the last one where nothing was evaluated
 * @param step steps done in all
 * @param finished false if the run was interrupted before its last step; it can be resumed then
 * @param trainLoss mean loss of the steps before the last line of metrics, nats per token, NaN where there is none
 * @param validLoss validation loss at the end, nats per token, NaN where nothing was evaluated
 * @param validBitsPerByte the same in bits per byte of text
 * @param bestValidLoss validation loss of the best checkpoint, nats per token, NaN where nothing was evaluated
 * @param tokens tokens trained on in all sessions
 * @param seconds training time of all sessions, evaluation and saving not counted
 */
public record TrainResult(
        Path runFolder,
        Path lastCheckpoint,
        Path bestCheckpoint,
        int step,
        boolean finished,
        double trainLoss,
        double validLoss,
        double validBitsPerByte,
        double bestValidLoss,
        long tokens,
        double seconds) {}
