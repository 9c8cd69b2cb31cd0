/* ct_put.h: appends attributes to a netlink message
 *
 * What libmnl does in a call into a shared library, written out: a copy has thirty attributes, most
 * of a size that is known where they are put, and a secondary makes a copy of every session. Who
 * begins a message makes room for CT_BUILD_ROOM bytes.
 */
#ifndef FK_CT_CT_PUT_H
#define FK_CT_CT_PUT_H

#include "base/addr.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static inline void *put_room(struct nlmsghdr *nlh, uint16_t attr, size_t len)
{
	struct nlattr *a = (struct nlattr *)((char *)nlh + nlh->nlmsg_len);
	char *payload = (char *)a + NLA_HDRLEN;

	a->nla_type = attr;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memset(payload + len, 0, NLA_ALIGN(len) - len);
	nlh->nlmsg_len += (uint32_t)NLA_ALIGN(a->nla_len);
	return payload;
}

static inline void put(struct nlmsghdr *nlh, uint16_t attr, size_t len, const void *data)
{
	memcpy(put_room(nlh, attr, len), data, len);
}

static inline void put_u8(struct nlmsghdr *nlh, uint16_t attr, uint8_t value)
{
	put(nlh, attr, sizeof(value), &value);
}

static inline void put_be16(struct nlmsghdr *nlh, uint16_t attr, uint16_t value)
{
	value = htons(value);
	put(nlh, attr, sizeof(value), &value);
}

static inline void put_be32(struct nlmsghdr *nlh, uint16_t attr, uint32_t value)
{
	value = htonl(value);
	put(nlh, attr, sizeof(value), &value);
}

static inline struct nlattr *nest_start(struct nlmsghdr *nlh, uint16_t attr)
{
	char *payload = put_room(nlh, NLA_F_NESTED | attr, 0);

	return (struct nlattr *)(payload - NLA_HDRLEN);
}

static inline void nest_end(struct nlmsghdr *nlh, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)nlh + nlh->nlmsg_len - (char *)nest);
}

/* Constant sizes, so that the copying is a move. */
static inline void put_addr(struct nlmsghdr *nlh, uint16_t attr_v4, uint16_t attr_v6,
			    const struct ipaddr *addr)
{
	if (addr->family == AF_INET6)
		put(nlh, attr_v6, 16, addr->bytes);
	else
		put(nlh, attr_v4, 4, addr->bytes);
}

#endif
