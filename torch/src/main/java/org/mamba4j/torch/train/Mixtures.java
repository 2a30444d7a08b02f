package org.mamba4j.torch.train;

import org.mamba4j.UserError;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.data.TokenView;
import org.mamba4j.text.Tokenizer;

/** Makes what a run is trained on where its configuration asks for more than text: the trainer itself knows no task. */
@FunctionalInterface
public interface Mixtures {
    /** For runs on text alone. */
    Mixtures NONE = order -> {
        throw new UserError("mixture: this trainer makes no tasks: train with the mamba4j command");
    };

    /**
     * Sequences of text and tasks, weighted as {@link Order} says.
     *
     * @throws UserError if the order cannot be met: too little text, a file that cannot be read
     */
    BatchSource make(Order order);

    /**
     * What is wanted.
     *
     * @param text to train on, or the part that is kept for validation
     * @param course shapes of the batches
     * @param mixture shares and their options
     * @param textWeight factor of the mean loss over what is no answer
     * @param answerWeight factor of the mean loss over answers
     * @param seed of everything
     */
    record Order(
            TokenView text,
            Tokenizer tokenizer,
            LengthCourse course,
            TrainConfig.Mixture mixture,
            double textWeight,
            double answerWeight,
            long seed) {}
}
