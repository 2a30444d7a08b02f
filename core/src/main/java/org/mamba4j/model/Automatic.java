package org.mamba4j.model;

import java.util.List;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.function.UnaryOperator;
import org.mamba4j.UserError;

/**
 * What {@code auto} and sizes of 0 stand for in a {@link ComposedConfig}, and which values its parts take at all.
 *
 * <p>Where inner layers differ, a value must be one that some of them takes. It is that of those layers; the others have
 * their automatic one.
 *
 * @param block shape of block
 * @param innerLayers the layers in its blocks, each kind once
 * @param mlp what follows the mixer
 * @param dModel width of the residual stream (d)
 */
record Automatic(String block, List<String> innerLayers, String mlp, int dModel) {
    private static final String AUTO = "auto";
    private static final int MLP_MULTIPLE = 128;

    /** The inverse of what chooses, so that what was automatic follows the parts when these change. */
    static String again(String value, UnaryOperator<String> choose) {
        return value.equals(choose.apply(AUTO)) ? AUTO : value;
    }

    static int again(int value, IntUnaryOperator choose) {
        return value == choose.applyAsInt(0) ? 0 : value;
    }

    /** What an inner layer's A can be at first; the first one is automatic. */
    private static List<String> inits(String innerLayer) {
        return switch (innerLayer) {
            case "s4" -> List.of("legs");
            case "s4d" -> List.of("lin", "inv", "legs", "real", "half", "random");
            case "s6" -> List.of("real", "lin", "inv", "legs", "half", "random");
            default -> List.of(AUTO);
        };
    }

    /** How an inner layer can be made discrete; the first one is automatic. */
    private static List<String> rules(String innerLayer) {
        return switch (innerLayer) {
            case "s4" -> List.of("bilinear");
            case "s4d" -> List.of("zoh", "bilinear");
            case "s6" -> List.of("exponential-euler");
            default -> List.of(AUTO);
        };
    }

    private static String taken(String given, List<String> all) {
        return all.contains(given) ? given : all.getFirst();
    }

    private static int orElse(int given, int automatic) {
        return given == 0 ? automatic : given;
    }

    static String aInit(String innerLayer, String given) {
        return taken(given, inits(innerLayer));
    }

    static String discretisation(String innerLayer, String given) {
        return taken(given, rules(innerLayer));
    }

    static int dState(String innerLayer, int given) {
        return switch (innerLayer) {
            case "hyena" -> 0;
            case "s6" -> orElse(given, 16);
            default -> orElse(given, 64);
        };
    }

    static int dConv(String block, String innerLayer, int given) {
        return switch (block) {
            case "mamba" -> orElse(given, 4);
            case "h3" -> orElse(given, innerLayer.equals("hyena") ? 3 : 64);
            default -> 0;
        };
    }

    static boolean isComplex(String innerLayer, String aInit) {
        return switch (innerLayer) {
            case "s4" -> true;
            case "s4d", "s6" -> List.of("lin", "inv", "legs").contains(aInit);
            default -> false;
        };
    }

    /** What holds in all layers, or else what was given. */
    private <T> T common(T given, Function<String, T> ofLayer) {
        List<T> all = innerLayers.stream().map(ofLayer).distinct().toList();
        return all.size() == 1 ? all.getFirst() : given;
    }

    String aInit(String given) {
        return common(given, layer -> aInit(layer, given));
    }

    String discretisation(String given) {
        return common(given, layer -> discretisation(layer, given));
    }

    int dState(int given) {
        return common(given, layer -> dState(layer, given));
    }

    int dConv(int given) {
        return common(given, layer -> dConv(block, layer, given));
    }

    int expand(int given) {
        return orElse(given, block.equals("mamba") ? 2 : 1);
    }

    int dtRank(int given) {
        return orElse(given, Math.ceilDiv(dModel, 16));
    }

    int dMlp(int given) {
        return mlp.equals("none")
                ? given
                : orElse(given, Math.ceilDiv(Math.ceilDiv(8 * dModel, 3), MLP_MULTIPLE) * MLP_MULTIPLE);
    }

    /**
     * Of values as they are given.
     *
     * @throws UserError if one of them is none that the parts take
     */
    void check(String aInit, String discretisation, String selective, int dState, int dConv, int expand, int dMlp) {
        String layers = "inner_layer " + String.join(", ", innerLayers);
        require("a_init", aInit, layers, all(Automatic::inits));
        require("discretisation", discretisation, layers, all(Automatic::rules));
        if (!innerLayers.contains("s6")) {
            require("selective", selective, layers, List.of("all"));
        }
        if (innerLayers.equals(List.of("hyena"))) {
            require("state_size", dState, layers, 0);
        }
        if (block.equals("plain")) {
            require("conv_kernel", dConv, "block plain", 0);
        }
        if (!block.equals("mamba")) {
            require("expand", expand, "block " + block, 1);
        }
        if (mlp.equals("none")) {
            require("intermediate_size", dMlp, "mlp none", 0);
        }
        innerLayers.forEach(layer -> checkPairs(layer, aInit(layer, aInit), dState(layer, dState)));
    }

    private List<String> all(Function<String, List<String>> ofLayer) {
        return innerLayers.stream()
                .flatMap(layer -> ofLayer.apply(layer).stream())
                .distinct()
                .toList();
    }

    private static void checkPairs(String innerLayer, String aInit, int dState) {
        if (isComplex(innerLayer, aInit) && dState % 2 != 0) {
            throw new UserError("\"state_size\" is " + dState + ", but must be even: " + innerLayer + " with a_init "
                    + aInit + " remembers pairs of real and imaginary part");
        }
    }

    private static void require(String key, String value, String part, List<String> taken) {
        if (!value.equals(AUTO) && !taken.contains(value)) {
            throw new UserError("\"" + key + "\" is " + value + ", but with " + part + " only "
                    + String.join(", ", taken) + " can be computed");
        }
    }

    private static void require(String key, int value, String part, int only) {
        if (value != 0 && value != only) {
            throw new UserError("\"" + key + "\" is " + value + ", but with " + part + " must be left out");
        }
    }
}
