package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * Which tokens of a batch are noted, and between which chunks each note stands in its layer's pool ({@code
 * cuda/note_select.cu}): the selection of {@code nn.NoteSelection} for whole sequences and pools of one capacity, found on
 * the GPU without waiting for it. "Candidates" are a sequence's noted tokens in reading order; those of row b take the first
 * places of row b in each tensor, and what stands behind them means nothing.
 *
 * @param grid the sequences
 * @param position (B, L) int32: of each candidate
 * @param key (B, L) int64, unsigned: by which candidates compete
 * @param candidate (B, L) int32: number of a token among the candidates, or -1
 * @param logGate (B, L) float32: log of each candidate's gate
 * @param count (B) int32: candidates
 * @param starts (B, C) int32: candidates before each chunk
 * @param exit (B, L) int32: the first chunk that does not see a candidate any more
 * @param lastExit (B, ceil(L / 64)) int32: the greatest of 64 exits
 * @param gradient (B, L, s + 1) int64: what reading has added up for each candidate's summary and log gate, in units of
 *     2^-48; zero at first
 */
record NoteIntervals(
        NoteGrid grid,
        Tensor position,
        Tensor key,
        Tensor candidate,
        Tensor logGate,
        Tensor count,
        Tensor starts,
        Tensor exit,
        Tensor lastExit,
        Tensor gradient) {
    /** Candidates that a block of the kernels works on. */
    static final int TILE = 64;

    /** Bytes of {@code SelectParams}: 12 pointers, a 64-bit and six 32-bit numbers. */
    private static final long PARAMETER_BYTES = 12 * 8 + 8 + 6 * 4;

    private static final int COMPACT_THREADS = 1024;

    /**
     * What decides who is noted.
     *
     * @param scores (M) float32
     * @param threshold (1) float32
     * @param layer its number, for exploration
     * @param fifo whether the newest notes stay instead of the most important
     */
    record Choice(MemoryControls controls, Tensor scores, Tensor threshold, int layer, boolean fifo) {}

    /**
     * @param count (B) int32, is written: where the caller wants it
     * @return the rest in the caller's scope
     */
    static NoteIntervals select(Choice choice, NoteGrid grid, int summary, Tensor count) {
        Tensor like = choice.scores;
        try (TensorScope scope = new TensorScope()) {
            long batch = grid.batch();
            long length = grid.length();
            NoteIntervals notes = new NoteIntervals(
                    grid,
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, batch, length)),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Long, batch, length)),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, batch, length)),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Float, batch, length)),
                    count,
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, batch, grid.chunks())),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, batch, length)),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, batch, grid.tiles())),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Long, batch, length, summary + 1L)));
            KernelModule module = KernelModule.load(
                    NoteIntervals.class, "note_select.cu", CudaOptions.of(like).list());
            module.kernel("note_compact")
                    .launch(
                            LaunchShape.of(grid.batch(), COMPACT_THREADS),
                            PARAMETER_BYTES,
                            to -> notes.write(to, choice, summary));
            module.kernel("note_exits")
                    .launch(
                            LaunchShape.grid(grid.tiles(), grid.batch(), 1, TILE),
                            PARAMETER_BYTES,
                            to -> notes.write(to, choice, summary));
            return notes;
        }
    }

    /** The fields of {@code SelectParams} in note_select.cu, in their order. */
    private void write(StructWriter to, Choice choice, int summary) {
        to.pointer(choice.controls.numbers()).pointer(choice.scores).pointer(choice.threshold);
        to.pointer(position).pointer(key).pointer(candidate).pointer(logGate).pointer(count);
        to.pointer(starts).pointer(exit).pointer(lastExit).pointer(gradient);
        to.int64(choice.layer).int32(grid.length()).int32(grid.chunk()).int32(grid.chunks());
        to.int32(summary + 1).int32(choice.fifo ? 1 : 0).int32(0);
    }

    private List<Tensor> own() {
        return List.of(position, key, candidate, logGate, starts, exit, lastExit, gradient);
    }

    /** Moves all to the scope around {@code scope}. */
    void promoteFrom(TensorScope scope) {
        own().forEach(scope::promote);
        scope.promote(count);
    }

    /** Frees all but {@link #count}. */
    void close() {
        own().forEach(Tensor::close);
    }
}
