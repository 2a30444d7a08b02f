package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RecipesTest {
    static Stream<Path> recipes() throws IOException {
        // Tests run in the module's folder.
        List<Path> all;
        try (Stream<Path> files = Files.list(Path.of("..", "recipes"))) {
            all = files.filter(f -> f.toString().endsWith(".yaml")).sorted().toList();
        }
        assertThat(all).isNotEmpty();
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("recipes")
    void loads(Path recipe) {
        TrainConfig config = TrainConfig.load(recipe, List.of());

        assertThat(config.model().config(256).parameterCount()).isPositive();
        assertThat(config.out()).isEqualTo(Path.of("runs", name(recipe)));
    }

    @ParameterizedTest
    @MethodSource("recipes")
    void explainsEveryKey(Path recipe) throws IOException {
        List<String> lines = Files.readAllLines(recipe);
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            if (!line.isBlank() && !line.strip().startsWith("#")) {
                assertThat(line).as("a key").matches(" *[a-z0-9_]+:( .+)?");
                String above = lines.get(Math.max(0, i - 1));
                assertThat(above.strip())
                        .as("the line above " + line)
                        .startsWith("# ")
                        .hasSizeGreaterThan(12);
                assertThat(above.indexOf('#'))
                        .isEqualTo(line.length() - line.stripLeading().length());
            }
        }
    }

    private static String name(Path recipe) {
        return String.valueOf(recipe.getFileName()).replace(".yaml", "");
    }
}
