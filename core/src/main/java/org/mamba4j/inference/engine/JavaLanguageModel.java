package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Requests;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.Rows;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaStack;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.LazyTokenizer;
import org.mamba4j.text.Tokenizer;

/** A model on core's kernels; the package's description says how it works. */
public final class JavaLanguageModel implements LanguageModel {
    /** Tokens of one pass: enough that the weights are read rarely, few enough that activations stay in a cache. */
    static final int CHUNK = 256;

    private final MambaStack config;
    private final Checkpoint checkpoint;
    private final Layer.Kernels kernels;
    private final Matrix embedding;
    private final List<Layer> layers;
    private final List<List<MemoryLayer>> memories; // one of each layer, or none
    private final SideBySide sideBySide;
    private final MemorySegment norm;
    private final Head head;
    private final Pool<Chunk> chunks;

    /** Activations of a pass of many tokens. */
    private record Chunk(Activations at, MemoryActivations memory) {}

    private final Users users;
    private final StringBuilder fingerprint = new StringBuilder();
    private final LazyTokenizer tokenizer;

    private JavaLanguageModel(Checkpoint checkpoint, Arena arena, Layer.Kernels kernels) {
        this.checkpoint = checkpoint;
        this.kernels = kernels;
        config = supported(checkpoint);
        tokenizer = new LazyTokenizer(checkpoint.folder());
        Weights weights = new Weights(checkpoint, arena);
        embedding = weights.matrix(config.embedding().name());
        layers = IntStream.range(0, config.nLayer())
                .mapToObj(i -> Layer.of(mamba(), weights, i))
                .toList();
        memories = IntStream.range(0, config.nLayer())
                .mapToObj(i -> memory(weights, i))
                .toList();
        sideBySide = new SideBySide(layers, memories, kernels);
        norm = weights.floats("backbone.norm_f.weight");
        head = new Head(mamba().tieEmbeddings() ? embedding : weights.matrix("lm_head.weight"), kernels.dense(), arena);
        int longest = tokensToBorder(0);
        chunks = new Pool<>(
                () -> new Chunk(Activations.allocate(mamba(), longest, arena), memoryActivations(longest, arena)));
        users = new Users(() -> {
            arena.close();
            checkpoint.close();
        });
    }

    private List<MemoryLayer> memory(Weights weights, int layer) {
        return config instanceof MemMambaConfig memory && memory.takesNotes(layer)
                ? List.of(new MemoryLayer(memory, weights, layer))
                : List.of();
    }

    /**
     * Opens the model of a checkpoint folder on the best kernels of this machine.
     *
     * @throws UserError if the folder does not hold a sound checkpoint
     */
    public static JavaLanguageModel open(Path folder) {
        return open(folder, new Layer.Kernels(Kernels.dense(), Kernels.best()));
    }

    /**
     * Opens the model of a checkpoint on the best kernels of this machine.
     *
     * @param checkpoint from now on closed with the model, and at once if this fails
     */
    public static JavaLanguageModel open(Checkpoint checkpoint) {
        return open(checkpoint, new Layer.Kernels(Kernels.dense(), Kernels.best()));
    }

    static JavaLanguageModel open(Path folder, Layer.Kernels kernels) {
        return open(Checkpoint.openQuantised(folder), kernels);
    }

