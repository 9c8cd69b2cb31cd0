/* announce.c: gratuitous ARP and unsolicited NA, repeated
 *
 * Sent the ordinary way, through the egress mute, and not past it like heartbeats and probes: a
 * member that lost its lease while frozen must not move a switch's port with a late repetition.
 */
#include "cluster/announce.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/frames.h"
#include "cluster/vip.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct announcement {
	unsigned iface;
	size_t len;
	uint8_t frame[FRAME_MAX];
};

struct announce {
	struct loop *loop;
	struct timer *timer;
	int fd;
	unsigned left;
	int64_t interval_ns;
	uint64_t sent;
	unsigned iface_count;
	char (*ifnames)[17];
	unsigned count;
	struct announcement *frames;
};

static void add(struct announce *announce, unsigned iface, const struct ipnet *net,
		const struct mac *mac)
{
	struct announcement *frame = &announce->frames[announce->count++];

	frame->iface = iface;
	frame->len = frame_announce(&net->addr, mac, frame->frame);
}

static void send_all(struct announce *announce)
{
	unsigned iface = UINT32_MAX;
	int ifindex = 0;

	for (unsigned i = 0; i < announce->count; i++) {
		const struct announcement *frame = &announce->frames[i];
		struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};

		if (frame->iface != iface) { /* by name each time: devices are made again */
			iface = frame->iface;
			ifindex = (int)if_nametoindex(announce->ifnames[iface]);
		}
		if (ifindex == 0)
			continue;
		to.sll_ifindex = ifindex;
		memcpy(&to.sll_protocol, frame->frame + 12, 2);
		memcpy(to.sll_addr, frame->frame, 6);
		/* ENETDOWN and the like: the repetition is for that */
		if (sendto(announce->fd, frame->frame, frame->len, MSG_DONTWAIT,
			   (struct sockaddr *)&to, sizeof(to)) >= 0)
			announce->sent++;
	}
}

static void announce_on_timer(void *arg)
{
	struct announce *announce = arg;

	send_all(announce);
	if (announce->left > 0)
		announce->left--;
	if (announce->left > 0)
		timer_set(announce->timer,
			  mono_add(loop_now(announce->loop), announce->interval_ns));
}

int announce_open(struct loop *loop, const struct config *config, struct announce **ret_announce)
{
	struct announce *announce = xcalloc(1, sizeof(*announce));
	unsigned total = 0;

	announce->loop = loop;
	announce->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (announce->fd < 0) {
		int r = -errno;

		free(announce);
		return r;
	}
	for (unsigned i = 0; i < config->iface_count; i++)
		total += config->iface[i].ip_count + config->iface[i].ip6_count;
	announce->iface_count = config->iface_count;
	announce->ifnames = xcalloc(config->iface_count + 1, sizeof(*announce->ifnames));
	announce->frames = xcalloc(total + 1, sizeof(*announce->frames));
	for (unsigned i = 0; i < config->iface_count; i++) {
		const struct config_iface *iface = &config->iface[i];
		struct mac mac = vip_mac(config->ha.group_id, i);

		memcpy(announce->ifnames[i], iface->name, sizeof(iface->name));
		for (unsigned j = 0; j < iface->ip_count; j++)
			add(announce, i, &iface->ip[j], &mac);
		for (unsigned j = 0; j < iface->ip6_count; j++)
			add(announce, i, &iface->ip6[j], &mac);
	}
	announce->timer = timer_new(loop, "announce", announce_on_timer, announce);
	*ret_announce = announce;
	return 0;
}

void announce_close(struct announce *announce)
{
	if (!announce)
		return;
	timer_free(announce->timer);
	close(announce->fd);
	free(announce->frames);
	free(announce->ifnames);
	free(announce);
}

void announce_start(struct announce *announce, unsigned repeat, int64_t interval_ns)
{
	timer_clear(announce->timer);
	announce->left = repeat;
	announce->interval_ns = interval_ns;
	if (repeat > 0)
		announce_on_timer(announce);
}

void announce_stop(struct announce *announce)
{
	timer_clear(announce->timer);
	announce->left = 0;
}

uint64_t announce_sent(const struct announce *announce)
{
	return announce->sent;
}
