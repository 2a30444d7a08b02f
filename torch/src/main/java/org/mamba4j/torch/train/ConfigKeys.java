package org.mamba4j.torch.train;

import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.mamba4j.model.ConfigSchema;
import org.mamba4j.model.ModelFamily;

/** The keys of a configuration record, in order: for help texts, comments and comparisons. */
public final class ConfigKeys {
    private ConfigKeys() {}

    /**
     * One key.
     *
     * @param name dotted, for example {@code data.length}
     * @param meaning a clause
     * @param byDefault as in YAML, {@link Describe#REQUIRED} where the key must be given
     * @param unit empty where there is none
     * @param allowed what the value may be, for example {@code an integer of 1 or more}
     * @param mayChange whether a resumed run may have another value
     */
    public record Key(String name, String meaning, String byDefault, String unit, String allowed, boolean mayChange) {}

    /** The keys of {@link TrainConfig}. */
    public static List<Key> ofTraining() {
        return of(TrainConfig.class);
    }

    /** All keys of {@code type}, nested records included. */
    static List<Key> of(Class<? extends Record> type) {
        List<Key> keys = new ArrayList<>();
        collect(type, "", keys);
        return keys;
    }

    private static void collect(Class<?> type, String prefix, List<Key> keys) {
        for (RecordComponent component : type.getRecordComponents()) {
            String name = prefix + snake(component.getName());
            if (component.getType() == ModelSection.class) {
                collectModel(name + ".", keys);
            } else if (component.getType().isRecord()) {
                collect(component.getType(), name + ".", keys);
            } else {
                Describe d = describe(component);
                keys.add(new Key(
                        name, d.value(), d.byDefault(), d.unit(), allowed(component.getType(), d), d.mayChange()));
            }
        }
    }

    private static void collectModel(String prefix, List<Key> keys) {
        for (RecordComponent component : ModelSection.class.getRecordComponents()) {
            if (!isModelFields(component)) {
                Describe d = describe(component);
                keys.add(new Key(
                        prefix + snake(component.getName()),
                        d.value(),
                        d.byDefault(),
                        d.unit(),
                        allowed(component.getType(), d),
                        d.mayChange()));
            }
        }
        for (ConfigSchema.Field field : modelFields()) {
            keys.add(new Key(
                    prefix + field.key(),
                    field.definition().help(),
                    field.isRequired() ? Describe.REQUIRED : ModelSection.byDefault(field),
                    "",
                    field.expectation(),
                    false));
        }
    }

    /** The fields of all families; of a key that several have, the first's. */
    private static Collection<ConfigSchema.Field> modelFields() {
        Map<String, ConfigSchema.Field> fields = new LinkedHashMap<>();
        for (ModelFamily family : ModelFamily.values()) {
            ModelSection.fieldsOf(family).forEach(field -> fields.putIfAbsent(field.key(), field));
        }
        return fields.values();
    }

    /** Whether a component stands not for one key but for those of the model's own configuration. */
    static boolean isModelFields(RecordComponent component) {
        return component.getDeclaringRecord() == ModelSection.class && component.getType() == Map.class;
    }

    /** The value of every key of a configuration, as {@link ConfigWriter} writes it. */
    static Map<String, String> values(Record config) {
        Map<String, String> values = new LinkedHashMap<>();
        collectValues(config, "", values);
        return values;
    }

    private static void collectValues(Record config, String prefix, Map<String, String> values) {
        for (RecordComponent component : config.getClass().getRecordComponents()) {
            Object value = ConfigWriter.value(config, component);
            String name = prefix + snake(component.getName());
            if (value instanceof Record nested) {
                collectValues(nested, name + ".", values);
            } else if (config instanceof ModelSection model && isModelFields(component)) {
                model.fields().forEach((key, text) -> values.put(prefix + key, text));
            } else {
                values.put(name, ConfigWriter.scalar(value));
            }
        }
    }

    /** @throws IllegalStateException if a component that is no record lacks its annotation: a mistake of ours */
    static Describe describe(RecordComponent component) {
        @Nullable Describe describe = component.getAnnotation(Describe.class);
        if (describe == null) {
            throw new IllegalStateException("no @Describe on " + component);
        }
        return describe;
    }

    /** {@code hiddenSize} as {@code hidden_size}. */
    static String snake(String camel) {
        StringBuilder snake = new StringBuilder(camel.length() + 4);
        for (int i = 0; i < camel.length(); i++) {
            char c = camel.charAt(i);
            if (Character.isUpperCase(c)) {
                snake.append('_').append(Character.toLowerCase(c));
            } else {
                snake.append(c);
            }
        }
        return snake.toString();
    }

    /** What a value of {@code type} may be, in words. */
    static String allowed(Class<?> type, Describe d) {
        if (type == boolean.class) {
            return "true or false";
        }
        if (type.isEnum()) {
            return String.join(
                    ", ",
                    Arrays.stream(type.getEnumConstants())
                            .map(ConfigKeys::enumName)
                            .toList());
        }
        if (type == int.class || type == long.class) {
            return "an integer" + range(d, true);
        }
        if (type == double.class) {
            return "a number" + range(d, false);
        }
        return "a text";
    }

    static String enumName(Object constant) {
        return ((Enum<?>) constant).name().toLowerCase(Locale.ROOT);
    }

    private static String range(Describe d, boolean integer) {
        boolean low = d.min() > Double.NEGATIVE_INFINITY;
        // The largest int is no limit that anybody wants to read.
        boolean high = d.max() < (integer ? Integer.MAX_VALUE : Double.POSITIVE_INFINITY);
        if (low && high) {
            return " from " + number(d.min(), integer) + " to " + number(d.max(), integer);
        }
        return low ? " of " + number(d.min(), integer) + " or more" : "";
    }

    private static String number(double value, boolean integer) {
        return integer || (value == Math.rint(value) && Math.abs(value) < 1e6)
                ? Long.toString((long) value)
                : Double.toString(value);
    }
}
