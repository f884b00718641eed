/* tests/fuzz/fuzz.h - the entry of a fuzz target, with libFuzzer's name. With clang, libFuzzer calls it with inputs
 * that it makes; otherwise replay.c calls it with those of the corpus. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
