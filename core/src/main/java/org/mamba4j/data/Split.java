package org.mamba4j.data;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.mamba4j.UserError;

/**
 * A token file's train and valid parts, which share no document.
 *
 * <p>A document's name and the seed alone decide where it goes (a hash of both, as a number in [0, 1), is compared
 * with the fraction): adding documents to a corpus never moves one from valid to train. The fraction is therefore met
 * on average over documents, not exactly in tokens. With two documents or more neither part is empty: the document
 * whose number is closest to the fraction changes sides when one would be. A corpus of a single document is cut: its
 * last {@code validFraction} is the valid part.
 *
 * @param train what the model learns from
 * @param valid what it is judged by
 */
public record Split(TokenView train, TokenView valid) {
    /**
     * Splits {@code file}.
     *
     * @param validFraction share of the valid part, greater than 0 and less than 1
     * @param seed another seed holds out other documents
     * @throws UserError if the fraction is out of range or there are fewer than two tokens
     */
    public static Split of(TokenFile file, double validFraction, long seed) {
        if (!(validFraction > 0 && validFraction < 1)) {
            throw new UserError(
                    "the valid fraction is " + validFraction + ": it must lie between 0 and 1, both excluded");
        }
        if (file.size() < 2) {
            throw new UserError(file.path() + " has " + file.size() + " token: too few to split into train and valid");
        }
        return file.documents() == 1 ? tail(file, validFraction) : byDocument(file, validFraction, seed);
    }

    private static Split tail(TokenFile file, double validFraction) {
        long size = file.size();
        long valid = Math.clamp(Math.round(size * validFraction), 1, size - 1);
        return new Split(TokenView.range(file, 0, size - valid), TokenView.range(file, size - valid, size));
    }

    private static Split byDocument(TokenFile file, double validFraction, long seed) {
        double[] place = IntStream.range(0, file.documents())
                .mapToDouble(d -> (Permutation.mix(file.nameHash(d) ^ Permutation.mix(seed)) >>> 11) * 0x1p-53)
                .toArray();
        double[] sorted = place.clone();
        Arrays.sort(sorted);
        // The smallest number is always valid, the largest always train (names are unique, so numbers are too).
        double bound = Math.clamp(validFraction, Math.nextUp(sorted[0]), sorted[sorted.length - 1]);
        return new Split(
                TokenView.documents(file, IntStream.range(0, place.length).filter(d -> place[d] >= bound)),
                TokenView.documents(file, IntStream.range(0, place.length).filter(d -> place[d] < bound)));
    }
}
