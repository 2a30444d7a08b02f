package org.mamba4j.torch.train;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.model.ConfigSchema;
import org.mamba4j.model.ModelFamily;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * Reads YAML into a configuration record whose components carry {@link Describe}.
 *
 * <p>Jackson parses; the binding is our own, because what matters here is the message: every complaint names the file
 * or the override, the dotted key, the value and what would be allowed, and a key that nobody knows is never ignored.
 */
final class ConfigReader {
    private static final YAMLMapper YAML = YAMLMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private final String file;
    /** What to name in a message about a key that an override has set: the override itself. */
    private final Map<String, String> origins = new HashMap<>();

    private ConfigReader(String file) {
        this.file = file;
    }

    static <T extends Record> T read(Class<T> type, Path file, List<String> overrides) {
        return read(type, text(file), file.toString(), overrides);
    }

    /** The same of a text; errors call it {@code source}. */
    static <T extends Record> T read(Class<T> type, String yaml, String source, List<String> overrides) {
        ConfigReader reader = new ConfigReader(source);
        ObjectNode tree = reader.parse(yaml);
        for (String override : overrides) {
            reader.apply(override, tree, type);
        }
        return type.cast(reader.bind(type, tree, ""));
    }

    /** Whether one of the overrides is of {@code key}. */
    static boolean isSet(String key, List<String> overrides) {
        return overrides.stream().anyMatch(o -> o.split("=", 2)[0].strip().equals(key));
    }

