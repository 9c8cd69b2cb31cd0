/* inbox_test.c: the follower: walks, gaps, proof, and what it refuses by name */
#include "sync/sync_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void late_joiner_gets_everything_by_one_walk(void **state)
{
	struct box *box = box_new(true, false);

	(void)state;
	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, MS(50));
	assert_int_equal(box->data_frames, 0); /* nobody to tell */
	box_join(box);
	box_run(box, MS(30));
	assert_false(box->b.is_ready);
	for (uint16_t port = 1; port <= 500; port++)
		side_changes(&box->a, port, 9); /* while the walk goes on */
	box_run(box, SEC(2));
	box_expect_equal(box);
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	assert_int_equal(side_stats(&box->a).walks_served, 1);
	box_free(box);
}

static void a_walk_removes_what_it_does_not_confirm(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);

	(void)state;
	side_opens(&box->a, &one);
	side_opens(&box->a, &two);
	box_run(box, MS(50));
	/* B loses a record and keeps one that A has forgotten: only the digest tells. */
	store_drop(sync_store(box->b.sync), store_find(sync_store(box->b.sync), &one));
	store_drop(sync_store(box->a.sync), store_find(sync_store(box->a.sync), &two));
	kernel_remove(&box->a, kernel_find(&box->a, &two));
	box_run(box, SEC(3));
	assert_true(side_stats(&box->b).digest_mismatches > 0);
	assert_int_equal(box->b.ready_news, 3); /* ready, not, ready again */
	box_expect_equal(box);
	assert_true(side_has(&box->b, 1));
	assert_false(side_has(&box->b, 2));
	box_free(box);
}

static void lost_frames_are_asked_for_again(void **state)
{
	struct box *box = box_new(true, true);

	(void)state;
	for (uint16_t port = 1; port <= 300; port++) {
		struct ct ct = session(port);

		box->is_cut = port % 3 == 0;
		side_opens(&box->a, &ct);
		box_run(box, MS(2));
	}
	box->is_cut = false;
	assert_true(box->lost > 0);
	box_run(box, MS(200));
	assert_true(side_stats(&box->b).gaps > 0);
	assert_true(side_stats(&box->a).resends > 0);
	/* Equal from the start: no walk needed. */
	assert_int_equal(side_stats(&box->b).walks_taken, 0);
	assert_int_equal(side_stats(&box->b).drops.n[DROP_GAP], side_stats(&box->b).gaps);
	box_expect_equal(box);
	box_free(box);
}

/* Its primary dies in the middle of a walk: nothing of the walk may hold the new primary back. */
static void a_takeover_ends_a_walk(void **state)
{
	struct box *box = box_new(true, false);
	struct ct ct = session(1);

	(void)state;
	side_opens(&box->a, &ct);
	box->is_cut = true;
	box_join(box);
	box_run(box, SEC(1));
	assert_int_equal(side_stats(&box->b).walks_taken, 1);
	sync_free(box->a.sync);
	box->a.sync = NULL;
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	box_run(box, MS(50));
	assert_int_equal(box->b.dumps, 2);
	box_free(box);
}

/* Records of two streams with one version: both must be told. */
static void a_new_primary_has_no_version_twice(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);
	struct store_entry *entry;

	(void)state;
	kernel_add(&box->b, &one);
	kernel_add(&box->b, &two);
	store_put(sync_store(box->b.sync), &one, 7, &entry);
	store_put(sync_store(box->b.sync), &two, 7, &entry);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	box_run(box, SEC(2));
	assert_true(side_has(&box->a, 1));
	assert_true(side_has(&box->a, 2));
	assert_int_equal(store_digest(sync_store(box->a.sync)),
			 store_digest(sync_store(box->b.sync)));
	assert_int_equal(side_stats(&box->a).drops.n[DROP_RANGE], 0);
	box_free(box);
}

static void what_does_not_belong_is_refused_by_name(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_ack ack = { .term = TERM, .cursor = 1000, .want = 0 };
	uint8_t bytes[256];
	struct wbuf w;
	struct rbuf r;

	(void)state;
	/* Data of a member that is not the primary; the primary takes none at all. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data, &(struct sync_data){ .has = 7, .term = TERM },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKX", SYNC_TYPE_DATA, &r),
			 DROP_NOT_PRIMARY);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_DATA, &r),
			 DROP_NOT_PRIMARY);
	/* Another term. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data, &(struct sync_data){ .has = 7, .term = TERM - 1 },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_STALE_TERM);
	/* A walk that nobody asked for. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data,
		     &(struct sync_data){ .has = 7 | 1 << SYNC_DATA_WALK, .term = TERM,
					  .walk = 99 },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_STALE_VERSION);
	/* Positions nobody can have counted to: the next of our own would be a cursor's. */
	for (unsigned i = 0; i < 2; i++) {
		struct sync_data lie = { .has = 7, .term = TERM, .prev = i, .head = i ? 0 :
					 STORE_IS_CURSOR - 1 };

		w = wbuf_of(bytes, sizeof(bytes));
		wbuf_be16(&w, 0);
		codec_encode(&schema_sync_data, &lie, UINT64_MAX, &w);
		r = rbuf_of(bytes, wbuf_len(&w));
		assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
				 DROP_RANGE);
	}
	/* Records longer than the frame. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 500);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_TRUNCATED);
	r = rbuf_of(bytes, 0);
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", 77, &r), DROP_TYPE);
	/* Acknowledgements: of nobody we know, of more than was said. */
	ack.has = 7;
	w = wbuf_of(bytes, sizeof(bytes));
	codec_encode(&schema_sync_ack, &ack, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKX", SYNC_TYPE_ACK, &r),
			 DROP_UNKNOWN_SENDER);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_ACK, &r),
			 DROP_RANGE);
	box_free(box);
}

static void a_full_table_is_counted_and_shown(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_config small = { .serial = "FKB", .is_enabled = true, .max_sessions = 2,
				     .keys = { .digest = { 1 } }, .fence_ns = MS(20) };

	(void)state;
	sync_free(box->b.sync);
	box->b.sync = sync_new(&small, &sync_lab_ops, &box->b, box->now);
	box->b.is_ready = false;
	box_join(box);
	for (uint16_t port = 1; port <= 3; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, SEC(1));
	assert_false(box->b.is_ready);
	assert_true(side_stats(&box->b).drops.n[DROP_TABLE_FULL] > 0);
	assert_int_equal(store_live(sync_store(box->b.sync)), 2);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_joiner_gets_everything_by_one_walk),
		cmocka_unit_test(a_walk_removes_what_it_does_not_confirm),
		cmocka_unit_test(lost_frames_are_asked_for_again),
		cmocka_unit_test(a_takeover_ends_a_walk),
		cmocka_unit_test(a_new_primary_has_no_version_twice),
		cmocka_unit_test(what_does_not_belong_is_refused_by_name),
		cmocka_unit_test(a_full_table_is_counted_and_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
