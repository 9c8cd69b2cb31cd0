/* ranges_test.c: two tables that differ a little: only where they differ is said again */
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Two members that know a thousand sessions each, and differ in three. */
/* Records, to whomever. */
static uint64_t told(struct side *side)
{
	struct sync_stats stats = side_stats(side);

	return stats.created_sent + stats.updated_sent + stats.bulk_records_sent;
}

static struct box *box_that_differs(void)
{
	struct box *box = box_new(true, true);
	struct store *a, *b;
	struct ct one = session(1), two = session(2), more = session(2000);

	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, MS(500));
	box_expect_equal(box);
	a = sync_store(box->a.sync);
	b = sync_store(box->b.sync);
	store_drop(b, store_find(b, &one));
	store_drop(a, store_find(a, &two));
	kernel_remove(&box->a, kernel_find(&box->a, &two));
	side_opens(&box->a, &more); /* says a digest */
	return box;
}

static void only_ranges_that_differ_are_walked(void **state)
{
	struct box *box = box_that_differs();
	uint64_t said = told(&box->a);

	(void)state;
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	assert_in_range(side_stats(&box->b).ranges_differing, 2, 3);
	/* The new one, and the few of the ranges that differ. */
	assert_in_range(told(&box->a) - said, 2, 30);
	assert_true(side_has(&box->b, 1));
	assert_false(side_has(&box->b, 2));
	assert_true(side_has(&box->b, 2000));
	box_free(box);
}

/* Digests, the wish and its answer are lost now and then; changes go on. */
static void ranges_survive_losses_and_changes(void **state)
{
	for (unsigned loss = 2; loss < 9; loss++) {
		struct box *box = box_that_differs();
		uint64_t said = told(&box->a);

		(void)state;
		box->loss = loss;
		for (uint16_t port = 3; port < 300; port++) {
			side_changes(&box->a, port, port);
			box_run(box, MS(3));
		}
		box->loss = 0;
		box_run(box, SEC(20));
		box_expect_equal(box);
		assert_true(side_stats(&box->b).ranges_differing > 0 || loss < 4);
		assert_true(told(&box->a) > said);
		box_free(box);
	}
}

/* A primary that does not know ranges, or whose digests never arrive. */
static void without_digests_everything_is_walked(void **state)
{
	struct box *box = box_that_differs();

	(void)state;
	box->lost_type = SYNC_TYPE_RANGES;
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).ranges_differing, 0);
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	box_free(box);
}

/* It took us for dead between the digests and our wish, and has forgotten both. */
static void a_primary_that_forgot_is_asked_again(void **state)
{
	struct box *box = box_that_differs();
	char name[1][17] = { "FKB" };

	(void)state;
	box->lost_type = SYNC_TYPE_WANT_RANGES;
	box_run(box, MS(60));
	sync_on_members(box->a.sync, box->now, NULL, 0);
	box_run(box, MS(10));
	sync_on_members(box->a.sync, box->now, (const char (*)[17])name, 1);
	box->lost_type = 0;
	box_run(box, SEC(3));
	box_expect_equal(box);
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

/* Some digests arrived before the primary took it for dead, and more sessions began before it told them again
 * (seed 1568). Whoever says then that it has everything has them too. */
static void digests_of_two_heads_are_not_put_together(void **state)
{
	unsigned halves = 0;

	(void)state;
	for (unsigned lost = 0; lost < 9; lost++) {
		struct box *box = box_that_differs();
		struct store *a = sync_store(box->a.sync), *b = sync_store(box->b.sync);
		char name[1][17] = { "FKB" };
		struct sync_state of_b;

		box->loss = 9; /* one digest of eight at most */
		box->said = lost;
		box_run(box, MS(4));
		halves += side_stats(&box->b).ranges_differing == 0;
		box->loss = 0;
		sync_on_members(box->a.sync, box->now, NULL, 0);
		for (uint16_t port = 3000; port < 3020; port++) {
			struct ct ct = session(port);

			side_opens(&box->a, &ct);
		}
		box_run(box, MS(1));
		sync_on_members(box->a.sync, box->now, (const char (*)[17])name, 1);
		for (unsigned ms = 0; ms < 2000; ms++) {
			box_run(box, MS(1));
			sync_describe(box->b.sync, box->now, &of_b);
			assert_true(of_b.cursor < store_head(a) ||
				    store_digest(a) == store_digest(b));
		}
		box_expect_equal(box);
		assert_true(side_stats(&box->b).ranges_differing > 0);
		box_free(box);
	}
	assert_in_range(halves, 1, 9);
}

/* The same for a takeover: who follows the new primary and lacks a little is told a little. */
static void new_primary_repairs_by_ranges(void **state)
{
	struct box *box = box_that_differs();
	uint64_t said;

	(void)state;
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM + 1);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM + 1);
	said = told(&box->b);
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_in_range(told(&box->b) - said, 1, 30);
	box_free(box);
}

static void broken_digests_are_refused_by_name(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_ranges head = { .term = TERM, .walk = 1, .to = "FKB" };
	struct sync_want_ranges want = { .term = TERM, .walk = 7 };
	uint8_t bytes[128];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct rbuf r;

	(void)state;
	head.has = UINT64_C(1) << SYNC_RANGES_TERM | UINT64_C(1) << SYNC_RANGES_TO |
		   UINT64_C(1) << SYNC_RANGES_WALK | UINT64_C(1) << SYNC_RANGES_FIRST |
		   UINT64_C(1) << SYNC_RANGES_HEAD;
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_ranges, &head, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	/* It has not asked. */
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_RANGES, &r),
			 DROP_STALE_VERSION);
	r = rbuf_of(bytes, 1);
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_RANGES, &r),
			 DROP_TRUNCATED);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKC", SYNC_TYPE_RANGES, &r),
			 DROP_NOT_PRIMARY);
	want.has = UINT64_C(1) << SYNC_WANT_RANGES_TERM | UINT64_C(1) << SYNC_WANT_RANGES_WALK |
		   UINT64_C(1) << SYNC_WANT_RANGES_HEAD;
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_want_ranges, &want, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_WANT_RANGES, &r),
			 DROP_RANGE);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_ranges_that_differ_are_walked),
		cmocka_unit_test(ranges_survive_losses_and_changes),
		cmocka_unit_test(without_digests_everything_is_walked),
		cmocka_unit_test(a_primary_that_forgot_is_asked_again),
		cmocka_unit_test(digests_of_two_heads_are_not_put_together),
		cmocka_unit_test(new_primary_repairs_by_ranges),
		cmocka_unit_test(broken_digests_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
