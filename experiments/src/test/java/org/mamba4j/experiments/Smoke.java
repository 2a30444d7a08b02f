package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Runs an experiment as {@code --scale smoke} does. */
final class Smoke {
    /** What was said on the way. */
    final List<String> lines = new ArrayList<>();

    private final Experiment experiment;
    private final Path out;
    private final Path data;

    Smoke(Experiment experiment, Path out) {
        this(experiment, out, SmokeData.write(experiment, out));
    }

    /** @param data folder of the data sets */
    Smoke(Experiment experiment, Path out, Path data) {
        this.experiment = experiment;
        this.out = out;
        this.data = data;
    }

    Setup setup() {
        return new Setup(Scale.SMOKE, "cpu", List.of(1L), data, 0);
    }

    /** @param models as {@code --model} has them; none for all */
    ExperimentRun.Outcome run(String... models) {
        return run(Duration.ofDays(1), models);
    }

    ExperimentRun.Outcome run(Duration atMost, String... models) {
        ExperimentRun.Order order =
                new ExperimentRun.Order(out, List.of(models), List.of(), atMost, false, "a test", "a command");
        ExperimentRun.Listener listener = new ExperimentRun.Listener() {
            @Override
            public void line(String text) {
                lines.add(text);
            }

            @Override
            public void progress(String text) {
                assertThat(text).isNotBlank();
            }
        };
        return new ExperimentRun(experiment, setup(), order, listener).run();
    }
}
