/* ct_table_text.c: the ruleset of table inet flowkeep as text, from a config; pure
 *
 *   prerouting -190  claim     after conntrack (-200): a packet of a copy clears the copy bit
 *   forward     500  sessions  after whatever gave the session its helper
 *                      new, expected -> begin, begin_tcp  the mask of its protocol, once
 *                      FIN, RST, ... -> closing  level established: protocol states from now on
 *   input, output -150  no_reset, no_unreachable  silence while the set `alone` has elements
 *   input, output 500  own_in, own_out  sessions of the gateway itself: a label, and no events
 *
 * ICMP errors are `related` too, but carry the session they complain about: they must not give it
 * the mask of ICMP. `ct helper` in nft is the helper of the *master*; that a session has one
 * itself is status bit IPS_HELPER.
 */
#include "ct/ct.h"
#include "ct/ct_table_impl.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>

#define BIT(n) (1u << (n))

/* DESIGN section 4. nft 1.0.6 refuses the words `mark` and `label`, so masks are numbers;
 * so are protocols, for names of most of them need /etc/protocols, which a minimal system lacks. */
#define MASK_ALL  0xffffu /* struct nf_conntrack_ecache: u16 ctmask */
#define MASK_ESTABLISHED                                                                           \
	(BIT(IPCT_ASSURED) | BIT(IPCT_DESTROY) | BIT(IPCT_MARK) | BIT(IPCT_LABEL) |                \
	 BIT(IPCT_HELPER))
#define MASK_CLOSING (MASK_ESTABLISHED | BIT(IPCT_PROTOINFO))
/* An expected session begins with RELATED instead of NEW. */
#define MASK_CONNECTIONLESS                                                                        \
	(BIT(IPCT_NEW) | BIT(IPCT_RELATED) | BIT(IPCT_REPLY) | BIT(IPCT_DESTROY) |                 \
	 BIT(IPCT_MARK) | BIT(IPCT_LABEL))

struct text {
	char *out;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->len >= t->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->out + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += n < 0 ? t->size : (size_t)n;
}

static void put_claim(struct text *t, uint32_t copy_bit)
{
	put(t,
	    "\tchain claim {\n"
	    "\t\ttype filter hook prerouting priority -190; policy accept;\n"
	    "\t\tct mark & %#x != 0 ct mark set ct mark & %#x\n"
	    "\t}\n",
	    copy_bit, ~copy_bit);
}

/* An island meets packets of sessions that another one served before it has heard of them. Answers
 * to a translated address are addressed to the gateway itself, whose stack would reset them. Ports
 * below 1024 are services of its own: those sessions did end, and are told so. */
static void put_alone(struct text *t, bool is_alone)
{
	put(t,
	    "\tset alone {\n"
	    "\t\ttype inet_proto\n"
	    "%s"
	    "\t}\n"
	    "\tchain no_reset {\n"
	    "\t\ttype filter hook input priority -150; policy accept;\n"
	    "\t\tmeta l4proto @alone tcp dport >= 1024 tcp flags & (syn | ack) != syn "
	    "ct state { new, invalid } drop\n"
	    "\t}\n"
	    "\tchain no_unreachable {\n"
	    "\t\ttype filter hook output priority -150; policy accept;\n"
	    "\t\tmeta l4proto @alone icmp type 3 icmp code 3 drop\n"
	    "\t\tmeta l4proto @alone icmpv6 type 1 icmpv6 code 4 drop\n"
	    "\t}\n",
	    is_alone ? "\t\telements = { " CT_TABLE_ALONE " }\n" : "");
}

static void put_helped(struct text *t)
{
	put(t, "\t\tct status & %#x != 0 ct event set %#x return comment \"has a helper\"\n",
	    (unsigned)IPS_HELPER, MASK_ALL);
}

