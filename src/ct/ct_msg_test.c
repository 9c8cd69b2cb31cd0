/* ct_msg_test.c: what is built is parsed back; hostile messages are refused, never over-read */
#include "ct/ct_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COPY_BIT   0x80000000u
#define HAS_BIT(n) (UINT64_C(1) << (n))

struct msg {
	char room[MNL_NLMSG_HDRLEN + CT_BUILD_ROOM] __attribute__((aligned(8)));
};

static struct nlmsghdr *msg_begin(struct msg *m, unsigned message, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->room);

	memset(m->room + MNL_NLMSG_HDRLEN, 0xa5, CT_BUILD_ROOM);
	nlh->nlmsg_type = ct_msg_type(message);
	nlh->nlmsg_flags = flags;
	return nlh;
}

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static struct ct session(uint8_t l4, const char *src, const char *dst, uint16_t sport,
			 uint16_t dport)
{
	struct ct ct = {0};

	ct.src = addr(src);
	ct.dst = addr(dst);
	ct.l3 = ct.src.family;
	ct.l4 = l4;
	ct.sport = sport;
	ct.dport = dport;
	ct.status = IPS_CONFIRMED | IPS_ASSURED;
	ct.has = schema_ct.required | HAS_BIT(CT_SPORT) | HAS_BIT(CT_DPORT);
	return ct;
}

/* Every field that a request can carry. */
static struct ct full_session(void)
{
	struct ct ct = session(IPPROTO_TCP, "fd01::9", "fd02::9", 40000, 443);

	ct.zone = 7;
	ct.rsrc = addr("fd03::3");
	ct.rdst = addr("fd04::4");
	ct.rsport = 8443;
	ct.rdport = 50000;
	ct.status |= IPS_SEEN_REPLY;
	ct.mark = 0x1234;
	memcpy(ct.labels, "0123456789abcdef", 16);
	ct.tcp_state = 3;
	ct.wscale_orig = 7;
	ct.wscale_reply = 9;
	ct.tcp_flags_orig = 0x23;
	ct.tcp_flags_reply = 0x33;
	memcpy(ct.helper, "ftp", 4);
	ct.seq_orig_pos = 100;
	ct.seq_orig_before = 1;
	ct.seq_orig_after = 0xfffffffe;
	ct.seq_reply_pos = 200;
	ct.seq_reply_before = 3;
	ct.seq_reply_after = 4;
	ct.timeout = CT_HOLD_S;
	for (unsigned i = CT_ZONE; i <= CT_SEQ_REPLY_AFTER; i++)
		if (i != CT_ZONE_REPLY && i != CT_SCTP_STATE && i != CT_VTAG_ORIG &&
		    i != CT_VTAG_REPLY)
			SET_HAS(&ct, i);
	return ct;
}

/* Parses a built update as if it were an event of the kernel. */
static struct ct_seen parsed(struct nlmsghdr *nlh)
{
	struct ct_seen seen;

	assert_int_equal(ct_parse(nlh, true, COPY_BIT, &seen), 0);
	return seen;
}

static void assert_same(const struct ct *got, const struct ct *want)
{
	for (unsigned i = 0; i < CT_FIELD_COUNT; i++) {
		const struct field *f = &schema_ct.fields[i];

		if (HAS(got, i) != HAS(want, i))
			fail_msg("%s: present %d instead of %d", f->name, (int)HAS(got, i),
				 (int)HAS(want, i));
		if (memcmp((const char *)got + f->offset, (const char *)want + f->offset,
			   f->size) != 0)
			fail_msg("%s differs", f->name);
	}
}

static void update_round_trips_every_field(void **state)
{
	struct ct want = full_session();
	struct msg m;
	struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, 0);
	struct ct_seen seen;

	(void)state;
	ct_build_update(nlh, COPY_BIT, &want);
	assert_true(nlh->nlmsg_len < MNL_NLMSG_HDRLEN + CT_BUILD_ROOM / 2);
	seen = parsed(nlh);
	/* An update names no helper, and lets go of the TCP window of old. */
	CLEAR_HAS(&want, CT_HELPER);
	memset(want.helper, 0, sizeof(want.helper));
	want.tcp_flags_orig |= IP_CT_TCP_FLAG_BE_LIBERAL;
	want.tcp_flags_reply |= IP_CT_TCP_FLAG_BE_LIBERAL;
	assert_same(&seen.ct, &want);
	assert_true(seen.is_copy && seen.has_mark && seen.is_full);
}

