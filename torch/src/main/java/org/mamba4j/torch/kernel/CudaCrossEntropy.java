package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.GpuTensors.ACTIVATIONS;
import static org.mamba4j.torch.kernel.GpuTensors.FLOAT;
import static org.mamba4j.torch.kernel.GpuTensors.LONG;

import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * Cross entropy and its gradient in place of the logits, on an NVIDIA GPU ({@code cuda/cross_entropy.cu}). Logits are
 * read once and written once, in their own type; arithmetic is float32. Works on a chunk of positions at a time, so
 * that the logits of a whole batch need never exist:
 *
 * <pre>
 * normaliser(targets, weights, normaliser);                                  // of the whole batch
 * for each chunk: differentiate(logits of the chunk, targets, weights, normaliser, losses), each its slice
 * sum(losses, normaliser, loss);
 * </pre>
 *
 * <p>The loss is the mean over the positions whose target is not -100, or, with weights, Σ weight · cross entropy / Σ
 * weight over all positions, a target of -100 having no cross entropy. It does not depend on how positions are cut into
 * chunks, to the bit. Positions of target -100 get gradient 0 and their logits are not read; a mean over no position is
 * NaN, and so is the loss where a logit that counts is NaN or +∞ or a target lies outside of the vocabulary.
 *
 * <p>Allocates nothing and waits for nothing, so that it can be captured as a CUDA graph.
 *
 * <p>Shapes: M positions, V vocabulary (2 to 2²⁷). Rows of up to 116,000 bfloat16 or 58,000 float32 logits stay on the
 * chip between reading and writing; longer ones are read twice.
 */
public final class CudaCrossEntropy {
    /** Bytes of the kernels' {@code CrossEntropyParams}: 6 pointers and 2 64-bit integers. */
    private static final long PARAMETER_BYTES = 6 * 8 + 2 * 8;

    private static final int VECTOR_BYTES = 16;
    private static final int SHORT_ROW_THREADS = 256;
    private static final int MAX_CHUNKS_PER_LANE = 8;
    private static final int SUM_THREADS = 1024;
    private static final int SHARED_BYTES = 226 * 1024;

    private CudaCrossEntropy() {}

    /**
     * What the sum over positions is divided by: the number of targets other than -100, or Σ weight. For a loss that is a
     * sum, or a mean over more than these positions, give the other methods a number of your own instead.
     *
     * @param targets (M) int64
     * @param weights (M) float32, or absent
     * @param normaliser one float32 number is written
     */
    public static void normaliser(Tensor targets, Tensor weights, Tensor normaliser) {
        GpuTensors.require("targets", targets, LONG, -1);
        GpuTensors.requireIfThere("weights", weights, FLOAT, targets.size(0));
        requireOne("normaliser", normaliser);
        sumModule(normaliser)
                .kernel("cross_entropy_normaliser")
                .launch(LaunchShape.of(1, SUM_THREADS), PARAMETER_BYTES, to -> {
                    to.absent()
                            .pointer(targets)
                            .pointer(weights)
                            .pointer(normaliser)
                            .absent()
                            .absent();
                    to.int64(targets.size(0)).int64(0);
                });
    }

    /**
     * Each position's share of the loss, and the gradient of the loss in place of the logits.
     *
     * @param logits (m, V) float32 or bfloat16; overwritten. Rows may be further apart than V (what lies between is left
     *     alone)
     * @param targets (m) int64 in [0, V), or -100
     * @param weights (m) float32, or absent
     * @param normaliser from {@link #normaliser}
     * @param losses (m) float32 is written: weight · cross entropy / normaliser
     */
    public static void differentiate(Tensor logits, Tensor targets, Tensor weights, Tensor normaliser, Tensor losses) {
        launch(true, logits, targets, weights, normaliser, losses);
    }

    /** The same without gradient: the logits stay as they are. */
    public static void evaluate(Tensor logits, Tensor targets, Tensor weights, Tensor normaliser, Tensor losses) {
        launch(false, logits, targets, weights, normaliser, losses);
    }

    /**
     * The loss.
     *
     * @param losses (M) float32 of all positions
     * @param normaliser from {@link #normaliser}
     * @param loss one float32 number is written; for a part of a sum, add it up afterwards
     */
    public static void sum(Tensor losses, Tensor normaliser, Tensor loss) {
        GpuTensors.require("losses", losses, FLOAT, -1);
        requireOne("normaliser", normaliser);
        requireOne("loss", loss);
        sumModule(normaliser)
                .kernel("cross_entropy_sum")
                .launch(LaunchShape.of(1, SUM_THREADS), PARAMETER_BYTES, to -> {
                    to.absent()
                            .absent()
                            .absent()
                            .pointer(normaliser)
                            .pointer(losses)
                            .pointer(loss);
                    to.int64(losses.size(0)).int64(0);
                });
    }

