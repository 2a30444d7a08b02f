package org.mamba4j.tasks.dna;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** One uninterrupted sequence of a genome: a chromosome, or the part of it that a file holds. */
public final class Contig {
    private final String name;
    private final byte[] bases;

    /**
     * @param name for messages
     * @param bases tokens of {@link Bases}, A to N; not to be changed from now on
     */
    Contig(String name, byte[] bases) {
        this.name = name;
        this.bases = bases;
    }

    /** As the file has it, up to the first space. */
    public String name() {
        return name;
    }

    /** Number of bases. */
    public int length() {
        return bases.length;
    }

    /** The base at {@code index}. */
    public int at(int index) {
        return bases[index];
    }

    /** Copies {@code count} bases from {@code from} on into {@code out}, from {@code at} on. */
    public void read(int from, int count, int[] out, int at) {
        Objects.checkFromIndexSize(from, count, bases.length);
        for (int i = 0; i < count; i++) {
            out[at + i] = bases[from + i];
        }
    }

    /** Bases {@code from} to {@code to} (exclusive) as a contig of its own. */
    Contig part(int from, int to) {
        return new Contig(name + ":" + (from + 1) + "-" + to, java.util.Arrays.copyOfRange(bases, from, to));
    }

    /**
     * Bases {@code from} to {@code to} (exclusive) of a contig, all of them known.
     *
     * @param from the first
     * @param to the one after the last
     */
    record Stretch(int from, int to) {
        int length() {
            return to - from;
        }
    }

    /** Where all bases are known, over at least {@code least} bases, in order. */
    List<Stretch> knownStretches(int least) {
        List<Stretch> stretches = new ArrayList<>();
        int from = 0;
        for (int i = 0; i <= bases.length; i++) {
            if (i == bases.length || bases[i] == Bases.N) {
                if (i - from >= least) {
                    stretches.add(new Stretch(from, i));
                }
                from = i + 1;
            }
        }
        return stretches;
    }
}
