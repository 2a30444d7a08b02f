package org.mamba4j.torch;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/** What C code in this process holds. */
public final class NativeHeap {
    private NativeHeap() {}

    /** Bytes that C code in this process has allocated and not freed, as glibc counts them. */
    @SuppressWarnings("restricted") // there is no such figure in Java
    public static long allocatedBytes() {
        var function = Linker.nativeLinker().defaultLookup().find("mallinfo2");
        assumeTrue(function.isPresent(), "skipped: this C library has no mallinfo2");
        MemoryLayout layout = MemoryLayout.structLayout(java.util.stream.Stream.generate(() -> ValueLayout.JAVA_LONG)
                .limit(10)
                .toArray(MemoryLayout[]::new));
        try (Arena arena = Arena.ofConfined()) {
            var handle = Linker.nativeLinker().downcallHandle(function.get(), FunctionDescriptor.of(layout));
            MemorySegment info = (MemorySegment) handle.invokeExact((SegmentAllocator) arena);
            long mapped = info.getAtIndex(ValueLayout.JAVA_LONG, 4);
            long inUse = info.getAtIndex(ValueLayout.JAVA_LONG, 7);
            return mapped + inUse;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
