package org.mamba4j.cli;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;

/**
 * What an earlier demo has left in its folder. It is deleted whole or not at all: everything there must go by a name
 * that a run, an evaluation or the report writes, so that a mistyped folder survives.
 */
final class EarlierRun {
    static final String CONFIG = "config.yaml";
    static final String REPORT = "report.html";
    private static final String LOCK = "run.lock";

    private static final String EVALUATION = "(perplexity|passkey|multi-key)\\.(json|png)";

    /** Paths below the folder, {@code /} between names; the second form of a name is the one that it is written under. */
    private static final Pattern FILES = Pattern.compile("(config\\.yaml|metrics\\.jsonl|loss\\.png)(\\.tmp)?"
            + "|data\\.tokens|run\\.lock|report\\.html|(eval/)?" + EVALUATION
            + "|(eval/)?\\.(data\\.tokens|report\\.html|" + EVALUATION + ")\\.tmp-[0-9a-z-]+"
            + "|tensorboard/events\\.out\\.tfevents\\.[^/]+"
            + "|checkpoints/(damaged-|\\.deleting-|\\.saving-)?(step-)?[0-9]+/(eval/" + EVALUATION
            + "|\\.?[^/]+\\.(json|jsonl|yaml|safetensors)(\\.tmp(-[0-9a-z-]+)?)?)");

    private static final Pattern FOLDERS = Pattern.compile(
            "|eval|tensorboard|checkpoints|checkpoints/(damaged-|\\.deleting-|\\.saving-)?(step-)?[0-9]+(/eval)?");

    private EarlierRun() {}

    /**
     * Deletes the run in {@code folder}; the folder and its lock stay.
     *
     * @throws UserError if something there is of no run, a trainer is at work, or it cannot be deleted
     */
    static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + " is not a folder: give another --output");
        }
        try {
            all(folder); // before the lock is made: a folder of something else is not touched
            try (FileChannel channel =
                    FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                if (!isLocked(channel)) {
                    throw new UserError(folder + " is in use by a trainer: stop it, or give another --output");
                }
                for (Path path : all(folder)) {
                    Files.delete(path);
                }
            }
        } catch (IOException e) {
            throw new UserError(
                    folder + " cannot be deleted: " + AtomicFile.reason(e, folder) + "; give another --output", e);
        }
    }

    private static boolean isLocked(FileChannel channel) throws IOException {
        try {
            @Nullable FileLock lock = channel.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            return false; // held by this very process
        }
    }

    /** All files and folders of the run, what is in a folder before it; links are not followed. */
    private static List<Path> all(Path folder) throws IOException {
        List<Path> all = new ArrayList<>();
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path path, BasicFileAttributes attributes) {
                check(FOLDERS, folder, path);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path path, BasicFileAttributes attributes) {
                check(FILES, folder, path);
                if (!path.equals(folder.resolve(LOCK))) {
                    all.add(path);
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path path, @Nullable IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                if (!path.equals(folder)) {
                    all.add(path);
                }
                return FileVisitResult.CONTINUE;
            }
        });
        return all;
    }

    private static void check(Pattern known, Path folder, Path path) {
        String name = folder.relativize(path).toString().replace('\\', '/');
        if (!known.matcher(name).matches()) {
            throw new UserError(folder + " holds " + name + ", which no run writes, so --fresh deletes nothing there: "
                    + "move it away, or give another --output");
        }
    }
}
