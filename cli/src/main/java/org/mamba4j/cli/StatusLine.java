package org.mamba4j.cli;

/**
 * One line on standard error that says how far a piece of work has come and disappears when it is done; nothing where
 * standard error is no terminal.
 */
final class StatusLine implements AutoCloseable {
    private static final String ERASE = "\r\u001b[K";
    private static final long INTERVAL_NANOS = 100_000_000L;

    private final String what;
    private long shownAt;
    private boolean shown;

    StatusLine(String what) {
        this.what = what;
    }

    /** @param fraction of the work done, in [0, 1] */
    void show(double fraction) {
        show(Math.round(100 * fraction) + " %");
    }

    /** Says how far it is in words. */
    void show(String progress) {
        long now = System.nanoTime();
        if (Terminal.STDERR.isInteractive() && (!shown || now - shownAt > INTERVAL_NANOS)) {
            System.err.print(ERASE + what + " " + progress);
            System.err.flush();
            shown = true;
            shownAt = now;
        }
    }

    @Override
    public void close() {
        if (shown) {
            System.err.print(ERASE);
            System.err.flush();
        }
    }
}