/* TCP has a short way: every rule a SYN meets is time in which the kernel forwards nothing. */
static void put_begin(struct text *t, const struct ct_table_config *config)
{
	unsigned mask = config->level == SYNC_LEVEL_ESTABLISHED ? MASK_ESTABLISHED : MASK_ALL;

	put(t, "\tchain begin_tcp {\n");
	if (config->tcp) {
		put(t, "\t\ttcp dport 1723 ct event set 0 return comment \"PPTP\"\n");
		put_helped(t);
		put(t, "\t\tct event set %#x\n", mask);
	} else {
		put(t, "\t\tct event set 0\n");
	}
	put(t, "\t}\n"
	       "\tchain begin {\n"
	       "\t\tmeta l4proto 6 goto begin_tcp\n"
	       "\t\tmeta pkttype { broadcast, multicast } ct event set 0 return\n"
	       "\t\tip daddr 224.0.0.0/4 ct event set 0 return\n"
	       "\t\tip6 daddr ff00::/8 ct event set 0 return\n"
	       "\t\tudp dport 1701 ct event set 0 return comment \"L2TP\"\n"
	       "\t\tmeta l4proto 47 ct helper \"pptp\" ct event set 0 return\n");
	if (!config->tcp)
		put(t, "\t\tmeta l4proto 132 ct event set 0 return\n");
	if (!config->connectionless)
		put(t, "\t\tmeta l4proto != 132 ct event set 0 return\n");
	put_helped(t);
	if (config->tcp)
		put(t, "\t\tmeta l4proto 132 ct event set %#x return\n", mask);
	if (config->connectionless)
		put(t, "\t\tct event set %#x\n", MASK_CONNECTIONLESS);
	put(t, "\t}\n");
}

/* Sessions whose mask is 0 or everything keep it when they close. */
static void put_closing(struct text *t)
{
	put(t,
	    "\tchain closing {\n"
	    "\t\ttcp dport 1723 return\n"
	    "\t\ttcp sport 1723 return\n"
	    "\t\tct status & %#x != 0 return\n"
	    "\t\tct event set %#x\n"
	    "\t}\n",
	    (unsigned)IPS_HELPER, MASK_CLOSING);
}

/* A packet of a TCP session that goes on is through after two rules. */
static void put_sessions(struct text *t, const struct ct_table_config *config)
{
	bool has_closing = config->tcp && config->level == SYNC_LEVEL_ESTABLISHED;

	put_begin(t, config);
	if (has_closing)
		put_closing(t);
	put(t, "\tchain sessions {\n"
	       "\t\ttype filter hook forward priority 500; policy accept;\n"
	       "\t\tct state new goto begin\n");
	if (has_closing)
		put(t, "\t\tct state established tcp flags & (fin | rst) == 0 return\n"
		       "\t\ttcp flags & (fin | rst) != 0 goto closing\n"
		       "\t\tmeta l4proto 132 sctp chunk shutdown exists goto closing\n"
		       "\t\tmeta l4proto 132 sctp chunk shutdown-ack exists goto closing\n"
		       "\t\tmeta l4proto 132 sctp chunk abort exists goto closing\n");
	put(t, "\t\tct state related meta l4proto != { 1, 58 } goto begin\n"
	       "\t}\n");
}

/* What begins here ends here: to and from the gateway, diverted to a local proxy, broadcast. The
 * label says so where masks cannot, in dumps and under `event-mask disable`; that a rule uses
 * labels at all is also what makes the kernel keep those of others (nf_connlabels_get). */
static void put_own(struct text *t, const char *chain, const char *hook, bool is_masked)
{
	const char *mask = is_masked ? " ct event set 0" : "";

	put(t,
	    "\tchain %s {\n"
	    "\t\ttype filter hook %s priority 500; policy accept;\n"
	    "\t\tct state new ct label set %d%s\n"
	    "\t\tct state related meta l4proto != { 1, 58 } ct label set %d%s\n"
	    "\t}\n",
	    chain, hook, CT_LABEL_OWN, mask, CT_LABEL_OWN, mask);
}

size_t ct_table_text_of(const struct ct_table_config *config, bool is_owned, char *out, size_t size)
{
	struct text t = {.out = out, .size = size};

	put(&t, "table inet " CT_TABLE_NAME " {\n");
	if (is_owned)
		put(&t, "\tflags owner;\n");
	put_claim(&t, config->copy_bit);
	put_alone(&t, config->is_alone);
	if (config->event_mask)
		put_sessions(&t, config);
	put_own(&t, "own_in", "input", config->event_mask);
	put_own(&t, "own_out", "output", config->event_mask);
	put(&t, "}\n");
	return t.len < t.size ? t.len : 0;
}

size_t ct_table_text(const struct ct_table_config *config, char *out, size_t size)
{
	return ct_table_text_of(config, true, out, size);
}
