/* audit_test.c: a kernel that differs from the store, and nobody was told: it is found and put right */
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct sync_audit audit_of(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state.audit;
}

static struct box *box_with_sessions(void)
{
	struct box *box = box_new(true, true);

	for (uint16_t port = 1; port <= 50; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, SEC(1));
	box->b.has_copies_only = true;
	box_expect_equal(box);
	return box;
}

static void expect_found(struct side *side, uint64_t lacks, uint64_t more, uint64_t differs)
{
	struct sync_audit audit = audit_of(side);

	assert_false(mono_is_zero(audit.at));
	assert_int_equal(audit.lacks, lacks);
	assert_int_equal(audit.more, more);
	assert_int_equal(audit.differs, differs);
}

static void an_equal_kernel_is_found_equal(void **state)
{
	struct box *box = box_with_sessions();
	unsigned updates = box->b.updates;

	(void)state;
	sync_check_kernel(box->a.sync);
	sync_check_kernel(box->b.sync);
	box_run(box, MS(100));
	expect_found(&box->a, 0, 0, 0);
	expect_found(&box->b, 0, 0, 0);
	assert_int_equal(audit_of(&box->a).seen, 50);
	assert_int_equal(audit_of(&box->b).seen, 50);
	assert_int_equal(box->b.updates, updates);
	box_free(box);
}

static void a_secondarys_kernel_is_put_right(void **state)
{
	struct box *box = box_with_sessions();
	struct ct gone = session(1), changed = session(2), stray = session(4000);

	(void)state;
	kernel_remove(&box->b, kernel_find(&box->b, &gone));
	kernel_find(&box->b, &changed)->mark = 7;
	kernel_add(&box->b, &stray);
	sync_check_kernel(box->b.sync);
	box_run(box, SEC(3));
	expect_found(&box->b, 1, 1, 1);
	assert_true(side_has(&box->b, 1));
	assert_int_equal(kernel_find(&box->b, &changed)->mark, 0);
	assert_false(side_has(&box->b, 4000));
	sync_check_kernel(box->b.sync);
	box_run(box, MS(100));
	expect_found(&box->b, 0, 0, 0);
	box_free(box);
}

static void what_is_no_copy_of_ours_stays(void **state)
{
	struct box *box = box_with_sessions();
	struct ct local = session(4000);

	(void)state;
	box->b.has_copies_only = false;
	kernel_add(&box->b, &local);
	sync_check_kernel(box->b.sync);
	box_run(box, MS(100));
	assert_true(side_has(&box->b, 4000));
	box_free(box);
}

static void a_primary_tells_what_it_has_missed(void **state)
{
	struct box *box = box_with_sessions();
	struct ct gone = session(1), changed = session(2), missed = session(4000);

	(void)state;
	kernel_remove(&box->a, kernel_find(&box->a, &gone));
	kernel_find(&box->a, &changed)->mark = 7;
	SET_HAS(kernel_find(&box->a, &changed), CT_MARK);
	kernel_add(&box->a, &missed);
	sync_check_kernel(box->a.sync);
	box_run(box, SEC(1));
	expect_found(&box->a, 1, 1, 1);
	assert_false(side_has(&box->b, 1));
	assert_int_equal(kernel_find(&box->b, &changed)->mark, 7);
	assert_true(side_has(&box->b, 4000));
	box_expect_equal(box);
	box_free(box);
}

static void once_a_minute_nobody_has_to_ask(void **state)
{
	struct box *box = box_with_sessions();
	struct ct gone = session(1);

	(void)state;
	kernel_remove(&box->b, kernel_find(&box->b, &gone));
	box_run(box, SEC(70));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(side_stats(&box->b).audit_lacks, 1);
	assert_in_range(side_stats(&box->b).audits, 1, 2);
	assert_in_range(side_stats(&box->a).audits, 1, 2);
	box_free(box);
}

/* What changes while the table is read is not taken for a difference. */
static void changes_meanwhile_are_no_differences(void **state)
{
	struct box *box = box_with_sessions();

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		sync_check_kernel(box->a.sync);
		sync_check_kernel(box->b.sync);
		for (uint16_t port = 1; port <= 50; port++)
			side_changes(&box->a, port, i + 1);
		box_run(box, MS(3));
	}
	box_run(box, MS(100));
	assert_int_equal(side_stats(&box->a).audit_differs, 0);
	assert_int_equal(side_stats(&box->b).audit_lacks + side_stats(&box->b).audit_more, 0);
	assert_int_equal(side_stats(&box->b).audit_differs, 0);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_equal_kernel_is_found_equal),
		cmocka_unit_test(a_secondarys_kernel_is_put_right),
		cmocka_unit_test(what_is_no_copy_of_ours_stays),
		cmocka_unit_test(a_primary_tells_what_it_has_missed),
		cmocka_unit_test(once_a_minute_nobody_has_to_ask),
		cmocka_unit_test(changes_meanwhile_are_no_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
