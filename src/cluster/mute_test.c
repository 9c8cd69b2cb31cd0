/* mute_test.c: the mute against the real kernel, both back ends, and nft without privileges */
#include "cluster/mute.h"

#include "base/log.h"
#include "base/loop.h"
#include "cluster/scenario.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const lan[] = {"lan"};

/* Does a datagram sent on one socket arrive on the other within `ms`? */
static bool passes(int from, int to, int ms)
{
	struct pollfd pfd = {.fd = to, .events = POLLIN};
	char c;

	while (recv(to, &c, 1, 0) >= 0)
		;
	(void)!send(from, "x", 1, 0);
	return poll(&pfd, 1, ms) == 1 && recv(to, &c, 1, 0) == 1;
}

static const char *muted_then_granted_then_revoked(struct netlab *lab, enum mute_backend backend)
{
	int gw = netlab_udp(lab, false), host = netlab_udp(lab, true);
	struct mute *mute;

	MUST(netlab_run_host(lab, "ping -q -c 1 -W 1 10.9.0.1")); /* the control */
	MUST(netlab_run_host(lab, "ip neigh flush dev host"));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(!mute_adopted(mute).is_forwarding);
	/* no ARP answer, so no neighbour either */
	MUST(!netlab_run_host(lab, "ping -q -c 1 -W 1 10.9.0.1"));
	MUST(!netlab_run_host(lab, "ip neigh show dev host to 10.9.0.1 | grep lladdr"));
	MUST(netlab_pin_neighbours(lab));
	MUST(!passes(host, gw, 50) && !passes(gw, host, 50));
	MUST(mute_grant(mute, MONO_NEVER, 7) == 0);
	MUST(passes(host, gw, 1000) && passes(gw, host, 1000));
	MUST(mute_revoke(mute, 7) == 0);
	MUST(!passes(host, gw, 50) && !passes(gw, host, 50));
	MUST(mute_revoke(mute, 7) == 0); /* twice is no error */
	MUST(mute_grant(mute, mono_add(mono_read(), SEC(30)), 7) == 0);
	MUST(mute_grant(mute, mono_add(mono_read(), SEC(60)), 8) == 0);
	MUST(passes(host, gw, 1000) && passes(gw, host, 1000));
	mute_close(mute);
	close(gw);
	close(host);
	return NULL;
}

/* Nobody acts at the deadline: this process only sends its clock, and notes the latest time that
 * arrived. *ret_tried: the last time sent before the deadline, for a machine that did not let us
 * send up to it proves nothing about the end. */
static mono_t last_pass(int from, int to, mono_t deadline, mono_t *ret_tried)
{
	mono_t until = mono_add(deadline, MS(20));
	mono_t last = MONO_ZERO;
	mono_t at, heard;

	while (at = mono_read(), mono_before(at, until)) {
		struct timespec pause = {.tv_nsec = 50000};

		if (mono_before(at, deadline))
			*ret_tried = at;
		(void)!send(from, &at, sizeof(at), 0);
		while (recv(to, &heard, sizeof(heard), 0) == sizeof(heard))
			last = mono_max(last, heard);
		nanosleep(&pause, NULL);
	}
	return last;
}

static const char *bounded_lease_ends_by_itself(struct netlab *lab, enum mute_backend backend)
{
	int gw = netlab_udp(lab, false), host = netlab_udp(lab, true);
	struct mute *mute;

	MUST(netlab_pin_neighbours(lab));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	for (int i = 0; i < 6; i++) {
		mono_t deadline = mono_add(mono_read(), MS(60) + MS(3) * i), last, tried;
		int64_t late_ns;

		/* a longer or a shorter one first: the last call counts */
		MUST(mute_grant(mute, mono_add(deadline, i & 1 ? SEC(9) : -MS(45)), 1) == 0);
		MUST(mute_grant(mute, deadline, 1) == 0);
		tried = mono_read();
		last = last_pass(i & 2 ? gw : host, i & 2 ? host : gw, deadline, &tried);
		late_ns = mono_sub(last, deadline);
		fprintf(stderr, "# %s: last frame %+.3f ms from the deadline\n",
			mute_backend_name(mute), (double)late_ns / 1e6);
		MUST(late_ns < MS(2));
		/* bpf: exact, but for the softirq's delay; nft: two jiffies and 2 ms */
		MUST(mono_sub(last, tried) > (backend == MUTE_BPF ? -MS(5) : -MS(25)));
	}
	mute_close(mute);
	close(gw);
	close(host);
	return NULL;
}

