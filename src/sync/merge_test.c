/* merge_test.c: two islands that became one again: what is offered, what is taken, by which order */
#include "sync/sync_lab.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SPLIT_TERM = TERM + 1, HEALED_TERM = TERM + 2 };

static struct ct udp(uint16_t port)
{
	struct ct ct = session(port);

	ct.l4 = IPPROTO_UDP;
	return ct;
}

/* Every path is cut: A goes on in TERM, B takes over in SPLIT_TERM. */
static void split(struct box *box)
{
	box_run(box, MS(100));
	box->is_cut = true;
	sync_on_members(box->a.sync, box->now, NULL, 0);
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", SPLIT_TERM);
	box_run(box, MS(100));
}

static void heal(struct box *box, struct side *winner)
{
	struct side *loser = winner == &box->a ? &box->b : &box->a;
	char names[2][17] = { "FKA", "FKB" };

	box->is_cut = false;
	box->frame_count = 0;
	sync_on_members(box->a.sync, box->now, (const char (*)[17])&names[1], 1);
	sync_on_members(box->b.sync, box->now, (const char (*)[17])&names[0], 1);
	sync_on_role(winner->sync, box->now, SYNC_PRIMARY, winner->serial, HEALED_TERM);
	sync_on_role(loser->sync, box->now, SYNC_SECONDARY, winner->serial, HEALED_TERM);
	box_run(box, SEC(1));
}

static void expect_both(struct box *box, uint16_t port, uint32_t mark)
{
	struct ct key = session(port);

	for (struct side *side = &box->a; side <= &box->b; side++) {
		struct ct ct;
		const struct store_entry *e = store_find(sync_store(side->sync), &key);

		assert_non_null(e);
		assert_false(e->flags & ENTRY_TOMB);
		store_read(sync_store(side->sync), e, &ct);
		assert_int_equal(ct.mark, mark);
		assert_non_null(kernel_find(side, &key));
		assert_int_equal(kernel_find(side, &key)->mark, mark);
	}
	assert_int_equal(store_live(sync_store(box->a.sync)), store_live(sync_store(box->b.sync)));
	assert_int_equal(store_digest(sync_store(box->a.sync)),
			 store_digest(sync_store(box->b.sync)));
}

static void expect_neither(struct box *box, const struct ct *ct)
{
	assert_null(kernel_find(&box->a, ct));
	assert_null(kernel_find(&box->b, ct));
	assert_int_equal(store_digest(sync_store(box->a.sync)),
			 store_digest(sync_store(box->b.sync)));
}

static void each_island_keeps_what_it_opened(struct side *(*winner)(struct box *))
{
	struct box *box = box_new(true, true);

	split(box);
	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		side_opens(port % 2 ? &box->a : &box->b, &ct);
		side_changes(port % 2 ? &box->a : &box->b, port, port);
	}
	box_run(box, MS(100));
	heal(box, winner(box));
	for (uint16_t port = 1; port <= 1000; port++)
		expect_both(box, port, port);
	assert_int_equal(side_stats(winner(box)).merged, 500);
	box_free(box);
}

static struct side *side_a(struct box *box)
{
	return &box->a;
}

static struct side *side_b(struct box *box)
{
	return &box->b;
}

static void old_primary_takes_what_the_new_one_opened(void **state)
{
	(void)state;
	each_island_keeps_what_it_opened(side_a);
}

static void new_primary_takes_what_the_old_one_opened(void **state)
{
	(void)state;
	each_island_keeps_what_it_opened(side_b);
}

/* Nobody is reset while the other island's sessions may be unknown here. */
static void an_island_knows_that_it_is_alone(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	assert_false(box->a.is_alone || box->b.is_alone);
	split(box);
	assert_true(box->a.is_alone && box->b.is_alone);
	side_opens(&box->b, &ct);
	box_run(box, MS(100));
	box->lost_type = SYNC_TYPE_OFFER;
	heal(box, &box->a);
	assert_true(box->b.is_ready);
	assert_true(box->a.is_alone); /* equal, but not everything is offered */
	assert_false(box->b.is_alone);
	box->lost_type = 0;
	box_run(box, SEC(1));
	assert_false(box->a.is_alone);
	expect_both(box, 1, 0);
	box_free(box);
}

