/* codec_test.c: one value has one encoding, and nothing else is accepted */
#include "record/codec.h"

#include "schema.h"
#include "wire/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { ROUNDS = 2000, MUTATIONS = 20000, SEED = 20261121 };

/* A message as it looked in version 1, and as version 2 made it: every type is in it. */
enum { S_L3, S_ADDR, S_PORT, S_N, S_BIG, S_W, S_MAC, S_NAME, S_ITEMS, S_V1_COUNT };
enum { S_LATER = S_V1_COUNT, S_LATER_ADDR, S_LATER_NAME, S_LATER_ITEMS, S_V2_COUNT };

struct item {
	uint64_t has;
	uint8_t kind;
	char name[36];
};

struct sample {
	uint64_t has;
	uint8_t l3;
	struct ipaddr addr;
	uint16_t port;
	uint32_t n;
	uint64_t big;
	uint32_t w;
	uint8_t mac[6];
	char name[17];
	uint32_t items_count;
	struct item items[3];
	uint32_t later;
	struct ipaddr later_addr;
	char later_name[36];
	uint32_t later_items_count;
	struct item later_items[5]; /* long enough to need a length of two bytes */
};

#define MEMBER(type, name) offsetof(struct type, name), sizeof(((struct type *)0)->name)

static const struct field item_fields[] = {
	{ "kind", FT_U8,     MEMBER(item, kind), 0, 0, 1, NULL },
	{ "name", FT_NAME32, MEMBER(item, name), 0, 0, 1, NULL },
};

static const struct schema schema_item = {
	.name = "item", .fields = item_fields, .field_count = 2,
	.struct_size = sizeof(struct item), .required = 1,
};

