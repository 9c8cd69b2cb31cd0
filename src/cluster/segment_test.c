/* segment_test.c: probes, announcements, ports, addresses and neighbours on a real segment */
#include "base/log.h"
#include "cluster/announce.h"
#include "cluster/linkmon.h"
#include "cluster/neigh.h"
#include "cluster/probe.h"
#include "cluster/scenario.h"
#include "cluster/vip.h"
#include "link/l2.h"

#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One interface named `ifname` with the addresses given (NULL: none), group-id 5. */
static struct config config_of(const char *ifname, const char *ip, const char *ip6)
{
	struct config config = {.iface_count = 1, .ha.group_id = 5};
	struct config_iface *iface = &config.iface[0];

	snprintf(iface->name, sizeof(iface->name), "%s", ifname);
	if (ip && ipnet_parse(ip, &iface->ip[0]) == 0)
		iface->ip_count = 1;
	if (ip6 && ipnet_parse(ip6, &iface->ip6[0]) == 0)
		iface->ip6_count = 1;
	return config;
}

static void turn_until(struct loop *loop, const bool *is_done, int ms)
{
	mono_t end = mono_add(mono_read(), MS(ms));

	while (!*is_done && mono_before(mono_read(), end))
		loop_turn(loop, MS(5));
}

struct answer {
	bool is_done;
	enum probe_result result;
	mono_t at;
	char who[128];
	struct probe *probe;
};

static void on_done(void *arg, enum probe_result result, const char *who)
{
	struct answer *answer = arg;

	answer->is_done = true;
	answer->result = result;
	answer->at = mono_read();
	snprintf(answer->who, sizeof(answer->who), "%s", who ? who : "");
}

static struct answer ask(const struct config *config, int64_t duration_ns)
{
	struct answer answer = {0};
	struct loop *loop = loop_new();
	mono_t start = mono_read();
	struct probe *probe;

	if (probe_open(loop, config, "FK1", &probe) == 0) {
		probe_start(probe, duration_ns, on_done, &answer);
		turn_until(loop, &answer.is_done, 3000);
		fprintf(stderr, "# probe: %s after %.0f us\n",
			answer.result == PROBE_ANSWERED ? answer.who : "nobody",
			(double)mono_sub(answer.at, start) / 1e3);
		probe_close(probe);
	}
	loop_free(loop);
	return answer;
}

/* The second question follows in the loop's same turn, on the taps of the first. */
static void on_first_done(void *arg, enum probe_result result, const char *who)
{
	struct answer *answer = arg;

	(void)result;
	(void)who;
	probe_start(answer->probe, MS(10), on_done, answer);
}

static struct answer ask_twice(const struct config *config)
{
	struct answer answer = {0};
	struct loop *loop = loop_new();

	if (probe_open(loop, config, "FK1", &answer.probe) == 0) {
		probe_start(answer.probe, MS(1000), on_done, &answer);
		probe_start(answer.probe, MS(10), on_first_done, &answer); /* restarts */
		turn_until(loop, &answer.is_done, 3000);
		probe_close(answer.probe);
	}
	loop_free(loop);
	return answer;
}

