package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.DocumentRetrieval;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.RetrievalReport;
import org.mamba4j.tasks.RetrievalResult;
import org.mamba4j.tasks.Squad;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "document-retrieval",
        description = {
            "List numbered documents and ask which of them answers a question.",
            "",
            "Every fourth article of the questions' file is asked about; recipes with documents train on the others."
        },
        footer = {"", "Example:", "  ./mamba4j eval document-retrieval --model DIR --data SQUAD.json --text BOOKS"})
final class DocumentRetrievalCommand implements Runnable {
    private static final String TASK = "document-retrieval";

    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "FILE",
            description = "Paragraphs and questions in SQuAD's JSON layout.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path data;

    @Option(
            names = "--text",
            required = true,
            paramLabel = "PATH",
            description = "Text whose stretches are documents too when the paragraphs are used up: a file, a folder, a"
                    + " glob or a zip. It should not be what the model was trained on.")
    private String text = "";

    @Option(
            names = "--documents",
            paramLabel = "LIST",
            defaultValue = "10,20,50,100,200",
            description = "How many documents there are to choose from (default: ${DEFAULT-VALUE}).")
    private String documents = "";

    @Mixin
    private final RetrievalOptions options = new RetrievalOptions();

    @Override
    public void run() {
        DocumentRetrieval.Grid grid =
                new DocumentRetrieval.Grid(counts(), options.depths(), options.trials(), options.seed());
        Tokenizer tokenizer = model.tokenizer();
        RetrievalReport report = options.report(model, TASK);
        Squad squad = Squad.read(data).forTests();
        if (squad.paragraphs().isEmpty()) {
            throw new UserError(data + " has fewer than 4 articles: every fourth one is asked about");
        }
        Filler filler = RetrievalOptions.text(text, tokenizer);
        RetrievalResult result;
        try (LanguageModel opened = model.open();
                StatusLine status = new StatusLine(TASK)) {
            result = new DocumentRetrieval(options.readers().subject(model, opened, tokenizer), squad, filler)
                    .measure(grid, status::show);
        }
        options.show(
                result,
                "number of the right document, of " + grid.trials() + " trials a cell; of the others, those beyond "
                        + squad.paragraphs().size() + " paragraphs less an article are stretches of " + text);
        report.write(result, TASK + ", " + data.getFileName() + ": answers right");
        System.err.println(Terminal.STDERR.dim("written: " + report.json() + ", " + report.png()));
    }

    private List<Integer> counts() {
        List<Integer> all = new ArrayList<>();
        for (String part : documents.split(",", -1)) {
            try {
                all.add(Integer.valueOf(part.strip()));
            } catch (NumberFormatException e) {
                throw new UserError("--documents " + documents + ": '" + part + "' is not a whole number", e);
            }
        }
        return all;
    }
}
