package org.mamba4j.cli;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.mamba4j.model.ModelConfig;

/** The trained model that comes with the project: {@value #FOLDER} in the project's folder. */
final class ShippedModel {
    static final String FOLDER = "models/memmamba";

    /** Folders up from the jar, or from the folder of classes: cli/target/classes lies three below the project. */
    private static final int LEVELS = 4;

    private ShippedModel() {}

    /**
     * The model's folder: in the project that the launcher was started from, else in one around the jar, else in the
     * working directory.
     */
    static Optional<Path> find() {
        List<Path> homes = new ArrayList<>();
        String home = System.getProperty("mamba4j.home", "");
        if (!home.isEmpty()) {
            homes.add(Path.of(home)); // the launcher knows; other places are for those who run the jar
        } else {
            homes.addAll(aroundTheJar());
            homes.add(Path.of(""));
        }
        return find(homes);
    }

    static Optional<Path> find(List<Path> homes) {
        return homes.stream()
                .map(folder -> folder.resolve(FOLDER))
                .filter(folder -> Files.isRegularFile(folder.resolve(ModelConfig.FILE_NAME)))
                .findFirst();
    }

    private static List<Path> aroundTheJar() {
        List<Path> folders = new ArrayList<>();
        CodeSource source = ShippedModel.class.getProtectionDomain().getCodeSource();
        if (source != null) {
            try {
                Path folder = Path.of(source.getLocation().toURI()).getParent();
                for (int i = 0; i < LEVELS && folder != null; i++, folder = folder.getParent()) {
                    folders.add(folder);
                }
            } catch (URISyntaxException | IllegalArgumentException | java.nio.file.FileSystemNotFoundException e) {
                return List.of(); // a class loader of another kind
            }
        }
        return folders;
    }
}