#define ITEMS(list, max)                                                                           \
	offsetof(struct sample, list), sizeof(struct item),                                        \
		offsetof(struct sample, list##_count), max

static const struct field sample_fields[] = {
	{ "l3",          FT_U8,     MEMBER(sample, l3),         0, 0, 1, NULL },
	{ "addr",        FT_IP,     MEMBER(sample, addr),       0, 0, 1, NULL },
	{ "port",        FT_U16,    MEMBER(sample, port),       0, 0, 1, NULL },
	{ "n",           FT_U32,    MEMBER(sample, n),          0, 0, 1, NULL },
	{ "big",         FT_U64,    MEMBER(sample, big),        0, 0, 1, NULL },
	{ "w",           FT_W32,    MEMBER(sample, w),          0, 0, 1, NULL },
	{ "mac",         FT_B6,     MEMBER(sample, mac),        0, 0, 1, NULL },
	{ "name",        FT_NAME,   MEMBER(sample, name),       0, 0, 1, NULL },
	{ "items",       FT_LIST,   ITEMS(items, 3),            1, &schema_item },
	{ "later",       FT_U32,    MEMBER(sample, later),      0, 0, 2, NULL },
	{ "later_addr",  FT_IP,     MEMBER(sample, later_addr), 0, 0, 2, NULL },
	{ "later_name",  FT_NAME32, MEMBER(sample, later_name), 0, 0, 3, NULL },
	{ "later_items", FT_LIST,   ITEMS(later_items, 5),      3, &schema_item },
};

/* The same struct for both, so that what an old member understood can be compared. */
static const struct schema sample_v1 = {
	.name = "sample", .fields = sample_fields, .field_count = S_V1_COUNT,
	.struct_size = sizeof(struct sample), .family_offset = offsetof(struct sample, l3),
	.required = 1 << S_PORT,
};
static const struct schema sample_v2 = {
	.name = "sample", .fields = sample_fields, .field_count = S_V2_COUNT,
	.struct_size = sizeof(struct sample), .family_offset = offsetof(struct sample, l3),
	.required = 1 << S_PORT,
};

union any {
	uint64_t has;
	struct sample sample;
	struct ct ct;
	struct heartbeat heartbeat;
	struct sync_data data;
	struct sync_ack ack;
	struct sync_neigh neigh;
};

static const struct schema *const all[] = {
	&sample_v1,        &sample_v2,       &schema_ct,         &schema_heartbeat,
	&schema_sync_data, &schema_sync_ack, &schema_sync_neigh,
};
enum { ALL = sizeof(all) / sizeof(all[0]) };

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Of every size as often. */
static uint64_t rnd_number(uint64_t *x, unsigned bits)
{
	return rnd(x) >> (64 - bits + rnd(x) % bits);
}

static void random_bytes(uint64_t *x, uint8_t *p, size_t n)
{
	while (n--)
		*p++ = (uint8_t)rnd(x);
}

static void random_object(const struct schema *s, uint64_t *x, uint64_t with, void *obj)
{
	uint8_t *base = obj, family = rnd(x) % 2 ? AF_INET : AF_INET6;
	uint64_t has = (rnd(x) | s->required | 1) & with, v64;
	uint32_t v32;
	uint16_t v16;

	memset(obj, 0, s->struct_size);
	if (s->field_count < 64)
		has &= (UINT64_C(1) << s->field_count) - 1;
	memcpy(obj, &has, sizeof(has));
	for (unsigned i = 0; i < s->field_count; i++) {
		const struct field *f = &s->fields[i];
		uint8_t *p = base + f->offset;

		if (!(has >> i & 1))
			continue;
		switch (f->type) {
		case FT_U8:
			*p = (uint8_t)rnd(x);
			if (s->family_offset && f->offset == s->family_offset)
				*p = family;
			break;
		case FT_U16:
			v16 = (uint16_t)rnd(x);
			memcpy(p, &v16, sizeof(v16));
			break;
		case FT_U32:
		case FT_W32:
			v32 = (uint32_t)rnd_number(x, 32);
			memcpy(p, &v32, sizeof(v32));
			break;
		case FT_U64:
			v64 = rnd_number(x, 64);
			memcpy(p, &v64, sizeof(v64));
			break;
		case FT_IP:
			p[offsetof(struct ipaddr, family)] = family;
			random_bytes(x, p + offsetof(struct ipaddr, bytes),
				     family == AF_INET ? 4 : 16);
			break;
		case FT_B16:
		case FT_B6:
			random_bytes(x, p, f->size);
			break;
		case FT_NAME:
		case FT_NAME32:
			for (size_t n = rnd(x) % f->size; n--;)
				p[n] = (uint8_t)(0x21 + rnd(x) % 94);
			break;
		case FT_LIST:
			v32 = (uint32_t)(rnd(x) % (f->max + 1));
			memcpy(base + f->count_offset, &v32, sizeof(v32));
			for (uint32_t k = 0; k < v32; k++)
				random_object(f->of, x, UINT64_MAX, p + k * f->size);
			break;
		}
	}
}

static size_t encode(const struct schema *s, const void *obj, uint8_t *out, size_t size)
{
	struct wbuf w = wbuf_of(out, size);

	codec_encode(s, obj, UINT64_MAX, &w);
	assert_false(w.failed);
	return wbuf_len(&w);
}

/* From a heap block of exactly that size, so that ASan sees a read behind the end. */
static enum drop_reason decode(const struct schema *s, const uint8_t *bytes, size_t len, void *obj)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum drop_reason reason;
	struct rbuf r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = rbuf_of(copy, len);
	memset(obj, 0xee, s->struct_size);
	reason = codec_decode(s, &r, obj);
	if (reason == DROP_NONE)
		assert_true(rbuf_at_end(&r));
	free(copy);
	return reason;
}

static struct ct plain_tcp(void)
{
	static const unsigned fields[] = { CT_L3,        CT_L4,          CT_SRC,         CT_DST,
					   CT_SPORT,     CT_DPORT,       CT_STATUS,      CT_TIMEOUT,
					   CT_TCP_STATE, CT_WSCALE_ORIG, CT_WSCALE_REPLY };
	struct ct ct;

