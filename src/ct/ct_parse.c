/* ct_parse.c: ctnetlink message to struct ct_seen, along ct_nl_nests; believes no length */
#include "ct/ct_msg.h"

#include "ct/ct_nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

/* The attributes of a message, or what is inside one of them. */
struct attrs {
	const struct nlattr *first;
	int len;
};

/* Nests that were looked into, by their row in the table. */
struct walk {
	struct attrs inside[CT_NL_NESTS_MAX];
};

/* Takes the next attribute off, NULL at the end or when it does not hold together. An event has
 * thirty of them, so what libmnl does in calls into a shared library is written out. */
static const struct nlattr *attrs_take(struct attrs *in)
{
	const struct nlattr *a = in->first;
	int step;

	if (in->len < (int)sizeof(*a) || a->nla_len < sizeof(*a) || a->nla_len > in->len)
		return NULL;
	step = (int)NLA_ALIGN(a->nla_len);
	in->len = step < in->len ? in->len - step : 0;
	in->first = (const void *)((const char *)a + step);
	return a;
}

static uint16_t attr_type(const struct nlattr *a)
{
	return a->nla_type & NLA_TYPE_MASK;
}

static const struct nlattr *attrs_find(struct attrs in, uint16_t type)
{
	const struct nlattr *a;

	while ((a = attrs_take(&in)) != NULL)
		if (attr_type(a) == type)
			return a;
	return NULL;
}

static size_t attr_len(const struct nlattr *a)
{
	return (size_t)a->nla_len - NLA_HDRLEN;
}

