package org.mamba4j.torch.nn;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * What can be read at the beginning of each chunk: B · C pools of K places.
 *
 * @param summaries (B · C, K, s)
 * @param logGates log g of each note (B · C, 1, K); -∞ in an empty place, which makes it no note at all
 */
record NotePools(Tensor summaries, Tensor logGates) {
    /** The places of several layers' pools side by side. */
    static NotePools together(List<NotePools> layers) {
        if (layers.size() == 1) {
            return layers.getFirst();
        }
        TensorVector summaries = new TensorVector();
        TensorVector logGates = new TensorVector();
        for (NotePools pools : layers) {
            summaries.push_back(pools.summaries);
            logGates.push_back(pools.logGates);
        }
        return new NotePools(torch.cat(summaries, 1), torch.cat(logGates, 2));
    }
}
