package org.mamba4j;

/**
 * The seeds of tests whose cases are random: the same in every run, so that what was green stays green; {@code
 * -Dmamba4j.test.seed=random} or a number tries others, and finds what the usual one does not.
 */
public final class TestSeed {
    private TestSeed() {}

    /** The seed for {@code test}, which is printed with it if it is not the usual one. */
    public static long of(String test) {
        String wanted = System.getProperty("mamba4j.test.seed", "");
        if (wanted.isEmpty()) {
            return test.hashCode();
        }
        long seed = wanted.equals("random") ? System.nanoTime() : Long.parseLong(wanted);
        System.out.println(test + ": -Dmamba4j.test.seed=" + seed);
        return seed;
    }
}
