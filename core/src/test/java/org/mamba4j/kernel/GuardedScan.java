package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Predicate;

/** Runs a {@link ScanCase} on {@link SequenceKernels} in {@link GuardedMemory}. */
final class GuardedScan {
    private GuardedScan() {}

    static Map<String, float[]> run(SequenceKernels kernels, ScanCase s, GuardedMemory.Layout layout) {
        return run(kernels, s, layout, name -> true);
    }

    /** {@code wanted}: which outputs and gradients, by name, are asked for; the others are not in the result. */
    static Map<String, float[]> run(
            SequenceKernels kernels, ScanCase s, GuardedMemory.Layout layout, Predicate<String> wanted) {
        int batch = s.batch();
        int length = s.length();
        int channels = s.channels();
        int states = s.states();
        long state = (long) batch * channels * states;
        try (GuardedMemory memory = new GuardedMemory(layout)) {
            MemorySegment checkpoints =
                    memory.output(kernels.scanCheckpointBytes(batch, length, channels, states) / Float.BYTES);
            ScanArguments arguments = ScanArguments.builder()
                    .u(memory.input(s.u(), batch, length, channels))
                    .delta(memory.input(s.delta(), batch, length, channels))
                    .a(memory.input(s.a()))
                    .b(memory.input(s.b(), batch, length, states))
                    .c(memory.input(s.c(), batch, length, states))
                    .d(memory.input(s.d()))
                    .deltaBias(memory.input(s.deltaBias()))
                    .z(s.z().length == 0 ? Rows.ABSENT : memory.input(s.z(), batch, length, channels))
                    .softplus(s.softplus())
                    .initialState(memory.input(s.initialState()))
                    .y(memory.output(batch, length, channels))
                    .lastState(wanted.test("lastState") ? memory.output(state) : MemorySegment.NULL)
                    .checkpoints(checkpoints)
                    .build();
            kernels.scanForward(arguments);
            memory.check();

            Rows gradY = memory.input(s.gradY(), batch, length, channels);
            boolean gate = s.z().length > 0 && wanted.test("grad z");
            ScanGradients gradients = ScanGradients.builder()
                    .y(gradY)
                    .lastState(memory.input(s.gradLastState()))
                    .u(rows(memory, wanted.test("grad u"), batch, length, channels))
                    .delta(rows(memory, wanted.test("grad delta"), batch, length, channels))
                    .a(memory.output(wanted.test("grad a") ? s.a().length : 0))
                    .b(rows(memory, wanted.test("grad b"), batch, length, states))
                    .c(rows(memory, wanted.test("grad c"), batch, length, states))
                    .d(memory.output(wanted.test("grad d") ? s.d().length : 0))
                    .deltaBias(memory.output(wanted.test("grad deltaBias") ? s.deltaBias().length : 0))
                    .z(rows(memory, gate, batch, length, channels))
                    .initialState(memory.output(wanted.test("grad initialState") ? state : 0))
                    .build();
            kernels.scanBackward(arguments, gradients);
            memory.check();

            Map<String, float[]> results = new LinkedHashMap<>();
            results.put("y", GuardedMemory.read(arguments.y()));
            results.put("lastState", GuardedMemory.read(arguments.lastState()));
            results.put("grad u", GuardedMemory.read(gradients.u()));
            results.put("grad delta", GuardedMemory.read(gradients.delta()));
            results.put("grad a", GuardedMemory.read(gradients.a()));
            results.put("grad b", GuardedMemory.read(gradients.b()));
            results.put("grad c", GuardedMemory.read(gradients.c()));
            results.put("grad d", GuardedMemory.read(gradients.d()));
            results.put("grad deltaBias", GuardedMemory.read(gradients.deltaBias()));
            results.put("grad z", GuardedMemory.read(gradients.z()));
            results.put("grad initialState", GuardedMemory.read(gradients.initialState()));
            results.keySet().removeIf(wanted.negate());
            return results;
        }
    }

    private static Rows rows(GuardedMemory memory, boolean wanted, int batch, int length, int channels) {
        return wanted ? memory.output(batch, length, channels) : Rows.ABSENT;
    }
}
