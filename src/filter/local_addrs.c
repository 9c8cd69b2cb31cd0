/* local_addrs.c: rtnetlink address news into the filter's set of local addresses */
#include "filter/local_addrs.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "nl/nl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { READ_TRIES = 5 };

struct local_addrs {
	struct loop *loop;
	struct nl_sock *sock;
	struct timer *overrun;
	struct filter_locals *locals;
	struct filter_locals *reading; /* during a dump: what it has shown so far */
	local_addr_fn *on_change;
	void *arg;
};

static int on_attr(const struct nlattr *a, void *arg)
{
	const struct nlattr **found = arg;

	/* IFA_LOCAL where there is one: IFA_ADDRESS is then the peer of a point-to-point link. */
	if (mnl_attr_get_type(a) == IFA_LOCAL ||
	    (mnl_attr_get_type(a) == IFA_ADDRESS && *found == NULL))
		*found = a;
	return MNL_CB_OK;
}

/* 0, or -EBADMSG when the message has no address of IPv4 or IPv6. */
static int addr_read(const struct nlmsghdr *nlh, int *ret_ifindex, struct ipaddr *ret_addr)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a = NULL;
	struct ipaddr addr = {0};

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifa))
		return -EBADMSG;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return -EBADMSG;
	addr.family = ifa->ifa_family;
	mnl_attr_parse(nlh, sizeof(*ifa), on_attr, &a);
	if (a == NULL || mnl_attr_get_payload_len(a) != ipaddr_size(&addr))
		return -EBADMSG;
	memcpy(addr.bytes, mnl_attr_get_payload(a), ipaddr_size(&addr));
	*ret_ifindex = (int)ifa->ifa_index;
	*ret_addr = addr;
	return 0;
}

static void addr_on_news(struct local_addrs *addrs, int ifindex, const struct ipaddr *addr,
			 bool is_added)
{
	int r;

	if (!is_added) {
		if (filter_locals_remove(addrs->locals, ifindex, addr))
			addrs->on_change(addrs->arg, ifindex, addr, false);
		return;
	}
	r = filter_locals_add(addrs->locals, ifindex, addr);
	if (r == -ENOSPC && addrs->locals->refused == 1)
		log_warnx("filter", "more than %d local addresses: sessions of the others travel",
			  FILTER_LOCALS_MAX);
	if (r == 1)
		addrs->on_change(addrs->arg, ifindex, addr, true);
}

static void addrs_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct local_addrs *addrs = arg;
	struct ipaddr addr;
	int ifindex;

	if (nlh->nlmsg_type != RTM_NEWADDR && nlh->nlmsg_type != RTM_DELADDR)
		return;
	if (addr_read(nlh, &ifindex, &addr) == 0)
		addr_on_news(addrs, ifindex, &addr, nlh->nlmsg_type == RTM_NEWADDR);
}

static void addrs_on_dumped(void *arg, const struct nlmsghdr *nlh)
{
	struct local_addrs *addrs = arg;
	struct ipaddr addr;
	int ifindex;

	if (nlh->nlmsg_type == RTM_NEWADDR && addr_read(nlh, &ifindex, &addr) == 0)
		filter_locals_add(addrs->reading, ifindex, &addr);
}

static int addrs_read(struct local_addrs *addrs, struct filter_locals *ret_locals)
{
	int r = -EINTR;

	/* A dump that a change interrupted; what it showed is right, but may not be all. */
	for (int i = 0; i < READ_TRIES && r == -EINTR; i++) {
		char room[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);

		nlh->nlmsg_type = RTM_GETADDR;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg)); /* AF_UNSPEC: both */
		filter_locals_fini(ret_locals);
		addrs->reading = ret_locals;
		r = nl_talk(NETLINK_ROUTE, nlh, addrs_on_dumped, addrs);
		addrs->reading = NULL;
	}
	return r;
}

/* Tells the difference between what was known and what a fresh dump shows. */
static void addrs_read_again(struct local_addrs *addrs)
{
	struct filter_locals now = {0};
	struct filter_locals before = {0};
	int r = addrs_read(addrs, &now);

	if (r < 0) {
		/* Nothing is concluded from half a dump; the next one is not far. */
		log_warnx("filter", "cannot read the local addresses again: %s", strerror(-r));
		timer_set(addrs->overrun, mono_add(loop_now(addrs->loop), MS(100)));
		filter_locals_fini(&now);
		return;
	}
	for (unsigned i = 0; i < addrs->locals->count; i++)
		filter_locals_add(&before, addrs->locals->sorted[i].ifindex,
				  &addrs->locals->sorted[i].addr);
	for (unsigned i = 0; i < before.count; i++) {
		const struct filter_local *was = &before.sorted[i];

		if (!filter_locals_remove(&now, was->ifindex, &was->addr))
			addr_on_news(addrs, was->ifindex, &was->addr, false);
	}
	for (unsigned i = 0; i < now.count; i++)
		addr_on_news(addrs, now.sorted[i].ifindex, &now.sorted[i].addr, true);
	filter_locals_fini(&before);
	filter_locals_fini(&now);
}

static void addrs_on_overrun(void *arg)
{
	struct local_addrs *addrs = arg;

	/* Outside of the socket's own callback. */
	timer_set(addrs->overrun, loop_now(addrs->loop));
}

static int addrs_listen(struct local_addrs *addrs, struct nl_sock **ret_sock)
{
	static const unsigned groups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	const struct nl_sock_config config = {
		.name = "local addresses",
		.bus = NETLINK_ROUTE,
		.groups = groups,
		.group_count = sizeof(groups) / sizeof(groups[0]),
		.rcvbuf_bytes = 1u << 19,
		.rcvbuf_max_bytes = 1u << 22,
		/* Before conntrack's events of the same turn: the fence around deletes needs it. */
		.prio = LOOP_URGENT,
	};

	return nl_sock_open(addrs->loop, &config, addrs_on_msg, addrs_on_overrun, addrs, ret_sock);
}

/* What is still queued is older than the dump that repairs, and would undo it: a fresh socket
 * listens first, the old one goes with its queue, then the addresses are read. */
static void addrs_start_anew(void *arg)
{
	struct local_addrs *addrs = arg;
	struct nl_sock *old = addrs->sock;
	int r = addrs_listen(addrs, &addrs->sock);

	if (r == 0)
		nl_sock_close(old);
	else
		log_warnx("filter", "no fresh socket after an overrun: %s", strerror(-r));
	addrs_read_again(addrs);
}

int local_addrs_open(struct loop *loop, struct filter_locals *locals, local_addr_fn *on_change,
		     void *arg, struct local_addrs **ret_addrs)
{
	struct local_addrs *addrs = xcalloc(1, sizeof(*addrs));
	int r;

	addrs->loop = loop;
	addrs->locals = locals;
	addrs->on_change = on_change;
	addrs->arg = arg;
	/* Listening before reading, so that nothing falls between. */
	r = addrs_listen(addrs, &addrs->sock);
	if (r < 0)
		goto fail;
	r = addrs_read(addrs, locals);
	/* Addresses that keep changing are heard one by one as well. */
	if (r < 0 && r != -EINTR)
		goto fail_sock;
	addrs->overrun = timer_new(loop, "address overrun", addrs_start_anew, addrs);
	*ret_addrs = addrs;
	return 0;

fail_sock:
	nl_sock_close(addrs->sock);
fail:
	free(addrs);
	return r;
}

void local_addrs_close(struct local_addrs *addrs)
{
	if (addrs == NULL)
		return;
	timer_free(addrs->overrun);
	nl_sock_close(addrs->sock);
	free(addrs);
}
