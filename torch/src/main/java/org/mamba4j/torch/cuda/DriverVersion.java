package org.mamba4j.torch.cuda;

import static org.mamba4j.torch.cuda.NativeLibrary.INT;
import static org.mamba4j.torch.cuda.NativeLibrary.POINTER;
import static org.mamba4j.torch.cuda.NativeLibrary.rethrow;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.UserError;

/** The version of NVIDIA's driver, for reports. */
public final class DriverVersion {
    private static final int LENGTH = 96;

    private DriverVersion() {}

    /** Such as {@code 580.159.04}; {@code unknown} where NVIDIA's management library cannot be asked. */
    public static String get() {
        try {
            return ask();
        } catch (UserError noLibrary) {
            return "unknown";
        }
    }

    private static String ask() {
        NativeLibrary library = NativeLibrary.open(List.of("libnvidia-ml.so.1", "nvml.dll"), "install NVIDIA's driver");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(LENGTH);
            int ready = (int) library.function("nvmlInit_v2").invokeExact();
            int status = (int)
                    library.function("nvmlSystemGetDriverVersion", POINTER, INT).invokeExact(text, LENGTH);
            return ready == 0 && status == 0 ? text.getString(0) : "unknown";
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }
}
