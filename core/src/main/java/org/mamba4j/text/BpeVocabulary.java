package org.mamba4j.text;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonReader;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/** The {@code model} of a tokenizer.json while it is read: tokens by their spelling, and the merges. */
final class BpeVocabulary {
    /** Both halves of a merge, as spelled. */
    private record Merge(String left, String right) {}

    private final String source;
    private final long maxId;
    private final Map<String, Integer> ids = new HashMap<>(1 << 17);
    private final List<Merge> merges = new ArrayList<>();
    private boolean found;

    /**
     * @param source the file, for messages
     * @param maxId no id may be greater, so that a damaged file cannot make us allocate more than it weighs
     */
    BpeVocabulary(String source, long maxId) {
        this.source = source;
        this.maxId = maxId;
    }

    void readVocab(JsonReader reader) {
        found = true;
        BitSet taken = new BitSet(1 << 17);
        reader.readObject(token -> {
            long id = reader.readLong();
            if (id < 0 || id > maxId) {
                throw reader.error(
                        "the token " + JsonText.quoted(token) + " has the id " + id + ", which is out of range");
            }
            if (taken.get((int) id)) {
                throw reader.error("the token " + JsonText.quoted(token) + " has the id " + id + " of another token");
            }
            taken.set((int) id);
            ids.put(token, (int) id);
        });
    }

    void readMerges(JsonReader reader) {
        reader.readArray(() -> {
            JsonValue value = reader.readValue();
            if (value instanceof JsonString pair) {
                String text = pair.value();
                int space = text.indexOf(' ');
                if (space <= 0 || space == text.length() - 1 || text.indexOf(' ', space + 1) >= 0) {
                    throw reader.error(
                            "the merge " + JsonText.quoted(text) + " is not two tokens with a space between");
                }
                merges.add(new Merge(text.substring(0, space), text.substring(space + 1)));
            } else if (value instanceof JsonArray pair
                    && pair.values().size() == 2
                    && pair.values().getFirst() instanceof JsonString left
                    && pair.values().getLast() instanceof JsonString right) {
                merges.add(new Merge(left.value(), right.value()));
            } else {
                throw reader.error("the merge " + JsonText.shown(value) + " is not a pair of tokens");
            }
        });
    }

    /** Number of tokens of the model, without added ones. */
    int size() {
        return ids.size();
    }

    /** Tokens by their spelling. */
    Map<String, Integer> ids() {
        return ids;
    }

    MergeTable mergeTable() {
        MergeTable table = new MergeTable(merges.size());
        for (int rank = 0; rank < merges.size(); rank++) {
            Merge merge = merges.get(rank);
            table.put(
                    id(merge.left(), rank),
                    id(merge.right(), rank),
                    rank,
                    id(merge.left().concat(merge.right()), rank));
        }
        return table;
    }

    private int id(String token, int rank) {
        Integer id = ids.get(token);
        if (id == null) {
            throw new UserError(source + ": merge number " + rank + " needs the token " + JsonText.quoted(token)
                    + ", which is not in the vocabulary: the file is damaged, fetch it again");
        }
        return id;
    }

    /** The token of every single byte; -1 for the bytes that no UTF-8 text has, if they have none. */
    int[] byteIds() {
        if (!found) {
            throw new UserError(source + ": the model has no vocab: fetch the file again");
        }
        int[] byteIds = new int[256];
        for (int b = 0; b < 256; b++) {
            String token = String.valueOf(ByteAlphabet.character(b));
            byteIds[b] = ids.getOrDefault(token, -1);
            boolean occurs = b < 0xC0 || (b > 0xC1 && b < 0xF5);
            if (byteIds[b] < 0 && occurs) {
                throw new UserError(source + ": the vocabulary has no token " + JsonText.quoted(token)
                        + " for the byte " + b + ": only byte-level BPE is supported, which has one for every byte");
            }
        }
        return byteIds;
    }
}
