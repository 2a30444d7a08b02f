package org.mamba4j.inference;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/**
 * Several prompts that are continued side by side on one model. Every sequence has its own state, sampler and end; one
 * that has ended leaves the batch, and the others go on without it.
 */
final class PromptBatch {
    private final LanguageModel model;
    private final GenerationOptions options;
    private final Tokenizer tokenizer;
    private final List<Sequence> open = new ArrayList<>();

    /** @param tokenizer spells out tokens where stop texts are to be found; else of no importance */
    private PromptBatch(LanguageModel model, GenerationOptions options, Tokenizer tokenizer) {
        this.model = model;
        this.options = options;
        this.tokenizer = tokenizer;
    }

    /** {@link LanguageModel#generate(List, GenerationOptions)} for an engine that has nothing of its own. */
    static List<int[]> generate(LanguageModel model, List<int[]> prompts, GenerationOptions options) {
        Requests.checkPrompts(prompts, model.vocabSize());
        Tokenizer tokenizer = options.stop().isEmpty() ? Tokenizers.bytes() : model.tokenizer();
        PromptBatch batch = new PromptBatch(model, options, tokenizer);
        List<Sequence> all = new ArrayList<>();
        try {
            for (int i = 0; i < prompts.size(); i++) {
                all.add(batch.begin(prompts.get(i), i));
            }
            batch.open.addAll(all);
            for (int i = 0; i < options.maxNewTokens() && !batch.open.isEmpty(); i++) {
                if (i > 0) {
                    batch.read();
                }
                batch.advance();
            }
            return all.stream().map(Sequence::tokens).toList();
        } finally {
            all.forEach(sequence -> sequence.state.close());
        }
    }

    /** One prompt and what has come of it. */
    private record Sequence(State state, Sampler sampler, StreamedText text, List<Integer> generated) {
        int[] tokens() {
            return generated.stream().mapToInt(Integer::intValue).toArray();
        }
    }

    private Sequence begin(int[] prompt, int number) {
        SamplingOptions sampling = options.sampling();
        Sampler sampler = new Sampler(sampling.withSeed(sampling.seed() + number));
        for (int token : prompt) {
            sampler.observe(token);
        }
        State state = Requests.loaded(model.newState(), fresh -> model.prefill(fresh, prompt));
        return new Sequence(state, sampler, new StreamedText(options.stop()), new ArrayList<>());
    }

    /** One token more in each sequence that is open. */
    private void advance() {
        List<float[]> logits = model.logits(states(open));
        List<Sequence> going = new ArrayList<>();
        for (int i = 0; i < open.size(); i++) {
            Sequence sequence = open.get(i);
            int token = sequence.sampler.sample(choices(logits.get(i)));
            if (!options.endTokens().contains(token) && !addStops(sequence, token)) {
                going.add(sequence);
            }
        }
        open.clear();
        open.addAll(going);
    }

    private float[] choices(float[] logits) {
        return options.stop().isEmpty() || tokenizer.vocabSize() == logits.length
                ? logits
                : Arrays.copyOf(logits, tokenizer.vocabSize());
    }

    /** @return whether the token completed a stop text */
    private boolean addStops(Sequence sequence, int token) {
        sequence.sampler.observe(token);
        sequence.generated.add(token);
        return !options.stop().isEmpty() && sequence.text.add(tokenizer.bytes(token), piece -> {});
    }

    private void read() {
        int[] last =
                open.stream().mapToInt(sequence -> sequence.generated.getLast()).toArray();
        model.step(states(open), last);
    }

    private static List<State> states(List<Sequence> sequences) {
        return sequences.stream().map(Sequence::state).toList();
    }
}
