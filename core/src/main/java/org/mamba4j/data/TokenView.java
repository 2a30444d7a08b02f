package org.mamba4j.data;

import java.util.Arrays;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Some ranges of a {@link TokenFile}, read as if they lay one after the other: the train or the valid part. Valid
 * while the file is open; thread-safe.
 */
public final class TokenView {
    private final TokenFile file;
    private final long[] starts; // in the file
    private final long[] ends; // in the view: tokens up to and including the range
    private final long textBytes;

    private TokenView(TokenFile file, long[] starts, long[] lengths, long textBytes) {
        this.file = file;
        this.starts = starts;
        this.ends = lengths.clone();
        Arrays.parallelPrefix(ends, Long::sum);
        this.textBytes = textBytes;
    }

    /** The whole file. */
    public static TokenView all(TokenFile file) {
        return documents(file, IntStream.range(0, file.documents()));
    }

    /** The documents with the given indices, in that order. */
    public static TokenView documents(TokenFile file, IntStream documents) {
        int[] chosen = documents.toArray();
        return new TokenView(
                file,
                IntStream.of(chosen).mapToLong(file::start).toArray(),
                IntStream.of(chosen)
                        .mapToLong(d -> file.start(d + 1) - file.start(d))
                        .toArray(),
                IntStream.of(chosen).mapToLong(file::textBytes).sum());
    }

    /**
     * Tokens {@code from} to {@code to} (exclusive) of the file; its text's size is estimated from the file's average.
     */
    public static TokenView range(TokenFile file, long from, long to) {
        Objects.checkFromToIndex(from, to, file.size());
        long allBytes =
                IntStream.range(0, file.documents()).mapToLong(file::textBytes).sum();
        long bytes = Math.round((double) allBytes * (to - from) / Math.max(1, file.size()));
        return new TokenView(file, new long[] {from}, new long[] {to - from}, bytes);
    }

    /** Number of tokens. */
    public long size() {
        return ends.length == 0 ? 0 : ends[ends.length - 1];
    }

    /** Bytes of text that the tokens stand for. */
    public long textBytes() {
        return textBytes;
    }

    /** The file that the tokens are in. */
    public TokenFile file() {
        return file;
    }

    /** Where documents end, in tokens of this view, in order; the last is {@link #size}. */
    public LongStream ends() {
        return LongStream.of(ends);
    }

    /**
     * Copies {@code count} tokens from index {@code from} of this view into {@code out}, from {@code at} on.
     *
     * @throws IndexOutOfBoundsException if they are not in the view or not in {@code out}
     */
    public void read(long from, int count, int[] out, int at) {
        Objects.checkFromIndexSize(from, count, size());
        int found = Arrays.binarySearch(ends, from);
        int range = found >= 0 ? found + 1 : -found - 1;
        long position = from;
        int done = 0;
        while (done < count) {
            int n = (int) Math.min(count - done, ends[range] - position);
            long length = ends[range] - (range == 0 ? 0 : ends[range - 1]);
            file.read(starts[range] + length - (ends[range] - position), n, out, at + done);
            position += n;
            done += n;
            range++;
        }
    }
}
