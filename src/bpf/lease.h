/* lease.h: the one map value that the mute program and the daemon share
 *
 * The programs under src/bpf are compiled by clang for the BPF machine and embedded into the
 * daemon as an array (embed.py): no file is needed at run time. cluster/mute_bpf.c loads and
 * attaches them. Whoever changes this struct changes FK_LEASE_NAME with it: a daemon adopts the
 * map of an older one by that name, its type and its size.
 */
#ifndef FK_BPF_LEASE_H
#define FK_BPF_LEASE_H

#include <linux/types.h>

#define FK_LEASE_NAME "fk_lease"
#define FK_MUTE_NAME  "fk_mute"

enum { FK_LEASE_IFACES = 64 }; /* CONFIG_IFACE_MAX */

/* Time is bpf_ktime_get_ns(), CLOCK_MONOTONIC. 0: muted; INT64_MAX: until revoked. */
struct fk_lease {
	__u64 deadline_ns;
	__u64 term;
	__u64 passed; /* own frames while muted */
	__u64 muted;  /* frames dropped */
	/* Interfaces (by index) whose clsact qdisc we made and may take away; 0: free slot. */
	__u32 made_clsact[FK_LEASE_IFACES];
};

#endif
