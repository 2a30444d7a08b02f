package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * Chooses the next token of each sequence of a batch from its logits, on the GPU, and keeps what was chosen until the host
 * asks; {@code cuda/decode_choose.cu} says how. A choice does not depend on the other sequences of the batch.
 */
final class Chooser implements AutoCloseable {
    /** Bytes of the kernel's {@code ChooseParams}: 8 pointers, a 64-bit integer, 4 ints, 3 floats, padded. */
    private static final long PARAMETER_BYTES = 9 * 8 + 8 * 4;

    private static final int THREADS = 512;

    private final SamplingOptions sampling;
    private final int vocab;
    private final int batch;
    private final KernelModule module;
    private final List<Tensor> owned = new ArrayList<>();
    private final Tensor logits; // (B, V padded)
    private final Tensor tokens; // (B) int32: the latest choice
    private final Tensor record; // (steps, B) int32: all choices, -1 for sequences that were done
    private final Tensor position; // (B) int32: how many choices were made
    private final Tensor done; // (B) int32
    private final Tensor bad; // (1) int32
    private final Tensor seeds; // (B) int64
    private final Tensor stop; // (stops) int32

    /**
     * @param type of the logits
     * @param steps greatest number of choices
     * @param stop tokens that end a sequence
     */
    Chooser(
            DecodeSizes sizes,
            ScalarType type,
            String device,
            int batch,
            int steps,
            SamplingOptions sampling,
            Collection<Integer> stop) {
        if (sampling.repetitionPenalty() != 1) {
            throw new UserError("repetition-penalty is " + sampling.repetitionPenalty()
                    + ", but batches on a GPU have none: leave it at 1");
        }
        this.sampling = sampling;
        this.vocab = sizes.config().vocabSize();
        this.batch = batch;
        DecodeSizes own = new DecodeSizes(sizes.config(), type);
        DeviceMemory.require(
                "the logits of " + batch + " sequences over " + vocab + " tokens",
                (long) batch * own.paddedVocab() * own.bytes(),
                "use a smaller batch");
        this.module = KernelModule.load(
                Chooser.class,
                "decode_choose.cu",
                List.of("--std=c++17", "-default-device", "-DIO_BF16=" + (type == ScalarType.BFloat16 ? 1 : 0)));
        this.logits = own(DeviceMemory.zeros(device, type, batch, own.paddedVocab()));
        this.tokens = own(DeviceMemory.zeros(device, ScalarType.Int, batch));
        this.record = own(DeviceMemory.zeros(device, ScalarType.Int, steps, batch));
        this.position = own(DeviceMemory.zeros(device, ScalarType.Int, batch));
        this.done = own(DeviceMemory.zeros(device, ScalarType.Int, batch));
        this.bad = own(DeviceMemory.zeros(device, ScalarType.Int, 1));
        this.seeds = own(DeviceMemory.zeros(device, ScalarType.Long, batch));
        this.stop = own(DeviceMemory.zeros(device, ScalarType.Int, stop.size()));
        int[] ids = stop.stream().mapToInt(Integer::intValue).toArray();
        TensorScope.run(() ->
                this.stop.copy_(Tensors.of(Arrays.stream(ids).asLongStream().toArray(), ids.length)));
        restart(sampling.seed());
    }

    /** (B, V padded): what it chooses from. */
    Tensor logits() {
        return logits;
    }

    /** (B) int32: the latest choice. */
    Tensor tokens() {
        return tokens;
    }

    /**
     * Forgets all choices.
     *
     * @param seed of the first sequence; each of the others has the one after
     */
    void restart(long seed) {
        TensorScope.run(() -> {
            position.zero_();
            done.zero_();
            bad.zero_();
            long[] each = new long[batch];
            for (int i = 0; i < batch; i++) {
                each[i] = seed + i;
            }
            seeds.copy_(Tensors.of(each, batch));
        });
    }

    /** Chooses from the logits. Asynchronous. */
    void choose() {
        module.kernel("decode_choose").launch(LaunchShape.of(batch, THREADS), PARAMETER_BYTES, this::write);
    }

    /** The fields of {@code ChooseParams} in decode_choose.cu, in their order. */
    private void write(StructWriter to) {
        to.pointer(logits)
                .pointer(tokens)
                .pointer(record)
                .pointer(position)
                .pointer(done)
                .pointer(bad);
        to.pointer(stop).pointer(seeds).int64(logits.size(1));
        to.int32(batch).int32(vocab).int32(Math.toIntExact(stop.numel())).int32(sampling.topK());
        to.float32((float) sampling.temperature())
                .float32((float) sampling.topP())
                .float32((float) sampling.minP());
        to.int32(0);
    }

    /** Waits for the GPU; whether every sequence has ended. */
    boolean allDone() {
        return Arrays.stream(Tensors.toInts(done)).allMatch(each -> each != 0);
    }

    /**
     * Waits for the GPU.
     *
     * @return what was chosen so far, of each sequence, without the token that ended it
     * @throws UserError if a logit was NaN or infinite
     */
    List<int[]> chosen(int steps) {
        check();
        int[] all = TensorScope.call(() -> Tensors.toInts(record.narrow(0, 0, steps)));
        int[] ended = Tensors.toInts(done);
        List<int[]> chosen = new ArrayList<>();
        for (int b = 0; b < batch; b++) {
            int[] own = new int[steps];
            int count = 0;
            while (count < steps && all[count * batch + b] >= 0) {
                own[count] = all[count * batch + b];
                count++;
            }
            chosen.add(Arrays.copyOf(own, ended[b] != 0 ? count - 1 : count));
        }
        return chosen;
    }

    /**
     * Waits for the GPU.
     *
     * @throws UserError if a logit was NaN or infinite
     */
    void check() {
        if (Tensors.toInts(bad)[0] != 0) {
            throw new UserError(
                    "a logit is infinite or no number: the model's weights are damaged or its training diverged;"
                            + " use an earlier checkpoint");
        }
    }

    private Tensor own(Tensor tensor) {
        owned.add(tensor);
        return tensor;
    }

    @Override
    public void close() {
        owned.forEach(Tensor::close);
    }
}