	memset(&ct, 0, sizeof(ct));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		SET_HAS(&ct, fields[i]);
	ct.l3 = AF_INET;
	ct.l4 = 6;
	ct.src = (struct ipaddr){ .family = AF_INET, .bytes = { 10, 1, 0, 2 } };
	ct.dst = (struct ipaddr){ .family = AF_INET, .bytes = { 203, 0, 113, 9 } };
	ct.sport = 40000;
	ct.dport = 443;
	ct.status = 0x18e;
	ct.timeout = 432000;
	ct.tcp_state = 3;
	ct.wscale_orig = ct.wscale_reply = 7;
	return ct;
}

static void codec_bytes_of_a_session_do_not_change(void **state)
{
	static const uint8_t want[] = {
		0xbf, 0xe0, 0x1c,         /* fields 0-5, 12, 13, 16, 17, 18 */
		2, 6,                     /* AF_INET, TCP */
		10, 1, 0, 2, 203, 0, 113, 9, 0x9c, 0x40, 0x01, 0xbb,
		0x8e, 0x03,               /* status 0x18e */
		0x80, 0xaf, 0x1a,         /* 432000 s */
		3, 7, 7,
	};
	uint8_t bytes[LIMIT_RECORD_BYTES];
	struct ct ct = plain_tcp(), back;

	(void)state;
	assert_int_equal(encode(&schema_ct, &ct, bytes, sizeof(bytes)), sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
	assert_int_equal(decode(&schema_ct, want, sizeof(want), &back), DROP_NONE);
	assert_memory_equal(&back, &ct, sizeof(ct));
}

static void codec_largest_session_fits_its_limit(void **state)
{
	uint8_t bytes[LIMIT_RECORD_BYTES];
	struct ct ct, back;
	size_t len;

	(void)state;
	memset(&ct, 0xff, sizeof(ct));
	ct.has = (UINT64_C(1) << CT_FIELD_COUNT) - 1;
	ct.l3 = AF_INET6;
	ct.src.family = ct.dst.family = ct.rsrc.family = ct.rdst.family = AF_INET6;
	memset(ct.helper, 'h', sizeof(ct.helper) - 1);
	ct.helper[sizeof(ct.helper) - 1] = 0;
	len = encode(&schema_ct, &ct, bytes, sizeof(bytes));
	assert_int_equal(decode(&schema_ct, bytes, len, &back), DROP_NONE);
	assert_int_equal(back.has, ct.has);
	assert_int_equal(back.start_s, UINT32_MAX);
	assert_string_equal(back.helper, "hhhhhhhhhhhhhhhh");
}

static void codec_random_objects_come_back_unchanged(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES], again[LIMIT_FRAME_BYTES];
	uint64_t x = SEED;
	union any obj, back;

	(void)state;
	print_message("# seed %d\n", SEED);
	for (unsigned i = 0; i < ROUNDS * ALL; i++) {
		const struct schema *s = all[i % ALL];
		size_t len;

		random_object(s, &x, UINT64_MAX, &obj);
		len = encode(s, &obj, bytes, sizeof(bytes));
		assert_int_equal(decode(s, bytes, len, &back), DROP_NONE);
		assert_memory_equal(&back, &obj, s->struct_size);
		assert_int_equal(encode(s, &back, again, sizeof(again)), len);
		assert_memory_equal(again, bytes, len);
	}
}

static void codec_refuses_truncation_at_every_byte(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES];
	uint64_t x = SEED;
	union any obj, back;

	(void)state;
	for (unsigned i = 0; i < 20 * ALL; i++) {
		const struct schema *s = all[i % ALL];
		uint64_t v1 = s == &sample_v2 ? (1 << S_V1_COUNT) - 1 : UINT64_MAX;
		size_t len;

		random_object(s, &x, v1, &obj);
		len = encode(s, &obj, bytes, sizeof(bytes));
		while (len--)
			assert_int_equal(decode(s, bytes, len, &back), DROP_TRUNCATED);
	}
}

