/* buf_test.c: cursors never leave their buffer, and one value has one encoding */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void buf_reads_what_it_wrote(void **state)
{
	uint8_t data[64];
	struct wbuf w = wbuf_of(data, sizeof(data));
	struct rbuf r;
	char text[3];

	(void)state;
	wbuf_u8(&w, 0xfe);
	wbuf_be16(&w, 0x1234);
	wbuf_be32(&w, 0xdeadbeef);
	wbuf_be64(&w, 0x0123456789abcdef);
	wbuf_varint(&w, 300);
	wbuf_bytes(&w, "abc", 3);
	assert_false(w.failed);
	assert_int_equal(wbuf_len(&w), 1 + 2 + 4 + 8 + 2 + 3);
	assert_int_equal(data[1], 0x12);
	r = rbuf_of(data, wbuf_len(&w));
	assert_int_equal(rbuf_u8(&r), 0xfe);
	assert_int_equal(rbuf_be16(&r), 0x1234);
	assert_int_equal(rbuf_be32(&r), 0xdeadbeef);
	assert_int_equal(rbuf_be64(&r), 0x0123456789abcdef);
	assert_int_equal(rbuf_varint(&r), 300);
	assert_false(rbuf_at_end(&r));
	rbuf_bytes(&r, text, 3);
	assert_memory_equal(text, "abc", 3);
	assert_true(rbuf_at_end(&r));
}

static void buf_read_past_end_fails_for_good(void **state)
{
	static const uint8_t data[] = { 1, 2, 3 };
	struct rbuf r = rbuf_of(data, sizeof(data));
	uint8_t out[4] = { 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(rbuf_be32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(rbuf_u8(&r), 0);
	assert_int_equal(rbuf_left(&r), 0);
	assert_false(rbuf_at_end(&r));
	rbuf_bytes(&r, out, sizeof(out));
	assert_memory_equal(out, "\0\0\0\0", 4);
	r = rbuf_of(data, sizeof(data));
	assert_null(rbuf_view(&r, SIZE_MAX));
}

static void buf_write_past_end_fails_for_good(void **state)
{
	uint8_t data[4] = { 0 };
	struct wbuf w = wbuf_of(data, 3);

	(void)state;
	wbuf_be16(&w, 0x0102);
	wbuf_be16(&w, 0x0304);
	assert_true(w.failed);
	wbuf_u8(&w, 5);
	assert_int_equal(wbuf_len(&w), 2);
	assert_int_equal(wbuf_left(&w), 0);
	assert_memory_equal(data, "\1\2\0\0", 4);
	assert_null(wbuf_reserve(&w, 0));
}

static void buf_cut_holds_the_inner_reader(void **state)
{
	static const uint8_t data[] = { 1, 2, 3, 4 };
	struct rbuf r = rbuf_of(data, sizeof(data));
	struct rbuf sub = rbuf_cut(&r, 2);
	struct rbuf none;

	(void)state;
	assert_int_equal(rbuf_be16(&sub), 0x0102);
	rbuf_u8(&sub);
	assert_true(sub.failed);
	assert_false(r.failed);
	assert_int_equal(rbuf_u8(&r), 3);
	none = rbuf_cut(&r, 2);
	assert_true(none.failed);
	assert_true(r.failed);
	assert_int_equal(rbuf_u8(&none), 0);
}

static void varint_round_trips_at_its_borders(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift <= 64; shift++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t v = (shift < 64 ? UINT64_C(1) << shift : 0) + (uint64_t)delta;
			uint8_t data[10];
			struct wbuf w = wbuf_of(data, sizeof(data));
			struct rbuf r;

			wbuf_varint(&w, v);
			assert_false(w.failed);
			assert_int_equal(wbuf_len(&w), varint_size(v));
			r = rbuf_of(data, wbuf_len(&w));
			assert_true(rbuf_varint(&r) == v);
			assert_true(rbuf_at_end(&r));
			r = rbuf_of(data, wbuf_len(&w) - 1);
			rbuf_varint(&r);
			assert_true(r.failed);
		}
	}
}

static void varint_refuses_other_encodings(void **state)
{
	static const struct {
		uint8_t bytes[11];
		size_t len;
	} cases[] = {
		{ { 0x80, 0x00 }, 2 },       /* zero in two bytes */
		{ { 0xff, 0x80, 0x00 }, 3 }, /* 127 in three */
		/* 65 bits, and eleven bytes */
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 10 },
		{ { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 0x01 }, 11 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rbuf r = rbuf_of(cases[i].bytes, cases[i].len);

		assert_int_equal(rbuf_varint(&r), 0);
		assert_true(r.failed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_reads_what_it_wrote),
		cmocka_unit_test(buf_read_past_end_fails_for_good),
		cmocka_unit_test(buf_write_past_end_fails_for_good),
		cmocka_unit_test(buf_cut_holds_the_inner_reader),
		cmocka_unit_test(varint_round_trips_at_its_borders),
		cmocka_unit_test(varint_refuses_other_encodings),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
