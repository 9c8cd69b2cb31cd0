/* role_test.c: who may take the role and who must leave it: blind probes, duels of two primaries */
#include "cluster/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define INTERVAL MS(10)
#define D        (3 * INTERVAL)

/* The member under test, M, and what it has done. */
struct box {
	struct cluster c;
	mono_t now;
	struct heartbeat said;
	unsigned probes, told_blind, raises;
	bool has_lease;
	enum probe_result finds; /* what its probes find, a millisecond later */
};

static void on_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	(void)everywhere;
	((struct box *)arg)->said = *hb;
}

static int on_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	(void)deadline, (void)valid_until, (void)term;
	((struct box *)arg)->has_lease = true;
	return 0;
}

static void on_revoke(void *arg, uint64_t term)
{
	(void)term;
	((struct box *)arg)->has_lease = false;
}

static void on_probe(void *arg, int64_t duration_ns)
{
	(void)duration_ns;
	((struct box *)arg)->probes++;
}

static void on_probe_cancel(void *arg)
{
	(void)arg;
}

static void on_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	(void)primary, (void)term;
	((struct box *)arg)->raises += state == MEMBER_WORK;
}

static void on_history(void *arg, const char *text)
{
	((struct box *)arg)->told_blind +=
		strcmp(text, "M: no interface with virtual addresses is up: not taking over.") == 0;
}

static const struct cluster_ops ops = {
	.send = on_send, .grant = on_grant, .revoke = on_revoke, .probe = on_probe,
	.probe_cancel = on_probe_cancel, .on_role = on_role, .on_history = on_history,
};

static void boot(struct box *box, enum probe_result finds, bool is_holding)
{
	const struct cluster_config config = {
		.serial = "M", .incarnation = 7, .interval_ns = INTERVAL, .threshold = 3,
		.holddown_ns = MS(500), .margin_ns = SEC(300), .probe_ns = MS(1), .priority = 128,
	};

	memset(box, 0, sizeof(*box));
	box->now = (mono_t){ SEC(1000) };
	box->finds = finds;
	box->has_lease = is_holding;
	cluster_init(&box->c, &config, &ops, box, box->now, is_holding, 0);
}

static void hear(struct box *box, const char *serial, enum member_state state, unsigned flags,
		 uint64_t term, mono_t echo)
{
	struct heartbeat hb = {
		.send_us = (uint64_t)box->now.ns / 1000, .term = term, .state = (uint8_t)state,
		.flags = flags, .priority = 100, .interval_us = INTERVAL / 1000, .threshold = 3,
		.peers_count = 1,
		.peers = { { .serial = "M", .incarnation = 7, .echo_us = (uint64_t)echo.ns / 1000 } },
	};

	if (state == MEMBER_WORK)
		snprintf(hb.primary, sizeof(hb.primary), "%s", serial);
	assert_int_equal(cluster_on_heartbeat(&box->c, box->now, serial, 9, &hb), DROP_NONE);
}

/* S has named M its successor. */
static void hear_resign(struct box *box, const char *serial)
{
	struct heartbeat hb = {
		.send_us = (uint64_t)box->now.ns / 1000, .term = box->c.term,
		.state = MEMBER_STANDBY, .flags = HB_RESIGNED | HB_READY, .priority = 100,
		.interval_us = INTERVAL / 1000, .threshold = 3, .successor = "M", .peers_count = 1,
		.peers = { { .serial = "M", .incarnation = 7,
			     .echo_us = (uint64_t)box->now.ns / 1000 } },
	};

	assert_int_equal(cluster_on_heartbeat(&box->c, box->now, serial, 9, &hb), DROP_NONE);
}

/* Time passes, and that member ("" for none) is heard in every millisecond. */
static void pass(struct box *box, int64_t ns, const char *serial, enum member_state state,
		 unsigned flags)
{
	mono_t end = mono_add(box->now, ns);

	while (mono_before(box->now, end)) {
		box->now = mono_add(box->now, MS(1));
		if (*serial)
			hear(box, serial, state, flags, box->c.term, box->now);
		if (box->c.is_probing)
			cluster_on_probe(&box->c, box->now, box->finds, "a gateway");
		cluster_step(&box->c, box->now);
	}
}

