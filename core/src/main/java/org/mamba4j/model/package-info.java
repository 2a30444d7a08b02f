/** What a model is: its configuration and the sizes that follow from it. */
@NullMarked
package org.mamba4j.model;

import org.jspecify.annotations.NullMarked;
