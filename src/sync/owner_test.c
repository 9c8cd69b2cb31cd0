/* owner_test.c: the primary: what it captures, tells, parks, discards and reads again */
#include "sync/sync_lab.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void live_changes_are_copied_at_once(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), ssh = session(2);

	(void)state;
	assert_true(box->b.is_ready);
	side_opens(&box->a, &ct);
	box_run(box, MS(5));
	assert_true(side_has(&box->b, 1));
	side_changes(&box->a, 1, 7);
	box_run(box, MS(5));
	assert_int_equal(kernel_find(&box->b, &ct)->mark, 7);
	/* The same once more is no change; what does not deserve to travel is not told. */
	side_changes(&box->a, 1, 7);
	assert_int_equal(side_stats(&box->a).unchanged, 1);
	ssh.dport = 22;
	side_opens(&box->a, &ssh);
	box_run(box, MS(50));
	assert_int_equal(side_stats(&box->a).filtered, 1);
	assert_int_equal(box->b.kernel_count, 1);
	side_ends(&box->a, &ct);
	box_run(box, MS(10));
	assert_true(side_has(&box->b, 1)); /* the fence */
	box_run(box, MS(30));
	assert_int_equal(box->b.kernel_count, 0);
	assert_int_equal(side_stats(&box->b).gaps, 0);
	box_free(box);
}

static void a_key_that_returns_behind_the_fence_lives(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	side_ends(&box->a, &ct);
	box_run(box, MS(5));
	side_opens(&box->a, &ct);
	box_run(box, MS(100));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(side_stats(&box->b).deleted_heard, 0);
	box_free(box);
}

static void a_parked_delete_asks_the_kernel_first(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1), alive = session(2), unknown = session(3);

	(void)state;
	side_opens(&box->a, &gone);
	side_opens(&box->a, &alive);
	side_opens(&box->a, &unknown);
	box_run(box, MS(50));
	/* Flushed, and opened again by its next packet. */
	side_tells(&box->a, CT_NEWS_DESTROY, &alive);
	side_ends(&box->a, &gone);
	sync_on_disturbance(box->a.sync, box->now);
	box_run(box, MS(500));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(side_stats(&box->a).deletes_parked, 2);
	box_run(box, SEC(2));
	assert_false(side_has(&box->b, 1));
	assert_true(side_has(&box->b, 2));
	/* A kernel that does not answer keeps the copy, and is read again. */
	box->a.has_error = -ENOBUFS;
	sync_on_disturbance(box->a.sync, box->now);
	side_tells(&box->a, CT_NEWS_DESTROY, &unknown);
	box_run(box, MS(2100));
	assert_true(side_has(&box->b, 3));
	box->a.has_error = 0;
	box_run(box, MS(100));
	assert_int_equal(box->a.dumps, 2);
	assert_true(side_has(&box->b, 3));
	box_free(box);
}

static void a_delete_is_not_parked_for_ever(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1);

	(void)state;
	side_opens(&box->a, &gone);
	box_run(box, MS(50));
	side_ends(&box->a, &gone);
	for (unsigned s = 0; s < 12; s++) {
		assert_int_equal(side_has(&box->b, 1), s < 10);
		sync_on_disturbance(box->a.sync, box->now);
		box_run(box, SEC(1) + MS(5));
	}
	box_free(box);
}

static void a_lost_role_discards_its_deletes(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	side_ends(&box->a, &ct);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	box_run(box, SEC(3));
	assert_int_equal(side_stats(&box->a).deletes_discarded, 1);
	assert_true(side_has(&box->b, 1));
	assert_true(side_has(&box->a, 1)); /* and put back where it was taken away */
	assert_true(box->a.is_ready);
	assert_int_equal(side_stats(&box->a).walks_taken, 0); /* one frame proves it */
	box_free(box);
}

static void an_overrun_is_repaired_by_one_dump(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1), unseen = session(2);
	struct sync_state lost;
	uint64_t dumps;

	(void)state;
	side_opens(&box->a, &gone);
	box_run(box, MS(50));
	kernel_remove(&box->a, kernel_find(&box->a, &gone));
	kernel_add(&box->a, &unseen);
	dumps = side_stats(&box->a).dumps;
	sync_on_overrun(box->a.sync, box->now);
	sync_describe(box->a.sync, box->now, &lost);
	assert_int_equal(lost.debt, 1); /* and equality is not claimed meanwhile */
	box_run(box, MS(100));
	sync_describe(box->a.sync, box->now, &lost);
	assert_int_equal(lost.debt, 0);
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	assert_false(side_has(&box->b, 1));
	assert_true(side_has(&box->b, 2));
	box_expect_equal(box);
	box_free(box);
}

static void a_takeover_keeps_every_record_and_reads_the_kernel(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), own = session(9);
	uint64_t head;

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	sync_free(box->a.sync); /* A dies */
	box->a.sync = NULL;
	head = store_head(sync_store(box->b.sync));
	kernel_add(&box->b, &own);
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	box_run(box, MS(50));
	assert_int_equal(box->b.timeouts, 1);
	assert_int_equal(box->b.dumps, 2);
	assert_int_equal(store_live(sync_store(box->b.sync)), 2);
	assert_true(store_head(sync_store(box->b.sync)) > head);
	box_free(box);
}

