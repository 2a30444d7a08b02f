package org.mamba4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SharedDataTest {
    @Test
    void resolvesWhatExists() {
        assertThat(SharedData.require("golden").resolve("README.md")).exists();
    }
}
