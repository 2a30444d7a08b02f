package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.checkpoint.GgufTensor;
import org.mamba4j.checkpoint.GgufValue;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.TensorInfo;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "inspect",
        description = "Show a model's configuration, tensors and sizes, or the tensors of a safetensors or GGUF file.",
        footer = {"", "Example:  ./mamba4j inspect models/memmamba"})
final class InspectCommand implements Runnable {
    @Parameters(paramLabel = "MODEL", description = "Checkpoint folder, run folder, .safetensors or .gguf file.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path model;

    @Option(names = "--no-tensors", description = "Leave the list of tensors out (default: false).")
    private boolean withoutTensors;

    @Override
    public void run() {
        if (!Files.exists(model)) {
            throw new UserError("there is no " + model + ": give a checkpoint folder, a .safetensors or a .gguf file");
        }
        if (Files.isDirectory(model)) {
            inspectFolder(ModelOptions.checkpoint(model));
        } else if (GgufFile.isOne(model)) {
            inspectGguf(model);
        } else {
            inspectFile(model);
        }
    }

    /** Everything that the file says, whatever model it holds. */
    private void inspectGguf(Path path) {
        try (GgufFile file = GgufFile.open(path)) {
            heading("metadata", path + ", GGUF version " + file.version());
            Table metadata = new Table("ll");
            file.metadata().forEach((key, value) -> metadata.row(key, shown(value)));
            metadata.lines().forEach(System.out::println);
            System.out.println();
            Collection<GgufTensor> tensors = file.tensors().values();
            if (!withoutTensors) {
                heading("tensors", "innermost dimension last");
                Table table = new Table("lllr");
                tensors.forEach(tensor -> table.row(
                        tensor.name(), tensor.type().name(), tensor.shape().toString(), number(tensor.bytes())));
                table.lines().forEach(System.out::println);
                System.out.println();
            }
            heading("sizes", "");
            sizes(
                    tensors.size(),
                    tensors.stream()
                            .mapToLong(tensor -> tensor.shape().elements())
                            .sum(),
                    tensors.stream().mapToLong(GgufTensor::bytes).sum());
        }
    }

    /** One line, not too long. */
    private static String shown(GgufValue value) {
        String text = JsonText.quoted(value.toString());
        return text.substring(1, text.length() - 1);
    }

    private static void sizes(long tensors, long elements, long bytes) {
        new Table("lr")
                .row("tensors", number(tensors))
                .row("elements", number(elements))
                .row("bytes", number(bytes))
                .lines()
                .forEach(System.out::println);
    }

    private void inspectFolder(Path folder) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            inspectCheckpoint(folder, checkpoint);
        }
    }

    private void inspectCheckpoint(Path folder, Checkpoint checkpoint) {
        ModelConfig config = checkpoint.config();
        int named = ModelConfig.read(folder).vocabSize();
        heading("configuration", folder.resolve(ModelConfig.FILE_NAME).toString());
        Table keys = new Table("ll");
        for (Map.Entry<String, JsonValue> field : config.toJson().fields().entrySet()) {
            keys.row(field.getKey(), JsonText.compact(field.getValue()));
        }
        keys.lines().forEach(System.out::println);
        System.out.println();
        if (!withoutTensors) {
            heading("parameters", "as the files hold them");
            Table tensors = new Table("lllr");
            for (TensorSpec tensor : config.parameters()) {
                tensors.row(
                        tensor.name(),
                        checkpoint.info(tensor.name()).dtype().name(),
                        tensor.shape().toString(),
                        number(tensor.shape().elements()));
            }
            tensors.lines().forEach(System.out::println);
            System.out.println();
        }
        heading("sizes", "");
        Table sizes = new Table("lr");
        if (config.vocabSize() != named) {
            sizes.row("tokens, before padding", number(named));
        }
        sizes.row("parameters", number(config.parameterCount()))
                .row("state of one sequence, bytes", number(config.stateBytes()))
                .lines()
                .forEach(System.out::println);
    }

    private void inspectFile(Path path) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            Collection<TensorInfo> tensors = file.tensors().values();
            if (!file.metadata().isEmpty()) {
                heading("metadata", path.toString());
                Table metadata = new Table("ll");
                file.metadata().forEach(metadata::row);
                metadata.lines().forEach(System.out::println);
                System.out.println();
            }
            if (!withoutTensors) {
                heading("tensors", path.toString());
                Table table = new Table("lllr");
                tensors.forEach(tensor -> table.row(
                        tensor.name(), tensor.dtype().name(), tensor.shape().toString(), number(tensor.bytes())));
                table.lines().forEach(System.out::println);
                System.out.println();
            }
            heading("sizes", "");
            sizes(
                    tensors.size(),
                    tensors.stream()
                            .mapToLong(tensor -> tensor.shape().elements())
                            .sum(),
                    tensors.stream().mapToLong(TensorInfo::bytes).sum());
        }
    }

    private static void heading(String title, String of) {
        System.out.println(Terminal.STDOUT.bold(title) + (of.isEmpty() ? "" : "  " + Terminal.STDOUT.dim(of)));
    }

    private static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }
}
