/* frames.c: builds and reads ARP and neighbour discovery frames */
#include "cluster/frames.h"

#include "base/buf.h"

#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
	ARP_ETHERNET = 1,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ND_HOP_LIMIT = 255, /* RFC 4861: proves that no router forwarded it */
	IP6_HEADER_LEN = 40,
	NA_ROUTER = 0x80,
	NA_OVERRIDE = 0x20,
};

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void put_arp(struct wbuf *w, const struct mac *mac, const uint8_t sender[4],
		    const uint8_t target[4])
{
	static const uint8_t unknown[6];

	wbuf_bytes(w, broadcast, 6);
	wbuf_bytes(w, mac->bytes, 6);
	wbuf_be16(w, ETH_P_ARP);
	wbuf_be16(w, ARP_ETHERNET);
	wbuf_be16(w, ETH_P_IP);
	wbuf_u8(w, 6);
	wbuf_u8(w, 4);
	wbuf_be16(w, ARP_REQUEST);
	wbuf_bytes(w, mac->bytes, 6);
	wbuf_bytes(w, sender, 4);
	wbuf_bytes(w, unknown, 6);
	wbuf_bytes(w, target, 4);
	while (wbuf_len(w) < FRAME_ARP_LEN)
		wbuf_u8(w, 0);
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/* Ethernet and IPv6 headers before an ICMPv6 message, and its checksum (RFC 4443 section 2.3). */
static void put_icmp6(struct wbuf *w, const struct mac *mac, const uint8_t src[16],
		      const uint8_t dst[16], const uint8_t *icmp, size_t len)
{
	uint32_t sum = (uint32_t)len + IPPROTO_ICMPV6;

	sum = sum16(sum16(sum16(sum, src, 16), dst, 16), icmp, len);
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	wbuf_be16(w, 0x3333); /* RFC 2464 section 7 */
	wbuf_bytes(w, dst + 12, 4);
	wbuf_bytes(w, mac->bytes, 6);
	wbuf_be16(w, ETH_P_IPV6);
	wbuf_be32(w, 0x60000000);
	wbuf_be16(w, (uint16_t)len);
	wbuf_u8(w, IPPROTO_ICMPV6);
	wbuf_u8(w, ND_HOP_LIMIT);
	wbuf_bytes(w, src, 16);
	wbuf_bytes(w, dst, 16);
	wbuf_bytes(w, icmp, 2);
	wbuf_be16(w, (uint16_t)~sum);
	wbuf_bytes(w, icmp + 4, len - 4);
}

/* Type, code, room for the checksum, flags, target. */
static void put_nd(struct wbuf *w, uint8_t type, uint8_t flags, const uint8_t target[16])
{
	wbuf_u8(w, type);
	wbuf_u8(w, 0);
	wbuf_be16(w, 0);
	wbuf_be32(w, (uint32_t)flags << 24);
	wbuf_bytes(w, target, 16);
}

static size_t announce_na(const struct ipaddr *addr, const struct mac *mac, uint8_t *out)
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	struct wbuf w = wbuf_of(out, FRAME_NA_LEN);
	uint8_t icmp[32];
	struct wbuf body = wbuf_of(icmp, sizeof(icmp));

	/* Router: hosts forget a default router whose advertisement lacks it (RFC 4861 7.2.5) */
	put_nd(&body, ND_NEIGHBOR_ADVERT, NA_ROUTER | NA_OVERRIDE, addr->bytes);
	wbuf_u8(&body, ND_OPT_TARGET_LINKADDR);
	wbuf_u8(&body, 1); /* in units of 8 bytes */
	wbuf_bytes(&body, mac->bytes, 6);
	put_icmp6(&w, mac, addr->bytes, all_nodes, icmp, sizeof(icmp));
	return wbuf_len(&w);
}

static size_t probe_ns(const struct ipaddr *addr, const struct mac *mac, uint8_t *out)
{
	static const uint8_t unspecified[16];
	uint8_t solicited[16] = {0xff, 0x02, [11] = 1, [12] = 0xff};
	struct wbuf w = wbuf_of(out, FRAME_NS_LEN);
	uint8_t icmp[24];
	struct wbuf body = wbuf_of(icmp, sizeof(icmp));

	memcpy(solicited + 13, addr->bytes + 13, 3);
	put_nd(&body, ND_NEIGHBOR_SOLICIT, 0, addr->bytes);
	put_icmp6(&w, mac, unspecified, solicited, icmp, sizeof(icmp));
	return wbuf_len(&w);
}

static size_t arp(const struct mac *mac, const uint8_t sender[4], const uint8_t target[4],
		  uint8_t *out)
{
	struct wbuf w = wbuf_of(out, FRAME_ARP_LEN);

	put_arp(&w, mac, sender, target);
	return wbuf_len(&w);
}

size_t frame_announce(const struct ipaddr *addr, const struct mac *mac, uint8_t out[FRAME_MAX])
{
	if (addr->family == AF_INET6)
		return announce_na(addr, mac, out);
	return arp(mac, addr->bytes, addr->bytes, out);
}

size_t frame_probe(const struct ipaddr *addr, const struct mac *mac, uint8_t out[FRAME_MAX])
{
	static const uint8_t nobody[4];

	if (addr->family == AF_INET6)
		return probe_ns(addr, mac, out);
	return arp(mac, nobody, addr->bytes, out);
}

static bool read_arp_reply(struct rbuf *r, struct ipaddr *ret_addr, struct mac *ret_mac)
{
	struct ipaddr addr = {.family = AF_INET};
	struct mac mac;
	bool is_reply;

	is_reply = rbuf_be16(r) == ARP_ETHERNET && rbuf_be16(r) == ETH_P_IP && rbuf_u8(r) == 6 &&
		   rbuf_u8(r) == 4 && rbuf_be16(r) == ARP_REPLY;
	rbuf_bytes(r, mac.bytes, 6);
	rbuf_bytes(r, addr.bytes, 4);
	if (!is_reply || r->failed)
		return false;
	*ret_addr = addr;
	*ret_mac = mac;
	return true;
}

static bool read_na(struct rbuf *r, const struct mac *source, struct ipaddr *ret_addr,
		    struct mac *ret_mac)
{
	struct ipaddr addr = {.family = AF_INET6};
	bool is_na;

	rbuf_view(r, 6); /* version, class, label, length */
	is_na = rbuf_u8(r) == IPPROTO_ICMPV6;
	is_na = rbuf_u8(r) == ND_HOP_LIMIT && is_na;
	rbuf_view(r, 32);
	is_na = rbuf_be16(r) == ND_NEIGHBOR_ADVERT << 8 && is_na;
	rbuf_view(r, 6); /* checksum, flags */
	rbuf_bytes(r, addr.bytes, 16);
	if (!is_na || r->failed)
		return false;
	*ret_addr = addr;
	*ret_mac = *source;
	return true;
}

bool frame_read_answer(const uint8_t *frame, size_t len, struct ipaddr *ret_addr,
		       struct mac *ret_mac)
{
	struct rbuf r = rbuf_of(frame, len);
	struct mac source;

	rbuf_view(&r, 6);
	rbuf_bytes(&r, source.bytes, 6);
	switch (rbuf_be16(&r)) {
	case ETH_P_ARP:
		return read_arp_reply(&r, ret_addr, ret_mac);
	case ETH_P_IPV6:
		return read_na(&r, &source, ret_addr, ret_mac);
	default:
		return false;
	}
}
