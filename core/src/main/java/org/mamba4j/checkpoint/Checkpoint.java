package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.DeciMambaConfig;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * A model on disk: a folder with config.json and model.safetensors, or several files that
 * model.safetensors.index.json lists, which is what Hugging Face's {@code save_pretrained} writes and {@code
 * from_pretrained} reads; or a GGUF file, which is what llama.cpp reads.
 *
 * <p>Opening checks that the files hold exactly the parameters that the configuration implies, each with a floating
 * type and its shape; after that every parameter goes by its canonical name ({@link ModelConfig#parameters()}),
 * whatever the files call it. Parameters are mapped, not read. Safe to use from many threads until it is closed.
 */
public final class Checkpoint implements AutoCloseable {
    /** What the trainer calls the folder of a run's checkpoints. */
    public static final String FOLDER_OF_A_RUN = "checkpoints";

    private final Path folder;
    private final ModelConfig config;
    private final List<Path> files;
    private final Map<String, StoredTensor> parameters;
    private final Runnable closing;
    private final Map<String, Shape> shapes = new HashMap<>();

    private Checkpoint(
            Path folder, ModelConfig config, List<Path> files, Map<String, StoredTensor> parameters, Runnable closing) {
        this.folder = folder;
        this.config = config;
        this.files = files;
        this.parameters = parameters;
        this.closing = closing;
        config.parameters().forEach(spec -> shapes.put(spec.name(), spec.shape()));
    }

    /**
     * Opens the checkpoint in a folder or a GGUF file.
     *
     * @throws UserError if a file is missing or damaged, the configuration asks for something unknown, or a tensor is
     *     missing, unexpected or of another type or shape than the configuration implies; names the tensor, both shapes
     *     and the file
     */
    public static Checkpoint open(Path path) {
        return open(path, false);
    }

    /**
     * The same, for those who read parameters through {@link #format} and {@link #data}: some may be quantised, see
     * {@link Quantiser}.
     *
     * @throws UserError as {@link #open(Path)} does
     */
    public static Checkpoint openQuantised(Path path) {
        return open(path, true);
    }

    private static Checkpoint open(Path path, boolean quantised) {
        if (Files.isRegularFile(path)) {
            return openGguf(path, quantised);
        }
        if (!Files.isDirectory(path)) {
            throw new UserError(path + " is not a folder with " + ModelConfig.FILE_NAME + " and " + WeightFiles.SINGLE
                    + ", nor a GGUF file");
        }
        Path checkpoints = path.resolve(FOLDER_OF_A_RUN);
        if (!Files.exists(path.resolve(ModelConfig.FILE_NAME)) && Files.isDirectory(checkpoints)) {
            throw new UserError(
                    path + " is the folder of a training run: open one of the checkpoints in " + checkpoints);
        }
        ModelConfig config = ModelConfig.read(path);
        List<SafetensorsFile> files = WeightFiles.open(path);
        try {
            Map<String, StoredTensor> stored = index(files);
            config = withPaddedVocabulary(config, stored);
            return new Checkpoint(
                    path,
                    config,
                    files.stream().map(SafetensorsFile::path).toList(),
                    match(path, config, stored, quantised),
                    () -> files.forEach(SafetensorsFile::close));
        } catch (RuntimeException e) {
            files.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    private static Checkpoint openGguf(Path path, boolean quantised) {
        GgufFile file = GgufFile.open(path);
        Arena arena = Arena.ofShared();
        try {
            ModelConfig config = GgufMamba.config(file);
            Map<String, StoredTensor> stored = GgufMamba.tensors(file, arena);
            return new Checkpoint(path, config, List.of(path), match(path, config, stored, quantised), () -> {
                arena.close();
                file.close();
            });
        } catch (RuntimeException e) {
            arena.close();
            file.close();
            throw e;
        }
    }

    private static Map<String, StoredTensor> index(List<SafetensorsFile> files) {
        Map<String, StoredTensor> stored = new LinkedHashMap<>();
        for (SafetensorsFile file : files) {
            file.tensors().forEach((name, info) -> {
                StoredTensor other = stored.putIfAbsent(name, new StoredTensor.InSafetensors(file, info));
                if (other != null) {
                    throw new UserError(
                            "tensor " + JsonText.quoted(name) + " is in both " + other.file() + " and " + file.path());
                }
            });
        }
        return stored;
    }

    /**
     * Some checkpoints say how many tokens there are and hold an embedding padded to a multiple of a power of two, for
     * faster products. Its rows count; a shape that no such padding explains is left for {@link #match} to refuse.
     */
    private static ModelConfig withPaddedVocabulary(ModelConfig config, Map<String, StoredTensor> stored) {
        for (String name : namesOf(config.embedding())) {
            StoredTensor embedding = stored.get(name);
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

    private static Map<String, StoredTensor> match(
            Path folder, ModelConfig config, Map<String, StoredTensor> stored, boolean quantised) {
        if (config.nLayer() > stored.size()) {
            // Before making a list as long as config.json pleases.
            throw new UserError(folder + ": " + description(folder) + " says " + config.nLayer()
                    + " layers, but the files hold only " + stored.size() + " tensors");
        }
        Map<String, StoredTensor> parameters = new HashMap<>();
        Set<String> unexpected = new HashSet<>(stored.keySet());
        for (TensorSpec spec : config.parameters()) {
            StoredTensor found = find(folder, spec, stored, quantised);
            check(spec, found, quantised);
            parameters.put(spec.name(), found);
            namesOf(spec).forEach(unexpected::remove);
        }
        stored.forEach((name, tensor) -> {
            if (unexpected.contains(name) && !config.isBuffer(name)) {
                throw new UserError(tensor.file() + ": tensor " + JsonText.quoted(tensor.name()) + " "
                        + tensor.info().shape() + " is not part of the model that " + description(folder)
                        + " describes");
            }
        });
        return parameters;
    }

    /** What says which parameters there are. */
    private static String description(Path path) {
        return Files.isDirectory(path) ? ModelConfig.FILE_NAME : "the header";
    }

    private static List<String> namesOf(TensorSpec spec) {
        List<String> names = new ArrayList<>();
        names.add(spec.name());
        names.addAll(spec.aliases());
        return names;
    }

    /** The tensor under any of its names; under several, as for a tied head stored twice, they must be equal. */
    private static StoredTensor find(
            Path folder, TensorSpec spec, Map<String, StoredTensor> stored, boolean quantised) {
        List<StoredTensor> found = namesOf(spec).stream()
                .filter(stored::containsKey)
                .map(stored::get)
                .toList();
        if (found.isEmpty()) {
            String remedy = spec.name().equals("lm_head.weight") && Files.isDirectory(folder)
                    ? "; if the head is the embedding, config.json must say \"tie_word_embeddings\": true"
                    : "";
            throw new UserError(folder + ": tensor " + JsonText.quoted(spec.name()) + " " + spec.shape() + ", which "
                    + description(folder) + " implies, is missing" + remedy);
        }
        StoredTensor first = found.getFirst();
        for (StoredTensor other : found.subList(1, found.size())) {
            check(spec, other, quantised);
            boolean equal = other.info().dtype() == first.info().dtype()
                    && other.info().shape().equals(first.info().shape())
                    && other.data().mismatch(first.data()) < 0;
            if (!equal) {
                throw new UserError(other.file() + ": tensors " + JsonText.quoted(first.name()) + " and "
                        + JsonText.quoted(other.name()) + " differ, but config.json says that they are one"
                        + " (\"tie_word_embeddings\")");
            }
        }
        return first;
    }

    private static void check(TensorSpec spec, StoredTensor found, boolean quantised) {
        if (found.isQuantised()) {
            if (!quantised) {
                throw new UserError(found.file() + ": tensor " + JsonText.quoted(found.name())
                        + " is quantised, which only the engine java reads: take the checkpoint that it was made from");
            }
            checkQuantised(spec, found);
            return;
        }
        found.requireShape(spec.shape());
        DType dtype = found.info().dtype();
        if (!dtype.isFloating()) {
            throw new UserError(found.file() + ": tensor " + JsonText.quoted(found.name()) + " is " + dtype
                    + ", but a parameter must be F64, F32, F16 or BF16");
        }
    }

    private static void checkQuantised(TensorSpec spec, StoredTensor found) {
        WeightFormat format = found.format();
        Shape shape = spec.shape();
        if (shape.rank() != 2 || !format.fits(shape.size(1)) || found.info().dtype() != DType.U8) {
            throw new UserError(found.file() + ": tensor " + JsonText.quoted(found.name()) + " " + shape
                    + " cannot be stored as " + format + " in " + found.info().dtype());
        }
        found.requireShape(Shape.of(shape.size(0), format.bytes(shape.size(1))));
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
        Map<String, StoredTensor> rest = new HashMap<>();
        memory.mamba().parameters().forEach(spec -> rest.put(spec.name(), stored(spec.name())));
        return new Checkpoint(folder, memory.mamba(), files, rest, closing);
    }

    /**
     * The same weights as a DeciMamba, which leaves tokens of long texts out. It uses the same files, so closing one closes
     * the other.
     *
     * @throws UserError if the model is no Mamba, or has fewer layers than {@code decimation} names
     */
    public Checkpoint decimated(DecimationConfig decimation) {
        MambaConfig mamba = switch (config) {
            case MambaConfig plain -> plain;
            case DeciMambaConfig other -> other.mamba();
            default ->
                throw new UserError(folder + " holds a model of type " + config.modelType()
                        + ": tokens can be left out of a mamba only");
        };
        return new Checkpoint(folder, new DeciMambaConfig(mamba, decimation), files, parameters, closing);
    }

    /** The folder that was opened, or the GGUF file. */
    public Path folder() {
        return folder;
    }

    /** The configuration, its vocabulary as great as the embedding that was found. */
    public ModelConfig config() {
        return config;
    }

    /** The files of weights. */
    public List<Path> files() {
        return files;
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

    /** Whether a parameter's numbers lie in blocks that share a scale; {@link #info} is then that of their bytes. */
    public boolean isQuantised(String canonicalName) {
        return stored(canonicalName).isQuantised();
    }

    /** Type, shape and place of a parameter as it is stored. */
    public TensorInfo info(String canonicalName) {
        return stored(canonicalName).info();
    }

    /** The bytes of a parameter, read-only and not copied. Valid until this is closed. */
    public MemorySegment data(String canonicalName) {
        return stored(canonicalName).data();
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
     * A of a layer, -exp(A_log), float32, where that is what the file holds in the place of A_log.
     *
     * @param canonicalName of A_log
     */
    public Optional<MemorySegment> decay(String canonicalName) {
        return stored(canonicalName) instanceof GgufMamba.Decay decay ? decay.a() : Optional.empty();
    }

    /**
     * A copy of a parameter as floats, whatever its type.
     *
     * @throws UserError if it has more elements than an array
     */
    public float[] floats(String canonicalName) {
        return stored(canonicalName).floats();
    }

    /** Tells this model from others; see {@link ModelFingerprint}. */
    public String fingerprint() {
        return ModelFingerprint.of(config, (name, index) -> stored(name).get(index));
    }

    private StoredTensor stored(String canonicalName) {
        StoredTensor stored = parameters.get(canonicalName);
        if (stored == null) {
            throw new IllegalArgumentException("no parameter " + canonicalName);
        }
        return stored;
    }

    @Override
    public void close() {
        closing.run();
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
