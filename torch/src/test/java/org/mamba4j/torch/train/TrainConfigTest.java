package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.ConfigSchema;
import org.mamba4j.model.MambaConfig;

class TrainConfigTest {
    private static final String LEAST =
            "out: runs/x\nmodel: {hidden_size: 32, num_hidden_layers: 2}\ndata:\n  path: text.txt\n";

    @TempDir
    Path folder;

    @Test
    void whatIsNotGivenTakesItsDefault() throws IOException {
        TrainConfig config = load(LEAST);

        assertThat(config.seed()).isEqualTo(1);
        assertThat(config.data().length()).isEqualTo(256);
        assertThat(config.optimiser().lr()).isEqualTo(1e-3);
        assertThat(config.schedule().shape()).isEqualTo(Schedule.Shape.COSINE);
        assertThat(config.metrics().tensorboard()).isTrue();
    }

    @Test
    void fileOverridesDefaultsAndCommandLineOverridesFile() throws IOException {
        TrainConfig config = load(
                LEAST + "  length: 64\noptimiser: {lr: 3e-4, beta2: 0.99}\nschedule:\n  shape: linear\n",
                "data.length=128",
                "optimiser.lr = 2e-4",
                "metrics.plot=false",
                "data.path=a=b.txt",
                "schedule.shape=constant");

        assertThat(config.data().length()).isEqualTo(128);
        assertThat(config.data().path()).isEqualTo("a=b.txt");
        assertThat(config.optimiser().lr()).isEqualTo(2e-4);
        assertThat(config.optimiser().beta2()).isEqualTo(0.99);
        assertThat(config.schedule().shape()).isEqualTo(Schedule.Shape.CONSTANT);
        assertThat(config.metrics().plot()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"mamba", "memmamba"})
    void theSavedFormIsReadBackEqualAndCommented(String family) throws IOException {
        TrainConfig config = load(
                LEAST,
                "data.path=odd: \"name\" #1.txt",
                "seed=9007199254740993",
                "optimiser.eps=1e-9",
                "model.type=" + family);
        String yaml = config.toYaml();
        Path file = Files.writeString(folder.resolve("saved.yaml"), yaml);

        assertThat(TrainConfig.load(file, List.of())).isEqualTo(config);
        for (ConfigKeys.Key key : ConfigKeys.ofTraining()) {
            if (!key.name().startsWith("model.")) {
                assertThat(yaml).contains("# " + key.meaning());
            }
        }
        for (ConfigSchema.Field field : ModelSection.fieldsOf(config.model().type())) {
            assertThat(yaml).contains("# " + field.definition().help());
        }
    }