static const char *unbounded_survives_and_is_adopted(struct netlab *lab, enum mute_backend backend)
{
	int gw = netlab_udp(lab, false), host = netlab_udp(lab, true);
	struct mute *mute;

	MUST(netlab_pin_neighbours(lab));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(mute_grant(mute, MONO_NEVER, UINT64_C(12345678901234567890)) == 0);
	mute_close(mute);
	MUST(passes(host, gw, 1000) && passes(gw, host, 1000));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(mute_adopted(mute).is_forwarding);
	MUST(mute_adopted(mute).term == UINT64_C(12345678901234567890));
	MUST(passes(host, gw, 1000) && passes(gw, host, 1000));
	MUST(mute_revoke(mute, 5) == 0);
	mute_close(mute);
	MUST(!passes(host, gw, 50) && !passes(gw, host, 50));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(!mute_adopted(mute).is_forwarding);
	MUST(mute_grant(mute, mono_add(mono_read(), MS(60)), 6) == 0);
	mute_close(mute);
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(!mute_adopted(mute).is_forwarding); /* bounded is not adopted */
	mute_close(mute);
	close(gw);
	close(host);
	return NULL;
}

static const char *release_restores_traffic(struct netlab *lab, enum mute_backend backend)
{
	int gw = netlab_udp(lab, false), host = netlab_udp(lab, true);
	static const char *const two[] = {"lan", "wan_1"};
	struct mute *mute;

	MUST(netlab_pin_neighbours(lab));
	MUST(netlab_run(lab, "ip link add wan_1 type veth peer name w && ip link set wan_1 up"));
	MUST(mute_open(backend, two, 2, &mute) == 0);
	mute_close(mute);
	MUST(!passes(host, gw, 50) && !passes(gw, host, 50));
	MUST(mute_release("lan") == 0);
	MUST(passes(host, gw, 1000) && passes(gw, host, 1000));
	MUST(netlab_run(lab, "! tc qdisc show dev lan | grep clsact"));
	if (backend == MUTE_BPF)
		MUST(netlab_run(lab, "tc filter show dev wan_1 egress | grep -q fk_mute"));
	else
		MUST(netlab_run(lab, "nft list ruleset | grep -q wan_1"));
	MUST(mute_release("wan_1") == 0);
	MUST(mute_release("wan_1") == 0); /* nothing left is no error */
	MUST(netlab_run(lab, "! tc qdisc show | grep clsact"));
	MUST(netlab_run(lab, "! nft list ruleset | grep ."));
	MUST(netlab_run(lab, "ip link del wan_1"));
	close(gw);
	close(host);
	return NULL;
}

static const char *operators_rules_stay(struct netlab *lab, enum mute_backend backend)
{
	struct mute *mute;

	MUST(netlab_run(lab, "tc qdisc add dev lan clsact && nft add table netdev mine"));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	mute_close(mute);
	MUST(mute_release("lan") == 0);
	MUST(netlab_run(lab, "tc qdisc show dev lan | grep -q clsact"));
	MUST(netlab_run(lab, "nft list table netdev mine >/dev/null"));
	MUST(netlab_run(lab, "tc qdisc del dev lan clsact && nft delete table netdev mine"));
	if (backend != MUTE_BPF)
		return NULL;
	/* our qdisc, but the operator came to use it too */
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	mute_close(mute);
	MUST(netlab_run(lab, "tc filter add dev lan ingress prio 10 bpf bytecode '1,6 0 0 0'"));
	MUST(mute_release("lan") == 0);
	MUST(netlab_run(lab, "tc filter show dev lan ingress | grep -q 'pref 10'"));
	MUST(netlab_run(lab, "! tc filter show dev lan ingress | grep fk_mute"));
	/* a filter that would decide before ours is no place to be muted */
	MUST(netlab_run(lab, "tc filter add dev lan egress prio 1 bpf bytecode '1,6 0 0 0'"));
	MUST(mute_open(backend, lan, 1, &mute) == -EBUSY);
	MUST(netlab_run(lab, "tc qdisc del dev lan clsact"));
	return NULL;
}

static const char *missing_interface_is_muted_when_it_appears(struct netlab *lab,
							      enum mute_backend backend)
{
	static const char *const two[] = {"lan", "later"};
	struct mute *mute;

	MUST(mute_open(backend, two, 2, &mute) == 0);
	MUST(mute_ensure(mute) == 0);
	MUST(netlab_run(lab, "ip link add later type veth peer name l"));
	MUST(mute_ensure(mute) == 1);
	MUST(mute_ensure(mute) == 0);
	if (backend == MUTE_BPF) {
		MUST(netlab_run(lab, "tc filter show dev later ingress | grep -q fk_mute"));
		MUST(netlab_run(lab, "tc qdisc del dev lan clsact")); /* somebody's mistake */
	} else {
		MUST(netlab_run(lab, "nft list ruleset | grep -q 'device \"later\"'"));
		MUST(netlab_run(lab, "nft flush ruleset"));
		MUST(mute_grant(mute, MONO_NEVER, 3) == 0); /* repairs at once */
		MUST(netlab_run(lab, "nft flush ruleset"));
	}
	MUST(mute_ensure(mute) == (backend == MUTE_BPF ? 1 : 2));
	MUST(mute_grant(mute, MONO_NEVER, 3) == 0);
	mute_close(mute);
	MUST(mute_release("lan") == 0 && mute_release("later") == 0);
	MUST(netlab_run(lab, "ip link del later"));
	return NULL;
}

