package org.mamba4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** What a benchmark's answer is checked with before anything is timed. */
final class Answers {
    private static final double TOLERANCE = 1e-4;

    private Answers() {}

    static void assertClose(String what, MemorySegment actual, MemorySegment expected) {
        assertClose(what, actual.toArray(JAVA_FLOAT_UNALIGNED), expected.toArray(JAVA_FLOAT_UNALIGNED));
    }

    /** Fails unless all differences are within 1e-4 of the greatest expected magnitude, which must not be 0. */
    static void assertClose(String what, float[] actual, float[] expected) {
        double scale = 0;
        double error = 0;
        for (int i = 0; i < expected.length; i++) {
            scale = Math.max(scale, Math.abs(expected[i]));
            double difference = Math.abs((double) actual[i] - expected[i]);
            error = difference <= error ? error : difference;
        }
        if (actual.length != expected.length || !(scale > 0) || !(error <= TOLERANCE * scale)) {
            throw new AssertionError(what + " is wrong by " + error + " of " + scale);
        }
    }
}
