package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.StringViewOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Causal convolution with a kernel as long as the sequence, by the fast Fourier transform: O(L log L) where sums would take
 * O(L²). Both are padded with zeros to at least twice the length, so that nothing comes round from the end. Float32 or
 * float64; differentiable in both.
 */
public final class FftConvolution {
    private FftConvolution() {}

    /**
     * y(t) = Σ_{s ≤ t} kernel(s) u(t - s), each channel by itself.
     *
     * @param u (B, D, L)
     * @param kernel (D, K) of any length K from 1; what is beyond L is not used
     * @return (B, D, L)
     */
    public static Tensor causal(Tensor u, Tensor kernel) {
        long length = u.size(2);
        Tensor used = kernel.size(1) > length ? kernel.narrow(1, 0, length) : kernel; // (D, K)
        if (length == 1) {
            return u.mul(used); // (B, D, 1)
        }
        long size = size(length + used.size(1) - 1);
        Tensor product = transform(u, size).mul(transform(used, size)); // (B, D, size / 2 + 1), complex
        return torch.fft_irfft(product, new LongOptional(size), -1, new StringViewOptional())
                .narrow(2, 0, length);
    }

    /** The least power of two from {@code least} on: transforms are fastest there. */
    private static long size(long least) {
        return least <= 1 ? 1 : Long.highestOneBit(least - 1) << 1;
    }

    private static Tensor transform(Tensor x, long size) {
        return torch.fft_rfft(x, new LongOptional(size), -1, new StringViewOptional());
    }
}
