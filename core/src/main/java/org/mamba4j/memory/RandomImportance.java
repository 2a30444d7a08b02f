package org.mamba4j.memory;

/**
 * Importance that has nothing to do with the token: what a memory is worth when what it notes is chosen blindly, to
 * compare learned choices with.
 *
 * <p>It follows from the place alone, so whatever engine reads a text in whatever parts chooses alike. All values lie so
 * high that gates, their sigmoid, are nearly open and alike, and attention is left to decide what is read.
 */
public final class RandomImportance {
    private static final float LEAST = 4;
    private static final int BITS = 20;

    private RandomImportance() {}

    /**
     * In [4, 5).
     *
     * @param layer from 0
     * @param position in the text, from 0
     */
    public static float of(int layer, long position) {
        long mixed = (position + 1) * 0x9E3779B97F4A7C15L + (layer + 1) * 0xC2B2AE3D27D4EB4FL;
        mixed = (mixed ^ (mixed >>> 30)) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94D049BB133111EBL;
        return LEAST + (mixed >>> (64 - BITS)) / (float) (1 << BITS);
    }

    /** Those of the {@code count} places from {@code first} on. */
    public static float[] of(int layer, long first, int count) {
        float[] all = new float[count];
        for (int i = 0; i < count; i++) {
            all[i] = of(layer, first + i);
        }
        return all;
    }
}
