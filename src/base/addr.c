/* addr.c: parse, print and compare IPv4/IPv6 addresses, prefixes and Ethernet addresses */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

size_t ipaddr_size(const struct ipaddr *a)
{
	switch (a->family) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 16;
	default:
		return 0;
	}
}

bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, ipaddr_size(a)) == 0;
}

int ipaddr_parse(const char *text, struct ipaddr *ret_addr)
{
	struct ipaddr a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(a.family, text, a.bytes) != 1)
		return -EINVAL;
	*ret_addr = a;
	return 0;
}

/* A decimal without sign, blanks or leading zeros, at most max. */
static int parse_prefix_len(const char *text, unsigned max, uint8_t *ret_len)
{
	unsigned value = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	if (value > max)
		return -EINVAL;
	*ret_len = (uint8_t)value;
	return 0;
}

/* "255.255.255.0": ones, then zeros. */
static int parse_mask(const char *text, uint8_t *ret_len)
{
	struct in_addr in;
	uint32_t mask;

	if (inet_pton(AF_INET, text, &in) != 1)
		return -EINVAL;
	mask = ntohl(in.s_addr);
	if ((~mask & (~mask + 1)) != 0)
		return -EINVAL;
	*ret_len = (uint8_t)__builtin_popcount(mask);
	return 0;
}

int ipnet_parse(const char *text, struct ipnet *ret_net)
{
	char head[IPADDR_STRLEN];
	size_t head_len = strcspn(text, "/ ");
	const char *tail = text + head_len;
	struct ipnet net;
	unsigned bits;
	int err;

	if (head_len >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, head_len);
	head[head_len] = '\0';
	err = ipaddr_parse(head, &net.addr);
	if (err < 0)
		return err;
	bits = (unsigned)ipaddr_size(&net.addr) * 8;
	if (*tail == '\0')
		net.prefix_len = (uint8_t)bits;
	else if (*tail == '/')
		err = parse_prefix_len(tail + 1, bits, &net.prefix_len);
	else if (net.addr.family == AF_INET)
		err = parse_mask(tail + 1, &net.prefix_len);
	else
		err = -EINVAL;
	if (err < 0)
		return err;
	*ret_net = net;
	return 0;
}

const char *ipaddr_format(const struct ipaddr *a, char out[IPADDR_STRLEN])
{
	if (ipaddr_size(a) == 0 || !inet_ntop(a->family, a->bytes, out, IPADDR_STRLEN))
		strcpy(out, "none");
	return out;
}

const char *ipnet_format(const struct ipnet *n, char out[IPNET_STRLEN])
{
	char addr[IPADDR_STRLEN];

	ipaddr_format(&n->addr, addr);
	if (ipaddr_size(&n->addr) == 0)
		strcpy(out, addr);
	else
		snprintf(out, IPNET_STRLEN, "%s/%u", addr, n->prefix_len);
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *text, struct mac *ret_mac)
{
	struct mac mac;

	for (size_t i = 0; i < sizeof(mac.bytes); i++) {
		int high, low;

		if (i > 0 && *text++ != ':')
			return -EINVAL;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return -EINVAL;
		mac.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	*ret_mac = mac;
	return 0;
}

const char *mac_format(const struct mac *m, char out[MAC_STRLEN])
{
	const uint8_t *b = m->bytes;

	snprintf(out, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5]);
	return out;
}

bool mac_equal(const struct mac *a, const struct mac *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
