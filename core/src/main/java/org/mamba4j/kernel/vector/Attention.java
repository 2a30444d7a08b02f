package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.put;

import java.util.List;
import java.util.function.IntConsumer;
import org.mamba4j.kernel.DenseChecks;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;

/** Attention over notes; some rows are a task. The notes of a layer or two fit the nearest caches. */
final class Attention implements IntConsumer {
    /** Rows of a task. */
    private static final int ROWS = 16;

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
        f.count = notes + 1;
        f.x = scratch.take(vectors);
        int end = Math.min(q.length(), (task + 1) * ROWS);
        for (int t = task * ROWS; t < end; t++) {
            weigh(f, ScanLayout.address(q, 0, t, 0));
            f.run(StepFrame.EXP);
            float total = 0;
            for (int j = 0; j <= notes; j++) {
                total += get(f.x + 4L * j);
            }
            collect(f.x, total, ScanLayout.address(read, 0, t, 0));
            put(ScanLayout.address(missed, 0, t, 0), get(f.x + 4L * notes) / total);
        }
    }

    /** Logits, that of nothing last, less the greatest. */
    private void weigh(StepFrame f, long query) {
        int width = q.channels();
        float greatest = nothing;
        int at = 0;
        for (int i = 0; i < tables.size(); i++) {
            NoteTable table = tables.get(i);
            long summaries = ScanLayout.address(table.summaries(), 0, 0, 0);
            long stride = ScanLayout.stride(table.summaries());
            long biases = ScanLayout.address(table.biases(), 0, 0, 0);
            for (int j = 0; j < table.count(); j++) {
                float logit = scale * DotLoops.one(summaries + j * stride, query, width) + get(biases + 4L * j);
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

    private void collect(long weights, float total, long to) {
        int width = q.channels();
        Lanes.clear(to, width);
        int at = 0;
        for (int i = 0; i < tables.size(); i++) {
            NoteTable table = tables.get(i);
            long summaries = ScanLayout.address(table.summaries(), 0, 0, 0);
            long stride = ScanLayout.stride(table.summaries());
            for (int j = 0; j < table.count(); j++) {
                DenseLoops.addScaled(get(weights + 4L * at) / total, summaries + j * stride, width, to);
                at++;
            }
        }
    }
}
