package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.GpuTensors.ACTIVATIONS;
import static org.mamba4j.torch.kernel.GpuTensors.FLOAT;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * AdamW on an NVIDIA GPU, all parameters in three launches ({@code cuda/adamw.cu}): the norm of all gradients, clipping,
 * the update with weight decay apart, and the bfloat16 copies that products read. The formula is that of {@code
 * org.mamba4j.torch.train.AdamW}. The same calls give the same bits.
 *
 * <p>A {@link #step} waits for nothing and allocates nothing, so it can be captured as a CUDA graph: what changes from
 * step to step (learning rate, steps made) lies on the device. Parameters stay as they are, and the step is not counted,
 * where the gradients' norm or the loss is not finite.
 */
public final class CudaAdamW implements AutoCloseable {
    /** Bytes of the kernels' {@code AdamParams}: 7 pointers, 4 doubles, 2 floats and 2 integers. */
    private static final long PARAMETER_BYTES = 7 * 8 + 4 * 8 + 2 * 4 + 2 * 4;

    private static final int THREADS = 256;
    private static final int PREPARE_THREADS = 1024;
    private static final int LONGS_PER_PIECE = 7;
    private static final int DECAYS = 1;
    private static final int WIDE = 2;
    private static final long NO_COPY = 0;

    private final Settings settings;
    private final KernelModule module;
    private final int count;
    private final Tensor pieces;
    private final Tensor squares;
    private final Tensor control;
    private final Tensor rate;
    private final Tensor steps;
    private final Tensor norm;

    /**
     * One parameter. All tensors have the same number of elements, are contiguous and must outlive the optimiser, at
     * the same addresses.
     *
     * @param master float32: the parameter itself
     * @param gradient float32
     * @param mean float32: of the gradients; zero before the first step
     * @param square float32: mean of the gradients' squares; zero before the first step
     * @param copy bfloat16 copy of {@code master}, rewritten by every step; absent: none
     * @param decays whether weight decay applies
     * @param greatestRate its learning rate is the step's, but at most this; may be infinite
     */
    public record Entry(
            Tensor master,
            Tensor gradient,
            Tensor mean,
            Tensor square,
            Tensor copy,
            boolean decays,
            double greatestRate) {
        public Entry {
            long[] shape = master.shape();
            GpuTensors.require("parameter", master, FLOAT, shape);
            GpuTensors.require("gradient", gradient, FLOAT, shape);
            GpuTensors.require("mean", mean, FLOAT, shape);
            GpuTensors.require("square", square, FLOAT, shape);
            GpuTensors.requireIfThere("copy", copy, ACTIVATIONS, shape);
            if (GpuTensors.typeCode(copy) == 1) {
                throw new IllegalArgumentException("copy is Float: wanted BFloat16 on a GPU");
            }
        }
    }

    /**
     * What stays the same from step to step.
     *
     * @param beta1 decay of the mean, in [0, 1)
     * @param beta2 decay of the mean of squares, in [0, 1)
     * @param eps added to the root
     * @param weightDecay of the parameters that decay
     * @param clipNorm gradients are scaled down to at most this global norm; 0: they are not
     * @param gradientFactor what gradients are multiplied by first: 1 / n where they are sums over n batches
     * @param clear whether a step zeroes the gradients
     */
    public record Settings(
            double beta1,
            double beta2,
            double eps,
            double weightDecay,
            double clipNorm,
            double gradientFactor,
            boolean clear) {}

    /**
     * An optimiser that has made no step, with learning rate 0.
     *
     * @param entries at least one, with at least one element
     */
    public CudaAdamW(List<Entry> entries, Settings settings) {
        this.settings = settings;
        Tensor like = entries.getFirst().master();
        module = KernelModule.load(
                CudaAdamW.class, "adamw.cu", CudaOptions.of(like).list());
        int[] geometry = module.ints("adamw_geometry");
        List<Long> table = table(entries, geometry[0]);
        count = table.size() / LONGS_PER_PIECE;
        if (count == 0) {
            throw new IllegalArgumentException("no parameters to train");
        }
        try (TensorScope scope = new TensorScope()) {
            long[] values = table.stream().mapToLong(Long::longValue).toArray();
            pieces = scope.release(Tensors.of(values, count, LONGS_PER_PIECE).to(like.device(), ScalarType.Long));
            squares = scope.release(Tensors.emptyLike(like, ScalarType.Float, count));
            control = scope.release(Tensors.emptyLike(like, ScalarType.Float, geometry[1]));
            rate = scope.release(zero(like));
            steps = scope.release(zero(like));
            norm = scope.release(zero(like));
        }
    }

    private static Tensor zero(Tensor like) {
        Tensor number = Tensors.emptyLike(like, ScalarType.Float, 1);
        number.zero_();
        return number;
    }

    /** Every entry cut into pieces of at most {@code largest} elements, as {@code Piece} of adamw.cu. */
    private static List<Long> table(List<Entry> entries, int largest) {
        List<Long> table = new ArrayList<>();
        for (Entry entry : entries) {
            long[] starts = {
                entry.master.data_ptr().address(),
                entry.gradient.data_ptr().address(),
                entry.mean.data_ptr().address(),
                entry.square.data_ptr().address()
            };
            long copy = entry.copy.defined() ? entry.copy.data_ptr().address() : NO_COPY;
            boolean wide = GpuTensors.beginAligned(entry.master, entry.gradient, entry.mean, entry.square, entry.copy);
            long flags = (entry.decays ? DECAYS : 0) | (wide ? WIDE : 0);
            long elements = entry.master.numel();
            for (long from = 0; from < elements; from += largest) {
                for (long start : starts) {
                    table.add(start + from * Float.BYTES);
                }
                table.add(copy == NO_COPY ? NO_COPY : copy + from * Short.BYTES);
                table.add(Math.min(largest, elements - from) | flags << Integer.SIZE);
                table.add(Double.doubleToRawLongBits(entry.greatestRate));
            }
        }
        return table;
    }

    /**
     * Changes the parameters (but see the class's comment), their means and copies.
     *
     * @param loss one float32 number on the device that must be finite; absent: not looked at
     */
    public void step(Tensor loss) {
        launch("adamw_norm", loss);
        module.kernel("adamw_prepare")
                .launch(LaunchShape.of(1, PREPARE_THREADS), PARAMETER_BYTES, to -> write(to, loss));
        launch("adamw_update", loss);
    }

    /** Fills all gradients with zeros. */
    public void zeroGradients() {
        launch("adamw_clear", Tensors.absent());
    }

    /** Writes the copies again; to be called after the parameters have been changed by others. */
    public void refreshCopies() {
        launch("adamw_copy", Tensors.absent());
    }

    /** The learning rate of the steps to come, one float32 number: {@link #setRate} or a copy into it changes it. */
    public Tensor rate() {
        return rate;
    }

    /** Sets {@link #rate}, on the current stream. */
    public void setRate(double value) {
        TensorScope.run(() -> rate.fill_(new Scalar((float) value)));
    }

    /** Steps made and counted, one float32 number. */
    public Tensor steps() {
        return steps;
    }

    /** Says how many steps have made the means that were put in place, on the current stream. */
    public void setSteps(int made) {
        TensorScope.run(() -> steps.fill_(new Scalar((float) made)));
    }

    /** Global norm of the last step's gradients, with the factor and before clipping, one float32 number. */
    public Tensor norm() {
        return norm;
    }

    private void launch(String kernel, Tensor loss) {
        module.kernel(kernel).launch(LaunchShape.of(count, THREADS), PARAMETER_BYTES, to -> write(to, loss));
    }

    /** The fields of {@code AdamParams} in adamw.cu, in their order. */
    private void write(StructWriter to, Tensor loss) {
        to.pointer(pieces)
                .pointer(squares)
                .pointer(loss)
                .pointer(rate)
                .pointer(steps)
                .pointer(norm);
        to.pointer(control);
        to.float64(settings.beta1).float64(settings.beta2);
        to.float64(settings.gradientFactor).float64(settings.clipNorm);
        to.float32((float) settings.eps).float32((float) settings.weightDecay);
        to.int32(count).int32(settings.clear ? 1 : 0);
    }

    /** Frees all but the entries' tensors. */
    @Override
    public void close() {
        List.of(pieces, squares, control, rate, steps, norm).forEach(Tensor::close);
    }
}