    private static JavaLanguageModel open(Checkpoint checkpoint, Layer.Kernels kernels) {
        Arena arena = Arena.ofShared();
        boolean opened = false;
        try {
            JavaLanguageModel model = new JavaLanguageModel(checkpoint, arena, kernels);
            opened = true;
            return model;
        } finally {
            if (!opened) {
                arena.close();
                checkpoint.close();
            }
        }
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public Tokenizer tokenizer() {
        return tokenizer.get();
    }

    /** The configuration of the blocks. */
    MambaConfig mamba() {
        return config.mamba();
    }

    private static MambaStack supported(Checkpoint checkpoint) {
        if (checkpoint.config() instanceof MambaStack config) {
            return config;
        }
        throw new UserError(checkpoint.folder() + " holds a model of type "
                + checkpoint.config().modelType() + ", which the engine java does not compute: take the engine torch");
    }

    /** Activations of the memories for {@code length} tokens, of none if the model has no memory. */
    MemoryActivations memoryActivations(int length, Arena owner) {
        return config instanceof MemMambaConfig memory
                ? MemoryActivations.allocate(memory, length, owner)
                : MemoryActivations.NONE;
    }

    /** Tokens of the longest pass after {@code tokens}: up to where pools change. */
    int tokensToBorder(long tokens) {
        return config instanceof MemMambaConfig memory
                ? Math.min(CHUNK, (int)
                        (memory.memory().chunkSize() - tokens % memory.memory().chunkSize()))
                : CHUNK;
    }

    /** The memory of each layer, or none. */
    List<List<MemoryLayer>> memories() {
        return memories;
    }

    List<Layer> layers() {
        return layers;
    }

    /** Made when first needed, since it reads from every parameter, and a program that has just started has better to do. */
    String fingerprint() {
        synchronized (fingerprint) {
            if (fingerprint.isEmpty()) {
                users.enter();
                try {
                    fingerprint.append(checkpoint.fingerprint());
                } finally {
                    users.leave();
                }
            }
            return fingerprint.toString();
        }
    }

    @Override
    public State newState() {
        return new JavaState(this);
    }

    @Override
    public State loadState(Path file) {
        return Requests.loaded(new JavaState(this), state -> state.load(file));
    }

    @Override
    public void prefill(State state, int[] tokens) {
        read(state, tokens, tokens.length, (hidden, first) -> {});
    }

    @Override
    public void step(State state, int token) {
        JavaState own = own(state);
        Requests.checkToken(token, vocabSize());
        users.enter();
        try {
            step(own, token);
        } finally {
            users.leave();
        }
    }

    @Override
    public float[] logits(State state) {
        float[] values = new float[vocabSize()];
        logits(state, values);
        return values;
    }

    @Override
    public void logits(State state, float[] target) {
        JavaState own = own(state);
        Requests.checkHasRead(own);
        users.enter();
        try {
            head.logits(own.hidden(), target);
        } finally {
            Reference.reachabilityFence(own);
            users.leave();
        }
    }

    @Override
    public void score(State state, int[] tokens, int from, RowConsumer consumer) {
        read(state, tokens, from, (hidden, first) -> head.hand(hidden, first, consumer));
    }

    @Override
    public void hidden(State state, int[] tokens, int from, RowConsumer consumer) {
        float[] row = new float[config.dModel()];
        read(state, tokens, from, (hidden, first) -> Head.hand(hidden, first, row, consumer));
    }

    /** Sees what a pass made. */
    @FunctionalInterface
    private interface Output {
        /**
         * @param hidden of the positions that are wanted (1, L, d), L from 1
         * @param first index of the first of them
         */
        void accept(Rows hidden, int first);
    }

    /** Reads {@code tokens} and shows what the head takes of those from {@code from} on. */
    private void read(State state, int[] tokens, int from, Output output) {
        Requests.checkFrom(from, tokens);
        JavaState own = own(state);
        Requests.checkTokens(tokens, vocabSize());
        users.enter();
        try {
            int start = 0;
            while (start < tokens.length) {
                int count = Math.min(tokensToBorder(own.tokensSeen()), tokens.length - start);
                pass(own, tokens, start, count, from, output);
                start += count;
            }
        } finally {
            users.leave();
        }
    }

    private void pass(JavaState state, int[] tokens, int start, int count, int from, Output output) {
        Chunk borrowed = chunks.take();
        try {
            Activations at = borrowed.at().first(count);
            MemoryActivations m = borrowed.memory().first(count);
            for (int t = 0; t < count; t++) {
                embedding.copyRow(tokens[start + t], at.x(), t);
            }
            Rows timeStep = at.selection().columns(0, mamba().dtRank());
            Rows added = Rows.ABSENT;
            for (int i = 0; i < layers.size(); i++) {
                added = read(i, at, added, m, state.notes(i, m), state);
                layers.get(i).forward(at, added, timeStep, state.sequence(i, at), kernels);
                added = at.out();
            }
            finalNorm(at, at.u());
            state.keepHidden(at.u());
            state.advance(count);
            if (from < start + count) {
                int first = Math.max(start, from);
                output.accept(at.u().steps(first - start, start + count - first), first);
            }
        } finally {
            chunks.giveBack(borrowed);
        }
    }

    private void step(JavaState state, int token) {
        Activations at = state.step();
        embedding.copyRow(token, at.x(), 0);
        Rows added = Rows.ABSENT;
        for (int i = 0; i < layers.size(); i++) {
            added = read(i, at, added, state.memoryStep(), state.stepNotes(i), state);
            layers.get(i).forward(at, added, state.stepTimeStep(), state.stepSequence(i), kernels);
            added = at.out();
        }
        finalNorm(at, state.hidden());
        state.advance(1);
    }

    @Override
    public void step(List<State> states, int[] tokens) {
        Requests.checkBatch(states, tokens, vocabSize());
        List<JavaState> own = states.stream().map(this::own).toList();
        users.enter();
        try {
            for (int first = 0; first < tokens.length; ) {
                first += step(own, tokens, first);
            }
        } finally {
            users.leave();
        }
    }

    /** One token in each of as many states, from number {@code first} on, as go into a pass; how many. */
    private int step(List<JavaState> states, int[] tokens, int first) {
        Chunk borrowed = chunks.take();
        try {
            int count = Math.min(borrowed.at().length(), states.size() - first);
            Activations at = borrowed.at().first(count);
            List<JavaState> some = states.subList(first, first + count);
            for (int i = 0; i < count; i++) {
                embedding.copyRow(tokens[first + i], at.x(), i);
            }
            sideBySide.step(some, at, at.selection().columns(0, mamba().dtRank()));
            finalNorm(at, at.u());
            for (int i = 0; i < count; i++) {
                SideBySide.copy(at.u(), i, some.get(i).hidden(), 0);
                some.get(i).advance(1);
            }
            return count;
        } finally {
            chunks.giveBack(borrowed);
        }
    }

    @Override
    public List<float[]> logits(List<State> states) {
        List<JavaState> own = states.stream().map(this::own).toList();
        own.forEach(Requests::checkHasRead);
        List<float[]> all = new ArrayList<>();
        users.enter();
        Chunk borrowed = chunks.take();
        try {
            Rows room = borrowed.at().u();
            for (int first = 0; first < own.size(); first += room.length()) {
                int count = Math.min(room.length(), own.size() - first);
                for (int i = 0; i < count; i++) {
                    SideBySide.copy(own.get(first + i).hidden(), 0, room, i);
                }
                head.hand(room.steps(0, count), 0, (position, row) -> all.add(row.clone()));
            }
            return all;
        } finally {
            chunks.giveBack(borrowed);
            users.leave();
        }
    }

    /** What layer {@code number} takes and reads before its mixer; what is then still to be added. */
    private Rows read(
            int number,
            Activations at,
            Rows added,
            MemoryActivations m,
            List<MemoryLayer.Notes> notes,
            JavaState state) {
        if (notes.isEmpty()) {
            return added;
        }
        return memories.get(number).getFirst().forward(at, added, m, notes.getFirst(), state.tokensSeen(), kernels);
    }

    private void finalNorm(Activations at, Rows hidden) {
        kernels.dense().addNorm(at.x(), at.out(), norm, (float) mamba().normEpsilon(), hidden);
    }

    private JavaState own(State state) {
        if (state instanceof JavaState own && own.isOf(this)) {
            return own;
        }
        throw Requests.foreignState();
    }

    /** The weights are let go when the last pass that is under way has ended. */
    @Override
    public void close() {
        users.close();
    }
}
