/* shed_test.c: under pressure: what is left out, in which order, and how it is made good */
#include "sync/sync_lab.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sync_state state_of(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state;
}

static unsigned mark_at(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	return kernel_find(side, &ct)->mark;
}

static void opens(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	side_opens(side, &ct);
}

static void ends(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	side_ends(side, &ct);
}

/* Sessions 1 to 9 are known to both, and the first dump was long ago enough for another. */
static struct box *begin(void)
{
	struct box *box = box_new(true, true);

	for (uint16_t port = 1; port < 10; port++)
		opens(&box->a, port);
	box_run(box, MS(1100));
	box_expect_equal(box);
	return box;
}

static void refreshes_are_shed_first(void **state)
{
	struct box *box = begin();
	uint64_t dumps = side_stats(&box->a).dumps;

	(void)state;
	sync_on_fill(box->a.sync, 60);
	side_changes(&box->a, 1, 7);
	side_changes(&box->a, 1, 8);
	opens(&box->a, 20);
	ends(&box->a, 2);
	box_run(box, MS(100));
	assert_int_equal(mark_at(&box->b, 1), 0);
	assert_true(side_has(&box->b, 20));
	assert_false(side_has(&box->b, 2));
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 2);
	assert_int_equal(state_of(&box->a).pressure.shed_new, 0);
	assert_int_equal(side_stats(&box->a).dumps, dumps); /* not yet */
	sync_on_fill(box->a.sync, 30);
	box_run(box, MS(100));
	assert_int_equal(side_stats(&box->a).dumps, dumps);
	sync_on_fill(box->a.sync, 0);
	box_run(box, MS(100));
	assert_int_equal(mark_at(&box->b, 1), 8);
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	assert_int_equal(state_of(&box->a).pressure.dumps, 1);
	box_expect_equal(box);
	box_free(box);
}

static void then_new_sessions_and_never_ends(void **state)
{
	struct box *box = begin();
	uint64_t dumps = side_stats(&box->a).dumps, head = state_of(&box->a).head;

	(void)state;
	sync_on_fill(box->a.sync, 80);
	side_changes(&box->a, 1, 7);
	opens(&box->a, 20);
	opens(&box->a, 21);
	ends(&box->a, 21); /* nobody ever hears of it */
	ends(&box->a, 2);
	box_run(box, MS(100));
	assert_int_equal(mark_at(&box->b, 1), 0);
	assert_false(side_has(&box->b, 20));
	assert_false(side_has(&box->b, 2));
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 1);
	assert_int_equal(state_of(&box->a).pressure.shed_new, 2);
	sync_on_fill(box->a.sync, 0);
	box_run(box, MS(100));
	assert_int_equal(mark_at(&box->b, 1), 7);
	assert_true(side_has(&box->b, 20));
	assert_false(side_has(&box->b, 21));
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	/* Only what differs has a new version: one end, one mark, one beginning. */
	assert_int_equal(state_of(&box->a).head, head + 3);
	box_expect_equal(box);
	/* What the dump found had spoken before: the table is not read again because of it. */
	box_run(box, SEC(50));
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	box_free(box);
}

static void a_closing_state_is_an_end(void **state)
{
	struct box *box = begin();
	struct ct ct = session(1);

	(void)state;
	sync_on_fill(box->a.sync, 99);
	ct.tcp_state = TCP_CONNTRACK_FIN_WAIT;
	SET_HAS(&ct, CT_TCP_STATE);
	side_tells(&box->a, CT_NEWS_UPDATE, &ct);
	box_run(box, MS(20));
	assert_int_equal(kernel_find(&box->b, &ct)->tcp_state, TCP_CONNTRACK_FIN_WAIT);
	ct.sport = 2;
	ct.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	side_tells(&box->a, CT_NEWS_UPDATE, &ct);
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 1);
	box_free(box);
}

/* A connection whose members know it as half open is not refreshed by being open: it begins. */
static void what_completes_a_beginning_is_no_refresh(void **state)
{
	struct box *box = begin();
	struct ct ct = session(20);

	(void)state;
	ct.status = IPS_CONFIRMED;
	side_opens(&box->a, &ct);
	box_run(box, MS(20));
	sync_on_fill(box->a.sync, 60);
	ct.status |= IPS_SEEN_REPLY | IPS_ASSURED;
	*kernel_find(&box->a, &ct) = ct;
	side_tells(&box->a, CT_NEWS_UPDATE, &ct);
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 0);
	box_run(box, MS(20));
	assert_true(kernel_find(&box->b, &ct)->status & IPS_ASSURED);
	side_changes(&box->a, 20, 7);
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 1);
	/* One that stays half open is refreshed like any other. */
	sync_on_fill(box->a.sync, 0);
	ct = session(21);
	ct.status = IPS_CONFIRMED;
	side_opens(&box->a, &ct);
	sync_on_fill(box->a.sync, 60);
	ct.mark = 7;
	SET_HAS(&ct, CT_MARK);
	side_tells(&box->a, CT_NEWS_UPDATE, &ct);
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 2);
	box_free(box);
}

/* The same ports again, behind the fence: shed, the waiting delete would end a living session. */
static void who_returns_behind_the_fence_is_heard(void **state)
{
	struct box *box = begin();

	(void)state;
	sync_on_fill(box->a.sync, 99);
	ends(&box->a, 1);
	box_run(box, MS(5));
	opens(&box->a, 1);
	box_run(box, MS(200));
	assert_true(side_has(&box->b, 1));
	assert_int_equal(state_of(&box->a).pressure.shed_new, 0);
	box_free(box);
}

