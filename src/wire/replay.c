/* replay.c: which counters of one sender have been seen */
#include "wire/replay.h"

#include <string.h>

static void replay_advance(struct replay *window, uint64_t counter)
{
	uint64_t word = window->newest / 64, last = counter / 64;

	if (last - word >= REPLAY_WORDS)
		memset(window->seen, 0, sizeof(window->seen));
	else
		while (word != last)
			window->seen[++word % REPLAY_WORDS] = 0;
	window->newest = counter;
}

bool replay_accept(struct replay *window, uint64_t counter)
{
	uint64_t *word = &window->seen[counter / 64 % REPLAY_WORDS];
	uint64_t bit = UINT64_C(1) << counter % 64;

	if (counter == 0)
		return false;
	if (counter > window->newest)
		replay_advance(window, counter);
	else if (window->newest - counter > LIMIT_REPLAY_WINDOW || (*word & bit))
		return false;
	*word |= bit;
	return true;
}
