package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.mamba4j.torch.train.Schedule.Shape;

class ScheduleTest {
    @Test
    void climbsToThePeakInTheWarmup() {
        Schedule schedule = new Schedule(Shape.COSINE, 0.8, 0.1, 4, 100);

        assertThat(schedule.rate(0)).isEqualTo(0.2);
        assertThat(schedule.rate(1)).isEqualTo(0.4);
        assertThat(schedule.rate(3)).isEqualTo(0.8);
        assertThat(schedule.rate(4)).isEqualTo(0.8);
    }

    @Test
    void cosineIsHalfAWaveFromPeakToLowest() {
        Schedule schedule = new Schedule(Shape.COSINE, 3.0, 1.0, 10, 111);

        // 100 intervals after the warm-up: a quarter, a half, three quarters, the end.
        assertThat(schedule.rate(35)).isCloseTo(2 + Math.sqrt(0.5), within(1e-12));
        assertThat(schedule.rate(60)).isCloseTo(2.0, within(1e-12));
        assertThat(schedule.rate(85)).isCloseTo(2 - Math.sqrt(0.5), within(1e-12));
        assertThat(schedule.rate(110)).isEqualTo(1.0);
        assertThat(schedule.rate(1_000)).isEqualTo(1.0);
    }

    @Test
    void linearFallsByTheSameAmountEveryStep() {
        Schedule schedule = new Schedule(Shape.LINEAR, 1.0, 0.0, 0, 11);

        for (int step = 0; step <= 10; step++) {
            assertThat(schedule.rate(step)).isCloseTo(1 - step / 10.0, within(1e-15));
        }
    }

    @Test
    void constantStaysAtThePeak() {
        Schedule schedule = new Schedule(Shape.CONSTANT, 0.5, 0.1, 2, 10);

        assertThat(schedule.rate(0)).isEqualTo(0.25);
        for (int step = 1; step < 20; step++) {
            assertThat(schedule.rate(step)).isEqualTo(0.5);
        }
    }

    @Test
    void oneStepIsEnough() {
        assertThat(new Schedule(Shape.COSINE, 0.5, 0.1, 0, 1).rate(0)).isEqualTo(0.5);
        assertThat(new Schedule(Shape.LINEAR, 0.5, 0.1, 1, 2).rate(1)).isEqualTo(0.5);
    }
}
