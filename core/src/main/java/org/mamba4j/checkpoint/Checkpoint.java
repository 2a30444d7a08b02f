package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * A model on disk: a folder with config.json and model.safetensors, or several files that
 * model.safetensors.index.json lists. It is what Hugging Face's {@code save_pretrained} writes and {@code
 * from_pretrained} reads.
 *
 * <p>Opening checks that the files hold exactly the parameters that the configuration implies, each with a floating
 * type and its shape; after that every parameter goes by its canonical name ({@link ModelConfig#parameters()}),
 * whatever the files call it. Parameters are mapped, not read. Safe to use from many threads until it is closed.
 */
public final class Checkpoint implements AutoCloseable {
    private final Path folder;
    private final ModelConfig config;
    private final List<SafetensorsFile> files;
    private final Map<String, Stored> parameters;
    private final Map<String, Shape> shapes = new HashMap<>();

    /** Where a parameter lies. */
    private record Stored(SafetensorsFile file, String name) {
        private TensorInfo info() {
            return file.info(name);
        }

        private boolean isQuantised() {
            return file.metadata().containsKey(Quantiser.METADATA + name);
        }

        private WeightFormat format() {
            if (!isQuantised()) {
                return switch (info().dtype()) {
                    case F32 -> WeightFormat.F32;
                    case BF16 -> WeightFormat.BF16;
                    case F16 -> WeightFormat.F16;
                    default -> throw new IllegalArgumentException(name + " is " + info().dtype());
                };
            }
            String format = String.valueOf(file.metadata().get(Quantiser.METADATA + name));
            return switch (format) {
                case "Q8" -> WeightFormat.Q8;
                case "Q4" -> WeightFormat.Q4;
                default ->
                    throw new UserError(file.path() + ": tensor " + JsonText.quoted(name) + " is in the format "
                            + JsonText.quoted(format) + ", which this program does not know");
            };
        }

        private float get(long index) {
            return isQuantised()
                    ? format().get(file.data(name), index)
                    : info().dtype().getFloat(file.data(name), index);
        }
    }

    private Checkpoint(Path folder, ModelConfig config, List<SafetensorsFile> files, Map<String, Stored> parameters) {
        this.folder = folder;
        this.config = config;
        this.files = files;
        this.parameters = parameters;
        config.parameters().forEach(spec -> shapes.put(spec.name(), spec.shape()));
    }

    /**
     * Opens the checkpoint in {@code folder}.
     *
     * @throws UserError if a file is missing or damaged, the configuration asks for something unknown, or a tensor is
     *     missing, unexpected or of another type or shape than the configuration implies; names the tensor, both shapes
     *     and the file
     */
    public static Checkpoint open(Path folder) {
        return open(folder, false);
    }

    /**
     * The same, for those who read parameters through {@link #format} and {@link #data}: some may be quantised, see
     * {@link Quantiser}.
     *
     * @throws UserError as {@link #open(Path)} does
     */
    public static Checkpoint openQuantised(Path folder) {
        return open(folder, true);
    }

    private static Checkpoint open(Path folder, boolean quantised) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(
                    folder + " is not a folder with " + ModelConfig.FILE_NAME + " and " + WeightFiles.SINGLE);
        }
        ModelConfig config = ModelConfig.read(folder);
        List<SafetensorsFile> files = WeightFiles.open(folder);
        try {
            Map<String, Stored> stored = index(files);
            config = withPaddedVocabulary(config, stored);
            return new Checkpoint(folder, config, files, match(folder, config, stored, quantised));
        } catch (RuntimeException e) {
            files.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    private static Map<String, Stored> index(List<SafetensorsFile> files) {
        Map<String, Stored> stored = new LinkedHashMap<>();
        for (SafetensorsFile file : files) {
            for (String name : file.tensors().keySet()) {
                Stored other = stored.putIfAbsent(name, new Stored(file, name));
                if (other != null) {
                    throw new UserError("tensor " + JsonText.quoted(name) + " is in both "
                            + other.file().path() + " and " + file.path());
                }
            }
        }
        return stored;
    }

    /**
     * Some checkpoints say how many tokens there are and hold an embedding padded to a multiple of a power of two, for
     * faster products. Its rows count; a shape that no such padding explains is left for {@link #match} to refuse.
     */
    private static ModelConfig withPaddedVocabulary(ModelConfig config, Map<String, Stored> stored) {
        for (String name : namesOf(config.embedding())) {
            Stored embedding = stored.get(name);
            if (embedding != null && embedding.info().shape().rank() == 2) {
                long rows = embedding.info().shape().size(0);
                for (int multiple = 2; multiple <= 256; multiple *= 2) {
                    if (rows == (long) Math.ceilDiv(config.vocabSize(), multiple) * multiple) {
                        return config.withVocabSize((int) rows);
                    }
                }
            }
        }
        return config;
    }

    private static Map<String, Stored> match(
            Path folder, ModelConfig config, Map<String, Stored> stored, boolean quantised) {
        if (config.nLayer() > stored.size()) {
            // Before making a list as long as config.json pleases.
            throw new UserError(folder + ": config.json says " + config.nLayer() + " layers, but the files hold only "
                    + stored.size() + " tensors");
        }
        Map<String, Stored> parameters = new HashMap<>();
        Set<String> unexpected = new HashSet<>(stored.keySet());
        for (TensorSpec spec : config.parameters()) {
            Stored found = find(folder, spec, stored, quantised);
            check(spec, found, quantised);
            parameters.put(spec.name(), found);
            namesOf(spec).forEach(unexpected::remove);
        }
        for (Stored tensor : stored.values()) {
            if (unexpected.contains(tensor.name())) {
                throw new UserError(tensor.file().path() + ": tensor " + JsonText.quoted(tensor.name()) + " "
                        + tensor.info().shape() + " is not part of the model that config.json describes");
            }
        }
        return parameters;
    }

    private static List<String> namesOf(TensorSpec spec) {
        List<String> names = new ArrayList<>();
        names.add(spec.name());
        names.addAll(spec.aliases());
        return names;
    }

    /** The tensor under any of its names; under several, as for a tied head stored twice, they must be equal. */
    private static Stored find(Path folder, TensorSpec spec, Map<String, Stored> stored, boolean quantised) {
        List<Stored> found = namesOf(spec).stream()
                .filter(stored::containsKey)
                .map(stored::get)
                .toList();
        if (found.isEmpty()) {
            String remedy = spec.name().equals("lm_head.weight")
                    ? "; if the head is the embedding, config.json must say \"tie_word_embeddings\": true"
                    : "";
            throw new UserError(folder + ": tensor " + JsonText.quoted(spec.name()) + " " + spec.shape()
                    + ", which config.json implies, is missing" + remedy);
        }
        Stored first = found.getFirst();
        for (Stored other : found.subList(1, found.size())) {
            check(spec, other, quantised);
            boolean equal = other.info().dtype() == first.info().dtype()
                    && other.info().shape().equals(first.info().shape())
                    && other.file().data(other.name()).mismatch(first.file().data(first.name())) < 0;
            if (!equal) {
                throw new UserError(other.file().path() + ": tensors " + JsonText.quoted(first.name()) + " and "
                        + JsonText.quoted(other.name()) + " differ, but config.json says that they are one"
                        + " (\"tie_word_embeddings\")");
            }
        }
        return first;
    }

    private static void check(TensorSpec spec, Stored found, boolean quantised) {
        if (found.isQuantised()) {
            if (!quantised) {
                throw new UserError(found.file().path() + ": tensor " + JsonText.quoted(found.name())
                        + " is quantised, which only the engine java reads: take the checkpoint that it was made from");
            }
            checkQuantised(spec, found);
            return;
        }
        found.file().requireShape(found.name(), spec.shape());
        DType dtype = found.info().dtype();
        if (!dtype.isFloating()) {
            throw new UserError(found.file().path() + ": tensor " + JsonText.quoted(found.name()) + " is " + dtype
                    + ", but a parameter must be F64, F32, F16 or BF16");
        }
    }

    private static void checkQuantised(TensorSpec spec, Stored found) {
        WeightFormat format = found.format();
        Shape shape = spec.shape();
        if (shape.rank() != 2 || !format.fits(shape.size(1)) || found.info().dtype() != DType.U8) {
            throw new UserError(found.file().path() + ": tensor " + JsonText.quoted(found.name()) + " " + shape
                    + " cannot be stored as " + format + " in " + found.info().dtype());
        }
        found.file().requireShape(found.name(), Shape.of(shape.size(0), format.bytes(shape.size(1))));
    }

    /**
     * The same model reading nothing of what it notes: the Mamba that is left of a MemMamba without its memory, by the same
     * weights. It uses the same files, so closing one closes the other.
     *
     * @throws UserError if the model takes no notes
     */
    public Checkpoint withoutNotes() {
        if (!(config instanceof MemMambaConfig memory)) {
            throw new UserError(folder + " holds a model of type " + config.modelType()
                    + ", which takes no notes that could be switched off");
        }
        Map<String, Stored> rest = new HashMap<>();
        memory.mamba().parameters().forEach(spec -> rest.put(spec.name(), stored(spec.name())));
        return new Checkpoint(folder, memory.mamba(), files, rest);
    }

    /** The folder that was opened. */
    public Path folder() {
        return folder;
    }

    /** The configuration, its vocabulary as great as the embedding that was found. */
    public ModelConfig config() {
        return config;
    }

    /** The files of weights. */
    public List<SafetensorsFile> files() {
        return List.copyOf(files);
    }

    /** The shape that a parameter has, however it is stored. */
    public Shape shape(String canonicalName) {
        Shape shape = shapes.get(canonicalName);
        if (shape == null) {
            throw new IllegalArgumentException("no parameter " + canonicalName);
        }
        return shape;
    }

    /** Whether the model has such a parameter. */
    public boolean has(String canonicalName) {
        return parameters.containsKey(canonicalName);
    }

    /** Type, shape and place of a parameter as it is stored. */
    public TensorInfo info(String canonicalName) {
        return stored(canonicalName).info();
    }

    /** The bytes of a parameter, read-only and not copied. Valid until this is closed. */
    public MemorySegment data(String canonicalName) {
        Stored stored = stored(canonicalName);
        return stored.file().data(stored.name());
    }

    /**
     * What the numbers of a parameter look like in {@link #data}.
     *
     * @throws IllegalArgumentException if it is F64, which matrices are not used as
     */
    public WeightFormat format(String canonicalName) {
        return stored(canonicalName).format();
    }

    /**
     * A copy of a parameter as floats, whatever its type, unless it is quantised.
     *
     * @throws UserError if it has more elements than an array
     */
    public float[] floats(String canonicalName) {
        Stored stored = stored(canonicalName);
        return stored.file().floats(stored.name());
    }

    /** Tells this model from others; see {@link ModelFingerprint}. */
    public String fingerprint() {
        return ModelFingerprint.of(config, (name, index) -> stored(name).get(index));
    }

    private Stored stored(String canonicalName) {
        Stored stored = parameters.get(canonicalName);
        if (stored == null) {
            throw new IllegalArgumentException("no parameter " + canonicalName);
        }
        return stored;
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }

    /**
     * Writes a checkpoint that transformers can read. A folder that does not exist yet appears as a whole or not at
     * all; in one that exists both files are complete on the disk before they replace what was there, weights first.
     *
     * @param folder its parent must exist
     * @param tensors every parameter of {@code config} once, by its canonical name
     * @throws UserError if a file cannot be written; what was there before is then unchanged
     * @throws IllegalArgumentException if a tensor is missing, unexpected or of another shape than {@code config} implies
     */
    public static void write(Path folder, ModelConfig config, List<SafetensorsWriter.Tensor> tensors) {
        requireParameters(config, tensors);
        writeFolder(folder, config, Map.of("format", "pt"), tensors);
    }

    /** The same with tensors and metadata of any kind. */
    static void writeFolder(
            Path folder, ModelConfig config, Map<String, String> metadata, List<SafetensorsWriter.Tensor> tensors) {
        if (Files.isDirectory(folder)) {
            writeFiles(folder, config, metadata, tensors);
            return;
        }
        Path absolute = folder.toAbsolutePath().normalize();
        Path parent = absolute.getParent();
        if (parent == null || Files.exists(folder)) {
            throw new UserError(folder + " cannot be written: it is not a folder");
        }
        Path temporary = AtomicFile.temporary(parent, absolute.getFileName());
        try {
            Files.createDirectory(temporary);
            writeFiles(temporary, config, metadata, tensors);
            Files.move(temporary, absolute);
            AtomicFile.sync(parent);
        } catch (IOException e) {
            throw notWritten(folder, e, parent);
        } catch (UserError e) {
            // It names the temporary folder, which nobody knows.
            throw e.getCause() instanceof IOException cause ? notWritten(folder, cause, parent) : e;
        } finally {
            AtomicFile.deleteQuietly(temporary.resolve(WeightFiles.SINGLE));
            AtomicFile.deleteQuietly(temporary.resolve(ModelConfig.FILE_NAME));
            AtomicFile.deleteQuietly(temporary);
        }
    }

    private static UserError notWritten(Path folder, IOException e, Path parent) {
        return new UserError(folder + " cannot be written: " + AtomicFile.reason(e, parent), e);
    }

    private static void writeFiles(
            Path folder, ModelConfig config, Map<String, String> metadata, List<SafetensorsWriter.Tensor> tensors) {
        AtomicFile.Body weights = SafetensorsWriter.body(metadata, tensors);
        AtomicFile.Body text = AtomicFile.body(JsonText.pretty(config.toJson()) + "\n");
        // Both are complete before either takes its name: a full disk changes neither.
        try (AtomicFile.Pending first = AtomicFile.prepare(folder.resolve(WeightFiles.SINGLE), weights);
                AtomicFile.Pending second = AtomicFile.prepare(folder.resolve(ModelConfig.FILE_NAME), text)) {
            first.commit();
            second.commit();
        }
    }

    private static void requireParameters(ModelConfig config, List<SafetensorsWriter.Tensor> tensors) {
        Map<String, Shape> given = new HashMap<>();
        tensors.forEach(tensor -> given.put(tensor.name(), tensor.shape()));
        for (TensorSpec spec : config.parameters()) {
            Shape shape = given.remove(spec.name());
            if (!spec.shape().equals(shape)) {
                throw new IllegalArgumentException("parameter " + spec.name() + " must be " + spec.shape() + ", but is "
                        + (shape == null ? "missing" : shape));
            }
        }
        if (!given.isEmpty()) {
            throw new IllegalArgumentException("not parameters of the model: " + given.keySet());
        }
    }
}
