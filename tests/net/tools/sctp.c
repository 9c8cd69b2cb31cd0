/* sctp.c: SCTP by hand (RFC 9260), because kernels without CONFIG_IP_SCTP have no sockets for it
 *
 * Four-way handshake, then HEARTBEATs that carry a sequence number. The server keeps no state:
 * the client's tag travels in the cookie and in the heartbeat's information. Enough for conntrack
 * to see an association with verification tags, and for NAT to have checksums to mend.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
	CHUNK_INIT = 1,
	CHUNK_INIT_ACK = 2,
	CHUNK_HEARTBEAT = 4,
	CHUNK_HEARTBEAT_ACK = 5,
	CHUNK_COOKIE_ECHO = 10,
	CHUNK_COOKIE_ACK = 11,
	PARAM_HEARTBEAT_INFO = 1,
	PARAM_COOKIE = 7,
	HEADER_BYTES = 12,
	SERVER_TAG = 0x464b0132,
};

/* RFC 9260 appendix A (Castagnoli), bit by bit: a few hundred small packets a second. */
uint32_t crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *data++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void put16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, value >> 16);
	put16(out + 2, value & 0xffff);
}

static unsigned get16(const uint8_t *in)
{
	return (unsigned)(in[0] << 8 | in[1]);
}

static uint32_t get32(const uint8_t *in)
{
	return (uint32_t)get16(in) << 16 | get16(in + 2);
}

