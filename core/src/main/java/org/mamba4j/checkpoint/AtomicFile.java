package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import org.mamba4j.UserError;

/**
 * Writes files so that at every moment, a crash included, the file is either as before or complete: into a temporary
 * file of the same folder, which reaches the disk before it takes the name; then the folder reaches the disk.
 */
public final class AtomicFile {
    /** What is written at once of great data. */
    static final int BUFFER_BYTES = 1 << 20;

    private AtomicFile() {}

    /** Writes a file's content, in any order. */
    @FunctionalInterface
    public interface Body {
        void writeTo(FileChannel channel) throws IOException;
    }

    /**
     * @param file in a folder that exists; replaced if it is there
     * @param body called once; when it fails, nothing is changed and its temporary file is removed
     * @throws UserError if the folder is missing or read-only, the disk is full, or anything else fails in writing
     */
    public static void write(Path file, Body body) {
        try (Pending pending = prepare(file, body)) {
            pending.commit();
        }
    }

    /** A file that is on the disk but does not have its name yet; closing it without a commit removes it. */
    static final class Pending implements AutoCloseable {
        private final Path temporary;
        private final Path file;
        private final Path folder;

        private Pending(Path temporary, Path file, Path folder) {
            this.temporary = temporary;
            this.file = file;
            this.folder = folder;
        }

        /** Gives the file its name. */
        void commit() {
            try {
                Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                sync(folder);
            } catch (IOException e) {
                throw failed(file, e, folder);
            }
        }

        @Override
        public void close() {
            deleteQuietly(temporary);
        }
    }

    /** The first half of {@link #write}, so that several files can be complete before the first takes its name. */
    static Pending prepare(Path file, Body body) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null || Files.isDirectory(file)) {
            throw new UserError(file + " cannot be written: it is a folder");
        }
        Path temporary = temporary(folder, file.getFileName());
        boolean complete = false;
        try (FileChannel channel =
                FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            body.writeTo(channel);
            channel.force(true);
            complete = true;
            return new Pending(temporary, file, folder);
        } catch (IOException e) {
            throw failed(file, e, folder);
        } finally {
            if (!complete) {
                deleteQuietly(temporary);
            }
        }
    }

    private static UserError failed(Path file, IOException e, Path folder) {
        return new UserError(
                file + " cannot be written: " + reason(e, folder) + "; what was there before is unchanged", e);
    }

    /** Writes {@code text} as UTF-8 in the same way. */
    public static void writeString(Path file, String text) {
        write(file, body(text));
    }

    static Body body(String text) {
        return channel -> writeFully(channel, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** Writes {@code bytes} in the same way. */
    public static void writeBytes(Path file, byte[] bytes) {
        write(file, channel -> writeFully(channel, ByteBuffer.wrap(bytes)));
    }

    /** Writes all that is left in {@code buffer}. */
    static void writeFully(WritableByteChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Writes all of {@code data}, whatever memory it lies in, through {@code buffer}. */
    static void writeFully(WritableByteChannel channel, MemorySegment data, ByteBuffer buffer) throws IOException {
        MemorySegment target = MemorySegment.ofBuffer(buffer.clear());
        for (long at = 0; at < data.byteSize(); ) {
            int n = (int) Math.min(buffer.capacity(), data.byteSize() - at);
            MemorySegment.copy(data, ValueLayout.JAVA_BYTE, at, target, ValueLayout.JAVA_BYTE, 0, n);
            writeFully(channel, buffer.clear().limit(n));
            at += n;
        }
    }

    /** A name beside {@code name} that nobody has. */
    static Path temporary(Path folder, Path name) {
        return folder.resolve("." + name + ".tmp-" + ProcessHandle.current().pid() + "-"
                + Long.toUnsignedString(ThreadLocalRandom.current().nextLong(), 36));
    }

    /** Makes a folder's entries reach the disk, where the system lets a folder be opened. */
    static void sync(Path folder) throws IOException {
        FileChannel channel;
        try {
            channel = FileChannel.open(folder, StandardOpenOption.READ);
        } catch (IOException notOnThisSystem) {
            return; // Windows
        }
        try (channel) {
            channel.force(true);
        }
    }

    /**
     * Makes the folder that {@code file} is to be written to, with those above it, unless it is there.
     *
     * @throws UserError if it cannot be made
     */
    public static void makeFolderOf(Path file) {
        Path folder = Objects.requireNonNull(file.toAbsolutePath().getParent());
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UserError(
                    "cannot make the folder " + folder + " (" + reason(e, folder) + "): give another one", e);
        }
    }

    /**
     * Whether {@link #makeFolderOf} and writing will do for files in {@code folder}, as far as can be told without changing
     * anything: to be asked before work whose result goes there.
     *
     * @throws UserError if they will not
     */
    public static void checkFolder(Path folder) {
        Path nearest = folder.toAbsolutePath();
        for (Path parent = nearest.getParent(); parent != null && !Files.exists(nearest); parent = parent.getParent()) {
            nearest = parent;
        }
        if (!Files.isDirectory(nearest)) {
            throw new UserError("cannot write to " + folder + ": " + nearest + " is not a folder; give another one");
        }
        if (!Files.isWritable(nearest)) {
            throw new UserError("cannot write to " + folder + ": " + nearest + " is read-only; give another folder");
        }
    }

    /** What to tell the user of {@code e}, which came of writing in {@code folder}. */
    public static String reason(IOException e, Path folder) {
        return switch (e) {
            case NoSuchFileException missing -> "the folder " + folder + " does not exist";
            case AccessDeniedException denied -> "the folder " + folder + " is read-only";
            default -> {
                String message = e.getMessage();
                yield message == null
                        ? e.toString()
                        : message.lines().findFirst().orElse(e.toString());
            }
        };
    }

    static void deleteQuietly(Path file) {
        try {
            if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
                Files.delete(file);
            }
        } catch (IOException e) {
            System.getLogger(AtomicFile.class.getName())
                    .log(System.Logger.Level.WARNING, "{0} is left behind: {1}", file, e.toString());
        }
    }
}
