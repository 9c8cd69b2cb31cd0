/* adopt_test.c: a secondary that starts anew among the copies of its life before */
#include "sync/sync_lab.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MANY = 1000 };

static struct box *box_with_many(void)
{
	struct box *box = box_new(true, true);

	for (uint16_t port = 1; port <= MANY; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, MS(300));
	box_expect_equal(box);
	return box;
}

static uint64_t told(struct box *box)
{
	struct sync_stats n = side_stats(&box->a);

	return n.created_sent + n.updated_sent + n.deleted_sent;
}

static void a_restart_at_rest_tells_and_writes_nothing(void **state)
{
	struct box *box = box_with_many();
	uint64_t before = told(box);

	(void)state;
	box_restart_b(box);
	box_join(box);
	box_run(box, SEC(1));
	box_expect_equal(box);
	assert_int_equal(told(box), before);
	assert_int_equal(side_stats(&box->b).adopted, MANY);
	assert_int_equal(side_stats(&box->b).walks_taken, 0);
	assert_int_equal(box->b.creates + box->b.updates + box->b.deletes, 0);
	box_free(box);
}

static void only_what_changed_meanwhile_is_told_and_written(void **state)
{
	struct box *box = box_with_many();
	uint64_t before = told(box);

	(void)state;
	box_restart_b(box);
	for (uint16_t port = 1; port <= 5; port++) {
		struct ct ended = session((uint16_t)(port + 10));
		struct ct opened = session((uint16_t)(port + MANY));

		side_changes(&box->a, port, 9);
		side_ends(&box->a, &ended);
		side_opens(&box->a, &opened);
	}
	box_join(box);
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_false(side_has(&box->b, 11));
	assert_int_equal(box->b.creates, 5);
	assert_int_equal(box->b.updates, 5);
	assert_int_equal(box->b.deletes, 5);
	assert_true(told(box) - before < MANY / 10);
	box_free(box);
}

static void what_a_copy_cannot_show_costs_no_write(void **state)
{
	struct box *box = box_with_many();
	struct ct ct = session(2000), *copy;

	(void)state;
	ct.l4 = IPPROTO_UDP;
	ct.status &= ~(uint32_t)IPS_ASSURED;
	side_opens(&box->a, &ct);
	box_run(box, MS(50));
	/* As the kernel has it: every copy is ASSURED, and waits for a day. */
	copy = kernel_find(&box->b, &ct);
	copy->status |= IPS_ASSURED;
	copy->timeout = CT_HOLD_S;
	box_restart_b(box);
	box_join(box);
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	assert_int_equal(box->b.creates + box->b.updates + box->b.deletes, 0);
	box_free(box);
}

static void a_kernel_that_cannot_be_read_holds_nobody_up_for_long(void **state)
{
	struct box *box = box_with_many();

	(void)state;
	box_restart_b(box);
	box->b.is_dump_stuck = true;
	box_join(box);
	box_run(box, SEC(4));
	assert_false(box->b.is_ready);
	box_run(box, SEC(3));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_at_rest_tells_and_writes_nothing),
		cmocka_unit_test(only_what_changed_meanwhile_is_told_and_written),
		cmocka_unit_test(what_a_copy_cannot_show_costs_no_write),
		cmocka_unit_test(a_kernel_that_cannot_be_read_holds_nobody_up_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
