package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;

/**
 * What the kernels of this package must know of a model when they are compiled.
 *
 * @param config the model's
 * @param type of weights and activations, float32 or bfloat16
 */
record DecodeSizes(MambaConfig config, ScalarType type) {
    private static final int ALIGNMENT = 8;

    /** Elements between rows of x_proj transposed, and of its results: the next multiple of 8. */
    int selectRow() {
        return up(config.xProjSize(), ALIGNMENT);
    }

    /** Elements between rows of dt_proj. */
    int rankRow() {
        return up(config.dtRank(), ALIGNMENT);
    }

    /** Where a channel's row of small parameters has A: after the convolution's, the time step's bias and D. */
    int stateColumn() {
        return up(config.dConv() + 3, 4);
    }

    /** Elements of a channel's row of small parameters. */
    int channelRow() {
        return stateColumn() + up(config.dState(), 4);
    }

    /** Rows of embedding and head: the vocabulary, rounded up so that rows of logits begin at multiples of 16 bytes. */
    int paddedVocab() {
        return up(config.vocabSize(), ALIGNMENT);
    }

    /** Bytes of a weight. */
    int bytes() {
        return type == ScalarType.BFloat16 ? Short.BYTES : Float.BYTES;
    }

    /** Options for the compiler. */
    List<String> options(String... more) {
        List<String> options = new ArrayList<>(List.of("--std=c++17", "-default-device"));
        options.add("-DIO_BF16=" + (type == ScalarType.BFloat16 ? 1 : 0));
        options.add("-DMODEL=" + config.dModel());
        options.add("-DINNER=" + config.dInner());
        options.add("-DSTATES=" + config.dState());
        options.add("-DRANK=" + config.dtRank());
        options.add("-DCONV_W=" + config.dConv());
        options.addAll(List.of(more));
        return options;
    }

    static int up(int size, int multiple) {
        return Math.ceilDiv(size, multiple) * multiple;
    }
}
