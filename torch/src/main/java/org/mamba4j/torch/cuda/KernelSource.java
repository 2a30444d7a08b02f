package org.mamba4j.torch.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * CUDA C++ text and the options to compile it with. Compiling takes a second or more, so the machine code is kept on
 * disk under a name made of everything that it depends on: text, options, architecture and compiler version. A cache
 * that cannot be read or written only costs the time of compiling again.
 *
 * @param name for messages and file names, such as {@code selective_scan_forward}
 * @param text the CUDA C++ text
 * @param options without the architecture, for example {@code -DN=16}
 */
record KernelSource(String name, String text, List<String> options) {
    private static final System.Logger LOG = System.getLogger(KernelSource.class.getName());
    private static final Pattern INCLUDE = Pattern.compile("#include \"([^\"]+)\"\\s*");
    private static final String FOLDER = "cuda/";
    private static final String COMMON = "/org/mamba4j/torch/kernel/cuda/";

    KernelSource {
        options = List.copyOf(options);
    }

    /**
     * The resource {@code file} beside {@code owner}, with the files that it includes by {@code #include "name"} put in
     * place of the line, each once: NVRTC sees one text, and the cache key covers all of it. What is not there is looked
     * for among the kernels that all others build on.
     */
    static KernelSource resource(Class<?> owner, String file, List<String> options) {
        StringBuilder text = new StringBuilder();
        inline(owner, file, new HashSet<>(), text);
        return new KernelSource(file, text.toString(), options);
    }

    private static void inline(Class<?> owner, String file, Set<String> seen, StringBuilder text) {
        if (!seen.add(file)) {
            return;
        }
        for (String line : read(owner, file).split("\n", -1)) {
            Matcher include = INCLUDE.matcher(line);
            if (include.matches()) {
                inline(owner, include.group(1), seen, text);
            } else if (!line.startsWith("#pragma once")) {
                text.append(line).append('\n');
            }
        }
    }

    private static String read(Class<?> owner, String file) {
        try (InputStream in = open(owner, file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static InputStream open(Class<?> owner, String file) {
        InputStream beside = owner.getResourceAsStream(FOLDER + file);
        InputStream in = beside == null ? owner.getResourceAsStream(COMMON + file) : beside;
        if (in == null) {
            throw new IllegalStateException("no resource " + FOLDER + file + " beside " + owner.getName());
        }
        return in;
    }

    /**
     * Machine code for {@code architecture}, from the cache or the compiler.
     *
     * @param architecture such as {@code sm_90}
     * @param cache folder, made when needed
     */
    byte[] compile(String architecture, Path cache) {
        List<String> arguments = new ArrayList<>(options);
        arguments.add("--gpu-architecture=" + architecture);
        Path file = cache.resolve(stem() + "-" + key(arguments) + ".cubin");
        try {
            if (Files.isRegularFile(file)) {
                return Files.readAllBytes(file);
            }
        } catch (IOException e) {
            LOG.log(System.Logger.Level.WARNING, "cannot read {0} ({1}): compiling again", file, e.getMessage());
        }
        byte[] cubin = Nvrtc.compile(name, text, arguments);
        keep(file, cubin);
        return cubin;
    }

    /** The user's cache folder: XDG_CACHE_HOME or ~/.cache, then mamba4j/cubin. */
    static Path defaultCache() {
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base = xdg == null || xdg.isBlank() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(xdg);
        return base.resolve("mamba4j").resolve("cubin");
    }

    private String stem() {
        int dot = name.lastIndexOf('.');
        return dot > 0 ? name.substring(0, dot) : name;
    }

    private String key(List<String> arguments) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(Nvrtc.version().getBytes(StandardCharsets.UTF_8));
            for (String argument : arguments) {
                digest.update((byte) 0);
                digest.update(argument.getBytes(StandardCharsets.UTF_8));
            }
            digest.update((byte) 0);
            digest.update(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest.digest(), 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void keep(Path file, byte[] cubin) {
        try {
            Path folder = Files.createDirectories(file.toAbsolutePath().getParent());
            Path temporary = Files.createTempFile(folder, "cubin", ".tmp");
            try {
                Files.write(temporary, cubin);
                Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "cannot keep {0} ({1}): it will be compiled again",
                    file,
                    e.getMessage());
        }
    }
}
