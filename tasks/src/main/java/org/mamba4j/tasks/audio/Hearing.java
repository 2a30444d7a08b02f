package org.mamba4j.tasks.audio;

import java.util.List;
import org.mamba4j.tasks.Estimate;

/**
 * What a {@link DigitClassifier} makes of some sounds.
 *
 * @param recognised share of those that it takes for the digit that was meant
 * @param inceptionScore exp of the mean divergence of p(digit | sound) from its mean p(digit) [1]: 10 where every sound is
 *     surely one digit and each digit comes as often, 1 where it cannot tell
 * @param sounds how many there were
 */
public record Hearing(Estimate recognised, double inceptionScore, int sounds) {
    // [1] T. Salimans et al.: Improved Techniques for Training GANs, arXiv 1606.03498, section 4; there the judge is
    // another network, so scores are comparable only where the classifier is the same.

    /**
     * Listens.
     *
     * @param sounds at least one
     * @param meant the digit of each
     */
    public static Hearing of(DigitClassifier classifier, List<Wav> sounds, List<Integer> meant) {
        if (sounds.isEmpty() || sounds.size() != meant.size()) {
            throw new IllegalArgumentException(sounds.size() + " sounds, " + meant.size() + " digits");
        }
        int right = 0;
        double[] mean = new double[DigitClassifier.DIGITS];
        double negativeEntropy = 0;
        for (int i = 0; i < sounds.size(); i++) {
            double[] probabilities = classifier.probabilities(sounds.get(i));
            int best = 0;
            for (int digit = 0; digit < mean.length; digit++) {
                best = probabilities[digit] > probabilities[best] ? digit : best;
                mean[digit] += probabilities[digit] / sounds.size();
                negativeEntropy += plogp(probabilities[digit]) / sounds.size();
            }
            right += best == meant.get(i) ? 1 : 0;
        }
        double negativeEntropyOfMean = 0;
        for (double p : mean) {
            negativeEntropyOfMean += plogp(p);
        }
        return new Hearing(
                Estimate.ofShare(right, sounds.size()),
                Math.exp(negativeEntropy - negativeEntropyOfMean),
                sounds.size());
    }

    private static double plogp(double p) {
        return p > 0 ? p * Math.log(p) : 0;
    }
}
