package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A file system of a few kilobytes, where the user may mount one. */
final class SmallDisk {
    static final String SKIPPED = "skipped: this user may not mount a small file system";

    private SmallDisk() {}

    /** Whether a file system of that size now lies at {@code folder}. */
    static boolean mount(Path folder, String size) {
        return execute("mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", folder.toString());
    }

    static boolean remountReadOnly(Path folder) {
        return execute("mount", "-o", "remount,ro", folder.toString());
    }

    static void unmount(Path folder) {
        execute("umount", "-l", folder.toString());
    }

    private static boolean execute(String... command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getInputStream().readAllBytes();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
