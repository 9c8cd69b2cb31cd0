/* events.c: records conntrack events and makes those of other sessions from them; see events.h */
#include "events.h"

#include "ct/ct_msg.h"
#include "nl/nl.h"
#include "record/codec.h"
#include "wire/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As gen numbers its sessions (gen.c). */
enum { PORTS = 50000, PORT_FIRST = 10000, CLIENT_NET = 0x0a800000 };
#define CLIENT_MASK 0xff800000u

#define PATIENCE_NS SEC(30)

static uint32_t addr_of(uint32_t n)
{
	return CLIENT_NET + n / PORTS;
}

static uint16_t port_of(uint32_t n)
{
	return (uint16_t)(PORT_FIRST + n % PORTS);
}

/* The number of the session; -1: not one of gen's. */
static int64_t number_of(const struct ct *ct)
{
	uint32_t addr;

	memcpy(&addr, ct->src.bytes, sizeof(addr));
	addr = ntohl(addr);
	if (ct->src.family != AF_INET || (addr & CLIENT_MASK) != CLIENT_NET)
		return -1;
	return (int64_t)(addr - CLIENT_NET) * PORTS + ct->sport - PORT_FIRST;
}

struct recorder {
	FILE *file;
	unsigned ended;
	bool is_lossy;
};

static void on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct recorder *r = arg;
	struct ct_seen seen;

	if (ct_parse(nlh, false, 0, &seen) < 0 || number_of(&seen.ct) < 0)
		return;
	fwrite(nlh, 1, MNL_ALIGN(nlh->nlmsg_len), r->file);
	r->ended += seen.news == CT_NEWS_DESTROY;
}

static void on_overrun(void *arg)
{
	((struct recorder *)arg)->is_lossy = true;
}

int events_record(const char *path, unsigned sessions)
{
	static const unsigned groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
					  NFNLGRP_CONNTRACK_DESTROY};
	const struct nl_sock_config config = {.name = "recorder",
					      .bus = NETLINK_NETFILTER,
					      .groups = groups,
					      .group_count = 3,
					      .rcvbuf_bytes = 1 << 20,
					      .rcvbuf_max_bytes = 1 << 24};
	struct recorder r = {.file = fopen(path, "w")};
	struct loop *loop = loop_new();
	mono_t end = mono_add(mono_read(), PATIENCE_NS);
	struct nl_sock *sock;
	int error;

	if (!r.file)
		return -errno;
	error = nl_sock_open(loop, &config, on_msg, on_overrun, &r, &sock);
	if (error)
		return error;
	puts("listening");
	fflush(stdout);
	while (r.ended < sessions && !r.is_lossy && mono_before(mono_read(), end))
		loop_turn(loop, MS(50));
	nl_sock_close(sock);
	loop_free(loop);
	if (fclose(r.file))
		return -errno;
	return r.is_lossy ? -ENOBUFS : r.ended < sessions ? -ETIMEDOUT : 0;
}

static const struct nlattr *attr_within(const char *from, const char *end, uint16_t type)
{
	const struct nlattr *a = (const struct nlattr *)from;

	for (; mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

/* Where the payload of an attribute within two nests begins; 0 when it is not there. */
static size_t place_of(const struct nlmsghdr *nlh, const uint16_t path[3])
{
	const char *from = mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg));
	const char *end = mnl_nlmsg_get_payload_tail(nlh);

	for (unsigned i = 0; i < 3; i++) {
		const struct nlattr *a = attr_within(from, end, path[i]);

		if (!a)
			return 0;
		from = mnl_attr_get_payload(a);
		end = from + mnl_attr_get_payload_len(a);
	}
	return (size_t)(from - (const char *)nlh);
}

static int make_model(const struct nlmsghdr *nlh, const struct ct_seen *seen, struct event *e)
{
	static const uint16_t paths[4][3] = {
		{CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_IP_V4_SRC},
		{CTA_TUPLE_REPLY, CTA_TUPLE_IP, CTA_IP_V4_DST},
		{CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT},
		{CTA_TUPLE_REPLY, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT},
	};

	if (nlh->nlmsg_len > EVENT_BYTES)
		return -EMSGSIZE;
	memcpy(e->msg.bytes, nlh, nlh->nlmsg_len);
	for (unsigned i = 0; i < 4; i++) {
		size_t at = place_of(nlh, paths[i]);

		if (!at)
			return -EBADMSG;
		(i < 2 ? e->addr_at : e->port_at)[i % 2] = at;
	}
	if (seen->news == CT_NEWS_DESTROY)
		e->phase = PHASE_GONE;
	else if (HAS(&seen->ct, CT_TCP_STATE) && seen->ct.tcp_state > TCP_CONNTRACK_ESTABLISHED)
		e->phase = PHASE_CLOSE;
	else
		e->phase = PHASE_OPEN;
	return 0;
}

