package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PrimitiveIterator;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.memory.NotePosition;
import org.mamba4j.memory.Replacement;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.Tensors;

/**
 * Which notes a pool keeps is decided by comparing scores, so two ways to read a text may rightly keep different ones
 * where two scores, or a score and the threshold, lie closer together than they are rounded alike; from there on their
 * outputs differ. Here a text is read chunk by chunk, and beside it in one piece, in parts, token by token and by the other
 * engine. Pools are compared at the end of every chunk: where they hold different tokens, the scores must lie within
 * {@value #MARGIN}, and the second reading goes on with the notes of the first. So logits must agree everywhere.
 */
class NearTiesTest {
    private static final double MARGIN = 1e-4;
    private static final int CHUNK = 16;
    private static final int LENGTH = 40 * CHUNK + 5;

    @TempDir
    Path folder;

    /** What a layer's pool holds: importance by position. */
    private record Pool(String layer, Map<Long, Float> notes) {
        float least() {
            return notes.values().stream().reduce(Float.POSITIVE_INFINITY, Math::min);
        }
    }

    /** How often. */
    private static final class Count {
        int pools;
        int close;
        int different;
        int forced;
    }

    /** Reads a part of a text, from and to a place, and hands over the logits after each token. */
    @FunctionalInterface
    private interface Reader {
        void read(State state, int[] tokens, List<float[]> logits);
    }

    private static Reader whole(LanguageModel model) {
        return (state, tokens, logits) -> model.score(state, tokens, 0, (position, row) -> logits.add(row.clone()));
    }

    private static Reader parts(LanguageModel model, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return (state, tokens, logits) -> {
            for (int from = 0, to; from < tokens.length; from = to) {
                to = Math.min(tokens.length, from + 1 + random.nextInt(7));
                model.score(state, Arrays.copyOfRange(tokens, from, to), 0, (position, row) -> logits.add(row.clone()));
            }
        };
    }

    private static Reader steps(LanguageModel model) {
        return (state, tokens, logits) -> {
            for (int token : tokens) {
                model.step(state, token);
                logits.add(model.logits(state));
            }
        };
    }

    /** Sees what each layer's pools hold at the chunks' borders of one pass. */
    private static final class Recorder implements NoteSelection {
        private final List<Candidates> candidates = new ArrayList<>();
        private final List<Pools> pools = new ArrayList<>();

        @Override
        public Pools select(Candidates given, Replacement replacement, Capacity capacity, int places) {
            Pools selected = new RankedSelection().select(given, replacement, capacity, places);
            candidates.add(new Candidates(keep(given.rank()), given.held(), given.open(), given.chunks()));
            pools.add(new Pools(keep(selected.index()), keep(selected.filled())));
            return selected;
        }

        private static Tensor keep(Tensor tensor) {
            return tensor.detach().cpu().clone().retainReference();
        }

        /** What the pool of layer {@code i} of those with one holds at border {@code c}, with the notes it had before. */
        Pool pool(int i, int c, Pool before) {
            Candidates given = candidates.get(i);
            long[] index = Tensors.toLongs(pools.get(i).index().select(1, c));
            float[] filled = Tensors.toFloats(pools.get(i).filled().select(1, c).to(ScalarType.Float));
            float[] rank = Tensors.toFloats(given.rank());
            List<Long> held = List.copyOf(before.notes().keySet());
            Map<Long, Float> notes = new LinkedHashMap<>();
            for (int place = 0; place < index.length; place++) {
                if (filled[place] > 0) {
                    int at = (int) index[place];
                    long position = at < given.held()
                            ? held.get(at)
                            : given.chunks().start() + at - given.held() - given.open();
                    notes.put(position, rank[at]);
                }
            }
            return new Pool(before.layer(), notes);
        }
    }

