package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * The weights of a Mamba on a GPU, all layers of a kind in one tensor. Matrices are of the type that it computes in, the
 * small parameters float32; no other copy is kept.
 *
 * <p>A row of x_proj, dt_proj and out_proj is what belongs to one channel: x_proj and out_proj are the transposes of what
 * checkpoints hold. So a block of {@code decode_tokens.cu} that owns some channels finds its share in one piece.
 */
final class DecodeWeights implements AutoCloseable {
    private static final double LOG2E = 1.4426950408889634;

    private final List<Tensor> owned = new ArrayList<>();
    private final DecodeSizes sizes;
    private final String device;

    final Tensor embedding; // (V padded, d)
    final Tensor head; // (V padded, d): the embedding itself where they are tied
    final Tensor inProj; // (layers, 2D, d)
    final Tensor inProjBias; // (layers, 2D) or absent
    final Tensor xProj; // (layers, D, R + 2N padded)
    final Tensor dtProj; // (layers, D, R padded)
    final Tensor outProj; // (layers, D, d)
    final Tensor outProjBias; // (layers, d) or absent
    final Tensor channel; // (layers, D, channelRow) float32: see DecodeSizes
    final Tensor convWeight; // (layers, D, 1, K) float32
    final Tensor convBias; // (layers, D) float32
    final Tensor dtBias; // (layers, D) float32
    final Tensor a; // (layers, D, N) float32, negative
    final Tensor skip; // (layers, D) float32
    final Tensor norm; // (layers + 1, d) float32: the last one is the final norm

    /** All zero. */
    DecodeWeights(DecodeSizes sizes, String device) {
        this.sizes = sizes;
        this.device = device;
        MambaConfig config = sizes.config();
        DeviceMemory.require(
                "the weights of " + parameters(config) + " parameters in " + sizes.type(),
                bytes(sizes),
                sizes.type() == ScalarType.Float ? "use precision bfloat16 or a smaller model" : "use a smaller model");
        int layers = config.nLayer();
        int inner = config.dInner();
        int width = config.dModel();
        ScalarType type = sizes.type();
        embedding = own(type, sizes.paddedVocab(), width);
        head = config.tieEmbeddings() ? embedding : own(type, sizes.paddedVocab(), width);
        inProj = own(type, layers, 2L * inner, width);
        inProjBias = config.useBias() ? own(type, layers, 2L * inner) : Tensors.absent();
        xProj = own(type, layers, inner, sizes.selectRow());
        dtProj = own(type, layers, inner, sizes.rankRow());
        outProj = own(type, layers, inner, width);
        outProjBias = config.useBias() ? own(type, layers, width) : Tensors.absent();
        channel = own(ScalarType.Float, layers, inner, sizes.channelRow());
        convWeight = own(ScalarType.Float, layers, inner, 1, config.dConv());
        convBias = own(ScalarType.Float, layers, inner);
        dtBias = own(ScalarType.Float, layers, inner);
        a = own(ScalarType.Float, layers, inner, config.dState());
        skip = own(ScalarType.Float, layers, inner);
        norm = own(ScalarType.Float, layers + 1L, width);
    }

    /**
     * Copies the weights of a checkpoint.
     *
     * @param device {@code cuda} or {@code cuda:N}
     * @throws org.mamba4j.UserError if the GPU's memory does not suffice
     */
    static DecodeWeights load(Checkpoint checkpoint, DecodeSizes sizes, String device) {
        DecodeWeights weights = new DecodeWeights(sizes, device);
        boolean complete = false;
        try {
            weights.fill(checkpoint);
            complete = true;
            return weights;
        } finally {
            if (!complete) {
                weights.close();
            }
        }
    }

    private void fill(Checkpoint checkpoint) {
        MambaConfig config = sizes.config();
        rows(checkpoint, "backbone.embeddings.weight", embedding);
        if (!config.tieEmbeddings()) {
            rows(checkpoint, "lm_head.weight", head);
        }
        for (int layer = 0; layer < config.nLayer(); layer++) {
            int at = layer;
            TensorScope.run(() -> fillLayer(checkpoint, at));
        }
        TensorScope.run(() -> read(checkpoint, "backbone.norm_f.weight", norm.select(0, config.nLayer())));
    }

