/* announce.h: gratuitous ARP and unsolicited neighbour advertisements after a takeover
 *
 * For every virtual IPv4 address a broadcast ARP announcement (RFC 5227 section 3), for every IPv6
 * address an unsolicited NA with the override flag to ff02::1 (RFC 4861 section 7.2.6), source
 * and target link-layer address = the virtual MAC. Sent at once, then `repeat` - 1 times more,
 * `interval_ns` apart, as long as announce_stop() was not called. Frames are built once.
 */
#ifndef FK_CLUSTER_ANNOUNCE_H
#define FK_CLUSTER_ANNOUNCE_H

#include "base/loop.h"
#include "config/config.h"

struct announce;

int announce_open(struct loop *loop, const struct config *config, struct announce **ret_announce);
void announce_close(struct announce *announce);
void announce_start(struct announce *announce, unsigned repeat, int64_t interval_ns);
void announce_stop(struct announce *announce);
uint64_t announce_sent(const struct announce *announce);

#endif
