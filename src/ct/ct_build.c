/* ct_build.c: struct ct becomes the attributes of a create, update, delete or get request */
#include "ct/ct_msg.h"
#include "ct/ct_put.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

uint16_t ct_msg_type(unsigned message)
{
	return (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

static void put_nfgen(struct nlmsghdr *nlh, uint8_t family)
{
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
}

/* Protocols whose tuples carry two 16-bit numbers: ports, or GRE keys (nf_ct_port_nlattr_to_tuple).
 */
static bool has_ports(uint8_t l4)
{
	switch (l4) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_GRE:
		return true;
	default:
		return false;
	}
}

static void put_icmp(struct nlmsghdr *nlh, uint8_t l4, uint16_t id, uint16_t type_code)
{
	bool is_v6 = l4 == IPPROTO_ICMPV6;

	put_be16(nlh, is_v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, id);
	put_u8(nlh, is_v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, (uint8_t)(type_code >> 8));
	put_u8(nlh, is_v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE,
	       (uint8_t)(type_code & 0xff));
}

/* `zone`: a zone of this direction only (CTA_TUPLE_ZONE), 0 for none. */
static void put_tuple(struct nlmsghdr *nlh, uint16_t attr, uint8_t l4, const struct ipaddr *src,
		      const struct ipaddr *dst, uint16_t sport, uint16_t dport, uint16_t zone)
{
	struct nlattr *tuple = nest_start(nlh, attr);
	struct nlattr *part = nest_start(nlh, CTA_TUPLE_IP);

	put_addr(nlh, CTA_IP_V4_SRC, CTA_IP_V6_SRC, src);
	put_addr(nlh, CTA_IP_V4_DST, CTA_IP_V6_DST, dst);
	nest_end(nlh, part);

	part = nest_start(nlh, CTA_TUPLE_PROTO);
	put_u8(nlh, CTA_PROTO_NUM, l4);
	if (ct_is_icmp(l4)) {
		/* The id counts as the source port of the original and as the destination port of
		 * the reply direction, type and code as the other one. */
		if (attr == CTA_TUPLE_ORIG)
			put_icmp(nlh, l4, sport, dport);
		else
			put_icmp(nlh, l4, dport, sport);
	} else if (has_ports(l4)) {
		put_be16(nlh, CTA_PROTO_SRC_PORT, sport);
		put_be16(nlh, CTA_PROTO_DST_PORT, dport);
	}
	nest_end(nlh, part);
	if (zone != 0)
		put_be16(nlh, CTA_TUPLE_ZONE, zone);
	nest_end(nlh, tuple);
}

/* A zone of both directions is CTA_ZONE, of one direction CTA_TUPLE_ZONE in its tuple. */
static void put_zone(struct nlmsghdr *nlh, const struct ct *ct)
{
	if (ct->zone != 0 && !HAS(ct, CT_ZONE_REPLY))
		put_be16(nlh, CTA_ZONE, ct->zone);
}

static void put_orig(struct nlmsghdr *nlh, const struct ct *ct)
{
	put_tuple(nlh, CTA_TUPLE_ORIG, ct->l4, &ct->src, &ct->dst, ct->sport, ct->dport,
		  HAS(ct, CT_ZONE_REPLY) ? ct->zone : 0);
}

/* CTA_NAT_SRC or CTA_NAT_DST with min = max, so the kernel has nothing to choose. */
static void put_nat(struct nlmsghdr *nlh, uint16_t attr, const struct ipaddr *addr, uint16_t port)
{
	struct nlattr *nat = nest_start(nlh, attr);
	struct nlattr *proto;

	put_addr(nlh, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP, addr);
	put_addr(nlh, CTA_NAT_V4_MAXIP, CTA_NAT_V6_MAXIP, addr);
	if (port != 0) {
		proto = nest_start(nlh, CTA_NAT_PROTO);
		put_be16(nlh, CTA_PROTONAT_PORT_MIN, port);
		put_be16(nlh, CTA_PROTONAT_PORT_MAX, port);
		nest_end(nlh, proto);
	}
	nest_end(nlh, nat);
}

/* On create the reply tuple must be the untranslated one, or nf_nat_setup_info sees nothing to do
 * and packets leave untranslated; the translation is said by CTA_NAT_* (kernel-facts section 0). */
static void put_create_reply(struct nlmsghdr *nlh, const struct ct *ct)
{
	struct ct plain = *ct;
	struct ipaddr src, dst;
	uint16_t sport, dport;

	plain.has &= ~(UINT64_C(1) << CT_RSRC | UINT64_C(1) << CT_RDST | UINT64_C(1) << CT_RSPORT |
		       UINT64_C(1) << CT_RDPORT);
	ct_reply_tuple(&plain, &src, &dst, &sport, &dport);
	put_tuple(nlh, CTA_TUPLE_REPLY, ct->l4, &src, &dst, sport, dport, ct->zone_reply);

	ct_reply_tuple(ct, &src, &dst, &sport, &dport);
	if (HAS(ct, CT_RDST) || HAS(ct, CT_RDPORT))
		put_nat(nlh, CTA_NAT_SRC, &dst, dport);
	/* The destination of ICMP has no number of its own: its id belongs to the source. */
	if (HAS(ct, CT_RSRC) || HAS(ct, CT_RSPORT))
		put_nat(nlh, CTA_NAT_DST, &src, ct_is_icmp(ct->l4) ? 0 : sport);
}

static void put_tcp_flags(struct nlmsghdr *nlh, uint16_t attr, uint8_t flags)
{
	/* With mask 0, as events have it, the kernel would ignore the flags. */
	const struct nf_ct_tcp_flags value = {.flags = flags, .mask = 0xff};

	put(nlh, attr, sizeof(value), &value);
}

/* `extra_flags`: IP_CT_TCP_FLAG_* to set besides the session's own. */
static void put_tcp(struct nlmsghdr *nlh, const struct ct *ct, uint8_t extra_flags)
{
	struct nlattr *info = nest_start(nlh, CTA_PROTOINFO);
	struct nlattr *tcp = nest_start(nlh, CTA_PROTOINFO_TCP);

	put_u8(nlh, CTA_PROTOINFO_TCP_STATE, ct->tcp_state);
	if (HAS(ct, CT_TCP_FLAGS_ORIG))
		put_tcp_flags(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
			      ct->tcp_flags_orig | extra_flags);
	if (HAS(ct, CT_TCP_FLAGS_REPLY))
		put_tcp_flags(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY,
			      ct->tcp_flags_reply | extra_flags);
	/* The kernel takes both or none. */
	if (HAS(ct, CT_WSCALE_ORIG) && HAS(ct, CT_WSCALE_REPLY)) {
		put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, ct->wscale_orig);
		put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_REPLY, ct->wscale_reply);
	}
	nest_end(nlh, tcp);
	nest_end(nlh, info);
}

