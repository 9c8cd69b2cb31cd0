/* neigh.c: tells the primary's ARP and ND entries, installs them on a secondary
 *
 * Only presence travels, never absence: carrier loss flushes the primary's table an instant before
 * the takeover that needs the copies. A secondary drops what it has not been told for a minute,
 * as long as it is told anything at all. Entries that an operator made permanent are not touched.
 */
#include "cluster/neigh.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/neigh_table.h"
#include "nl/nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum {
	TELL_MAX = 32, /* list of a sync_neigh message */
	USABLE = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT,
};
#define REFRESH_NS SEC(10)
#define FORGET_NS  SEC(60)

struct neigh_iface {
	char name[17];
	int ifindex; /* looked up again at every refresh */
};

struct neigh_sync {
	struct loop *loop;
	struct nl_sock *sock;
	struct nl_batch *batch;
	struct nl_dump *dump;
	struct timer *refresh;
	struct hook *flush;
	neigh_tell_fn *on_tell;
	void *arg;
	bool is_telling;
	unsigned queued;
	struct neigh queue[TELL_MAX];
	unsigned iface_count;
	struct neigh_iface *ifaces;
	struct neigh_table *learned;
	mono_t last_learned;
};

static void flush_queue(void *arg)
{
	struct neigh_sync *neigh = arg;
	unsigned count = neigh->queued;

	neigh->queued = 0;
	if (count > 0)
		neigh->on_tell(neigh->arg, neigh->queue, count);
}

static const struct neigh_iface *iface_by_index(const struct neigh_sync *neigh, int ifindex)
{
	for (unsigned i = 0; i < neigh->iface_count; i++) {
		if (neigh->ifaces[i].ifindex == ifindex)
			return &neigh->ifaces[i];
	}
	return NULL;
}

static const struct neigh_iface *iface_by_name(const struct neigh_sync *neigh, const char *name)
{
	for (unsigned i = 0; i < neigh->iface_count; i++) {
		if (strncmp(neigh->ifaces[i].name, name, sizeof(neigh->ifaces[i].name)) == 0)
			return &neigh->ifaces[i];
	}
	return NULL;
}

static void read_indexes(struct neigh_sync *neigh)
{
	for (unsigned i = 0; i < neigh->iface_count; i++)
		neigh->ifaces[i].ifindex = (int)if_nametoindex(neigh->ifaces[i].name);
}

static int read_attr(const struct nlattr *attr, void *arg)
{
	struct neigh *entry = arg;
	size_t len = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == NDA_DST && len == (entry->l3 == AF_INET ? 4u : 16u)) {
		memcpy(entry->addr, mnl_attr_get_payload(attr), len);
		entry->has |= UINT64_C(1) << NEIGH_ADDR;
	} else if (mnl_attr_get_type(attr) == NDA_LLADDR && len == sizeof(entry->mac)) {
		memcpy(entry->mac, mnl_attr_get_payload(attr), len);
		entry->has |= UINT64_C(1) << NEIGH_MAC;
	}
	return MNL_CB_OK;
}

static void neigh_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct neigh_sync *neigh = arg;
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct neigh entry = {.has = UINT64_C(1) << NEIGH_IFNAME | UINT64_C(1) << NEIGH_L3};
	const struct neigh_iface *iface;

	if (!neigh->is_telling || nlh->nlmsg_type != RTM_NEWNEIGH ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm) || !(ndm->ndm_state & USABLE) ||
	    (ndm->ndm_flags & NTF_PROXY) ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return;
	iface = iface_by_index(neigh, ndm->ndm_ifindex);
	if (!iface)
		return;
	memcpy(entry.ifname, iface->name, sizeof(entry.ifname));
	entry.l3 = ndm->ndm_family;
	mnl_attr_parse(nlh, sizeof(*ndm), read_attr, &entry);
	if (!(entry.has >> NEIGH_ADDR & 1) || !(entry.has >> NEIGH_MAC & 1))
		return;
	neigh->queue[neigh->queued++] = entry;
	if (neigh->queued == TELL_MAX)
		flush_queue(neigh);
}

static void neigh_on_dumped(void *arg, int error)
{
	struct neigh_sync *neigh = arg;

	neigh->dump = NULL;
	if (error < 0 &&
	    error != -EINTR) /* EINTR: others changed the table; the next round will do */
		log_debug("neigh", "dump: %s", strerror(-error));
}

