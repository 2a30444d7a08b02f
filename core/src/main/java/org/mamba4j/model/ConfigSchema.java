package org.mamba4j.model;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * The fields of a configuration record as their {@link ConfigField} annotations define them: defaults, bounds, reading
 * and writing. Components are int, double, boolean, String or a list of String.
 *
 * @param <R> the record
 */
public final class ConfigSchema<R extends Record> {
    private final Class<R> type;
    private final List<Field> fields;
    private final Map<String, Field> byComponent = new LinkedHashMap<>();

    /**
     * One field.
     *
     * @param component its name in Java
     * @param type int, double, boolean, String, or List of String: one text stands for a list of it alone
     * @param definition what the record says about it
     */
    public record Field(String component, Class<?> type, ConfigField definition) {
        /** Key in config.json. */
        public String key() {
            return definition.key();
        }

        /** Whether the field has no default. */
        public boolean isRequired() {
            return definition.otherwise().equals(ConfigField.REQUIRED);
        }

        /** The default; asked for only where there is one. */
        Object defaultValue() {
            String text = definition.otherwise();
            if (type == int.class) {
                return Integer.valueOf(text);
            }
            if (type == double.class) {
                return Double.valueOf(text);
            }
            if (type == List.class) {
                return List.of(text);
            }
            return type == boolean.class ? (Object) Boolean.valueOf(text) : text;
        }

        /** What values the field may have, for messages. */
        public String expectation() {
            if (type == int.class) {
                return "an integer from " + (long) definition.min() + " to " + (long) definition.max();
            }
            if (type == double.class) {
                return "a number from " + definition.min() + " to " + definition.max();
            }
            String oneOf = "one of " + String.join(", ", definition.oneOf());
            if (type == List.class) {
                return oneOf + ", or a list of them";
            }
            return type == boolean.class ? "true or false" : oneOf;
        }

        boolean accepts(Object value) {
            return switch (value) {
                case Integer i -> i >= definition.min() && i <= definition.max();
                case Double d -> d >= definition.min() && d <= definition.max();
                case String s -> Arrays.asList(definition.oneOf()).contains(s);
                case List<?> list ->
                    !list.isEmpty() && Arrays.asList(definition.oneOf()).containsAll(list);
                default -> value instanceof Boolean;
            };
        }

        /** The value of {@code key}; any error names it. */
        Object read(JsonFields json, String key) {
            Object value;
            if (type == int.class) {
                value = (int) json.integer(key, (long) definition.min(), (long) definition.max());
            } else if (type == double.class) {
                value = json.decimal(key);
            } else if (type == List.class) {
                value = texts(json.value(key));
            } else {
                value = type == boolean.class ? (Object) json.bool(key) : json.string(key);
            }
            if (!accepts(value)) {
                throw json.error(key, "must be " + expectation());
            }
            return value;
        }

        /** The texts of a list, or of one alone; empty where there is anything else. */
        private static List<String> texts(JsonValue value) {
            List<JsonValue> values = value instanceof JsonArray array ? array.values() : List.of(value);
            return values.stream().allMatch(JsonString.class::isInstance)
                    ? values.stream().map(text -> ((JsonString) text).value()).toList()
                    : List.of();
        }
    }

    private ConfigSchema(Class<R> type) {
        this.type = type;
        List<Field> list = new ArrayList<>();
        for (RecordComponent component : type.getRecordComponents()) {
            ConfigField definition = component.getAnnotation(ConfigField.class);
            if (definition == null) {
                throw new IllegalArgumentException(component + " has no @ConfigField");
            }
            Field field = new Field(component.getName(), component.getType(), definition);
            if (!field.isRequired() && !field.accepts(field.defaultValue())) {
                throw new IllegalArgumentException(component + ": the default is out of range");
            }
            list.add(field);
            byComponent.put(field.component(), field);
        }
        this.fields = List.copyOf(list);
    }

    /** The schema of a record all of whose components have a {@link ConfigField}. */
    public static <R extends Record> ConfigSchema<R> of(Class<R> type) {
        return new ConfigSchema<>(type);
    }

    /** All fields in the record's order. */
    public List<Field> fields() {
        return fields;
    }

    /**
     * To be called by the record's constructor with its components in order.
     *
     * @throws UserError if a value is out of its range
     */
    public void check(Object... values) {
        for (int i = 0; i < values.length; i++) {
            Field field = fields.get(i);
            if (!field.accepts(values[i])) {
                throw new UserError("\"" + field.key() + "\" is " + values[i] + ", but must be " + field.expectation());
            }
        }
    }

    /** Values of a record to be made: at first the defaults. */
    public Values values() {
        return new Values();
    }

    /** Values of a record to be made: at first those of {@code config}. */
    public Values values(R config) {
        Values values = new Values();
        for (Field field : fields) {
            values.set(field.component(), get(config, field));
        }
        return values;
    }

    /** {@code config} with Hugging Face's keys, in the record's order. */
    public JsonObject.Builder toJson(R config) {
        JsonObject.Builder json = JsonObject.builder();
        for (Field field : fields) {
            json.put(field.key(), json(get(config, field)));
        }
        return json;
    }

    private static JsonValue json(Object value) {
        return switch (value) {
            case Integer i -> JsonNumber.of(i.longValue());
            case Double d -> JsonNumber.of(d);
            case Boolean b -> JsonBoolean.of(b);
            case List<?> list ->
                list.size() == 1
                        ? json(list.getFirst())
                        : new JsonArray(list.stream().map(ConfigSchema::json).toList());
            default -> new JsonString(value.toString());
        };
    }

    private Object get(R config, Field field) {
        try {
            return type.getMethod(field.component()).invoke(config);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The values of one record before it is made. */
    public final class Values {
        private final Map<String, Object> set = new LinkedHashMap<>();

        private Values() {}

        /** @throws IllegalArgumentException if the record has no such component */
        public Values set(String component, Object value) {
            if (!byComponent.containsKey(component)) {
                throw new IllegalArgumentException(type.getSimpleName() + " has no component " + component);
            }
            set.put(component, value);
            return this;
        }

        /** The value set, the default, or null when there is neither. */
        @Nullable
        Object get(String component) {
            Field field = byComponent.get(component);
            if (field == null) {
                throw new IllegalArgumentException(type.getSimpleName() + " has no component " + component);
            }
            Object value = set.get(component);
            return value != null || field.isRequired() ? value : field.defaultValue();
        }

        /** @throws UserError if a value is missing or out of range */
        public R make() {
            Object[] values = new Object[fields.size()];
            Class<?>[] types = new Class<?>[values.length];
            for (int i = 0; i < values.length; i++) {
                Object value = get(fields.get(i).component());
                if (value == null) {
                    throw new UserError("the key \"" + fields.get(i).key() + "\" is missing");
                }
                values[i] = value;
                types[i] = fields.get(i).type();
            }
            try {
                Constructor<R> constructor = type.getDeclaredConstructor(types);
                return constructor.newInstance(values);
            } catch (InvocationTargetException e) {
                if (e.getCause() instanceof UserError error) {
                    throw error;
                }
                throw new IllegalStateException(e);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
