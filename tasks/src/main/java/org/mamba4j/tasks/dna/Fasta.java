package org.mamba4j.tasks.dna;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.mamba4j.UserError;

/**
 * Reads FASTA: lines of bases under a line that begins with {@code >} and names them, plain or compressed by gzip (told by
 * the content, whatever the file is called). Case, which marks repeats in many files, and lines' lengths mean nothing here.
 */
public final class Fasta {
    private static final int GZIP_FIRST = 0x1F;
    private static final int GZIP_SECOND = 0x8B;

    private final Path file;
    private final List<Contig> contigs = new ArrayList<>();
    private final ByteArrayOutputStream bases = new ByteArrayOutputStream();
    private String name = "";
    private long line = 1;

    private Fasta(Path file) {
        this.file = file;
    }

    /**
     * All contigs of a file that have a base, in order.
     *
     * @throws UserError if it cannot be read, is cut off, holds something else, or no base at all
     */
    public static List<Contig> read(Path file) {
        try (InputStream in = open(file)) {
            return new Fasta(file).parse(in);
        } catch (IOException e) {
            throw new UserError(
                    file + " cannot be read as FASTA (" + e.getMessage() + "): check the path, or fetch it again", e);
        }
    }

    private static InputStream open(Path file) throws IOException {
        InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
        try {
            in.mark(2);
            boolean zipped = in.read() == GZIP_FIRST && in.read() == GZIP_SECOND;
            in.reset();
            return zipped ? new BufferedInputStream(new GZIPInputStream(in), 1 << 16) : in;
        } catch (IOException e) {
            in.close();
            throw e;
        }
    }

    private List<Contig> parse(InputStream in) throws IOException {
        boolean lineBegins = true;
        for (int c = in.read(); c >= 0; c = in.read()) {
            if (c == '>' && lineBegins) {
                endContig();
                name = header(in);
                line++;
            } else if (c == '\n') {
                line++;
                lineBegins = true;
            } else if (c != '\r' && c != ' ' && c != '\t') {
                base(c);
                lineBegins = false;
            }
        }
        endContig();
        if (contigs.isEmpty()) {
            throw new UserError(file + " has no base: give a FASTA file with sequences");
        }
        return List.copyOf(contigs);
    }

    private static String header(InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int c = in.read(); c >= 0 && c != '\n'; c = in.read()) {
            text.append((char) c);
        }
        String[] words = text.toString().strip().split("\\s", 2);
        return words[0].isEmpty() ? "unnamed" : words[0];
    }

    private void base(int letter) {
        if (name.isEmpty()) {
            throw new UserError(file + ": line " + line + " stands before any line with '>': this is no FASTA file");
        }
        int token = Bases.token(letter);
        if (token < 0) {
            throw new UserError(file + ": line " + line + " has the byte " + letter
                    + (letter > ' ' && letter < 127 ? " ('" + (char) letter + "')" : "")
                    + ", which is no base: DNA is written with A, C, G, T, N and the IUPAC's other letters");
        }
        bases.write(token);
    }

    private void endContig() {
        if (bases.size() > 0) {
            contigs.add(new Contig(name, bases.toByteArray()));
            bases.reset();
        }
    }
}
