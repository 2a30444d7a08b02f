package org.mamba4j.torch.kernel;

import java.util.List;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * What stands around a memory's one product on an NVIDIA GPU ({@code cuda/memory_score.cu}): all weights side by side,
 * importance and summary of each token, and the way back to the parameters.
 *
 * @param sizes of the layer
 * @param weights of the layer
 * @param controls of the step at hand
 * @param type of the activations
 */
record CudaMemoryScore(Sizes sizes, MemoryWeights weights, MemoryControls controls, ScalarType type) {
    /** Bytes of {@code ScoreParams}: 50 pointers, a 64-bit and four 32-bit numbers. */
    private static final long PARAMETER_BYTES = 50 * 8 + 8 + 4 * 4;

    private static final int THREADS = 256;
    private static final int SUM_THREADS = 512;
    private static final int COLUMNS_PER_SUM = 32;
    private static final int WEIGHT_BLOCKS = 132;
    private static final int MOST_READS = 2;
    private static final Tensor ABSENT = Tensors.absent();

    /**
     * @param width d
     * @param hidden values of the scorer (H)
     * @param summary s
     * @param reads ways of reading, 0 to 2
     */
    record Sizes(int width, int hidden, int summary, int reads) {
        int queryColumn(int read) {
            return hidden + summary + read * summary;
        }

        int gateColumn(int read) {
            return queryColumn(reads) + read;
        }

        /** Columns of the product, a multiple of 8 (n). */
        int columns() {
            return Math.ceilDiv(gateColumn(reads), 8) * 8;
        }

        private int sums() {
            return 2 * hidden + summary + 1;
        }
    }

    /**
     * All weights side by side, in the type of the activations.
     *
     * @param product (n, d): scorer | summary | queries through keys, divided by √s | gates | zeros
     * @param values (d, reads · s); absent where nothing is read
     */
    record Packed(Tensor product, Tensor values) {
        private static final Packed NONE = new Packed(ABSENT, ABSENT);
    }

    /**
     * What is known of each token.
     *
     * @param product (M, n) float32
     * @param scores (M) float32
     * @param summaries (M, s) in the type of the activations
     * @param gates ({@link MemoryBook#PARTS}, 2) float32: sums of gates and of scores
     */
    record Tokens(Tensor product, Tensor scores, Tensor summaries, Tensor gates) {
        private static final Tokens NONE = new Tokens(ABSENT, ABSENT, ABSENT, ABSENT);
    }

    /**
     * What the way back reads, and the gradient of the product, whose columns of queries and gates are there before.
     *
     * @param notes which tokens are notes, and what their readers have added up
     * @param statistics ({@link MemoryBook#STATISTICS}) float32
     * @param poison (1) int32
     * @param product (M, n) in the type of the activations
     */
    record Back(NoteIntervals notes, Tensor statistics, Tensor poison, Tensor product) {}

    /**
     * What the parameters' gradients are made of.
     *
     * @param product (n, d) float32: of {@link Packed#product}
     * @param values (d, reads · s) float32: of {@link Packed#values}
     * @param sums float32: of the biases and of the scorer's second layer
     * @param reads (blocks, 2) float32 for each way of reading: shares of the gradients of gate bias and nothing
     */
    record Shares(Tensor product, Tensor values, Tensor sums, List<Tensor> reads) {
        private static final Shares NONE = new Shares(ABSENT, ABSENT, ABSENT, List.of());
    }

    /** In new tensors of the caller's scope. */
    Packed pack() {
        Tensor like = weights.scoreIn().value();
        Tensor values = sizes.reads == 0
                ? ABSENT
                : Tensors.emptyLike(like, type, sizes.width, (long) sizes.reads * sizes.summary);
        Packed packed = new Packed(Tensors.emptyLike(like, type, sizes.columns(), sizes.width), values);
        Call call = new Call(packed, Tokens.NONE, List.of(), ABSENT, Shares.NONE, false);
        launch("memory_pack", LaunchShape.of(WEIGHT_BLOCKS, THREADS), call);
        return packed;
    }

    /** Writes scores, summaries and gates of {@code tokens}. */
    void forward(Tokens tokens) {
        Call call = new Call(Packed.NONE, tokens, List.of(), ABSENT, Shares.NONE, false);
        launch("memory_front", LaunchShape.of(MemoryBook.PARTS, THREADS), call);
    }

