package org.mamba4j.tasks;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;

/** Draws how often something was found as a map of size and depth; each field says its percentage. */
public final class RetrievalChart {
    private static final Color INK = new Color(0x22, 0x22, 0x22);
    private static final Color NEVER = new Color(0xF4, 0xF1, 0xEA);
    private static final Color ALWAYS = new Color(0x1F, 0x5A, 0xA6);
    private static final int WIDTH = 1600;
    private static final int TOP = 110;
    private static final int LEFT = 200;
    private static final int RIGHT = 40;
    private static final int BOTTOM = 150;
    private static final int ROW = 110;

    private RetrievalChart() {}

    /** The map as a PNG of 1,600 pixels' width, for display at half that size. */
    public static byte[] png(RetrievalResult result, String title) {
        List<Integer> sizes = result.sizes();
        List<Double> depths = result.depths();
        BufferedImage image = new BufferedImage(WIDTH, TOP + ROW * depths.size() + BOTTOM, BufferedImage.TYPE_INT_RGB);
        Graphics2D g = image.createGraphics();
        g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, image.getWidth(), image.getHeight());
        int column = (WIDTH - LEFT - RIGHT) / sizes.size();
        g.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 28));
        for (RetrievalResult.Cell cell : result.cells()) {
            int x = LEFT + sizes.indexOf(cell.size()) * column;
            int y = TOP + depths.indexOf(cell.depth()) * ROW;
            g.setColor(blend(cell.accuracy()));
            g.fillRect(x + 2, y + 2, column - 4, ROW - 4);
            g.setColor(cell.accuracy() > 0.5 ? Color.WHITE : INK);
            centred(g, Math.round(100 * cell.accuracy()) + " %", x + column / 2, y + ROW / 2);
        }
        g.setColor(INK);
        for (int i = 0; i < sizes.size(); i++) {
            centred(g, Lengths.format(sizes.get(i)), LEFT + i * column + column / 2, image.getHeight() - BOTTOM + 35);
        }
        for (int i = 0; i < depths.size(); i++) {
            centred(g, String.format(Locale.ROOT, "%.2f", depths.get(i)), LEFT - 60, TOP + i * ROW + ROW / 2);
        }
        centred(
                g,
                result.isOfDocuments() ? "documents" : "tokens read",
                LEFT + (WIDTH - LEFT - RIGHT) / 2,
                image.getHeight() - 45);
        centred(g, "depth", 60, TOP - 30);
        g.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 34));
        centred(g, title, WIDTH / 2, 45);
        g.dispose();
        var png = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", png);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // never: the array has no medium that could fail
        }
        return png.toByteArray();
    }

    private static void centred(Graphics2D g, String text, int x, int y) {
        FontMetrics metrics = g.getFontMetrics();
        g.drawString(text, x - metrics.stringWidth(text) / 2, y + (metrics.getAscent() - metrics.getDescent()) / 2);
    }

    private static Color blend(double share) {
        return new Color(
                mix(NEVER.getRed(), ALWAYS.getRed(), share),
                mix(NEVER.getGreen(), ALWAYS.getGreen(), share),
                mix(NEVER.getBlue(), ALWAYS.getBlue(), share));
    }

    private static int mix(int from, int to, double share) {
        return (int) Math.round(from + (to - from) * share);
    }
}
