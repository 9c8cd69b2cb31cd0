/* l2.h: frames of our Ethertypes on one interface (AF_PACKET)
 *
 * A port is one interface and one Ethertype. Frames are received many at a time (recvmmsg), and
 * sent past the qdisc and past the mute (PACKET_QDISC_BYPASS), with the given source address and
 * never the virtual MAC: a muted member must not move a switch's port. The destination is
 * broadcast or the multicast address of the plane. A port follows its interface by name: when the
 * device disappears and returns, l2_port_rebind() finds it again; is_up tells the carrier.
 */
#ifndef FK_LINK_L2_H
#define FK_LINK_L2_H

#include "base/addr.h"
#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define ETH_P_FK_HB   0x8890 /* heartbeats (fortios-facts 1.4) */
#define ETH_P_FK_SYNC 0x8892 /* session synchronization */

struct l2_port;

/* `frame`: what follows the Ethernet header, writable, valid for the call. */
typedef void l2_rx_fn(void *arg, struct l2_port *port, uint8_t *frame, size_t len);

/* 0 or negative errno; a missing interface is no error, the port is then down. */
int l2_port_open(struct loop *loop, const char *ifname, uint16_t ethertype, enum loop_prio prio,
		 const struct mac *source, l2_rx_fn *on_frame, void *arg,
		 struct l2_port **ret_port);
void l2_port_close(struct l2_port *port);
int l2_port_rebind(struct l2_port *port);
/* Source address of the frame that on_frame is being told. */
struct mac l2_port_sender(const struct l2_port *port);
bool l2_port_is_up(const struct l2_port *port);
size_t l2_port_mtu(const struct l2_port *port);
/* Broadcasts one frame; 0 or negative errno (-ENOBUFS: the queue is full, -ENETDOWN). */
int l2_port_send(struct l2_port *port, const void *frame, size_t len);

struct l2_stats {
	uint64_t tx_frames, tx_bytes, tx_errors, rx_frames, rx_bytes, rx_dropped;
};
struct l2_stats l2_port_stats(const struct l2_port *port);

/* Source address of our own frames on an interface: IFLA_PERM_ADDRESS where the driver has one,
 * otherwise a locally administered address made of serial and interface name (the device's
 * own address may be the virtual MAC already). */
struct mac l2_own_mac(const char *serial, const char *ifname, const struct mac *perm_or_null);

#endif