static void put_sctp(struct nlmsghdr *nlh, const struct ct *ct)
{
	struct nlattr *info = nest_start(nlh, CTA_PROTOINFO);
	struct nlattr *sctp = nest_start(nlh, CTA_PROTOINFO_SCTP);

	/* nlattr_to_sctp() wants all three. */
	put_u8(nlh, CTA_PROTOINFO_SCTP_STATE, ct->sctp_state);
	put_be32(nlh, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, ct->vtag_orig);
	put_be32(nlh, CTA_PROTOINFO_SCTP_VTAG_REPLY, ct->vtag_reply);
	nest_end(nlh, sctp);
	nest_end(nlh, info);
}

static void put_seqadj(struct nlmsghdr *nlh, uint16_t attr, uint32_t pos, uint32_t before,
		       uint32_t after)
{
	struct nlattr *nest = nest_start(nlh, attr);

	put_be32(nlh, CTA_SEQADJ_CORRECTION_POS, pos);
	put_be32(nlh, CTA_SEQADJ_OFFSET_BEFORE, before);
	put_be32(nlh, CTA_SEQADJ_OFFSET_AFTER, after);
	nest_end(nlh, nest);
}

/* Everything that is said alike on create and on update. */
static void put_state(struct nlmsghdr *nlh, uint32_t copy_bit, const struct ct *ct,
		      uint32_t extra_status, uint8_t extra_flags)
{
	/* Of the status only SEEN_REPLY, ASSURED, FIXED_TIMEOUT and CONFIRMED may be said; the
	 * others follow from the attributes. A copy is ASSURED, or a full table evicts it first. */
	uint32_t status =
		IPS_CONFIRMED | IPS_ASSURED | (ct->status & IPS_SEEN_REPLY) | extra_status;

	put_be32(nlh, CTA_STATUS, status);
	put_be32(nlh, CTA_MARK, ct->mark | copy_bit);
	if (HAS(ct, CT_LABELS))
		put(nlh, CTA_LABELS, sizeof(ct->labels), ct->labels);
	if (HAS(ct, CT_TCP_STATE))
		put_tcp(nlh, ct, extra_flags);
	else if (HAS(ct, CT_SCTP_STATE))
		put_sctp(nlh, ct);
	if (HAS(ct, CT_SEQ_ORIG_POS))
		put_seqadj(nlh, CTA_SEQ_ADJ_ORIG, ct->seq_orig_pos, ct->seq_orig_before,
			   ct->seq_orig_after);
	if (HAS(ct, CT_SEQ_REPLY_POS))
		put_seqadj(nlh, CTA_SEQ_ADJ_REPLY, ct->seq_reply_pos, ct->seq_reply_before,
			   ct->seq_reply_after);
}

