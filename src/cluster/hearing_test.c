/* hearing_test.c: whose heartbeats count: ranges, recordings, and how many members there may be */
#include "cluster/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OUR_LIFE = 77 };

static void on_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	(void)everywhere;
	*(struct heartbeat *)arg = *hb;
}

static int on_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	(void)arg, (void)deadline, (void)valid_until, (void)term;
	return 0;
}

static void on_revoke(void *arg, uint64_t term)
{
	(void)arg, (void)term;
}

static void on_probe(void *arg, int64_t duration_ns)
{
	(void)arg, (void)duration_ns;
}

static void on_probe_cancel(void *arg)
{
	(void)arg;
}

static void on_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	(void)arg, (void)state, (void)primary, (void)term;
}

static void on_history(void *arg, const char *text)
{
	(void)arg, (void)text;
}

static const struct cluster_ops ops = {
	.send = on_send, .grant = on_grant, .revoke = on_revoke, .probe = on_probe,
	.probe_cancel = on_probe_cancel, .on_role = on_role, .on_history = on_history,
};

static const mono_t start = { SEC(50) };

static void open_cluster(struct cluster *c, struct heartbeat *last_sent)
{
	const struct cluster_config config = {
		.serial = "FKA", .incarnation = OUR_LIFE, .interval_ns = MS(10), .threshold = 3,
		.holddown_ns = SEC(5), .margin_ns = SEC(1), .priority = 128,
	};

	cluster_init(c, &config, &ops, last_sent, start, false, 0);
	cluster_step(c, start);
}

/* What a member in hello says; `echo_us`: our send time that it has heard, 0 for none. */
static struct heartbeat words(uint64_t send_us, uint64_t incarnation, uint64_t echo_us)
{
	struct heartbeat hb = { .send_us = send_us, .state = MEMBER_HELLO, .interval_us = 10000,
				.threshold = 3 };

	if (echo_us) {
		hb.peers_count = 1;
		strcpy(hb.peers[0].serial, "FKA");
		hb.peers[0].incarnation = incarnation;
		hb.peers[0].echo_us = echo_us;
		SET_HAS(&hb, HEARTBEAT_PEERS);
	}
	return hb;
}

static void a_newcomer_counts_once_it_echoes_our_life(void **state)
{
	const uint64_t now_us = (uint64_t)start.ns / 1000;
	struct heartbeat sent = { 0 }, hb;
	struct cluster c;

	(void)state;
	open_cluster(&c, &sent);
	hb = words(1, 0, 0);
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_UNVERIFIED);
	/* It is greeted, so that it can echo us. */
	cluster_step(&c, mono_add(start, MS(10)));
	assert_int_equal(sent.peers_count, 1);
	assert_string_equal(sent.peers[0].serial, "FKB");
	/* An echo of another life of ours is a recording. */
	hb = words(2, OUR_LIFE - 1, now_us);
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_UNVERIFIED);
	hb = words(3, OUR_LIFE, now_us);
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_NONE);
	assert_true(cluster_is_living(&c, &c.members[0], start));
	/* Its next start has to prove itself anew. */
	hb = words(4, 0, 0);
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 6, &hb), DROP_UNVERIFIED);
}

static void lies_and_nonsense_are_out_of_range(void **state)
{
	const uint64_t now_us = (uint64_t)start.ns / 1000;
	struct heartbeat sent, hb;
	struct cluster c;

	(void)state;
	open_cluster(&c, &sent);
	hb = words(1, OUR_LIFE, now_us + 1000000); /* echoes what we have not said yet */
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_RANGE);
	hb = words(1, OUR_LIFE, now_us);
	hb.threshold = 0;
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_RANGE);
	hb = words(1, OUR_LIFE, now_us);
	hb.state = MEMBER_WORK + 1;
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_RANGE);
	hb = words(1, OUR_LIFE, now_us);
	hb.interval_us = 1;
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKB", 5, &hb), DROP_RANGE);
}

static void a_fifth_member_is_refused(void **state)
{
	struct heartbeat sent, hb = words(1, OUR_LIFE, (uint64_t)start.ns / 1000);
	struct cluster c;
	char serial[17];

	(void)state;
	open_cluster(&c, &sent);
	for (int i = 0; i < LIMIT_MEMBERS - 1; i++) {
		snprintf(serial, sizeof(serial), "FKM%d", i);
		assert_int_equal(cluster_on_heartbeat(&c, start, serial, 5, &hb), DROP_NONE);
	}
	assert_int_equal(cluster_on_heartbeat(&c, start, "FKX", 5, &hb), DROP_CLUSTER_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newcomer_counts_once_it_echoes_our_life),
		cmocka_unit_test(lies_and_nonsense_are_out_of_range),
		cmocka_unit_test(a_fifth_member_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
