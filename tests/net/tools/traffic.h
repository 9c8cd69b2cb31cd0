/* traffic.h: the clients and the server of the namespace tests, one binary with subcommands
 *
 *   traffic serve                          TCP and UDP 80, UDP 53 and 9, SCTP 80; ends at SIGTERM
 *   traffic download|upload|echo|idle ...  one TCP session
 *   traffic udp|icmp|sctp|oneway ...       one datagram session, one packet per interval
 *
 * Every client prints one JSON line when it ends (SIGTERM, or its own limit) and exits 0 only when its
 * session was alive to the end: the checksum agrees, or the last packets were answered. SIGUSR2
 * prints the line of the moment and goes on. SIGUSR1 makes the *server* speak first on every idle
 * session. All loads are bounded: rates are options, and nothing runs longer than TRAFFIC_MAX_S.
 */
#ifndef TESTS_NET_TRAFFIC_H
#define TESTS_NET_TRAFFIC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>

enum {
	TRAFFIC_MAX_S = 300,      /* no tool outlives this */
	TRAFFIC_BLOCK_MAX = 8192, /* payload bytes of one block of a stream */
	TRAFFIC_RATE_MAX = 20 * 1000 * 1000, /* bytes/s of one stream */
	TRAFFIC_HZ_MAX = 2000,    /* packets/s of one datagram session */
	PORT_MAIN = 80,
	PORT_DNS = 53,
	PORT_SINK = 9,
};

struct options {
	const char *kind;          /* the subcommand */
	const char *name;          /* --name, for the JSON line */
	struct sockaddr_storage to;
	struct sockaddr_storage from; /* family 0: any */
	const char *ready;         /* --ready FILE: created once the session is up both ways */
	uint64_t bytes;            /* --bytes: end of a stream, 0 = until told */
	uint64_t rate;             /* --rate: bytes/s of a stream */
	unsigned hz;               /* --hz: packets/s of a datagram session or echo */
	unsigned size;             /* --size: payload bytes of a datagram */
	unsigned alive_ms;         /* --alive-ms: dead when silent for so long at the end */
	bool is_half_closed;       /* --half-close: idle sends its FIN at once */
};

/* tool.c: what all of them share */
int64_t now_ns(void);
int signals_open(void);          /* SIGTERM, SIGINT, SIGUSR1, SIGUSR2 on one descriptor */
int signals_read(int fd);        /* the signal, 0 when there is none */
int socket_to(const struct options *options, int type, int protocol, int *ret_fd);
void ready_tell(const struct options *options);
socklen_t sockaddr_len(const struct sockaddr_storage *addr);
double ms_of(int64_t ns);

/* stream.c: blocks of a checksummed stream; both ends */
struct digest;
struct digest *digest_new(void);
void digest_free(struct digest *digest);
void digest_update(struct digest *digest, const uint8_t *data, size_t len);
void digest_final(struct digest *digest, uint8_t ret_sum[32]);
void hex_of(const uint8_t sum[32], char ret_text[65]);

/* A sender paced to a rate: fills its buffer with blocks and drains it into a socket. */
struct sender {
	uint8_t out[2 * (TRAFFIC_BLOCK_MAX + 4)];
	size_t out_len, out_at;
	uint64_t bytes, limit, rate;
	uint64_t pattern;
	int64_t started_ns;
	struct digest *digest;
	uint8_t sum[32];
	bool is_ending, is_ended; /* told to end; the trailer is in the buffer */
};
void sender_init(struct sender *sender, uint64_t rate, uint64_t limit, uint64_t seed);
void sender_fini(struct sender *sender);
/* Sends what is due. 1 when everything including the trailer is gone, 0, or negative errno. */
int sender_run(struct sender *sender, int fd);
bool sender_is_blocked(const struct sender *sender);

/* A receiver: eats bytes of such a stream. */
struct receiver {
	uint8_t head[4];
	unsigned head_len;
	size_t left;          /* of the current block */
	uint8_t sum[32], ours[32];
	unsigned sum_len;
	uint64_t bytes, blocks;
	struct digest *digest;
	bool is_trailer, is_done, is_right;
};
void receiver_init(struct receiver *receiver);
void receiver_fini(struct receiver *receiver);
/* 0, or -EPROTO when it is not such a stream. */
int receiver_take(struct receiver *receiver, const uint8_t *data, size_t len);

/* sctp.c: packets made by hand, for kernels without SCTP sockets (RFC 9260) */
uint32_t crc32c(const uint8_t *data, size_t len);
/* Answers one packet statelessly: 0 = nothing to say, else the length of the answer. */
size_t sctp_answer(const uint8_t *packet, size_t len, uint16_t port, uint8_t *out, size_t size);
/* Client: INIT, COOKIE ECHO by turns until the association is up. Takes at most 3 s. */
int sctp_associate(int fd, const struct options *options, uint16_t sport, uint16_t dport, uint32_t tag,
		   uint32_t *ret_peer_tag);
size_t sctp_heartbeat(uint8_t *out, size_t size, uint16_t sport, uint16_t dport, uint32_t tag,
		      uint32_t peer_tag, uint32_t seq);
/* True when the packet is a HEARTBEAT ACK for our port. */
bool sctp_is_heartbeat_ack(const uint8_t *packet, size_t len, uint16_t sport, uint32_t *ret_seq);

/* the subcommands: exit codes */
int serve_main(void);
int stream_main(const struct options *options);
int probe_main(const struct options *options);

#endif
