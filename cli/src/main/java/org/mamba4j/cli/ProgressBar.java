package org.mamba4j.cli;

import java.util.Locale;

/** A bar on standard output that grows on one line and disappears when it is done; nothing where that is no terminal. */
final class ProgressBar implements AutoCloseable {
    private static final int CELLS = 24;
    private static final String PARTS = " ▏▎▍▌▋▊▉";
    private static final String ERASE = "\r\u001b[K";
    private static final long INTERVAL_NANOS = 80_000_000L;

    private final String what;
    private long shownAt;
    private boolean shown;

    ProgressBar(String what) {
        this.what = what;
    }

    /**
     * @param fraction of the work done, in [0, 1]
     * @param detail behind the bar
     */
    void show(double fraction, String detail) {
        long now = System.nanoTime();
        if (Terminal.STDOUT.isInteractive() && (!shown || now - shownAt > INTERVAL_NANOS)) {
            System.out.print(ERASE + String.format(Locale.ROOT, "%-9s", what) + bar(fraction) + "  " + detail);
            System.out.flush();
            shown = true;
            shownAt = now;
        }
    }

    /** {@value #CELLS} columns, eighths at the end. */
    static String bar(double fraction) {
        int eighths = (int) Math.round(Math.clamp(fraction, 0, 1) * CELLS * 8);
        StringBuilder bar = new StringBuilder("█".repeat(eighths / 8));
        if (eighths % 8 > 0) {
            bar.append(PARTS.charAt(eighths % 8));
        }
        return bar + "░".repeat(CELLS - bar.length());
    }

    @Override
    public void close() {
        if (shown) {
            System.out.print(ERASE);
            System.out.flush();
        }
    }
}