    /**
     * @param spread of the scores
     * @param period after which the text begins again; then scores come so close that roundings order them
     */
    @ParameterizedTest
    @CsvSource({
        "priority, 3, 10000",
        "fifo, 3, 10000",
        "priority, 1e-3, 10000",
        "priority, 3, 7",
        "priority, 3, 5",
        "fifo, 1e-4, 3"
    })
    void everyWayToReadAgreesWhereSelectionsAreForcedEqual(String replacement, double spread, int period) {
        MemMambaConfig config = new MemMambaConfig(
                MambaConfig.builder()
                        .vocabSize(MemoryModels.VOCABULARY)
                        .dModel(24)
                        .nLayer(4)
                        .dState(4)
                        .build(),
                MemoryConfig.builder()
                        .chunkSize(CHUNK)
                        .poolSize(12)
                        .summarySize(8)
                        .crossLayerPeriod(2)
                        .replacement(replacement)
                        .build());
        Recorder recorder = new Recorder();
        try (MemMamba network =
                MemoryModels.randomised(MemMamba.create(config, Gpu.kernelsUnderTest(), recorder, 5), 5)) {
            for (Parameter parameter : network.parameters()) {
                if (parameter.name().endsWith("score_out.weight")) {
                    SplittableRandom random = new SplittableRandom(6);
                    MambaInit.set(parameter, () -> spread * random.nextGaussian());
                } else if (parameter.name().endsWith("score_out.bias")) {
                    MambaInit.set(parameter, () -> 0);
                } else if (parameter.name().endsWith("embeddings.weight")) {
                    SplittableRandom random = new SplittableRandom(7);
                    MambaInit.set(parameter, () -> 0.3 * random.nextGaussian()); // logits of the size of trained ones
                }
            }
            network.save(folder.resolve("model"));
            int[] random = MemoryModels.text(LENGTH, 7);
            int[] tokens = new int[LENGTH];
            Arrays.setAll(tokens, t -> random[t % period]);
            TorchLanguageModel torch = new TorchLanguageModel(network);
            List<List<float[]>> moved = new ArrayList<>();
            for (int seed = 8; seed < 12; seed++) {
                moved.add(readByChunksMoved(network, torch, tokens, seed));
            }
            List<float[]> expected = readByChunks(torch, tokens);
            Comparison comparison = new Comparison(
                    tokens,
                    expected,
                    tolerances(expected, moved),
                    "spread by " + spread + ", text of period " + period);
            comparison.inOnePiece(torch, recorder);
            comparison.with("libtorch in parts", torch, parts(torch, 8));
            comparison.with("libtorch by tokens", torch, steps(torch));
            try (LanguageModel java = LanguageModel.open(folder.resolve("model"))) {
                comparison.with("pure Java by chunks", java, whole(java));
                comparison.with("pure Java in parts", java, parts(java, 9));
                comparison.with("pure Java by tokens", java, steps(java));
            }
        }
    }

    /** The reading of a model whose embedding differs by up to a millionth, some roundings' worth. */
    private List<float[]> readByChunksMoved(MemMamba network, LanguageModel model, int[] tokens, int seed) {
        Parameter embedding = network.parameters().stream()
                .filter(parameter -> parameter.name().endsWith("embeddings.weight"))
                .findFirst()
                .orElseThrow();
        float[] values = Tensors.toFloats(embedding.tensor());
        SplittableRandom random = new SplittableRandom(seed);
        PrimitiveIterator.OfInt moved = IntStream.range(0, values.length).iterator();
        MambaInit.set(embedding, () -> values[moved.nextInt()] * (1 + 1e-6 * random.nextDouble(-1, 1)));
        List<float[]> logits = readByChunks(model, tokens);
        PrimitiveIterator.OfInt restored = IntStream.range(0, values.length).iterator();
        MambaInit.set(embedding, () -> values[restored.nextInt()]);
        return logits;
    }

    /**
     * What logits may differ by: 1e-4, and more only where a millionth more or less in the embedding changes them by more.
     * A random model has such places, and they are few.
     */
    private static float[] tolerances(List<float[]> expected, List<List<float[]>> readings) {
        float[] tolerances = new float[expected.size()];
        int sensitive = 0;
        for (int t = 0; t < tolerances.length; t++) {
            tolerances[t] = 1e-4f;
            for (List<float[]> moved : readings) {
                for (int i = 0; i < expected.get(t).length; i++) {
                    tolerances[t] = Math.max(tolerances[t], Math.abs(moved.get(t)[i] - expected.get(t)[i]));
                }
            }
            sensitive += tolerances[t] > 1e-4f ? 1 : 0;
        }
        System.out.printf("%,d of %,d tokens are sensitive to a millionth%n", sensitive, tolerances.length);
        assertThat(sensitive).isLessThanOrEqualTo(tolerances.length / 50);
        return tolerances;
    }

    private Path border(int tokens) {
        return folder.resolve("state-" + tokens);
    }

