package org.mamba4j.text;

import java.nio.file.Path;

/** Small tokenizers for tests in other packages. */
public final class TinyTokenizers {
    private TinyTokenizers() {}

    /** Byte-level BPE of GPT-2's kind, learnt from a few sentences, with a token that ends a text. */
    public static Tokenizer bpe() {
        return new TinyBpe().added("<|endoftext|>", "special").load();
    }

    /** Writes one's tokenizer.json to a folder. */
    public static Tokenizer save(Tokenizer tokenizer, Path folder) {
        tokenizer.save(folder);
        return tokenizer;
    }
}
