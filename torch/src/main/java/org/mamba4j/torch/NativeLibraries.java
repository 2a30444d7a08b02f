package org.mamba4j.torch;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.bytedeco.javacpp.Loader;

/**
 * Native libraries that stand in jars: unpacked into JavaCPP's cache on first use, loaded from there.
 *
 * <p>JavaCPP lets two processes unpack the same files at once (its issue 608), and one that opens a library which the
 * other is still writing dies with SIGBUS. Here the first use takes a lock between processes, and what has been loaded
 * once leaves a mark, so that later starts need not wait for each other.
 */
public final class NativeLibraries {
    private static final System.Logger LOG = System.getLogger(NativeLibraries.class.getName());

    private NativeLibraries() {}

    /**
     * Loads the libraries of one of JavaCPP's classes.
     *
     * @throws UnsatisfiedLinkError if one cannot be unpacked or loaded
     */
    public static synchronized void load(Class<?> owner) {
        Path cache;
        Path mark;
        try {
            cache = Loader.getCacheDir().toPath();
            mark = cache.resolve("mamba4j-" + owner.getSimpleName() + "-" + Integer.toHexString(origin(owner)));
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "no cache for native libraries", e);
            Loader.load(owner);
            return;
        }
        if (Files.exists(mark)) {
            Loader.load(owner);
            return;
        }
        try (FileChannel lock = FileChannel.open(
                        cache.resolve("mamba4j.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock held = lock.lock()) {
            LOG.log(Level.DEBUG, "unpacking under {0}", held);
            Loader.load(owner);
            Files.writeString(mark, "");
        } catch (IOException e) { // a file system without locks, or read-only: as without this class
            LOG.log(Level.DEBUG, "no lock on " + cache, e);
            Loader.load(owner);
        }
    }

    /** Differs between versions of the jars and between their builds for CPUs and GPUs. */
    private static int origin(Class<?> owner) {
        return (owner.getProtectionDomain().getCodeSource()
                        + Loader.getPlatform()
                        + System.getProperty("org.bytedeco.javacpp.platform.extension", ""))
                .hashCode();
    }
}
