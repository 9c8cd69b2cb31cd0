/* apply_test.c: the copies in the follower's kernel: refused, put the other way, put back */
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_new_translation_is_a_new_entry(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	ct.rdport = 4000;
	SET_HAS(&ct, CT_RDPORT);
	ct.status |= IPS_SRC_NAT | IPS_SRC_NAT_DONE;
	*kernel_find(&box->a, &ct) = ct;
	side_tells(&box->a, CT_NEWS_NEW, &ct);
	box_run(box, MS(50));
	assert_int_equal(box->b.creates, 2);
	assert_int_equal(box->b.deletes, 1);
	assert_int_equal(kernel_find(&box->b, &ct)->rdport, 4000);
	box_free(box);
}

static void what_the_kernel_knows_better_is_put_the_other_way(void **state)
{
	struct box *box = box_new(true, true);
	struct ct there = session(1), missing = session(2), answered = session(3);

	(void)state;
	kernel_add(&box->b, &there); /* EEXIST: an update then */
	side_opens(&box->a, &there);
	kernel_add(&box->b, &answered); /* EBUSY: a delete and a create */
	answered.status &= ~(uint32_t)(IPS_SEEN_REPLY | IPS_ASSURED);
	side_opens(&box->a, &answered);
	side_opens(&box->a, &missing);
	box_run(box, MS(50));
	kernel_remove(&box->b, kernel_find(&box->b, &missing)); /* ENOENT: a create then */
	side_changes(&box->a, 2, 4);
	box_run(box, MS(50));
	assert_int_equal(kernel_find(&box->b, &missing)->mark, 4);
	assert_false(kernel_find(&box->b, &answered)->status & IPS_SEEN_REPLY);
	assert_int_equal(side_stats(&box->b).inject_failed, 0);
	assert_true(side_stats(&box->b).inject_retried >= 3);
	box_expect_equal(box);
	box_free(box);
}

static void a_helper_that_is_missing_costs_the_helper_only(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	box->b.has_helpers = false;
	strcpy(ct.helper, "ftp");
	SET_HAS(&ct, CT_HELPER);
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	assert_true(side_has(&box->b, 1));
	/* An update of the copy names the helper again, and is refused again. */
	side_changes(&box->a, 1, 3);
	box_run(box, MS(50));
	assert_int_equal(kernel_find(&box->b, &ct)->mark, 3);
	assert_int_equal(side_stats(&box->b).inject_failed, 0);
	box_free(box);
}

static void what_the_kernel_refuses_is_tried_again(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_state described;
	struct ct ct = session(1);

	(void)state;
	box->b.is_full = true;
	side_opens(&box->a, &ct);
	box_run(box, MS(100));
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.differing, 1);
	assert_int_equal(described.stats.inject_failed, 1);
	box->b.is_full = false;
	box_run(box, SEC(2));
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.differing, 0);
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

static void a_full_kernel_is_asked_now_and_then(void **state)
{
	enum { MANY = 1000 };
	struct box *box = box_new(true, true);
	struct sync_state described;
	struct ct ct;

	(void)state;
	box->b.is_full = true;
	for (uint16_t port = 1; port <= MANY; port++) {
		ct = session(port);
		side_opens(&box->a, &ct);
	}
	box_run(box, MS(200));
	box->b.creates = 0;
	box_run(box, SEC(3));
	assert_in_range(box->b.creates, 1, 16 * 5 * 3 + 16);
	assert_true(box->b.says_full);
	/* Stored it is, and not in the kernel: both say so. */
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.lacking, MANY);
	assert_int_equal(described.differing, MANY);
	assert_true(mono_is_zero(described.proven_at) ||
		    mono_sub(box->now, described.proven_at) >= SEC(3));
	sync_describe(box->a.sync, box->now, &described);
	assert_int_equal(described.differing, MANY);
	assert_int_equal(described.peers[0].lacking, MANY);
	/* What ends meanwhile is not missing any more. */
	side_ends(&box->a, &ct);
	box_run(box, SEC(1));
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.lacking, MANY - 1);
	box->b.is_full = false;
	box_run(box, SEC(1));
	assert_false(box->b.says_full);
	box_expect_equal(box);
	sync_describe(box->a.sync, box->now, &described);
	assert_int_equal(described.differing, 0);
	assert_true(mono_sub(box->now, described.proven_at) < SEC(2));
	assert_int_equal(described.stats.walks_served, 0);
	box_free(box);
}