/* Both hold the virtual address; the gateway is muted, the host is the one that may be too. */
static const char *probe_finds_an_unmuted_holder_only(struct netlab *lab, enum mute_backend backend)
{
	static const char *const lan[] = {"lan"}, *const host[] = {"host"};
	struct config v4 = config_of("lan", "10.9.0.100/24", NULL);
	struct config v6 = config_of("lan", NULL, "fd09::100/64");
	struct config none = config_of("lan", NULL, NULL);
	struct config holder = config_of("host", "10.9.0.100/24", "fd09::100/64");
	struct mute *mute, *holders;
	struct answer answer;

	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(vip_apply(&v4, NULL) == 0 && vip_apply(&v6, NULL) == 0);
	MUST(netlab_enter_host(lab));
	MUST(mute_open(backend, host, 1, &holders) == 0);
	MUST(vip_apply(&holder, NULL) == 0);
	MUST(netlab_enter_gw(lab));

	answer = ask(&v4, MS(50));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	answer = ask(&v6, MS(50));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	MUST(mute_grant(holders, MONO_NEVER, 1) == 0);
	answer = ask(&v4, MS(500));
	MUST(answer.result == PROBE_ANSWERED);
	MUST(strcmp(answer.who, "10.9.0.100 is at 00:09:0f:09:05:00 on lan") == 0);
	answer = ask(&v6, MS(500));
	MUST(answer.result == PROBE_ANSWERED);
	MUST(strcmp(answer.who, "fd09::100 is at 00:09:0f:09:05:00 on lan") == 0);
	answer = ask(&none, MS(500));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	MUST(mute_revoke(holders, 1) == 0);
	answer = ask_twice(&v4); /* what answered the first is no answer to the second */
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	/* the gateway's own silence was not broken by asking */
	MUST(!mute_adopted(mute).is_forwarding);
	mute_close(holders);
	mute_close(mute);
	return NULL;
}

/* The link is lost after the questions were sent. */
static struct answer ask_and_unplug(struct netlab *lab, const struct config *config)
{
	struct answer answer = {0};
	struct loop *loop = loop_new();

	if (probe_open(loop, config, "FK1", &answer.probe) == 0) {
		probe_start(answer.probe, MS(100), on_done, &answer);
		loop_turn(loop, MS(60));
		if (!netlab_run_host(lab, "ip link set host down"))
			answer.result = PROBE_ANSWERED;
		turn_until(loop, &answer.is_done, 3000);
		probe_close(answer.probe);
	}
	loop_free(loop);
	return answer;
}

static const char *probe_is_blind_without_a_link(struct netlab *lab, enum mute_backend backend)
{
	struct config one = config_of("lan", "10.9.0.100/24", NULL);
	struct config two = config_of("lan", "10.9.0.100/24", NULL);
	struct config gone = config_of("nosuch", NULL, "fd09::100/64");
	struct config spare = config_of("spare", NULL, "fd08::100/64");
	struct answer answer;

	(void)backend;
	two.iface[two.iface_count++] = spare.iface[0];
	MUST(netlab_run(lab, "ip link add spare type veth peer name other && ip link set other up"));
	answer = ask(&one, MS(10));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	answer = ask(&gone, MS(10));
	MUST(answer.is_done && answer.result == PROBE_BLIND);
	answer = ask(&spare, MS(10)); /* has a carrier, but is not up itself */
	MUST(answer.is_done && answer.result == PROBE_BLIND);
	answer = ask(&two, MS(10)); /* one link of two is enough */
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	answer = ask_and_unplug(lab, &one);
	MUST(answer.is_done && answer.result == PROBE_BLIND);
	answer = ask(&one, MS(10));
	MUST(answer.is_done && answer.result == PROBE_BLIND);
	answer = ask(&two, MS(10));
	MUST(answer.is_done && answer.result == PROBE_BLIND);
	MUST(netlab_run(lab, "ip link set spare up"));
	answer = ask(&two, MS(10));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	MUST(netlab_run_host(lab, "ip link set host up"));
	answer = ask(&one, MS(10));
	MUST(answer.is_done && answer.result == PROBE_SILENT);
	return NULL;
}

static const char *announce_moves_a_bridge_port_when_unmuted(struct netlab *lab,
							     enum mute_backend backend)
{
	static const char *const lan[] = {"lan"};
	struct config config = config_of("lan", "10.9.0.100/24", "fd09::100/64");
	struct loop *loop = loop_new();
	struct announce *announce;
	bool never = false, is_learned = false, is_moved = false;
	struct mute *mute;

