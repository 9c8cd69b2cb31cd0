/* buf.c: bounded reading and writing cursors */
#include "base/buf.h"

#include <string.h>

struct rbuf rbuf_of(const void *data, size_t len)
{
	/* Nothing may be added to NULL, not even 0. */
	return (struct rbuf){ .p = data, .end = len ? (const uint8_t *)data + len : data };
}

size_t rbuf_left(const struct rbuf *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

bool rbuf_at_end(const struct rbuf *r)
{
	return !r->failed && r->p == r->end;
}

const uint8_t *rbuf_view(struct rbuf *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || (size_t)(r->end - r->p) < n) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	return p;
}

uint8_t rbuf_u8(struct rbuf *r)
{
	const uint8_t *p = rbuf_view(r, 1);

	return p ? p[0] : 0;
}

uint16_t rbuf_be16(struct rbuf *r)
{
	const uint8_t *p = rbuf_view(r, 2);

	if (!p)
		return 0;
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t rbuf_be32(struct rbuf *r)
{
	const uint8_t *p = rbuf_view(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

uint64_t rbuf_be64(struct rbuf *r)
{
	uint64_t high = rbuf_be32(r);

	return high << 32 | rbuf_be32(r);
}

uint64_t rbuf_varint(struct rbuf *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = rbuf_u8(r);

		if (r->failed)
			return 0;
		/* The tenth byte holds one bit; a zero last byte is not minimal. */
		if ((shift == 63 && b > 1) || (b == 0 && shift > 0))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

void rbuf_bytes(struct rbuf *r, void *out, size_t n)
{
	const uint8_t *p = rbuf_view(r, n);

	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

struct rbuf rbuf_cut(struct rbuf *r, size_t n)
{
	const uint8_t *p = rbuf_view(r, n);
	struct rbuf sub = rbuf_of(p, p ? n : 0);

	sub.failed = !p;
	return sub;
}

struct wbuf wbuf_of(void *data, size_t size)
{
	return (struct wbuf){ .start = data, .p = data, .end = (uint8_t *)data + size };
}

size_t wbuf_len(const struct wbuf *w)
{
	return (size_t)(w->p - w->start);
}

size_t wbuf_left(const struct wbuf *w)
{
	return w->failed ? 0 : (size_t)(w->end - w->p);
}

uint8_t *wbuf_reserve(struct wbuf *w, size_t n)
{
	uint8_t *p = w->p;

	if (w->failed || (size_t)(w->end - w->p) < n) {
		w->failed = true;
		return NULL;
	}
	w->p += n;
	return p;
}

void wbuf_u8(struct wbuf *w, uint8_t v)
{
	wbuf_bytes(w, &v, 1);
}

void wbuf_be16(struct wbuf *w, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	wbuf_bytes(w, b, sizeof(b));
}

void wbuf_be32(struct wbuf *w, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	wbuf_bytes(w, b, sizeof(b));
}

void wbuf_be64(struct wbuf *w, uint64_t v)
{
	wbuf_be32(w, (uint32_t)(v >> 32));
	wbuf_be32(w, (uint32_t)v);
}

void wbuf_varint(struct wbuf *w, uint64_t v)
{
	while (v >= 0x80) {
		wbuf_u8(w, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	wbuf_u8(w, (uint8_t)v);
}

void wbuf_bytes(struct wbuf *w, const void *data, size_t n)
{
	uint8_t *p = wbuf_reserve(w, n);

	if (p)
		memcpy(p, data, n);
}

size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}