static void tell_all(struct neigh_sync *neigh)
{
	_Alignas(8) char buffer[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);

	if (neigh->dump)
		return;
	nlh->nlmsg_type = RTM_GETNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ndmsg));
	if (nl_dump_start(neigh->loop, "neigh dump", NETLINK_ROUTE, nlh, neigh_on_msg,
			  neigh_on_dumped, neigh, &neigh->dump) < 0)
		neigh->dump = NULL;
}

static void put_neigh(struct nlmsghdr *nlh, int ifindex, const struct neigh *entry, uint16_t state)
{
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = entry->l3;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_state = state;
	ndm->ndm_flags = NTF_EXT_LEARNED;
	mnl_attr_put(nlh, NDA_DST, entry->l3 == AF_INET ? 4 : 16, entry->addr);
	if (state)
		mnl_attr_put(nlh, NDA_LLADDR, sizeof(entry->mac), entry->mac);
}

static void send_request(struct neigh_sync *neigh, uint16_t type, uint16_t flags, int ifindex,
			 const struct neigh *entry, uint16_t state)
{
	struct nlmsghdr *nlh = nl_batch_begin(neigh->batch, type, flags, 64, 0);

	if (!nlh)
		return; /* told again in ten seconds */
	put_neigh(nlh, ifindex, entry, state);
	nl_batch_end(neigh->batch, nlh);
}

static void forget(void *arg, const struct neigh *entry)
{
	struct neigh_sync *neigh = arg;
	const struct neigh_iface *iface = iface_by_name(neigh, entry->ifname);

	if (iface && iface->ifindex)
		send_request(neigh, RTM_DELNEIGH, 0, iface->ifindex, entry, 0);
}

static void neigh_on_refresh(void *arg)
{
	struct neigh_sync *neigh = arg;
	mono_t now = loop_now(neigh->loop);

	timer_set(neigh->refresh, mono_add(now, REFRESH_NS));
	read_indexes(neigh);
	if (neigh->is_telling) {
		tell_all(neigh);
	} else if (mono_sub(now, neigh->last_learned) < 2 * REFRESH_NS) {
		neigh_table_expire(neigh->learned, mono_add(now, -FORGET_NS), forget, neigh);
		nl_batch_flush(neigh->batch);
	}
}

/* The kernel lost messages: one dump tells what they said. */
static void neigh_on_overrun(void *arg)
{
	struct neigh_sync *neigh = arg;

	if (neigh->is_telling)
		tell_all(neigh);
}

static void neigh_on_verdict(void *arg, uint64_t cookie, int error)
{
	(void)arg;
	(void)cookie;
	if (error < 0 && error != -ENOENT)
		log_debug("neigh", "entry: %s", strerror(-error));
}

static void state_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == RTM_NEWNEIGH && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*ndm))
		*(uint16_t *)arg = ndm->ndm_state;
}