static void a_blind_probe_gives_no_role(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_BLIND, false);
	pass(&box, SEC(10), "", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_HELLO);
	assert_false(box.has_lease);
	assert_true(box.c.alarms[ALARM_BLIND]);
	assert_true(box.said.flags & HB_BLIND);
	assert_int_equal(box.told_blind, 1);
	assert_in_range(box.probes, 80, 100); /* goes on, ten times a second */
	assert_int_equal(box.c.stats.probes_answered, 0);
	assert_true(box.c.stats.probes_blind > 0);

	/* A link comes up, and somebody answers there. */
	box.finds = PROBE_ANSWERED;
	pass(&box, SEC(2), "", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_HELLO);
	assert_true(box.c.alarms[ALARM_UNKNOWN_GATEWAY]);
	assert_false(box.c.alarms[ALARM_BLIND]);
	/* Seed 100512 of the simulator: the link goes away, and with it the answers. */
	box.finds = PROBE_BLIND;
	pass(&box, SEC(2), "", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_HELLO);
	box.finds = PROBE_SILENT;
	box.probes = 0;
	pass(&box, MS(210), "", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_WORK);
	assert_int_equal(box.probes, 2);
	assert_true(box.has_lease);
	assert_false(box.c.alarms[ALARM_BLIND]);
	assert_false(box.said.flags & HB_BLIND);
	assert_int_equal(box.told_blind, 2);
}

static void without_probes_nothing_is_blind(void **state)
{
	struct box box;
	struct cluster_config config;

	(void)state;
	boot(&box, PROBE_BLIND, false);
	pass(&box, SEC(1), "", MEMBER_HELLO, 0);
	config = box.c.config;
	config.probe_ns = 0;
	cluster_reconfigure(&box.c, &config);
	pass(&box, MS(10), "", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_WORK);
	assert_false(box.c.alarms[ALARM_BLIND]);
}

static void a_blind_member_is_passed_over(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_SILENT, false);
	/* It is ready, and so the better one: M waits for it. */
	pass(&box, SEC(5), "S", MEMBER_HELLO, HB_READY);
	assert_int_equal(box.c.state, MEMBER_HELLO);
	assert_int_equal(box.probes, 0);
	pass(&box, MS(3), "S", MEMBER_HELLO, HB_READY | HB_BLIND);
	assert_int_equal(box.c.state, MEMBER_WORK);
}

static void one_that_sees_again_gives_others_time(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_BLIND, false);
	/* M is the better one by priority, but blind, like S. */
	pass(&box, SEC(2), "S", MEMBER_HELLO, HB_BLIND);
	box.finds = PROBE_SILENT;
	for (unsigned i = 0; i < 200 && box.c.alarms[ALARM_BLIND]; i++)
		pass(&box, MS(1), "S", MEMBER_HELLO, HB_BLIND);
	assert_false(box.c.alarms[ALARM_BLIND]);
	assert_false(box.said.flags & HB_BLIND);
	/* S may be taking over in this moment: it took M for blind. */
	pass(&box, 3 * INTERVAL - MS(1), "S", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_HELLO);
	pass(&box, MS(110), "S", MEMBER_HELLO, 0);
	assert_int_equal(box.c.state, MEMBER_WORK);
}

static void one_passed_over_keeps_looking(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_BLIND, false);
	pass(&box, SEC(2), "S", MEMBER_HELLO, 0);
	assert_true(box.c.alarms[ALARM_BLIND]);
	box.finds = PROBE_SILENT;
	pass(&box, MS(110), "S", MEMBER_HELLO, HB_BLIND);
	assert_false(box.c.alarms[ALARM_BLIND]);
}