    @Test
    void aListIsWrittenInYamlOrWithCommas() throws IOException {
        String hybrid = LEAST.replace("model: {", "model: {type: composed, inner_layer: [s4d, s6, s6, s4d], ");
        TrainConfig listed = load(hybrid, "model.num_hidden_layers=4");
        ComposedConfig model = (ComposedConfig) listed.model().config(256);
        assertThat(model.innerLayers()).containsExactly("s4d", "s6", "s6", "s4d");
        TrainConfig set =
                load(LEAST, "model.type=composed", "model.num_hidden_layers=4", "model.inner_layer=s4d,s6,s6 , s4d");
        assertThat(set.model()).isEqualTo(listed.model());
        Path file = Files.writeString(folder.resolve("saved.yaml"), listed.toYaml());
        assertThat(TrainConfig.load(file, List.of())).isEqualTo(listed);
        assertThatThrownBy(
                        () -> load(hybrid, "model.num_hidden_layers=3").model().config(256))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("must list \"num_hidden_layers\", 3");
        assertThatThrownBy(() -> load(hybrid.replace("s4d]", "4]"))).hasMessageContaining("or a list of them");
        assertThatThrownBy(() -> load(LEAST, "model.type=composed", "model.inner_layer=s4,")
                        .model()
                        .config(256))
                .hasMessageContaining("must be one of s4, s4d");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    data.length=0            | must be an integer from 1 to 16777216 [tokens]
                    data.length=1.5          | must be an integer
                    data.length=many         | must be an integer
                    data.length=99999999999  | must be an integer
                    data.length=             | must be an integer
                    optimiser.lr=fast        | must be a number from 0 to 10
                    optimiser.lr=-1          | must be a number from 0 to 10
                    optimiser.lr=NaN         | must be a number
                    optimiser.clip_norm=Infinity | must be a number of 0 or more
                    metrics.plot=yes         | must be true or false
                    schedule.shape=square    | must be constant, cosine, linear
                    data.path=               | must be a text
                    seed=99999999999999999999| must be an integer of 0 or more
                    """)
    void aBadOverrideIsNamedWithWhatIsAllowed(String override, String allowed) {
        assertThatThrownBy(() -> load(LEAST, override))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("--set " + override.strip())
                .hasMessageContaining(allowed);
    }

    @Test
    void anOverrideOfTheStepsWinsOverMinutes() throws IOException {
        String minutes = LEAST + "schedule: {minutes: 3}\n";
        assertThat(load(minutes).schedule().minutes()).isEqualTo(3);
        assertThat(load(minutes, "schedule.steps=70").schedule())
                .extracting(TrainConfig.Course::steps, TrainConfig.Course::minutes)
                .containsExactly(70, 0.0);
        assertThat(load(minutes, "schedule.minutes=0", "schedule.steps=70")
                        .schedule()
                        .steps())
                .isEqualTo(70);
        assertThatThrownBy(() -> load(minutes, "schedule.steps=70", "schedule.minutes=1"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("exclude each other");
        // The check of the warm-up belongs to the steps again.
        assertThatThrownBy(() -> load(minutes, "schedule.steps=7")).hasMessageContaining("schedule.warmup_steps");
    }

    @Test
    void aBatchThatNoMachineHoldsIsRefused() {
        assertThatThrownBy(() -> load(LEAST, "data.length=16777216", "data.batch=65536"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("data.batch (65536) times data.length (16777216) must not exceed 268435456");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    data.lengths=512            | is not LENGTH@SHARE
                    data.lengths=64@0,          | is not LENGTH@SHARE
                    data.lengths=64@0,256@1     | shares must begin with 0, rise, and be below 1
                    data.lengths=64@0.1,256@0.5 | shares must begin with 0
                    data.lengths=64@0,128@0.5   | the last length must be data.length, 256
                    data.lengths=100@0,256@0.5  | do not divide into sequences of 100
                    mixture.keys=1,many         | must be whole numbers
                    mixture.passkey=0.7         | together they must not exceed 1
                    """)
    void aCourseOrMixtureThatCannotBeIsRefused(String override, String message) {
        assertThatThrownBy(() -> load(LEAST, "mixture.documents=0.4", override))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("test.yaml: ")
                .hasMessageContaining(message);
    }

    @Test
    void lengthsFollowTheStepsAtConstantTokens() throws IOException {
        TrainConfig config = load(
                LEAST,
                "data.length=1024",
                "data.batch=2",
                "data.lengths=64@0, 256@0.065, 1024@0.5",
                "schedule.steps=200",
                "optimiser.accumulate=3");
        assertThat(config.course().phases())
                .containsExactly(
                        new LengthCourse.Phase(0, 64, 32),
                        new LengthCourse.Phase(39, 256, 8),
                        new LengthCourse.Phase(300, 1024, 2));
        assertThat(config.mixture().asks()).isFalse();
    }

    @Test
    void generationStopsAtNoTokenUnlessTheConfigurationNamesOne() throws IOException {
        assertThat(load(LEAST).model().config(256).eosTokenId()).isEqualTo(MambaConfig.NO_TOKEN);
        assertThat(load(LEAST, "model.eos_token_id=0").model().config(256).eosTokenId())
                .isZero();
        assertThat(load(LEAST, "model.eos_token_id=10").model().config(256).eosTokenId())
                .isEqualTo(10);
    }