static bool is_pinned(int ifindex, const struct neigh *entry)
{
	_Alignas(8) char buffer[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	uint16_t state = 0;

	nlh->nlmsg_type = RTM_GETNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	put_neigh(nlh, ifindex, entry, 0);
	((struct ndmsg *)mnl_nlmsg_get_payload(nlh))->ndm_flags =
		0; /* strict: none but NTF_PROXY */
	(void)nl_talk(NETLINK_ROUTE, nlh, state_on_msg, &state);
	return state & NUD_PERMANENT;
}

/* A unicast host with a unicast address; the rest of what a peer can say is refused. */
static bool is_plausible(const struct neigh *entry)
{
	static const uint8_t zero[16];
	size_t len = entry->l3 == AF_INET ? 4 : 16;

	if (entry->l3 != AF_INET && entry->l3 != AF_INET6)
		return false;
	if (memcmp(entry->addr, zero, len) == 0 ||
	    (entry->l3 == AF_INET ? entry->addr[0] >= 224 : entry->addr[0] == 0xff))
		return false;
	return !(entry->has >> NEIGH_MAC & 1) ||
	       (!(entry->mac[0] & 1) && memcmp(entry->mac, zero, sizeof(entry->mac)) != 0);
}

void neigh_sync_learn(struct neigh_sync *neigh, const struct neigh *entries, unsigned count)
{
	mono_t now = loop_now(neigh->loop);

	if (neigh->is_telling)
		return;
	neigh->last_learned = now;
	for (unsigned i = 0; i < count; i++) {
		const struct neigh_iface *iface = iface_by_name(neigh, entries[i].ifname);
		bool is_known;

		if (!iface || iface->ifindex == 0 || !is_plausible(&entries[i])) {
			neigh_table_refuse(neigh->learned);
			continue;
		}
		is_known = neigh_table_has(neigh->learned, &entries[i]);
		if (!(entries[i].has >> NEIGH_MAC & 1)) {
			if (is_known) {
				neigh_table_del(neigh->learned, &entries[i]);
				forget(neigh, &entries[i]);
			}
			continue;
		}
		if (is_pinned(iface->ifindex, &entries[i]) ||
		    !neigh_table_put(neigh->learned, &entries[i], now))
			continue;
		send_request(neigh, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, iface->ifindex,
			     &entries[i], NUD_STALE);
	}
	nl_batch_flush(neigh->batch);
}

unsigned neigh_sync_learned(const struct neigh_sync *neigh)
{
	return neigh_table_count(neigh->learned);
}

uint64_t neigh_sync_refused(const struct neigh_sync *neigh)
{
	return neigh_table_refused(neigh->learned);
}

void neigh_sync_set_telling(struct neigh_sync *neigh, bool is_telling)
{
	if (neigh->is_telling == is_telling)
		return;
	neigh->is_telling = is_telling;
	neigh->queued = 0;
	if (is_telling) {
		neigh_table_clear(neigh->learned); /* the kernel's own from now on */
		neigh_on_refresh(neigh);
	}
}

int neigh_sync_open(struct loop *loop, const struct config *config, neigh_tell_fn *on_tell,
		    void *arg, struct neigh_sync **ret_neigh)
{
	static const unsigned groups[] = {RTNLGRP_NEIGH};
	const struct nl_sock_config sock_config = {
		.name = "neigh",
		.bus = NETLINK_ROUTE,
		.groups = groups,
		.group_count = 1,
		.rcvbuf_bytes = 1 << 20,
		.rcvbuf_max_bytes = 16 << 20,
		.prio = LOOP_NORMAL,
	};
	struct neigh_sync *neigh = xcalloc(1, sizeof(*neigh));
	int r;

	neigh->loop = loop;
	neigh->on_tell = on_tell;
	neigh->arg = arg;
	neigh->ifaces = xcalloc(config->iface_count + 1, sizeof(*neigh->ifaces));
	for (unsigned i = 0; i < config->iface_count; i++) {
		if (config->iface[i].ip_count + config->iface[i].ip6_count == 0)
			continue;
		memcpy(neigh->ifaces[neigh->iface_count++].name, config->iface[i].name, 17);
	}
	r = nl_sock_open(loop, &sock_config, neigh_on_msg, neigh_on_overrun, neigh, &neigh->sock);
	if (r < 0)
		goto fail;
	r = nl_batch_open(loop, "neigh batch", NETLINK_ROUTE, 16384, neigh_on_verdict, neigh,
			  &neigh->batch);
	if (r < 0)
		goto fail_sock;
	neigh->learned = neigh_table_new();
	neigh->last_learned = mono_add(loop_now(loop), -2 * REFRESH_NS);
	neigh->flush = hook_new(loop, "neigh flush", flush_queue, neigh);
	neigh->refresh = timer_new(loop, "neigh refresh", neigh_on_refresh, neigh);
	timer_set(neigh->refresh, mono_add(loop_now(loop), REFRESH_NS));
	read_indexes(neigh);
	*ret_neigh = neigh;
	return 0;
fail_sock:
	nl_sock_close(neigh->sock);
fail:
	free(neigh->ifaces);
	free(neigh);
	return r;
}

void neigh_sync_close(struct neigh_sync *neigh)
{
	if (!neigh)
		return;
	if (neigh->dump)
		nl_dump_cancel(neigh->dump);
	timer_free(neigh->refresh);
	hook_free(neigh->flush);
	nl_batch_close(neigh->batch);
	nl_sock_close(neigh->sock);
	neigh_table_free(neigh->learned);
	free(neigh->ifaces);
	free(neigh);
}
