/* lease_test.c: how long a primary may forward, echo by echo (the rest is proven by tests/sim) */
#include "cluster/cluster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define INTERVAL MS(100)
#define D        (6 * INTERVAL)

/* One member under test and what it has done last. */
struct box {
	struct cluster c;
	mono_t now;
	struct heartbeat said;
	mono_t lease;
	uint64_t lease_term;
	unsigned revokes, probes;
	int grant_error;
};

static void on_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	struct box *box = arg;

	(void)everywhere;
	box->said = *hb;
}

static int on_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	struct box *box = arg;

	(void)valid_until;
	if (deadline.ns == MONO_NEVER.ns && box->grant_error)
		return box->grant_error;
	box->lease = deadline;
	box->lease_term = term;
	return 0;
}

static void on_revoke(void *arg, uint64_t term)
{
	struct box *box = arg;

	(void)term;
	box->lease = MONO_ZERO;
	box->revokes++;
}

static void on_probe(void *arg, int64_t duration_ns)
{
	(void)duration_ns;
	((struct box *)arg)->probes++;
}

static void on_cancel(void *arg)
{
	(void)arg;
}

static void on_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	(void)arg;
	(void)state;
	(void)primary;
	(void)term;
}

static void on_history(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static const struct cluster_ops ops = {
	on_send, on_grant, on_revoke, on_probe, on_cancel, on_role, on_history,
};

static void pass(struct box *box, int64_t ns)
{
	box->now = mono_add(box->now, ns);
	cluster_step(&box->c, box->now);
}

/* Alone for the hold-down; then a silent probe: primary of term 1, unbounded. */
static void begin(struct box *box)
{
	struct cluster_config config = {
		.serial = "M", .incarnation = 7, .interval_ns = INTERVAL, .threshold = 6,
		.holddown_ns = SEC(1), .margin_ns = SEC(300), .probe_ns = MS(3), .priority = 128,
	};

	memset(box, 0, sizeof(*box));
	box->now = (mono_t){ SEC(1000) };
	cluster_init(&box->c, &config, &ops, box, box->now, false, 0);
	for (unsigned i = 0; i < 12 && !box->probes; i++)
		pass(box, INTERVAL);
	assert_int_equal(box->probes, 1);
	box->now = mono_add(box->now, MS(3));
	cluster_on_probe(&box->c, box->now, PROBE_SILENT, NULL);
	cluster_step(&box->c, box->now);
	assert_int_equal(box->c.state, MEMBER_WORK);
	pass(box, MS(1));
	assert_true(box->lease.ns == MONO_NEVER.ns);
}

/* S follows M, is equal, and has heard what M sent `echo_age_ns` ago. */
static void hear(struct box *box, int64_t echo_age_ns, unsigned flags)
{
	struct heartbeat hb;

	memset(&hb, 0, sizeof(hb));
	hb.send_us = (uint64_t)(box->now.ns / 1000) + 1;
	hb.term = box->c.term;
	hb.state = MEMBER_STANDBY;
	hb.flags = flags;
	hb.priority = 128;
	hb.interval_us = INTERVAL / 1000;
	hb.threshold = 6;
	strcpy(hb.primary, "M");
	SET_HAS(&hb, HEARTBEAT_PRIMARY);
	hb.peers_count = 1;
	strcpy(hb.peers[0].serial, "M");
	hb.peers[0].incarnation = 7;
	hb.peers[0].echo_us = (uint64_t)((box->now.ns - echo_age_ns) / 1000);
	cluster_on_heartbeat(&box->c, box->now, "A", 3, &hb);
	cluster_step(&box->c, box->now);
}

static void lease_is_bounded_by_the_echo_of_an_equal_follower(void **state)
{
	struct box box;

	(void)state;
	begin(&box);
	hear(&box, MS(1), 0);
	assert_true(box.lease.ns == MONO_NEVER.ns); /* not equal: not counted */
	pass(&box, INTERVAL);
	hear(&box, MS(1), HB_READY);
	assert_int_equal(box.lease.ns, box.now.ns - MS(1) + D);
	pass(&box, INTERVAL);
	assert_true(box.said.flags & HB_LEASE_BOUNDED);
	assert_int_equal(box.said.peers[0].counted, 1);
}

static void lease_is_not_renewed_by_an_echo_that_stands_still(void **state)
{
	struct box box;
	mono_t end;

	(void)state;
	begin(&box);
	hear(&box, MS(1), HB_READY);
	end = box.lease;
	for (unsigned i = 1; i < 6; i++) {
		pass(&box, INTERVAL);
		hear(&box, MS(1) + i * INTERVAL, HB_READY);
		assert_int_equal(box.lease.ns, end.ns);
	}
	pass(&box, INTERVAL);
	assert_true(box.c.is_stalled);
	assert_true(mono_is_zero(box.lease));
	assert_true(box.said.flags & HB_STALLED);
}

static void lease_forgets_a_dead_follower_before_it_ends(void **state)
{
	struct box box;

	(void)state;
	begin(&box);
	hear(&box, MS(1), HB_READY);
	for (unsigned i = 0; i < 60; i++) {
		pass(&box, MS(10));
		assert_true(mono_before(box.now, box.lease));
	}
	assert_true(box.lease.ns == MONO_NEVER.ns);
	assert_int_equal(box.c.stats.stalls, 0);
}

static void lease_resumes_with_the_first_echo_of_a_stalled_question(void **state)
{
	struct box box;
	uint64_t term;

	(void)state;
	begin(&box);
	hear(&box, MS(1), HB_READY);
	term = box.c.term;
	pass(&box, SEC(2)); /* frozen */
	assert_true(box.c.is_stalled);
	hear(&box, SEC(2), HB_READY); /* what was waiting in the socket */
	assert_true(box.c.is_stalled);
	box.now = mono_add(box.now, US(300));
	hear(&box, US(300), HB_READY);
	assert_false(box.c.is_stalled);
	assert_int_equal(box.c.term, term);
	assert_int_equal(box.lease.ns / 1000, (box.now.ns - US(300) + D) / 1000);
}

static void lease_taken_back_by_the_kernel_side_is_a_stall(void **state)
{
	struct box box;

	(void)state;
	begin(&box);
	hear(&box, MS(1), HB_READY);
	box.grant_error = -ETIME;
	/* The follower dies: the unbounded lease is refused because we were frozen meanwhile. */
	for (unsigned i = 0; i < 60 && !box.c.is_stalled; i++)
		pass(&box, MS(10));
	assert_true(box.c.is_stalled);
	assert_true(mono_is_zero(box.lease));
}

static void probe_answer_from_before_a_freeze_decides_nothing(void **state)
{
	struct box box;
	struct cluster_config config;

	(void)state;
	begin(&box);
	config = box.c.config;
	cluster_init(&box.c, &config, &ops, &box, box.now, false, 0);
	box.probes = 0;
	for (unsigned i = 0; i < 12 && !box.probes; i++)
		pass(&box, INTERVAL);
	box.now = mono_add(box.now, SEC(5)); /* frozen while it ran */
	cluster_on_probe(&box.c, box.now, PROBE_SILENT, NULL);
	cluster_step(&box.c, box.now);
	assert_int_equal(box.c.state, MEMBER_HELLO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lease_is_bounded_by_the_echo_of_an_equal_follower),
		cmocka_unit_test(lease_is_not_renewed_by_an_echo_that_stands_still),
		cmocka_unit_test(lease_forgets_a_dead_follower_before_it_ends),
		cmocka_unit_test(lease_resumes_with_the_first_echo_of_a_stalled_question),
		cmocka_unit_test(lease_taken_back_by_the_kernel_side_is_a_stall),
		cmocka_unit_test(probe_answer_from_before_a_freeze_decides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