static void disabled_it_does_nothing(void **state)
{
	struct box *box = box_new(false, true);
	struct ct ct = session(1);

	(void)state;
	assert_true(box->b.is_ready); /* nothing can be missing */
	side_opens(&box->a, &ct);
	box_run(box, SEC(2));
	assert_int_equal(box->data_frames, 0);
	assert_int_equal(box->b.kernel_count, 0);
	assert_int_equal(store_live(sync_store(box->a.sync)), 0);
	box_free(box);
}

static struct ct closing(uint16_t port, uint8_t state)
{
	struct ct ct = session(port);

	ct.tcp_state = state;
	ct.tcp_flags_orig = state > TCP_CONNTRACK_ESTABLISHED ? IP_CT_TCP_FLAG_CLOSE_INIT : 0;
	SET_HAS(&ct, CT_TCP_STATE);
	SET_HAS(&ct, CT_TCP_FLAGS_ORIG);
	return ct;
}

static void passes(struct box *box, uint16_t port, uint8_t state)
{
	struct ct ct = closing(port, state);

	*kernel_find(&box->a, &ct) = ct;
	side_tells(&box->a, CT_NEWS_UPDATE, &ct);
}

static struct box *box_with_established(bool is_brief)
{
	struct box *box = box_new(true, true);
	struct ct ct = closing(1, TCP_CONNTRACK_ESTABLISHED);

	sync_set_brief(box->a.sync, is_brief);
	side_opens(&box->a, &ct);
	box_run(box, MS(100));
	assert_true(side_has(&box->b, 1));
	return box;
}

static void a_quick_end_is_one_delete(void **state)
{
	struct box *box = box_with_established(true);
	unsigned updates = box->b.updates;

	(void)state;
	for (uint8_t s = TCP_CONNTRACK_FIN_WAIT; s <= TCP_CONNTRACK_TIME_WAIT; s++) {
		passes(box, 1, s);
		box_run(box, MS(5));
	}
	box_run(box, MS(20));
	assert_int_equal(box->b.updates, updates);
	assert_false(side_has(&box->b, 1)); /* long before the kernel forgets it */
	assert_int_equal(side_stats(&box->a).deleted_sent, 1);
	box_run(box, SEC(1));
	assert_int_equal(side_stats(&box->a).closing_waited, 3);
	assert_int_equal(side_stats(&box->b).digest_mismatches, 0);
	box_free(box);
}

static void a_half_closed_connection_is_told(void **state)
{
	struct box *box = box_with_established(true);
	struct ct key = session(1);

	(void)state;
	passes(box, 1, TCP_CONNTRACK_FIN_WAIT);
	box_run(box, MS(20));
	passes(box, 1, TCP_CONNTRACK_CLOSE_WAIT);
	side_changes(&box->a, 1, 42); /* what else changes is told at once */
	box_run(box, MS(20));
	assert_int_equal(kernel_find(&box->b, &key)->mark, 42);
	box_run(box, MS(100));
	assert_int_equal(kernel_find(&box->b, &key)->tcp_state, TCP_CONNTRACK_CLOSE_WAIT);
	assert_int_equal(kernel_find(&box->b, &key)->mark, 42);
	box_expect_equal(box);
	box_free(box);
}

/* The same ports again before the states of the first connection are due. */
static void a_reopened_connection_is_not_closing(void **state)
{
	struct box *box = box_with_established(true);
	struct ct again = closing(1, TCP_CONNTRACK_ESTABLISHED);

	(void)state;
	for (uint8_t s = TCP_CONNTRACK_FIN_WAIT; s <= TCP_CONNTRACK_TIME_WAIT; s++)
		passes(box, 1, s);
	*kernel_find(&box->a, &again) = again;
	side_tells(&box->a, CT_NEWS_NEW, &again);
	box_run(box, MS(200));
	assert_int_equal(kernel_find(&box->b, &again)->tcp_state, TCP_CONNTRACK_ESTABLISHED);
	box_expect_equal(box);
	box_free(box);
}

static void all_states_are_told_one_by_one(void **state)
{
	struct box *box = box_with_established(false);
	struct ct key = session(1);

	(void)state;
	for (uint8_t s = TCP_CONNTRACK_FIN_WAIT; s <= TCP_CONNTRACK_TIME_WAIT; s++) {
		passes(box, 1, s);
		box_run(box, MS(5));
		assert_int_equal(kernel_find(&box->b, &key)->tcp_state, s);
	}
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_changes_are_copied_at_once),
		cmocka_unit_test(a_key_that_returns_behind_the_fence_lives),
		cmocka_unit_test(a_parked_delete_asks_the_kernel_first),
		cmocka_unit_test(a_delete_is_not_parked_for_ever),
		cmocka_unit_test(a_lost_role_discards_its_deletes),
		cmocka_unit_test(an_overrun_is_repaired_by_one_dump),
		cmocka_unit_test(a_takeover_keeps_every_record_and_reads_the_kernel),
		cmocka_unit_test(disabled_it_does_nothing),
		cmocka_unit_test(a_quick_end_is_one_delete),
		cmocka_unit_test(a_half_closed_connection_is_told),
		cmocka_unit_test(a_reopened_connection_is_not_closing),
		cmocka_unit_test(all_states_are_told_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
