package org.mamba4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.mamba4j.data.LengthCourse.Phase;

class LengthCourseTest {
    @Test
    void aPhaseHoldsUntilTheNextBegins() {
        LengthCourse course = new LengthCourse(
                List.of(new Phase(0, 4, 8), new Phase(3, 8, 4), new Phase(3, 16, 2), new Phase(9, 32, 1)));
        assertThat(course.phaseOf(0)).isZero();
        assertThat(course.phaseOf(2)).isZero();
        assertThat(course.phaseOf(3)).as("an empty phase is passed over").isEqualTo(2);
        assertThat(course.at(8).length()).isEqualTo(16);
        assertThat(course.at(Long.MAX_VALUE).rows()).isEqualTo(1);
        assertThat(course.atItsEnd().phaseOf(0)).isEqualTo(3);
        assertThat(LengthCourse.constant(5, 2).at(77)).isEqualTo(new Phase(0, 5, 2));
    }

    @Test
    void whatIsInNoOrderIsRefused() {
        for (List<Phase> phases : List.of(
                List.<Phase>of(),
                List.of(new Phase(1, 4, 1)),
                List.of(new Phase(0, 4, 1), new Phase(5, 4, 1), new Phase(4, 4, 1)),
                List.of(new Phase(0, 0, 1)),
                List.of(new Phase(0, 1, 0)))) {
            assertThatThrownBy(() -> new LengthCourse(phases)).isInstanceOf(IllegalArgumentException.class);
        }
    }
}