    private static String text(Path file) {
        try {
            if (Files.isDirectory(file)) {
                throw new UserError(file + " is a folder: give a configuration file (YAML)");
            }
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (NoSuchFileException e) {
            throw new UserError("no such configuration file: " + file + " (recipes/ has some to start from)", e);
        } catch (MalformedInputException e) {
            throw new UserError(file + " is not UTF-8 text: give a configuration file (YAML)", e);
        } catch (IOException e) {
            throw new UserError("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private ObjectNode parse(String text) {
        JsonNode tree;
        try {
            tree = YAML.readTree(text);
        } catch (JacksonException e) {
            @Nullable TokenStreamLocation at = e.getLocation();
            String place =
                    at == null || at.getLineNr() < 1 ? "" : ", line " + at.getLineNr() + ", column " + at.getColumnNr();
            throw new UserError(
                    file + place + ": not YAML: "
                            + e.getOriginalMessage().strip().replaceAll("\\s+", " "),
                    e);
        }
        if (tree == null || tree.isMissingNode() || tree.isNull()) {
            return YAML.createObjectNode();
        }
        if (tree instanceof ObjectNode object) {
            return object;
        }
        throw new UserError(file + ": must be a block of keys, for example \"seed: 1\"");
    }

    /** Puts one {@code key=value} into the tree; whether the value fits is seen when it is bound. */
    private void apply(String override, ObjectNode tree, Class<?> type) {
        int equals = override.indexOf('=');
        if (equals < 1) {
            throw new UserError("--set " + override + ": must be key=value, for example --set optimiser.lr=1e-3");
        }
        String key = override.substring(0, equals).strip();
        String[] path = key.split("\\.", -1);
        ObjectNode node = tree;
        Class<?> record = type;
        for (int i = 0; i < path.length; i++) {
            String name = path[i];
            boolean last = i == path.length - 1;
            @Nullable RecordComponent component = component(record, name);
            // The fields of the model are checked when they are bound: which there are depends on its type.
            boolean field = last && record == ModelSection.class && component == null;
            if (!field && (component == null || last == component.getType().isRecord())) {
                throw new UserError("--set " + override + ": unknown key " + key + hint(key, type));
            }
            if (last) {
                node.put(name, override.substring(equals + 1).strip());
            } else {
                record = Objects.requireNonNull(component).getType();
                JsonNode child = node.get(name);
                node = child instanceof ObjectNode object ? object : node.putObject(name);
            }
        }
        origins.put(key, "--set " + override);
    }

    private static @Nullable RecordComponent component(Class<?> type, String name) {
        for (RecordComponent component : type.getRecordComponents()) {
            if (ConfigKeys.snake(component.getName()).equals(name)) {
                return component;
            }
        }
        return null;
    }

    private Object bind(Class<?> type, ObjectNode tree, String prefix) {
        if (type != ModelSection.class) {
            List<String> known = Arrays.stream(type.getRecordComponents())
                    .map(c -> ConfigKeys.snake(c.getName()))
                    .toList();
            refuseUnknown(tree, prefix, known);
        }
        RecordComponent[] components = type.getRecordComponents();
        Object[] values = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            String name = ConfigKeys.snake(components[i].getName());
            @Nullable JsonNode node = tree.get(name);
            if (ConfigKeys.isModelFields(components[i])) {
                values[i] = modelFields((ModelFamily) values[0], tree, prefix);
            } else {
                values[i] = components[i].getType().isRecord()
                        ? bindBlock(components[i].getType(), node, prefix + name)
                        : bindScalar(components[i], node, prefix + name);
            }
        }
        try {
            Class<?>[] types =
                    Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
            return type.getDeclaredConstructor(types).newInstance(values);
        } catch (InvocationTargetException e) {
            throw new IllegalStateException("cannot make " + type, e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot make " + type, e);
        }
    }

    private void refuseUnknown(ObjectNode tree, String prefix, List<String> known) {
        for (String name : tree.propertyNames()) {
            if (!known.contains(name)) {
                String where = origins.getOrDefault(prefix + name, file);
                throw new UserError(where + ": unknown key " + prefix + name
                        + nearest(
                                prefix + name,
                                known.stream().map(k -> prefix + k).toList()));
            }
        }
    }

    /** The values of the family's keys, checked one by one against their definitions. */
    private Map<String, String> modelFields(ModelFamily family, ObjectNode tree, String prefix) {
        Map<String, String> values = new LinkedHashMap<>();
        List<String> known = new ArrayList<>(List.of("type", "pad_vocabulary_to"));
        for (ConfigSchema.Field field : ModelSection.fieldsOf(family)) {
            known.add(field.key());
            @Nullable JsonNode node = tree.get(field.key());
            if (node == null && field.isRequired()) {
                throw new UserError(file + ": " + prefix + field.key() + " is missing: "
                        + field.definition().help());
            }
            @Nullable JsonNode value = field.type() == List.class ? listed(node) : node;
            if (value != null && (!value.isValueNode() || value.isNull())) {
                throw new UserError(
                        file + ": " + prefix + field.key() + ": " + show(node) + ": must be " + field.expectation());
            }
            String text = value == null ? ModelSection.byDefault(field) : value.asString();
            values.put(field.key(), oneSpelling(field.type(), text));
        }
        refuseUnknown(tree, prefix, known);
        return values;
    }

    /** A list of texts is a text with commas, as --set gives it; anything else is as it is. */
    private static @Nullable JsonNode listed(@Nullable JsonNode node) {
        return node instanceof ArrayNode array && array.valueStream().allMatch(JsonNode::isString)
                ? StringNode.valueOf(
                        array.valueStream().map(JsonNode::asString).collect(Collectors.joining(ModelSection.COMMA)))
                : node;
    }

    /** 1e-5, 0.00001 and 1.0E-5 are one value, and so are lists with and without spaces. */
    private static String oneSpelling(Class<?> type, String text) {
        if (type == List.class) {
            return String.join(ModelSection.COMMA, ModelSection.items(text));
        }
        try {
            return type == double.class ? Double.toString(Double.parseDouble(text)) : text;
        } catch (NumberFormatException e) {
            // The model's configuration says what is wrong with it.
            return text;
        }
    }

    private Object bindBlock(Class<?> type, @Nullable JsonNode node, String key) {
        if (node == null || node.isNull()) {
            return bind(type, YAML.createObjectNode(), key + ".");
        }
        if (node instanceof ObjectNode object) {
            return bind(type, object, key + ".");
        }
        throw new UserError(file + ": " + key + " must be a block of keys, is " + show(node));
    }

    private Object bindScalar(RecordComponent component, @Nullable JsonNode node, String key) {
        Describe d = ConfigKeys.describe(component);
        if (node == null) {
            if (d.byDefault().equals(Describe.REQUIRED)) {
                throw new UserError(file + ": " + key + " is missing: " + d.value());
            }
            return convert(component.getType(), d, d.byDefault(), key);
        }
        if (!node.isValueNode() || node.isNull()) {
            throw wrong(key, show(node), component.getType(), d);
        }
        return convert(component.getType(), d, node.asString(), key);
    }

    private Object convert(Class<?> type, Describe d, String text, String key) {
        try {
            if (type == boolean.class && (text.equals("true") || text.equals("false"))) {
                return text.equals("true");
            }
            if (type == int.class) {
                return inRange(new BigDecimal(text).intValueExact(), text, key, d, type);
            }
            if (type == long.class) {
                return inRange(new BigDecimal(text).longValueExact(), text, key, d, type);
            }
            if (type == double.class) {
                return inRange(Double.parseDouble(text), text, key, d, type);
            }
            if (type == String.class && !text.isBlank()) {
                return text;
            }
            if (type == Path.class && !text.isBlank()) {
                return Path.of(text);
            }
        } catch (NumberFormatException | ArithmeticException | InvalidPathException e) {
            throw wrong(key, text, type, d);
        }
        if (type.isEnum()) {
            for (Object constant : type.getEnumConstants()) {
                if (ConfigKeys.enumName(constant).equals(text)) {
                    return constant;
                }
            }
        }
        throw wrong(key, text, type, d);
    }

    private <N extends Number> N inRange(N value, String text, String key, Describe d, Class<?> type) {
        double number = value.doubleValue();
        // Written so that NaN is outside; infinity is no sensible value of any key.
        if (number >= d.min() && number <= d.max() && !Double.isInfinite(number)) {
            return value;
        }
        throw wrong(key, text, type, d);
    }

    private UserError wrong(String key, String value, Class<?> type, Describe d) {
        String where = origins.getOrDefault(key, file + ": " + key + ": " + value);
        return new UserError(where + ": must be " + ConfigKeys.allowed(type, d)
                + (d.unit().isEmpty() ? "" : " [" + d.unit() + "]") + " (" + d.value() + ")");
    }

    private static String show(JsonNode node) {
        if (node.isNull()) {
            return "empty";
        }
        String text = node.toString();
        return text.length() > 60 ? text.substring(0, 60) + "…" : text;
    }

    private static String hint(String key, Class<?> type) {
        @SuppressWarnings("unchecked") // The reader is only ever called with record classes.
        List<ConfigKeys.Key> keys = ConfigKeys.of((Class<? extends Record>) type);
        return nearest(key, keys.stream().map(ConfigKeys.Key::name).toList());
    }

    /** The key that was meant, if there is one like it; or else those of the section that was meant, or the sections. */
    private static String nearest(String key, List<String> names) {
        String best = names.getFirst();
        for (String name : names) {
            if (distance(key, name) < distance(key, best)) {
                best = name;
            }
        }
        if (distance(key, best) <= 3) {
            return "; did you mean " + best + "?";
        }
        String section = key.substring(0, key.indexOf('.') + 1);
        List<String> inIt = section.isEmpty()
                ? List.of()
                : names.stream().filter(name -> name.startsWith(section)).toList();
        return inIt.isEmpty()
                ? "; known keys: " + String.join(", ", shortened(names))
                : "; keys of " + section + " are " + String.join(", ", inIt);
    }

    /** Sections once each, as {@code model.*}. */
    private static Set<String> shortened(List<String> names) {
        Set<String> all = new LinkedHashSet<>();
        names.forEach(name -> all.add(name.contains(".") ? name.substring(0, name.indexOf('.')) + ".*" : name));
        return all;
    }

    /** Levenshtein's distance: insertions, deletions and replacements between two short texts. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        Arrays.setAll(row, j -> j);
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
