/* owed_test.c: the store runs ahead of the kernel, and nobody is ready before the kernel has it all */
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SESSIONS = 600 };

/* A has sessions, and B joins with a kernel that takes nothing yet: only its store becomes equal. */
static struct box *box_with_busy_joiner(void)
{
	struct box *box = box_new(true, false);

	for (uint16_t port = 1; port <= SESSIONS; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box->b.is_busy = true;
	box_join(box);
	box_run(box, MS(500));
	return box;
}

static struct sync_state state_of(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state;
}

static void stores_are_equal_before_the_kernel_has_anything(void **state)
{
	struct box *box = box_with_busy_joiner();
	struct sync_state b = state_of(&box->b), a = state_of(&box->a);

	(void)state;
	assert_int_equal(b.digest, a.digest);
	assert_int_equal(b.sessions, SESSIONS);
	assert_false(mono_is_zero(b.proven_at));
	assert_false(mono_is_zero(a.peers[0].proven_at));
	assert_int_equal(b.owed, SESSIONS);
	assert_int_equal(b.differing, SESSIONS);
	assert_int_equal(a.peers[0].owed, SESSIONS); /* the primary knows both */
	assert_false(box->b.is_ready);
	box_free(box);
}

static void ready_when_the_kernel_was_given_all(void **state)
{
	struct box *box = box_with_busy_joiner();

	(void)state;
	box->b.is_busy = false;
	box_run(box, MS(1));
	assert_true(box->b.kernel_count > 0 && box->b.kernel_count < SESSIONS);
	assert_int_equal(box->b.last_put, box->b.kernel_count); /* in the order of versions */
	assert_false(box->b.is_ready);
	box_run(box, MS(50));
	box_expect_equal(box);
	assert_int_equal(box->b.creates, SESSIONS);
	assert_int_equal(box->b.updates, 0);
	assert_int_equal(state_of(&box->b).owed, 0);
	assert_int_equal(state_of(&box->a).peers[0].owed, 0);
	box_free(box);
}

static void what_changes_while_it_waits_goes_once_and_as_it_is_now(void **state)
{
	struct box *box = box_with_busy_joiner();
	struct ct changed = session(1), gone = session(2), more = session(SESSIONS + 1);

	(void)state;
	side_changes(&box->a, 1, 7);
	side_changes(&box->a, 1, 8);
	side_ends(&box->a, &gone);
	side_opens(&box->a, &more);
	box_run(box, MS(100));
	assert_int_equal(state_of(&box->b).owed, SESSIONS);
	box->b.is_busy = false;
	box_run(box, MS(50));
	box_expect_equal(box);
	assert_int_equal(box->b.creates, SESSIONS);
	assert_int_equal(box->b.updates, 0);
	assert_int_equal(kernel_find(&box->b, &changed)->mark, 8);
	assert_false(side_has(&box->b, 2));
	box_free(box);
}

static void a_live_change_goes_to_the_kernel_at_once(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1);

	(void)state;
	side_opens(&box->a, &one);
	box_run(box, MS(3));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(state_of(&box->b).owed, 0);
	/* Its kernel is busy for a moment: it stays ready, as one refusal does not make it unready. */
	box->b.is_busy = true;
	side_changes(&box->a, 1, 7);
	box_run(box, MS(50));
	assert_int_equal(state_of(&box->b).owed, 1);
	assert_true(box->b.is_ready);
	box->b.is_busy = false;
	box_run(box, MS(5));
	box_expect_equal(box);
	assert_int_equal(kernel_find(&box->b, &one)->mark, 7);
	box_free(box);
}

/* A lone survivor that was still joining: its kernel gets the rest before its table is read, or what
 * the reading does not show would count as ended. */
static void a_takeover_gives_the_kernel_the_rest(void **state)
{
	struct box *box = box_with_busy_joiner();
	struct ct ended = session(3);

	(void)state;
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM + 1);
	box_run(box, MS(50));
	assert_int_equal(state_of(&box->b).sessions, SESSIONS);
	side_tells(&box->b, CT_NEWS_DESTROY, &ended);
	box->b.is_busy = false;
	box_run(box, SEC(1));
	assert_int_equal(state_of(&box->b).owed, 0);
	assert_int_equal(box->b.kernel_count, SESSIONS - 1);
	assert_int_equal(state_of(&box->b).sessions, SESSIONS - 1);
	assert_false(side_has(&box->b, 3));
	assert_true(box->b.timeouts > 0); /* those of their owner, not the hold */
	box_free(box);
}

static void session_pickup_off_forgets_what_waits(void **state)
{
	struct box *box = box_with_busy_joiner();

	(void)state;
	sync_set_enabled(box->b.sync, box->now, false);
	assert_int_equal(state_of(&box->b).owed, 0);
	box->b.is_busy = false;
	box_run(box, SEC(1));
	assert_int_equal(box->b.kernel_count, 0);
	sync_set_enabled(box->b.sync, box->now, true);
	box_run(box, SEC(2));
	box_expect_equal(box);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_are_equal_before_the_kernel_has_anything),
		cmocka_unit_test(ready_when_the_kernel_was_given_all),
		cmocka_unit_test(what_changes_while_it_waits_goes_once_and_as_it_is_now),
		cmocka_unit_test(a_live_change_goes_to_the_kernel_at_once),
		cmocka_unit_test(a_takeover_gives_the_kernel_the_rest),
		cmocka_unit_test(session_pickup_off_forgets_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
