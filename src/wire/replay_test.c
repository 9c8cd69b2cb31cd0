/* replay_test.c: each counter counts once, and none that is too old */
#include "wire/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SPAN = 5000, ROUNDS = 20000 };

static void replay_accepts_each_counter_once(void **state)
{
	struct replay w = { 0 };

	(void)state;
	for (uint64_t c = 1; c <= SPAN; c++) {
		assert_true(replay_accept(&w, c));
		assert_false(replay_accept(&w, c));
	}
	for (uint64_t c = 0; c <= SPAN; c++)
		assert_false(replay_accept(&w, c));
}

static void replay_never_accepts_zero(void **state)
{
	struct replay w = { 0 };

	(void)state;
	assert_false(replay_accept(&w, 0));
	assert_true(replay_accept(&w, 1));
	assert_false(replay_accept(&w, 0));
}

static void replay_window_is_exactly_as_long_as_promised(void **state)
{
	/* Word boundaries on both sides, and a jump longer than the ring. */
	static const uint64_t newest[] = { 2000, 2047, 2048, 2049, 2111, 2112, 99999, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(newest) / sizeof(newest[0]); i++) {
		struct replay w = { 0 };

		assert_true(replay_accept(&w, newest[i]));
		assert_false(replay_accept(&w, newest[i] - LIMIT_REPLAY_WINDOW - 1));
		for (uint64_t back = LIMIT_REPLAY_WINDOW; back > 0; back--)
			assert_true(replay_accept(&w, newest[i] - back));
		for (uint64_t back = LIMIT_REPLAY_WINDOW + 1; back-- > 0;)
			assert_false(replay_accept(&w, newest[i] - back));
	}
}

/* Against a model that remembers everything. */
static void replay_agrees_with_a_perfect_memory(void **state)
{
	static bool seen[ROUNDS * 8];
	struct replay w = { 0 };
	uint64_t newest = 0, x = 20260101;

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)x);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t c;
		bool want;

		x = x * 6364136223846793005U + 1442695040888963407U;
		c = newest + ((x >> 33) % 8);
		if ((x >> 60) < 8)
			c = newest > (x >> 33) % 1300 ? newest - (x >> 33) % 1300 : 0;
		else if ((x >> 40) % 1000 == 0 && newest + 3000 < ROUNDS * 7)
			c = newest + 3000;
		want = c > 0 && !seen[c] && (c > newest || newest - c <= LIMIT_REPLAY_WINDOW);
		assert_int_equal(replay_accept(&w, c), want);
		seen[c] = true;
		newest = c > newest ? c : newest;
		assert_true(newest < ROUNDS * 8 - 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replay_accepts_each_counter_once),
		cmocka_unit_test(replay_never_accepts_zero),
		cmocka_unit_test(replay_window_is_exactly_as_long_as_promised),
		cmocka_unit_test(replay_agrees_with_a_perfect_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
