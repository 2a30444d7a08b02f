package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.CapturedGraph;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * One token for each sequence of a batch: {@link LayerKernels} where they take the model, else libtorch's matrix products
 * and, between them, {@link MixerKernels} or the kernels of {@code cuda/decode_batch.cu}; recorded as one CUDA graph. The
 * choice of the next tokens is part of it, so steps follow each other without the host.
 *
 * <p>The states' kernel reads more than all others together, and what it reads does not depend on the kernels before it: it
 * starts before they have ended.
 */
final class BatchStep implements AutoCloseable {
    /** Bytes of the kernels' {@code BatchParams}: 14 pointers, an int and a float. */
    private static final long PARAMETER_BYTES = 14 * 8 + 2 * 4;

    private static final int THREADS = 256;
    private static final int CONV_THREADS = 128;
    private static final int CHANNELS_PER_BLOCK = 64;
    private static final int SEQUENCES = 8;
    private static final Tensor ABSENT = Tensors.absent();

    private final DecodeWeights weights;
    private final DecodeSizes sizes;
    private final DecodeState state;
    private final Chooser chooser;
    private final KernelModule module;
    private final Optional<LayerKernels> whole;
    private final Optional<MixerKernels> mixer;
    private final int batch;
    private final List<Tensor> owned = new ArrayList<>();
    private final Tensor residual; // (B, d) float32
    private final Tensor normed; // (B, d)
    private final Tensor xz; // (B, 2D)
    private final Tensor u; // (B, D)
    private final Tensor select; // (B, R + 2N padded)
    private final Tensor y; // (B, D)
    private final CapturedGraph graph;

    /**
     * @param state that it reads and writes
     * @param chooser of the batch: has the tokens that it reads and takes the logits that it makes
     */
    BatchStep(DecodeWeights weights, DecodeSizes sizes, String device, DecodeState state, Chooser chooser) {
        this.weights = weights;
        this.sizes = sizes;
        this.state = state;
        this.chooser = chooser;
        this.batch = state.batch();
        MambaConfig config = sizes.config();
        this.module = KernelModule.load(BatchStep.class, "decode_batch.cu", sizes.options("-DSEQUENCES=" + SEQUENCES));
        ScalarType type = sizes.type();
        DeviceMemory.require(
                "the activations of " + batch + " sequences",
                batch
                        * (config.dModel() * (Float.BYTES + (long) sizes.bytes())
                                + (4L * config.dInner() + sizes.selectRow()) * sizes.bytes()),
                "use a smaller batch");
        this.residual = own(DeviceMemory.zeros(device, ScalarType.Float, batch, config.dModel()));
        this.normed = own(DeviceMemory.zeros(device, type, batch, config.dModel()));
        this.xz = own(DeviceMemory.zeros(device, type, batch, 2L * config.dInner()));
        this.u = own(DeviceMemory.zeros(device, type, batch, config.dInner()));
        this.select = own(DeviceMemory.zeros(device, type, batch, sizes.selectRow()));
        this.y = own(DeviceMemory.zeros(device, type, batch, config.dInner()));
        this.whole = LayerKernels.supports(sizes)
                ? Optional.of(
                        new LayerKernels(weights, sizes, state, new LayerKernels.Activations(residual, normed, u, y)))
                : Optional.empty();
        this.mixer = whole.isEmpty() && MixerKernels.supports(sizes)
                ? Optional.of(new MixerKernels(weights, sizes, state, new MixerKernels.Activations(xz, u, select, y)))
                : Optional.empty();
        CapturedGraph.rehearse(this::step);
        this.graph = CapturedGraph.record(this::step);
    }

    /** Reads the chooser's tokens and chooses the next ones. */
    void run() {
        graph.replay();
    }

    /** Makes logits of the state's hidden output and chooses, without reading a token. */
    void chooseFirst() {
        TensorScope.run(() -> {
            normed.copy_(state.hidden());
            head();
        });
    }

    private void step() {
        TensorScope.run(() -> {
            norm(0, true);
            for (int layer = 0; layer < sizes.config().nLayer(); layer++) {
                int at = layer;
                if (whole.isPresent()) {
                    whole.get().launch(layer);
                } else {
                    TensorScope.run(() -> block(at));
                    norm(layer + 1, false);
                }
            }
            if (whole.isPresent()) {
                norm(sizes.config().nLayer(), false);
            }
            head();
        });
    }

    private void head() {
        torch.mm_out(chooser.logits(), normed, weights.head.t());
        chooser.choose();
    }

    private void block(int layer) {
        torch.mm_out(xz, normed, weights.inProj.select(0, layer).t());
        if (weights.inProjBias.defined()) {
            xz.add_(weights.inProjBias.select(0, layer));
        }
        if (mixer.isPresent()) {
            mixer.get().launch(layer);
        } else {
            mix(layer);
        }
        Tensor matrix = weights.outProj.select(0, layer);
        if (sizes.type() == ScalarType.Float) {
            residual.addmm_(y, matrix);
        } else {
            torch.addmm_out(residual, residual, y, matrix, ScalarType.Float, new Scalar(1.0), new Scalar(1.0));
        }
        if (weights.outProjBias.defined()) {
            residual.add_(weights.outProjBias.select(0, layer));
        }
    }

    /** From xz to y, for any sizes. */
    private void mix(int layer) {
        int channels = sizes.config().dInner();
        int across = Math.ceilDiv(channels, module.ints("decode_conv_channels")[0]);
        launch("decode_conv", LaunchShape.grid(across, batch, 1, CONV_THREADS), layer, false);
        torch.mm_out(select, u, weights.xProj.select(0, layer));
        LaunchShape states = LaunchShape.grid(
                Math.ceilDiv(channels, CHANNELS_PER_BLOCK), Math.ceilDiv(batch, SEQUENCES), 1, THREADS);
        launch("decode_state", states, layer, false);
    }

    private void norm(int layer, boolean embed) {
        LaunchShape shape = LaunchShape.of(batch, THREADS);
        // The first of a step reads tokens, whose kernel does not let anything start early.
        launch("decode_norm", embed ? shape : shape.starting(LaunchShape.Start.EARLY), layer, embed);
    }

    private void launch(String kernel, LaunchShape shape, int layer, boolean embed) {
        TensorScope.run(() -> module.kernel(kernel).launch(shape, PARAMETER_BYTES, to -> write(to, layer, embed)));
    }

    /** The fields of {@code BatchParams} in decode_batch.cu, in their order; {@code layer} may be one past the last. */
    private void write(StructWriter to, int layer, boolean embed) {
        boolean last = layer == sizes.config().nLayer();
        to.pointer(embed ? chooser.tokens() : ABSENT).pointer(weights.embedding).pointer(residual);
        to.pointer(weights.norm.select(0, layer)).pointer(normed);
        to.pointer(last ? state.hidden() : ABSENT).pointer(xz);
        to.pointer(last ? ABSENT : weights.channel.select(0, layer));
        to.pointer(last ? ABSENT : state.conv().select(0, layer));
        to.pointer(last ? ABSENT : state.h().select(0, layer));
        to.pointer(u).pointer(select);
        to.pointer(last ? ABSENT : weights.dtProj.select(0, layer)).pointer(y);
        to.int32(batch).float32((float) sizes.config().normEpsilon());
    }

    private Tensor own(Tensor tensor) {
        owned.add(tensor);
        return tensor;
    }

    @Override
    public void close() {
        graph.close();
        whole.ifPresent(LayerKernels::close);
        owned.forEach(Tensor::close);
    }
}
