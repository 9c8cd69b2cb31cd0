/* ct_msg.h: ctnetlink message to struct ct_seen, struct ct to request; pure, no sockets
 *
 * Private to the room (and its tests and fuzz target). The parser believes no length: a message
 * that does not hold together is refused whole, and what it returns is always in normal form:
 * absent members of struct ct are zero, reply fields are present only where they differ from the
 * plain inverse, zero marks are absent.
 */
#ifndef FK_CT_CT_MSG_H
#define FK_CT_CT_MSG_H

#include "ct/ct.h"

#include <libmnl/libmnl.h>

/* Largest body ct_build_*() writes, with room to spare: nfgenmsg, two IPv6 tuples, every field. */
#define CT_BUILD_ROOM 1024

/* A message of NFNL_SUBSYS_CTNETLINK. `is_dump`: it answers CT_GET, so nothing is missing in it.
 * 0; -EBADMSG: does not hold together; -EPROTONOSUPPORT: not a session of IPv4 or IPv6. */
int ct_parse(const struct nlmsghdr *nlh, bool is_dump, uint32_t copy_bit, struct ct_seen *ret_seen);

/* nlmsg_type of a ctnetlink request, message IPCTNL_MSG_CT_*. */
uint16_t ct_msg_type(unsigned message);
/* Each appends the nfgenmsg and attributes to a message with an empty body. */
void ct_build_create(struct nlmsghdr *nlh, uint32_t copy_bit, const struct ct *ct,
		     uint32_t hold_s);
void ct_build_update(struct nlmsghdr *nlh, uint32_t copy_bit, const struct ct *ct);
void ct_build_key(struct nlmsghdr *nlh, const struct ct *key);
void ct_build_timeout(struct nlmsghdr *nlh, const struct ct *key, uint32_t seconds);
/* Body of a dump of every family. */
void ct_build_dump(struct nlmsghdr *nlh);

/* Type of the answer to this ICMP or ICMPv6 query type, as nf_conntrack maps them; -1: none. */
int ct_icmp_inverse(uint8_t l4, uint8_t type);
bool ct_is_icmp(uint8_t l4);

#endif
