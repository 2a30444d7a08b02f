package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;
import org.mamba4j.torch.bench.Machine;

/** What figures depend on, in words. */
final class ThisMachine {
    private ThisMachine() {}

    /** Processors, memory and system. */
    static String describe() {
        long bytes = ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getTotalMemorySize()
                : 0;
        return String.format(
                Locale.ROOT,
                "%d processors%s, %.0f GB memory, %s %s",
                Runtime.getRuntime().availableProcessors(),
                processor(),
                bytes / 1e9,
                System.getProperty("os.name"),
                System.getProperty("os.arch"));
    }

    /**
     * The same, or the GPU's name.
     *
     * @throws org.mamba4j.UserError if there is no such device
     */
    static String describe(String device) {
        return device.equals("cpu") ? describe() : Machine.of(device).name();
    }

    /** The processor's name where Linux tells it. */
    private static String processor() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("model name"))
                    .findFirst()
                    .map(line -> " (" + line.substring(line.indexOf(':') + 1).strip() + ")")
                    .orElse("");
        } catch (IOException | UncheckedIOException elsewhere) {
            return "";
        }
    }
}
