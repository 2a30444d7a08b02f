package org.mamba4j.torch.bench;

/**
 * One pass, measured.
 *
 * @param work operation and shape
 * @param note what else the inputs are like; empty where there is nothing to say
 * @param pass which
 * @param precision of activations
 * @param timing of a call
 * @param cost what a call must do at least
 * @param answer how far it is from the reference
 */
public record PassResult(
        String work, String note, Pass pass, String precision, Timing timing, Cost cost, Agreement answer) {
    /**
     * @param bytes of inputs, read once, and of outputs
     * @param exponentials of decays, step sizes and gates
     */
    public record Cost(double bytes, double exponentials) {}

    /** What {@link Reference} is looked up by. */
    public String key() {
        return work + " " + precision + " " + pass.key();
    }

    /** Part of the time that moving the bytes takes at best. */
    public double fractionOfCopy(Ceilings ceilings) {
        return cost.bytes() / ceilings.bytesPerSecond() / timing.medianSeconds();
    }

    /** Part of the time that the exponentials take at best. */
    public double fractionOfExponentials(Ceilings ceilings) {
        return cost.exponentials() / ceilings.exponentialsPerSecond() / timing.medianSeconds();
    }
}
