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
 * What the memories of all layers keep account of in one sweep: scores, how much was noted and read, the price of it, and
 * the thresholds that follow the scores. One kernel for all layers each; nothing waits for the GPU.
 *
 * <p>Layers are numbered here as they come, from 0.
 */
public final class MemoryBook implements AutoCloseable {
    /** Numbers of a layer in {@link #statistics}. */
    public static final int STATISTICS = 5;

    /** Blocks of the kernels that sum up over tokens. */
    static final int PARTS = 264;

    /** Bytes of {@code StatsParams}: 8 pointers, a 64-bit and four 32-bit numbers. */
    private static final long PARAMETER_BYTES = 8 * 8 + 8 + 4 * 4;

    private static final int STATS_THREADS = 256;
    private static final int THRESHOLD_THREADS = 1024;
    private static final int LOSS_THREADS = 32;

    private final MemoryControls controls;
    private final int layers;
    private final Tensor statistics;
    private final Tensor thresholds;

    /** @param thresholds those of the layers, (1) float32 each; they are moved in place */
    public MemoryBook(List<Tensor> thresholds) {
        Tensor like = thresholds.getFirst();
        layers = thresholds.size();
        controls = new MemoryControls(like);
        try (TensorScope scope = new TensorScope()) {
            statistics = scope.release(Tensors.emptyLike(like, ScalarType.Float, layers, STATISTICS));
            statistics.zero_();
            long[] addresses = thresholds.stream()
                    .mapToLong(tensor -> tensor.data_ptr().address())
                    .toArray();
            this.thresholds =
                    scope.release(Tensors.of(addresses, addresses.length).to(like.device(), ScalarType.Long));
        }
    }

    /** How notes are taken in the steps to come. */
    public MemoryControls controls() {
        return controls;
    }

    /**
     * (layers, {@value #STATISTICS}) float32 of the last sweep: mean gate, share of tokens that were noted, mean score,
     * share of attention on notes of the layer, share on those of layers below.
     */
    public Tensor statistics() {
        return statistics;
    }

    /**
     * The accounts of one sweep.
     *
     * @param scores (layers, M) float32
     * @param gates (layers, {@link #PARTS}, 2) float32: sums of gates and of scores
     * @param counts (layers, B) int32: notes of each sequence
     * @param missed (layers, 2, blocks) float32: sums of the attention that went to nothing
     * @param poison (1) int32: set where a note's gradient is no number
     */
    public record Page(Tensor scores, Tensor gates, Tensor counts, Tensor missed, Tensor poison) {}

    /** Empty accounts, in the caller's scope. */
    public Page open(NoteGrid grid) {
        try (TensorScope scope = new TensorScope()) {
            Tensor like = statistics;
            Tensor missed =
                    scope.promote(Tensors.emptyLike(like, ScalarType.Float, layers, 2, CudaPoolRead.blocks(grid)));
            Tensor poison = scope.promote(Tensors.emptyLike(like, ScalarType.Int, 1));
            missed.zero_();
            poison.zero_();
            return new Page(
                    scope.promote(Tensors.emptyLike(like, ScalarType.Float, layers, grid.tokens())),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Float, layers, PARTS, 2)),
                    scope.promote(Tensors.emptyLike(like, ScalarType.Int, layers, grid.batch())),
                    missed,
                    poison);
        }
    }

    /**
     * To be called when all layers have run forward: fills {@link #statistics}, adds the price of notes to the loss, and
     * moves the thresholds.
     *
     * @param loss (1) float32
     */
    public void settle(Page page, Tensor loss) {
        launch("memory_stats", LaunchShape.of(layers, STATS_THREADS), page, loss);
        launch("memory_loss", LaunchShape.of(1, LOSS_THREADS), page, loss);
        launch("memory_threshold", LaunchShape.of(layers, THRESHOLD_THREADS), page, loss);
    }

    private void launch(String kernel, LaunchShape shape, Page page, Tensor loss) {
        KernelModule module = KernelModule.load(
                MemoryBook.class, "memory_score.cu", CudaOptions.of(statistics).list());
        module.kernel(kernel).launch(shape, PARAMETER_BYTES, to -> write(to, page, loss));
    }

    /** The fields of {@code StatsParams} in memory_score.cu, in their order. */
    private void write(StructWriter to, Page page, Tensor loss) {
        to.pointer(controls.numbers()).pointer(page.gates).pointer(page.counts).pointer(page.missed);
        to.pointer(statistics).pointer(loss).pointer(page.scores).pointer(thresholds);
        to.int64(page.scores.size(1)).int32(layers).int32(Math.toIntExact(page.counts.size(1)));
        to.int32(PARTS).int32(Math.toIntExact(page.missed.size(2)));
    }

    @Override
    public void close() {
        controls.close();
        statistics.close();
        thresholds.close();
    }
}
