package org.mamba4j.torch;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.UserError;

/** libtorch in this process: loading it, its threads, its errors. */
public final class Torch {
    private static final System.Logger LOG = System.getLogger(Torch.class.getName());

    private Torch() {}

    /** Loads the native library, once; the first call takes about a second, more when the jar is unpacked first. */
    public static void load() {
        Loaded.touch();
    }

    /**
     * Sets the number of threads that one libtorch operation may use.
     *
     * @param threads from 1
     */
    public static void setThreads(int threads) {
        if (threads < 1) {
            throw new UserError("threads = " + threads + ": at least 1 is needed");
        }
        load();
        torch.set_num_threads(threads);
    }

    /** Threads that one libtorch operation may use; by default the cores of the machine. */
    public static int threads() {
        load();
        return torch.get_num_threads();
    }

    /**
     * libtorch's exception without its C++ stack.
     *
     * @param operation what was being done, named first in the message
     * @param raw what was caught; any other exception than libtorch's is returned as it is
     * @return a {@link UserError} where more memory was asked for than there is, a {@link TorchException} otherwise
     */
    public static RuntimeException translate(String operation, RuntimeException raw) {
        if (raw.getClass() != RuntimeException.class) { // JavaCPP throws C++ exceptions as exactly this
            return raw;
        }
        String text = String.valueOf(raw.getMessage());
        int stack = text.indexOf("Exception raised from");
        String message = (stack < 0 ? text : text.substring(0, stack)).strip().replaceAll("\\s*\\n\\s*", "; ");
        if (message.contains("can't allocate memory") || message.contains("out of memory")) {
            return new UserError(
                    operation + ": not enough memory (" + message + "); use a smaller batch or shorter sequences", raw);
        }
        return new TorchException(operation + ": " + message, raw);
    }

    /** Loads on first touch: what must be set before libtorch's libraries are opened is set here. */
    private static final class Loaded {
        static {
            quietThreads();
            org.bytedeco.javacpp.Loader.load(torch.class);
        }

        static void touch() {}

        /**
         * libgomp's workers spin for milliseconds after each parallel region and take the cores from the Java threads
         * that run our kernels in between; they read the policy from the environment when their library is opened.
         */
        @SuppressWarnings("restricted") // setenv has no counterpart in Java, and the variable is read by a C library
        private static void quietThreads() {
            if (System.getenv("OMP_WAIT_POLICY") != null || System.getenv("GOMP_SPINCOUNT") != null) {
                return;
            }
            Linker linker = Linker.nativeLinker();
            var setenv = linker.defaultLookup().find("setenv");
            if (setenv.isEmpty()) {
                return;
            }
            try (Arena arena = Arena.ofConfined()) {
                MethodHandle handle = linker.downcallHandle(
                        setenv.get(),
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
                MemorySegment name = arena.allocateFrom("OMP_WAIT_POLICY");
                int ignored = (int) handle.invokeExact(name, arena.allocateFrom("passive"), 0);
                LOG.log(System.Logger.Level.DEBUG, "OMP_WAIT_POLICY=passive, setenv returned {0}", ignored);
            } catch (Throwable e) {
                LOG.log(System.Logger.Level.DEBUG, "OMP_WAIT_POLICY is left alone", e);
            }
        }
    }
}
