package org.mamba4j.torch.train;

import java.nio.file.Path;
import java.util.List;
import org.mamba4j.UserError;

/** A trainer in a process of its own, to be killed: {@code TrainChild CONFIG}; prints a line per step and save. */
final class TrainChild {
    private TrainChild() {}

    public static void main(String[] arguments) {
        try {
            Trainer.resume(TrainConfig.load(Path.of(arguments[0]), List.of()), new TrainListener() {
                @Override
                public void stepped(Progress progress) {
                    System.out.println("step " + progress.step());
                }

                @Override
                public void note(String line) {
                    System.out.println("note " + line);
                }

                @Override
                public void finished(TrainResult result) {
                    System.out.println(result.finished() ? "finished" : "stopped");
                }
            });
        } catch (UserError e) {
            System.out.println("error " + e.getMessage());
            System.exit(2);
        }
    }
}
