package org.mamba4j.cli;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.Locale;
import javax.imageio.ImageIO;

/** A picture of coloured cells inside an SVG: one embedded PNG, as thousands of rectangles would weigh a hundred times as much. */
final class CellPicture {
    static final int WHITE = 0xFFFFFF;

    private final BufferedImage image;

    CellPicture(int columns, int rows) {
        image = new BufferedImage(columns, rows, BufferedImage.TYPE_INT_RGB);
    }

    /** @param colour red, green, blue */
    void set(int column, int row, int colour) {
        image.setRGB(column, row, colour);
    }

    /** An {@code image} element that fills the place. */
    String toSvg(int x, int y, int width, int height) {
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", png);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return String.format(
                Locale.ROOT,
                "<image x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\""
                        + " href=\"data:image/png;base64,%s\"/>%n",
                x,
                y,
                width,
                height,
                Base64.getEncoder().encodeToString(png.toByteArray()));
    }

    /** From paper to blue, for a share of 0 to 1. */
    static int blue(double share) {
        return between(0xF4F6FA, 0x1F5AA6, share);
    }

    /** From paper to green. */
    static int green(double share) {
        return between(0xF4F8F4, 0x1B6B4A, share);
    }

    /** Orange for -1, white for 0, blue for 1. */
    static int signed(double value) {
        return value < 0 ? between(WHITE, 0xC2571A, -value) : between(WHITE, 0x1F5AA6, value);
    }

    private static int between(int from, int to, double share) {
        double s = Math.clamp(share, 0, 1);
        int colour = 0;
        for (int shift = 16; shift >= 0; shift -= 8) {
            int a = from >> shift & 0xFF;
            int b = to >> shift & 0xFF;
            colour |= (int) Math.round(a + (b - a) * s) << shift;
        }
        return colour;
    }
}