static const void *attr_payload(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static uint16_t attr_be16(const struct nlattr *a)
{
	uint16_t value;

	memcpy(&value, attr_payload(a), sizeof(value));
	return ntohs(value);
}

static uint32_t attr_be32(const struct nlattr *a)
{
	uint32_t value;

	memcpy(&value, attr_payload(a), sizeof(value));
	return ntohl(value);
}

/* Reads one attribute into the member its schema row names; 0 or -EBADMSG for a wrong size. */
static int field_read(struct ct *ct, enum ct_field number, const struct nlattr *a)
{
	const struct field *f = &schema_ct.fields[number];
	void *member = (char *)ct + f->offset;
	size_t len = attr_len(a);
	const void *payload = attr_payload(a);

	switch (f->type) {
	case FT_U8:
		/* CTA_PROTOINFO_TCP_FLAGS_*: struct nf_ct_tcp_flags, flags then mask. */
		if (len != 1 &&
		    !(len == 2 && (number == CT_TCP_FLAGS_ORIG || number == CT_TCP_FLAGS_REPLY)))
			return -EBADMSG;
		*(uint8_t *)member = *(const uint8_t *)payload;
		return 0;
	case FT_U16:
		if (len != sizeof(uint16_t))
			return -EBADMSG;
		*(uint16_t *)member = attr_be16(a);
		return 0;
	case FT_U32:
		/* CTA_TIMESTAMP_START: nanoseconds since the epoch, 64 bits. */
		if (number == CT_START_S) {
			uint64_t ns;

			if (len != sizeof(ns))
				return -EBADMSG;
			memcpy(&ns, payload, sizeof(ns));
			*(uint32_t *)member = (uint32_t)(be64toh(ns) / 1000000000);
			return 0;
		}
		/* fall through */
	case FT_W32:
		if (len != sizeof(uint32_t))
			return -EBADMSG;
		*(uint32_t *)member = attr_be32(a);
		return 0;
	case FT_IP: {
		struct ipaddr addr = {.family = ct->l3};

		if (len != ipaddr_size(&addr))
			return -EBADMSG;
		memcpy(addr.bytes, payload, len);
		*(struct ipaddr *)member = addr;
		return 0;
	}
	case FT_B16:
		if (len != 16)
			return -EBADMSG;
		memcpy(member, payload, 16);
		return 0;
	case FT_NAME: {
		size_t text = strnlen(payload, len);

		if (text == 0 || text >= f->size)
			return -EBADMSG;
		memcpy(member, payload, text);
		return 0;
	}
	case FT_U64:
	case FT_B6:
	case FT_NAME32:
	case FT_LIST:
		break;
	}
	return -EBADMSG; /* no field of a session has such a type */
}

/* Reads a nest and those within it, which the table makes three deep at most. Of attributes of the
 * same type the first counts. */
static int nest_parse(struct walk *w, struct ct *ct, unsigned nest, struct attrs in)
{
	const struct nlattr *a;

	w->inside[nest] = in;
	while ((a = attrs_take(&in)) != NULL) {
		uint16_t type = attr_type(a);
		uint8_t what = type < CT_NL_TYPES ? ct_nl_nests[nest].what[type] : 0;
		unsigned number = what & CT_NL_NUMBER;
		int r = 0;

		if (what & CT_NL_NEST) {
			if (w->inside[number].first == NULL)
				r = nest_parse(w, ct, number,
					       (struct attrs){attr_payload(a), (int)attr_len(a)});
		} else if (what & CT_NL_FIELD && !HAS(ct, number)) {
			r = field_read(ct, (enum ct_field)number, a);
			SET_HAS(ct, number);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* A nest within another one, nothing when the message had none. */
static unsigned nest_in(unsigned nest, uint16_t type)
{
	return ct_nl_nests[nest].what[type] & CT_NL_NUMBER;
}

struct icmp_attrs {
	uint8_t l4;
	uint16_t id, type, code;
};

static const struct icmp_attrs icmp_attrs[] = {
	{IPPROTO_ICMP, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE},
	{IPPROTO_ICMPV6, CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE},
};

/* Id, type and code of one direction; false when one is missing or of a wrong size. */
static bool icmp_read(const struct walk *w, uint8_t l4, uint16_t tuple, uint16_t *ret_id,
		      uint16_t *ret_type_code)
{
	const struct icmp_attrs *row = &icmp_attrs[l4 == IPPROTO_ICMPV6];
	struct attrs proto = w->inside[nest_in(nest_in(0, tuple), CTA_TUPLE_PROTO)];
	const struct nlattr *id = attrs_find(proto, row->id);
	const struct nlattr *type = attrs_find(proto, row->type);
	const struct nlattr *code = attrs_find(proto, row->code);

	if (id == NULL || type == NULL || code == NULL || attr_len(id) != 2 ||
	    attr_len(type) != 1 || attr_len(code) != 1)
		return false;
	*ret_id = attr_be16(id);
	*ret_type_code = (uint16_t)(*(const uint8_t *)attr_payload(type) << 8 |
				    *(const uint8_t *)attr_payload(code));
	return true;
}

static int icmp_parse(const struct walk *w, struct ct *ct)
{
	uint16_t reply_type_code;

	if (!icmp_read(w, ct->l4, CTA_TUPLE_ORIG, &ct->sport, &ct->dport))
		return -EBADMSG;
	SET_HAS(ct, CT_SPORT);
	SET_HAS(ct, CT_DPORT);
	/* The reply's type follows from the original one; only its id can be translated. */
	if (icmp_read(w, ct->l4, CTA_TUPLE_REPLY, &ct->rdport, &reply_type_code))
		SET_HAS(ct, CT_RDPORT);
	return 0;
}

/* A zone of the original direction only is CTA_TUPLE_ORIG/CTA_TUPLE_ZONE instead of CTA_ZONE; then
 * the reply has "one of its own": 0. */
static int zone_parse(const struct walk *w, struct ct *ct)
{
	const struct nlattr *a = attrs_find(w->inside[nest_in(0, CTA_TUPLE_ORIG)], CTA_TUPLE_ZONE);

	if (a == NULL)
		return 0;
	if (HAS(ct, CT_ZONE) || HAS(ct, CT_ZONE_REPLY) || attr_len(a) != 2)
		return -EBADMSG;
	ct->zone = attr_be16(a);
	SET_HAS(ct, CT_ZONE);
	SET_HAS(ct, CT_ZONE_REPLY);
	return 0;
}

static void drop_field(struct ct *ct, enum ct_field number)
{
	const struct field *f = &schema_ct.fields[number];

	memset((char *)ct + f->offset, 0, f->size);
	CLEAR_HAS(ct, number);
}

/* Only what differs from the plain inverse stays. */
static void reply_normalise(struct ct *ct)
{
	if (ipaddr_equal(&ct->rsrc, &ct->dst))
		drop_field(ct, CT_RSRC);
	if (ipaddr_equal(&ct->rdst, &ct->src))
		drop_field(ct, CT_RDST);
	if (ct->rsport == ct->dport || ct_is_icmp(ct->l4))
		drop_field(ct, CT_RSPORT);
	if (ct->rdport == ct->sport)
		drop_field(ct, CT_RDPORT);
}

/* Which news a message is: an answer to a dump, NLM_F_CREATE | NLM_F_EXCL on a new session. */
static int news_of(const struct nlmsghdr *nlh, bool is_dump, enum ct_news *ret_news)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return -EPROTONOSUPPORT;
	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case IPCTNL_MSG_CT_NEW:
		if (is_dump)
			*ret_news = CT_NEWS_DUMP;
		else if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL))
			*ret_news = CT_NEWS_NEW;
		else
			*ret_news = CT_NEWS_UPDATE;
		return 0;
	case IPCTNL_MSG_CT_DELETE:
		*ret_news = CT_NEWS_DESTROY;
		return 0;
	default:
		return -EPROTONOSUPPORT;
	}
}

