/* mute.bpf.c: tc clsact program that lets frames pass while the lease lasts
 *
 * The same program serves ingress and egress of every interface with a virtual address; they
 * share one map. Passing is TC_ACT_UNSPEC, "no opinion": the operator's own filters behind ours
 * still run (linux/pkt_cls.h, direct action). Nothing is written while frames pass: the map's
 * cache line stays shared between all CPUs.
 */
#include "lease.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fk_lease);
} fk_lease SEC(".maps");

SEC("tc")
int fk_mute(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct fk_lease *lease = bpf_map_lookup_elem(&fk_lease, &zero);

	if (!lease)
		return TC_ACT_SHOT; /* cannot be: an array has its entry */
	if (bpf_ktime_get_ns() < *(volatile __u64 *)&lease->deadline_ns)
		return TC_ACT_UNSPEC;
	/* skb->protocol is the inner one where a VLAN tag was accelerated away: a heartbeat VLAN
	 * above a muted port works. 0x8890-0x8893: fortios-facts 1.4. */
	if (bpf_ntohs((__u16)skb->protocol) >> 2 == 0x8890 >> 2) {
		__sync_fetch_and_add(&lease->passed, 1);
		return TC_ACT_UNSPEC;
	}
	__sync_fetch_and_add(&lease->muted, 1);
	return TC_ACT_SHOT;
}

char fk_license[] SEC("license") = "GPL";
