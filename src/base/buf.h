/* buf.h: bounded reading and writing cursors; the only code that touches raw lengths.
 *
 * A reader (struct rbuf) or writer (struct wbuf) fails sticky: after the first access past its
 * end every further access fails too, reads give zero, and `failed` stays set. Read everything,
 * check once, then require rbuf_at_end(). A length-prefixed part is a sub-cursor cut with
 * rbuf_cut(), so inner code cannot escape it. Byte order is in the accessor's name: _be is
 * network order; varints are LEB128, at most 10 bytes, and must be minimal in length so that
 * one value has one encoding (digests compare encodings).
 */
#ifndef FK_BASE_BUF_H
#define FK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rbuf {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

struct wbuf {
	uint8_t *start;
	uint8_t *p;
	uint8_t *end;
	bool failed;
};

struct rbuf rbuf_of(const void *data, size_t len);
size_t rbuf_left(const struct rbuf *r);
/* True when nothing failed and nothing is left. */
bool rbuf_at_end(const struct rbuf *r);
uint8_t rbuf_u8(struct rbuf *r);
uint16_t rbuf_be16(struct rbuf *r);
uint32_t rbuf_be32(struct rbuf *r);
uint64_t rbuf_be64(struct rbuf *r);
uint64_t rbuf_varint(struct rbuf *r);
/* Copies n bytes to out; zeroes out when they are not there. */
void rbuf_bytes(struct rbuf *r, void *out, size_t n);
/* Borrows n bytes in place, NULL when they are not there. */
const uint8_t *rbuf_view(struct rbuf *r, size_t n);
/* A cursor over exactly the next n bytes; a failed one when they are not there. */
struct rbuf rbuf_cut(struct rbuf *r, size_t n);

struct wbuf wbuf_of(void *data, size_t size);
size_t wbuf_len(const struct wbuf *w);
size_t wbuf_left(const struct wbuf *w);
void wbuf_u8(struct wbuf *w, uint8_t v);
void wbuf_be16(struct wbuf *w, uint16_t v);
void wbuf_be32(struct wbuf *w, uint32_t v);
void wbuf_be64(struct wbuf *w, uint64_t v);
void wbuf_varint(struct wbuf *w, uint64_t v);
void wbuf_bytes(struct wbuf *w, const void *data, size_t n);
/* Room for n bytes to be filled in later, NULL when there is none. */
uint8_t *wbuf_reserve(struct wbuf *w, size_t n);
/* Bytes a varint of this value takes, 1..10. */
size_t varint_size(uint64_t v);

#endif
