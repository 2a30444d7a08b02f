package org.mamba4j.torch.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The checkpoints of a run: folders {@code step-00001000}, each with a {@code manifest.json} that lists size and SHA-256
 * of every file.
 *
 * <p>Whatever happens, a folder of that name is whole. It is filled under another name, every file is forced to the
 * disk, the manifest is written last, and only then is the folder renamed; a rename is atomic. An old checkpoint is
 * renamed before it is deleted, for the same reason. What a killed process leaves behind are folders with the other
 * names, which {@link #sweep} removes. The manifest is for what happens afterwards: a disk that loses bytes, a copy that
 * was cut short.
 *
 * <p>The newest few are kept, and the one with the lowest validation loss.
 */
public final class Checkpoints {
    private static final System.Logger LOG = System.getLogger(Checkpoints.class.getName());
    private static final String MANIFEST = "manifest.json";
    private static final String PREFIX = "step-";
    private static final String SAVING = ".saving-";
    private static final String DELETING = ".deleting-";
    private static final String DAMAGED = "damaged-";
    private static final JsonMapper JSON = JsonMapper.shared();

    private final Path folder;

    /** Fills the folder of a checkpoint. */
    @FunctionalInterface
    interface Content {
        /** Writes all files into {@code folder}, which exists and is empty. */
        void write(Path folder) throws IOException;
    }

    /**
     * A checkpoint that was written completely.
     *
     * @param step steps done before it was written
     * @param validLoss validation loss of its weights, nats per token; NaN if not measured
     * @param folder its files
     */
    public record Saved(int step, double validLoss, Path folder) {}

    private Checkpoints(Path folder) {
        this.folder = folder;
    }

    /** Those of a run; none if the folder does not exist. */
    public static Checkpoints of(Path runFolder) {
        return new Checkpoints(runFolder.resolve(RunFolder.CHECKPOINTS));
    }

    /**
     * Removes what an interrupted process has left; only for who holds the run's lock.
     *
     * @throws UserError if it cannot be removed
     */
    void sweep() {
        for (Path path : entries()) {
            String name = path.getFileName().toString();
            if (name.startsWith(SAVING) || name.startsWith(DELETING)) {
                try {
                    Path replaced = folder.resolve(name.substring(name.indexOf('-') + 1));
                    // Killed between the two renames of a checkpoint that was to be replaced: it is still the newest.
                    if (name.startsWith(DELETING)
                            && !Files.exists(replaced)
                            && problem(path).isEmpty()) {
                        Files.move(path, replaced, StandardCopyOption.ATOMIC_MOVE);
                    }
                    deleteTree(path);
                } catch (IOException e) {
                    throw new UserError(
                            "cannot remove the remains of an interrupted save, " + path + " (" + RunFolder.reason(e)
                                    + "): remove it or make the folder writable",
                            e);
                }
            }
        }
    }

    /** Whether there is any checkpoint, be it a damaged one. */
    boolean holdsAny() {
        return entries().stream()
                .map(path -> path.getFileName().toString())
                .anyMatch(name -> name.startsWith(PREFIX) || name.startsWith(DAMAGED));
    }

    /** All checkpoints whose manifest can be read, oldest first; their files are not looked at. */
    public List<Saved> list() {
        List<Saved> all = new ArrayList<>();
        for (Path path : entries()) {
            if (path.getFileName().toString().startsWith(PREFIX)) {
                read(path).ifPresent(all::add);
            }
        }
        all.sort(Comparator.comparingInt(Saved::step));
        return all;
    }

    /** The one with the lowest validation loss, the earliest of equals; the newest where none was evaluated. */
    public Optional<Saved> best() {
        List<Saved> all = list();
        return all.stream()
                .filter(s -> !Double.isNaN(s.validLoss))
                .min(Comparator.comparingDouble(Saved::validLoss))
                .or(() -> all.isEmpty() ? Optional.empty() : Optional.of(all.getLast()));
    }

    /**
     * The newest checkpoint whose files all have the size and hash of its manifest. Damaged ones that are newer are set
     * aside under another name, so that none is ever taken for a good one; only for who holds the run's lock.
     *
     * @param note told, one line each, which ones were damaged
     * @throws UserError if a checkpoint cannot be read: whether it is damaged is unknown then, so it stays as it is
     */
    Optional<Saved> newestSound(Consumer<String> note) {
        List<Path> newestFirst = new ArrayList<>();
        for (Path path : entries()) {
            if (path.getFileName().toString().startsWith(PREFIX)) {
                newestFirst.add(path);
            }
        }
        newestFirst.sort(
                Comparator.comparing((Path p) -> p.getFileName().toString()).reversed());
        for (Path path : newestFirst) {
            String problem;
            try {
                problem = problem(path);
            } catch (IOException e) {
                throw new UserError(
                        "checkpoint " + path + " cannot be read (" + RunFolder.reason(e)
                                + "): make it readable and try again; nothing was changed",
                        e);
            }
            if (problem.isEmpty()) {
                return read(path);
            }
            note.accept("checkpoint " + path + " is damaged (" + problem + "): set aside as " + setAside(path)
                    + ", taking the one before it");
        }
        return Optional.empty();
    }

    private Path setAside(Path damaged) {
        Path aside = folder.resolve(DAMAGED + damaged.getFileName());
        try {
            deleteTree(aside);
            return Files.move(damaged, aside, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UserError(
                    "checkpoint " + damaged + " is damaged and cannot be renamed (" + RunFolder.reason(e)
                            + "): make the folder writable",
                    e);
        }
    }

    /**
     * What is wrong with a checkpoint's files; empty if nothing is.
     *
     * @throws IOException if a file cannot be read, which says nothing about its content
     */
    static String problem(Path checkpoint) throws IOException {
        try {
            JsonNode files = manifest(checkpoint).required("files");
            for (Map.Entry<String, JsonNode> entry : files.properties()) {
                Path file = checkpoint.resolve(entry.getKey());
                long bytes = entry.getValue().required("bytes").asLong();
                if (!Files.exists(file)) {
                    return entry.getKey() + " is missing";
                }
                if (Files.size(file) != bytes) {
                    return entry.getKey() + " has " + Files.size(file) + " bytes, not " + bytes;
                }
                if (!sha256(file).equals(entry.getValue().required("sha256").asString())) {
                    return entry.getKey() + " does not have the hash that it was written with";
                }
            }
            return "";
        } catch (NoSuchFileException e) {
            return MANIFEST + " is missing";
        } catch (CharacterCodingException | JacksonException e) {
            return MANIFEST + " is not what was written";
        }
    }

    /**
     * Writes a checkpoint, then removes those that need not be kept.
     *
     * @param validLoss nats per token, NaN if not measured
     * @param keep how many of the newest stay, beside the best
     * @return the finished folder
     * @throws UserError if it cannot be written; those before it are untouched
     */
    Path save(int step, double validLoss, int keep, Content content) {
        Path target = folder.resolve(PREFIX + String.format(java.util.Locale.ROOT, "%09d", step));
        Path temporary = folder.resolve(SAVING + step);
        try {
            Files.createDirectories(folder);
            deleteTree(temporary);
            Files.createDirectory(temporary);
            content.write(temporary);
            seal(temporary, step, validLoss);
            retire(target);
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            force(folder);
        } catch (IOException | UncheckedIOException | UserError e) {
            throw failed(step, temporary, e);
        }
        prune(keep);
        return target;
    }

    private UserError failed(int step, Path temporary, Exception e) {
        try {
            deleteTree(temporary);
        } catch (IOException alsoFailed) {
            e.addSuppressed(alsoFailed);
        }
        List<Saved> left = list();
        String last = left.isEmpty()
                ? "there is no earlier one"
                : "the last complete one is " + left.getLast().folder();
        Throwable cause = e instanceof UncheckedIOException && e.getCause() != null ? e.getCause() : e;
        return new UserError(
                "cannot save the checkpoint of step " + step + " in " + folder + " (" + RunFolder.reason(cause) + "): "
                        + last + "; make room or make the folder writable, then continue with --resume",
                e);
    }

    private static void seal(Path checkpoint, int step, double validLoss) throws IOException {
        ObjectNode manifest = JSON.createObjectNode();
        manifest.put("format", 1).put("step", step);
        if (Double.isNaN(validLoss)) {
            manifest.putNull("valid_loss");
        } else {
            manifest.put("valid_loss", validLoss);
        }
        ObjectNode files = manifest.putObject("files");
        List<Path> written = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(checkpoint)) {
            entries.forEach(written::add);
        }
        written.sort(Comparator.naturalOrder());
        for (Path file : written) {
            force(file);
            files.putObject(file.getFileName().toString())
                    .put("bytes", Files.size(file))
                    .put("sha256", sha256(file));
        }
        AtomicFile.writeString(
                checkpoint.resolve(MANIFEST),
                JSON.writerWithDefaultPrettyPrinter().writeValueAsString(manifest) + "\n");
        force(checkpoint);
    }

    private void prune(int keep) {
        List<Saved> all = list();
        Optional<Saved> best = best();
        for (Saved saved : all.subList(0, Math.max(0, all.size() - keep))) {
            if (best.filter(saved::equals).isEmpty()) {
                try {
                    retire(saved.folder());
                } catch (IOException e) {
                    LOG.log(
                            System.Logger.Level.WARNING,
                            "cannot remove the old checkpoint {0}: {1}",
                            saved.folder(),
                            RunFolder.reason(e));
                }
            }
        }
    }

    /** Deletes a checkpoint, if it exists, so that no half of it is ever seen under its name. */
    private void retire(Path checkpoint) throws IOException {
        if (Files.exists(checkpoint)) {
            Path doomed = folder.resolve(DELETING + checkpoint.getFileName());
            deleteTree(doomed);
            Files.move(checkpoint, doomed, StandardCopyOption.ATOMIC_MOVE);
            deleteTree(doomed);
        }
    }

    private List<Path> entries() {
        List<Path> entries = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder)) {
                stream.forEach(entries::add);
            } catch (IOException e) {
                throw new UserError("cannot read " + folder + " (" + RunFolder.reason(e) + ")", e);
            }
        }
        return entries;
    }

    /** What the manifest of {@code checkpoint} says; empty if it cannot be read. */
    static Optional<Saved> read(Path checkpoint) {
        try {
            JsonNode manifest = manifest(checkpoint);
            JsonNode loss = manifest.required("valid_loss");
            return Optional.of(new Saved(
                    manifest.required("step").asInt(), loss.isNull() ? Double.NaN : loss.asDouble(), checkpoint));
        } catch (IOException | JacksonException e) {
            return Optional.empty();
        }
    }

    private static JsonNode manifest(Path checkpoint) throws IOException {
        return JSON.readTree(Files.readString(checkpoint.resolve(MANIFEST)));
    }

    private static String sha256(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
            while (channel.read(buffer) >= 0) {
                digest.update(buffer.flip());
                buffer.clear();
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /** Waits until a file or a folder's entries are on the disk. */
    private static void force(Path path) throws IOException {
        boolean isFolder = Files.isDirectory(path);
        try (FileChannel channel =
                FileChannel.open(path, isFolder ? StandardOpenOption.READ : StandardOpenOption.WRITE)) {
            channel.force(true);
        } catch (IOException e) {
            // Windows opens no folders; there the rename alone has to do.
            if (!isFolder) {
                throw e;
            }
        }
    }

    private static void deleteTree(Path root) throws IOException {
        if (!Files.exists(root)) {
            return;
        }
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(
                    Path visited, @org.jspecify.annotations.Nullable IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                Files.delete(visited);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
