/* vip.h: virtual MAC and virtual addresses, on every member, all the time
 *
 * The device carries the virtual MAC (group prefix, low byte of group-id, index by position in
 * config system interface; fortios-facts 1.7) and the virtual addresses whether this member is
 * primary or not: being muted is what keeps a secondary silent (mute.h). Addresses get nodad.
 * vip_open() must run after the interfaces are muted. vip_close() leaves all in place (a restarted
 * daemon finds it); vip_release() takes addresses away and gives the device its own MAC back.
 */
#ifndef FK_CLUSTER_VIP_H
#define FK_CLUSTER_VIP_H

#include "config/config.h"

/* Pure: fortios-facts 1.7, vcluster 1. */
struct mac vip_mac(uint16_t group_id, unsigned index);
/* Puts MAC and addresses up on every interface of the configuration, and takes away addresses
 * that `old` (may be NULL) had and `config` has not. 0 or the first error, each told in the log. */
int vip_apply(const struct config *config, const struct config *old);
int vip_release(const struct config *config, const char *ifname, const char *serial);

#endif
