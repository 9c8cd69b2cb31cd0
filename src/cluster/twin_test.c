/* twin_test.c: members that were given the same serial: both say so, and never two forward */
#include "cluster/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TWINS = 3, OUR_LIFE = 77 };

static const mono_t start = { SEC(50) };
static const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };

struct life {
	struct cluster cluster;
	struct heartbeat sent;
	bool has_sent, is_up, is_granted;
	unsigned news;
	char history[256];
};

static void on_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	struct life *life = arg;

	(void)everywhere;
	life->sent = *hb;
	life->has_sent = true;
}

static int on_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	(void)deadline, (void)valid_until, (void)term;
	((struct life *)arg)->is_granted = true;
	return 0;
}

static void on_revoke(void *arg, uint64_t term)
{
	(void)term;
	((struct life *)arg)->is_granted = false;
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
	struct life *life = arg;

	if (strstr(text, "another member"))
		snprintf(life->history, sizeof(life->history), "%s", text);
}

static const struct cluster_ops ops = {
	.send = on_send, .grant = on_grant, .revoke = on_revoke, .probe = on_probe,
	.probe_cancel = on_probe_cancel, .on_role = on_role, .on_history = on_history,
};

/* Without probes: nothing but what they say to each other keeps them apart. */
static void rise(struct life *life, const char *hostname, uint64_t incarnation, mono_t now)
{
	struct cluster_config config = {
		.serial = "FKA", .incarnation = incarnation, .interval_ns = MS(10), .threshold = 3,
		.holddown_ns = MS(500), .margin_ns = SEC(1), .priority = 128,
	};

	memset(life, 0, sizeof(*life));
	snprintf(config.hostname, sizeof(config.hostname), "%s", hostname);
	cluster_init(&life->cluster, &config, &ops, life, now, false, 0);
	life->is_up = true;
	cluster_step(&life->cluster, now);
}

/* A heartbeat of a twin that heard what we said at `echo_us` (0: nothing) in that life of ours. */
static enum drop_reason hear(struct life *life, mono_t now, uint64_t from, const char *hostname,
			     uint64_t send_us, uint64_t our_life, uint64_t echo_us)
{
	struct heartbeat hb = { .send_us = send_us, .interval_us = 10000, .threshold = 3 };
	enum drop_reason reason;
	bool is_news = false;

	snprintf(hb.hostname, sizeof(hb.hostname), "%s", hostname);
	if (echo_us) {
		hb.peers_count = 1;
		strcpy(hb.peers[0].serial, "FKA");
		hb.peers[0].incarnation = our_life;
		hb.peers[0].echo_us = echo_us;
	}
	reason = cluster_on_serial_clash(&life->cluster, now, from, &hb, &mac, "eth3", &is_news);
	life->news += is_news;
	return reason;
}

static uint64_t us(mono_t t)
{
	return (uint64_t)t.ns / 1000;
}

static void a_recording_of_our_earlier_life_is_no_twin(void **state)
{
	struct life life;
	mono_t now = start;

	(void)state;
	rise(&life, "gw1", OUR_LIFE, now);
	for (uint64_t i = 1; i < 200; i++) {
		now = mono_add(now, MS(5));
		/* It progresses like a living one, and echoes like one: to another life. */
		assert_int_equal(hear(&life, now, 5, "gw1", i, 0, 0), DROP_UNVERIFIED);
		assert_int_equal(hear(&life, now, 6, "gw1", i, 5, us(now)), DROP_UNVERIFIED);
		assert_int_equal(hear(&life, now, 7, "gw1", i, OUR_LIFE, us(now) + 1), DROP_RANGE);
		cluster_step(&life.cluster, now);
		assert_false(life.cluster.alarms[ALARM_SERIAL_CLASH]);
	}
	/* A recording of a twin that did hear this life of ours ages. */
	assert_int_equal(hear(&life, now, 8, "gw2", 1, OUR_LIFE, us(start)),
			 DROP_SERIAL_CLASH);
	now = mono_add(now, SEC(12));
	cluster_step(&life.cluster, now);
	assert_int_equal(hear(&life, now, 8, "gw2", 2, OUR_LIFE, us(start)), DROP_UNVERIFIED);
	assert_false(life.cluster.alarms[ALARM_SERIAL_CLASH]);
	assert_int_equal(life.news, 1);
}

static void a_twin_is_named_and_told_once(void **state)
{
	struct life life;
	char text[TWIN_TEXT];
	mono_t now = start;

	(void)state;
	rise(&life, "gw1", OUR_LIFE, now);
	assert_int_equal(hear(&life, now, 5, "gw2", 1, 0, 0), DROP_UNVERIFIED);
	/* Answered with its own nonce, so that it can find out as well. */
	cluster_step(&life.cluster, mono_add(now, MS(10)));
	assert_int_equal(life.sent.peers_count, 1);
	assert_string_equal(life.sent.peers[0].serial, "FKA");
	assert_int_equal(life.sent.peers[0].incarnation, 5);
	for (uint64_t i = 2; i < 100; i++) {
		now = mono_add(now, MS(10));
		assert_int_equal(hear(&life, now, 5, "gw2", i, OUR_LIFE, us(now)),
				 DROP_SERIAL_CLASH);
		cluster_step(&life.cluster, now);
	}
	assert_true(life.cluster.alarms[ALARM_SERIAL_CLASH]);
	assert_int_equal(life.news, 1);
	assert_string_equal(life.history, "FKA: another member uses this serial: gw2.");
	assert_string_equal(cluster_twin_text(&life.cluster, text),
			    "serial FKA is used by both gw1 (this member, incarnation "
			    "000000000000004d) and gw2 (incarnation 0000000000000005, MAC "
			    "02:00:00:00:00:01 on eth3): give one another "
			    "\"config system global / set serial\"");
	/* No member, no heartbeat that counts. */
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		assert_false(life.cluster.members[i].is_used);
	assert_int_equal(life.cluster.stats.hb_heard, 0);

	/* Another name is told, but not as often as a peer can change it. */
	for (uint64_t i = 100; i < 1200; i++) {
		now = mono_add(now, MS(10));
		hear(&life, now, 5, i % 2 ? "gw3" : "gw4", i, OUR_LIFE, us(now));
	}
	assert_int_equal(life.news, 2);
	/* It goes away and comes back. */
	now = mono_add(now, SEC(11));
	cluster_step(&life.cluster, now);
	assert_false(life.cluster.alarms[ALARM_SERIAL_CLASH]);
	hear(&life, now, 5, "gw3", 1200, OUR_LIFE, us(now));
	assert_true(life.cluster.alarms[ALARM_SERIAL_CLASH]);
	assert_int_equal(life.news, 3);
}