void ct_build_create(struct nlmsghdr *nlh, uint32_t copy_bit, const struct ct *ct, uint32_t hold_s)
{
	put_nfgen(nlh, ct->l3);
	put_orig(nlh, ct);
	put_create_reply(nlh, ct);
	put_zone(nlh, ct);
	put_be32(nlh, CTA_TIMEOUT, hold_s);
	/* An injected GRE entry has proto.gre.timeout 0 and would end with its first packet. */
	put_state(nlh, copy_bit, ct, ct->l4 == IPPROTO_GRE ? IPS_FIXED_TIMEOUT : 0, 0);
	if (HAS(ct, CT_HELPER)) {
		struct nlattr *help = nest_start(nlh, CTA_HELP);

		put(nlh, CTA_HELP_NAME, strlen(ct->helper) + 1, ct->helper);
		nest_end(nlh, help);
	}
}

void ct_build_update(struct nlmsghdr *nlh, uint32_t copy_bit, const struct ct *ct)
{
	struct ipaddr src, dst;
	uint16_t sport, dport;

	put_nfgen(nlh, ct->l3);
	put_orig(nlh, ct);
	ct_reply_tuple(ct, &src, &dst, &sport, &dport);
	put_tuple(nlh, CTA_TUPLE_REPLY, ct->l4, &src, &dst, sport, dport, ct->zone_reply);
	put_zone(nlh, ct);
	/* A fixed timeout cannot be changed any more (EPERM), and a copy's hold is long anyway. */
	if (ct->l4 != IPPROTO_GRE)
		put_be32(nlh, CTA_TIMEOUT, CT_HOLD_S);
	/* An entry this kernel once forwarded remembers its TCP window from then, and ctnetlink
	 * cannot reset it: without BE_LIBERAL the session would be INVALID when it comes back. */
	put_state(nlh, copy_bit, ct, 0, IP_CT_TCP_FLAG_BE_LIBERAL);
}

void ct_build_key(struct nlmsghdr *nlh, const struct ct *key)
{
	put_nfgen(nlh, key->l3);
	put_orig(nlh, key);
	put_zone(nlh, key);
}

void ct_build_timeout(struct nlmsghdr *nlh, const struct ct *key, uint32_t seconds)
{
	ct_build_key(nlh, key);
	put_be32(nlh, CTA_TIMEOUT, seconds);
}

void ct_build_dump(struct nlmsghdr *nlh)
{
	put_nfgen(nlh, AF_UNSPEC);
}
