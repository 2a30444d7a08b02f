package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.store;
import static org.mamba4j.kernel.vector.Lanes.zero;

import jdk.incubator.vector.FloatVector;

/** Loops over one row of floats; what does not fill a vector is done one by one. */
final class DenseLoops {
    private DenseLoops() {}

    /** x += y. */
    static void add(long x, long y, int count) {
        int whole = whole(count);
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            store(load(x + 4L * i).add(load(y + 4L * i)), x + 4L * i);
        }
        for (int i = whole; i < count; i++) {
            put(x + 4L * i, get(x + 4L * i) + get(y + 4L * i));
        }
    }

    /** Σ x². */
    static double squares(long x, int count) {
        int whole = whole(count);
        FloatVector sum = zero();
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            FloatVector value = load(x + 4L * i);
            sum = value.fma(value, sum);
        }
        double all = LaneSum.sum(sum);
        for (int i = whole; i < count; i++) {
            all += get(x + 4L * i) * get(x + 4L * i);
        }
        return all;
    }

    /** y = x · scale · weight. */
    static void scale(long x, float scale, long weight, int count, long y) {
        int whole = whole(count);
        FloatVector factor = broadcast(scale);
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            store(load(x + 4L * i).mul(factor).mul(load(weight + 4L * i)), y + 4L * i);
        }
        for (int i = whole; i < count; i++) {
            put(y + 4L * i, get(x + 4L * i) * scale * get(weight + 4L * i));
        }
    }

    /** y += factor · x. */
    static void addScaled(float factor, long x, int count, long y) {
        int whole = whole(count);
        FloatVector factors = broadcast(factor);
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            store(load(x + 4L * i).fma(factors, load(y + 4L * i)), y + 4L * i);
        }
        for (int i = whole; i < count; i++) {
            put(y + 4L * i, get(y + 4L * i) + factor * get(x + 4L * i));
        }
    }

    /** z = x y. */
    static void multiply(long x, long y, int count, long z) {
        for (int i = 0; i < count; i++) {
            put(z + 4L * i, get(x + 4L * i) * get(y + 4L * i));
        }
    }

    /** z += x y. */
    static void addProducts(long x, long y, int count, long z) {
        for (int i = 0; i < count; i++) {
            put(z + 4L * i, get(z + 4L * i) + get(x + 4L * i) * get(y + 4L * i));
        }
    }

    /** {@code count} without what does not fill a vector. */
    static int whole(int count) {
        return count & -Lanes.COUNT;
    }
}