	/* a bridge on the host's side; the second cable is where the virtual MAC was learned */
	MUST(netlab_run_host(lab, "ip link add br0 type bridge forward_delay 0 mcast_snooping 0"));
	MUST(netlab_run_host(lab, "ip link set br0 up"));
	MUST(netlab_run(lab,
			"ip link add lan2 address 00:09:0f:09:05:00 type veth peer name host2 "
			"netns %d && ip link set lan2 up && ip addr add 10.9.9.1/24 dev lan2 && "
			"ip neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev lan2",
			lab->host_pid));
	MUST(netlab_run_host(lab, "ip link set host2 master br0 up"));
	MUST(netlab_run_host(lab, "ip link set host master br0 up"));
	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(vip_apply(&config, NULL) == 0);
	for (int i = 0; i < 20 && !is_learned; i++) {
		MUST(!netlab_run(lab, "ping -q -c 1 -W 0.1 10.9.9.2"));
		is_learned = netlab_run_host(lab, "sh -c \"bridge fdb show br br0 | grep -q "
						   "'00:09:0f:09:05:00 dev host2'\"");
	}
	MUST(is_learned);

	MUST(announce_open(loop, &config, &announce) == 0);
	announce_start(announce, 3, MS(5)); /* muted: nothing leaves */
	turn_until(loop, &never, 40);
	MUST(netlab_run_host(lab, "sh -c \"bridge fdb show br br0 | grep -q "
				  "'00:09:0f:09:05:00 dev host2'\""));
	MUST(mute_grant(mute, MONO_NEVER, 1) == 0);
	/* The port may not be forwarding yet: linkwatch has its own time. */
	for (int i = 0; i < 200 && !is_moved; i++) {
		announce_start(announce, 3, MS(5));
		turn_until(loop, &never, 10);
		is_moved = netlab_run_host(lab, "sh -c \"bridge fdb show br br0 | grep -q "
						 "'00:09:0f:09:05:00 dev host '\"");
	}
	announce_stop(announce);
	MUST(is_moved);
	announce_close(announce);
	mute_close(mute);
	loop_free(loop);
	return NULL;
}

struct inbox {
	bool has_any;
	unsigned count;
	size_t len;
	uint8_t first;
};

static void on_frame(void *arg, struct l2_port *port, uint8_t *frame, size_t len)
{
	struct inbox *inbox = arg;

	(void)port;
	inbox->has_any = true;
	inbox->count++;
	inbox->len = len;
	inbox->first = frame[0];
}

/* The kernel tells the carrier of a new device when its own worker gets to it. */
static bool comes_up(struct loop *loop, const struct l2_port *port)
{
	for (int i = 0; i < 100 && !l2_port_is_up(port); i++)
		loop_turn(loop, MS(10));
	return l2_port_is_up(port);
}

