/* ct_util.c: what can be asked about sessions without a loop: keys, tuples, merging, counts */
#include "ct/ct_msg.h"
#include "nl/nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIT(number) (UINT64_C(1) << (number))

/* nf_conntrack_proto_icmp.c and _icmpv6.c, invmap: the queries that conntrack follows. */
static const struct {
	uint8_t l4, type, answer;
} icmp_pairs[] = {
	{IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY},
	{IPPROTO_ICMP, ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY},
	{IPPROTO_ICMP, ICMP_INFO_REQUEST, ICMP_INFO_REPLY},
	{IPPROTO_ICMP, ICMP_ADDRESS, ICMP_ADDRESSREPLY},
	{IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY},
	{IPPROTO_ICMPV6, 139, 140}, /* RFC 4620 node information */
};

int ct_icmp_inverse(uint8_t l4, uint8_t type)
{
	for (size_t i = 0; i < sizeof(icmp_pairs) / sizeof(icmp_pairs[0]); i++) {
		if (icmp_pairs[i].l4 != l4)
			continue;
		if (icmp_pairs[i].type == type)
			return icmp_pairs[i].answer;
		if (icmp_pairs[i].answer == type)
			return icmp_pairs[i].type;
	}
	return -1;
}

bool ct_is_icmp(uint8_t l4)
{
	return l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6;
}

bool ct_key_equal(const struct ct *a, const struct ct *b)
{
	return a->l3 == b->l3 && a->l4 == b->l4 && a->sport == b->sport && a->dport == b->dport &&
	       a->zone == b->zone && a->zone_reply == b->zone_reply &&
	       ipaddr_equal(&a->src, &b->src) && ipaddr_equal(&a->dst, &b->dst);
}

void ct_reply_tuple(const struct ct *ct, struct ipaddr *ret_src, struct ipaddr *ret_dst,
		    uint16_t *ret_sport, uint16_t *ret_dport)
{
	*ret_src = HAS(ct, CT_RSRC) ? ct->rsrc : ct->dst;
	*ret_dst = HAS(ct, CT_RDST) ? ct->rdst : ct->src;
	*ret_dport = HAS(ct, CT_RDPORT) ? ct->rdport : ct->sport;
	if (ct_is_icmp(ct->l4)) {
		int answer = ct_icmp_inverse(ct->l4, (uint8_t)(ct->dport >> 8));

		*ret_sport = ct->dport;
		if (answer >= 0)
			*ret_sport = (uint16_t)(answer << 8 | (ct->dport & 0xff));
	} else {
		*ret_sport = HAS(ct, CT_RSPORT) ? ct->rsport : ct->dport;
	}
}

bool ct_is_copy_of(const struct ct *seen, const struct ct *record)
{
	const uint64_t states = BIT(CT_TCP_STATE) | BIT(CT_SCTP_STATE);
	uint64_t both = seen->has & record->has & states;
	struct ipaddr src[2], dst[2];
	uint16_t sport[2], dport[2];

	ct_reply_tuple(seen, &src[0], &dst[0], &sport[0], &dport[0]);
	ct_reply_tuple(record, &src[1], &dst[1], &sport[1], &dport[1]);
	/* Absent is zero for marks and labels. */
	return ipaddr_equal(&src[0], &src[1]) && ipaddr_equal(&dst[0], &dst[1]) &&
	       sport[0] == sport[1] && dport[0] == dport[1] && seen->mark == record->mark &&
	       memcmp(seen->labels, record->labels, sizeof(seen->labels)) == 0 &&
	       seen->zone_reply == record->zone_reply &&
	       (!(both & BIT(CT_TCP_STATE)) || seen->tcp_state == record->tcp_state) &&
	       (!(both & BIT(CT_SCTP_STATE)) || seen->sctp_state == record->sctp_state);
}

