/* filter.h: which sessions deserve to travel, and why the others do not
 *
 * Pure: a config and a session in, a verdict out; the caller counts. The masks of ct/ct_table.h
 * keep most of what is refused here from raising events at all, but masks only meet sessions that
 * began under them, and dumps show everything: this is where it is decided.
 *
 * Only the classes of the FortiGate documents are switches (session-pickup for TCP and SCTP,
 * session-pickup-connectionless for the rest); everything else here would be wrong on another
 * member: sessions of this gateway itself, of one link, or of protocols with state that cannot be
 * copied (PPTP, L2TP: fortios-facts; kernel-facts section 3).
 *
 * What is "the gateway itself": the original source or the reply source is one of our addresses.
 * So a session to a virtual address that is translated to a server travels (its reply source is
 * the server), and so does one that is translated to our address (its original source is not).
 * What an address has to do with interfaces is filter/local_addrs.h.
 */
#ifndef FK_FILTER_FILTER_H
#define FK_FILTER_FILTER_H

#include "base/addr.h"
#include "schema.h"

#include <stdbool.h>

#define FILTER_VERDICTS(X)                                                                         \
	X(TRAVELS, "travels")                                                                      \
	X(UNCONFIRMED, "not confirmed: its first packet was never forwarded")                      \
	X(PICKUP_OFF, "TCP or SCTP while session-pickup is disabled")                              \
	X(CONNECTIONLESS_OFF, "not TCP or SCTP while session-pickup-connectionless is disabled")   \
	X(LOOPBACK, "loopback addresses")                                                          \
	X(MULTICAST, "multicast destination")                                                      \
	X(BROADCAST, "broadcast destination or unspecified source")                                \
	X(LINK_LOCAL, "IPv6 link-local addresses, or neighbour or listener discovery")             \
	X(LOCAL, "to or from the gateway itself")                                                  \
	X(PPTP, "PPTP control or its GRE: call ids cannot be copied")                              \
	X(L2TP, "L2TP: ends on one gateway")

enum filter_verdict {
#define X(name, text) FILTER_##name,
	FILTER_VERDICTS(X)
#undef X
		FILTER_VERDICT_COUNT
};

/* Addresses of this gateway: at most one per (address, interface), sorted for the look-up. */
enum { FILTER_LOCALS_MAX = 4096 };

struct filter_local {
	struct ipaddr addr;
	int ifindex;
};

struct filter_locals {
	struct filter_local *sorted; /* by address, then interface */
	unsigned count, size;
	unsigned refused; /* additions beyond FILTER_LOCALS_MAX */
};

struct filter_config {
	bool pickup;
	bool connectionless;
	struct filter_locals locals;
};

enum filter_verdict filter_decide(const struct filter_config *config, const struct ct *ct);
/* The text of a verdict, and its short name in lower case ("pickup_off"). */
const char *filter_text(enum filter_verdict verdict);
const char *filter_name(enum filter_verdict verdict);

/* Zeroed memory is an empty set. */
void filter_locals_fini(struct filter_locals *locals);
/* 1 when it is new, 0 when it was there, -ENOSPC beyond FILTER_LOCALS_MAX. */
int filter_locals_add(struct filter_locals *locals, int ifindex, const struct ipaddr *addr);
/* Whether it was there. */
bool filter_locals_remove(struct filter_locals *locals, int ifindex, const struct ipaddr *addr);
/* On any interface. */
bool filter_locals_has(const struct filter_locals *locals, const struct ipaddr *addr);

#endif