int ct_parse(const struct nlmsghdr *nlh, bool is_dump, uint32_t copy_bit, struct ct_seen *ret_seen)
{
	struct ct_seen seen = {0};
	struct ct *ct = &seen.ct;
	struct walk w = {0};
	struct attrs all;
	const struct nfgenmsg *nfg;
	bool is_icmp;
	int r;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*nfg))
		return -EBADMSG;
	r = news_of(nlh, is_dump, &seen.news);
	if (r < 0)
		return r;
	nfg = mnl_nlmsg_get_payload(nlh);
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return -EPROTONOSUPPORT;
	ct->l3 = nfg->nfgen_family;
	SET_HAS(ct, CT_L3);

	all.len = (int)(nlh->nlmsg_len - MNL_NLMSG_HDRLEN - MNL_ALIGN(sizeof(*nfg)));
	all.first = mnl_nlmsg_get_payload_offset(nlh, sizeof(*nfg));
	r = nest_parse(&w, ct, 0, all);
	if (r < 0)
		return r;
	if ((ct->has & schema_ct.required) != schema_ct.required)
		return -EBADMSG;

	is_icmp = ct_is_icmp(ct->l4);
	if (is_icmp && icmp_parse(&w, ct) < 0)
		return -EBADMSG;
	if (zone_parse(&w, ct) < 0)
		return -EBADMSG;
	/* Absent (hostile message) is the plain inverse too; never compare with zero. */
	if (!HAS(ct, CT_RSRC))
		ct->rsrc = ct->dst;
	if (!HAS(ct, CT_RDST))
		ct->rdst = ct->src;
	if (!HAS(ct, CT_RSPORT))
		ct->rsport = ct->dport;
	if (!HAS(ct, CT_RDPORT))
		ct->rdport = ct->sport;
	reply_normalise(ct);

	ct->status &= CT_STATUS_CARRIED;
	seen.has_mark = HAS(ct, CT_MARK);
	seen.is_copy = (ct->mark & copy_bit) != 0;
	ct->mark &= ~copy_bit;
	if (ct->mark == 0)
		drop_field(ct, CT_MARK);
	seen.is_full = seen.news == CT_NEWS_NEW || seen.news == CT_NEWS_DUMP;
	*ret_seen = seen;
	return 0;
}
