/* seal.h: frames that only members of the group can make
 *
 * Frame: 40-byte header in the clear, payload, 16-byte tag. The header is frozen for ever:
 *
 *   0  u16 magic 0x464b   2 u8 version (1)   3 u8 type   4 u8 flags   5 u8 plane   6 u16 group_id
 *   8  16 bytes serial, NUL padded           24 u64 incarnation       32 u64 counter
 *
 * flags: SEAL_ENCRYPTED (payload is ciphertext), SEAL_AUTHENTICATED (tag is keyed). All numbers in
 * network order. ChaCha20-Poly1305 (RFC 8439, libsodium's ietf construction) does both:
 * encrypted: header is associated data; authenticated only: header and payload are associated data
 * of an empty message; neither: the same under a key everybody knows, which makes the tag a
 * checksum. Nonce: 4 zero bytes and the counter. Keys: group key = Argon2id(password, salt made of
 * group-name and group-id), then per sender BLAKE2b(group key; plane, serial, incarnation), so two
 * senders, two starts and the two planes never share a key and a nonce.
 *
 * The ladder of seal_open(), each step a drop_reason: length, magic, version, plane, group-id, own
 * serial, the two flags equal to our configuration, tag, then the replay window of (serial,
 * incarnation). Only above the tag check is nothing believed; below it the window moves. A sender
 * that is authentic may still be a recording of an earlier life: the cluster room believes it only
 * after it echoed our incarnation (member.h).
 *
 * One struct seal per plane and thread. seal_open() allocates nothing; senders live in
 * LIMIT_SENDERS slots, least recently heard goes first, except slots that seal_pin() marked.
 */
#ifndef FK_WIRE_SEAL_H
#define FK_WIRE_SEAL_H

#include "base/buf.h"
#include "base/drop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEAL_HEAD_BYTES = 40, SEAL_TAG_BYTES = 16, SEAL_OVERHEAD = 56 };
enum { SEAL_ENCRYPTED = 1, SEAL_AUTHENTICATED = 2 };
enum seal_plane { SEAL_PLANE_HEARTBEAT = 1, SEAL_PLANE_SYNC = 2 };
/* Message types, numbers for ever. */
enum frame_type {
	FRAME_HEARTBEAT = 1, FRAME_SYNC_DATA = 16, FRAME_SYNC_ACK = 17, FRAME_SYNC_NEIGH = 18,
	FRAME_SYNC_OFFER = 19, FRAME_SYNC_MERGED = 20, FRAME_SYNC_RANGES = 21,
	FRAME_SYNC_WANT_RANGES = 22,
};

struct seal_key {
	uint8_t bytes[32];
};

struct seal_config {
	struct seal_key key;    /* seal_derive() */
	uint8_t flags;          /* SEAL_* */
	enum seal_plane plane;
	uint16_t group_id;
	char serial[17];        /* ours */
	uint64_t incarnation;   /* ours, random for each seal_new(): counters begin at 1 again, so
				 * another seal of this key and incarnation would repeat nonces */
};

struct frame_head {
	uint8_t type;
	char serial[17];
	uint64_t incarnation;
	uint64_t counter;
};

struct seal;

/* Slow on purpose (Argon2id, 3 passes over 16 MiB): at configuration only. An empty password gives
 * the key everybody knows. 0, -ENOMEM, or -ENOSYS where the host has no source of randomness. */
int seal_derive(const char *password, const char *group_name, uint16_t group_id,
		struct seal_key *ret_key);
struct seal *seal_new(const struct seal_config *config);
void seal_free(struct seal *seal);

/* Where a frame's payload goes: a writer over frame[SEAL_HEAD_BYTES .. size - SEAL_TAG_BYTES). */
struct wbuf seal_payload(uint8_t *frame, size_t size);
/* Seals the payload of `payload_len` bytes that is already in place; returns the frame's length. */
size_t seal_close(struct seal *seal, enum frame_type type, uint8_t *frame, size_t payload_len);
/* Opens in place; the frame is spoilt when the tag does not fit. On DROP_NONE head and payload (a
 * cursor into the frame) are filled. On DROP_OWN, _SECURITY and _AUTH head is the unproven claim,
 * for counting only (its serial is printable); on DROP_SERIAL_CLASH, _REPLAY and _CLUSTER_FULL (all
 * slots pinned) it is proven. On DROP_SERIAL_CLASH the payload is filled too, so that the other
 * one can be named; no window and no slot has moved, and it may be a recording, of our own earlier
 * life too. Another plane is DROP_BAD_PATH, a serial with unprintable bytes DROP_RANGE. */
enum drop_reason seal_open(struct seal *seal, uint8_t *frame, size_t len,
			   struct frame_head *ret_head, struct rbuf *ret_payload);
/* Keeps a living member's slot from being taken. */
void seal_pin(struct seal *seal, const char *serial, uint64_t incarnation, bool is_pinned);

#endif
