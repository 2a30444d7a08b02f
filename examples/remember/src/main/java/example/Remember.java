package example;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.text.TokenReader;

/** Reads a text once, keeps what the model remembers of it in a file, and goes on from there whenever it is asked to. */
public final class Remember {
    private Remember() {}

    /** {@code MODEL TEXT STATE}, to read a text; {@code MODEL STATE}, to go on from what was read. */
    public static void main(String[] args) throws IOException {
        if (args.length != 2 && args.length != 3) {
            System.err.println("usage: Remember MODEL TEXT STATE, or to go on: Remember MODEL STATE");
            System.exit(2);
        }
        try (LanguageModel model = LanguageModel.open(Path.of(args[0]))) {
            if (args.length == 3) {
                read(model, Path.of(args[1]), Path.of(args[2]));
            } else {
                goOn(model, Path.of(args[1]));
            }
        }
    }

    /** Streams a text of any length through the model; what is held does not grow with it. */
    private static void read(LanguageModel model, Path text, Path saved) throws IOException {
        try (State state = model.newState();
                InputStream in = Files.newInputStream(text)) {
            TokenReader tokens = new TokenReader(model.tokenizer(), in, 1 << 16, 1 << 22);
            while (!tokens.isDone()) {
                model.prefill(state, tokens.next());
            }
            state.save(saved);
            System.out.println("read " + state.tokensSeen() + " tokens, kept " + state.sizeInBytes() + " bytes of them");
        }
    }

    /** Goes on with the text, as long as nobody stops it, and remembers that too. */
    private static void goOn(LanguageModel model, Path saved) {
        try (State state = model.loadState(saved)) {
            model.generate(state, GenerationOptions.DEFAULTS.withMaxNewTokens(100))
                    .forEach(System.out::print);
            System.out.println();
            state.save(saved);
        }
    }
}
