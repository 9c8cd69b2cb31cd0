/* young_test.c: session-pickup-delay: what ends young is never told */
#include "sync/sync_lab.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct box *box_with_delay(int64_t delay_ns)
{
	struct box *box = box_new(true, true);

	box_run(box, MS(100));
	sync_set_delay(box->a.sync, delay_ns);
	return box;
}

static struct sync_state state_of(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state;
}

static void short_sessions_never_touch_the_wire(void **state)
{
	struct box *box = box_with_delay(SEC(30));
	unsigned frames = box->data_frames;

	(void)state;
	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
		side_changes(&box->a, port, port);
	}
	box_run(box, SEC(20));
	assert_int_equal(state_of(&box->a).young, 1000);
	assert_int_equal(state_of(&box->a).sessions, 0);
	for (uint16_t port = 1; port <= 999; port++) {
		struct ct ct = session(port);

		side_ends(&box->a, &ct);
	}
	box_run(box, SEC(5));
	assert_int_equal(side_stats(&box->a).created_sent, 0);
	assert_int_equal(side_stats(&box->a).deleted_sent, 0);
	assert_int_equal(side_stats(&box->a).died_young, 999);
	assert_true(box->data_frames - frames < 40); /* one a second, at rest */
	assert_false(side_has(&box->b, 1000));
	box_run(box, SEC(6)); /* that one has lived long enough */
	assert_true(side_has(&box->b, 1000));
	box_expect_equal(box);
	box_free(box);
}

static void other_protocols_are_told_at_once(void **state)
{
	struct box *box = box_with_delay(SEC(30));
	struct ct ct = session(1);

	(void)state;
	ct.l4 = IPPROTO_UDP;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	assert_non_null(kernel_find(&box->b, &ct));
	box_free(box);
}

static void a_shorter_delay_counts_at_once(void **state)
{
	struct box *box = box_with_delay(SEC(3600));
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, SEC(2));
	assert_false(side_has(&box->b, 1));
	sync_set_delay(box->a.sync, 0);
	box_run(box, SEC(1));
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

/* Its end was lost with an overrun: the dump does not show it. */
static void what_ended_unheard_is_not_told(void **state)
{
	struct box *box = box_with_delay(SEC(30));
	struct ct ended = session(1), alive = session(2);

	(void)state;
	side_opens(&box->a, &ended);
	side_opens(&box->a, &alive);
	kernel_remove(&box->a, kernel_find(&box->a, &ended));
	sync_on_overrun(box->a.sync, box->now);
	box_run(box, MS(100));
	assert_int_equal(state_of(&box->a).young, 1);
	box_run(box, SEC(31));
	assert_false(side_has(&box->b, 1));
	assert_true(side_has(&box->b, 2));
	box_expect_equal(box);
	box_free(box);
}

static void who_loses_the_role_forgets_them(void **state)
{
	struct box *box = box_with_delay(SEC(30));
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, SEC(1));
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM + 1);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM + 1);
	box_run(box, SEC(1));
	assert_int_equal(state_of(&box->a).young, 0);
	assert_true(box->a.is_ready);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_sessions_never_touch_the_wire),
		cmocka_unit_test(other_protocols_are_told_at_once),
		cmocka_unit_test(a_shorter_delay_counts_at_once),
		cmocka_unit_test(what_ended_unheard_is_not_told),
		cmocka_unit_test(who_loses_the_role_forgets_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