static void create_says_nat_by_attribute(void **state)
{
	struct ct ct = full_session(), want = ct;
	struct msg m;
	struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
	struct ct_seen seen;
	const struct nlattr *a;
	unsigned nat = 0;

	(void)state;
	ct_build_create(nlh, COPY_BIT, &ct, CT_HOLD_S);
	seen = parsed(nlh);
	/* The reply tuple of a create is the plain inverse. */
	want.has &=
		~(HAS_BIT(CT_RSRC) | HAS_BIT(CT_RDST) | HAS_BIT(CT_RSPORT) | HAS_BIT(CT_RDPORT));
	memset(&want.rsrc, 0, sizeof(want.rsrc));
	memset(&want.rdst, 0, sizeof(want.rdst));
	want.rsport = want.rdport = 0;
	assert_same(&seen.ct, &want);
	for (a = mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg));
	     mnl_attr_ok(a, (int)((char *)mnl_nlmsg_get_payload_tail(nlh) - (const char *)a));
	     a = mnl_attr_next(a))
		nat |= mnl_attr_get_type(a) == CTA_NAT_SRC   ? 1
		       : mnl_attr_get_type(a) == CTA_NAT_DST ? 2
							     : 0;
	assert_int_equal(nat, 3);
}

static void icmp_and_zones_round_trip(void **state)
{
	struct ct all[5];

	(void)state;
	all[0] = session(IPPROTO_ICMP, "10.1.0.9", "10.2.0.9", 77, 8 << 8);
	all[0].rdport = 78; /* SNAT gave it another id */
	SET_HAS(&all[0], CT_RDPORT);
	all[1] = session(IPPROTO_ICMPV6, "fd01::9", "fd02::9", 77, 128 << 8);
	all[2] = session(IPPROTO_UDP, "10.1.0.9", "10.2.0.9", 1, 2);
	all[2].zone = 5; /* of the original direction only */
	all[2].has |= HAS_BIT(CT_ZONE) | HAS_BIT(CT_ZONE_REPLY);
	all[3] = session(IPPROTO_UDP, "10.1.0.9", "10.2.0.9", 1, 2);
	all[3].zone_reply = 5;
	SET_HAS(&all[3], CT_ZONE_REPLY);
	all[4] = session(IPPROTO_SCTP, "10.1.0.9", "10.2.0.9", 1, 2);
	all[4].sctp_state = 4;
	all[4].vtag_orig = 0xdeadbeef;
	all[4].vtag_reply = 0xfeedface;
	all[4].has |= HAS_BIT(CT_SCTP_STATE) | HAS_BIT(CT_VTAG_ORIG) | HAS_BIT(CT_VTAG_REPLY);
	for (size_t i = 0; i < 5; i++) {
		struct msg m;
		struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, 0);
		struct ct_seen seen;

		ct_build_update(nlh, COPY_BIT, &all[i]);
		seen = parsed(nlh);
		all[i].timeout = CT_HOLD_S;
		SET_HAS(&all[i], CT_TIMEOUT);
		assert_same(&seen.ct, &all[i]);
	}
}

static void news_follow_type_and_flags(void **state)
{
	struct ct ct = session(IPPROTO_TCP, "10.1.0.9", "10.2.0.9", 1, 2);
	struct msg m;
	struct ct_seen seen;
	struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);

	(void)state;
	ct_build_update(nlh, 0, &ct);
	assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), 0);
	assert_int_equal(seen.news, CT_NEWS_NEW);
	assert_true(seen.is_full && seen.has_mark && !seen.is_copy && !HAS(&seen.ct, CT_MARK));
	nlh->nlmsg_flags = 0;
	assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), 0);
	assert_int_equal(seen.news, CT_NEWS_UPDATE);
	assert_false(seen.is_full);
	nlh->nlmsg_type = ct_msg_type(IPCTNL_MSG_CT_DELETE);
	assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), 0);
	assert_int_equal(seen.news, CT_NEWS_DESTROY);
	nlh->nlmsg_type = ct_msg_type(IPCTNL_MSG_CT_GET_STATS);
	assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), -EPROTONOSUPPORT);
	nlh->nlmsg_type = 2 << 8 | IPCTNL_MSG_CT_NEW;
	assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), -EPROTONOSUPPORT);
}

/* Cuts and flips a valid message in every place; memory is exactly as long as the message, so the
 * address sanitizer sees any over-read. */