/* Lost frames, on top: offers are numbered and said again. */
static void offers_survive_losses(void **state)
{
	struct box *box = box_new(true, true);

	(void)state;
	split(box);
	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		side_opens(&box->b, &ct);
	}
	box_run(box, MS(100));
	box->loss = 3;
	heal(box, &box->a);
	box_run(box, SEC(5));
	box->loss = 0;
	box_run(box, SEC(1));
	assert_true(box->lost > 0);
	assert_true(side_stats(&box->b).offered > 1000);
	assert_int_equal(side_stats(&box->a).merged, 1000);
	for (uint16_t port = 1; port <= 1000; port++)
		expect_both(box, port, 0);
	box_free(box);
}

static void of_two_changes_the_higher_term_wins(struct side *(*winner)(struct box *))
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), only_a = session(2), only_b = session(3);

	side_opens(&box->a, &ct);
	side_opens(&box->a, &only_a);
	side_opens(&box->a, &only_b);
	split(box);
	side_changes(&box->b, 1, 22);
	box_run(box, MS(20));
	for (uint32_t mark = 1; mark <= 11; mark++) { /* later, and oftener: of no consequence */
		side_changes(&box->a, 1, mark);
		box_run(box, MS(20));
	}
	side_changes(&box->a, 2, 111);
	side_changes(&box->b, 3, 222);
	box_run(box, MS(100));
	heal(box, winner(box));
	expect_both(box, 1, 22);
	expect_both(box, 2, 111);
	expect_both(box, 3, 222);
	box_free(box);
}

static void higher_term_wins_at_the_old_primary(void **state)
{
	(void)state;
	of_two_changes_the_higher_term_wins(side_a);
}

static void higher_term_wins_at_the_new_primary(void **state)
{
	(void)state;
	of_two_changes_the_higher_term_wins(side_b);
}

/* What the winner knew and ended is over, unless the other one has seen life since. */
static void ended_connections_stay_ended(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ended = session(1), alive = session(2);

	(void)state;
	side_opens(&box->a, &ended);
	side_opens(&box->a, &alive);
	split(box);
	side_ends(&box->b, &ended);
	side_ends(&box->b, &alive);
	side_changes(&box->a, 2, 7);
	box_run(box, MS(100));
	heal(box, &box->b);
	expect_neither(box, &ended);
	expect_both(box, 2, 7);
	assert_true(side_stats(&box->b).merge_kept >= 1);
	box_free(box);
}

/* A datagram session only ages: the kernel that still has it has forwarded it since. */
static void datagrams_that_aged_elsewhere_live(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = udp(1);

	(void)state;
	side_opens(&box->a, &ct);
	split(box);
	side_ends(&box->b, &ct);
	box_run(box, MS(100));
	heal(box, &box->b);
	assert_non_null(kernel_find(&box->a, &ct));
	assert_non_null(kernel_find(&box->b, &ct));
	assert_true(box->b.timeouts > 0); /* it does not keep a copy's hold there */
	box_free(box);
}

/* An own session that ended in our kernel while we did not listen is not offered. */
static void what_the_own_kernel_lost_is_not_offered(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	split(box);
	side_opens(&box->a, &ct);
	box_run(box, MS(100));
	kernel_remove(&box->a, kernel_find(&box->a, &ct));
	heal(box, &box->b);
	expect_neither(box, &ct);
	assert_int_equal(side_stats(&box->a).offered, 0);
	box_free(box);
}

/* The members agreed all the time: a planned change of roles offers nothing. */
static void a_planned_change_offers_nothing(void **state)
{
	struct box *box = box_new(true, true);

	(void)state;
	for (uint16_t port = 1; port <= 100; port++) {
		struct ct ct = session(port);

		side_opens(&box->a, &ct);
	}
	box_run(box, MS(100));
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", SPLIT_TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", SPLIT_TERM);
	box_run(box, SEC(1));
	assert_true(box->a.is_ready);
	assert_int_equal(side_stats(&box->a).offered, 0);
	assert_int_equal(side_stats(&box->a).walks_taken, 0);
	box_free(box);
}

