package org.mamba4j.data;

import java.io.ByteArrayInputStream;
import java.util.SequencedMap;
import java.util.function.Consumer;
import org.mamba4j.Fingerprint;

/** Documents in memory, in the order of the map. */
record MemoryCorpus(SequencedMap<String, byte[]> texts) implements Corpus {
    @Override
    public String description() {
        return "memory";
    }

    @Override
    public int size() {
        return texts.size();
    }

    @Override
    public String fingerprint() {
        Fingerprint fingerprint = new Fingerprint();
        texts.forEach((name, text) -> fingerprint.add(name).add(text.length).add(java.nio.ByteBuffer.wrap(text)));
        return fingerprint.hex();
    }

    @Override
    public void forEach(Consumer<Document> reader) {
        texts.forEach((name, text) ->
                reader.accept(new Document(name, "memory:" + name, () -> new ByteArrayInputStream(text))));
    }
}
