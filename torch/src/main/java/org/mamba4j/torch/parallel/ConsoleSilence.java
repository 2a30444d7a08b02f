package org.mamba4j.torch.parallel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.function.Supplier;

/** Gloo prints a line to standard output, which is the user's, when its ranks have met; nothing turns that off. */
final class ConsoleSilence {
    private static final System.Logger LOG = System.getLogger(ConsoleSilence.class.getName());
    private static final int STDOUT = 1;
    private static final int WRITE_ONLY = 1;

    private static int working;
    private static int console;

    private ConsoleSilence() {}

    /** Runs {@code work} while this process's standard output leads nowhere; in any number of threads. */
    static <T> T during(Supplier<T> work) {
        begin();
        try {
            return work.get();
        } finally {
            end();
        }
    }

    private static synchronized void begin() {
        if (working++ == 0) {
            console = redirect();
        }
    }

    private static synchronized void end() {
        if (--working == 0) {
            restore(console);
        }
    }

    @SuppressWarnings("restricted") // the descriptor belongs to the C library
    private static MethodHandle function(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
    }

    /** The descriptor under which standard output is kept; -1 where it cannot be redirected. */
    private static int redirect() {
        try (Arena arena = Arena.ofConfined()) {
            System.out.flush();
            int console = (int)
                    function("dup", FunctionDescriptor.of(JAVA_INT, JAVA_INT)).invokeExact(STDOUT);
            int nowhere = (int) function("open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT))
                    .invokeExact(arena.allocateFrom("/dev/null"), WRITE_ONLY);
            if (console >= 0 && nowhere >= 0) {
                duplicate(nowhere);
                close(nowhere);
            }
            return console;
        } catch (Throwable e) {
            LOG.log(Level.DEBUG, "standard output is left alone", e);
            return -1;
        }
    }

    private static void restore(int console) {
        if (console < 0) {
            return;
        }
        try {
            // What C has printed may still be in its buffer.
            int flushed = (int)
                    function("fflush", FunctionDescriptor.of(JAVA_INT, ADDRESS)).invokeExact(MemorySegment.NULL);
            LOG.log(Level.DEBUG, "fflush: {0}", flushed);
            duplicate(console);
            close(console);
        } catch (Throwable e) {
            LOG.log(Level.WARNING, "standard output is lost", e);
        }
    }

    private static void duplicate(int descriptor) throws Throwable {
        int result = (int) function("dup2", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT))
                .invokeExact(descriptor, STDOUT);
        LOG.log(Level.DEBUG, "dup2: {0}", result);
    }

    private static void close(int descriptor) throws Throwable {
        int result = (int)
                function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT)).invokeExact(descriptor);
        LOG.log(Level.DEBUG, "close: {0}", result);
    }
}
