package org.mamba4j.inference;

import java.nio.file.Path;

/**
 * All that a model remembers of what it has read. Of a recurrent model its size does not depend on how much that was;
 * attention keeps something of every token. Not thread-safe.
 */
public interface State extends AutoCloseable {
    /** Tokens read since the state was new. */
    long tokensSeen();

    /** Bytes that the state holds. */
    long sizeInBytes();

    /** An independent state with the same content: both continue alike, neither sees the other. */
    State copy();

    /** Forgets everything: equal to a new state. */
    void reset();

    /**
     * Writes the state as a safetensors file, atomically; {@link StateFile} defines the layout, which all engines share.
     *
     * @throws org.mamba4j.UserError if the file cannot be written; what stood there before is left as it was
     */
    void save(Path file);

    @Override
    void close();
}
