package org.mamba4j.torch.cuda;

import static org.mamba4j.torch.cuda.NativeLibrary.INT;
import static org.mamba4j.torch.cuda.NativeLibrary.LONG;
import static org.mamba4j.torch.cuda.NativeLibrary.POINTER;
import static org.mamba4j.torch.cuda.NativeLibrary.rethrow;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;

/**
 * The few functions of the CUDA driver that this program calls. All act on the current context of the calling thread:
 * libtorch's, which is the device's primary one.
 */
final class Driver {
    private static final NativeLibrary LIBRARY = NativeLibrary.open(
            List.of("libcuda.so.1", "libcuda.so", "nvcuda.dll"), "install NVIDIA's driver, or use --device cpu");

    private static final MethodHandle GET_ERROR_STRING = LIBRARY.function("cuGetErrorString", INT, POINTER);
    private static final MethodHandle MODULE_LOAD_DATA = LIBRARY.function("cuModuleLoadData", POINTER, POINTER);
    private static final MethodHandle MODULE_GET_FUNCTION =
            LIBRARY.function("cuModuleGetFunction", POINTER, POINTER, POINTER);
    private static final MethodHandle MODULE_GET_GLOBAL =
            LIBRARY.function("cuModuleGetGlobal_v2", POINTER, POINTER, POINTER, POINTER);
    private static final MethodHandle COPY_TO_HOST = LIBRARY.function("cuMemcpyDtoH_v2", POINTER, LONG, LONG);
    private static final MethodHandle FUNCTION_SET_ATTRIBUTE =
            LIBRARY.function("cuFuncSetAttribute", POINTER, INT, INT);
    private static final MethodHandle LAUNCH_KERNEL =
            LIBRARY.function("cuLaunchKernelEx", POINTER, POINTER, POINTER, POINTER);
    private static final MethodHandle CONTEXT_GET_CURRENT = LIBRARY.function("cuCtxGetCurrent", POINTER);
    private static final MethodHandle CONTEXT_SET_CURRENT = LIBRARY.function("cuCtxSetCurrent", POINTER);
    private static final MethodHandle PRIMARY_CONTEXT_RETAIN =
            LIBRARY.function("cuDevicePrimaryCtxRetain", POINTER, INT);
    private static final MethodHandle STREAM_BEGIN_CAPTURE = LIBRARY.function("cuStreamBeginCapture_v2", POINTER, INT);
    private static final MethodHandle STREAM_END_CAPTURE = LIBRARY.function("cuStreamEndCapture", POINTER, POINTER);
    private static final MethodHandle GRAPH_INSTANTIATE =
            LIBRARY.function("cuGraphInstantiateWithFlags", POINTER, POINTER, LONG);
    private static final MethodHandle GRAPH_LAUNCH = LIBRARY.function("cuGraphLaunch", POINTER, POINTER);
    private static final MethodHandle GRAPH_EXEC_DESTROY = LIBRARY.function("cuGraphExecDestroy", POINTER);
    private static final MethodHandle GRAPH_DESTROY = LIBRARY.function("cuGraphDestroy", POINTER);

    private static final int MAX_DYNAMIC_SHARED_SIZE_BYTES = 8;

    /** The struct CUlaunchConfig: seven ints, the stream, the attributes and their number. */
    private static final long LAUNCH_CONFIG_BYTES = 56;

    private static final long LAUNCH_CONFIG_STREAM = 32;

    /** The struct CUlaunchAttribute: a number and, at an offset, 64 bytes for its value. */
    private static final long LAUNCH_ATTRIBUTE_BYTES = 72;

    private static final long LAUNCH_ATTRIBUTE_VALUE = 8;
    private static final int COOPERATIVE = 2;
    private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;
    private static final int CAPTURE_MODE_RELAXED = 2;

    private Driver() {}

