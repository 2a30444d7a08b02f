package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.memory.Replacement;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

class NoteSelectionTest {
    private static final float NEVER = Float.NEGATIVE_INFINITY;

    record Case(int batch, int held, int start, int length, int chunk, int places, Replacement replacement) {
        int offset() {
            return start % chunk;
        }

        int candidates() {
            return held + offset() + length;
        }
    }

    static Stream<Case> cases() {
        List<Case> all = new ArrayList<>();
        for (Replacement replacement : List.of(Replacement.PRIORITY, Replacement.FIFO, new Replacement(2))) {
            for (int places : new int[] {1, 3, 7}) {
                for (int length : new int[] {1, 3, 4, 5, 8, 31, 64}) {
                    all.add(new Case(2, 0, 0, length, 4, places, replacement));
                    all.add(new Case(1, Math.min(places, 2), 7, length, 4, places, replacement));
                    all.add(new Case(1, 1, 8, length, 4, places, replacement));
                }
            }
        }
        return all.stream();
    }

    /** Few distinct values, so that ties are frequent, some tokens that are not noted, and one ranked above all. */
    private static float[] ranks(Case c, Random random) {
        float[] rank = new float[c.batch * c.candidates()];
        for (int i = 0; i < rank.length; i++) {
            int value = random.nextInt(8);
            rank[i] = value < 3 ? NEVER : value;
        }
        rank[rank.length / 2] = Float.POSITIVE_INFINITY;
        for (int i = 0; i < c.held; i++) {
            rank[i] = 9 - i; // a pool is in order
        }
        return rank;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void bothEqualASortOfTheWholeHistory(Case c) {
        for (long seed = 0; seed < 3; seed++) {
            float[] rank = ranks(c, new Random(seed));
            boolean isMixed = !c.replacement.isPriority() && !c.replacement.isFifo();
            for (NoteSelection selection :
                    isMixed ? List.of(new RankedSelection()) : List.of(new RankedSelection(), new MergedSelection())) {
                assertThat(pools(selection, c, rank))
                        .as("%s, %s, seed %d", selection.getClass().getSimpleName(), c, seed)
                        .isEqualTo(expected(c, rank));
            }
        }
    }

    private static List<List<Integer>> pools(NoteSelection selection, Case c, float[] rank) {
        return TensorScope.call(() -> {
            Chunks chunks = new Chunks(c.batch, c.length, c.chunk, c.start);
            Tensor ranks = Tensors.of(rank, c.batch, c.candidates());
            NoteSelection.Pools pools = selection.select(
                    new NoteSelection.Candidates(ranks, c.held, c.offset(), chunks),
                    c.replacement,
                    tokens -> c.places,
                    c.places);
            long[] index = Tensors.toLongs(pools.index());
            float[] filled = Tensors.toFloats(pools.filled().to(ScalarType.Float));
            assertThat(pools.index().shape()).containsExactly(c.batch, chunks.boundaries(), c.places);
            List<List<Integer>> all = new ArrayList<>();
            for (int from = 0; from < index.length; from += c.places) {
                List<Integer> pool = new ArrayList<>();
                for (int i = 0; i < c.places; i++) {
                    if (filled[from + i] == 1) {
                        assertThat(pool).as("no gaps").hasSize(i);
                        pool.add((int) index[from + i]);
                    } else {
                        assertThat(index[from + i]).isZero();
                    }
                }
                all.add(pool);
            }
            return all;
        });
    }

    private static List<List<Integer>> expected(Case c, float[] rank) {
        List<List<Integer>> all = new ArrayList<>();
        int boundaries = (c.offset() + c.length) / c.chunk + 1;
        for (int b = 0; b < c.batch; b++) {
            int base = b * c.candidates();
            for (int boundary = 0; boundary < boundaries; boundary++) {
                List<Integer> history = new ArrayList<>();
                for (int i = 0; i < c.held + boundary * c.chunk; i++) {
                    if (rank[base + i] > NEVER) {
                        history.add(i);
                    }
                }
                int newest = Math.min(c.replacement.newest(), c.places);
                List<Integer> last = history.subList(Math.max(0, history.size() - newest), history.size());
                List<Integer> pool = new ArrayList<>(history.subList(0, history.size() - last.size()).stream()
                        .sorted(Comparator.comparingDouble((Integer i) -> -rank[base + i])
                                .thenComparing(Comparator.naturalOrder()))
                        .limit(c.places - newest)
                        .toList());
                pool.addAll(last);
                all.add(List.copyOf(pool));
            }
        }
        return all;
    }

    @Test
    void growingPoolsKeepWhatTheyHave() {
        TensorScope.run(() -> {
            Chunks chunks = new Chunks(1, 12, 4, 0);
            Tensor rank = Tensors.of(new float[] {1, 2, 3, 4, 9, 8, 7, 6, 5, 5, 5, 5}, 1, 12);
            NoteSelection.Candidates candidates = new NoteSelection.Candidates(rank, 0, 0, chunks);
            NoteSelection.Pools pools =
                    new RankedSelection().select(candidates, Replacement.PRIORITY, tokens -> tokens < 8 ? 1 : 3, 3);
            assertThat(Tensors.toLongs(pools.index())).containsExactly(0, 0, 0, 3, 0, 0, 4, 5, 6, 4, 5, 6);
            assertThat(Tensors.toFloats(pools.filled().to(ScalarType.Float)))
                    .containsExactly(0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1);
            assertThatThrownBy(() -> new MergedSelection()
                            .select(candidates, Replacement.PRIORITY, tokens -> tokens < 8 ? 1 : 3, 3))
                    .hasMessageContaining("one capacity");
        });
    }
}