static void what_is_owed_is_not_called_equal(void **state)
{
	struct box *box = begin();
	struct sync_state a, b;
	mono_t shed_at;

	(void)state;
	box_run(box, SEC(2));
	assert_int_equal(state_of(&box->a).differing, 0);
	assert_int_equal(state_of(&box->b).differing, 0);
	sync_on_fill(box->a.sync, 80);
	shed_at = box->now;
	for (unsigned i = 0; i < 100; i++)
		side_changes(&box->a, 1, i); /* of nine sessions no hundred differ */
	opens(&box->a, 20);
	box_run(box, SEC(3));
	a = state_of(&box->a);
	b = state_of(&box->b);
	assert_int_equal(a.differing, 9 + 1);
	assert_int_equal(b.differing, 9 + 1);
	assert_true(a.proven_at.ns <= shed_at.ns);
	assert_true(b.proven_at.ns <= mono_add(shed_at, SEC(1)).ns); /* when it heard of it */
	assert_true(box->b.is_ready); /* as equal as anybody can be */
	sync_on_fill(box->a.sync, 0);
	box_run(box, SEC(2));
	a = state_of(&box->a);
	b = state_of(&box->b);
	assert_int_equal(a.differing, 0);
	assert_int_equal(b.differing, 0);
	assert_true(mono_sub(box->now, a.proven_at) < SEC(2));
	assert_true(mono_sub(box->now, b.proven_at) < SEC(2));
	box_expect_equal(box);
	box_free(box);
}

/* B says that it has everything up to `cursor`. */
static void acknowledges(struct box *box, uint64_t cursor)
{
	struct sync_ack ack = { .term = TERM, .cursor = cursor };
	uint8_t bytes[64];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct rbuf r;

	SET_HAS(&ack, SYNC_ACK_TERM);
	SET_HAS(&ack, SYNC_ACK_CURSOR);
	SET_HAS(&ack, SYNC_ACK_WANT);
	codec_encode(&schema_sync_ack, &ack, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_ACK, &r),
			 DROP_NONE);
}

static void late_members_cost_refreshes(void **state)
{
	struct box *box = begin();
	uint64_t head = state_of(&box->a).head, dumps = side_stats(&box->a).dumps;

	(void)state;
	box->is_cut = true; /* the test speaks for B */
	opens(&box->a, 20);
	for (unsigned i = 0; i < 60; i++) {
		box_run(box, MS(10));
		acknowledges(box, head);
	}
	assert_int_equal(state_of(&box->a).pressure.members, PRESSURE_REFRESHES);
	head = state_of(&box->a).head;
	side_changes(&box->a, 1, 7);
	assert_int_equal(state_of(&box->a).head, head); /* it keeps its place */
	opens(&box->a, 21);
	assert_int_equal(state_of(&box->a).head, head + 1);
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 1);
	box->is_cut = false;
	box_run(box, MS(400));
	assert_int_equal(state_of(&box->a).pressure.members, PRESSURE_NONE);
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	assert_int_equal(mark_at(&box->b, 1), 7);
	box_expect_equal(box);
	box_free(box);
}

/* The control: one that says nothing at all is not late. */
static void a_silent_member_costs_nothing(void **state)
{
	struct box *box = begin();

	(void)state;
	box->is_cut = true;
	opens(&box->a, 20);
	for (unsigned i = 0; i < 200; i++) {
		box_run(box, MS(10));
		side_changes(&box->a, 1, i);
		assert_int_equal(state_of(&box->a).pressure.members, PRESSURE_NONE);
	}
	assert_int_equal(state_of(&box->a).pressure.shed_refreshes, 0);
	box_free(box);
}

static void a_full_store_refuses_beginnings_only(void **state)
{
	struct box *box = box_new_of(32);
	uint64_t dumps;

	(void)state;
	for (uint16_t port = 1; port <= 40; port++)
		opens(&box->a, port);
	box_run(box, MS(100));
	assert_int_equal(side_stats(&box->a).table_full, 8);
	assert_int_equal(state_of(&box->a).differing, 8);
	assert_true(state_of(&box->a).is_table_full);
	dumps = side_stats(&box->a).dumps;
	side_changes(&box->a, 1, 7);
	ends(&box->a, 2);
	box_run(box, MS(1900));
	assert_int_equal(mark_at(&box->b, 1), 7);
	assert_false(side_has(&box->b, 2));
	assert_int_equal(side_stats(&box->a).dumps, dumps); /* one place is not worth it */
	for (uint16_t port = 3; port <= 12; port++)
		ends(&box->a, port);
	box_run(box, SEC(2));
	assert_int_equal(side_stats(&box->a).dumps, dumps + 1);
	for (uint16_t port = 33; port <= 40; port++)
		assert_true(side_has(&box->b, port));
	assert_int_equal(state_of(&box->a).differing, 0);
	assert_false(state_of(&box->a).is_table_full);
	box_expect_equal(box);
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refreshes_are_shed_first),
		cmocka_unit_test(then_new_sessions_and_never_ends),
		cmocka_unit_test(a_closing_state_is_an_end),
		cmocka_unit_test(what_completes_a_beginning_is_no_refresh),
		cmocka_unit_test(who_returns_behind_the_fence_is_heard),
		cmocka_unit_test(what_is_owed_is_not_called_equal),
		cmocka_unit_test(late_members_cost_refreshes),
		cmocka_unit_test(a_silent_member_costs_nothing),
		cmocka_unit_test(a_full_store_refuses_beginnings_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