static const char *ports_pass_the_mute(struct netlab *lab, enum mute_backend backend)
{
	static const char *const lan[] = {"lan"}, *const host[] = {"host"};
	struct mac mac = l2_own_mac("FK1", "lan", NULL);
	struct inbox inbox = {0}, wrong = {0};
	struct l2_port *here, *there, *deaf, *other;
	struct loop *loop = loop_new();
	struct mute *mute, *mute_there;
	uint8_t frame[1500] = {42};
	unsigned ifindex;

	MUST(mute_open(backend, lan, 1, &mute) == 0);
	MUST(l2_port_open(loop, "lan", ETH_P_FK_HB, LOOP_URGENT, &mac, on_frame, &wrong, &here) ==
	     0);
	MUST(netlab_enter_host(lab));
	MUST(mute_open(backend, host, 1, &mute_there) == 0);
	MUST(l2_port_open(loop, "host", ETH_P_FK_HB, LOOP_URGENT, &mac, on_frame, &inbox, &there) ==
	     0);
	MUST(l2_port_open(loop, "host", ETH_P_FK_SYNC, LOOP_NORMAL, &mac, on_frame, &wrong,
			  &deaf) == 0);
	MUST(netlab_enter_gw(lab));

	MUST(comes_up(loop, here) && l2_port_mtu(here) == 1500);
	MUST(l2_port_send(here, frame, 46) == 0);
	turn_until(loop, &inbox.has_any, 1000);
	MUST(inbox.count == 1 && inbox.len == 46 && inbox.first == 42);
	for (unsigned i = 0; i < 200; i++)
		MUST(l2_port_send(here, frame, sizeof(frame)) == 0);
	for (int i = 0; i < 100 && inbox.count < 201; i++)
		loop_turn(loop, MS(10));
	MUST(inbox.count == 201 && inbox.len == 1500 && !wrong.has_any);
	MUST(l2_port_send(here, frame, 1501) == -EMSGSIZE);
	MUST(l2_port_stats(here).tx_frames == 201 && l2_port_stats(there).rx_frames == 201);

	/* the cable goes, and comes back as another device */
	MUST(netlab_run(lab, "ip link set lan down"));
	MUST(!l2_port_is_up(here) && l2_port_send(here, frame, 46) < 0);
	MUST(netlab_run(lab, "ip link del lan"));
	loop_turn(loop, 0);
	MUST(!l2_port_is_up(here) && l2_port_send(here, frame, 46) == -ENETDOWN);
	MUST(netlab_run(lab,
			"ip link add lan type veth peer name host netns %d && ip link set lan up",
			lab->host_pid));
	MUST(netlab_run_host(lab, "ip link set host up"));
	MUST(!l2_port_is_up(here));
	MUST(l2_port_rebind(here) == 0 && comes_up(loop, here));
	MUST(netlab_enter_host(lab) && l2_port_rebind(there) == 0 && netlab_enter_gw(lab));
	inbox.has_any = false;
	MUST(l2_port_send(here, frame, 46) == 0);
	turn_until(loop, &inbox.has_any, 1000);
	MUST(inbox.has_any);
	/* gone and back under its old number, between two frames of ours and two turns: not deaf */
	ifindex = if_nametoindex("lan");
	MUST(netlab_run(lab, "ip link del lan"));
	MUST(netlab_run(lab, "ip link add lan index %u type veth peer name lan2", ifindex));
	MUST(netlab_run(lab, "ip link set lan up") && netlab_run(lab, "ip link set lan2 up"));
	MUST(l2_port_open(loop, "lan2", ETH_P_FK_HB, LOOP_URGENT, &mac, on_frame, &wrong, &other) ==
	     0);
	MUST(l2_port_rebind(here) == 0);
	wrong.has_any = false;
	MUST(l2_port_send(other, frame, 46) == 0);
	turn_until(loop, &wrong.has_any, 1000);
	MUST(wrong.has_any && if_nametoindex("lan") == ifindex);
	l2_port_close(other);
	l2_port_close(here);
	l2_port_close(there);
	l2_port_close(deaf);
	mute_close(mute);
	mute_close(mute_there);
	loop_free(loop);
	return NULL;
}

struct carrier {
	unsigned calls;
	bool is_up[2];
	bool is_news;
};

static void on_change(void *arg, unsigned index, bool is_up)
{
	struct carrier *carrier = arg;

	carrier->calls++;
	carrier->is_up[index] = is_up;
	carrier->is_news = true;
}

