package org.mamba4j.cli;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.mamba4j.UserError;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.train.ProgressLine;
import org.mamba4j.torch.train.TrainConfig;
import org.mamba4j.torch.train.TrainSession;
import org.mamba4j.torch.train.Trainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "train",
        description = {
            "Train a model as a recipe says.",
            "",
            "The run's folder gets checkpoints, metrics and the configuration with all its keys. Ctrl-C saves a checkpoint before it ends the run.",
            "",
            "With --nproc, processes share the work of each step. Over hosts, start the command on each with the same --world-size and --master and its own --rank (or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment); all need the text and the run's folder under the same paths."
        },
        footer = {"", "Example:  ./mamba4j train recipes/demo.yaml --set out=runs/mine --set seed=2"})
final class TrainCommand implements Callable<Integer> {
    @Parameters(paramLabel = "CONFIG.yaml", description = "The recipe; those in recipes/ explain every key.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path config;

    @Option(
            names = "--set",
            paramLabel = "key=value",
            description = "Replace a value of the recipe, for example optimiser.lr=1e-3; may be given several times.")
    private List<String> overrides = new ArrayList<>();

    @Option(
            names = "--resume",
            description =
                    "Continue the run in the recipe's folder from its newest checkpoint (default: start a new run).")
    private boolean resume;

    @Option(
            names = "--stop-after",
            paramLabel = "MINUTES",
            description =
                    "Save and end after so many minutes, to go on later with --resume (default: at the run's end).")
    private double minutes = Double.POSITIVE_INFINITY;

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda|cuda:N",
            description = "Where to train; the same as --set device=... (default: what the recipe says, or cpu).")
    private String device = "";

    @Option(
            names = "--precision",
            paramLabel = "float32|bfloat16",
            description = "The same as --set precision=... (default: what the recipe says, or float32).")
    private String precision = "";

    @Mixin
    private final RankOptions processes = new RankOptions();

    @Override
    public Integer call() {
        List<String> all = new ArrayList<>(overrides);
        if (!device.isEmpty()) {
            all.add("device=" + device);
        }
        if (!precision.isEmpty()) {
            all.add("precision=" + precision);
        }
        TrainConfig resolved = TrainConfig.load(config, all);
        return processes.run(
                resolved.device(), ranks -> Trainer.checkRanks(resolved, ranks), ranks -> train(resolved, ranks));
    }

    private void train(TrainConfig resolved, Ranks ranks) {
        TrainSession session =
                TrainSession.of(progressLine()).with(new TaskMixtures()).among(ranks);
        if (minutes != Double.POSITIVE_INFINITY) {
            session = session.atMost(limit());
        }
        if (resume) {
            Trainer.resume(resolved, session);
        } else {
            Trainer.train(resolved, session);
        }
    }

    private Duration limit() {
        if (!(minutes > 0 && minutes <= 1e6)) {
            throw new UserError("--stop-after " + minutes + ": must be a number of minutes above 0");
        }
        return Duration.ofMillis(Math.round(minutes * 60_000));
    }

    static ProgressLine progressLine() {
        return new ProgressLine(System.out, Terminal.STDOUT.isInteractive());
    }
}
