package org.mamba4j.inference.engine;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.memory.NotePosition;
import org.mamba4j.memory.NoteRanking;
import org.mamba4j.memory.Replacement;
import org.mamba4j.model.MemoryConfig;

/**
 * The notes of one layer of a sequence: the pool, which tokens read, and the tokens of the open chunk, from which it is
 * filled when the chunk is complete. All but the ranking lies in the state's own tensors.
 */
final class NotePool {
    private final MemoryConfig memory;
    private final String name;
    private final Replacement replacement;
    private final NoteRanking ranking;
    private final NoteTable table;
    private final List<NoteTable> alone;
    private final MemorySegment summary;
    private final MemorySegment importance;
    private final MemorySegment position;
    private final MemorySegment openSummary;
    private final MemorySegment openImportance;
    private final MemorySegment openNoted;
    private final Rows logGates;
    private final MemorySegment promoted;

    /**
     * The pool of a new sequence.
     *
     * @param name of the state's tensors, up to the last two parts
     * @param logGates room for log σ of each importance (1, 1, P)
     */
    NotePool(MemoryConfig memory, String name, JavaState state, Rows logGates) {
        this.memory = memory;
        this.name = name;
        this.logGates = logGates;
        summary = state.tensor(name + "pool.summary");
        importance = state.tensor(name + "pool.importance");
        position = state.tensor(name + "pool.position");
        openSummary = state.tensor(name + "open.summary");
        openImportance = state.tensor(name + "open.importance");
        openNoted = state.tensor(name + "open.noted");
        replacement = memory.replacementPolicy();
        ranking = new NoteRanking(memory.greatestPool(), replacement);
        promoted = MemorySegment.ofArray(new float[memory.summarySize()]);
        table = new NoteTable(Rows.dense(summary, 1, memory.greatestPool(), memory.summarySize()), logGates);
        alone = List.of(table);
        clear();
    }

    /** The notes that can be read. */
    NoteTable table() {
        return table;
    }

    /** The same in a list. */
    List<NoteTable> alone() {
        return alone;
    }

    /** Forgets everything; the tensors are zero already. */
    void clear() {
        ranking.clear();
        table.setCount(0);
        for (int i = 0; i < memory.greatestPool(); i++) {
            setPosition(i, NotePosition.NONE, NotePosition.NONE);
        }
    }

    private void setPosition(int i, float high, float low) {
        position.setAtIndex(JAVA_FLOAT, 2L * i, high);
        position.setAtIndex(JAVA_FLOAT, 2L * i + 1, low);
    }

    /**
     * Adds a token to the open chunk.
     *
     * @param place in the chunk
     * @param score its importance
     * @param noted whether it is noted
     * @param from where its summary lies, as bytes into {@code summaries}
     */
    void add(int place, float score, boolean noted, MemorySegment summaries, long from) {
        int width = memory.summarySize();
        MemorySegment.copy(summaries, from, openSummary, 4L * place * width, 4L * width);
        openImportance.setAtIndex(JAVA_FLOAT, place, noted ? score : 0);
        openNoted.setAtIndex(JAVA_FLOAT, place, noted ? 1 : 0);
    }

    /**
     * Ends the open chunk if it is complete: what is noted in it competes for the pool.
     *
     * @param tokens read so far
     */
    void commitAt(long tokens) {
        int chunk = memory.chunkSize();
        if (tokens % chunk != 0) {
            return;
        }
        ranking.limit(memory.poolSizeAfter(tokens));
        for (int i = 0; i < chunk; i++) {
            if (openNoted.getAtIndex(JAVA_FLOAT, i) != 0) {
                offer(openImportance.getAtIndex(JAVA_FLOAT, i), tokens - chunk + i, i);
            }
        }
        openSummary.fill((byte) 0);
        openImportance.fill((byte) 0);
        openNoted.fill((byte) 0);
        publish();
    }

    private void offer(float value, long at, int place) {
        int before = ranking.size();
        int oldest = ranking.important();
        int entry = ranking.offer(value, at, Float.NEGATIVE_INFINITY);
        if (entry < 0) {
            return;
        }
        if (replacement.isPriority()) {
            moveRows(entry, entry + 1, ranking.size() - 1 - entry);
        } else if (ranking.promoted() != NoteRanking.NOBODY) {
            moveOldest(oldest, ranking.promoted(), before);
        }
        long row = 4L * memory.summarySize();
        MemorySegment.copy(openSummary, place * row, summary, entry * row, row);
    }

    /** Does with the rows what the ranking did with the oldest of the newest notes. */
    private void moveOldest(int oldest, int to, int size) {
        boolean isRoom = ranking.important() > oldest;
        if (to != NoteRanking.NOWHERE) {
            long row = 4L * memory.summarySize();
            MemorySegment.copy(summary, oldest * row, promoted, 0, row);
            moveRows(to, to + 1, (isRoom ? oldest : oldest - 1) - to);
            MemorySegment.copy(promoted, 0, summary, to * row, row);
        }
        if (!isRoom) {
            moveRows(oldest + 1, oldest, size - oldest - 1);
        }
    }

    private void moveRows(int from, int to, int count) {
        long row = 4L * memory.summarySize();
        MemorySegment.copy(summary, from * row, summary, to * row, count * row);
    }

    /** Brings the tensors and the table to what the ranking says. */
    private void publish() {
        for (int i = 0; i < ranking.size(); i++) {
            float a = ranking.importance(i);
            importance.setAtIndex(JAVA_FLOAT, i, a);
            setPosition(i, NotePosition.high(ranking.position(i)), NotePosition.low(ranking.position(i)));
            logGates.memory().setAtIndex(JAVA_FLOAT, i, (float) logSigmoid(a));
        }
        table.setCount(ranking.size());
    }

    private static double logSigmoid(double a) {
        return Math.min(a, 0) - Math.log1p(Math.exp(-Math.abs(a)));
    }

    /**
     * Takes over what the tensors hold.
     *
     * @param source for messages
     * @param tokens read so far
     * @throws UserError if it is not such as this model can have made
     */
    void restore(String source, long tokens) {
        long committed = tokens - tokens % memory.chunkSize();
        int most = memory.poolSizeAfter(committed);
        int held = 0;
        while (held < memory.greatestPool() && (long) position.getAtIndex(JAVA_FLOAT, 2L * held) >= 0) {
            held++;
        }
        if (held > most) {
            throw damaged(source, "has more notes than the " + most + " that a pool holds after " + tokens + " tokens");
        }
        ranking.clear();
        ranking.limit(most);
        for (int i = 0; i < held; i++) {
            long at = NotePosition.of(
                    position.getAtIndex(JAVA_FLOAT, 2L * i), position.getAtIndex(JAVA_FLOAT, 2L * i + 1));
            if (at < 0 || at >= committed) {
                throw damaged(
                        source,
                        "has a note of token " + at + ", but only those before " + committed
                                + " can be in a pool after " + tokens + " tokens");
            }
            if (!ranking.restore(importance.getAtIndex(JAVA_FLOAT, i), at, held)) {
                throw damaged(source, "does not have its notes in the order of their importance");
            }
        }
        publish();
    }

    private UserError damaged(String source, String what) {
        return new UserError(
                source + ": the state's tensor \"" + name + "pool.position\" " + what + ": the file is damaged");
    }
}
