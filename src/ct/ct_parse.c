/* ct_parse.c: ctnetlink message to struct ct_seen, along ct_nl_paths; believes no length */
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

/* Where the walker stands: paths come sorted by parent, so most steps are already done. */
struct walk {
	const struct nlattr *top[CTA_MAX + 1]; /* by type */
	struct attrs level[3];                 /* level[0] stays empty: see top */
	uint16_t at[3];
	unsigned depth;
};

/* Takes the next attribute off, NULL at the end or when it does not hold together. Every event
 * comes through here a hundred times, so what libmnl does in calls into a shared library is written
 * out. */
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

static void walk_begin(struct walk *w, struct attrs all)
{
	const struct nlattr *a;

	*w = (struct walk){.depth = 0};
	while ((a = attrs_take(&all)) != NULL)
		if (attr_type(a) <= CTA_MAX && w->top[attr_type(a)] == NULL)
			w->top[attr_type(a)] = a;
}

static struct attrs attrs_inside(const struct nlattr *a)
{
	if (a == NULL)
		return (struct attrs){NULL, 0};
	return (struct attrs){mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)};
}

static const struct nlattr *walk_step(const struct walk *w, unsigned depth, uint16_t type)
{
	if (depth == 0)
		return type <= CTA_MAX ? w->top[type] : NULL;
	return attrs_find(w->level[depth], type);
}

/* The attribute at the end of a path, NULL when it or one around it is not there. */
static const struct nlattr *walk_to(struct walk *w, const uint16_t *path, unsigned depth)
{
	unsigned same = 0;

	while (same < w->depth && same + 1 < depth && w->at[same] == path[same])
		same++;
	for (; same + 1 < depth; same++) {
		w->at[same] = path[same];
		w->level[same + 1] = attrs_inside(walk_step(w, same, path[same]));
	}
	w->depth = depth - 1;
	return walk_step(w, depth - 1, path[depth - 1]);
}

static uint16_t attr_be16(const struct nlattr *a)
{
	return ntohs(mnl_attr_get_u16(a));
}

static uint32_t attr_be32(const struct nlattr *a)
{
	return ntohl(mnl_attr_get_u32(a));
}

/* Reads one attribute into the member its schema row names; 0 or -EBADMSG for a wrong size. */
static int field_read(struct ct *ct, enum ct_field number, const struct nlattr *a)
{
	const struct field *f = &schema_ct.fields[number];
	void *member = (char *)ct + f->offset;
	size_t len = mnl_attr_get_payload_len(a);
	const void *payload = mnl_attr_get_payload(a);

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

struct icmp_attrs {
	uint8_t l4;
	uint16_t id, type, code;
};

static const struct icmp_attrs icmp_attrs[] = {
	{IPPROTO_ICMP, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE},
	{IPPROTO_ICMPV6, CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE},
};

/* Id, type and code of one direction; false when one is missing or of a wrong size. */
static bool icmp_read(struct walk *w, uint8_t l4, uint16_t tuple, uint16_t *ret_id,
		      uint16_t *ret_type_code)
{
	const struct icmp_attrs *row = &icmp_attrs[l4 == IPPROTO_ICMPV6];
	uint16_t path[3] = {tuple, CTA_TUPLE_PROTO, 0};
	const struct nlattr *id, *type, *code;

	path[2] = row->id;
	id = walk_to(w, path, 3);
	path[2] = row->type;
	type = walk_to(w, path, 3);
	path[2] = row->code;
	code = walk_to(w, path, 3);
	if (id == NULL || type == NULL || code == NULL || mnl_attr_get_payload_len(id) != 2 ||
	    mnl_attr_get_payload_len(type) != 1 || mnl_attr_get_payload_len(code) != 1)
		return false;
	*ret_id = attr_be16(id);
	*ret_type_code = (uint16_t)(mnl_attr_get_u8(type) << 8 | mnl_attr_get_u8(code));
	return true;
}

static int icmp_parse(struct walk *w, struct ct *ct)
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
static int zone_parse(struct walk *w, struct ct *ct)
{
	static const uint16_t path[] = {CTA_TUPLE_ORIG, CTA_TUPLE_ZONE};
	const struct nlattr *a = walk_to(w, path, 2);

	if (a == NULL)
		return 0;
	if (HAS(ct, CT_ZONE) || HAS(ct, CT_ZONE_REPLY) || mnl_attr_get_payload_len(a) != 2)
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
	struct walk w;
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
	walk_begin(&w, all);
	for (unsigned i = 0; i < ct_nl_path_count; i++) {
		const struct ct_nl_path *p = &ct_nl_paths[i];
		const struct nlattr *a;

		/* CTA_IP_V4_* and CTA_IP_V6_* rows lead to the same field. */
		if (HAS(ct, p->field))
			continue;
		a = walk_to(&w, p->attr, p->depth);
		if (a == NULL)
			continue;
		r = field_read(ct, p->field, a);
		if (r < 0)
			return r;
		SET_HAS(ct, p->field);
	}
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