    /** The reading that the others are compared with; its states are kept. */
    private List<float[]> readByChunks(LanguageModel model, int[] tokens) {
        List<float[]> logits = new ArrayList<>();
        try (State state = model.newState()) {
            for (int from = 0; from < tokens.length; from += CHUNK) {
                state.save(border(from));
                whole(model)
                        .read(state, Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + CHUNK)), logits);
            }
        }
        return logits;
    }

    /** One text, and what the first reading made of it. */
    private final class Comparison {
        private final int[] tokens;
        private final List<float[]> expected;
        private final float[] tolerances;
        private final String scores;

        Comparison(int[] tokens, List<float[]> expected, float[] tolerances, String scores) {
            this.tokens = tokens;
            this.expected = expected;
            this.tolerances = tolerances;
            this.scores = scores;
        }

        void with(String what, LanguageModel model, Reader reader) {
            Count count = new Count();
            State state = model.newState();
            try {
                for (int from = 0; from < tokens.length; from += CHUNK) {
                    Path here = folder.resolve("second");
                    state.save(here);
                    if (differ(what, pools(border(from)), pools(here), count)) {
                        state.close();
                        state = model.loadState(border(from));
                    }
                    List<float[]> logits = new ArrayList<>();
                    reader.read(state, Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + CHUNK)), logits);
                    assertEqual(what, from, logits);
                }
            } finally {
                state.close();
            }
            report(what, count);
        }

        /** As far as pools are the same; then from there on in one piece again. */
        void inOnePiece(LanguageModel model, Recorder recorder) {
            String what = "libtorch in one piece";
            Count count = new Count();
            int pieces = 0;
            for (int from = 0; from < tokens.length; pieces++) {
                List<Pool> before = pools(border(from));
                recorder.candidates.clear();
                recorder.pools.clear();
                List<float[]> logits = new ArrayList<>();
                try (State state = model.loadState(border(from))) {
                    whole(model).read(state, Arrays.copyOfRange(tokens, from, tokens.length), logits);
                }
                int to = from + CHUNK;
                for (boolean same = true; same && to < tokens.length; to += same ? CHUNK : 0) {
                    List<Pool> here = new ArrayList<>();
                    for (int i = 0; i < before.size(); i++) {
                        here.add(recorder.pool(i, (to - from) / CHUNK, before.get(i)));
                    }
                    same = !differ(what, pools(border(to)), here, count);
                }
                int end = Math.min(to, tokens.length);
                assertEqual(what, from, logits.subList(0, end - from));
                from = end;
            }
            assertThat(pieces).isEqualTo(count.forced + 1);
            report(what, count);
        }

        private void assertEqual(String what, int from, List<float[]> logits) {
            for (int t = 0; t < logits.size(); t++) {
                assertThat(logits.get(t))
                        .as("%s, scores %s, after token %d", what, scores, from + t)
                        .usingComparatorWithPrecision(tolerances[from + t])
                        .containsExactly(expected.get(from + t));
            }
        }

        private void report(String what, Count count) {
            System.out.printf(
                    "%s, scores %s: of %,d pools %,d had a margin below %s, %,d held other notes, forced equal %,d times%n",
                    what, scores, count.pools, count.close, MARGIN, count.different, count.forced);
        }
    }

    /** Whether pools hold different tokens; that they do so for want of a margin is asserted. */
    private static boolean differ(String what, List<Pool> first, List<Pool> second, Count count) {
        boolean any = false;
        for (int i = 0; i < first.size(); i++) {
            Pool a = first.get(i);
            Pool b = second.get(i);
            count.pools++;
            count.close += isClose(a) ? 1 : 0;
            if (a.notes().keySet().equals(b.notes().keySet())) {
                continue;
            }
            any = true;
            count.different++;
            for (Pool[] pair : new Pool[][] {{a, b}, {b, a}}) {
                Set<Long> extra = new HashSet<>(pair[0].notes().keySet());
                extra.removeAll(pair[1].notes().keySet());
                for (long position : extra) {
                    float score = pair[0].notes().getOrDefault(position, Float.NaN);
                    double margin = Math.min(Math.abs(score - pair[1].least()), Math.abs(score)); // θ is 0
                    assertThat(margin)
                            .as("%s, %s: token %d is held by one only", what, a.layer(), position)
                            .isLessThan(MARGIN);
                }
            }
        }
        count.forced += any ? 1 : 0;
        return any;
    }

    /** Whether the least note that is kept, or the threshold, leaves no margin to the next one. */
    private static boolean isClose(Pool pool) {
        double[] sorted = pool.notes().values().stream()
                .mapToDouble(Float::doubleValue)
                .sorted()
                .toArray();
        return sorted.length > 1 && (sorted[1] - sorted[0] < MARGIN || sorted[0] < MARGIN);
    }

    private static List<Pool> pools(Path state) {
        List<Pool> pools = new ArrayList<>();
        try (SafetensorsFile file = SafetensorsFile.open(state)) {
            for (String name : file.tensors().keySet()) {
                if (name.endsWith(".pool.position")) {
                    float[] position = file.floats(name);
                    float[] importance = file.floats(name.replace("position", "importance"));
                    Map<Long, Float> notes = new LinkedHashMap<>();
                    for (int i = 0; i < importance.length; i++) {
                        if (position[2 * i] != NotePosition.NONE) {
                            notes.put(NotePosition.of(position[2 * i], position[2 * i + 1]), importance[i]);
                        }
                    }
                    pools.add(new Pool(name, notes));
                }
            }
        }
        return pools;
    }
}
