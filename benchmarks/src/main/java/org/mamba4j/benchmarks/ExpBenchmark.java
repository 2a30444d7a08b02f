package org.mamba4j.benchmarks;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.mamba4j.kernel.Workers;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The yardstick of the scan: as many exponentials as {@link ScanBenchmark} computes (2048 · 1536 · 16), by the JDK's vector
 * exp, over values that stay in the first-level cache, on as many threads.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 5, time = 3)
public class ExpBenchmark {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int TOTAL = 2048 * 1536 * 16;
    private static final int ARRAY = 4096;
    private static final int TASKS = 12;

    /** Threads that share them. */
    @Param("2")
    public int threads;

    private Workers workers = new Workers(1);
    private final float[][] values = new float[TASKS][ARRAY];
    private final float[][] results = new float[TASKS][ARRAY];

    /** Compares with Math.exp. */
    @Setup
    public void setUp() {
        workers = new Workers(threads);
        for (float[] array : values) {
            for (int i = 0; i < ARRAY; i++) {
                array[i] = -10f * i / ARRAY;
            }
        }
        exps(0);
        float[] expected = new float[ARRAY];
        for (int i = 0; i < ARRAY; i++) {
            expected[i] = (float) Math.exp(values[0][i]);
        }
        Answers.assertClose("exp", results[0], expected);
        Arrays.fill(results[0], 0);
    }

    @Benchmark
    public void exps() {
        workers.run(TASKS, this::exps);
    }

    private void exps(int task) {
        float[] from = values[task];
        float[] to = results[task];
        for (int repeat = 0; repeat < TOTAL / TASKS / ARRAY; repeat++) {
            for (int i = 0; i < ARRAY; i += SPECIES.length()) {
                FloatVector.fromArray(SPECIES, from, i)
                        .lanewise(VectorOperators.EXP)
                        .intoArray(to, i);
            }
        }
    }
}
