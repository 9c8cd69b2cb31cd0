/* mute_watch.c: hears that somebody removed the mute, and puts it back at once
 *
 * Only what goes is of interest. A repair of the nft back end flushes its own chains first, which
 * is told as well: the second look then finds nothing missing.
 */
#include "cluster/mute_impl.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/mute_nft_msg.h"
#include "nl/nl.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct mute_watch {
	struct mute *mute;
	struct nl_sock *sock;
	struct hook *hook;
	bool is_due;
};

static void watch_on_tc(void *arg, const struct nlmsghdr *nlh)
{
	struct mute_watch *watch = arg;

	if (nlh->nlmsg_type == RTM_DELTFILTER || nlh->nlmsg_type == RTM_DELQDISC)
		watch->is_due = true;
}

static void watch_on_nft(void *arg, const struct nlmsghdr *nlh)
{
	struct mute_watch *watch = arg;

	watch->is_due |= mute_nft_is_loss(nlh);
}

static void watch_on_overrun(void *arg)
{
	((struct mute_watch *)arg)->is_due = true;
}

/* Once for all the news of a turn. */
static void watch_look(void *arg)
{
	struct mute_watch *watch = arg;
	int r;

	if (!watch->is_due)
		return;
	watch->is_due = false;
	r = mute_ensure(watch->mute);
	if (r > 0)
		log_warnx("mute", "somebody removed the mute from %d interfaces: it is back", r);
	else if (r < 0)
		log_errx("mute", "somebody removed the mute, and it cannot be put back: %s",
			 strerror(-r));
}

int mute_watch_open(struct loop *loop, struct mute *mute, struct mute_watch **ret_watch)
{
	static const unsigned tc_groups[] = {RTNLGRP_TC}, nft_groups[] = {NFNLGRP_NFTABLES};
	bool is_bpf = strcmp(mute_backend_name(mute), mute_bpf_ops.name) == 0;
	const struct nl_sock_config config = {
		.name = "mute watch",
		.bus = is_bpf ? NETLINK_ROUTE : NETLINK_NETFILTER,
		.groups = is_bpf ? tc_groups : nft_groups,
		.group_count = 1,
		.rcvbuf_bytes = 1 << 18,
		.rcvbuf_max_bytes = 4 << 20,
		.prio = LOOP_NORMAL,
	};
	struct mute_watch *watch = xcalloc(1, sizeof(*watch));
	int r;

	watch->mute = mute;
	r = nl_sock_open(loop, &config, is_bpf ? watch_on_tc : watch_on_nft, watch_on_overrun,
			 watch, &watch->sock);
	if (r < 0) {
		free(watch);
		return r;
	}
	watch->hook = hook_new(loop, "mute look", watch_look, watch);
	*ret_watch = watch;
	return 0;
}

void mute_watch_close(struct mute_watch *watch)
{
	if (!watch)
		return;
	hook_free(watch->hook);
	nl_sock_close(watch->sock);
	free(watch);
}
