package org.mamba4j.cli;

import org.mamba4j.data.BatchSource;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.PasskeySequences;
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
        return new TrainingMixture(settings)
                .add(
                        mixture.passkey(),
                        new PasskeySequences(text, order.tokenizer(), mixture.keysByPhase(), mixture.distractors()));
    }
}