static void a_blind_holder_gives_way_to_one_that_sees(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_BLIND, true);
	pass(&box, SEC(5), "", MEMBER_HELLO, 0);
	assert_true(box.c.is_holding);
	assert_true(box.has_lease);
	pass(&box, SEC(1), "S", MEMBER_HELLO, HB_BLIND);
	assert_true(box.c.is_holding);
	pass(&box, SEC(1), "S", MEMBER_HELLO, 0);
	assert_false(box.c.is_holding);
	assert_false(box.has_lease);
}

/* Link news come before any probe: the role is not given to it, nor is a lease bounded by it. */
static void one_without_links_is_no_successor(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_SILENT, false);
	cluster_on_links(&box.c, box.now, false);
	assert_true(box.said.flags & HB_BLIND);
	hear(&box, "S", MEMBER_WORK, 0, 1, box.now);
	cluster_step(&box.c, box.now);
	assert_int_equal(box.c.state, MEMBER_STANDBY);
	cluster_on_ready(&box.c, 1, true);
	pass(&box, SEC(1), "S", MEMBER_WORK, 0);
	/* Even where it is named, by one that has not heard of it. */
	box.now = mono_add(box.now, MS(1));
	hear_resign(&box, "S");
	cluster_step(&box.c, box.now);
	assert_int_equal(box.c.state, MEMBER_STANDBY);
	cluster_on_links(&box.c, box.now, true);
	assert_false(box.said.flags & HB_BLIND);
	cluster_step(&box.c, box.now);
	assert_int_equal(box.c.state, MEMBER_WORK);
}

static void rule(struct box *box)
{
	boot(box, PROBE_SILENT, false);
	pass(box, SEC(1), "", MEMBER_HELLO, 0);
	assert_int_equal(box->c.state, MEMBER_WORK);
	box->raises = 0;
}

/* A standby at M's side, following `primary`; it hears H ("": nobody). */
static void hear_follower(struct box *box, const char *serial, const char *primary, unsigned flags,
			  const char *hidden)
{
	struct heartbeat hb = {
		.send_us = (uint64_t)box->now.ns / 1000, .term = box->c.term,
		.state = MEMBER_STANDBY, .flags = flags, .priority = 100,
		.interval_us = INTERVAL / 1000, .threshold = 3,
		.peers_count = *hidden ? 2 : 1,
		.peers = { { .serial = "M", .incarnation = 7,
			     .echo_us = (uint64_t)box->now.ns / 1000 } },
	};

	snprintf(hb.primary, sizeof(hb.primary), "%s", primary);
	snprintf(hb.peers[1].serial, sizeof(hb.peers[1].serial), "%s", hidden);
	assert_int_equal(cluster_on_heartbeat(&box->c, box->now, serial, 9, &hb), DROP_NONE);
}

/* The primary P is lost, and F follows it still, or says that it has left. How long M then waits. */
static int64_t wait_of(unsigned flags, const char *hidden)
{
	struct box box;
	mono_t lost;

	boot(&box, PROBE_SILENT, false);
	hear(&box, "P", MEMBER_WORK, 0, 1, box.now);
	cluster_step(&box.c, box.now);
	cluster_on_ready(&box.c, 1, true);
	pass(&box, SEC(1), "P", MEMBER_WORK, 0);
	assert_int_equal(box.c.state, MEMBER_STANDBY);
	lost = mono_add(box.now, D);
	while (box.c.state == MEMBER_STANDBY && mono_sub(box.now, lost) < SEC(1)) {
		box.now = mono_add(box.now, MS(1));
		hear_follower(&box, "F", "P", flags, hidden);
		if (box.c.is_probing)
			cluster_on_probe(&box.c, box.now, PROBE_SILENT, NULL);
		cluster_step(&box.c, box.now);
	}
	assert_int_equal(box.c.state, MEMBER_WORK);
	return mono_sub(box.now, lost);
}

/* Seed 402272: both of two that do not hear each other wait because the primary has left elsewhere.
 * The one that also has to let the other go first waits twice as long. */
