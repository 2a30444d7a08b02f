package org.mamba4j.kernel;

/** How the contracts' results are held to what is right. */
@FunctionalInterface
public interface Comparison {
    /** Of kernels in float32: within 1e-5 of the {@linkplain ExactSums#scale() scale} of the array. */
    Comparison USUAL = (what, name, actual, expected) ->
            Closeness.assertClose(what, actual, expected.values(), expected.scale(), 1e-5);

    /**
     * Asserts that a result is right.
     *
     * @param what for the message: the case and the result
     * @param name the result's, such as {@code y} or {@code grad u}
     */
    void check(String what, String name, float[] actual, ExactSums expected);
}
