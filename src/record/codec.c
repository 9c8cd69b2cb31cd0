/* codec.c: walks a schema's table and a struct together, to bytes and back */
#include "record/codec.h"

#include "base/addr.h"

#include <endian.h>
#include <string.h>
#include <sys/socket.h>

/* The hot path reads and writes fields without asking the cursor for each byte: a scalar of any
 * type fits in so many bytes (the longest name, FT_NAME32, has 36), and where the cursor has fewer
 * left it goes over a scratch of that size. */
enum { SCALAR_MOST = 40 };

/* Numbers are given out in the order of versions, so the fields of version 1 come first. They are
 * told by the presence mask; what follows is self-describing. */
static unsigned first_version_count(const struct schema *s)
{
	unsigned n = s->field_count;

	while (n > 0 && s->fields[n - 1].since > 1)
		n--;
	return n;
}

static uint64_t bits_below(unsigned n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static unsigned take_lowest(uint64_t *bits)
{
	unsigned n = (unsigned)__builtin_ctzll(*bits);

	*bits &= *bits - 1;
	return n;
}

/* 4 or 16; 0 while the family field is absent or something else. */
static size_t address_size(const struct schema *s, const void *obj)
{
	uint8_t family = ((const uint8_t *)obj)[s->family_offset];

	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* Names end up in logs, JSON and netlink requests: nothing that any of them would have to quote. */
static bool is_name(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	return true;
}

/* Puts the length of what was written since `before` in front of it. */
static void prefix_length(struct wbuf *w, size_t before)
{
	size_t len = wbuf_len(w) - before, n = varint_size(len);
	uint8_t *body = w->start + before;
	struct wbuf hole = wbuf_of(body, n);

	if (!wbuf_reserve(w, n))
		return;
	memmove(body + n, body, len);
	wbuf_varint(&hole, len);
}

static size_t put_varint(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

static size_t put_name(const struct field *f, const uint8_t *p, uint8_t *out)
{
	size_t len = strnlen((const char *)p, f->size);

	if (len == f->size || !is_name(p, len))
		return 0;
	out[0] = (uint8_t)len;
	memcpy(out + 1, p, len);
	return 1 + len;
}

/* Writes to `out`, which has SCALAR_MOST bytes; returns how many, 0 when no decoder would take it. */
static inline size_t put_scalar(const struct schema *s, const struct field *f, const void *obj,
				uint8_t *out)
{
	const uint8_t *p = (const uint8_t *)obj + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	size_t n;

	switch (f->type) {
	case FT_U8:
		out[0] = *p;
		return 1;
	case FT_U16:
		memcpy(&v16, p, sizeof(v16));
		v16 = htobe16(v16);
		memcpy(out, &v16, sizeof(v16));
		return sizeof(v16);
	case FT_U32:
		memcpy(&v32, p, sizeof(v32));
		return put_varint(out, v32);
	case FT_U64:
		memcpy(&v64, p, sizeof(v64));
		return put_varint(out, v64);
	case FT_W32:
		memcpy(&v32, p, sizeof(v32));
		v32 = htobe32(v32);
		memcpy(out, &v32, sizeof(v32));
		return sizeof(v32);
	case FT_IP:
		n = address_size(s, obj);
		memcpy(out, p + offsetof(struct ipaddr, bytes), 16);
		return n;
	case FT_B16:
	case FT_B6:
		memcpy(out, p, f->size);
		return f->size;
	case FT_NAME:
	case FT_NAME32:
		return put_name(f, p, out);
	case FT_LIST:
		break;
	}
	return 0;
}

static void encode_list(const struct field *f, const void *obj, struct wbuf *w)
{
	const uint8_t *element = (const uint8_t *)obj + f->offset;
	uint32_t count;

	memcpy(&count, (const uint8_t *)obj + f->count_offset, sizeof(count));
	if (count > f->max) {
		w->failed = true;
		return;
	}
	wbuf_varint(w, count);
	for (uint32_t i = 0; i < count && !w->failed; i++, element += f->size) {
		size_t before = wbuf_len(w);

		codec_encode(f->of, element, UINT64_MAX, w);
		prefix_length(w, before);
	}
}

static void encode_field(const struct schema *s, const struct field *f, const void *obj,
			 struct wbuf *w)
{
	uint8_t scratch[SCALAR_MOST];
	bool is_roomy = wbuf_left(w) >= SCALAR_MOST;
	size_t n;

	if (f->type == FT_LIST) {
		encode_list(f, obj, w);
		return;
	}
	n = put_scalar(s, f, obj, is_roomy ? w->p : scratch);
	if (n == 0)
		w->failed = true;
	else if (is_roomy)
		w->p += n;
	else
		wbuf_bytes(w, scratch, n);
}

/* 0 when it does not end or is not minimal. */
static inline size_t take_varint(const uint8_t *in, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (unsigned n = 0; n < 10; n++) {
		uint8_t b = in[n];

		/* As in rbuf_varint(): one bit in the tenth byte, no zero at the end. */
		if ((n == 9 && b > 1) || (b == 0 && n > 0))
			break;
		v |= (uint64_t)(b & 0x7f) << 7 * n;
		if (!(b & 0x80)) {
			*ret_v = v;
			return n + 1;
		}
	}
	return 0;
}

static enum drop_reason take_name(const struct field *f, const uint8_t *in, size_t left, uint8_t *p,
				  size_t *ret_n)
{
	size_t len = in[0];

	if (left == 0)
		return DROP_TRUNCATED;
	if (len >= f->size)
		return DROP_RANGE;
	if (len >= left)
		return DROP_TRUNCATED;
	if (!is_name(in + 1, len))
		return DROP_RANGE;
	memcpy(p, in + 1, len);
	*ret_n = 1 + len;
	return DROP_NONE;
}

/* Reads from `in`, which has SCALAR_MOST bytes, of which only `left` are real; the caller refuses
 * what took more of them. */
static inline enum drop_reason take_scalar(const struct schema *s, const struct field *f,
					   const uint8_t *in, size_t left, void *obj, size_t *ret_n)
{
	uint8_t *p = (uint8_t *)obj + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64 = 0;
	size_t n;

	switch (f->type) {
	case FT_U8:
		*p = in[0];
		*ret_n = 1;
		return DROP_NONE;
	case FT_U16:
		memcpy(&v16, in, sizeof(v16));
		v16 = be16toh(v16);
		memcpy(p, &v16, sizeof(v16));
		*ret_n = sizeof(v16);
		return DROP_NONE;
	case FT_U32:
		n = take_varint(in, &v64);
		if (n == 0 || v64 > UINT32_MAX)
			return n == 0 ? DROP_TRUNCATED : DROP_RANGE;
		v32 = (uint32_t)v64;
		memcpy(p, &v32, sizeof(v32));
		*ret_n = n;
		return DROP_NONE;
	case FT_U64:
		n = take_varint(in, &v64);
		if (n == 0)
			return DROP_TRUNCATED;
		memcpy(p, &v64, sizeof(v64));
		*ret_n = n;
		return DROP_NONE;
	case FT_W32:
		memcpy(&v32, in, sizeof(v32));
		v32 = be32toh(v32);
		memcpy(p, &v32, sizeof(v32));
		*ret_n = sizeof(v32);
		return DROP_NONE;
	case FT_IP:
		n = address_size(s, obj);
		if (n == 0)
			return DROP_RANGE;
		p[offsetof(struct ipaddr, family)] = ((uint8_t *)obj)[s->family_offset];
		memcpy(p + offsetof(struct ipaddr, bytes), in, n);
		*ret_n = n;
		return DROP_NONE;
	case FT_B16:
	case FT_B6:
		memcpy(p, in, f->size);
		*ret_n = f->size;
		return DROP_NONE;
	case FT_NAME:
	case FT_NAME32:
		return take_name(f, in, left, p, ret_n);
	case FT_LIST:
		break;
	}
	return DROP_RANGE;
}

/* A cursor over a part that tells its own length. */
static struct rbuf cut_part(struct rbuf *r)
{
	uint64_t len = rbuf_varint(r);

	/* Compared before it becomes a size_t, which has 32 bits on small gateways. */
	if (!r->failed && len <= rbuf_left(r))
		return rbuf_cut(r, (size_t)len);
	r->failed = true;
	return (struct rbuf){ .failed = true };
}

static enum drop_reason decode_list(const struct field *f, struct rbuf *r, void *obj)
{
	uint64_t count = rbuf_varint(r);
	uint8_t *element = (uint8_t *)obj + f->offset;
	uint32_t count32;

	if (count > f->max)
		return DROP_TOO_MANY;
	count32 = (uint32_t)count;
	memcpy((uint8_t *)obj + f->count_offset, &count32, sizeof(count32));
	for (uint32_t i = 0; i < count32 && !r->failed; i++, element += f->size) {
		struct rbuf part = cut_part(r);
		enum drop_reason reason = codec_decode(f->of, &part, element);

		if (reason)
			return reason;
	}
	return DROP_NONE;
}

static enum drop_reason decode_field(const struct schema *s, const struct field *f, struct rbuf *r,
				     void *obj)
{
	uint8_t scratch[SCALAR_MOST] = { 0 };
	size_t left = rbuf_left(r), n = 0;
	const uint8_t *in = r->p;
	enum drop_reason reason;

	if (f->type == FT_LIST)
		return decode_list(f, r, obj);
	if (left < SCALAR_MOST)
		in = memcpy(scratch, in, left);
	reason = take_scalar(s, f, in, left, obj, &n);
	if (reason)
		return reason;
	return rbuf_view(r, n) ? DROP_NONE : DROP_TRUNCATED;
}

/* Fields of later versions, to the end: those we know are read, the others skipped. */
static enum drop_reason decode_later(const struct schema *s, unsigned first, struct rbuf *r,
				     void *obj, uint64_t *has)
{
	uint64_t least = first;

	while (!rbuf_at_end(r)) {
		uint64_t number = rbuf_varint(r);
		struct rbuf part = cut_part(r);
		enum drop_reason reason;

		if (part.failed)
			return DROP_TRUNCATED;
		/* Version 1 has its place in the mask, and order is part of the one encoding. */
		if (number < least || number == UINT64_MAX)
			return DROP_RANGE;
		least = number + 1;
		if (number >= s->field_count)
			continue;
		reason = decode_field(s, &s->fields[number], &part, obj);
		if (reason)
			return reason;
		if (!rbuf_at_end(&part))
			return DROP_TRAILING;
		*has |= UINT64_C(1) << number;
	}
	return DROP_NONE;
}

void codec_encode(const struct schema *s, const void *obj, uint64_t mask, struct wbuf *w)
{
	unsigned first = first_version_count(s);
	uint64_t has, left, later;

	memcpy(&has, obj, sizeof(has)); /* every generated struct begins with it */
	has &= mask & bits_below(s->field_count);
	left = has & bits_below(first);
	later = has & ~bits_below(first);
	wbuf_varint(w, left);
	while (left)
		encode_field(s, &s->fields[take_lowest(&left)], obj, w);
	while (later && !w->failed) {
		unsigned number = take_lowest(&later);
		size_t before;

		wbuf_varint(w, number);
		before = wbuf_len(w);
		encode_field(s, &s->fields[number], obj, w);
		prefix_length(w, before);
	}
}

enum drop_reason codec_decode(const struct schema *s, struct rbuf *r, void *ret_obj)
{
	unsigned first = first_version_count(s);
	uint64_t has = rbuf_varint(r), left = has;
	enum drop_reason reason;

	memset(ret_obj, 0, s->struct_size);
	if (r->failed)
		return DROP_TRUNCATED;
	if (has & ~bits_below(first))
		return DROP_RANGE;
	while (left) {
		reason = decode_field(s, &s->fields[take_lowest(&left)], r, ret_obj);
		if (reason)
			return reason;
	}
	reason = decode_later(s, first, r, ret_obj, &has);
	if (reason)
		return reason;
	if ((has & s->required) != s->required)
		return DROP_MISSING_FIELD;
	memcpy(ret_obj, &has, sizeof(has));
	return DROP_NONE;
}
