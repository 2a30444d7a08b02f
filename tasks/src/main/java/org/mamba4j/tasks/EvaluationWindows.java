package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.mamba4j.UserError;

/**
 * Windows of text, spread evenly over the documents that are long enough: windows never overlap and never cross a
 * document's border, and the same documents and arguments always give the same ones.
 */
public final class EvaluationWindows {
    private EvaluationWindows() {}

    /** Documents as tokens, always in the same order. */
    public interface Documents {
        /** Hands over one document after another. */
        void forEach(Consumer<Tokens> reader);
    }

    /**
     * What was picked.
     *
     * @param windows in the order of their documents
     * @param documents how many documents there are
     * @param tooShort how many of them are shorter than a window, so that nothing of them is measured
     */
    public record Picked(List<Window> windows, int documents, int tooShort) {
        /** Copies {@code windows}. */
        public Picked {
            windows = List.copyOf(windows);
        }
    }

    /** One document; its tokens are made only when asked for. */
    public interface Tokens {
        /** Names the document within its collection. */
        String name();

        /** All tokens of the document. */
        int[] read();
    }

    /**
     * Picks up to {@code count} windows in two passes: one that counts, one that reads the chosen documents again, so
     * that no more than one document is held at a time.
     *
     * @param source how the user named the documents, for messages
     * @param length tokens per window
     * @param count windows wanted; fewer are returned where the documents hold no more
     * @throws UserError if no document has {@code length} tokens; the message names the longest one
     */
    public static Picked pick(String source, Documents documents, int length, int count) {
        if (length < 1 || count < 1) {
            throw new UserError("windows of " + length + " tokens, " + count + " of them: both must be at least 1");
        }
        List<Integer> sizes = new ArrayList<>();
        String[] longest = {"none"};
        int[] most = {-1};
        documents.forEach(document -> {
            int size = document.read().length;
            sizes.add(size);
            if (size > most[0]) {
                most[0] = size;
                longest[0] = document.name();
            }
        });
        long available = sizes.stream().mapToLong(size -> size / length).sum();
        if (available == 0) {
            throw new UserError(String.format(
                    Locale.ROOT,
                    "%s has no document of %,d tokens: the longest of its %,d is %s with %,d; "
                            + "give shorter lengths or longer documents",
                    source,
                    length,
                    sizes.size(),
                    longest[0],
                    Math.max(0, most[0])));
        }
        List<Window> windows = new ArrayList<>();
        new Picker(Math.min(count, available), available, length, sizes, windows).read(documents);
        int tooShort = (int) sizes.stream().filter(size -> size < length).count();
        return new Picked(windows, sizes.size(), tooShort);
    }

    /** The second pass. */
    private static final class Picker {
        private final long wanted;
        private final long available;
        private final int length;
        private final List<Integer> sizes;
        private final List<Window> windows;
        private int document;
        private long passed;

        Picker(long wanted, long available, int length, List<Integer> sizes, List<Window> windows) {
            this.wanted = wanted;
            this.available = available;
            this.length = length;
            this.sizes = sizes;
            this.windows = windows;
        }

        void read(Documents documents) {
            documents.forEach(this::read);
        }

        private void read(Tokens tokens) {
            int here = sizes.get(document++) / length;
            if (windows.size() < wanted && place(windows.size()) < passed + here) {
                int[] all = tokens.read();
                while (windows.size() < wanted && place(windows.size()) < passed + here) {
                    int start = (int) (place(windows.size()) - passed) * length;
                    windows.add(new Window(tokens.name(), start, Arrays.copyOfRange(all, start, start + length)));
                }
            }
            passed += here;
        }

        /** Which of all available windows is the pick number {@code k}: the middle of its share. */
        private long place(int k) {
            return (2L * k + 1) * available / (2 * wanted);
        }
    }
}
