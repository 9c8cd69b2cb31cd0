/* codec.c: walks a schema's table and a struct together, to bytes and back */
#include "record/codec.h"

#include "base/addr.h"

#include <string.h>
#include <sys/socket.h>

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

static void encode_name(const struct field *f, const uint8_t *p, struct wbuf *w)
{
	size_t len = strnlen((const char *)p, f->size);

	if (len == f->size || !is_name(p, len))
		w->failed = true;
	wbuf_u8(w, (uint8_t)len);
	wbuf_bytes(w, p, len);
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
	const uint8_t *p = (const uint8_t *)obj + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	size_t n;

	switch (f->type) {
	case FT_U8:
		wbuf_u8(w, *p);
		return;
	case FT_U16:
		memcpy(&v16, p, sizeof(v16));
		wbuf_be16(w, v16);
		return;
	case FT_U32:
		memcpy(&v32, p, sizeof(v32));
		wbuf_varint(w, v32);
		return;
	case FT_U64:
		memcpy(&v64, p, sizeof(v64));
		wbuf_varint(w, v64);
		return;
	case FT_W32:
		memcpy(&v32, p, sizeof(v32));
		wbuf_be32(w, v32);
		return;
	case FT_IP:
		n = address_size(s, obj);
		if (n == 0)
			w->failed = true;
		wbuf_bytes(w, p + offsetof(struct ipaddr, bytes), n);
		return;
	case FT_B16:
	case FT_B6:
		wbuf_bytes(w, p, f->size);
		return;
	case FT_NAME:
	case FT_NAME32:
		encode_name(f, p, w);
		return;
	case FT_LIST:
		encode_list(f, obj, w);
		return;
	}
}

static enum drop_reason decode_name(const struct field *f, struct rbuf *r, uint8_t *p)
{
	size_t len = rbuf_u8(r);
	const uint8_t *text;

	if (r->failed)
		return DROP_TRUNCATED;
	if (len >= f->size)
		return DROP_RANGE;
	text = rbuf_view(r, len);
	if (!text)
		return DROP_TRUNCATED;
	if (!is_name(text, len))
		return DROP_RANGE;
	memcpy(p, text, len);
	return DROP_NONE;
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

/* A reader that ran out is noticed by the caller, once for all fields. */
static enum drop_reason decode_field(const struct schema *s, const struct field *f, struct rbuf *r,
				     void *obj)
{
	uint8_t *p = (uint8_t *)obj + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	size_t n;

	switch (f->type) {
	case FT_U8:
		*p = rbuf_u8(r);
		return DROP_NONE;
	case FT_U16:
		v16 = rbuf_be16(r);
		memcpy(p, &v16, sizeof(v16));
		return DROP_NONE;
	case FT_U32:
		v64 = rbuf_varint(r);
		if (v64 > UINT32_MAX)
			return DROP_RANGE;
		v32 = (uint32_t)v64;
		memcpy(p, &v32, sizeof(v32));
		return DROP_NONE;
	case FT_U64:
		v64 = rbuf_varint(r);
		memcpy(p, &v64, sizeof(v64));
		return DROP_NONE;
	case FT_W32:
		v32 = rbuf_be32(r);
		memcpy(p, &v32, sizeof(v32));
		return DROP_NONE;
	case FT_IP:
		n = address_size(s, obj);
		if (n == 0)
			return r->failed ? DROP_TRUNCATED : DROP_RANGE;
		p[offsetof(struct ipaddr, family)] = ((uint8_t *)obj)[s->family_offset];
		rbuf_bytes(r, p + offsetof(struct ipaddr, bytes), n);
		return DROP_NONE;
	case FT_B16:
	case FT_B6:
		rbuf_bytes(r, p, f->size);
		return DROP_NONE;
	case FT_NAME:
	case FT_NAME32:
		return decode_name(f, r, p);
	case FT_LIST:
		return decode_list(f, r, obj);
	}
	return DROP_RANGE;
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
		if (part.failed)
			return DROP_TRUNCATED;
		if (!rbuf_at_end(&part))
			return DROP_TRAILING;
		*has |= UINT64_C(1) << number;
	}
	return DROP_NONE;
}

static void encode_later(const struct schema *s, const void *obj, uint64_t later, struct wbuf *w)
{
	while (later && !w->failed) {
		unsigned number = take_lowest(&later);
		size_t before;

		wbuf_varint(w, number);
		before = wbuf_len(w);
		encode_field(s, &s->fields[number], obj, w);
		prefix_length(w, before);
	}
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
	encode_later(s, obj, later, w);
}

static void note_skip(struct codec_parts *parts, size_t from, size_t to)
{
	if (parts->skip_count && parts->skip[parts->skip_count - 1].to == from) {
		parts->skip[parts->skip_count - 1].to = to;
		return;
	}
	if (parts->skip_count == sizeof(parts->skip) / sizeof(parts->skip[0])) {
		parts->is_plain = false;
		return;
	}
	parts->skip[parts->skip_count].from = from;
	parts->skip[parts->skip_count++].to = to;
}

void codec_encode_parts(const struct schema *s, const void *obj, struct wbuf *w,
			struct codec_parts *ret_parts)
{
	unsigned first = first_version_count(s);
	size_t start = wbuf_len(w);
	uint64_t left, later;

	*ret_parts = (struct codec_parts){ .is_plain = true };
	memcpy(&left, obj, sizeof(left));
	left &= bits_below(s->field_count);
	later = left & ~bits_below(first);
	left &= bits_below(first);
	wbuf_varint(w, left);
	ret_parts->key_at = ret_parts->key_end = wbuf_len(w) - start;
	while (left) {
		unsigned number = take_lowest(&left);
		size_t from = wbuf_len(w) - start;

		encode_field(s, &s->fields[number], obj, w);
		if (s->keys >> number & 1)
			ret_parts->key_end = wbuf_len(w) - start;
		if (!(s->digested >> number & 1))
			note_skip(ret_parts, from, wbuf_len(w) - start);
	}
	if (later)
		ret_parts->is_plain = false;
	encode_later(s, obj, later, w);
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
	if (r->failed)
		return DROP_TRUNCATED;
	reason = decode_later(s, first, r, ret_obj, &has);
	if (reason)
		return reason;
	if ((has & s->required) != s->required)
		return DROP_MISSING_FIELD;
	memcpy(ret_obj, &has, sizeof(has));
	return DROP_NONE;
}
