package org.mamba4j.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.mamba4j.Fingerprint;
import org.mamba4j.UserError;

/**
 * Documents in a zip or jar.
 *
 * @param description how the user named it
 * @param archive opened anew for every pass, so that a corpus needs no closing
 * @param entries files that match, sorted by name
 * @param fingerprint from names, sizes and checksums of the archive's directory
 */
record ZipCorpus(String description, Path archive, List<String> entries, String fingerprint) implements Corpus {
    /** @param pattern a {@link Glob} on entry names; empty for all */
    static ZipCorpus open(Path archive, String pattern, String description) {
        List<ZipEntry> found = new ArrayList<>();
        Glob glob = new Glob(pattern.isEmpty() ? "**" : pattern);
        try (ZipFile zip = new ZipFile(archive.toFile())) {
            zip.stream()
                    .filter(e -> !e.isDirectory() && glob.matches(e.getName()))
                    .forEach(found::add);
        } catch (IOException e) {
            throw damaged(archive, e);
        }
        if (found.stream().allMatch(e -> e.getSize() == 0)) {
            throw new UserError("the corpus " + description + " has no text: no file with content in the archive "
                    + (pattern.isEmpty() ? ": give another one" : "matches " + pattern + ": check the pattern"));
        }
        found.sort(Comparator.comparing(ZipEntry::getName));
        Fingerprint fingerprint = new Fingerprint();
        for (ZipEntry e : found) {
            fingerprint.add(e.getName()).add(e.getSize()).add(e.getCrc());
        }
        return new ZipCorpus(
                description, archive, found.stream().map(ZipEntry::getName).toList(), fingerprint.hex());
    }

    @Override
    public int size() {
        return entries.size();
    }

    @Override
    public void forEach(Consumer<Document> reader) {
        try (ZipFile zip = new ZipFile(archive.toFile())) {
            for (String name : entries) {
                ZipEntry entry = zip.getEntry(name);
                if (entry == null) {
                    throw new UserError(
                            archive + " has lost its entry " + name + ": it changed while it was read; try again");
                }
                reader.accept(new Document(name, archive + "!" + name, () -> zip.getInputStream(entry)));
            }
        } catch (IOException e) {
            throw damaged(archive, e);
        }
    }

    private static UserError damaged(Path archive, IOException e) {
        return new UserError(
                archive + " cannot be read as a zip (" + Corpus.reason(e)
                        + "): fetch it again or unpack it and give the folder",
                e);
    }
}