/* Where a later field ends the rest may be missing: it is an object without those fields. */
static void codec_truncation_among_later_fields_never_invents(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES];
	uint64_t x = SEED;
	union any obj, back;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		unsigned accepted = 0;
		size_t len;

		random_object(&sample_v2, &x, UINT64_MAX, &obj);
		len = encode(&sample_v2, &obj, bytes, sizeof(bytes));
		while (len--) {
			if (decode(&sample_v2, bytes, len, &back) != DROP_NONE)
				continue;
			accepted++;
			assert_int_equal(back.has & ~obj.has, 0);
			assert_true(HAS(&back, S_PORT));
		}
		assert_int_equal(accepted, __builtin_popcountll(obj.has >> S_V1_COUNT));
	}
}

static void codec_old_member_skips_what_a_new_one_adds(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES];
	uint64_t x = SEED, v1 = (1 << S_V1_COUNT) - 1;
	union any obj, old;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len, old_len = offsetof(struct sample, later);

		random_object(&sample_v2, &x, UINT64_MAX, &obj);
		len = encode(&sample_v2, &obj, bytes, sizeof(bytes));
		assert_int_equal(decode(&sample_v1, bytes, len, &old), DROP_NONE);
		obj.has &= v1;
		assert_memory_equal(&old, &obj, old_len);
		assert_int_equal(old.sample.later, 0);
		/* and the new one understands the old one */
		len = encode(&sample_v1, &obj, bytes, sizeof(bytes));
		assert_int_equal(decode(&sample_v2, bytes, len, &old), DROP_NONE);
		assert_int_equal(old.has, obj.has);
	}
}

