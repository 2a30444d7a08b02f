package org.mamba4j.text;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The tokenizer of a checkpoint, read when it is first asked for: many who open a model never do. */
public final class LazyTokenizer {
    private final Path path;
    private @Nullable Tokenizer loaded;

    /** @param path as {@link Tokenizers#load} takes it */
    public LazyTokenizer(Path path) {
        this.path = path;
    }

    /** @throws org.mamba4j.UserError as {@link Tokenizers#load} */
    public synchronized Tokenizer get() {
        if (loaded == null) {
            loaded = Tokenizers.load(path);
        }
        return loaded;
    }
}