/* Header and one chunk; the checksum goes in least significant byte first. */
static size_t packet_put(uint8_t *out, uint16_t sport, uint16_t dport, uint32_t tag, uint8_t chunk,
			 const uint8_t *body, size_t len)
{
	size_t padded = (len + 3) & ~(size_t)3;
	uint32_t crc;

	memset(out, 0, HEADER_BYTES + 4 + padded);
	put16(out, sport);
	put16(out + 2, dport);
	put32(out + 4, tag);
	out[12] = chunk;
	put16(out + 14, (unsigned)len + 4);
	memcpy(out + 16, body, len);
	crc = crc32c(out, HEADER_BYTES + 4 + padded);
	for (unsigned i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(crc >> 8 * i);
	return HEADER_BYTES + 4 + padded;
}

static bool packet_is_sound(const uint8_t *packet, size_t len)
{
	uint8_t copy[2048];
	uint32_t crc = 0, ours;

	if (len < HEADER_BYTES + 4 || len > sizeof(copy) || get16(packet + 14) + 12u > len)
		return false;
	for (unsigned i = 0; i < 4; i++)
		crc |= (uint32_t)packet[8 + i] << 8 * i;
	memcpy(copy, packet, len);
	memset(copy + 8, 0, 4);
	ours = crc32c(copy, len);
	return crc == ours;
}

/* INIT and INIT ACK bodies differ in the cookie only. */
static size_t init_body(uint8_t out[64], uint32_t tag, const uint8_t *cookie)
{
	put32(out, tag);
	put32(out + 4, 65536); /* receiver window */
	put16(out + 8, 1);     /* streams out, in */
	put16(out + 10, 1);
	put32(out + 12, 1);    /* first TSN */
	if (!cookie)
		return 16;
	put16(out + 16, PARAM_COOKIE);
	put16(out + 18, 8);
	memcpy(out + 20, cookie, 4);
	return 24;
}

size_t sctp_answer(const uint8_t *packet, size_t len, uint16_t port, uint8_t *out, size_t size)
{
	uint16_t sport;
	uint8_t body[64] = { 0 };

	if (!packet_is_sound(packet, len) || get16(packet + 2) != port || size < 256)
		return 0;
	sport = (uint16_t)get16(packet);
	switch (packet[12]) {
	case CHUNK_INIT:
		if (len < HEADER_BYTES + 20)
			return 0;
		return packet_put(out, port, sport, get32(packet + 16), CHUNK_INIT_ACK, body,
				  init_body(body, SERVER_TAG, packet + 16));
	case CHUNK_COOKIE_ECHO:
		if (len < HEADER_BYTES + 8 || get32(packet + 4) != SERVER_TAG)
			return 0;
		return packet_put(out, port, sport, get32(packet + 16), CHUNK_COOKIE_ACK, body, 0);
	case CHUNK_HEARTBEAT:
		if (len < HEADER_BYTES + 16 || get32(packet + 4) != SERVER_TAG)
			return 0;
		memcpy(body, packet + 16, 12);
		return packet_put(out, port, sport, get32(body + 4), CHUNK_HEARTBEAT_ACK, body, 12);
	}
	return 0;
}

size_t sctp_heartbeat(uint8_t *out, size_t size, uint16_t sport, uint16_t dport, uint32_t tag,
		      uint32_t peer_tag, uint32_t seq)
{
	uint8_t body[12];

	if (size < 64)
		return 0;
	put16(body, PARAM_HEARTBEAT_INFO);
	put16(body + 2, 12);
	put32(body + 4, tag);
	put32(body + 8, seq);
	return packet_put(out, sport, dport, peer_tag, CHUNK_HEARTBEAT, body, sizeof(body));
}

bool sctp_is_heartbeat_ack(const uint8_t *packet, size_t len, uint16_t sport, uint32_t *ret_seq)
{
	if (!packet_is_sound(packet, len) || len < HEADER_BYTES + 16 || get16(packet + 2) != sport ||
	    packet[12] != CHUNK_HEARTBEAT_ACK)
		return false;
	*ret_seq = get32(packet + 24);
	return true;
}

/* Waits for one chunk of our association. Its value starts at data + 16 of the SCTP packet. */
static bool await_chunk(int fd, const struct options *options, uint16_t sport, uint8_t chunk,
			uint8_t data[2048])
{
	struct pollfd fds = { fd, POLLIN, 0 };
	int64_t end = now_ns() + 300000000;

	while (now_ns() < end) {
		ssize_t n, at = 0;

		poll(&fds, 1, 50);
		n = recv(fd, data, 2048, MSG_DONTWAIT);
		if (n < HEADER_BYTES + 4)
			continue;
		if (options->to.ss_family == AF_INET)
			at = (data[0] & 15) * 4;
		if (at >= n || !packet_is_sound(data + at, (size_t)(n - at)))
			continue;
		memmove(data, data + at, (size_t)(n - at));
		if (get16(data + 2) == sport && data[12] == chunk)
			return true;
	}
	return false;
}

static void raw_send(int fd, const struct options *options, const uint8_t *out, size_t len)
{
	struct sockaddr_storage to = options->to;

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = 0; /* raw(7): must be 0 or the protocol */
	(void)sendto(fd, out, len, 0, (struct sockaddr *)&to, sockaddr_len(&to));
}

int sctp_associate(int fd, const struct options *options, uint16_t sport, uint16_t dport, uint32_t tag,
		   uint32_t *ret_peer_tag)
{
	uint8_t out[256], data[2048], body[64], cookie[4];
	uint32_t peer_tag;
	size_t len;

	for (unsigned i = 0; i < 5; i++) {
		len = packet_put(out, sport, dport, 0, CHUNK_INIT, body, init_body(body, tag, NULL));
		raw_send(fd, options, out, len);
		if (!await_chunk(fd, options, sport, CHUNK_INIT_ACK, data))
			continue;
		peer_tag = get32(data + 16);
		memcpy(cookie, data + 36, 4);
		len = packet_put(out, sport, dport, peer_tag, CHUNK_COOKIE_ECHO, cookie, 4);
		raw_send(fd, options, out, len);
		if (!await_chunk(fd, options, sport, CHUNK_COOKIE_ACK, data))
			continue;
		*ret_peer_tag = peer_tag;
		return 0;
	}
	return -ETIMEDOUT;
}