const struct nlmsghdr *event_of(struct event *e, uint32_t n)
{
	uint32_t addr = htonl(addr_of(n));
	uint16_t port = htons(port_of(n));

	for (unsigned i = 0; i < 2; i++) {
		memcpy(e->msg.bytes + e->addr_at[i], &addr, sizeof(addr));
		memcpy(e->msg.bytes + e->port_at[i], &port, sizeof(port));
	}
	return &e->msg.nlh;
}

/* A second can pass between two sessions' events: these two fields count seconds. */
static bool is_near(uint32_t *a, const uint32_t *b)
{
	if (*a - *b + 1 > 2)
		return false;
	*a = *b;
	return true;
}

static bool is_same(struct ct_seen *a, const struct ct_seen *b)
{
	uint8_t bytes[2][LIMIT_RECORD_BYTES];
	struct wbuf wa = wbuf_of(bytes[0], sizeof(bytes[0])),
		    wb = wbuf_of(bytes[1], sizeof(bytes[1]));

	if (!is_near(&a->ct.timeout, &b->ct.timeout) || !is_near(&a->ct.start_s, &b->ct.start_s))
		return false;
	codec_encode(&schema_ct, &a->ct, UINT64_MAX, &wa);
	codec_encode(&schema_ct, &b->ct, UINT64_MAX, &wb);
	return !wa.failed && a->news == b->news && a->is_copy == b->is_copy &&
	       a->has_mark == b->has_mark && a->is_full == b->is_full &&
	       wbuf_len(&wa) == wbuf_len(&wb) && memcmp(bytes[0], bytes[1], wbuf_len(&wa)) == 0;
}

/* Those of each session come in its order, but sessions end in any. */
struct loading {
	struct events *events;
	int64_t model;      /* the session of the first message */
	unsigned heard[64]; /* messages of the others, by number modulo 64 */
};

static int take_model(struct loading *l, const struct nlmsghdr *nlh, const struct ct_seen *seen)
{
	struct events *events = l->events;

	if (l->model < 0)
		l->model = number_of(&seen->ct);
	if (number_of(&seen->ct) != l->model)
		return 0;
	if (events->count == EVENTS_MAX)
		return -E2BIG;
	if (seen->news == CT_NEWS_NEW)
		events->is_brief = false;
	return make_model(nlh, seen, &events->list[events->count++]);
}

static int prove_model(struct loading *l, const struct nlmsghdr *nlh, const struct ct_seen *seen)
{
	struct events *events = l->events;
	int64_t n = number_of(&seen->ct);
	unsigned *heard = &l->heard[n % 64];
	struct ct_seen made;

	(void)nlh;
	if (n == l->model)
		return 0;
	if (*heard == events->count ||
	    ct_parse(event_of(&events->list[*heard], (uint32_t)n), false, 0, &made) < 0 ||
	    !is_same(&made, seen))
		return -EPROTO;
	++*heard;
	events->proven++;
	return 0;
}

typedef int loading_fn(struct loading *l, const struct nlmsghdr *nlh, const struct ct_seen *seen);

static int for_each(struct loading *l, const void *bytes, size_t len, loading_fn *fn)
{
	const struct nlmsghdr *nlh = bytes;
	int left = (int)len;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		struct ct_seen seen;
		int error = ct_parse(nlh, false, 0, &seen);

		if (!error)
			error = fn(l, nlh, &seen);
		if (error)
			return error;
	}
	return 0;
}

static int load(const void *bytes, size_t len, struct events *events)
{
	struct loading l = {.events = events, .model = -1};
	int error = for_each(&l, bytes, len, take_model);

	if (!error)
		error = for_each(&l, bytes, len, prove_model);
	if (error)
		return error;
	/* Nobody to prove it by, or a session with fewer events than the model. */
	if (!events->count || events->list[events->count - 1].phase != PHASE_GONE)
		return -ENODATA;
	return events->proven == 0 || events->proven % events->count ? -ENODATA : 0;
}

int events_load(const char *path, struct events *ret_events)
{
	struct events events = {.is_brief = true};
	FILE *file = fopen(path, "r");
	uint8_t *bytes = calloc(1, 1 << 20);
	size_t len;
	int error;

	if (!file)
		return -errno;
	len = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	error = load(bytes, len, &events);
	free(bytes);
	if (!error)
		*ret_events = events;
	return error;
}
