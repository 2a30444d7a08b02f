package org.mamba4j.torch.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import org.mamba4j.UserError;

/** A shared library whose C functions return an int status: opened once, never closed. */
@SuppressWarnings("restricted") // calling native code is what this class is for
final class NativeLibrary {
    /** C's size_t, long long and CUdeviceptr. */
    static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

    /** C's int, unsigned int and enums. */
    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

    /** Any pointer. */
    static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private final String name;
    private final SymbolLookup symbols;

    private NativeLibrary(String name, SymbolLookup symbols) {
        this.name = name;
        this.symbols = symbols;
    }

    /**
     * Opens the first of {@code names} that the dynamic linker finds.
     *
     * @param remedy what the user can do when none is found
     */
    static NativeLibrary open(List<String> names, String remedy) {
        for (String name : names) {
            try {
                return new NativeLibrary(name, SymbolLookup.libraryLookup(name, Arena.global()));
            } catch (IllegalArgumentException notFound) {
                // the next name may be there
            }
        }
        throw new UserError("none of the libraries " + String.join(", ", names) + " can be opened: " + remedy);
    }

    /** A handle for the function {@code symbol}, which returns int and takes {@code parameters}. */
    MethodHandle function(String symbol, MemoryLayout... parameters) {
        MemorySegment address = symbols.find(symbol)
                .orElseThrow(() -> new UserError(name + " has no function " + symbol
                        + ": it is too old for this program (CUDA 12.4 or newer is needed)"));
        return Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(INT, parameters));
    }

    /** What a caller of {@code MethodHandle.invokeExact} throws for {@code e}, which no C function throws. */
    static RuntimeException rethrow(Throwable e) {
        return switch (e) {
            case RuntimeException runtime -> runtime;
            case Error error -> throw error;
            default -> new IllegalStateException(e);
        };
    }
}
