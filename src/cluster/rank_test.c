/* rank_test.c: who is the better primary, and that the order never runs in a circle */
#include "cluster/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MARGIN SEC(300)

static struct candidate make(const char *serial, unsigned flags, unsigned failures,
			     uint8_t priority, int64_t age_ns)
{
	struct candidate c = { .flags = flags, .failures = failures, .priority = priority,
			       .age_ns = age_ns };

	strncpy(c.serial, serial, sizeof(c.serial) - 1);
	return c;
}

/* fortios-facts 1.6: each row differs in one more thing that must not matter. */
static void rank_follows_the_order_of_election(void **state)
{
	const struct {
		struct candidate better, worse;
		enum rank_reason reason;
	} cases[] = {
		{ make("B", 0, 0, 128, 0), make("A", 0, 0, 128, 0), RANK_SERIAL },
		{ make("A", 0, 0, 129, 0), make("B", 0, 0, 128, 0), RANK_PRIORITY },
		{ make("A", 0, 0, 100, SEC(301)), make("B", 0, 0, 200, 0), RANK_AGE },
		{ make("A", 0, 0, 200, 0), make("B", 0, 0, 100, SEC(300)), RANK_PRIORITY },
		{ make("A", HB_OVERRIDE, 0, 200, 0), make("B", 0, 0, 100, SEC(999)), RANK_PRIORITY },
		{ make("A", 0, 0, 200, 0), make("B", HB_OVERRIDE, 0, 100, SEC(999)), RANK_PRIORITY },
		{ make("A", HB_OVERRIDE, 0, 9, SEC(301)), make("B", 0, 0, 9, 0), RANK_AGE },
		{ make("A", 0, 0, 1, 0), make("B", 0, 1, 255, SEC(999)), RANK_FAILURES },
		{ make("A", HB_READY, 3, 1, 0), make("B", 0, 0, 255, SEC(999)), RANK_READY },
		{ make("A", HB_HOLDING, 3, 1, 0), make("B", HB_READY, 0, 255, 0), RANK_HOLDING },
		{ make("A", 0, 3, 1, 0), make("B", HB_FORCED | HB_READY, 0, 255, 0), RANK_FORCED },
		{ make("A", HB_FORCED, 3, 1, 0), make("B", HB_BLIND | HB_HOLDING, 0, 255, 0), RANK_BLIND },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct candidate pair[2] = { cases[i].better, cases[i].worse };
		enum rank_reason reason = RANK_EQUAL;

		assert_true(rank_compare(&pair[0], &pair[1], MARGIN, &reason) > 0);
		assert_int_equal(reason, cases[i].reason);
		assert_true(rank_compare(&pair[1], &pair[0], MARGIN, NULL) < 0);
		/* Of two, the best is the better one, whatever the order. */
		assert_int_equal(rank_best(pair, 2, MARGIN), 0);
		pair[0] = cases[i].worse;
		pair[1] = cases[i].better;
		assert_int_equal(rank_best(pair, 2, MARGIN), 1);
	}
}

static void rank_of_oneself_is_equal(void **state)
{
	struct candidate a = make("A", HB_READY, 1, 7, SEC(5));
	enum rank_reason reason = RANK_SERIAL;

	(void)state;
	assert_int_equal(rank_compare(&a, &a, MARGIN, &reason), 0);
	assert_int_equal(reason, RANK_EQUAL);
	assert_int_equal(rank_best(&a, 1, MARGIN), 0);
}

/* Two by two: C beats A by age, A beats B and B beats C by priority. */
static void rank_best_breaks_the_circle_of_margins(void **state)
{
	struct candidate list[] = {
		make("A", HB_READY, 0, 200, 0),
		make("B", HB_READY, 0, 150, SEC(200)),
		make("C", HB_READY, 0, 100, SEC(400)),
	};

	(void)state;
	assert_true(rank_compare(&list[2], &list[0], MARGIN, NULL) > 0);
	assert_true(rank_compare(&list[0], &list[1], MARGIN, NULL) > 0);
	assert_true(rank_compare(&list[1], &list[2], MARGIN, NULL) > 0);
	/* A is too young, of the other two the priority decides; for every order of the list. */
	assert_int_equal(rank_best(list, 3, MARGIN), 1);
	for (unsigned turn = 0; turn < 2; turn++) {
		struct candidate first = list[0];

		list[0] = list[1];
		list[1] = list[2];
		list[2] = first;
		assert_string_equal(list[rank_best(list, 3, MARGIN)].serial, "B");
	}
}

static void rank_best_prefers_who_is_equal(void **state)
{
	struct candidate list[] = {
		make("A", HB_READY, 0, 1, 0),
		make("B", 0, 0, 255, SEC(900)),
		make("C", HB_READY | HB_FORCED, 0, 255, SEC(900)),
	};

	(void)state;
	assert_int_equal(rank_best(list, 3, MARGIN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rank_follows_the_order_of_election),
		cmocka_unit_test(rank_of_oneself_is_equal),
		cmocka_unit_test(rank_best_breaks_the_circle_of_margins),
		cmocka_unit_test(rank_best_prefers_who_is_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
