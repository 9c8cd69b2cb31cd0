/* ct_capture.c: conntrack events of this namespace, parsed, without those our own requests caused */
#include "ct/ct_msg.h"

#include "base/xalloc.h"
#include "nl/nl.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>

enum { IGNORE_MAX = 4 };

/* At 3 events of about 300 bytes a session, 4 MiB hold some 1500 new sessions (the kernel charges a
 * whole skb each); 64 MiB are a second of 20 000. */
#define RCVBUF_BYTES     (4u << 20)
#define RCVBUF_MAX_BYTES (64u << 20)

struct ct_capture {
	struct nl_sock *sock;
	uint32_t copy_bit;
	uint32_t ignore[IGNORE_MAX];
	unsigned ignore_count;
	ct_seen_fn *on_seen;
	ct_overrun_fn *on_overrun;
	void *arg;
	struct ct_capture_stats stats;
};

static bool is_own(const struct ct_capture *capture, uint32_t portid)
{
	for (unsigned i = 0; i < capture->ignore_count; i++)
		if (capture->ignore[i] == portid)
			return true;
	return false;
}

static void capture_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct ct_capture *capture = arg;
	struct ct_seen seen;

	capture->stats.events++;
	/* nfnetlink puts the port id of the requester into the header; packets have 0. */
	if (is_own(capture, nlh->nlmsg_pid)) {
		capture->stats.ignored_own++;
		return;
	}
	if (ct_parse(nlh, false, capture->copy_bit, &seen) < 0) {
		capture->stats.unparsed++;
		return;
	}
	capture->on_seen(capture->arg, &seen);
}

static void capture_on_overrun(void *arg)
{
	struct ct_capture *capture = arg;

	capture->stats.overruns++;
	capture->on_overrun(capture->arg);
}

int ct_capture_open(struct loop *loop, uint32_t copy_bit, ct_seen_fn *on_seen,
		    ct_overrun_fn *on_overrun, void *arg, struct ct_capture **ret_capture)
{
	static const unsigned groups[] = { NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
					   NFNLGRP_CONNTRACK_DESTROY };
	const struct nl_sock_config config = {
		.name = "ct events",
		.bus = NETLINK_NETFILTER,
		.groups = groups,
		.group_count = sizeof(groups) / sizeof(groups[0]),
		.rcvbuf_bytes = RCVBUF_BYTES,
		.rcvbuf_max_bytes = RCVBUF_MAX_BYTES,
		.prio = LOOP_NORMAL,
	};
	struct ct_capture *capture = xcalloc(1, sizeof(*capture));
	int r;

	capture->copy_bit = copy_bit;
	capture->on_seen = on_seen;
	capture->on_overrun = on_overrun;
	capture->arg = arg;
	r = nl_sock_open(loop, &config, capture_on_msg, capture_on_overrun, capture,
			 &capture->sock);
	if (r < 0) {
		free(capture);
		return r;
	}
	*ret_capture = capture;
	return 0;
}

void ct_capture_close(struct ct_capture *capture)
{
	if (capture == NULL)
		return;
	nl_sock_close(capture->sock);
	free(capture);
}

void ct_capture_ignore(struct ct_capture *capture, uint32_t portid)
{
	assert(capture->ignore_count < IGNORE_MAX);
	capture->ignore[capture->ignore_count++] = portid;
}

struct ct_capture_stats ct_capture_stats(const struct ct_capture *capture)
{
	return capture->stats;
}
