package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** The validation that all {@link DenseKernels} share. It allocates nothing where there is nothing to complain about. */
public final class DenseChecks {
    private static final Check PRODUCT = new Check("matrix product");
    private static final Check NORM = new Check("norm");

    private static final Check ACTIVATION = new Check("activation");
    private static final Check ATTENTION = new Check("attention");

    private DenseChecks() {}

    /** @throws IllegalArgumentException naming the argument of {@link DenseKernels#multiply} that does not fit */
    public static void multiply(Matrix weight, Rows x, MemorySegment bias, Rows y) {
        PRODUCT.rows("x", x, 1, x.length(), weight.columns());
        PRODUCT.writableRows("y", y, 1, x.length(), weight.rows());
        if (Check.present(bias)) {
            PRODUCT.dense("bias", bias, weight.rows());
        }
        if (!weight.data().scope().isAlive()) {
            throw PRODUCT.error("the weights lie in memory that was already freed");
        }
    }

    /** @throws IllegalArgumentException naming the argument of {@link DenseKernels#addNorm} that does not fit */
    public static void addNorm(Rows x, Rows added, MemorySegment weight, Rows y) {
        NORM.writableRows("x", x, 1, x.length(), x.channels());
        NORM.writableRows("y", y, 1, x.length(), x.channels());
        NORM.dense("weight", weight, x.channels());
        if (added.isPresent()) {
            NORM.rows("added", added, 1, x.length(), x.channels());
        }
    }

    /** @throws IllegalArgumentException if the argument of {@link DenseKernels#activate} does not fit */
    public static void activate(Rows x) {
        ACTIVATION.writableRows("x", x, 1, x.length(), x.channels());
    }

    /** @throws IllegalArgumentException naming the argument of {@link DenseKernels#attend} that does not fit */
    public static void attend(Rows q, List<NoteTable> tables, Rows read, Rows missed) {
        ATTENTION.rows("q", q, 1, q.length(), q.channels());
        ATTENTION.writableRows("read", read, 1, q.length(), q.channels());
        ATTENTION.writableRows("missed", missed, 1, q.length(), 1);
        ATTENTION.require(!tables.isEmpty(), "there is no table of notes");
        for (int i = 0; i < tables.size(); i++) { // an iterator would be an object per token
            NoteTable table = tables.get(i);
            if (table.width() != q.channels()) {
                throw ATTENTION.error(
                        "table " + i + " has notes of " + table.width() + " numbers, expected " + q.channels());
            }
            ATTENTION.require(table.isAlive(), "a table lies in memory that was already freed");
        }
    }

    /** Notes of all tables. */
    public static int count(List<NoteTable> tables) {
        int notes = 0;
        for (int i = 0; i < tables.size(); i++) {
            notes += tables.get(i).count();
        }
        return notes;
    }
}
