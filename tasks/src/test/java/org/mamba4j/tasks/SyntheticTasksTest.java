package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.mamba4j.data.Batch;

class SyntheticTasksTest {
    @Test
    void inductionAsksForWhatFollowedThePrefix() {
        InductionHeads task = new InductionHeads(20, 64, 1);
        Set<Integer> places = new HashSet<>();
        Batch batch = task.batch(3);
        for (int row = 0; row < 64; row++) {
            int from = row * 20;
            int[] tokens = Arrays.copyOfRange(batch.inputs(), from, from + 20);
            assertThat(tokens[19]).isEqualTo(14);
            int place = 0;
            while (tokens[place] != 14) {
                place++;
            }
            places.add(place);
            assertThat(Arrays.stream(tokens).filter(token -> token == 14)).hasSize(2);
            assertThat(Arrays.stream(tokens)).allMatch(token -> token >= 0 && token <= 14);
            assertThat(batch.targets()[from + 19]).isEqualTo(tokens[place + 1]).isLessThan(14);
        }
        assertThat(places).hasSizeGreaterThan(12).contains(17).allMatch(place -> place <= 17);
        assertThat(sum(batch.weights())).isBetween(0.9999, 1.0001);
        assertThat(batch.weights()[19]).isEqualTo(1f / 64);
        assertThat(batch.weights()[18]).isZero();
    }

    @Test
    void selectiveCopyingAsksForTheDataInOrder() {
        SelectiveCopying task = new SelectiveCopying(40, 5, 16, 64, 1);
        Batch batch = task.batch(3);
        int[] used = new int[40];
        for (int row = 0; row < 64; row++) {
            int from = row * 40;
            int found = 0;
            for (int i = 0; i < 35; i++) {
                int token = batch.inputs()[from + i];
                assertThat(token).isBetween(0, 14);
                if (token != 0) {
                    used[i]++;
                    assertThat(batch.targets()[from + 35 + found]).isEqualTo(token);
                    found++;
                }
            }
            assertThat(found).isEqualTo(5);
            for (int i = 35; i < 40; i++) {
                assertThat(batch.inputs()[from + i]).isEqualTo(15);
                assertThat(batch.weights()[from + i]).isEqualTo(1f / (64 * 5));
            }
        }
        assertThat(sum(batch.weights())).isBetween(0.9999, 1.0001);
        // 64 sequences of 5 in 35 places: 9 on average, with a deviation below 3.
        assertThat(Arrays.stream(used, 0, 35)).allMatch(times -> times > 0 && times < 22);
    }

    @Test
    void fillsAllPlacesWhereThereAreNoMore() {
        Batch batch = new SelectiveCopying(8, 4, 3, 2, 1).batch(0);
        assertThat(batch.inputs()).containsExactly(1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2);
    }

    @Test
    void equalNumbersGiveEqualBatches() {
        assertThat(new InductionHeads(16, 4, 9).batch(5).inputs())
                .isEqualTo(new InductionHeads(16, 4, 9).batch(5).inputs())
                .isNotEqualTo(new InductionHeads(16, 4, 9).batch(6).inputs())
                .isNotEqualTo(new InductionHeads(16, 4, 8).batch(5).inputs());
        assertThat(new SelectiveCopying(64, 4, 16, 4, 9).batch(5).inputs())
                .isEqualTo(new SelectiveCopying(64, 4, 16, 4, 9).batch(5).inputs())
                .isNotEqualTo(new SelectiveCopying(64, 4, 16, 4, 9).batch(6).inputs());
    }

    @Test
    void refusesImpossibleSizes() {
        assertThatThrownBy(() -> new InductionHeads(3, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new SelectiveCopying(7, 4, 16, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new SelectiveCopying(8, 4, 2, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new InductionHeads(8, 1, 1).batch(-1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> new SelectiveCopying(8, 4, 3, 1, 1).batch(-1))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    private static double sum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum;
    }
}
