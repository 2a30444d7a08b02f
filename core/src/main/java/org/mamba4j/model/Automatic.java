package org.mamba4j.model;

import java.util.List;
import org.mamba4j.UserError;

/**
 * What {@code auto} and sizes of 0 stand for in a {@link ComposedConfig}, and which values its parts take at all.
 *
 * @param block shape of block
 * @param innerLayer the layer in it
 * @param mlp what follows the mixer
 * @param dModel width of the residual stream (d)
 */
record Automatic(String block, String innerLayer, String mlp, int dModel) {
    private static final String AUTO = "auto";
    private static final int MLP_MULTIPLE = 128;

    static String choose(String value, String automatic) {
        return value.equals(AUTO) ? automatic : value;
    }

    static int choose(int value, int automatic) {
        return value == 0 ? automatic : value;
    }

    /** The inverse of {@link #choose(String, String)}, so that it follows the parts when these change. */
    static String again(String value, String automatic) {
        return value.equals(automatic) ? AUTO : value;
    }

    static int again(int value, int automatic) {
        return value == automatic ? 0 : value;
    }

    String aInit() {
        return switch (innerLayer) {
            case "s4" -> "legs";
            case "s4d" -> "lin";
            case "s6" -> "real";
            default -> AUTO;
        };
    }

    String discretisation() {
        return switch (innerLayer) {
            case "s4" -> "bilinear";
            case "s4d" -> "zoh";
            case "s6" -> "exponential-euler";
            default -> AUTO;
        };
    }

    int dState() {
        return switch (innerLayer) {
            case "s6" -> 16;
            case "hyena" -> 0;
            default -> 64;
        };
    }

    int dConv() {
        return switch (block) {
            case "mamba" -> 4;
            case "h3" -> innerLayer.equals("hyena") ? 3 : 64;
            default -> 0;
        };
    }

    int expand() {
        return block.equals("mamba") ? 2 : 1;
    }

    int dtRank() {
        return Math.ceilDiv(dModel, 16);
    }

    int dMlp() {
        return mlp.equals("none") ? 0 : Math.ceilDiv(Math.ceilDiv(8 * dModel, 3), MLP_MULTIPLE) * MLP_MULTIPLE;
    }

    /** @throws UserError if one of these values is none that the parts take */
    void check(String aInit, String discretisation, String selective, int dState, int dConv, int expand, int dMlp) {
        require(
                "a_init",
                aInit,
                "inner_layer " + innerLayer,
                switch (innerLayer) {
                    case "s4d", "s6" -> List.of("lin", "inv", "legs", "real", "half", "random");
                    default -> List.of(aInit());
                });
        require(
                "discretisation",
                discretisation,
                "inner_layer " + innerLayer,
                switch (innerLayer) {
                    case "s4d" -> List.of("zoh", "bilinear");
                    default -> List.of(discretisation());
                });
        if (!innerLayer.equals("s6")) {
            require("selective", selective, "inner_layer " + innerLayer, List.of("all"));
        }
        if (innerLayer.equals("hyena")) {
            require("state_size", dState, "inner_layer hyena", 0);
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
    }

    private static void require(String key, String value, String part, List<String> taken) {
        if (!taken.contains(value)) {
            throw new UserError("\"" + key + "\" is " + value + ", but with " + part + " only "
                    + String.join(", ", taken) + " can be computed");
        }
    }

    private static void require(String key, int value, String part, int only) {
        if (value != only) {
            throw new UserError("\"" + key + "\" is " + value + ", but with " + part + " must be left out");
        }
    }
}
