/* filter.c: the ladder of reasons for which a session stays at home */
#include "filter/filter.h"

#include "ct/ct.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

enum { PORT_L2TP = 1701, PORT_PPTP = 1723 };

/* Cut from the front of addresses; a row is a prefix of one family. */
struct prefix {
	uint8_t family, bits;
	uint8_t bytes[16];
};

static const struct prefix loopback[] = {
	{AF_INET, 8, {127}},
	{AF_INET6, 128, {[15] = 1}},
};

static const struct prefix multicast[] = {
	{AF_INET, 4, {224}},
	{AF_INET6, 8, {0xff}},
};

static const struct prefix broadcast[] = {
	{AF_INET, 32, {255, 255, 255, 255}},
};

static const struct prefix unspecified[] = {
	{AF_INET, 8, {0}},
	{AF_INET6, 128, {0}},
};

/* RFC 4291 2.5.6: routers must not forward these; IPv4 has no such rule that is kept. */
static const struct prefix link_local[] = {
	{AF_INET6, 10, {0xfe, 0x80}},
};

static bool is_within(const struct ipaddr *addr, const struct prefix *prefix)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (addr->family != prefix->family || memcmp(addr->bytes, prefix->bytes, whole) != 0)
		return false;
	return rest == 0 || ((addr->bytes[whole] ^ prefix->bytes[whole]) & mask) == 0;
}

#define IS_IN(addr, prefixes) is_in(addr, prefixes, sizeof(prefixes) / sizeof((prefixes)[0]))

static bool is_in(const struct ipaddr *addr, const struct prefix *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_within(addr, &prefixes[i]))
			return true;
	return false;
}

static bool is_discovery(const struct ct *ct)
{
	uint8_t type = (uint8_t)(ct->dport >> 8);

	if (ct->l4 != IPPROTO_ICMPV6)
		return false;
	/* MLD 130..132 (RFC 2710), ND 133..137 (RFC 4861), MLDv2 report 143 (RFC 3810). */
	return (type >= MLD_LISTENER_QUERY && type <= ND_REDIRECT) || type == 143;
}

static bool is_pptp(const struct ct *ct, uint16_t reply_sport)
{
	if (ct->l4 == IPPROTO_TCP)
		return ct->dport == PORT_PPTP || reply_sport == PORT_PPTP ||
		       (HAS(ct, CT_HELPER) && strcmp(ct->helper, "pptp") == 0);
	/* The kernel gives GRE keys only to version 1 with a PPTP master (gre_pkt_to_tuple). */
	return ct->l4 == IPPROTO_GRE && (ct->sport != 0 || ct->dport != 0);
}

static bool is_l2tp(const struct ct *ct, uint16_t reply_sport)
{
	return ct->l4 == IPPROTO_UDP &&
	       (ct->sport == PORT_L2TP || ct->dport == PORT_L2TP || reply_sport == PORT_L2TP);
}

enum filter_verdict filter_decide(const struct filter_config *config, const struct ct *ct)
{
	bool is_connection = ct->l4 == IPPROTO_TCP || ct->l4 == IPPROTO_SCTP;
	struct ipaddr reply_src, reply_dst;
	uint16_t reply_sport, reply_dport;

	if (is_connection && !config->pickup)
		return FILTER_PICKUP_OFF;
	if (!is_connection && !config->connectionless)
		return FILTER_CONNECTIONLESS_OFF;
	if (!(ct->status & IPS_CONFIRMED))
		return FILTER_UNCONFIRMED;
	ct_reply_tuple(ct, &reply_src, &reply_dst, &reply_sport, &reply_dport);
	if (IS_IN(&ct->src, loopback) || IS_IN(&ct->dst, loopback))
		return FILTER_LOOPBACK;
	if (IS_IN(&ct->dst, multicast))
		return FILTER_MULTICAST;
	if (IS_IN(&ct->dst, broadcast) || IS_IN(&ct->src, unspecified))
		return FILTER_BROADCAST;
	if (IS_IN(&ct->src, link_local) || IS_IN(&ct->dst, link_local) || is_discovery(ct))
		return FILTER_LINK_LOCAL;
	/* Marked when it came up the stack: also what a proxy took, and broadcasts of a subnet. */
	if (ct_is_own(ct))
		return FILTER_LOCAL;
	if (filter_locals_has(&config->locals, &ct->src) ||
	    filter_locals_has(&config->locals, &reply_src))
		return FILTER_LOCAL;
	if (is_pptp(ct, reply_sport))
		return FILTER_PPTP;
	if (is_l2tp(ct, reply_sport))
		return FILTER_L2TP;
	return FILTER_TRAVELS;
}

const char *filter_text(enum filter_verdict verdict)
{
	static const char *const texts[] = {
#define X(name, text) [FILTER_##name] = text,
		FILTER_VERDICTS(X)
#undef X
	};

	return verdict < FILTER_VERDICT_COUNT ? texts[verdict] : "unknown";
}

const char *filter_name(enum filter_verdict verdict)
{
	/* Lower case, as the keys of --json are; the order is that of FILTER_VERDICTS. */
	static const char *const names[] = {
		"travels",  "unconfirmed", "pickup_off", "connectionless_off",
		"loopback", "multicast",   "broadcast",  "link_local",
		"local",    "pptp",        "l2tp",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == FILTER_VERDICT_COUNT, "a name each");
	return verdict < FILTER_VERDICT_COUNT ? names[verdict] : "unknown";
}
