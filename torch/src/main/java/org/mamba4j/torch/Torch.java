package org.mamba4j.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.UserError;

/** libtorch in this process: loading it, its threads, its errors. */
public final class Torch {
    private static final System.Logger LOG = System.getLogger(Torch.class.getName());

    private static final Pattern GPU_MEMORY = Pattern.compile(
            "Tried to allocate ([\\d.]+ \\w+)\\..*total capacity of ([\\d.]+ \\w+) of which ([\\d.]+ \\w+) is free");

    private static final int M_TRIM_THRESHOLD = -1;
    private static final int M_MMAP_THRESHOLD = -3;

    private Torch() {}

    /**
     * Loads the native library, once; the first call takes about a second, more when the jar is unpacked first.
     *
     * @throws UserError if it is built for GPUs and this machine lacks what it needs of CUDA
     */
    public static void load() {
        Loaded.FAILURE.ifPresent(failure -> {
            throw failure;
        });
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
     * @return {@link NotEnoughMemory} where more was asked for than there is, a {@link TorchException} otherwise
     */
    public static RuntimeException translate(String operation, RuntimeException raw) {
        if (raw.getClass() != RuntimeException.class) { // JavaCPP throws C++ exceptions as exactly this
            return raw;
        }
        String text = String.valueOf(raw.getMessage());
        int stack = text.indexOf("Exception raised from");
        String message = (stack < 0 ? text : text.substring(0, stack)).strip().replaceAll("\\s*\\n\\s*", "; ");
        if (message.contains("can't allocate memory") || message.contains("out of memory")) {
            return new NotEnoughMemory(operation + ": " + notEnough(message), raw);
        }
        return new TorchException(operation + ": " + message, raw);
    }

    private static String notEnough(String message) {
        Matcher gpu = GPU_MEMORY.matcher(message);
        return gpu.find()
                ? "not enough memory on the GPU for a tensor of " + gpu.group(1) + " (it has " + gpu.group(2)
                        + ", of which " + gpu.group(3) + " are free); use a smaller batch (optimiser.accumulate makes"
                        + " up for it), shorter sequences, precision bfloat16 or, in training, recompute"
                : "not enough memory (" + message + "); use a smaller batch or shorter sequences";
    }

    /** Loads on first touch: what must be set before libtorch's libraries are opened is set here. */
    private static final class Loaded {
        static final Optional<UserError> FAILURE;

        static {
            Linker linker = Linker.nativeLinker();
            quietThreads(linker);
            keepFreedMemory(linker);
            reportBlas();
            FAILURE = loadLibrary();
        }

        private static Optional<UserError> loadLibrary() {
            try {
                NativeLibraries.load(torch.class);
                return Optional.empty();
            } catch (UnsatisfiedLinkError e) {
                if (!System.getProperty("org.bytedeco.javacpp.platform.extension", "")
                        .equals("-gpu")) {
                    throw e;
                }
                return Optional.of(new UserError(
                        "libtorch for NVIDIA GPUs cannot be loaded (" + e.getMessage()
                                + "): it needs the libraries of CUDA 13, cuDNN 9 and NCCL where the loader finds them"
                                + " (LD_LIBRARY_PATH); without a GPU, start without MAMBA4J_CUDA",
                        e));
            }
        }

        /**
         * libgomp's workers spin for a while after each parallel region and take the cores from the Java threads that run
         * our kernels in between; they read the policy from the environment when their library is opened.
         */
        @SuppressWarnings("restricted") // the variable is read by a C library, so it must be set in C
        private static void quietThreads(Linker linker) {
            if (System.getenv("OMP_WAIT_POLICY") != null || System.getenv("GOMP_SPINCOUNT") != null) {
                return;
            }
            linker.defaultLookup().find("setenv").ifPresent(setenv -> {
                try (Arena arena = Arena.ofConfined()) {
                    MethodHandle handle =
                            linker.downcallHandle(setenv, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
                    int result = (int)
                            handle.invokeExact(arena.allocateFrom("OMP_WAIT_POLICY"), arena.allocateFrom("passive"), 0);
                    LOG.log(Level.DEBUG, "OMP_WAIT_POLICY=passive: {0}", result);
                } catch (Throwable e) {
                    LOG.log(Level.DEBUG, "OMP_WAIT_POLICY is left alone", e);
                }
            });
        }

        /**
         * A training step frees tensors of some megabytes and asks for the same sizes again. By default glibc gives such
         * memory back to the system each time, which then hands out zeroed pages, thousands a step; here it keeps them.
         */
        @SuppressWarnings("restricted") // mallopt has no counterpart in Java
        private static void keepFreedMemory(Linker linker) {
            linker.defaultLookup().find("mallopt").ifPresent(mallopt -> {
                try {
                    MethodHandle handle =
                            linker.downcallHandle(mallopt, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
                    int mmap = (int) handle.invokeExact(M_MMAP_THRESHOLD, 1 << 30);
                    int trim = (int) handle.invokeExact(M_TRIM_THRESHOLD, Integer.MAX_VALUE);
                    LOG.log(Level.DEBUG, "mallopt: {0} {1}", mmap, trim);
                } catch (Throwable e) {
                    LOG.log(Level.DEBUG, "malloc is left alone", e);
                }
            });
        }

        /** OpenBLAS picks the kernels for the CPU it finds, unless this variable names another one. */
        private static void reportBlas() {
            String forced = System.getenv("OPENBLAS_CORETYPE");
            if (forced != null) {
                LOG.log(
                        Level.DEBUG,
                        "matrix products run as on {0}, since OPENBLAS_CORETYPE says so: on a CPU with AVX-512 they are"
                                + " about twice as fast without it",
                        forced);
            }
        }
    }
}
