/* linkmon.c: follows the carrier of named interfaces by rtnetlink
 *
 * Joined before the first reading, so no change falls between. A message's flags are those of the
 * moment it was built, and one told twice changes nothing.
 */
#include "cluster/linkmon.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "nl/nl.h"
#include "nl/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

struct link {
	char name[IF_NAMESIZE];
	int ifindex; /* 0: no such device */
	bool is_up;
	bool is_told;
};

struct linkmon {
	struct nl_sock *sock;
	struct timer *first;
	linkmon_fn *on_change;
	void *arg;
	unsigned count;
	struct link *links;
};

static void set(struct linkmon *linkmon, unsigned i, int ifindex, bool is_up)
{
	struct link *link = &linkmon->links[i];
	bool is_news = !link->is_told || link->is_up != is_up;

	link->ifindex = ifindex;
	link->is_up = is_up;
	link->is_told = true;
	if (is_news)
		linkmon->on_change(linkmon->arg, i, is_up);
}

static void linkmon_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct linkmon *linkmon = arg;
	struct rtnl_link news;

	/* AF_BRIDGE: a bridge speaks about its port; RTM_DELLINK then means that the port left it
	 */
	if (rtnl_read_link(nlh, &news) < 0 ||
	    ((const struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_family != AF_UNSPEC)
		return;
	for (unsigned i = 0; i < linkmon->count; i++) {
		struct link *link = &linkmon->links[i];
		bool is_named = strcmp(link->name, news.name) == 0;
		bool is_gone = nlh->nlmsg_type == RTM_DELLINK || !is_named; /* or renamed */

		if (link->ifindex == news.ifindex && is_gone)
			set(linkmon, i, 0, false);
		else if (is_named && nlh->nlmsg_type == RTM_NEWLINK)
			set(linkmon, i, news.ifindex, news.is_up && news.has_carrier);
	}
}

/* At the start, and after an overrun: read what is. */
static void read_all(void *arg)
{
	struct linkmon *linkmon = arg;

	for (unsigned i = 0; i < linkmon->count; i++) {
		struct rtnl_link link;

		if (rtnl_get_link(linkmon->links[i].name, &link) == 0)
			set(linkmon, i, link.ifindex, link.is_up && link.has_carrier);
		else
			set(linkmon, i, 0, false);
	}
}

int linkmon_open(struct loop *loop, const char *const *ifnames, unsigned count,
		 linkmon_fn *on_change, void *arg, struct linkmon **ret_linkmon)
{
	static const unsigned groups[] = {RTNLGRP_LINK};
	const struct nl_sock_config config = {
		.name = "linkmon",
		.bus = NETLINK_ROUTE,
		.groups = groups,
		.group_count = 1,
		.rcvbuf_bytes = 1 << 18,
		.rcvbuf_max_bytes = 4 << 20,
		.prio = LOOP_URGENT,
	};
	struct linkmon *linkmon = xcalloc(1, sizeof(*linkmon));
	int r;

	linkmon->on_change = on_change;
	linkmon->arg = arg;
	linkmon->count = count;
	linkmon->links = xcalloc(count + 1, sizeof(*linkmon->links));
	for (unsigned i = 0; i < count; i++) {
		if (strlen(ifnames[i]) >= IF_NAMESIZE) {
			r = -EINVAL;
			goto fail;
		}
		memcpy(linkmon->links[i].name, ifnames[i], strlen(ifnames[i]));
	}
	r = nl_sock_open(loop, &config, linkmon_on_msg, read_all, linkmon, &linkmon->sock);
	if (r < 0)
		goto fail;
	linkmon->first = timer_new(loop, "linkmon start", read_all, linkmon);
	timer_set(linkmon->first, MONO_ZERO);
	*ret_linkmon = linkmon;
	return 0;
fail:
	free(linkmon->links);
	free(linkmon);
	return r;
}

void linkmon_close(struct linkmon *linkmon)
{
	if (!linkmon)
		return;
	timer_free(linkmon->first);
	nl_sock_close(linkmon->sock);
	free(linkmon->links);
	free(linkmon);
}

bool linkmon_is_up(const struct linkmon *linkmon, unsigned index)
{
	return linkmon->links[index].is_up;
}
