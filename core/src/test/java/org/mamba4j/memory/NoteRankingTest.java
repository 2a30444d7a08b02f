package org.mamba4j.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NoteRankingTest {
    private record Note(float importance, long position) {}

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 50})
    void priorityEqualsSortingTheWholeHistory(int capacity) {
        for (long seed = 0; seed < 20; seed++) {
            List<Note> history = new ArrayList<>();
            NoteRanking ranking = new NoteRanking(capacity, Replacement.PRIORITY);
            Random random = new Random(seed);
            for (int t = 0; t < 400; t++) {
                // Few distinct values, so that ties are frequent.
                float importance = random.nextInt(12) - 4;
                ranking.offer(importance, t, -1);
                if (importance > -1) {
                    history.add(new Note(importance, t));
                }
                List<Note> expected = history.stream()
                        .sorted(Comparator.comparingDouble((Note n) -> -n.importance)
                                .thenComparingLong(Note::position))
                        .limit(capacity)
                        .toList();
                assertThat(entries(ranking)).as("seed %d, token %d", seed, t).isEqualTo(expected);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7})
    void fifoEqualsTheTailOfTheHistory(int capacity) {
        List<Note> history = new ArrayList<>();
        NoteRanking ranking = new NoteRanking(capacity, Replacement.FIFO);
        Random random = new Random(7);
        for (int t = 0; t < 200; t++) {
            float importance = random.nextFloat();
            ranking.offer(importance, t, 0.5f);
            if (importance > 0.5f) {
                history.add(new Note(importance, t));
            }
            assertThat(entries(ranking))
                    .isEqualTo(history.subList(Math.max(0, history.size() - capacity), history.size()));
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1", "2,1", "7,3", "7,6", "12,5", "5,9"})
    void theNewestAndTheMostImportantOfThoseBefore(int capacity, int newest) {
        for (long seed = 0; seed < 20; seed++) {
            Replacement replacement = new Replacement(newest);
            NoteRanking ranking = new NoteRanking(capacity, replacement);
            List<Note> history = new ArrayList<>();
            Random random = new Random(seed);
            for (int t = 0; t < 300; t++) {
                float importance = random.nextInt(12) - 4;
                int entry = ranking.offer(importance, t, -1);
                if (importance > -1) {
                    history.add(new Note(importance, t));
                    assertThat(entry).isEqualTo(ranking.size() - 1);
                } else {
                    assertThat(entry).isEqualTo(-1);
                }
                int places = Math.min(newest, capacity);
                int first = Math.max(0, history.size() - places);
                List<Note> expected = new ArrayList<>(history.subList(0, first).stream()
                        .sorted(Comparator.comparingDouble((Note n) -> -n.importance)
                                .thenComparingLong(Note::position))
                        .limit(capacity - places)
                        .toList());
                expected.addAll(history.subList(first, history.size()));
                assertThat(entries(ranking)).as("seed %d, token %d", seed, t).isEqualTo(expected);

                NoteRanking copy = new NoteRanking(capacity, replacement);
                for (Note note : expected) {
                    assertThat(copy.restore(note.importance, note.position, expected.size()))
                            .isTrue();
                }
                assertThat(entries(copy)).isEqualTo(expected);
                assertThat(copy.important()).isEqualTo(ranking.important());
            }
        }
    }

    @Test
    void takesOverOnlyWhatARankingCanHold() {
        NoteRanking ranking = new NoteRanking(4, new Replacement(2));
        assertThat(ranking.restore(1, 5, 3)).isTrue();
        assertThat(ranking.restore(3, 7, 3)).as("the first of the newest").isTrue();
        assertThat(ranking.restore(9, 6, 3)).as("earlier than the one before").isFalse();
        assertThat(ranking.restore(9, 8, 3)).isTrue();
        assertThat(ranking.restore(9, 9, 3)).as("one too many").isFalse();
        ranking.clear();
        assertThat(ranking.restore(1, 5, 4)).isTrue();
        assertThat(ranking.restore(2, 6, 4))
                .as("more important than the one before")
                .isFalse();
        assertThat(ranking.restore(Float.NaN, 6, 4)).isFalse();
        assertThat(ranking.restore(1, 4, 4)).as("equal, but earlier").isFalse();
        ranking.clear();
        assertThat(ranking.restore(1, 5, 5)).as("more than fit").isFalse();
    }

    @Test
    void tellsWhereANoteWentAndThatALoserWentNowhere() {
        NoteRanking ranking = new NoteRanking(2, Replacement.PRIORITY);
        assertThat(ranking.offer(1, 0, 0)).isZero();
        assertThat(ranking.offer(3, 1, 0)).isZero();
        assertThat(ranking.offer(2, 2, 0)).isEqualTo(1);
        assertThat(ranking.offer(2, 3, 0)).as("an equal, later one").isEqualTo(-1);
        assertThat(ranking.offer(0, 4, 0)).as("at the threshold").isEqualTo(-1);
        assertThat(ranking.offer(Float.NaN, 5, 0)).isEqualTo(-1);
        assertThat(entries(ranking)).containsExactly(new Note(3, 1), new Note(2, 2));
        ranking.clear();
        assertThat(ranking.size()).isZero();
        assertThatThrownBy(() -> ranking.position(0)).hasMessageContaining("entry 0");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, Integer.MAX_VALUE})
    void aGrowingPoolKeepsWhatItHas(int newest) {
        Replacement replacement = new Replacement(newest);
        NoteRanking ranking = new NoteRanking(3, replacement);
        ranking.limit(1);
        ranking.offer(2, 0, 0);
        ranking.offer(1, 1, 0);
        long kept = ranking.position(0);
        assertThat(kept).isEqualTo(replacement.isFifo() ? 1 : 0);
        ranking.limit(2);
        ranking.offer(1, 2, 0);
        assertThat(entries(ranking).stream().map(Note::position)).containsExactly(kept, 2L);
        ranking.offer(5, 3, 0);
        assertThat(ranking.size()).isEqualTo(2);
        assertThatThrownBy(() -> ranking.limit(1))
                .hasMessageContaining("limit 1")
                .hasMessageContaining("holds 2");
        assertThatThrownBy(() -> ranking.limit(4)).hasMessageContaining("capacity 3");
    }

    @Test
    void refusesAnEmptyPool() {
        assertThatThrownBy(() -> new NoteRanking(0, Replacement.FIFO)).hasMessageContaining("capacity 0");
    }

    private static List<Note> entries(NoteRanking ranking) {
        List<Note> entries = new ArrayList<>();
        for (int i = 0; i < ranking.size(); i++) {
            entries.add(new Note(ranking.importance(i), ranking.position(i)));
        }
        return entries;
    }
}
