/* ct_capture.c: conntrack events of this namespace, parsed, without those our own requests caused
 *
 * An overrun is told when what was queued before it can no longer follow: from ENOBUFS until its
 * queue is empty a netlink socket loses everything new (netlink_rcv_wake()), and an old event
 * heard after the dump that repairs would undo it. So a fresh socket listens first, the old one
 * goes with its queue, and then the caller is told.
 */
#include "ct/ct_msg.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "nl/nl.h"

#include <assert.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

/* An event takes 700 to 1300 bytes of it (the kernel charges a whole skb each, against the double
 * of what is asked for), so 32 MiB are some 60 000: a second of 20 000 sessions of three events. It
 * is memory only while it is used. Who may not exceed net.core.rmem_max gets that. */
#define RCVBUF_BYTES     (32u << 20)
#define RCVBUF_MAX_BYTES (256u << 20)

/* Sessions come in streams, and a wake-up costs as much as ten of them. What was read together is said
 * together and at once, so this is the longest that a change waits. */
#define PAUSE_NS MS(2)

struct ct_capture {
	struct loop *loop;
	struct nl_sock *sock;
	struct timer *overrun;
	size_t rcvbuf_bytes;
	bool hears_new;
	uint32_t copy_bit;
	uint32_t ignore[NL_IGNORE_MAX];
	unsigned ignore_count;
	ct_seen_fn *on_seen;
	ct_overrun_fn *on_overrun;
	ct_fill_fn *on_fill; /* may be NULL */
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

static void capture_on_fill(void *arg, unsigned percent)
{
	struct ct_capture *capture = arg;

	if (capture->on_fill)
		capture->on_fill(capture->arg, percent);
}

static void capture_on_overrun(void *arg)
{
	struct ct_capture *capture = arg;

	/* Outside of the socket's own callback. */
	timer_set(capture->overrun, loop_now(capture->loop));
}

/* In the kernel: the event of every copy we write would be queued, copied and thrown away here, and
 * half of the overruns were of those. */
static void capture_filter(struct ct_capture *capture, struct nl_sock *sock)
{
	int r = nl_sock_ignore(sock, capture->ignore, capture->ignore_count);

	if (r < 0)
		log_warnx("ct", "events of our own requests are not filtered: %s", strerror(-r));
}

static int capture_listen(struct ct_capture *capture, struct nl_sock **ret_sock)
{
	/* NEW last: not everybody hears it. */
	static const unsigned groups[] = {NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY,
					  NFNLGRP_CONNTRACK_NEW};
	const struct nl_sock_config config = {
		.name = "ct events",
		.bus = NETLINK_NETFILTER,
		.groups = groups,
		.group_count = capture->hears_new ? 3 : 2,
		.rcvbuf_bytes = capture->rcvbuf_bytes,
		.rcvbuf_max_bytes = RCVBUF_MAX_BYTES,
		.pause_ns = PAUSE_NS,
		.prio = LOOP_NORMAL,
		.on_fill = capture_on_fill,
	};

	int r = nl_sock_open(capture->loop, &config, capture_on_msg, capture_on_overrun, capture,
			     ret_sock);

	if (r == 0)
		capture_filter(capture, *ret_sock);
	return r;
}

static void capture_start_anew(void *arg)
{
	struct ct_capture *capture = arg;
	struct nl_sock *old = capture->sock;
	int r;

	capture->stats.overruns++;
	log_warnx("ct", "events were lost (%llu times so far): the kernel's table is read instead",
		  (unsigned long long)capture->stats.overruns);
	if (capture->rcvbuf_bytes < RCVBUF_MAX_BYTES)
		capture->rcvbuf_bytes *= 2;
	r = capture_listen(capture, &capture->sock);
	if (r == 0) {
		nl_sock_close(old);
		capture_on_fill(capture, 0);
	} else {
		log_warnx("ct", "events: no fresh socket after an overrun: %s", strerror(-r));
	}
	capture->on_overrun(capture->arg);
}

int ct_capture_open(struct loop *loop, uint32_t copy_bit, ct_seen_fn *on_seen,
		    ct_overrun_fn *on_overrun, void *arg, struct ct_capture **ret_capture)
{
	struct ct_capture *capture = xcalloc(1, sizeof(*capture));
	int r;

	capture->loop = loop;
	capture->copy_bit = copy_bit;
	capture->hears_new = true;
	capture->rcvbuf_bytes = RCVBUF_BYTES;
	capture->on_seen = on_seen;
	capture->on_overrun = on_overrun;
	capture->arg = arg;
	r = capture_listen(capture, &capture->sock);
	if (r < 0) {
		free(capture);
		return r;
	}
	capture->overrun = timer_new(loop, "ct overrun", capture_start_anew, capture);
	*ret_capture = capture;
	return 0;
}

void ct_capture_close(struct ct_capture *capture)
{
	if (capture == NULL)
		return;
	timer_free(capture->overrun);
	nl_sock_close(capture->sock);
	free(capture);
}

void ct_capture_ignore(struct ct_capture *capture, uint32_t portid)
{
	assert(capture->ignore_count < NL_IGNORE_MAX);
	capture->ignore[capture->ignore_count++] = portid;
	capture_filter(capture, capture->sock);
}

int ct_capture_hear_new(struct ct_capture *capture, bool hears_new)
{
	int r;

	if (hears_new == capture->hears_new)
		return 0;
	r = nl_sock_set_group(capture->sock, NFNLGRP_CONNTRACK_NEW, hears_new);
	if (r == 0)
		capture->hears_new = hears_new;
	return r;
}

void ct_capture_tell_fill(struct ct_capture *capture, ct_fill_fn *on_fill)
{
	capture->on_fill = on_fill;
}

struct ct_capture_stats ct_capture_stats(const struct ct_capture *capture)
{
	return capture->stats;
}