    /**
     * Fills the columns of {@link Back#product} that are not there yet.
     *
     * @return {@link Shares#sums}, in the caller's scope
     */
    Tensor backward(Tokens tokens, Back back) {
        try (TensorScope scope = new TensorScope()) {
            Tensor sums = scope.promote(Tensors.emptyLike(tokens.product, ScalarType.Float, sizes.sums()));
            Tensor parts = Tensors.emptyLike(tokens.product, ScalarType.Float, MemoryBook.PARTS, sizes.sums());
            Call call = new Call(
                    Packed.NONE, tokens, List.of(back), parts, new Shares(ABSENT, ABSENT, sums, List.of()), false);
            launch("memory_back", LaunchShape.of(MemoryBook.PARTS, THREADS), call);
            launch("memory_sums", LaunchShape.of(Math.ceilDiv(sizes.sums(), COLUMNS_PER_SUM), SUM_THREADS), call);
            return sums;
        }
    }

    /**
     * Fills the gradients of all parameters but the norm's.
     *
     * @param add whether to add to them instead of overwriting them
     */
    void unpack(Shares shares, boolean add) {
        Call call = new Call(Packed.NONE, Tokens.NONE, List.of(), ABSENT, shares, add);
        launch("memory_unpack", LaunchShape.of(WEIGHT_BLOCKS, THREADS), call);
    }

    /** What the parameters of a launch are taken from; what it does not need is absent. */
    private record Call(Packed packed, Tokens tokens, List<Back> back, Tensor parts, Shares shares, boolean add) {
        Tensor ofBack(Function<Back, Tensor> which) {
            return back.isEmpty() ? ABSENT : which.apply(back.getFirst());
        }

        Tensor read(int i) {
            return i < shares.reads.size() ? shares.reads.get(i) : ABSENT;
        }
    }

    private void launch(String kernel, LaunchShape shape, Call call) {
        CudaOptions options = CudaOptions.of(weights.scoreIn().value())
                .with("IO_BF16", type == ScalarType.BFloat16 ? 1 : 0)
                .with("WIDTH", sizes.width)
                .with("HIDDEN", sizes.hidden)
                .with("SUMMARY", sizes.summary)
                .with("READS", sizes.reads);
        KernelModule.load(CudaMemoryScore.class, "memory_score.cu", options.list())
                .kernel(kernel)
                .launch(shape, PARAMETER_BYTES, to -> write(to, call));
    }

    /** The fields of {@code ScoreParams} in memory_score.cu, in their order. */
    private void write(StructWriter to, Call call) {
        List<TrainedWeight> plain = List.of(
                weights.scoreIn(),
                weights.scoreInBias(),
                weights.scoreOut(),
                weights.scoreOutBias(),
                weights.summary(),
                weights.summaryBias());
        to.pointer(controls.numbers());
        plain.forEach(weight -> to.pointer(weight.value()));
        for (Function<MemoryWeights.Read, TrainedWeight> which : List.<Function<MemoryWeights.Read, TrainedWeight>>of(
                MemoryWeights.Read::query,
                MemoryWeights.Read::key,
                MemoryWeights.Read::gate,
                MemoryWeights.Read::value)) {
            ofReads(to, read -> which.apply(read).value());
        }
        to.pointer(call.packed.product).pointer(call.packed.values);
        Tokens tokens = call.tokens;
        to.pointer(tokens.product)
                .pointer(tokens.scores)
                .pointer(tokens.summaries)
                .pointer(tokens.gates);
        to.pointer(call.ofBack(back -> back.notes.candidate()));
        to.pointer(call.ofBack(back -> back.notes.gradient()));
        to.pointer(call.ofBack(Back::poison)).pointer(call.ofBack(Back::statistics));
        to.pointer(call.ofBack(Back::product)).pointer(call.parts).pointer(call.shares.sums);
        to.pointer(call.shares.product).pointer(call.shares.values);
        to.pointer(call.read(0)).pointer(call.read(1));
        plain.forEach(weight -> to.pointer(weight.gradient()));
        for (Function<MemoryWeights.Read, TrainedWeight> which : List.<Function<MemoryWeights.Read, TrainedWeight>>of(
                MemoryWeights.Read::query,
                MemoryWeights.Read::key,
                MemoryWeights.Read::gate,
                MemoryWeights.Read::value,
                MemoryWeights.Read::gateBias,
                MemoryWeights.Read::nothing)) {
            ofReads(to, read -> which.apply(read).gradient());
        }
        to.int64(tokens.scores.defined() ? tokens.scores.size(0) : 0);
        to.int32(call.back.isEmpty() ? 0 : call.back.getFirst().notes.grid().length());
        to.int32(MemoryBook.PARTS);
        to.int32(call.read(0).defined() ? Math.toIntExact(call.read(0).size(0)) : 0);
        to.int32(call.add ? 1 : 0);
    }

    private void ofReads(StructWriter to, Function<MemoryWeights.Read, Tensor> which) {
        for (int i = 0; i < MOST_READS; i++) {
            to.pointer(i < weights.reads().size() ? which.apply(weights.reads().get(i)) : ABSENT);
        }
    }
}
