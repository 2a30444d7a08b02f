package org.mamba4j.torch.nn;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.UserError;
import org.mamba4j.torch.ComplexTensors;

/**
 * What carries information along the sequence in one layer, looked at while the network reads one text: a recurrence whose
 * steps or matrices differ from token to token, or a kernel that is the same for all. For studies; nothing of it is needed
 * to train or to run a model.
 */
public sealed interface LayerView {
    /**
     * h_t = exp(Δ_t A) h_(t-1) + Δ_t B_t u_t, y_t = C_t h_t; where A is complex, so are B and C, each mode stands for its conjugate
     * too and y is twice the real part.
     *
     * @param steps Δ (L, D), the same in all rows where it is not selective
     * @param b B of each token (L, 1, M), or of each channel (1, D, M)
     * @param c C, likewise
     * @param a A (D, M), of negative real part
     */
    record Recurrence(Tensor steps, Tensor b, Tensor c, Tensor a) implements LayerView {
        /** Whether B or C is made of the token, rather than given for each channel. */
        public static boolean isOfToken(Tensor matrix) {
            return matrix.size(1) == 1;
        }
    }

    /**
     * y_t = Σ_l K(l) u_(t-l).
     *
     * @param kernel K for l = 0, 1, … (D, T)
     * @param rates how fast the continuous system's modes fade, |Re A| in 1 / Δ (D, M); absent where the layer has no A
     * @param perToken the same per token, as the kernel fades (D, M); 0 for what does not fade
     */
    record Invariant(Tensor kernel, Tensor rates, Tensor perToken) implements LayerView {}

    /**
     * The layers of {@code network} from the first on, as they read one text from its beginning.
     *
     * @param ids (1, L) int64 in [0, V)
     * @throws UserError if the network is of a family without such layers
     */
    static List<LayerView> of(LanguageNetwork network, Tensor ids) {
        check(network);
        if (network instanceof Composed composed) {
            return composed.checked(() -> composed.views(composed.embed(ids)));
        }
        return MemoryProbe.of(network, ids).layers().stream()
                .<LayerView>map(MemoryProbe.Layer::recurrence)
                .toList();
    }

    /** @throws UserError if {@code network} is of a family that {@link #of} does not know */
    static void check(LanguageNetwork network) {
        if (!(network instanceof Composed || network instanceof Mamba || network instanceof MemMamba)) {
            throw new UserError(
                    "only layers of a Mamba, a MemMamba or a composed model (S4, S4D, Hyena, S6) can be shown in"
                            + " motion, not those of a model of type "
                            + network.config().modelType());
        }
    }

    /** Of a layer that keeps A, B, C and Δ: K(l) = C exp(Δ A l) Δ B. */
    static Invariant ofConstant(Recurrence recurrence, long length) {
        Tensor step = recurrence.steps().select(0, 0).unsqueeze(1); // (D, 1)
        Tensor decay = recurrence.a().mul(step); // (D, M)
        Tensor b = recurrence.b().squeeze(0).mul(step); // (D, M)
        DiagonalSystem system = new DiagonalSystem(
                ComplexTensors.of(decay),
                ComplexTensors.of(b),
                ComplexTensors.of(recurrence.c().squeeze(0)),
                decay.is_complex());
        return new Invariant(
                system.kernel(length),
                torch.real(recurrence.a()).neg(),
                torch.real(decay).neg());
    }
}