static void two_reasons_to_wait_are_two_waits(void **state)
{
	(void)state;
	assert_true(wait_of(HB_LEASE_OVER, "") < INTERVAL);
	assert_in_range(wait_of(HB_LEFT, ""), 3 * INTERVAL, 4 * INTERVAL);
	assert_in_range(wait_of(HB_LEASE_OVER, "Z"), 3 * INTERVAL, 4 * INTERVAL);
	assert_in_range(wait_of(HB_LEFT, "Z"), 6 * INTERVAL, 7 * INTERVAL);
	assert_in_range(wait_of(HB_LEFT, "A"), 3 * INTERVAL, 4 * INTERVAL);
}

/* Seed 407994: a wait that had begun when the primary was silent before is no part of this one. */
static void a_wait_begins_anew_with_each_silence(void **state)
{
	struct box box;

	(void)state;
	boot(&box, PROBE_SILENT, false);
	hear(&box, "P", MEMBER_WORK, 0, 1, box.now);
	cluster_step(&box.c, box.now);
	cluster_on_ready(&box.c, 1, true);
	for (unsigned silence = 0; silence < 2; silence++) {
		pass(&box, SEC(1), "P", MEMBER_WORK, 0);
		/* Ready to take over, but Z may be just now: then P is heard again. */
		for (unsigned i = 0; i < (D + 2 * INTERVAL) / MS(1); i++) {
			box.now = mono_add(box.now, MS(1));
			hear_follower(&box, "F", "P", HB_LEASE_OVER, "Z");
			if (box.c.is_probing)
				cluster_on_probe(&box.c, box.now, PROBE_SILENT, NULL);
			cluster_step(&box.c, box.now);
		}
		assert_int_equal(box.c.state, MEMBER_STANDBY);
	}
}

/* Seed 312784: of two that were counted one confirms, the other may have taken over meanwhile. */
static void a_stalled_primary_asks_for_who_is_missing(void **state)
{
	struct box box;
	uint64_t term;

	(void)state;
	for (int is_there = 0; is_there < 2; is_there++) {
		rule(&box);
		term = box.c.term;
		for (unsigned i = 0; i < 100; i++) {
			box.now = mono_add(box.now, MS(1));
			hear_follower(&box, "F", "M", HB_READY, "");
			hear_follower(&box, "G", "M", HB_READY, "");
			cluster_step(&box.c, box.now);
		}
		assert_int_equal(box.c.state, MEMBER_WORK);
		box.now = mono_add(box.now, SEC(2)); /* frozen */
		cluster_step(&box.c, box.now);
		assert_true(box.c.is_stalled);
		box.probes = 0;
		box.finds = PROBE_ANSWERED;
		for (unsigned i = 0; i < 500; i++) {
			box.now = mono_add(box.now, MS(1));
			hear_follower(&box, "F", "M", HB_READY, "");
			if (is_there)
				hear_follower(&box, "G", "M", HB_READY, "");
			if (box.c.is_probing)
				cluster_on_probe(&box.c, box.now, box.finds, "a gateway");
			cluster_step(&box.c, box.now);
		}
		assert_int_equal(box.c.is_stalled, !is_there);
		assert_int_equal(box.probes == 0, is_there);
		assert_int_equal(box.c.term, term);
	}
}

/* Seed 510621: somebody has taken over in the number of our own term, out of our hearing, and a member
 * that we do not count follows it. */
static void a_stalled_primary_sees_one_of_its_own_term(void **state)
{
	struct box box;

	(void)state;
	rule(&box);
	pass(&box, MS(100), "", MEMBER_HELLO, 0);
	box.now = mono_add(box.now, SEC(2)); /* frozen, with a lease that had an end */
	box.c.lease = mono_add(box.now, -MS(1));
	hear_follower(&box, "F", "P", HB_READY, "P");
	cluster_step(&box.c, box.now);
	for (unsigned i = 0; i < 500; i++) {
		box.now = mono_add(box.now, MS(1));
		hear_follower(&box, "F", "P", HB_READY, "P");
		if (box.c.is_probing)
			cluster_on_probe(&box.c, box.now, PROBE_SILENT, NULL);
		cluster_step(&box.c, box.now);
		assert_int_not_equal(box.c.state, MEMBER_WORK);
	}
	assert_int_equal(box.c.stats.resumes, 0);
	assert_string_equal(box.c.primary, "P");
}

