/* counts_test.c: what diagnose sys session sync counts is counted where it happens */
#include "sync/sync_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void opens(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	side_opens(side, &ct);
}

static void the_owner_counts_what_it_stores_and_tells(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);
	struct sync_stats a;

	(void)state;
	opens(&box->a, 1);
	side_changes(&box->a, 1, 5); /* before it is told: told once, as new */
	opens(&box->a, 2);
	box_run(box, MS(50));
	a = side_stats(&box->a);
	assert_int_equal(a.store_created, 2);
	assert_int_equal(a.store_updated, 1);
	assert_int_equal(a.created_sent, 2);
	assert_int_equal(a.updated_sent, 0);
	side_changes(&box->a, 1, 6);
	side_ends(&box->a, &ct);
	opens(&box->a, 1); /* behind the fence: the same session goes on */
	side_changes(&box->a, 2, 6);
	ct = session(2);
	box_run(box, MS(50));
	side_ends(&box->a, &ct);
	box_run(box, MS(100));
	a = side_stats(&box->a);
	assert_int_equal(a.created_sent, 2);
	assert_int_equal(a.updated_sent, 2);
	assert_int_equal(a.deleted_sent, 1);
	assert_int_equal(a.store_deleted, 1);
	assert_int_equal(side_stats(&box->b).created_heard, 2);
	assert_int_equal(side_stats(&box->b).updated_heard, 2);
	box_free(box);
}

static void changes_go_at_once_and_digests_on_the_timer(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_stats before = side_stats(&box->a), after;

	(void)state;
	opens(&box->a, 1);
	box_run(box, MS(2));
	after = side_stats(&box->a);
	assert_int_equal(after.frames_at_once, before.frames_at_once + 1);
	for (uint16_t port = 100; port < 300; port++)
		opens(&box->a, port);
	box_run(box, MS(2));
	before = after;
	after = side_stats(&box->a);
	assert_true(after.frames_at_once > before.frames_at_once + 2);
	box_run(box, SEC(3)); /* at rest */
	before = after;
	after = side_stats(&box->a);
	assert_int_equal(after.frames_at_once, before.frames_at_once);
	assert_in_range(after.frames_on_timer - before.frames_on_timer, 2, 5);
	box_free(box);
}

static void who_joins_is_told_in_bulk(void **state)
{
	struct box *box = box_new(true, false);
	struct sync_stats a, b;

	(void)state;
	for (uint16_t port = 1; port <= 50; port++)
		opens(&box->a, port);
	box_run(box, MS(100));
	box_join(box);
	box_run(box, SEC(1));
	box_expect_equal(box);
	a = side_stats(&box->a);
	b = side_stats(&box->b);
	assert_int_equal(a.created_sent, 0); /* nobody was there to be told live */
	assert_in_range(a.bulk_records_sent, 50, 100);
	assert_true(a.bulk_frames_sent > 0);
	assert_int_equal(b.bulk_records_heard, 50);
	assert_true(b.bulk_frames_heard > 0);
	assert_int_equal(a.walks_served, 1);
	assert_int_equal(b.walks_taken, 1);
	assert_true(b.asks_sent > 0);
	assert_true(a.asks_heard > 0);
	assert_true(b.acks_sent > 0);
	assert_true(a.acks_heard > 0);
	side_changes(&box->a, 1, 5);
	box_run(box, MS(50));
	assert_int_equal(side_stats(&box->a).updated_sent, 1);
	box_free(box);
}

static enum drop_reason says_ack(struct box *box, uint64_t term, enum sync_want want)
{
	struct sync_ack ack = { .term = term, .want = (uint8_t)want };
	uint8_t bytes[64];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct rbuf r;

	SET_HAS(&ack, SYNC_ACK_TERM);
	SET_HAS(&ack, SYNC_ACK_CURSOR);
	SET_HAS(&ack, SYNC_ACK_WANT);
	codec_encode(&schema_sync_ack, &ack, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	return sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_ACK, &r);
}

static void requests_are_ignored_and_refused_by_the_count(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_stats before, after;

	(void)state;
	before = side_stats(&box->a);
	assert_int_equal(says_ack(box, TERM, SYNC_WANT_NEXT), DROP_NONE);
	assert_int_equal(says_ack(box, TERM, SYNC_WANT_NEXT), DROP_NONE); /* too soon */
	assert_int_equal(says_ack(box, TERM - 1, SYNC_WANT_NOTHING), DROP_STALE_TERM);
	after = side_stats(&box->a);
	assert_int_equal(after.asks_heard, before.asks_heard + 2);
	assert_int_equal(after.asks_ignored, before.asks_ignored + 1);
	assert_int_equal(after.acks_heard, before.acks_heard + 2);
	assert_int_equal(after.acks_refused, before.acks_refused + 1);
	before = side_stats(&box->b);
	box->b.has_no_link = true;
	box_run(box, SEC(1));
	after = side_stats(&box->b);
	assert_true(after.acks_failed > before.acks_failed);
	assert_int_equal(after.acks_sent, before.acks_sent);
	box_free(box);
}

static void what_the_kernel_refuses_is_counted_by_request(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);
	struct sync_stats b;
	uint64_t hash;

	(void)state;
	opens(&box->a, 1);
	box_run(box, MS(50));
	hash = store_find(sync_store(box->b.sync), &ct)->hash;
	sync_on_verdict(box->b.sync, box->now, CT_OP_UPDATE, hash, -EINVAL);
	sync_on_verdict(box->b.sync, box->now, CT_OP_CREATE, hash, -ENOMEM);
	sync_on_verdict(box->b.sync, box->now, CT_OP_DELETE, hash, -EPERM);
	sync_on_verdict(box->b.sync, box->now, CT_OP_DELETE, hash, -ENOENT); /* as it should be */
	b = side_stats(&box->b);
	assert_int_equal(b.inject_failed, 3);
	assert_int_equal(b.inject_update_failed, 1);
	assert_int_equal(b.inject_delete_failed, 1);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_counts_what_it_stores_and_tells),
		cmocka_unit_test(changes_go_at_once_and_digests_on_the_timer),
		cmocka_unit_test(who_joins_is_told_in_bulk),
		cmocka_unit_test(requests_are_ignored_and_refused_by_the_count),
		cmocka_unit_test(what_the_kernel_refuses_is_counted_by_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