    /**
     * Makes the context that libtorch uses this thread's, unless it has one. Threads of libtorch's own, such as those that
     * run gradients, have none before their first call of the CUDA runtime, which may come after ours.
     */
    static void useContext(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment context = arena.allocate(POINTER);
            check("cuCtxGetCurrent", (int) CONTEXT_GET_CURRENT.invokeExact(context));
            if (context.get(POINTER, 0).address() == 0) {
                check("cuDevicePrimaryCtxRetain", (int) PRIMARY_CONTEXT_RETAIN.invokeExact(context, device));
                check("cuCtxSetCurrent", (int) CONTEXT_SET_CURRENT.invokeExact(context.get(POINTER, 0)));
            }
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** Loads machine code (a CUBIN) into the current context; it stays there as long as the process. */
    static MemorySegment loadModule(byte[] cubin) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment module = arena.allocate(POINTER);
            MemorySegment image = arena.allocate(cubin.length, 16);
            MemorySegment.copy(cubin, 0, image, ValueLayout.JAVA_BYTE, 0, cubin.length);
            check("cuModuleLoadData", (int) MODULE_LOAD_DATA.invokeExact(module, image));
            return module.get(POINTER, 0);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    static MemorySegment function(MemorySegment module, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment function = arena.allocate(POINTER);
            check("cuModuleGetFunction " + name, (int)
                    MODULE_GET_FUNCTION.invokeExact(function, module, arena.allocateFrom(name)));
            return function.get(POINTER, 0);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** The {@code __device__} array of ints {@code name} of a module. */
    static int[] ints(MemorySegment module, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(LONG);
            MemorySegment size = arena.allocate(LONG);
            check("cuModuleGetGlobal " + name, (int)
                    MODULE_GET_GLOBAL.invokeExact(address, size, module, arena.allocateFrom(name)));
            MemorySegment values = arena.allocate(size.get(LONG, 0), Integer.BYTES);
            check("cuMemcpyDtoH", (int) COPY_TO_HOST.invokeExact(values, address.get(LONG, 0), values.byteSize()));
            return values.toArray(INT);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** Allows {@code function} to be launched with up to {@code bytes} of dynamic shared memory. */
    static void allowSharedMemory(MemorySegment function, int bytes) {
        try {
            check("cuFuncSetAttribute", (int)
                    FUNCTION_SET_ATTRIBUTE.invokeExact(function, MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** Launches with the kernel parameters that {@code parameters} (an array of pointers) points to. */
    static void launch(MemorySegment function, LaunchShape shape, MemorySegment stream, MemorySegment parameters) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment config = arena.allocate(LAUNCH_CONFIG_BYTES, Long.BYTES);
            int[] sizes = {
                shape.gridX(),
                shape.gridY(),
                shape.gridZ(),
                shape.blockX(),
                shape.blockY(),
                shape.blockZ(),
                shape.sharedBytes()
            };
            MemorySegment.copy(sizes, 0, config, INT, 0, sizes.length);
            config.set(POINTER, LAUNCH_CONFIG_STREAM, stream);
            int attribute = attribute(shape.start());
            if (attribute != 0) {
                MemorySegment attributes = arena.allocate(LAUNCH_ATTRIBUTE_BYTES, Long.BYTES);
                attributes.set(INT, 0, attribute);
                attributes.set(INT, LAUNCH_ATTRIBUTE_VALUE, 1);
                config.set(POINTER, LAUNCH_CONFIG_STREAM + 8, attributes);
                config.set(INT, LAUNCH_CONFIG_STREAM + 16, 1);
            }
            check("cuLaunchKernelEx", (int)
                    LAUNCH_KERNEL.invokeExact(config, function, parameters, MemorySegment.NULL));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** The driver's number for a launch attribute, 0 for none. */
    private static int attribute(LaunchShape.Start start) {
        return switch (start) {
            case AFTER -> 0;
            case ALL_AT_ONCE -> COOPERATIVE;
            case EARLY -> PROGRAMMATIC_STREAM_SERIALIZATION;
        };
    }

    /**
     * From now on {@code stream} records instead of running. Relaxed: other threads (libtorch's for backward passes) may
     * record too, and memory may be allocated meanwhile.
     */
    static void beginCapture(MemorySegment stream) {
        try {
            check("cuStreamBeginCapture", (int) STREAM_BEGIN_CAPTURE.invokeExact(stream, CAPTURE_MODE_RELAXED));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** Ends the capture on {@code stream} and returns the graph. */
    static MemorySegment endCapture(MemorySegment stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment graph = arena.allocate(POINTER);
            check("cuStreamEndCapture", (int) STREAM_END_CAPTURE.invokeExact(stream, graph));
            return graph.get(POINTER, 0);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** Makes {@code graph}, which is used up, executable. */
    static MemorySegment instantiate(MemorySegment graph) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment executable = arena.allocate(POINTER);
            int status = (int) GRAPH_INSTANTIATE.invokeExact(executable, graph, 0L);
            check("cuGraphDestroy", (int) GRAPH_DESTROY.invokeExact(graph));
            check("cuGraphInstantiate", status);
            return executable.get(POINTER, 0);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    static void launchGraph(MemorySegment executable, MemorySegment stream) {
        try {
            check("cuGraphLaunch", (int) GRAPH_LAUNCH.invokeExact(executable, stream));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    static void destroyGraph(MemorySegment executable) {
        try {
            check("cuGraphExecDestroy", (int) GRAPH_EXEC_DESTROY.invokeExact(executable));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @SuppressWarnings("restricted") // reads the C string that the driver returns
    private static void check(String call, int status) {
        if (status == 0) {
            return;
        }
        String reason = "status " + status;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(POINTER);
            if ((int) GET_ERROR_STRING.invokeExact(status, slot) == 0) {
                reason += ", " + slot.get(POINTER, 0).reinterpret(256).getString(0);
            }
        } catch (Throwable e) {
            throw rethrow(e);
        }
        throw new IllegalStateException(call + " failed: " + reason);
    }
}
