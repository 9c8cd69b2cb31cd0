/* probe.c: asks for the virtual addresses past the mute and listens before it
 *
 * The tap is a packet socket for ETH_P_ALL, which the kernel serves before tc ingress and netfilter
 * ingress (net/core/dev.c, __netif_receive_skb_core). It leaves by PACKET_QDISC_BYPASS, which no tc
 * egress sees, and with MUTE_PROBE_MARK, which the nft egress chains let through. Answers to ARP
 * come to our own MAC, not the virtual one the device has: the device is asked to take that too.
 */
#include "cluster/probe.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/frames.h"
#include "cluster/mute.h"
#include "cluster/vip.h"
#include "link/l2.h"
#include "nl/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS_MAX = 64 }; /* read in one turn */
enum { ROUNDS = 2 }; /* one lost frame must not make two primaries */
#define IDLE_NS SEC(1) /* then the taps are closed: they cost every received frame a filter run */

struct tap {
	struct probe *probe;
	const struct config_iface *iface;
	struct watch *watch; /* NULL: not open */
	int fd;
	int ifindex;
	int known_ifindex; /* of the device that `mac` and the memberships are about */
	struct mac mac;
	struct mac virtual_mac; /* of the cluster's gateways on this interface */
	mono_t conflict_told;
	unsigned rounds; /* of this probe in which it could ask */
};

struct probe {
	struct loop *loop;
	struct timer *timer;
	char serial[17];
	int member_fd; /* holds the memberships, receives nothing */
	unsigned tap_count;
	struct tap *taps;
	struct config_iface *ifaces; /* those with addresses */
	bool is_running;
	unsigned rounds; /* asked so far */
	mono_t end;
	probe_done_fn *on_done;
	void *arg;
};

/* ARP replies and neighbour advertisements that carry no VLAN tag; offsets from the Ethernet
 * header (linux/filter.h). */
static struct sock_filter answers[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 9),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 0, 2),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20), /* operation: reply */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 6, 5),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 4),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20), /* next header: ICMPv6 */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 2),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54), /* type: neighbour advertisement */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 256),
};

struct closing {
	unsigned count;
	int fds[CONFIG_IFACE_MAX];
};

static void *close_all(void *arg)
{
	struct closing *closing = arg;

	for (unsigned i = 0; i < closing->count; i++)
		close(closing->fds[i]);
	free(closing);
	return NULL;
}

/* Closing a tap waits for an RCU grace period (packet_release(), synchronize_net(): 8-16 ms
 * measured): not on the thread that has just taken over and must send heartbeats. `is_stale`: only
 * those whose device has been made again. */
static void close_taps(struct probe *probe, bool is_stale)
{
	struct closing *closing = xcalloc(1, sizeof(*closing));
	pthread_t thread;

	for (unsigned i = 0; i < probe->tap_count; i++) {
		struct tap *tap = &probe->taps[i];

		if (!tap->watch ||
		    (is_stale && (int)if_nametoindex(tap->iface->name) == tap->ifindex))
			continue;
		watch_free(tap->watch);
		tap->watch = NULL;
		closing->fds[closing->count++] = tap->fd;
	}
	if (closing->count > 0 && pthread_create(&thread, NULL, close_all, closing) == 0)
		pthread_detach(thread);
	else
		close_all(closing);
}

/* The taps stay open for a while: a member that keeps probing must not pile up closing ones. */
static void stop(struct probe *probe)
{
	probe->is_running = false;
	timer_set(probe->timer, mono_add(loop_now(probe->loop), IDLE_NS));
}

static void finish(struct probe *probe, enum probe_result result, const char *who)
{
	stop(probe);
	probe->on_done(probe->arg, result, who); /* may start the next one */
}

static bool is_ours(const struct config_iface *iface, const struct ipaddr *addr)
{
	for (unsigned i = 0; i < iface->ip_count; i++) {
		if (ipaddr_equal(&iface->ip[i].addr, addr))
			return true;
	}
	for (unsigned i = 0; i < iface->ip6_count; i++) {
		if (ipaddr_equal(&iface->ip6[i].addr, addr))
			return true;
	}
	return false;
}

static void tell_conflict(struct tap *tap, const char *who)
{
	mono_t now = loop_now(tap->probe->loop);

	if (!mono_is_zero(tap->conflict_told) && mono_sub(now, tap->conflict_told) < SEC(60))
		return;
	tap->conflict_told = now;
	log_warnx("probe", "a host has our virtual address: %s", who);
}