    private static void launch(
            boolean gradient, Tensor logits, Tensor targets, Tensor weights, Tensor normaliser, Tensor losses) {
        GpuTensors.requireRows("logits", logits, ACTIVATIONS, -1, -1);
        long rows = logits.size(0);
        GpuTensors.require("targets", targets, LONG, rows);
        GpuTensors.requireIfThere("weights", weights, FLOAT, rows);
        requireOne("normaliser", normaliser);
        GpuTensors.require("losses", losses, FLOAT, rows);
        if (rows == 0) {
            return;
        }
        Consumer<StructWriter> fill = to -> {
            to.pointer(logits)
                    .pointer(targets)
                    .pointer(weights)
                    .pointer(normaliser)
                    .pointer(losses)
                    .absent();
            to.int64(rows).int64(logits.stride(0));
        };
        Plan plan = Plan.of(logits);
        KernelModule module = plan.module(logits, gradient);
        if (plan.lanes > 0) {
            int blocks = Math.toIntExact(Math.ceilDiv(rows * plan.lanes, (long) SHORT_ROW_THREADS));
            module.kernel("cross_entropy_rows")
                    .launch(LaunchShape.of(blocks, SHORT_ROW_THREADS), PARAMETER_BYTES, fill);
        } else {
            LaunchShape shape = LaunchShape.of(Math.toIntExact(rows), plan.threads)
                    .withSharedBytes(plan.keep ? plan.chunks * VECTOR_BYTES : 0);
            module.kernel("cross_entropy_row").launch(shape, PARAMETER_BYTES, fill);
        }
    }

    /**
     * How rows are worked off.
     *
     * @param chunks of 16 bytes that a row touches at most
     * @param lanes that share a short row; 0: a block has a row
     * @param threads of that block
     * @param keep whether the row fits shared memory
     */
    private record Plan(int vocabulary, boolean aligned, int chunks, int lanes, int threads, boolean keep) {
        static Plan of(Tensor logits) {
            int size = Math.toIntExact(logits.element_size());
            int vocabulary = Math.toIntExact(logits.size(1));
            int perChunk = VECTOR_BYTES / size;
            boolean aligned = logits.data_ptr().address() % VECTOR_BYTES == 0 && logits.stride(0) % perChunk == 0;
            int chunks = Math.ceilDiv(vocabulary + (aligned ? 0 : perChunk - 1), perChunk);
            int lanes = 4;
            while (lanes < 32 && lanes * 4 < chunks) {
                lanes *= 2;
            }
            boolean small = chunks <= MAX_CHUNKS_PER_LANE * lanes;
            int threads = 128;
            while (threads < 512 && threads * 8 < chunks) {
                threads *= 2;
            }
            return new Plan(
                    vocabulary, aligned, chunks, small ? lanes : 0, threads, chunks * VECTOR_BYTES <= SHARED_BYTES);
        }

        KernelModule module(Tensor logits, boolean gradient) {
            CudaOptions options = CudaOptions.of(logits)
                    .with("VOCABULARY", vocabulary)
                    .with("ALIGNED", aligned ? 1 : 0)
                    .with("GRADIENT", gradient ? 1 : 0)
                    .with("KEEP", keep ? 1 : 0)
                    .with("ROW_THREADS", threads)
                    .with("LANES", lanes > 0 ? lanes : 32);
            return KernelModule.load(CudaCrossEntropy.class, "cross_entropy.cu", options.list());
        }
    }

    private static void requireOne(String what, Tensor tensor) {
        if (!tensor.defined() || tensor.numel() != 1) {
            throw new IllegalArgumentException(what + " has shape " + Tensors.shape(tensor) + ", wanted one number");
        }
        GpuTensors.require(what, tensor, FLOAT, tensor.shape());
    }

    /** The kernels that depend neither on the vocabulary nor on the logits' type. */
    private static KernelModule sumModule(Tensor number) {
        return KernelModule.load(
                CudaCrossEntropy.class,
                "cross_entropy.cu",
                CudaOptions.of(number).list());
    }
}
