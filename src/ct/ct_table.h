/* ct_table.h: table inet flowkeep, the only nft table of ours that sessions meet
 *
 * Holds: event masks per protocol and level (DESIGN section 4, `ct event set`), the rule that
 * clears the copy bit at a session's first packet through this kernel, and one `ct label` rule
 * without which the kernel drops labels silently. Built by libnftables on a context that stays
 * open with `flags owner`, so the table vanishes with the daemon, `nft flush ruleset` spares it,
 * and nobody else changes it; where the kernel refuses `owner` the table is plain and is removed
 * on close. Rebuilt when somebody else deleted it.
 */
#ifndef FK_CT_CT_TABLE_H
#define FK_CT_CT_TABLE_H

#include "base/loop.h"
#include "config/config.h"

struct ct_table;

struct ct_table_config {
	uint32_t copy_bit;
	bool event_mask;         /* false: raise every event */
	enum sync_level level;
	bool tcp;                /* session-pickup: TCP and SCTP travel */
	bool connectionless;     /* UDP, ICMP, GRE and others travel */
	bool is_alone;           /* ct_table_set_alone(), survives ct_table_replace() */
};

/* The ruleset text for a config; pure, for tests. Returns the length, 0 when it does not fit. */
size_t ct_table_text(const struct ct_table_config *config, char *out, size_t size);
int ct_table_open(struct loop *loop, const struct ct_table_config *config,
		  struct ct_table **ret_table);
int ct_table_replace(struct ct_table *table, const struct ct_table_config *config);
/* While alone the gateway's own stack answers no packet of a TCP session it does not know (ports of
 * 1024 and above) with a reset, and no UDP packet with port unreachable. 0 or -EIO. */
int ct_table_set_alone(struct ct_table *table, bool is_alone);
void ct_table_close(struct ct_table *table);
/* net.netfilter.nf_conntrack_events = 1 (2 raises no event for sessions opened while nobody
 * listens), nf_conntrack_timestamp = 1. What could not be set is logged; 0 when events are on. */
int ct_table_sysctls(void);

#endif
