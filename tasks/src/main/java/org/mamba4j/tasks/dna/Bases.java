package org.mamba4j.tasks.dna;

/**
 * The tokens of DNA: one per base, one for a base that nobody knows, one that asks for the species, and one for each
 * species that may be the answer.
 *
 * <p>A strand is read in one direction; the other strand, read in its own, is the reverse complement: backwards, with A
 * for T and C for G. Which of the two a file holds is a convention, so a model may be shown either.
 */
public final class Bases {
    /** Adenine; the others follow in the order of the alphabet, so that a base and its complement add up to {@link #T}. */
    public static final int A = 0;

    /** Cytosine. */
    public static final int C = 1;

    /** Guanine. */
    public static final int G = 2;

    /** Thymine. */
    public static final int T = 3;

    /** Any base: it was not read, or is one of several. */
    public static final int N = 4;

    /** What a sequence ends with that is to be classified. */
    public static final int SPECIES = 5;

    /** The species with number 0; the others follow. */
    public static final int FIRST_SPECIES = 6;

    /** Tokens in all. */
    public static final int VOCAB_SIZE = 16;

    /** Species that there are tokens for. */
    public static final int MAX_SPECIES = VOCAB_SIZE - FIRST_SPECIES;

    private static final String UPPER = "ACGTNRYSWKMBDHVU";
    private static final byte[] TOKENS = tokens();

    private Bases() {}

    private static byte[] tokens() {
        byte[] tokens = new byte[128];
        java.util.Arrays.fill(tokens, (byte) -1);
        for (int i = 0; i < UPPER.length(); i++) {
            char letter = UPPER.charAt(i);
            byte token = (byte) (letter == 'U' ? T : Math.min(i, N)); // RNA writes U for T
            tokens[letter] = token;
            tokens[Character.toLowerCase(letter)] = token;
        }
        return tokens;
    }

    /**
     * The token of a letter as the IUPAC writes bases, in either case; those that stand for several bases are {@link #N}.
     *
     * @return -1 if it is no such letter
     */
    public static int token(int letter) {
        return letter >= 0 && letter < TOKENS.length ? TOKENS[letter] : -1;
    }

    /** What lies opposite of a base: A and T, C and G, N and N. */
    public static int complement(int base) {
        return base == N ? N : T - base;
    }

    /** Turns {@code bases}, from {@code from} on, into the other strand's, in place. */
    public static void reverseComplement(int[] bases, int from, int count) {
        for (int i = from, j = from + count - 1; i <= j; i++, j--) {
            int other = complement(bases[j]);
            bases[j] = complement(bases[i]);
            bases[i] = other;
        }
    }
}
