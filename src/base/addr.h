/* addr.h: IPv4/IPv6 addresses, prefixes and Ethernet addresses: parse, print, compare */
#ifndef FK_BASE_ADDR_H
#define FK_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* family: AF_INET (first 4 bytes used, the rest zero), AF_INET6, or 0 for none. */
struct ipaddr {
	uint8_t family;
	uint8_t bytes[16];
};

struct ipnet {
	struct ipaddr addr;
	uint8_t prefix_len; /* 0..32 or 0..128 */
};

struct mac {
	uint8_t bytes[6];
};

enum { IPADDR_STRLEN = 46, IPNET_STRLEN = 50, MAC_STRLEN = 18 };

size_t ipaddr_size(const struct ipaddr *a); /* 0, 4 or 16 */
bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b);
/* 0 or -EINVAL; nothing but the address may be in the text. */
int ipaddr_parse(const char *text, struct ipaddr *ret_addr);
/* "10.1.0.1/24", "fd01::1/64", or "10.1.0.1 255.255.255.0" (one space); without a length the
 * whole address. -EINVAL otherwise. Host bits are kept: it is an interface address. */
int ipnet_parse(const char *text, struct ipnet *ret_net);
/* "none" for family 0. */
const char *ipaddr_format(const struct ipaddr *a, char out[IPADDR_STRLEN]);
const char *ipnet_format(const struct ipnet *n, char out[IPNET_STRLEN]);
int mac_parse(const char *text, struct mac *ret_mac);
const char *mac_format(const struct mac *m, char out[MAC_STRLEN]);
bool mac_equal(const struct mac *a, const struct mac *b);

#endif
