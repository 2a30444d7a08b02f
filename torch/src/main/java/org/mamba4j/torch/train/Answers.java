package org.mamba4j.torch.train;

import org.mamba4j.data.Batch;
import org.mamba4j.torch.parallel.Ranks;

/**
 * How a model answers: an answer is a run of targets that have a weight.
 *
 * @param loss sum over batches of the weighted loss
 * @param batches how many there were
 * @param tokens tokens of all answers
 * @param tokensRight those that the model holds for the likeliest
 * @param answers answers
 * @param answersRight those of which all tokens are
 */
public record Answers(double loss, int batches, long tokens, long tokensRight, long answers, long answersRight) {
    /** Of nothing. */
    public static final Answers NONE = new Answers(0, 0, 0, 0, 0, 0);

    /**
     * @param likeliest token at each position (B, L)
     * @param loss of the batch
     */
    static Answers of(Batch batch, long[] likeliest, double loss) {
        Answers all = NONE;
        for (int row = 0; row < batch.rows(); row++) {
            all = all.and(ofRow(batch, likeliest, row * batch.length()));
        }
        return new Answers(loss, 1, all.tokens, all.tokensRight, all.answers, all.answersRight);
    }

    private static Answers ofRow(Batch batch, long[] likeliest, int from) {
        long tokens = 0;
        long tokensRight = 0;
        long answers = 0;
        long answersRight = 0;
        boolean right = true;
        for (int i = from; i < from + batch.length(); i++) {
            if (batch.weights()[i] == 0) {
                continue;
            }
            boolean same = likeliest[i] == batch.targets()[i];
            tokens++;
            tokensRight += same ? 1 : 0;
            right &= same;
            if (i + 1 == from + batch.length() || batch.weights()[i + 1] == 0) {
                answers++;
                answersRight += right ? 1 : 0;
                right = true;
            }
        }
        return new Answers(0, 0, tokens, tokensRight, answers, answersRight);
    }

    /** Those of both. */
    public Answers and(Answers more) {
        return new Answers(
                loss + more.loss,
                batches + more.batches,
                tokens + more.tokens,
                tokensRight + more.tokensRight,
                answers + more.answers,
                answersRight + more.answersRight);
    }

    /** Those that all ranks have. */
    Answers over(Ranks ranks) {
        double[] all = ranks.sum(
                loss, batches, (double) tokens, (double) tokensRight, (double) answers, (double) answersRight);
        return new Answers(all[0], (int) all[1], (long) all[2], (long) all[3], (long) all[4], (long) all[5]);
    }

    /** Mean over the batches of the weighted loss, nats. */
    public double meanLoss() {
        return loss / batches;
    }

    /** Share of the answers' tokens that are right. */
    public double shareOfTokens() {
        return (double) tokensRight / tokens;
    }

    /** Share of the answers that are right as a whole. */
    public double shareOfAnswers() {
        return (double) answersRight / answers;
    }
}