static void hear_rival(struct box *box, const char *serial, mono_t echo)
{
	box->now = mono_add(box->now, MS(1));
	hear(box, serial, MEMBER_WORK, 0, box->c.term + 1, echo.ns ? echo : box->now);
	cluster_step(&box->c, box->now);
}

static void two_that_stay_do_not_outbid_each_other(void **state)
{
	struct box box;
	uint64_t term;

	(void)state;
	rule(&box);
	term = box.c.term;
	/* M is the better one; A, which does not see that, answers every rise with one of its own. */
	for (unsigned i = 0; i < 30; i++)
		hear_rival(&box, "A", MONO_ZERO);
	assert_int_equal(box.c.state, MEMBER_WORK);
	assert_true(box.c.term > term);
	assert_in_range(box.raises, 1, 4);
}

/* Seed 408114: M is the better one, for M; whoever still has the role when both have heard each other
 * twice thinks the same of itself. */
static void two_that_stay_are_told_apart_by_serial(void **state)
{
	struct box box;

	(void)state;
	rule(&box);
	for (unsigned i = 0; i < 2 * INTERVAL / MS(1); i++)
		hear_rival(&box, "S", MONO_ZERO);
	assert_int_equal(box.c.state, MEMBER_WORK);
	for (unsigned i = 0; i < 3; i++)
		hear_rival(&box, "S", MONO_ZERO);
	assert_int_equal(box.c.state, MEMBER_STANDBY);
}

static void one_that_never_hears_us_is_yielded_to(void **state)
{
	struct box box;
	mono_t deaf;

	(void)state;
	rule(&box);
	deaf = mono_add(box.now, -D);
	for (unsigned i = 0; i < 4 * D / MS(1); i++)
		hear_rival(&box, "A", deaf);
	assert_int_equal(box.c.state, MEMBER_WORK);
	for (unsigned i = 0; i < 3; i++)
		hear_rival(&box, "A", deaf);
	assert_int_equal(box.c.state, MEMBER_STANDBY);
	assert_string_equal(box.c.primary, "A");
}

/* Seed 202011: it had heard the other one for long, but not the other way round. Then both count
 * from the moment both hear. */
static void a_duel_is_as_old_as_both_know_it(void **state)
{
	struct box box;
	mono_t deaf;

	(void)state;
	rule(&box);
	deaf = mono_add(box.now, -D);
	for (unsigned i = 0; i < 4 * D / MS(1) - 5; i++)
		hear_rival(&box, "S", deaf);
	for (unsigned i = 0; i < INTERVAL / MS(1); i++)
		hear_rival(&box, "S", MONO_ZERO);
	assert_int_equal(box.c.state, MEMBER_WORK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blind_probe_gives_no_role),
		cmocka_unit_test(without_probes_nothing_is_blind),
		cmocka_unit_test(a_blind_member_is_passed_over),
		cmocka_unit_test(one_that_sees_again_gives_others_time),
		cmocka_unit_test(one_passed_over_keeps_looking),
		cmocka_unit_test(a_blind_holder_gives_way_to_one_that_sees),
		cmocka_unit_test(one_without_links_is_no_successor),
		cmocka_unit_test(two_reasons_to_wait_are_two_waits),
		cmocka_unit_test(a_wait_begins_anew_with_each_silence),
		cmocka_unit_test(a_stalled_primary_asks_for_who_is_missing),
		cmocka_unit_test(a_stalled_primary_sees_one_of_its_own_term),
		cmocka_unit_test(two_that_stay_do_not_outbid_each_other),
		cmocka_unit_test(two_that_stay_are_told_apart_by_serial),
		cmocka_unit_test(one_that_never_hears_us_is_yielded_to),
		cmocka_unit_test(a_duel_is_as_old_as_both_know_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