/* What a frozen member had not told yet when it was replaced. */
static void changes_on_their_way_are_not_lost(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	box_run(box, MS(100));
	box->is_cut = true;
	side_opens(&box->a, &ct);
	box_run(box, MS(10));
	box->is_cut = false;
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", SPLIT_TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", SPLIT_TERM);
	box_run(box, SEC(1));
	expect_both(box, 1, 0);
	assert_int_equal(side_stats(&box->b).merged, 1);
	box_free(box);
}

/* Winner dies before it has taken anything: the offers are the loser's own again. */
static void winner_dies_before_it_takes_the_offers(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	split(box);
	side_opens(&box->b, &ct);
	box_run(box, MS(100));
	box->lost_type = SYNC_TYPE_OFFER;
	heal(box, &box->a);
	assert_true(box->b.is_ready);
	assert_false(side_has(&box->b, 1));
	box->lost_type = 0;
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", HEALED_TERM + 1);
	sync_on_role(box->a.sync, box->now, SYNC_IDLE, "", HEALED_TERM + 1);
	box_run(box, SEC(1));
	assert_true(side_has(&box->b, 1));
	box_free(box);
}

/* Its kernel refuses: then it is not there, and nobody is told otherwise. */
static void kernel_that_refuses_leaves_no_phantom(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	split(box);
	side_opens(&box->b, &ct);
	box_run(box, MS(100));
	box->a.is_full = true;
	heal(box, &box->a);
	box_run(box, SEC(12));
	assert_true(side_stats(&box->a).inject_failed > 0);
	expect_neither(box, &ct);
	box_free(box);
}

static void expect_refusal(struct box *box, const struct sync_offer *head, const uint8_t *records,
			   size_t len, enum drop_reason reason)
{
	uint8_t bytes[256];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct rbuf r;

	wbuf_be16(&w, (uint16_t)len);
	wbuf_bytes(&w, records, len);
	codec_encode(&schema_sync_offer, head, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_OFFER, &r), reason);
}

static void broken_offers_are_refused_by_name(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_offer head = { .term = TERM, .reign = TERM, .run = 9 };
	const uint8_t no_version[] = { 0, 1, 0 }, too_long[] = { 1, 0xff, 0x7f, 0 }, cut[] = { 1 };

	(void)state;
	head.has = UINT64_C(1) << SYNC_OFFER_TERM | UINT64_C(1) << SYNC_OFFER_REIGN |
		   UINT64_C(1) << SYNC_OFFER_RUN | UINT64_C(1) << SYNC_OFFER_FIRST;
	expect_refusal(box, &head, no_version, sizeof(no_version), DROP_RANGE);
	expect_refusal(box, &head, too_long, sizeof(too_long), DROP_TRUNCATED);
	expect_refusal(box, &head, cut, sizeof(cut), DROP_TRUNCATED);
	head.first = 1;
	expect_refusal(box, &head, cut, 0, DROP_GAP);
	head.term = TERM - 1;
	expect_refusal(box, &head, cut, 0, DROP_STALE_TERM);
	assert_int_equal(side_stats(&box->a).merged, 0);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_primary_takes_what_the_new_one_opened),
		cmocka_unit_test(new_primary_takes_what_the_old_one_opened),
		cmocka_unit_test(an_island_knows_that_it_is_alone),
		cmocka_unit_test(offers_survive_losses),
		cmocka_unit_test(higher_term_wins_at_the_old_primary),
		cmocka_unit_test(higher_term_wins_at_the_new_primary),
		cmocka_unit_test(ended_connections_stay_ended),
		cmocka_unit_test(datagrams_that_aged_elsewhere_live),
		cmocka_unit_test(what_the_own_kernel_lost_is_not_offered),
		cmocka_unit_test(a_planned_change_offers_nothing),
		cmocka_unit_test(changes_on_their_way_are_not_lost),
		cmocka_unit_test(winner_dies_before_it_takes_the_offers),
		cmocka_unit_test(kernel_that_refuses_leaves_no_phantom),
		cmocka_unit_test(broken_offers_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