    private void fillLayer(Checkpoint checkpoint, int layer) {
        MambaConfig config = sizes.config();
        String name = "backbone.layers." + layer + ".";
        read(checkpoint, name + "norm.weight", norm.select(0, layer));
        String mixer = name + "mixer.";
        read(checkpoint, mixer + "in_proj.weight", inProj.select(0, layer));
        Tensor columns = xProj.select(0, layer).narrow(1, 0, config.xProjSize());
        read(checkpoint, mixer + "x_proj.weight", columns.t());
        read(checkpoint, mixer + "dt_proj.weight", dtProj.select(0, layer).narrow(1, 0, config.dtRank()));
        read(checkpoint, mixer + "out_proj.weight", outProj.select(0, layer).t());
        if (config.useBias()) {
            read(checkpoint, mixer + "in_proj.bias", inProjBias.select(0, layer));
            read(checkpoint, mixer + "out_proj.bias", outProjBias.select(0, layer));
        }
        read(checkpoint, mixer + "conv1d.weight", convWeight.select(0, layer));
        if (config.useConvBias()) {
            read(checkpoint, mixer + "conv1d.bias", convBias.select(0, layer));
        }
        read(checkpoint, mixer + "dt_proj.bias", dtBias.select(0, layer));
        read(checkpoint, mixer + "D", skip.select(0, layer));
        Tensor negative = a.select(0, layer);
        read(checkpoint, mixer + "A_log", negative);
        negative.exp_().neg_();
        packChannels(layer);
    }

    String device() {
        return device;
    }

    /** Puts what the kernels want to know of each channel of a layer into one row. */
    void packChannels(int layer) {
        MambaConfig config = sizes.config();
        Tensor row = channel.select(0, layer);
        int taps = config.dConv();
        row.narrow(1, 0, taps).copy_(convWeight.select(0, layer).squeeze(1));
        row.select(1, taps).copy_(convBias.select(0, layer));
        row.select(1, taps + 1L).copy_(dtBias.select(0, layer));
        row.select(1, taps + 2L).copy_(skip.select(0, layer));
        row.narrow(1, sizes.stateColumn(), config.dState())
                .copy_(a.select(0, layer).mul(new Scalar(LOG2E)));
    }

    /** Fills the rows that a table of the checkpoint has, some at a time: a table may be larger than what is free here. */
    private static void rows(Checkpoint checkpoint, String name, Tensor target) {
        TensorScope.run(() -> read(
                checkpoint,
                name,
                target.narrow(0, 0, checkpoint.info(name).shape().toArray()[0])));
    }

    /** Copies a parameter to {@code target} on the GPU, of any strides and floating type. */
    private static void read(Checkpoint checkpoint, String name, Tensor target) {
        TensorScope.run(() -> {
            long[] shape = checkpoint.info(name).shape().toArray();
            Tensor values = Tensors.empty(ScalarType.Float, shape);
            TensorFiles.fill(values, checkpoint.info(name).dtype(), checkpoint.data(name));
            target.copy_(values.to(target.device(), ScalarType.Float));
        });
    }

    private Tensor own(ScalarType type, long... shape) {
        Tensor tensor = DeviceMemory.zeros(device, type, shape);
        owned.add(tensor);
        return tensor;
    }

    private static long parameters(MambaConfig config) {
        return config.parameters().stream()
                .mapToLong(spec -> spec.shape().elements())
                .sum();
    }

    /** What all tensors take, and the greatest of them once more as float32 while it is copied. */
    private static long bytes(DecodeSizes sizes) {
        MambaConfig config = sizes.config();
        long greatest = config.parameters().stream()
                .mapToLong(spec -> spec.shape().elements())
                .max()
                .orElse(0);
        long small = (long) config.nLayer() * config.dInner() * (2L * sizes.channelRow() + 8) * Float.BYTES;
        return parameters(config) * sizes.bytes() + small + greatest * (Float.BYTES + sizes.bytes());
    }

    @Override
    public void close() {
        owned.forEach(Tensor::close);
        owned.clear();
    }
}
