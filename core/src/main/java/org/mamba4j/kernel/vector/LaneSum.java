package org.mamba4j.kernel.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/**
 * The sum of a vector's lanes, always in the same order: each half is added to the other until one lane is left. {@code
 * reduceLanes} leaves the order open, and does use another one once it is compiled.
 */
final class LaneSum {
    private static final VectorShuffle<Float> BY_8 = by(8);
    private static final VectorShuffle<Float> BY_4 = by(4);
    private static final VectorShuffle<Float> BY_2 = by(2);
    private static final VectorShuffle<Float> BY_1 = by(1);

    private LaneSum() {}

    /** Lane i from where lane i + distance was. */
    private static VectorShuffle<Float> by(int distance) {
        return VectorShuffle.fromOp(Lanes.FLOATS, lane -> (lane + distance) % Lanes.COUNT);
    }

    static float sum(FloatVector lanes) {
        FloatVector v = lanes;
        if (Lanes.COUNT > 8) {
            v = v.add(v.rearrange(BY_8));
        }
        if (Lanes.COUNT > 4) {
            v = v.add(v.rearrange(BY_4));
        }
        v = v.add(v.rearrange(BY_2));
        return v.add(v.rearrange(BY_1)).lane(0);
    }
}
