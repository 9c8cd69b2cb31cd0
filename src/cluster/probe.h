/* probe.h: does anybody answer for the virtual addresses?
 *
 * Sends an ARP probe (RFC 5227 section 2.1.1, sender address 0) for every virtual IPv4 address and
 * a DAD neighbour solicitation (RFC 4862 section 5.4) for every IPv6 one, from the interface's
 * own MAC, past the mute, and again after half the time; listens before the mute (AF_PACKET tap,
 * closed a second after the last probe, filtered to ARP replies and NAs for our addresses) for
 * the given time. An answer from the
 * interface's virtual MAC means that a kernel somewhere still forwards as this cluster. Any other
 * address that answers is a host that has our address: told in the log once a minute, but nobody on a
 * LAN shall be able to hold a takeover up by answering.
 *
 * Blind: on no interface could every question be sent, the last moment of the time included. The
 * kernel refuses to send where there is no carrier (ENOBUFS from dev_direct_xmit()) or the device is
 * down (ENETDOWN), at once and without the RTNL lock, long before link news would tell.
 */
#ifndef FK_CLUSTER_PROBE_H
#define FK_CLUSTER_PROBE_H

#include "base/loop.h"
#include "cluster/member.h"
#include "config/config.h"

struct probe;

/* who: "10.1.0.1 is at 02:... on eth0", NULL unless answered. */
typedef void probe_done_fn(void *arg, enum probe_result result, const char *who);

int probe_open(struct loop *loop, const struct config *config, const char *serial,
	       struct probe **ret_probe);
void probe_close(struct probe *probe);
/* One at a time; a second start while one runs restarts it. Done is called from the loop, early
 * when an answer arrives; also (silent) when no interface has a virtual address. */
void probe_start(struct probe *probe, int64_t duration_ns, probe_done_fn *on_done, void *arg);
void probe_cancel(struct probe *probe);

#endif
