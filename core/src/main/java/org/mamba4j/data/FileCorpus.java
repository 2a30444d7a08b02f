package org.mamba4j.data;

import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.mamba4j.Fingerprint;
import org.mamba4j.UserError;

/** Documents that are files of their own. */
record FileCorpus(String description, List<Entry> entries) implements Corpus {
    /** One file: its name within the corpus, and what tells that it has changed. */
    private record Entry(String name, Path path, long size, long modifiedNanos) {
        static Entry of(String name, Path path, BasicFileAttributes attributes) {
            return new Entry(
                    name,
                    path,
                    attributes.size(),
                    attributes.lastModifiedTime().to(java.util.concurrent.TimeUnit.NANOSECONDS));
        }
    }

    static FileCorpus ofFile(Path file, String description) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
            if (!attributes.isRegularFile()) {
                throw new UserError(file + " is not a regular file: copy its content to a file and give that");
            }
            String name = String.valueOf(file.toAbsolutePath().normalize().getFileName());
            return checked(
                    description, List.of(Entry.of(name, file, attributes)), "it is empty: give a file with text");
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    static FileCorpus ofFolder(Path folder, String description) {
        return checked(
                description,
                walk(folder, name -> true),
                "the folder holds no file with content: put text files into it");
    }

    static FileCorpus ofGlob(String location) {
        String slashed = java.io.File.separatorChar == '/' ? location : location.replace('\\', '/');
        String base = Glob.base(slashed);
        Path folder = Path.of(base.isEmpty() ? "." : base);
        if (!Files.isDirectory(folder)) {
            throw new UserError("nothing matches " + location + ": there is no folder "
                    + folder.toAbsolutePath().normalize() + "; check the pattern");
        }
        Glob glob = new Glob(slashed.substring(base.length()));
        return checked(location, walk(folder, glob::matches), "no file with content matches: check the pattern");
    }

    /** Whether {@link #walk} would find {@code file}. */
    static boolean isVisible(Path root, Path file, Predicate<String> accepted) {
        Path real;
        try {
            real = root.toRealPath();
        } catch (IOException e) {
            return false; // there is no such folder
        }
        if (!file.startsWith(real)) {
            return false;
        }
        Path name = real.relativize(file);
        for (Path part : name) {
            if (part.toString().startsWith(".")) {
                return false;
            }
        }
        return accepted.test(name.toString().replace(java.io.File.separatorChar, '/'));
    }

    private static FileCorpus checked(String description, List<Entry> entries, String remedy) {
        if (entries.stream().allMatch(e -> e.size() == 0)) {
            throw new UserError("the corpus " + description + " has no text: " + remedy);
        }
        return new FileCorpus(description, entries);
    }

    private static List<Entry> walk(Path root, Predicate<String> accepted) {
        List<Entry> found = new ArrayList<>();
        try {
            Files.walkFileTree(
                    root, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, new SimpleFileVisitor<>() {
                        @Override
                        public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
                            return isHidden(folder) ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                            String name = nameOf(file);
                            if (isHidden(file) || !accepted.test(name)) {
                                return FileVisitResult.CONTINUE;
                            }
                            if (attributes.isSymbolicLink()) {
                                // With links followed, one is only seen itself when it leads nowhere.
                                throw new UserError(file + " is a link to nothing: repair or remove it");
                            }
                            if (attributes.isRegularFile()) {
                                found.add(Entry.of(name, file, attributes));
                            }
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult visitFileFailed(Path file, IOException e) {
                            // A link back to a folder that is being walked: everything in it is found anyway.
                            if (isHidden(file) || e instanceof FileSystemLoopException) {
                                return FileVisitResult.CONTINUE;
                            }
                            throw unreadable(file, e);
                        }

                        private boolean isHidden(Path path) {
                            return !path.equals(root)
                                    && String.valueOf(path.getFileName()).startsWith(".");
                        }

                        private String nameOf(Path file) {
                            return root.relativize(file).toString().replace(java.io.File.separatorChar, '/');
                        }
                    });
        } catch (IOException e) {
            throw unreadable(root, e);
        }
        found.sort(Comparator.comparing(Entry::name));
        return List.copyOf(found);
    }

    private static UserError unreadable(Path path, IOException e) {
        return new UserError(
                path + " cannot be read (" + Corpus.reason(e) + "): change its permissions or leave it out", e);
    }

    @Override
    public int size() {
        return entries.size();
    }

    @Override
    public String fingerprint() {
        Fingerprint fingerprint = new Fingerprint();
        for (Entry e : entries) {
            fingerprint.add(e.name()).add(e.size()).add(e.modifiedNanos());
        }
        return fingerprint.hex();
    }

    @Override
    public void forEach(Consumer<Document> reader) {
        for (Entry e : entries) {
            reader.accept(new Document(e.name(), e.path().toString(), () -> Files.newInputStream(e.path())));
        }
    }
}
