/* tests/fuzz/fuzz.h - the entry of a fuzz target. With clang libFuzzer calls it with inputs of its own making, elsewhere
 * replay.c with those of the corpus. The name is libFuzzer's. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
