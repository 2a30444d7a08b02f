package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * The kernels of a layer that treats all tokens alike: what an input of 1 adds to each channel's output l tokens later.
 *
 * @param response mean of |K(l)| over channels, at the lags l that all layers are shown at, as far as the kernel reaches
 * @param places l of {@link #channels}, evenly in the logarithm of l + 1: from 0, the first ones several times
 * @param channels K(l) of at most {@value #MOST_CHANNELS} channels, spread evenly over all, those first that are over soonest
 * @param reach by channel of these: tokens until half of Σ |K| has passed
 */
public record KernelShape(
        List<Double> response, List<Integer> places, List<List<Double>> channels, List<Integer> reach) {
    /** Channels that are shown one by one. */
    public static final int MOST_CHANNELS = 48;

    /** Places in each factor of two. */
    public static final int PER_OCTAVE = 16;

    /** The reach below which a share of the channels lies. */
    public int reach(double share) {
        return reach.get(Math.min(reach.size() - 1, (int) (share * reach.size())));
    }

    /** @param kernel (D, T) */
    static KernelShape of(Tensor kernel, List<Integer> lags) {
        int channels = Math.toIntExact(kernel.size(0));
        int length = Math.toIntExact(kernel.size(1));
        float[] values = Tensors.toFloats(kernel.to(ScalarType.Float));
        List<Double> response = new ArrayList<>();
        for (int lag : lags) {
            if (lag < length) {
                response.add(IntStream.range(0, channels)
                        .mapToDouble(d -> Math.abs(values[d * length + lag]))
                        .average()
                        .orElse(0));
            }
        }
        int[] reach = IntStream.range(0, channels)
                .map(d -> reach(values, d * length, length))
                .toArray();
        List<Integer> sorted = IntStream.range(0, channels)
                .boxed()
                .sorted(Comparator.comparingInt(d -> reach[d]))
                .toList();
        int shown = Math.min(MOST_CHANNELS, channels);
        List<Integer> chosen = IntStream.range(0, shown)
                .mapToObj(i -> sorted.get(shown == 1 ? 0 : (int) ((long) i * (channels - 1) / (shown - 1))))
                .toList();
        List<Integer> places = places(length);
        return new KernelShape(
                List.copyOf(response),
                places,
                chosen.stream()
                        .map(d -> places.stream()
                                .map(l -> (double) values[d * length + l])
                                .toList())
                        .toList(),
                chosen.stream().map(d -> reach[d]).toList());
    }

    /** Tokens until half of the sum of |K| has passed. */
    private static int reach(float[] values, int from, int length) {
        double all = 0;
        for (int l = 0; l < length; l++) {
            all += Math.abs(values[from + l]);
        }
        double passed = 0;
        int l = 0;
        while (l < length - 1 && passed + Math.abs(values[from + l]) < all / 2) {
            passed += Math.abs(values[from + l++]);
        }
        return l;
    }

    /** Evenly in the logarithm of l + 1, so the first ones come several times. */
    private static List<Integer> places(int length) {
        return IntStream.rangeClosed(0, (int) (PER_OCTAVE * Math.log(length) / Math.log(2)))
                .map(i -> (int) Math.round(Math.pow(2, (double) i / PER_OCTAVE)) - 1)
                .map(l -> Math.min(l, length - 1))
                .boxed()
                .toList();
    }
}
