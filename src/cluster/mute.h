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
 *        outlives the daemon; unbounded leases are elements without timeout. The kernel counts in
 *        jiffies: a lease ends up to two of them plus 2 ms early (HZ=250: 10 ms), never late.
 *
 * On open an attachment left by an earlier daemon is adopted without a gap: mute_adopted() tells
 * whether this kernel still forwards under an unbounded lease, and of which term. Interfaces
 * without an attachment join the adopted lease. Otherwise everything starts muted. Closing leaves
 * the attachment and its lease in place; mute_release() removes it.
 *
 * VLAN devices above a muted interface are muted with it (their tagged frames pass through it),
 * but for our own Ethertypes. tc filters of priority 1 and tcx programs of others decide before
 * ours: the former are refused (-EBUSY), the latter cannot be seen from here.
 *
 * Used by the heartbeat thread only (open: before it starts).
 */
#ifndef FK_CLUSTER_MUTE_H
#define FK_CLUSTER_MUTE_H

#include "base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SO_MARK of the probes' sockets: netdev egress chains see them where tc does not. */
#define MUTE_PROBE_MARK 0x464b5052u

struct loop;
struct mute;
struct mute_watch;

enum mute_backend { MUTE_AUTO, MUTE_BPF, MUTE_NFT };

struct mute_adopted {
	bool is_forwarding; /* an unbounded lease is in force */
	uint64_t term;
};

/* Interfaces that do not exist are skipped with a warning: see mute_ensure(). */
int mute_open(enum mute_backend backend, const char *const *ifnames, unsigned count,
	      struct mute **ret_mute);
void mute_close(struct mute *mute);
/* Mutes (under the lease in force) interfaces that appeared, were made again or from which
 * somebody removed our filter. Cheap when nothing is to do: call it on news about links, before
 * vip_apply() on such an interface, and every few seconds. Repairs made, or negative errno.
 * May run on another thread than the grants (it waits for the kernel's RTNL lock), not on two. */
int mute_ensure(struct mute *mute);
/* Calls mute_ensure() as soon as the kernel tells that a filter, a qdisc or a chain of the mute is
 * gone (`nft flush ruleset`, `tc qdisc del`) and logs it: 0.7 ms (bpf) or 2 ms (nft) later. */
int mute_watch_open(struct loop *loop, struct mute *mute, struct mute_watch **ret_watch);
void mute_watch_close(struct mute_watch *watch);
struct mute_adopted mute_adopted(const struct mute *mute);
const char *mute_backend_name(const struct mute *mute);

/* Lets this kernel forward until `deadline`; MONO_NEVER: until revoked. Never shortens silently:
 * the last call counts. 0 or negative errno (nft only). */
int mute_grant(struct mute *mute, mono_t deadline, uint64_t term);
/* Mutes now. */
int mute_revoke(struct mute *mute, uint64_t term);

struct mute_stats {
	/* Frames since attachment; 0 where the back end does not count (nft). `passed` counts our
	 * own Ethertypes while muted only: counting what is forwarded would cost every CPU a write
	 * to one cache line for each frame. */
	uint64_t passed, muted;
};
struct mute_stats mute_stats(const struct mute *mute);

/* flowkeepd --release IFACE: removes whatever either back end left on the interface. */
int mute_release(const char *ifname);

#endif