static const char *removed_mute_is_back_at_once(struct netlab *lab, enum mute_backend backend)
{
	static const char *const bpf_ways[] = {"tc qdisc del dev lan clsact",
					       "tc filter del dev lan ingress"};
	static const char *const nft_ways[] = {"nft flush ruleset",
					       "nft flush table netdev flowkeep_mute"};
	struct loop *loop = loop_new();
	struct mute_watch *watch;
	struct mute *mute;

	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(mute_watch_open(loop, mute, &watch) == 0);
	for (unsigned i = 0; i < 2; i++) {
		mono_t start;

		MUST(netlab_run(lab, "%s", backend == MUTE_BPF ? bpf_ways[i] : nft_ways[i]));
		start = mono_read();
		loop_turn(loop, MS(100)); /* hears it, and its hook repairs */
		fprintf(stderr, "# %s: repaired in %.0f us\n", mute_backend_name(mute),
			(double)mono_sub(mono_read(), start) / 1e3);
		MUST(mute_ensure(mute) == 0);
		for (int j = 0; j < 5; j++)
			loop_turn(loop, MS(2)); /* our own changes start no endless talk */
	}
	mute_watch_close(watch);
	mute_close(mute);
	loop_free(loop);
	return NULL;
}

struct stream {
	int from, to;
	unsigned sent, received;
	bool is_ending;
};

static void *stream_run(void *arg)
{
	struct stream *stream = arg;
	char c;

	while (!__atomic_load_n(&stream->is_ending, __ATOMIC_RELAXED)) {
		struct timespec pause = {.tv_nsec = 20000};

		stream->sent += send(stream->from, "x", 1, 0) == 1;
		nanosleep(&pause, NULL);
		while (recv(stream->to, &c, 1, 0) == 1)
			stream->received++;
	}
	return NULL;
}

/* Also the control of it all: a restart may not cost a frame of a gateway that forwards alone. */
static const char *adoption_leaves_no_gap(struct netlab *lab, enum mute_backend backend)
{
	struct stream stream = {.from = netlab_udp(lab, true), .to = netlab_udp(lab, false)};
	struct mute *mute;
	pthread_t thread;
	char c;

	MUST(netlab_pin_neighbours(lab));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(mute_grant(mute, MONO_NEVER, 1) == 0);
	MUST(pthread_create(&thread, NULL, stream_run, &stream) == 0);
	for (unsigned i = 0; i < 20; i++) {
		struct timespec pause = {.tv_nsec = 2000000};

		mute_close(mute);
		nanosleep(&pause, NULL);
		MUST(mute_open(backend, lan, 1, &mute) == 0);
		MUST(mute_grant(mute, i & 1 ? MONO_NEVER : mono_add(mono_read(), SEC(9)), i) == 0);
		MUST(mute_grant(mute, MONO_NEVER, i) == 0);
	}
	__atomic_store_n(&stream.is_ending, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	usleep(20000);
	while (recv(stream.to, &c, 1, 0) == 1)
		stream.received++;
	fprintf(stderr, "# %s: %u of %u frames over 20 restarts\n", mute_backend_name(mute),
		stream.received, stream.sent);
	MUST(stream.sent > 100 && stream.received == stream.sent);
	mute_close(mute);
	close(stream.from);
	close(stream.to);
	return NULL;
}

static const char *grant_is_quick(struct netlab *lab, enum mute_backend backend)
{
	enum { ROUNDS = 500 };
	int64_t worst_ns = 0;
	struct mute *mute;
	mono_t start;

	(void)lab;
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	start = mono_read();
	for (int i = 0; i < ROUNDS; i++) {
		mono_t before = mono_read();

		MUST(mute_grant(mute, mono_add(before, SEC(1)), 1) == 0);
		if (mono_sub(mono_read(), before) > worst_ns)
			worst_ns = mono_sub(mono_read(), before);
	}
	fprintf(stderr, "# %s: mute_grant %.2f us, worst %.2f us\n", mute_backend_name(mute),
		(double)mono_sub(mono_read(), start) / ROUNDS / 1e3, (double)worst_ns / 1e3);
	mute_close(mute);
	return NULL;
}

#define SCENARIOS(X)                                                                               \
	X(muted_then_granted_then_revoked)                                                         \
	X(bounded_lease_ends_by_itself)                                                            \
	X(unbounded_survives_and_is_adopted)                                                       \
	X(release_restores_traffic)                                                                \
	X(operators_rules_stay)                                                                    \
	X(missing_interface_is_muted_when_it_appears)                                              \
	X(removed_mute_is_back_at_once)                                                            \
	X(adoption_leaves_no_gap)                                                                  \
	X(grant_is_quick)

SCENARIOS(SCENARIO_DEFINE)

int main(void)
{
	const struct CMUnitTest tests[] = {SCENARIOS(SCENARIO_ROWS)};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
