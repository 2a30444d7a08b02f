package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;

/**
 * The folder of one run, locked against a second trainer while it is open.
 *
 * <pre>
 * config.yaml        the configuration as resolved
 * data.tokens        the text as tokens
 * metrics.jsonl      what was measured
 * tensorboard/       the same for TensorBoard
 * loss.png           the same as a picture
 * checkpoints/       see {@link Checkpoints}
 * run.lock           held by the trainer at work; the system frees it when the process dies, however it dies
 * </pre>
 */
final class RunFolder implements AutoCloseable {
    static final String CONFIG = "config.yaml";
    static final String CHECKPOINTS = Checkpoint.FOLDER_OF_A_RUN;
    static final String TOKENS = "data.tokens";
    static final String LOSS_CURVE = "loss.png";
    private static final String LOCK = "run.lock";

    private final Path path;
    private final @Nullable FileChannel lock;
    private final boolean made;

    private RunFolder(Path path, @Nullable FileChannel lock, boolean made) {
        this.path = path;
        this.lock = lock;
        this.made = made;
    }

    /**
     * Makes the folder if it does not exist, and locks it.
     *
     * @throws UserError if it cannot be made or written, or another trainer is at work in it
     */
    static RunFolder open(Path path) {
        @Nullable FileChannel channel = null;
        boolean made = !Files.exists(path);
        try {
            Files.createDirectories(path);
            channel = FileChannel.open(
                    path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            if (!tryLock(channel)) {
                String holder = content(channel);
                channel.close();
                throw new UserError(path + " is in use by another trainer"
                        + (holder.isEmpty() ? "" : " (process " + holder + ")")
                        + ": wait for it, stop it, or give another folder with --set out=FOLDER");
            }
            channel.truncate(0);
            channel.write(
                    ByteBuffer.wrap(Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII)));
            sweep(path);
            return new RunFolder(path, channel, made);
        } catch (IOException e) {
            if (made) {
                removeIfUnused(path);
            }
            closeQuietly(channel);
            throw new UserError(
                    "cannot write to the run folder " + path + " (" + reason(e)
                            + "): make it writable or give another one with --set out=FOLDER",
                    e);
        }
    }

    /** The folder that another rank of the same job holds open: nothing may be written to it. */
    static RunFolder ofAnotherRank(Path path) {
        if (!Files.isDirectory(path)) {
            throw new UserError("the run folder " + path + " that rank 0 has made is not to be seen from another rank:"
                    + " all hosts of a job need one file system with out in it");
        }
        return new RunFolder(path, null, false);
    }

    private static boolean tryLock(FileChannel channel) throws IOException {
        try {
            @Nullable FileLock lock = channel.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            // Held by this very process.
            return false;
        }
    }

    private static String content(FileChannel channel) throws IOException {
        ByteBuffer text = ByteBuffer.allocate(32);
        channel.read(text, 0);
        return new String(text.array(), 0, text.position(), StandardCharsets.US_ASCII).strip();
    }

    private static void closeQuietly(@Nullable FileChannel channel) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            // What went wrong before is what the user is told.
        }
    }

    Path path() {
        return path;
    }

    Path file(String name) {
        return path.resolve(name);
    }

    /** Whether a run was begun here: one that has measured or saved something; a start that failed is none. */
    boolean hasRun() throws IOException {
        return (Files.exists(file(MetricsLog.FILE)) && Files.size(file(MetricsLog.FILE)) > 0)
                || Checkpoints.of(path).holdsAny();
    }

    /** Removes the temporary files of processes that died while they wrote; only whoever holds the lock may. */
    private static void sweep(Path path) throws IOException {
        try (DirectoryStream<Path> left = Files.newDirectoryStream(path, ".*.tmp-*")) {
            for (Path file : left) {
                Files.delete(file);
            }
        }
    }

    /** What went wrong, in words: the messages of file system exceptions are often only a path. */
    static String reason(Throwable e) {
        if (e instanceof AccessDeniedException) {
            return "access denied";
        }
        if (e instanceof FileAlreadyExistsException) {
            return "there is a file of that name";
        }
        if (e instanceof FileSystemException f && f.getReason() != null) {
            return f.getReason();
        }
        @Nullable String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }

    /** Leaves no folder behind in which nothing came to be, as when the text to train on does not exist. */
    private static void removeIfUnused(Path path) {
        try (DirectoryStream<Path> content = Files.newDirectoryStream(path)) {
            for (Path file : content) {
                if (!file.getFileName().toString().equals(LOCK)) {
                    return;
                }
            }
            Files.deleteIfExists(path.resolve(LOCK));
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // It stays: what went wrong before is what the user is told.
        }
    }

    @Override
    public void close() {
        if (made) {
            removeIfUnused(path);
        }
        closeQuietly(lock);
    }
}
