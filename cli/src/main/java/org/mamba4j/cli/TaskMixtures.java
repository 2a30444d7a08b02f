package org.mamba4j.cli;

import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.data.BatchSource;
import org.mamba4j.tasks.DocumentSequences;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.PasskeySequences;
import org.mamba4j.tasks.Squad;
import org.mamba4j.tasks.TrainingMixture;
import org.mamba4j.torch.train.Mixtures;
import org.mamba4j.torch.train.TrainConfig;

/** Makes the tasks that a recipe's {@code mixture} asks for: trainer and tasks do not know each other. */
final class TaskMixtures implements Mixtures {
    @Override
    public BatchSource make(Order order) {
        Filler text = Filler.of(order.text());
        TrainConfig.Mixture mixture = order.mixture();
        TrainingMixture.Settings settings = new TrainingMixture.Settings(
                text,
                order.course(),
                order.tokenizer().vocabSize(),
                order.textWeight(),
                order.answerWeight(),
                order.seed());
        TrainingMixture made = new TrainingMixture(settings)
                .add(
                        mixture.passkey(),
                        new PasskeySequences(text, order.tokenizer(), mixture.keysByPhase(), mixture.distractors()));
        return mixture.documents() == 0 ? made : made.add(mixture.documents(), documents(order, text));
    }

    private static DocumentSequences documents(Order order, Filler text) {
        String questions = order.mixture().questions();
        if (questions.equals("none")) {
            throw new UserError("mixture.documents is " + order.mixture().documents()
                    + ", but there are no questions: give a file in SQuAD's layout with --set mixture.questions=FILE");
        }
        return new DocumentSequences(
                text, order.tokenizer(), Squad.read(Path.of(questions)).forTraining());
    }
}