static const char *linkmon_follows_names(struct netlab *lab, enum mute_backend backend)
{
	static const char *const names[] = {"lan", "later"};
	struct carrier carrier = {.is_up = {false, true}};
	struct loop *loop = loop_new();
	struct linkmon *linkmon;

	(void)backend;
	MUST(linkmon_open(loop, names, 2, on_change, &carrier, &linkmon) == 0);
	MUST(carrier.calls == 0);
	loop_turn(loop, 0);
	MUST(carrier.calls == 2 && carrier.is_up[0] && !carrier.is_up[1]);
	MUST(netlab_run_host(lab, "ip link set host down")); /* carrier, not state */
	carrier.is_news = false;
	turn_until(loop, &carrier.is_news, 2000);
	MUST(!carrier.is_up[0] && !linkmon_is_up(linkmon, 0));
	MUST(netlab_run(lab,
			"ip link add later type veth peer name cable && ip link set cable up && "
			"ip link set later up"));
	carrier.is_news = false;
	turn_until(loop, &carrier.is_news, 2000);
	MUST(linkmon_is_up(linkmon, 1));
	/* a bridge that loses the port is no loss of the device */
	MUST(netlab_run(lab, "ip link add br0 type bridge && ip link set later master br0 && "
			     "ip link set later nomaster"));
	for (int i = 0; i < 10; i++)
		loop_turn(loop, MS(5));
	MUST(linkmon_is_up(linkmon, 1));
	MUST(netlab_run(lab, "ip link set later down && ip link set later name renamed"));
	carrier.is_news = false;
	turn_until(loop, &carrier.is_news, 2000);
	MUST(!linkmon_is_up(linkmon, 1));
	linkmon_close(linkmon);
	loop_free(loop);
	return NULL;
}

static const char *addresses_are_put_up_and_taken_down(struct netlab *lab,
						       enum mute_backend backend)
{
	struct config config = config_of("lan", "10.9.0.100/24", "fd09::100/64");
	struct config later = config_of("lan", "10.9.0.101/24", NULL);
	struct config missing = config_of("nowhere", "10.9.0.101/24", NULL);

	(void)backend;
	MUST(vip_apply(&config, NULL) == 0);
	MUST(vip_apply(&config, NULL) == 0); /* again is no error */
	MUST(netlab_run(lab, "ip link show lan | grep -q 00:09:0f:09:05:00"));
	MUST(netlab_run(lab, "ip addr show lan | grep -q 10.9.0.100/24"));
	MUST(netlab_run(lab, "ip addr show lan | grep fd09::100/64 | grep -q nodad"));
	MUST(netlab_run(lab, "! ip addr show lan | grep fd09::100/64 | grep -q tentative"));
	MUST(vip_apply(&later, &config) == 0);
	MUST(netlab_run(lab, "! ip addr show lan | grep -q '\\.100/\\|::100/'"));
	MUST(netlab_run(lab, "ip addr show lan | grep -q 10.9.0.101/24"));
	MUST(vip_release(&later, "lan", "FK1") == 0);
	MUST(netlab_run(lab, "! ip addr show lan | grep -q '10.9.0.101\\|00:09:0f'"));
	MUST(netlab_run(lab, "ip addr show lan | grep -q 10.9.0.1/24")); /* the operator's own */
	MUST(vip_apply(&missing, NULL) == -ENODEV);
	return NULL;
}

struct told {
	bool has_v4, has_v6;
	struct neigh v4, v6;
};

static void on_tell(void *arg, const struct neigh *entries, unsigned count)
{
	struct told *told = arg;

	for (unsigned i = 0; i < count; i++) {
		if (entries[i].l3 == AF_INET && entries[i].addr[3] == 2) {
			told->v4 = entries[i];
			told->has_v4 = true;
		} else if (entries[i].l3 == AF_INET6 && entries[i].addr[0] == 0xfd) {
			told->v6 = entries[i];
			told->has_v6 = true;
		}
	}
}