static void tap_on_readable(void *arg, unsigned events)
{
	struct tap *tap = arg;

	(void)events;
	for (unsigned i = 0; i < ANSWERS_MAX; i++) {
		char who[IPADDR_STRLEN + MAC_STRLEN + IF_NAMESIZE + 16];
		char addr_text[IPADDR_STRLEN], mac_text[MAC_STRLEN];
		uint8_t frame[256];
		ssize_t n = recv(tap->fd, frame, sizeof(frame), MSG_DONTWAIT);
		struct ipaddr addr;
		struct mac mac;

		/* Told once; what was received before waits behind it. */
		if (n < 0 && errno == ENETDOWN)
			continue;
		if (n < 0)
			return;
		if (!tap->probe->is_running) /* late, to a question before */
			continue;
		if (!frame_read_answer(frame, (size_t)n, &addr, &mac) ||
		    !is_ours(tap->iface, &addr))
			continue;
		snprintf(who, sizeof(who), "%s is at %s on %s", ipaddr_format(&addr, addr_text),
			 mac_format(&mac, mac_text), tap->iface->name);
		if (!mac_equal(&mac, &tap->virtual_mac)) {
			tell_conflict(tap, who);
			continue;
		}
		finish(tap->probe, PROBE_ANSWERED, who);
		return;
	}
}

/* Returns how many of the questions have left. */
static unsigned tap_ask(const struct tap *tap, const struct ipnet *nets, unsigned count)
{
	unsigned asked = 0;

	for (unsigned i = 0; i < count; i++) {
		struct sockaddr_ll to = {.sll_family = AF_PACKET,
					 .sll_ifindex = tap->ifindex,
					 .sll_halen = ETH_ALEN};
		uint8_t frame[FRAME_MAX];
		size_t len = frame_probe(&nets[i].addr, &tap->mac, frame);

		memcpy(to.sll_addr, frame, ETH_ALEN);
		memcpy(&to.sll_protocol, frame + 12, 2);
		asked += sendto(tap->fd, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to,
				sizeof(to)) == (ssize_t)len;
	}
	return asked;
}

static void tap_join(const struct tap *tap, uint16_t type, const uint8_t mac[ETH_ALEN])
{
	struct packet_mreq mreq = {
		.mr_ifindex = tap->ifindex, .mr_type = type, .mr_alen = ETH_ALEN};

	memcpy(mreq.mr_address, mac, ETH_ALEN);
	/* a device that cannot filter takes everything anyway */
	(void)setsockopt(tap->probe->member_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq,
			 sizeof(mreq));
}

/* Once for each device, not for each probe: both need the RTNL lock, which may be busy in just the
 * moment a takeover is. */
static int tap_learn(struct tap *tap)
{
	static const uint8_t all_nodes[ETH_ALEN] = {0x33, 0x33, 0, 0, 0, 1};
	struct rtnl_link link;
	int r;

	tap->ifindex = (int)if_nametoindex(tap->iface->name);
	if (tap->ifindex == 0)
		return -ENODEV;
	if (tap->ifindex == tap->known_ifindex)
		return 0;
	r = rtnl_get_link(tap->iface->name, &link);
	if (r < 0)
		return r;
	tap->mac = l2_own_mac(tap->probe->serial, tap->iface->name,
			      link.has_perm_mac ? &link.perm_mac : NULL);
	tap->known_ifindex = tap->ifindex;
	tap_join(tap, PACKET_MR_UNICAST, tap->mac.bytes);
	tap_join(tap, PACKET_MR_MULTICAST, all_nodes);
	return 0;
}