    @Test
    void aBadValueInTheFileIsNamedWithFileAndKey() {
        assertThatThrownBy(() -> load(LEAST + "  length: -3\n"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("test.yaml: data.length: -3: must be an integer from 1")
                .hasMessageContaining("length of a training window");
        assertThatThrownBy(() -> load(LEAST + "  length: [1, 2]\n"))
                .hasMessageContaining("test.yaml: data.length: [1,2]: must be an integer");
        assertThatThrownBy(() -> load(LEAST + "  length:\n")).hasMessageContaining("data.length: empty: must be");
        assertThatThrownBy(() -> load(LEAST + "optimiser: 3\n"))
                .hasMessageContaining("optimiser must be a block of keys, is 3");
        assertThatThrownBy(() -> load("out: x\n")).hasMessageContaining("model.hidden_size is missing");
    }

    @Test
    void unknownKeysAreErrorsWithTheNearestKnown() {
        assertThatThrownBy(() -> load(LEAST + "  lenght: 3\n"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("unknown key data.lenght; did you mean data.length?");
        assertThatThrownBy(() -> load(LEAST + "nonsense: 3\n"))
                .hasMessageContaining("unknown key nonsense")
                .hasMessageContaining("known keys: out, seed")
                .hasMessageContaining("model, data");
        assertThatThrownBy(() -> load(LEAST, "schedule.nonsense=3"))
                .hasMessageContaining(
                        "unknown key schedule.nonsense; keys of schedule. are schedule.shape, schedule.steps");
        assertThatThrownBy(() -> load(LEAST, "optimizer.lr=3"))
                .hasMessageContaining("unknown key optimizer.lr; did you mean optimiser.lr?");
        assertThatThrownBy(() -> load(LEAST, "optimiser=3")).hasMessageContaining("unknown key optimiser");
        assertThatThrownBy(() -> load(LEAST, "seed.x=3")).hasMessageContaining("unknown key seed.x");
        assertThatThrownBy(() -> load(LEAST, "seed")).hasMessageContaining("must be key=value");
        assertThatThrownBy(() -> load(LEAST, "=3")).hasMessageContaining("must be key=value");
    }

    @Test
    void whatIsNoConfigurationIsOneClearLine() throws IOException {
        assertThatThrownBy(() -> load("a: [1, 2\nb: }"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("line ")
                .hasMessageContaining("not YAML")
                .satisfies(
                        e -> assertThat(String.valueOf(e.getMessage()).lines()).hasSize(1));
        assertThatThrownBy(() -> load("seed: 1\nseed: 2\n"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("uplicate");
        assertThatThrownBy(() -> load("just a text")).hasMessageContaining("must be a block of keys");
        assertThatThrownBy(() -> load("")).hasMessageContaining("out is missing");
        assertThatThrownBy(() -> load("a: &x 1\nb: *x\n")).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> TrainConfig.load(folder.resolve("none.yaml"), List.of()))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no such configuration file");
        assertThatThrownBy(() -> TrainConfig.load(folder, List.of())).hasMessageContaining("is a folder");
        Path latin = Files.write(folder.resolve("latin.yaml"), "out: grün".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> TrainConfig.load(latin, List.of())).hasMessageContaining("not UTF-8");
    }

    @Test
    void theModelHasTheKeysOfItsConfiguration() throws IOException {
        TrainConfig config =
                load(LEAST, "model.state_size=8", "model.time_step_rank=auto", "model.initializer_range=0.02");

        MambaConfig model = (MambaConfig) config.model().config(250);
        assertThat(model.vocabSize()).isEqualTo(256);
        assertThat(model.dModel()).isEqualTo(32);
        assertThat(model.dState()).isEqualTo(8);
        assertThat(model.dtRank()).isEqualTo(2);
        assertThat(model.initializerRange()).isEqualTo(0.02);
        assertThatThrownBy(() -> load(LEAST, "model.state_size=1000"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("state_size")
                .hasMessageContaining("1000");
        assertThatThrownBy(() -> load(LEAST, "model.state_size=big")).hasMessageContaining("state_size");
        assertThatThrownBy(() -> load(LEAST, "model.statesize=3"))
                .hasMessageContaining(
                        "--set model.statesize=3: unknown key model.statesize; did you mean model.state_size?");
        assertThatThrownBy(() -> load(LEAST, "model.vocab_size=300"))
                .hasMessageContaining("unknown key model.vocab_size");
        assertThatThrownBy(() -> load(LEAST, "model.time_step_min=1")).hasMessageContaining("time_step_max");
        assertThatThrownBy(() -> load(LEAST, "model.type=gpt")).hasMessageContaining("must be mamba");
    }

    @Test
    void valuesMustFitTogether() {
        assertThatThrownBy(() -> load(LEAST, "schedule.steps=10", "schedule.warmup_steps=10"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("schedule.warmup_steps (10)");
        assertThatThrownBy(() -> load(LEAST, "schedule.min_lr=1")).hasMessageContaining("schedule.min_lr");
        assertThatThrownBy(() -> load(LEAST, "optimiser.beta1=1")).hasMessageContaining("optimiser.beta1");
    }

    private TrainConfig load(String yaml, String... overrides) throws IOException {
        return TrainConfig.load(Files.writeString(folder.resolve("test.yaml"), yaml), List.of(overrides));
    }
}
