package org.mamba4j.cli;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** What may know what. This module sees all the others, so the rules of all of them are here. */
@AnalyzeClasses(packages = "org.mamba4j", importOptions = ArchitectureTest.OnlyProduction.class)
class ArchitectureTest {
    /** Neither folders nor jars of test classes. */
    static final class OnlyProduction implements ImportOption {
        @Override
        public boolean includes(Location location) {
            return !location.contains("/test-classes/") && !location.contains("-tests.jar");
        }
    }

    /** Everything else is core. */
    private static final String[] ABOVE_CORE = {
        "org.mamba4j.torch..",
        "org.mamba4j.tasks..",
        "org.mamba4j.experiments..",
        "org.mamba4j.cli..",
        "org.mamba4j.benchmarks.."
    };

    private static final DescribedPredicate<JavaClass> CORE =
            resideInAPackage("org.mamba4j..").and(resideOutsideOfPackages(ABOVE_CORE));

    @ArchTest
    static final ArchRule coreNeedsNothingButTheJdk = classes()
            .that(CORE)
            .should()
            .onlyDependOnClassesThat(
                    CORE.or(resideInAnyPackage("java..", "jdk.incubator.vector..", "org.jspecify.annotations..")))
            .because("an embedder needs one jar");

    @ArchTest
    static final ArchRule tasksRunOnEveryEngine = noClasses()
            .that()
            .resideInAPackage("org.mamba4j.tasks..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "org.mamba4j.torch..", "org.mamba4j.experiments..", "org.mamba4j.cli..", "org.bytedeco..")
            .because("evaluations are written on LanguageModel");

    @ArchTest
    static final ArchRule torchKnowsNoCommand = noClasses()
            .that()
            .resideInAPackage("org.mamba4j.torch..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.mamba4j.tasks..", "org.mamba4j.experiments..", "org.mamba4j.cli..", "picocli..")
            .because("nothing flows up");

    @ArchTest
    static final ArchRule experimentsKnowNoCommand = noClasses()
            .that()
            .resideInAPackage("org.mamba4j.experiments..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.mamba4j.cli..", "picocli..")
            .because("a program may run them too");

    @ArchTest
    static final ArchRule libtorchStaysInTorch = noClasses()
            .that()
            .resideOutsideOfPackage("org.mamba4j.torch..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.bytedeco..")
            .because("everything else works without native libraries");

    @ArchTest
    static final ArchRule kernelsAreAloneInTheirPackage = noClasses()
            .that()
            .resideInAPackage("org.mamba4j.kernel..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "org.mamba4j.model..",
                    "org.mamba4j.inference..",
                    "org.mamba4j.checkpoint..",
                    "org.mamba4j.data..",
                    "org.mamba4j.text..")
            .because("a kernel knows arrays and shapes, no model");

    @ArchTest
    static final ArchRule packagesHaveNoCycles =
            slices().matching("org.mamba4j.(*)..").should().beFreeOfCycles();

    @ArchTest
    static final ArchRule packagesOfTorchHaveNoCycles =
            slices().matching("org.mamba4j.torch.(*)..").should().beFreeOfCycles();
}
