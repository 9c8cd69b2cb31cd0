/* pace_test.c: a member that catches up is told as fast as it acknowledges */
#include "sync/sync_internal.h"
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static mono_t at_ms(int64_t ms)
{
	return mono_add(MONO_ZERO, SEC(100) + MS(ms));
}

/* Fills the window; returns how many frames that were. */
static unsigned fill(struct pace *p, mono_t now, uint64_t *end)
{
	unsigned sent = 0;

	while (pace_has_room(p)) {
		pace_on_sent(p, now, ++*end);
		sent++;
	}
	return sent;
}

static void window_is_what_is_on_its_way(void **state)
{
	struct pace p;
	uint64_t end = 0;

	(void)state;
	pace_begin(&p);
	assert_true(pace_is_full_speed(&p));
	assert_int_equal(fill(&p, at_ms(0), &end), CATCH_UP_WINDOW);
	pace_on_acked(&p, at_ms(5), 1);
	assert_int_equal(fill(&p, at_ms(5), &end), 1);
	pace_on_acked(&p, at_ms(6), 1); /* the same again */
	assert_false(pace_has_room(&p));
	pace_on_acked(&p, at_ms(9), end);
	assert_int_equal(fill(&p, at_ms(9), &end), CATCH_UP_WINDOW);
	pace_restart(&p);
	assert_int_equal(fill(&p, at_ms(9), &end), CATCH_UP_WINDOW);
}

static void loss_halves_it_and_arrivals_bring_it_back(void **state)
{
	struct pace p;
	uint64_t end = 0;
	unsigned least;

	(void)state;
	pace_begin(&p);
	for (unsigned i = 0; i < 20; i++)
		pace_on_lost(&p);
	least = fill(&p, at_ms(0), &end);
	assert_in_range(least, 1, 8);
	assert_false(pace_is_full_speed(&p));
	pace_on_acked(&p, at_ms(1), end);
	assert_int_equal(fill(&p, at_ms(1), &end), least + 1);
	for (int64_t i = 0; i < CATCH_UP_WINDOW; i++) {
		pace_on_acked(&p, at_ms(2 + i), end);
		fill(&p, at_ms(2 + i), &end);
	}
	assert_true(pace_is_full_speed(&p));
}

static void slow_answers_are_waited_for(void **state)
{
	struct pace p;
	int64_t fast;

	(void)state;
	pace_begin(&p);
	fast = pace_patience_ns(&p);
	pace_on_sent(&p, at_ms(0), 1);
	pace_on_acked(&p, at_ms(200), 1);
	assert_in_range(pace_answer_ns(&p), MS(200), MS(400));
	assert_in_range(pace_patience_ns(&p), MS(300), MS(600));
	/* A queue that has emptied is forgotten. */
	for (uint64_t i = 2; i < 60; i++) {
		pace_on_sent(&p, at_ms(200), i);
		pace_on_acked(&p, at_ms(203), i);
	}
	assert_true(pace_patience_ns(&p) == fast);
}

/* A member that is away must not be told 64 frames twenty times a second. */
static void silence_makes_it_patient(void **state)
{
	struct pace p;
	int64_t last;

	(void)state;
	pace_begin(&p);
	last = pace_patience_ns(&p);
	for (unsigned i = 0; i < 3; i++) {
		pace_on_silence(&p);
		assert_true(pace_patience_ns(&p) == 2 * last);
		last = pace_patience_ns(&p);
	}
	for (unsigned i = 0; i < 100; i++)
		pace_on_silence(&p);
	assert_true(pace_patience_ns(&p) <= MS(500));
	/* It was busy once, and then away: it does not wait for seconds when it is back. */
	pace_on_sent(&p, at_ms(0), 1);
	pace_on_acked(&p, at_ms(5000), 1);
	for (unsigned i = 0; i < 100; i++)
		pace_on_silence(&p);
	assert_true(pace_patience_ns(&p) <= MS(500));
	for (uint64_t i = 2; i < 60; i++) {
		pace_on_sent(&p, at_ms(6000), i);
		pace_on_acked(&p, at_ms(6001), i);
	}
	assert_true(pace_patience_ns(&p) < last);
}

/* A short queue in front of a link that carries a frame every 4 ms: everything is told about once, where each
 * request used to begin again what was on its way. */
static void a_narrow_link_is_not_flooded(void **state)
{
	for (unsigned queue = 4; queue <= 32; queue *= 2) {
		struct box *box = box_new(true, true);
		struct sync_stats before, after;

		(void)state;
		before = side_stats(&box->a);
		box->queue_max = queue;
		for (uint16_t port = 1; port <= 4000; port++) {
			struct ct ct = session(port);

			side_opens(&box->a, &ct);
			if (port % 100 == 0)
				box_run(box, MS(1));
		}
		box_run(box, SEC(10));
		box_expect_equal(box);
		after = side_stats(&box->a);
		assert_true(box->lost > 0 && side_stats(&box->b).gaps > 0);
		assert_true(after.resends > before.resends);
		assert_int_equal(after.walks_served, before.walks_served);
		assert_in_range(after.created_sent - before.created_sent +
				after.updated_sent - before.updated_sent +
				after.bulk_records_sent - before.bulk_records_sent,
				4000, 4 * 4000);
		box_free(box);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_is_what_is_on_its_way),
		cmocka_unit_test(loss_halves_it_and_arrivals_bring_it_back),
		cmocka_unit_test(slow_answers_are_waited_for),
		cmocka_unit_test(silence_makes_it_patient),
		cmocka_unit_test(a_narrow_link_is_not_flooded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