static int tap_open(struct tap *tap)
{
	static const int one = 1;
	static const uint32_t mark = MUTE_PROBE_MARK;
	static const struct sock_fprog filter = {sizeof(answers) / sizeof(answers[0]), answers};
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int r = tap_learn(tap);

	if (r < 0)
		return r;
	ll.sll_ifindex = tap->ifindex;
	tap->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tap->fd < 0)
		return -errno;
	if (setsockopt(tap->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(tap->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
	    setsockopt(tap->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(tap->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(tap->fd, (struct sockaddr *)&ll, sizeof(ll)) < 0) {
		r = -errno;
		close(tap->fd);
		return r;
	}
	tap->watch = watch_new(tap->probe->loop, tap->fd, LOOP_READ, LOOP_URGENT, "probe tap",
			       tap_on_readable, tap);
	return 0;
}

static void ask_all(struct probe *probe)
{
	probe->rounds++;
	for (unsigned i = 0; i < probe->tap_count; i++) {
		struct tap *tap = &probe->taps[i];
		int r = tap->watch ? 0 : tap_open(tap);

		if (r == 0) {
			tap->rounds += tap_ask(tap, tap->iface->ip, tap->iface->ip_count) +
				       tap_ask(tap, tap->iface->ip6, tap->iface->ip6_count) > 0;
		} else if (r != -ENODEV) {
			log_warnx("probe", "%s: %s", tap->iface->name, strerror(-r));
		}
	}
}

/* Some interface could ask every time, and can still: asking once more is how to know. */
static bool was_up(const struct probe *probe)
{
	for (unsigned i = 0; i < probe->tap_count; i++) {
		const struct tap *tap = &probe->taps[i];

		if (tap->rounds == ROUNDS &&
		    tap_ask(tap, tap->iface->ip, tap->iface->ip_count > 0) +
				    tap_ask(tap, tap->iface->ip6, tap->iface->ip6_count > 0) > 0)
			return true;
	}
	return probe->tap_count == 0;
}

static void probe_on_timer(void *arg)
{
	struct probe *probe = arg;

	if (!probe->is_running) {
		close_taps(probe, false);
		return;
	}
	if (probe->rounds < ROUNDS && probe->tap_count > 0) {
		ask_all(probe);
		timer_set(probe->timer, probe->end);
		return;
	}
	finish(probe, was_up(probe) ? PROBE_SILENT : PROBE_BLIND, NULL);
}

int probe_open(struct loop *loop, const struct config *config, const char *serial,
	       struct probe **ret_probe)
{
	struct probe *probe;

	if (strlen(serial) >= sizeof(probe->serial))
		return -EINVAL;
	probe = xcalloc(1, sizeof(*probe));
	probe->loop = loop;
	memcpy(probe->serial, serial, strlen(serial));
	probe->member_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (probe->member_fd < 0) {
		int r = -errno;

		free(probe);
		return r;
	}
	probe->ifaces = xcalloc(config->iface_count + 1, sizeof(*probe->ifaces));
	probe->taps = xcalloc(config->iface_count + 1, sizeof(*probe->taps));
	for (unsigned i = 0; i < config->iface_count; i++) {
		if (config->iface[i].ip_count + config->iface[i].ip6_count == 0)
			continue;
		probe->ifaces[probe->tap_count] = config->iface[i];
		probe->taps[probe->tap_count].probe = probe;
		probe->taps[probe->tap_count].iface = &probe->ifaces[probe->tap_count];
		probe->taps[probe->tap_count].virtual_mac = vip_mac(config->ha.group_id, i);
		(void)tap_learn(&probe->taps[probe->tap_count]); /* or when it is there */
		probe->tap_count++;
	}
	probe->timer = timer_new(loop, "probe", probe_on_timer, probe);
	*ret_probe = probe;
	return 0;
}

void probe_close(struct probe *probe)
{
	if (!probe)
		return;
	close_taps(probe, false);
	timer_free(probe->timer);
	close(probe->member_fd);
	free(probe->taps);
	free(probe->ifaces);
	free(probe);
}

void probe_start(struct probe *probe, int64_t duration_ns, probe_done_fn *on_done, void *arg)
{
	mono_t start;

	probe->is_running = false;
	close_taps(probe, true);
	for (unsigned i = 0; i < probe->tap_count; i++) {
		if (probe->taps[i].watch)
			tap_on_readable(&probe->taps[i], LOOP_READ); /* forget late answers */
		probe->taps[i].rounds = 0;
	}
	probe->is_running = true;
	probe->rounds = 0;
	probe->on_done = on_done;
	probe->arg = arg;
	ask_all(probe);
	/* opening the taps took its time: the listening counts from here */
	start = mono_read();
	probe->end = mono_add(start, duration_ns);
	timer_set(probe->timer, probe->tap_count ? mono_add(start, duration_ns / 2) : start);
}

void probe_cancel(struct probe *probe)
{
	if (probe->is_running)
		stop(probe);
}
