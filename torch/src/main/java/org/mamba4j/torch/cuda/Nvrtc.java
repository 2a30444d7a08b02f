package org.mamba4j.torch.cuda;

import static org.mamba4j.torch.cuda.NativeLibrary.INT;
import static org.mamba4j.torch.cuda.NativeLibrary.POINTER;
import static org.mamba4j.torch.cuda.NativeLibrary.rethrow;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;

/** NVIDIA's run-time compiler: CUDA C++ text in, machine code (CUBIN) for one architecture out. */
final class Nvrtc {
    private static final NativeLibrary LIBRARY = NativeLibrary.open(
            List.of(
                    "libnvrtc.so.13",
                    "libnvrtc.so.12",
                    "libnvrtc.so",
                    "/usr/local/cuda/lib64/libnvrtc.so.13",
                    "/usr/local/cuda/lib64/libnvrtc.so"),
            "put the folder of CUDA's libnvrtc on LD_LIBRARY_PATH, for example /usr/local/cuda/lib64");

    private static final MethodHandle VERSION = LIBRARY.function("nvrtcVersion", POINTER, POINTER);
    private static final MethodHandle CREATE =
            LIBRARY.function("nvrtcCreateProgram", POINTER, POINTER, POINTER, INT, POINTER, POINTER);
    private static final MethodHandle COMPILE = LIBRARY.function("nvrtcCompileProgram", POINTER, INT, POINTER);
    private static final MethodHandle DESTROY = LIBRARY.function("nvrtcDestroyProgram", POINTER);
    private static final MethodHandle LOG_SIZE = LIBRARY.function("nvrtcGetProgramLogSize", POINTER, POINTER);
    private static final MethodHandle LOG = LIBRARY.function("nvrtcGetProgramLog", POINTER, POINTER);
    private static final MethodHandle CUBIN_SIZE = LIBRARY.function("nvrtcGetCUBINSize", POINTER, POINTER);
    private static final MethodHandle CUBIN = LIBRARY.function("nvrtcGetCUBIN", POINTER, POINTER);

    private Nvrtc() {}

    /** Version as {@code major.minor}: part of the cache key of what it compiles. */
    static String version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(INT);
            MemorySegment minor = arena.allocate(INT);
            check("nvrtcVersion", (int) VERSION.invokeExact(major, minor), "");
            return major.get(INT, 0) + "." + minor.get(INT, 0);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /**
     * Compiles {@code source}.
     *
     * @param name for messages
     * @param options as NVRTC takes them, {@code --gpu-architecture=sm_90} among them
     * @throws IllegalStateException with the compiler's log when it does not compile
     */
    static byte[] compile(String name, String source, List<String> options) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(POINTER);
            check(
                    "nvrtcCreateProgram",
                    (int) CREATE.invokeExact(
                            slot,
                            arena.allocateFrom(source),
                            arena.allocateFrom(name),
                            0,
                            MemorySegment.NULL,
                            MemorySegment.NULL),
                    "");
            MemorySegment program = slot.get(POINTER, 0);
            try {
                MemorySegment arguments = arena.allocate(POINTER, options.size());
                for (int i = 0; i < options.size(); i++) {
                    arguments.setAtIndex(POINTER, i, arena.allocateFrom(options.get(i)));
                }
                int status = (int) COMPILE.invokeExact(program, options.size(), arguments);
                check("compiling " + name, status, status == 0 ? "" : log(program, arena));
                return bytes(program, arena);
            } finally {
                check("nvrtcDestroyProgram", (int) DESTROY.invokeExact(slot), "");
            }
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    private static byte[] bytes(MemorySegment program, Arena arena) throws Throwable {
        MemorySegment size = arena.allocate(ValueLayout.JAVA_LONG);
        check("nvrtcGetCUBINSize", (int) CUBIN_SIZE.invokeExact(program, size), "");
        MemorySegment image = arena.allocate(size.get(ValueLayout.JAVA_LONG, 0));
        check("nvrtcGetCUBIN", (int) CUBIN.invokeExact(program, image), "");
        return image.toArray(ValueLayout.JAVA_BYTE);
    }

    private static String log(MemorySegment program, Arena arena) throws Throwable {
        MemorySegment size = arena.allocate(ValueLayout.JAVA_LONG);
        check("nvrtcGetProgramLogSize", (int) LOG_SIZE.invokeExact(program, size), "");
        MemorySegment text = arena.allocate(size.get(ValueLayout.JAVA_LONG, 0));
        check("nvrtcGetProgramLog", (int) LOG.invokeExact(program, text), "");
        return text.getString(0);
    }

    private static void check(String call, int status, String detail) {
        if (status != 0) {
            throw new IllegalStateException(
                    call + " failed: NVRTC status " + status + (detail.isEmpty() ? "" : "\n" + detail));
        }
    }
}
