package org.mamba4j.torch.train;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;

/**
 * {@code data.lengths}: which length holds from which share of the steps on. The tokens of a batch stay the same, so the
 * shorter the sequences, the more of them there are.
 */
record LengthsOnTheWay(List<From> phases) {
    private static final String CONSTANT = "constant";
    private static final Pattern PHASE = Pattern.compile("(\\d{1,8})@(\\d*\\.?\\d+)");

    /**
     * @param share of the steps from which it holds
     * @param length tokens of a sequence
     * @param rows sequences of a batch
     */
    record From(double share, int length, int rows) {}

    /**
     * @param length tokens of a sequence at the end
     * @param batch sequences of that length in a batch
     * @throws UserError if the text is none, shares do not rise from 0 to below 1, the last length is not {@code length},
     *     or the tokens of a batch do not divide by a length
     */
    static LengthsOnTheWay parse(String text, int length, int batch) {
        if (text.equals(CONSTANT)) {
            return new LengthsOnTheWay(List.of(new From(0, length, batch)));
        }
        List<From> phases = new ArrayList<>();
        double last = -1;
        for (String part : text.split(",", -1)) {
            Matcher matcher = PHASE.matcher(part.strip());
            if (!matcher.matches()) {
                throw new UserError("data.lengths: '" + part.strip()
                        + "' is not LENGTH@SHARE; write for example 512@0, 1024@0.065, or constant");
            }
            int tokens = Integer.parseInt(matcher.group(1));
            double share = Double.parseDouble(matcher.group(2));
            if (share >= 1 || share <= last || (phases.isEmpty() && share != 0)) {
                throw new UserError("data.lengths: " + text + ": shares must begin with 0, rise, and be below 1");
            }
            if (tokens < 1 || (long) batch * length % tokens != 0) {
                throw new UserError("data.lengths: " + text + ": a batch has data.batch x data.length = "
                        + (long) batch * length + " tokens, which do not divide into sequences of " + tokens);
            }
            phases.add(new From(share, tokens, Math.toIntExact((long) batch * length / tokens)));
            last = share;
        }
        if (phases.getLast().length() != length) {
            throw new UserError("data.lengths: " + text + ": the last length must be data.length, " + length);
        }
        return new LengthsOnTheWay(phases);
    }

    /** The same by number of the batch, in a run of {@code steps} steps of {@code accumulate} batches. */
    LengthCourse course(int steps, int accumulate) {
        return new LengthCourse(phases.stream()
                .map(phase -> new LengthCourse.Phase(
                        (long) Math.ceil(phase.share() * steps) * accumulate, phase.length(), phase.rows()))
                .toList());
    }
}