static void parser_survives_damage(void **state)
{
	struct ct ct = full_session();
	struct msg m;
	struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, 0);
	struct ct_seen seen;
	uint32_t len;

	(void)state;
	ct_build_create(nlh, COPY_BIT, &ct, CT_HOLD_S);
	len = nlh->nlmsg_len;
	for (uint32_t cut = MNL_NLMSG_HDRLEN; cut < len; cut++) {
		struct nlmsghdr *copy = malloc(cut);

		memcpy(copy, nlh, cut);
		copy->nlmsg_len = cut;
		ct_parse(copy, false, COPY_BIT, &seen);
		free(copy);
	}
	for (uint32_t at = MNL_NLMSG_HDRLEN; at < len; at++) {
		static const uint8_t values[] = {0, 1, 3, 4, 0x7f, 0x80, 0xff};

		for (size_t v = 0; v < sizeof(values); v++) {
			uint8_t *copy = malloc(len);

			memcpy(copy, nlh, len);
			copy[at] = values[v];
			ct_parse((const void *)copy, false, COPY_BIT, &seen);
			free(copy);
		}
	}
}

static void wrong_sizes_are_refused(void **state)
{
	struct ct ct = session(IPPROTO_TCP, "10.1.0.9", "10.2.0.9", 1, 2);
	static const struct {
		uint16_t type, len;
	} extra[] = {
		{CTA_ZONE, 1},
		{CTA_LABELS, 15},
		{CTA_LABELS, 17},
		{CTA_ZONE, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
		static const char zeroes[32];
		struct msg m;
		struct nlmsghdr *nlh = msg_begin(&m, IPCTNL_MSG_CT_NEW, 0);
		struct ct_seen seen;

		ct_build_update(nlh, COPY_BIT, &ct);
		mnl_attr_put(nlh, extra[i].type, extra[i].len, zeroes);
		assert_int_equal(ct_parse(nlh, false, COPY_BIT, &seen), -EBADMSG);
	}
}

static void reply_tuple_inverts(void **state)
{
	struct ct ct = session(IPPROTO_ICMP, "10.1.0.9", "10.2.0.9", 77, 8 << 8);
	struct ipaddr src, dst;
	uint16_t sport, dport;

	(void)state;
	ct_reply_tuple(&ct, &src, &dst, &sport, &dport);
	assert_true(ipaddr_equal(&src, &ct.dst) && ipaddr_equal(&dst, &ct.src));
	assert_int_equal(sport, 0);
	assert_int_equal(dport, 77);
	ct = full_session();
	ct_reply_tuple(&ct, &src, &dst, &sport, &dport);
	assert_true(ipaddr_equal(&src, &ct.rsrc) && ipaddr_equal(&dst, &ct.rdst));
	assert_int_equal(sport, 8443);
	assert_int_equal(dport, 50000);
}

static void merge_lays_events_over(void **state)
{
	struct ct known = full_session(), before = known;
	struct ct_seen seen = {.news = CT_NEWS_UPDATE};

	(void)state;
	known.start_s = before.start_s = 99;
	SET_HAS(&known, CT_START_S);
	/* An event with tuples, status and TCP state: labels, mark and the rest stay. */
	seen.ct = known;
	seen.ct.has &= schema_ct.keys | schema_ct.required | HAS_BIT(CT_TCP_STATE);
	seen.ct.tcp_state = 7;
	ct_merge(&known, &seen);
	assert_int_equal(known.tcp_state, 7);
	assert_int_equal(known.mark, before.mark);
	assert_true(HAS(&known, CT_LABELS) && HAS(&known, CT_MARK) && HAS(&known, CT_START_S));
	assert_false(HAS(&known, CT_RSRC));
	/* The event said that the mark is zero now. */
	seen.has_mark = true;
	seen.ct.mark = 0;
	ct_merge(&known, &seen);
	assert_false(HAS(&known, CT_MARK));
	/* A full one replaces everything but the start. */
	seen.is_full = true;
	ct_merge(&known, &seen);
	assert_false(HAS(&known, CT_LABELS));
	assert_true(HAS(&known, CT_START_S) && known.start_s == 99);
	assert_true(ct_key_equal(&known, &before));
	known.zone_reply = 1;
	assert_false(ct_key_equal(&known, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(update_round_trips_every_field),
		cmocka_unit_test(create_says_nat_by_attribute),
		cmocka_unit_test(icmp_and_zones_round_trip),
		cmocka_unit_test(news_follow_type_and_flags),
		cmocka_unit_test(parser_survives_damage),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(reply_tuple_inverts),
		cmocka_unit_test(merge_lays_events_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