/* Takes `number` from `from` where it is present there. */
static void field_take(struct ct *into, const struct ct *from, unsigned number)
{
	const struct field *f = &schema_ct.fields[number];

	memcpy((char *)into + f->offset, (const char *)from + f->offset, f->size);
	into->has = (into->has & ~BIT(number)) | (from->has & BIT(number));
}

void ct_merge(struct ct *known, const struct ct_seen *seen)
{
	/* Every message has both tuples and the status, so absent here means the plain inverse. */
	const uint64_t always = schema_ct.keys | BIT(CT_RSRC) | BIT(CT_RDST) | BIT(CT_RSPORT) |
				BIT(CT_RDPORT) | BIT(CT_STATUS);
	uint64_t take = seen->ct.has | always;

	if (seen->is_full)
		take = BIT(CT_FIELD_COUNT) - 1;
	if (seen->has_mark)
		take |= BIT(CT_MARK);
	if (!HAS(&seen->ct, CT_START_S))
		take &= ~BIT(CT_START_S);
	for (unsigned i = 0; i < CT_FIELD_COUNT; i++)
		if (take & BIT(i))
			field_take(known, &seen->ct, i);
}

struct count_answer {
	int64_t entries;
};

static int on_stats_attr(const struct nlattr *a, void *arg)
{
	struct count_answer *answer = arg;

	if (mnl_attr_get_type(a) == CTA_STATS_GLOBAL_ENTRIES &&
	    mnl_attr_get_payload_len(a) == sizeof(uint32_t))
		answer->entries = ntohl(mnl_attr_get_u32(a));
	return MNL_CB_OK;
}

static void on_stats(void *arg, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type == ct_msg_type(IPCTNL_MSG_CT_GET_STATS))
		mnl_attr_parse(nlh, sizeof(struct nfgenmsg), on_stats_attr, arg);
}

static int64_t count_by_request(void)
{
	char room[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct count_answer answer = {-EBADMSG};
	int r;

	nlh->nlmsg_type = ct_msg_type(IPCTNL_MSG_CT_GET_STATS);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ct_build_dump(nlh);
	r = nl_talk(NETLINK_NETFILTER, nlh, on_stats, &answer);
	return r < 0 ? r : answer.entries;
}

/* A request waits for nfnetlink's mutex, which `conntrack -F` holds for seconds. The sysctl takes
 * no lock; /proc/sys/net is that of the reader's namespace. Old kernels hide it from containers. */
static int64_t read_number(const char *path)
{
	char text[24] = "";
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? (int64_t)strtoul(text, NULL, 10) : -EIO;
}

int64_t ct_count(void)
{
	int64_t count = read_number("/proc/sys/net/netfilter/nf_conntrack_count");

	return count < 0 ? count_by_request() : count;
}

int64_t ct_max(void)
{
	return read_number("/proc/sys/net/netfilter/nf_conntrack_max");
}

struct get_answer {
	uint32_t copy_bit;
	struct ct_seen *seen;
	int error;
};

static void on_entry(void *arg, const struct nlmsghdr *nlh)
{
	struct get_answer *answer = arg;

	if (nlh->nlmsg_type == ct_msg_type(IPCTNL_MSG_CT_NEW))
		answer->error = ct_parse(nlh, true, answer->copy_bit, answer->seen);
}

int ct_get(uint32_t copy_bit, const struct ct *key, struct ct_seen *ret_seen)
{
	char room[MNL_NLMSG_HDRLEN + CT_BUILD_ROOM] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct ct_seen seen;
	struct get_answer answer = {copy_bit, &seen, -ENOENT};
	int r;

	nlh->nlmsg_type = ct_msg_type(IPCTNL_MSG_CT_GET);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ct_build_key(nlh, key);
	r = nl_talk(NETLINK_NETFILTER, nlh, on_entry, &answer);
	if (r >= 0)
		r = answer.error;
	if (r < 0)
		return r;
	*ret_seen = seen;
	return 0;
}