#define ROW(reason, ...) \
	{ reason, sizeof((const uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ } }

/* Masks: L3 0x01, ADDR 0x02, PORT 0x04, N 0x08, BIG 0x10, NAME 0x80 0x01, ITEMS 0x80 0x02. */
static const struct {
	enum drop_reason reason;
	size_t len;
	uint8_t bytes[24];
} refusals[] = {
	ROW(DROP_NONE, 0x04, 0, 80),
	ROW(DROP_MISSING_FIELD, 0x00),
	ROW(DROP_MISSING_FIELD, 0x01, AF_INET),
	ROW(DROP_TRUNCATED, 0x04, 0),
	ROW(DROP_TRUNCATED, 0x04),
	ROW(DROP_TRUNCATED, 0x84),                                  /* mask ends early */
	ROW(DROP_TRUNCATED, 0x84, 0x00, 0, 80),                     /* mask not minimal */
	ROW(DROP_RANGE, 0x84, 0x04, 0, 80, 1),                      /* bit 9: version 2 */
	ROW(DROP_RANGE, 0x84, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 80),
	ROW(DROP_NONE, 0x07, AF_INET, 1, 2, 3, 4, 0, 80),
	ROW(DROP_TRUNCATED, 0x07, AF_INET6, 1, 2, 3, 4, 0, 80),
	ROW(DROP_RANGE, 0x07, 99, 1, 2, 3, 4, 0, 80),               /* family */
	ROW(DROP_RANGE, 0x06, 1, 2, 3, 4, 0, 80),                   /* no family */
	ROW(DROP_NONE, 0x0c, 0, 80, 0xff, 0xff, 0xff, 0xff, 0x0f),
	ROW(DROP_RANGE, 0x0c, 0, 80, 0x80, 0x80, 0x80, 0x80, 0x10), /* 2^32 */
	ROW(DROP_TRUNCATED, 0x0c, 0, 80, 0x81, 0x00),               /* 1 in two bytes */
	ROW(DROP_NONE, 0x14, 0, 80, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
	ROW(DROP_TRUNCATED, 0x14, 0, 80, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2),
	ROW(DROP_NONE, 0x84, 0x01, 0, 80, 0),
	ROW(DROP_NONE, 0x84, 0x01, 0, 80, 2, 'h', 'i'),
	ROW(DROP_TRUNCATED, 0x84, 0x01, 0, 80, 3, 'h', 'i'),
	ROW(DROP_RANGE, 0x84, 0x01, 0, 80, 17, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a',
	    'a', 'a', 'a', 'a', 'a', 'a', 'a'),
	ROW(DROP_RANGE, 0x84, 0x01, 0, 80, 2, 'h', 0),
	ROW(DROP_RANGE, 0x84, 0x01, 0, 80, 2, 'h', ' '),
	ROW(DROP_RANGE, 0x84, 0x01, 0, 80, 2, 'h', 0x7f),
	ROW(DROP_RANGE, 0x84, 0x01, 0, 80, 2, 'h', 0xe4),
	ROW(DROP_NONE, 0x84, 0x02, 0, 80, 0),
	ROW(DROP_NONE, 0x84, 0x02, 0, 80, 1, 2, 1, 5),
	ROW(DROP_TOO_MANY, 0x84, 0x02, 0, 80, 4, 2, 1, 5, 2, 1, 5, 2, 1, 5, 2, 1, 5),
	ROW(DROP_TRUNCATED, 0x84, 0x02, 0, 80, 2, 2, 1, 5),
	ROW(DROP_TRUNCATED, 0x84, 0x02, 0, 80, 1, 1, 1, 5),         /* escapes its length */
	ROW(DROP_TRUNCATED, 0x84, 0x02, 0, 80, 1, 0),
	ROW(DROP_MISSING_FIELD, 0x84, 0x02, 0, 80, 1, 1, 0),        /* inside the element */
	ROW(DROP_RANGE, 0x84, 0x02, 0, 80, 1, 2, 4, 5),             /* mask of the element */
	ROW(DROP_NONE, 0x04, 0, 80, 9, 1, 5),
	ROW(DROP_NONE, 0x04, 0, 80, 77, 3, 1, 2, 3),                /* unknown */
	ROW(DROP_NONE, 0x04, 0, 80, 9, 1, 5, 77, 0, 78, 1, 0),
	ROW(DROP_TRAILING, 0x04, 0, 80, 9, 2, 5, 5),
	ROW(DROP_TRUNCATED, 0x04, 0, 80, 9, 0),
	ROW(DROP_TRUNCATED, 0x04, 0, 80, 9, 2, 5),
	ROW(DROP_TRUNCATED, 0x04, 0, 80, 9),
	ROW(DROP_TRUNCATED, 0x04, 0, 80, 77, 4, 1, 2, 3),
	ROW(DROP_TRUNCATED, 0x04, 0, 80, 77, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
	ROW(DROP_RANGE, 0x04, 0, 80, 3, 1, 5),                      /* belongs in the mask */
	ROW(DROP_RANGE, 0x04, 0, 80, 9, 1, 5, 9, 1, 5),             /* twice */
	ROW(DROP_RANGE, 0x04, 0, 80, 77, 0, 9, 1, 5),               /* backwards */
	ROW(DROP_RANGE, 0x04, 0, 80, 77, 0, 77, 0),
	ROW(DROP_RANGE, 0x04, 0, 80, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0),
	ROW(DROP_RANGE, 0x04, 0, 80, 10, 4, 1, 2, 3, 4),            /* address, no family */
	ROW(DROP_NONE, 0x05, AF_INET, 0, 80, 10, 4, 1, 2, 3, 4),
	ROW(DROP_TRAILING, 0x05, AF_INET, 0, 80, 10, 5, 1, 2, 3, 4, 5),
};

static void codec_names_what_is_wrong(void **state)
{
	struct sample obj;

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		enum drop_reason want = refusals[i].reason;
		enum drop_reason got = decode(&sample_v2, refusals[i].bytes, refusals[i].len, &obj);

		if (got != want)
			fail_msg("row %zu: %s, not %s", i, drop_text(got), drop_text(want));
	}
	assert_int_equal(decode(&sample_v2, refusals[0].bytes, 0, &obj), DROP_TRUNCATED);
}

static void codec_mutated_input_is_refused_or_canonical(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES], again[LIMIT_FRAME_BYTES];
	unsigned accepted = 0;
	uint64_t x = SEED;
	union any obj, back;

	(void)state;
	print_message("# seed %d\n", SEED);
	for (unsigned i = 0; i < MUTATIONS; i++) {
		const struct schema *s = all[i % ALL];
		size_t len, again_len;

		random_object(s, &x, UINT64_MAX, &obj);
		len = encode(s, &obj, bytes, sizeof(bytes));
		for (uint64_t n = 1 + rnd(&x) % 4; n--;)
			bytes[rnd(&x) % len] = (uint8_t)rnd(&x);
		if (decode(s, bytes, len, &back) != DROP_NONE)
			continue;
		accepted++;
		again_len = encode(s, &back, again, sizeof(again));
		assert_true(again_len <= len); /* less: fields nobody knows were skipped */
		if (again_len == len)
			assert_memory_equal(again, bytes, len);
	}
	assert_true(accepted > MUTATIONS / 10);
}

static void codec_full_buffer_fails_and_stays_inside(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES];
	uint64_t x = SEED;
	union any obj;

	(void)state;
	for (unsigned i = 0; i < 20 * ALL; i++) {
		const struct schema *s = all[i % ALL];
		size_t len;

		random_object(s, &x, UINT64_MAX, &obj);
		len = encode(s, &obj, bytes, sizeof(bytes));
		while (len--) {
			uint8_t *small = malloc(len ? len : 1);
			struct wbuf w = wbuf_of(small, len);

			assert_non_null(small);
			codec_encode(s, &obj, UINT64_MAX, &w);
			assert_true(w.failed);
			free(small);
		}
	}
}

