/* replay.h: which counters of one sender have been seen
 *
 * A sliding window in the manner of RFC 6479: a ring of words, so that moving on clears words
 * instead of shifting bits. Counters begin at 1; zero was never sent. Pure: whether a counter is
 * genuine is the caller's business, and it must have asked that first.
 */
#ifndef FK_WIRE_REPLAY_H
#define FK_WIRE_REPLAY_H

#include "wire/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* Twice the window, because the newest word is always partly ahead of it. */
enum { REPLAY_WORDS = 2 * LIMIT_REPLAY_WINDOW / 64 };

struct replay {
	uint64_t newest;
	uint64_t seen[REPLAY_WORDS];
};

/* True the first time a counter comes that is at most LIMIT_REPLAY_WINDOW behind the newest. */
bool replay_accept(struct replay *window, uint64_t counter);

#endif
