package org.mamba4j.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.mamba4j.kernel.Workers;
import org.mamba4j.kernel.vector.VectorKernels;
import org.mamba4j.torch.kernel.ComposedScan;
import org.mamba4j.torch.kernel.FusedScan;
import org.mamba4j.torch.kernel.SelectiveScan;

/**
 * How much memory one forward and backward pass of a layer's scan takes beyond its inputs, B = 1, D = 1536, L = 2048, N =
 * 16: the peak of the process's resident memory during the pass less what was resident before, one form per process.
 * Linux only: it reads and resets the kernel's own peak.
 */
public final class ScanMemory {
    private static final int LENGTH = 2048;
    private static final int WARM_UP_LENGTH = 64;
    private static final int WARM_UP_PASSES = 200;
    private static final int THREADS = 2;

    private ScanMemory() {}

    /** @param args {@code fused} or {@code composed} */
    public static void main(String[] args) throws IOException {
        boolean fused = args[0].equals("fused");
        SelectiveScan scan = fused ? new FusedScan(new VectorKernels(new Workers(THREADS))) : ComposedScan.unbound();
        ScanLayer small = new ScanLayer(WARM_UP_LENGTH);
        for (int pass = 0; pass < WARM_UP_PASSES; pass++) {
            small.run(scan, false);
        }
        ScanLayer layer = new ScanLayer(LENGTH);
        System.gc();
        // 5 resets the peak, see proc(5).
        Files.writeString(Path.of("/proc/self/clear_refs"), "5");
        long before = kilobytes("VmRSS:");
        layer.run(scan, false);
        long peak = kilobytes("VmHWM:");
        System.out.printf("%s: %.1f MiB beyond the inputs at the peak%n", args[0], (peak - before) / 1024.0);
    }

    private static long kilobytes(String field) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field)) {
                return Long.parseLong(line.replaceAll("\\D+", ""));
            }
        }
        throw new IOException("/proc/self/status has no " + field);
    }
}
