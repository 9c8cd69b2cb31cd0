/* mute.h: the right to forward, kept in the kernel as a lease
 *
 * On interfaces with a virtual address, and only there, a member without a lease is muted: its
 * kernel neither emits nor takes a frame but those of our own Ethertypes (0x8890-0x8893). The
 * lease is a deadline in kernel time (CLOCK_MONOTONIC nanoseconds), so a frozen or killed daemon
 * falls silent by itself, unless its lease is unbounded.
 *
 * Two back ends behind one doorway:
 *   bpf  tc clsact ingress and egress programs, attached by netlink (they outlive the daemon); the
 *        deadline is one store into a mmap-ed array map: no system call on the takeover path.
 *   nft  netdev table "flowkeep_mute" with an element that times out, refreshed over netlink by
 *        the caller's renewals; for places without CAP_BPF (rootless, containers). The table
 *        outlives the daemon; a lease is at most NFT_LEASE_MAX, unbounded ones are elements
 *        without timeout.
 *
 * On open an attachment left by an earlier daemon is adopted: mute_adopted() tells whether this
 * kernel still forwards under an unbounded lease, and of which term. Otherwise everything starts
 * muted. Closing leaves the attachment and its lease in place; mute_release() removes it.
 *
 * Used by the heartbeat thread only (open: before it starts).
 */
#ifndef FK_CLUSTER_MUTE_H
#define FK_CLUSTER_MUTE_H

#include "base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mute;

enum mute_backend { MUTE_AUTO, MUTE_BPF, MUTE_NFT };

struct mute_adopted {
	bool is_forwarding; /* an unbounded lease is in force */
	uint64_t term;
};

int mute_open(enum mute_backend backend, const char *const *ifnames, unsigned count,
	      struct mute **ret_mute);
void mute_close(struct mute *mute);
struct mute_adopted mute_adopted(const struct mute *mute);
const char *mute_backend_name(const struct mute *mute);

/* Lets this kernel forward until `deadline`; MONO_NEVER: until revoked. Never shortens silently: the
 * last call counts. 0 or negative errno (nft only). */
int mute_grant(struct mute *mute, mono_t deadline, uint64_t term);
/* Mutes now. */
int mute_revoke(struct mute *mute, uint64_t term);

struct mute_stats {
	uint64_t passed, muted; /* frames since attachment; 0 where the back end does not count */
};
struct mute_stats mute_stats(const struct mute *mute);

/* flowkeepd --release IFACE: removes whatever either back end left on the interface. */
int mute_release(const char *ifname);

#endif
