package org.mamba4j.torch.decode;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.Precision;

/**
 * A Mamba on a GPU, ready to read: what single sequences and batches share.
 *
 * @param tokens the kernel for single sequences, where it can run the model
 */
record DecodeModel(DecodeSizes sizes, String device, DecodeWeights weights, Prompt prompt, Optional<TokenKernel> tokens)
        implements AutoCloseable {
    /** @throws UserError as {@link BatchGenerator#load} */
    static DecodeModel load(Checkpoint checkpoint, String device, Precision precision) {
        if (!(checkpoint.config() instanceof MambaConfig config)) {
            throw new UserError(checkpoint.folder() + " holds a model of type "
                    + checkpoint.config().modelType() + ", not mamba");
        }
        if (device.equals("cpu")) {
            throw new UserError("device cpu: this kind of generation runs on NVIDIA GPUs; use cuda or cuda:N");
        }
        Devices.check(device);
        DecodeSizes sizes = new DecodeSizes(config, precision.type());
        try {
            Devices.use(device);
            return NoGrad.call(() -> of(sizes, device, DecodeWeights.load(checkpoint, sizes, device)));
        } catch (RuntimeException e) {
            throw Torch.translate("loading weights", e);
        }
    }

    /** With weights that it owns from now on, on the current device. */
    static DecodeModel of(DecodeSizes sizes, String device, DecodeWeights weights) {
        Optional<TokenKernel> tokens =
                TokenKernel.supports(sizes) ? Optional.of(TokenKernel.of(weights, sizes, device)) : Optional.empty();
        return new DecodeModel(sizes, device, weights, new Prompt(weights, sizes), tokens);
    }

    MambaConfig config() {
        return sizes.config();
    }

    /** Makes the output of the last block at the last position, of {@code x} (B, L, d), the state's hidden output. */
    void keepHidden(Tensor x, DecodeState state) {
        TensorScope.run(() -> {
            Tensor last = x.select(1, x.size(1) - 1); // (B, d)
            state.hidden().copy_(prompt.norm(last, config().nLayer()).to(ScalarType.Float));
        });
    }

    @Override
    public void close() {
        tokens.ifPresent(TokenKernel::close);
        weights.close();
    }
}
