package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossCurveTest {
    @TempDir
    Path folder;

    @Test
    void drawsBothCurves() throws IOException {
        List<Metrics> history = new ArrayList<>();
        Random random = new Random(1);
        for (int step = 10; step <= 2_000; step += 10) {
            double loss = 1.2 + 4 * Math.exp(-step / 150.0);
            history.add(new Metrics(step, 0, Map.of(Metrics.TRAIN_LOSS, loss + 0.15 * random.nextGaussian())));
            if (step % 250 == 0) {
                history.add(new Metrics(step, 0, Map.of(Metrics.VALID_LOSS, loss + 0.05)));
            }
        }
        Path png = folder.resolve("loss.png");

        LossCurve.write(png, "demo", "byte", history);

        BufferedImage image = ImageIO.read(png.toFile());
        assertThat(image.getWidth()).isEqualTo(2_000);
        assertThat(image.getHeight()).isEqualTo(1_200);
        assertThat(count(image, 0x1f5fa8)).as("smoothed training curve").isGreaterThan(1_000);
        assertThat(count(image, 0xc8442b)).as("validation curve").isGreaterThan(1_000);
    }

    @Test
    void oneValueIsEnoughAndNoneDrawsNothing() throws IOException {
        Path png = folder.resolve("loss.png");

        LossCurve.write(png, "empty", "byte", List.of());
        assertThat(png).doesNotExist();

        LossCurve.write(png, "one", "byte", List.of(new Metrics(1, 0, Map.of(Metrics.VALID_LOSS, 2.0))));
        assertThat(Files.size(png)).isPositive();
    }

    @Test
    void smoothingAveragesWhatCameBefore() {
        List<Double> values = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            values.add((double) i);
        }

        List<Double> smooth = LossCurve.smooth(values);

        assertThat(smooth.get(0)).isEqualTo(0.0);
        assertThat(smooth.get(1)).isEqualTo(0.5);
        assertThat(smooth.get(99)).isEqualTo(98.0);
    }

    private static int count(BufferedImage image, int rgb) {
        int count = 0;
        for (int y = 0; y < image.getHeight(); y++) {
            for (int x = 0; x < image.getWidth(); x++) {
                count += (image.getRGB(x, y) & 0xffffff) == rgb ? 1 : 0;
            }
        }
        return count;
    }
}