static const char *neighbours_are_told_and_learned(struct netlab *lab, enum mute_backend backend)
{
	struct config config = config_of("lan", "10.9.0.1/24", NULL);
	struct told told = {0};
	struct loop *loop = loop_new();
	struct neigh_sync *neigh;
	struct neigh bad[4];

	(void)backend;
	MUST(neigh_sync_open(loop, &config, on_tell, &told, &neigh) == 0);
	MUST(netlab_run(lab, "ping -q -c 1 -W 1 10.9.0.2"));
	for (int i = 0; i < 10; i++)
		loop_turn(loop, MS(5));
	MUST(!told.has_v4);
	neigh_sync_set_telling(neigh, true); /* tells what is there */
	turn_until(loop, &told.has_v4, 2000);
	MUST(told.has_v4 && strcmp(told.v4.ifname, "lan") == 0);
	MUST(memcmp(told.v4.mac, "\x02\0\0\0\x09\x02", 6) == 0);
	MUST(netlab_run(lab, "ping -q -c 1 -W 1 fd09::2"));
	turn_until(loop, &told.has_v6, 2000); /* and what appears */
	MUST(told.has_v6);

	neigh_sync_set_telling(neigh, false);
	MUST(netlab_run(lab, "ip neigh flush dev lan && ip neigh replace 10.9.0.9 lladdr "
			     "02:00:00:00:00:09 dev lan nud permanent"));
	for (unsigned i = 0; i < 4; i++)
		bad[i] = told.v4;
	bad[0].addr[3] = 9; /* pinned by the operator */
	strcpy(bad[1].ifname, "lo");
	bad[1].addr[3] = 10;
	bad[2].mac[0] |= 1;
	bad[2].addr[3] = 11;
	bad[3].l3 = 99;
	neigh_sync_learn(neigh, bad, 4);
	neigh_sync_learn(neigh, &told.v4, 1);
	neigh_sync_learn(neigh, &told.v6, 1);
	for (int i = 0; i < 10; i++)
		loop_turn(loop, MS(5));
	MUST(netlab_run(lab, "ip neigh show dev lan to 10.9.0.2 | "
			     "grep -q '02:00:00:00:09:02 extern_learn.*STALE'"));
	MUST(netlab_run(lab, "ip neigh show dev lan to fd09::2 | "
			     "grep -q '02:00:00:00:09:02.*extern_learn.*STALE'"));
	MUST(netlab_run(lab, "ip neigh show dev lan to 10.9.0.9 | "
			     "grep -q '02:00:00:00:00:09.*PERMANENT'"));
	MUST(netlab_run(lab, "! ip neigh show | grep '10.9.0.1[01]'"));
	told.v4.has &= ~(UINT64_C(1) << NEIGH_MAC); /* gone */
	neigh_sync_learn(neigh, &told.v4, 1);
	for (int i = 0; i < 10; i++)
		loop_turn(loop, MS(5));
	MUST(netlab_run(lab, "! ip neigh show dev lan to 10.9.0.2 | grep -q 02:00"));
	neigh_sync_close(neigh);
	loop_free(loop);
	return NULL;
}

#define SCENARIOS(X)                                                                               \
	X(probe_finds_an_unmuted_holder_only)                                                      \
	X(announce_moves_a_bridge_port_when_unmuted)                                               \
	X(ports_pass_the_mute)

SCENARIOS(SCENARIO_DEFINE)
SCENARIO_DEFINE_PLAIN(probe_is_blind_without_a_link)
SCENARIO_DEFINE_PLAIN(linkmon_follows_names)
SCENARIO_DEFINE_PLAIN(addresses_are_put_up_and_taken_down)
SCENARIO_DEFINE_PLAIN(neighbours_are_told_and_learned)

int main(void)
{
	/* what needs no mute runs once as root and once rootless */
	const struct CMUnitTest tests[] = {
		SCENARIOS(SCENARIO_ROWS) cmocka_unit_test(plain_probe_is_blind_without_a_link),
		cmocka_unit_test(rootless_probe_is_blind_without_a_link),
		cmocka_unit_test(plain_linkmon_follows_names),
		cmocka_unit_test(rootless_linkmon_follows_names),
		cmocka_unit_test(plain_addresses_are_put_up_and_taken_down),
		cmocka_unit_test(rootless_addresses_are_put_up_and_taken_down),
		cmocka_unit_test(plain_neighbours_are_told_and_learned),
		cmocka_unit_test(rootless_neighbours_are_told_and_learned),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
