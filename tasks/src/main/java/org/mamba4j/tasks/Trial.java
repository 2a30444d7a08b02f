package org.mamba4j.tasks;

/**
 * One question.
 *
 * @param context what is read, the question included
 * @param answer what should follow
 */
@SuppressWarnings("ArrayRecordComponent") // identity is enough: trials are never compared
record Trial(int[] context, int[] answer) {}