static void what_waits_for_the_kernel_still_goes_there_at_a_takeover(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	box->b.is_busy = true;
	side_opens(&box->a, &ct);
	box_run(box, MS(20));
	sync_free(box->a.sync);
	box->a.sync = NULL;
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM + 1);
	box_run(box, MS(5));
	box->b.is_busy = false;
	box_run(box, MS(500));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(store_live(sync_store(box->b.sync)), 1);
	/* With its owner's timeout, not the hold of a copy. */
	assert_true(box->b.timeouts >= 1);
	box_free(box);
}

static void lost_copies_are_put_back(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);

	(void)state;
	side_opens(&box->a, &one);
	side_opens(&box->a, &two);
	box_run(box, MS(50));
	side_ends(&box->b, &one); /* conntrack -D on the secondary */
	box_run(box, MS(10));
	assert_true(side_has(&box->b, 1));
	/* conntrack -F, so much of it that its events were lost. */
	box->b.kernel_count = 0;
	sync_on_overrun(box->b.sync, box->now);
	box_run(box, MS(50));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).put_back, 3);
	assert_int_equal(side_stats(&box->a).deleted_sent, 0);
	box_free(box);
}

/* A copy that B had taken over, nobody spoke on and B ended: it does not count as touched. */
static void an_untouched_session_is_put_back_too(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	box->b.has_copies_only = true;
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	box_run(box, SEC(1));
	side_ends(&box->b, &ct);
	sync_on_role(box->b.sync, box->now, SYNC_SECONDARY, "FKA", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_PRIMARY, "FKA", TERM);
	box_run(box, SEC(1));
	box_expect_equal(box);
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

static void switching_it_off_takes_the_copies_away(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	assert_true(side_has(&box->b, 1));
	sync_set_enabled(box->a.sync, box->now, false);
	sync_set_enabled(box->b.sync, box->now, false);
	box_run(box, MS(50));
	assert_int_equal(box->b.kernel_count, 0);
	assert_true(side_has(&box->a, 1));
	sync_set_enabled(box->a.sync, box->now, true);
	sync_set_enabled(box->b.sync, box->now, true);
	box_run(box, SEC(1));
	box_expect_equal(box);
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

static struct ct backwards(uint16_t port)
{
	struct ct ct = session(port), inverse = ct;

	ct_reply_tuple(&ct, &inverse.src, &inverse.dst, &inverse.sport, &inverse.dport);
	inverse.status = IPS_CONFIRMED;
	return inverse;
}

/* An answer came to this kernel before the copy, and holds its tuple. */
static void what_is_in_the_way_of_a_copy_is_cleared(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), answer = backwards(1), other = session(2), alive = backwards(2);

	(void)state;
	kernel_add(&box->b, &answer);
	alive.status |= IPS_SEEN_REPLY; /* somebody talks on this one: not ours to judge */
	kernel_add(&box->b, &alive);
	side_opens(&box->a, &ct);
	side_opens(&box->a, &other);
	box_run(box, MS(200));
	assert_true(side_has(&box->b, 1));
	assert_null(kernel_find(&box->b, &answer));
	assert_int_equal(side_stats(&box->b).inject_cleared, 1);
	assert_false(side_has(&box->b, 2));
	assert_non_null(kernel_find(&box->b, &alive));
	assert_int_equal(side_stats(&box->b).inject_failed, 1);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_translation_is_a_new_entry),
		cmocka_unit_test(what_the_kernel_knows_better_is_put_the_other_way),
		cmocka_unit_test(a_helper_that_is_missing_costs_the_helper_only),
		cmocka_unit_test(what_the_kernel_refuses_is_tried_again),
		cmocka_unit_test(a_full_kernel_is_asked_now_and_then),
		cmocka_unit_test(what_waits_for_the_kernel_still_goes_there_at_a_takeover),
		cmocka_unit_test(lost_copies_are_put_back),
		cmocka_unit_test(an_untouched_session_is_put_back_too),
		cmocka_unit_test(switching_it_off_takes_the_copies_away),
		cmocka_unit_test(what_is_in_the_way_of_a_copy_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
