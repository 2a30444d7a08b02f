package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.store;

import java.util.List;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;
import org.mamba4j.kernel.DenseChecks;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.WeightFormat;

/** Attention over notes; some rows are a task. The notes of a layer or two fit the nearest caches. */
final class Attention implements IntConsumer {
    /** Rows of a task. */
    private static final int ROWS = 16;

    private static final StepFrame.Loop[] PRODUCTS = {Attention::products, Attention::finish};
    private static final StepFrame.Loop[] TAIL = {Attention::tail};
    private static final StepFrame.Loop[] SUM = {Attention::sum};
    private static final StepFrame.Loop[] SUM_OF_FOUR = {Attention::sumOfFour};

    private Rows q = Rows.ABSENT;
    private List<NoteTable> tables = List.of();
    private float scale;
    private float nothing;
    private Rows read = Rows.ABSENT;
    private Rows missed = Rows.ABSENT;

    /** Takes arguments that were checked. */
    void prepare(Rows queries, List<NoteTable> from, float factor, float logitOfNothing, Rows to, Rows toMissed) {
        q = queries;
        tables = from;
        scale = factor;
        nothing = logitOfNothing;
        read = to;
        missed = toMissed;
    }

    int tasks() {
        return Math.ceilDiv(q.length(), ROWS);
    }

    @Override
    public void accept(int task) {
        int notes = DenseChecks.count(tables);
        long vectors = Lanes.blocks(notes + 1);
        Scratch scratch = Scratch.ofThread(vectors);
        StepFrame f = StepFrame.ofThread();
        f.x = scratch.take(vectors);
        int end = Math.min(q.length(), (task + 1) * ROWS);
        for (int t = task * ROWS; t < end; t++) {
            weigh(f, ScanLayout.address(q, 0, t, 0));
            f.count = notes + 1;
            f.run(StepFrame.EXP);
            float total = 0;
            for (int j = 0; j <= notes; j++) {
                total += get(f.x + 4L * j);
            }
            collect(f, total, ScanLayout.address(read, 0, t, 0));
            put(ScanLayout.address(missed, 0, t, 0), get(f.x + 4L * notes) / total);
        }
    }

    /** Logits, that of nothing last, less the greatest. */
    private void weigh(StepFrame f, long query) {
        float greatest = nothing;
        int at = 0;
        for (int i = 0; i < tables.size(); i++) {
            NoteTable table = tables.get(i);
            multiply(f, table, query, f.x + 4L * at);
            long biases = ScanLayout.address(table.biases(), 0, 0, 0);
            for (int j = 0; j < table.count(); j++) {
                float logit = scale * get(f.x + 4L * at) + get(biases + 4L * j);
                greatest = Math.max(greatest, logit);
                put(f.x + 4L * at, logit);
                at++;
            }
        }
        put(f.x + 4L * at, nothing);
        for (int j = 0; j <= at; j++) {
            put(f.x + 4L * j, get(f.x + 4L * j) - greatest);
        }
    }

    /** Products of a table's notes with the query. */
    private void multiply(StepFrame f, NoteTable table, long query, long to) {
        f.b = query;
        for (int first = 0; first < table.count(); first += Product.SUMS) {
            show(f, table, to + 4L * first);
            f.a += first * f.stride;
            f.count = Math.min(Product.SUMS, table.count() - first);
            f.run(PRODUCTS);
            if (f.states != DenseLoops.whole(f.states)) {
                f.run(TAIL);
            }
        }
    }

    /** The sum of all notes, each times its share. */
    private void collect(StepFrame f, float total, long to) {
        Lanes.clear(to, q.channels());
        int at = 0;
        for (int i = 0; i < tables.size(); i++) {
            NoteTable table = tables.get(i);
            show(f, table, to);
            f.input = f.x + 4L * at;
            for (int j = 0; j < table.count(); j++) {
                put(f.input + 4L * j, get(f.input + 4L * j) / total);
            }
            f.run(f.states == RowLoops.FOUR ? SUM_OF_FOUR : SUM);
            at += table.count();
        }
    }

    /** Makes a table's notes the frame's matrix. */
    private void show(StepFrame f, NoteTable table, long to) {
        f.a = ScanLayout.address(table.summaries(), 0, 0, 0);
        f.stride = ScanLayout.stride(table.summaries());
        f.count = table.count();
        f.states = q.channels();
        f.y = to;
    }

    private static void products(StepFrame f) {
        RowLoops.of(WeightFormat.F32, f.states).run(f.a, f.stride, f.b, f.states, Product.sums(), f.count);
    }

    private static void finish(StepFrame f) {
        RowLoops.finish(Product.sums(), f.y, f.count);
    }

    private static void tail(StepFrame f) {
        RowLoops.tail(WeightFormat.F32, f.a, f.stride, f.b, f.states, f.y, f.count);
    }

    private static void sum(StepFrame f) {
        for (int j = 0; j < f.count; j++) {
            DenseLoops.addScaled(get(f.input + 4L * j), f.a + j * f.stride, f.states, f.y);
        }
    }

    /** The same of notes of four vectors, whose sum stays in registers. */
    private static void sumOfFour(StepFrame f) {
        long to = f.y;
        FloatVector s0 = load(to);
        FloatVector s1 = load(to + Lanes.BYTES);
        FloatVector s2 = load(to + 2L * Lanes.BYTES);
        FloatVector s3 = load(to + 3L * Lanes.BYTES);
        for (int j = 0; j < f.count; j++) {
            FloatVector factor = broadcast(get(f.input + 4L * j));
            long note = f.a + j * f.stride;
            s0 = load(note).fma(factor, s0);
            s1 = load(note + Lanes.BYTES).fma(factor, s1);
            s2 = load(note + 2L * Lanes.BYTES).fma(factor, s2);
            s3 = load(note + 3L * Lanes.BYTES).fma(factor, s3);
        }
        store(s0, to);
        store(s1, to + Lanes.BYTES);
        store(s2, to + 2L * Lanes.BYTES);
        store(s3, to + 3L * Lanes.BYTES);
    }
}
