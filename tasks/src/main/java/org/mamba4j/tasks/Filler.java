package org.mamba4j.tasks;

import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.TokenView;

/** Text in which something is hidden: any stretch of it can be had. Thread-safe. */
public interface Filler {
    /** Tokens that there are. */
    long size();

    /** Copies {@code count} tokens from {@code from} on into {@code out}, from {@code at} on. */
    void read(long from, int count, int[] out, int at);

    /** The text of a token file, or a part of it. */
    static Filler of(TokenView view) {
        return new Filler() {
            @Override
            public long size() {
                return view.size();
            }

            @Override
            public void read(long from, int count, int[] out, int at) {
                view.read(from, count, out, at);
            }
        };
    }

    /** Tokens in memory, which are not copied. */
    static Filler of(int[] tokens) {
        return new Filler() {
            @Override
            public long size() {
                return tokens.length;
            }

            @Override
            public void read(long from, int count, int[] out, int at) {
                System.arraycopy(tokens, Math.toIntExact(from), out, at, count);
            }
        };
    }

    /**
     * A stretch that begins anywhere.
     *
     * @throws UserError if there is not so much text
     */
    default int[] draw(int count, SplittableRandom random) {
        if (size() < count) {
            throw new UserError("the text has " + size() + " tokens, but " + count
                    + " are needed around what is hidden: give more text or shorter lengths");
        }
        int[] drawn = new int[count];
        read(random.nextLong(size() - count + 1), count, drawn, 0);
        return drawn;
    }
}
