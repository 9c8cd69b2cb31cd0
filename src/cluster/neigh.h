/* neigh.h: the primary's ARP and ND entries, carried over
 *
 * On the primary: follows RTNLGRP_NEIGH on interfaces with virtual addresses and tells every
 * usable entry (REACHABLE, STALE, DELAY, PROBE, PERMANENT) at once and again every 10 s. On a
 * secondary: installs what it is told as NUD_STALE with NTF_EXT_LEARNED (never permanent; the
 * kernel verifies them at first use), so that the first IPv6 packet after a takeover does not
 * wait for discovery (kernel-facts section 4). struct neigh comes from the generated schema.h.
 */
#ifndef FK_CLUSTER_NEIGH_H
#define FK_CLUSTER_NEIGH_H

#include "base/loop.h"
#include "config/config.h"
#include "schema.h"

struct neigh_sync;

/* Up to the 32 entries of one sync_neigh message a call. */
typedef void neigh_tell_fn(void *arg, const struct neigh *entries, unsigned count);

int neigh_sync_open(struct loop *loop, const struct config *config, neigh_tell_fn *on_tell,
		    void *arg, struct neigh_sync **ret_neigh);
void neigh_sync_close(struct neigh_sync *neigh);
/* Primary: tell everything now and from now on; secondary: be silent. */
void neigh_sync_set_telling(struct neigh_sync *neigh, bool is_telling);
/* Installs what the primary told; bad interface names and families are counted and skipped. */
void neigh_sync_learn(struct neigh_sync *neigh, const struct neigh *entries, unsigned count);
/* Entries known from the primary now, and how often one was skipped or did not fit. */
unsigned neigh_sync_learned(const struct neigh_sync *neigh);
uint64_t neigh_sync_refused(const struct neigh_sync *neigh);

#endif