/* ---- twins that hear each other --------------------------------------------------------- */

struct world {
	struct life lives[TWINS];
	mono_t now;
	bool is_cut;
	unsigned most_forwarders; /* at once, while not cut and settled */
};

static unsigned forwarders(const struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TWINS; i++)
		n += w->lives[i].is_up && w->lives[i].is_granted;
	return n;
}

static void deliver(struct world *w, unsigned from)
{
	struct life *sender = &w->lives[from];
	bool is_news = false;

	sender->has_sent = false;
	for (unsigned i = 0; i < TWINS && !w->is_cut; i++)
		if (i != from && w->lives[i].is_up) {
			cluster_on_serial_clash(&w->lives[i].cluster, w->now,
						sender->cluster.config.incarnation, &sender->sent,
						&mac, "eth3", &is_news);
			w->lives[i].news += is_news;
		}
}

static void run(struct world *w, int64_t ns)
{
	mono_t end = mono_add(w->now, ns);

	w->most_forwarders = forwarders(w);
	while (mono_before(w->now, end)) {
		w->now = mono_add(w->now, MS(1));
		for (unsigned i = 0; i < TWINS; i++)
			if (w->lives[i].is_up)
				cluster_step(&w->lives[i].cluster, w->now);
		for (unsigned i = 0; i < TWINS; i++)
			if (w->lives[i].is_up && w->lives[i].has_sent)
				deliver(w, i);
		if (forwarders(w) > w->most_forwarders)
			w->most_forwarders = forwarders(w);
	}
}

static void twins_that_start_together_yield_one_forwarder(void **state)
{
	struct world w = { .now = start };

	(void)state;
	rise(&w.lives[0], "gw1", 30, w.now);
	rise(&w.lives[1], "gw2", 20, w.now);
	rise(&w.lives[2], "gw3", 10, w.now);
	run(&w, SEC(5));
	assert_int_equal(w.most_forwarders, 1);
	assert_int_equal(w.lives[0].cluster.state, MEMBER_WORK);
	for (unsigned i = 0; i < TWINS; i++)
		assert_true(w.lives[i].cluster.alarms[ALARM_SERIAL_CLASH]);
	/* The one that forwards dies: the next goes on, when it has been silent for long. */
	w.lives[0].is_up = false;
	run(&w, SEC(25));
	assert_int_equal(w.most_forwarders, 1);
	assert_int_equal(w.lives[1].cluster.state, MEMBER_WORK);
	assert_int_equal(w.lives[2].cluster.state, MEMBER_HELLO);
}

static void a_twin_that_starts_later_stays_out(void **state)
{
	struct world w = { .now = start };

	(void)state;
	rise(&w.lives[0], "gw1", 10, w.now);
	run(&w, SEC(2));
	assert_int_equal(w.lives[0].cluster.state, MEMBER_WORK);
	rise(&w.lives[1], "gw2", 20, w.now);
	run(&w, SEC(30));
	assert_int_equal(w.most_forwarders, 1);
	assert_int_equal(w.lives[0].cluster.state, MEMBER_WORK);
	assert_int_equal(w.lives[1].cluster.state, MEMBER_HELLO);
	assert_int_equal(w.lives[0].news, 1);
	assert_int_equal(w.lives[1].news, 1);
}

static void twins_that_both_forward_settle_it_when_they_meet(void **state)
{
	struct world w = { .now = start, .is_cut = true };

	(void)state;
	rise(&w.lives[0], "gw1", 20, w.now);
	rise(&w.lives[1], "gw2", 10, w.now);
	run(&w, SEC(2));
	assert_int_equal(forwarders(&w), 2);
	w.is_cut = false;
	run(&w, MS(100));
	assert_int_equal(forwarders(&w), 1);
	run(&w, SEC(30));
	assert_int_equal(w.most_forwarders, 1);
	assert_int_equal(w.lives[0].cluster.state, MEMBER_WORK);
	assert_int_equal(w.lives[1].cluster.state, MEMBER_HELLO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_of_our_earlier_life_is_no_twin),
		cmocka_unit_test(a_twin_is_named_and_told_once),
		cmocka_unit_test(twins_that_start_together_yield_one_forwarder),
		cmocka_unit_test(a_twin_that_starts_later_stays_out),
		cmocka_unit_test(twins_that_both_forward_settle_it_when_they_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
