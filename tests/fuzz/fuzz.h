/* fuzz.h: what a fuzz target is: libFuzzer's entry point, and a check that cannot be compiled out
 *
 * Each fuzz_NAME.c defines LLVMFuzzerTestOneInput() and takes bytes nobody vouches for. Linked with
 * replay_main.c it is a test over tests/fuzz/seeds/NAME; with clang it can search on its own:
 *
 *   clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_NAME.c && ./fuzz_NAME tests/fuzz/seeds/NAME
 *
 * An input that once did harm becomes a seed.
 */
#ifndef FK_FUZZ_H
#define FK_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(claim)                                                                          \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);        \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