static void codec_mask_chooses_fields(void **state)
{
	uint8_t bytes[LIMIT_RECORD_BYTES];
	struct ct ct = plain_tcp(), other = plain_tcp();
	struct wbuf w = wbuf_of(bytes, sizeof(bytes)), w2;
	uint8_t bytes2[LIMIT_RECORD_BYTES];

	(void)state;
	codec_encode(&schema_ct, &ct, schema_ct.keys, &w);
	assert_int_equal(wbuf_len(&w), 1 + 2 + 8 + 4);
	other.timeout = 5;
	other.status = 0;
	w2 = wbuf_of(bytes2, sizeof(bytes2));
	codec_encode(&schema_ct, &other, schema_ct.keys, &w2);
	assert_int_equal(wbuf_len(&w2), wbuf_len(&w));
	assert_memory_equal(bytes, bytes2, wbuf_len(&w));
}

/* What no decoder would take is not sent: the sender learns it, not the receiver. */
static void codec_does_not_write_what_it_would_not_read(void **state)
{
	uint8_t bytes[LIMIT_FRAME_BYTES];
	struct sample obj[5];

	(void)state;
	memset(obj, 0, sizeof(obj));
	for (unsigned i = 0; i < 5; i++)
		SET_HAS(&obj[i], S_PORT);
	SET_HAS(&obj[0], S_ADDR); /* without family */
	SET_HAS(&obj[1], S_NAME);
	strcpy(obj[1].name, "two words");
	SET_HAS(&obj[2], S_NAME);
	memset(obj[2].name, 'x', sizeof(obj[2].name)); /* no end */
	SET_HAS(&obj[3], S_ITEMS);
	obj[3].items_count = 4;
	SET_HAS(&obj[4], S_LATER_ITEMS);
	obj[4].later_items_count = UINT32_MAX;
	for (unsigned i = 0; i < 5; i++) {
		struct wbuf w = wbuf_of(bytes, sizeof(bytes));

		codec_encode(&sample_v2, &obj[i], UINT64_MAX, &w);
		assert_true(w.failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec_bytes_of_a_session_do_not_change),
		cmocka_unit_test(codec_largest_session_fits_its_limit),
		cmocka_unit_test(codec_random_objects_come_back_unchanged),
		cmocka_unit_test(codec_refuses_truncation_at_every_byte),
		cmocka_unit_test(codec_truncation_among_later_fields_never_invents),
		cmocka_unit_test(codec_old_member_skips_what_a_new_one_adds),
		cmocka_unit_test(codec_names_what_is_wrong),
		cmocka_unit_test(codec_mutated_input_is_refused_or_canonical),
		cmocka_unit_test(codec_full_buffer_fails_and_stays_inside),
		cmocka_unit_test(codec_mask_chooses_fields),
		cmocka_unit_test(codec_does_not_write_what_it_would_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
