/* seal_test.c: only members of the group make frames, each frame once */
#include "wire/seal.h"

#include "wire/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char hello[] = "forty-two sessions";
enum { HELLO = sizeof(hello) - 1, FRAME = HELLO + SEAL_OVERHEAD };
enum { BOTH = SEAL_ENCRYPTED | SEAL_AUTHENTICATED };

struct box {
	uint8_t bytes[256];
	size_t len;
};

/* Keys of a fixed pattern, so that only the tests of seal_derive() pay for Argon2id. */
static struct seal_config config(const char *serial, uint64_t incarnation, uint8_t flags)
{
	struct seal_config c = { .flags = flags, .plane = SEAL_PLANE_SYNC, .group_id = 7,
				 .incarnation = incarnation };

	memset(c.key.bytes, 0x5a, sizeof(c.key.bytes));
	snprintf(c.serial, sizeof(c.serial), "%s", serial);
	return c;
}

static struct seal *member(const char *serial, uint64_t incarnation, uint8_t flags)
{
	struct seal_config c = config(serial, incarnation, flags);

	return seal_new(&c);
}

static struct box make(struct seal *seal)
{
	struct box b;
	struct wbuf w = seal_payload(b.bytes, sizeof(b.bytes));

	memset(b.bytes, 0xee, sizeof(b.bytes));
	wbuf_bytes(&w, hello, HELLO);
	b.len = seal_close(seal, FRAME_SYNC_DATA, b.bytes, wbuf_len(&w));
	assert_int_equal(b.len, FRAME);
	return b;
}

/* A copy is opened, so that the same box can come twice. */
static enum drop_reason open_copy(struct seal *seal, struct box b)
{
	struct frame_head head;
	struct rbuf payload;

	return seal_open(seal, b.bytes, b.len, &head, &payload);
}

static enum drop_reason open_first(struct box b, const struct seal_config *c)
{
	struct seal *seal = seal_new(c);
	enum drop_reason reason = open_copy(seal, b);

	seal_free(seal);
	return reason;
}

static void seal_frame_opens_and_says_who_sent_it(void **state)
{
	static const uint8_t modes[] = { 0, SEAL_ENCRYPTED, SEAL_AUTHENTICATED, BOTH };

	(void)state;
	for (size_t i = 0; i < sizeof(modes); i++) {
		struct seal *a = member("SN-A", 11, modes[i]), *b = member("SN-B", 22, modes[i]);
		struct box box = make(a);
		struct frame_head head;
		struct rbuf payload;
		bool is_clear = memcmp(box.bytes + SEAL_HEAD_BYTES, hello, HELLO) == 0;

		assert_int_equal(is_clear, !(modes[i] & SEAL_ENCRYPTED));
		assert_int_equal(seal_open(b, box.bytes, box.len, &head, &payload), DROP_NONE);
		assert_int_equal(head.type, FRAME_SYNC_DATA);
		assert_string_equal(head.serial, "SN-A");
		assert_int_equal(head.incarnation, 11);
		assert_int_equal(head.counter, 1);
		assert_int_equal(rbuf_left(&payload), HELLO);
		assert_memory_equal(payload.p, hello, HELLO);
		seal_free(a);
		seal_free(b);
	}
}

static void seal_empty_payload_and_sixteen_byte_serial_work(void **state)
{
	struct seal *a = member("0123456789abcdef", 1, BOTH), *b = member("B", 2, BOTH);
	uint8_t frame[SEAL_OVERHEAD];
	struct wbuf w = seal_payload(frame, sizeof(frame));
	struct frame_head head;
	struct rbuf payload;

	(void)state;
	assert_false(w.failed);
	assert_int_equal(wbuf_left(&w), 0);
	assert_true(seal_payload(frame, SEAL_OVERHEAD - 1).failed);
	assert_int_equal(seal_close(a, FRAME_HEARTBEAT, frame, 0), SEAL_OVERHEAD);
	assert_int_equal(seal_open(b, frame, sizeof(frame), &head, &payload), DROP_NONE);
	assert_string_equal(head.serial, "0123456789abcdef");
	assert_true(rbuf_at_end(&payload));
	seal_free(a);
	seal_free(b);
}

/* The wire is frozen: this frame was made by the first version. */
static void seal_bytes_on_the_wire_do_not_change(void **state)
{
	static const uint8_t head[SEAL_HEAD_BYTES] = {
		'F', 'K', 1, 16, 3, 2, 0, 7, 'S', 'N', '-', 'A', 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1,
	};
	static const uint8_t rest[HELLO + SEAL_TAG_BYTES] = {
		0xaf, 0x6f, 0x38, 0x7a, 0xef, 0xc4, 0x72, 0xc1, 0xfc, 0x9c, 0x5e, 0xa1, 0xf9,
		0xb9, 0x20, 0x52, 0x16, 0x6a, 0x6a, 0x26, 0x54, 0x01, 0xab, 0x84, 0xef, 0x5b,
		0x4f, 0x39, 0x30, 0x96, 0x6e, 0x7f, 0xdb, 0x11,
	};
	struct seal *a = member("SN-A", 11, BOTH);
	struct box box = make(a);

	(void)state;
	assert_memory_equal(box.bytes, head, sizeof(head));
	assert_memory_equal(box.bytes + sizeof(head), rest, sizeof(rest));
	seal_free(a);
}

static void seal_refuses_every_flipped_bit(void **state)
{
	static const uint8_t modes[] = { 0, SEAL_AUTHENTICATED, BOTH };

	(void)state;
	for (size_t i = 0; i < sizeof(modes); i++) {
		struct seal *a = member("SN-A", 11, modes[i]), *b = member("SN-B", 22, modes[i]);
		struct box box = make(a);

		for (size_t bit = 0; bit < box.len * 8; bit++) {
			struct box bad = box;

			bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_not_equal(open_copy(b, bad), DROP_NONE);
		}
		assert_int_equal(open_copy(b, box), DROP_NONE); /* nothing was believed */
		seal_free(a);
		seal_free(b);
	}
}

static void seal_refuses_every_other_length(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH), *b = member("SN-B", 22, BOTH);
	struct box box = make(a);

	(void)state;
	for (size_t len = 0; len <= FRAME + 8; len++) {
		/* Of exactly that size, so that ASan sees a read behind the end. */
		uint8_t *frame = malloc(len ? len : 1);
		struct frame_head head;
		struct rbuf payload;

		assert_non_null(frame);
		memcpy(frame, box.bytes, len);
		if (len != FRAME)
			assert_int_equal(seal_open(b, frame, len, &head, &payload),
					 len < SEAL_OVERHEAD ? DROP_SHORT : DROP_AUTH);
		free(frame);
	}
	seal_free(a);
	seal_free(b);
}

static void seal_names_each_step_of_the_ladder(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum drop_reason reason;
	} rows[] = {
		{ 0, 'X', DROP_MAGIC },     { 2, 2, DROP_WIRE_VERSION },
		{ 5, 1, DROP_BAD_PATH },    { 7, 8, DROP_GROUP },
		{ 8, 0x1b, DROP_RANGE },    { 8, 0, DROP_RANGE },
		{ 20, 'x', DROP_RANGE },    { 4, 0, DROP_SECURITY },
		{ 4, 1, DROP_SECURITY },    { 4, 2, DROP_SECURITY },
		{ 3, 1, DROP_AUTH },        { 39, 9, DROP_AUTH },
		{ 31, 12, DROP_AUTH },      { 11, 'C', DROP_AUTH },
	};
	struct seal *a = member("SN-A", 11, BOTH), *b = member("SN-B", 22, BOTH);
	struct box box = make(a);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct box bad = box;

		bad.bytes[rows[i].at] = rows[i].value;
		assert_int_equal(open_copy(b, bad), rows[i].reason);
	}
	seal_free(a);
	seal_free(b);
}

static void seal_keys_differ_by_password_plane_and_group(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH);
	struct box box = make(a);
	struct seal_config good = config("SN-B", 22, BOTH), bad = good;

	(void)state;
	assert_int_equal(open_first(box, &good), DROP_NONE);
	bad.key.bytes[31] ^= 1;
	assert_int_equal(open_first(box, &bad), DROP_AUTH);
	bad = good;
	bad.plane = SEAL_PLANE_HEARTBEAT;
	assert_int_equal(open_first(box, &bad), DROP_BAD_PATH);
	box.bytes[5] = SEAL_PLANE_HEARTBEAT;
	assert_int_equal(open_first(box, &bad), DROP_AUTH);
	seal_free(a);
}

static void seal_without_security_needs_no_common_password(void **state)
{
	struct seal *a = member("SN-A", 11, 0);
	struct seal_config other = config("SN-B", 22, 0);

	(void)state;
	memset(other.key.bytes, 1, sizeof(other.key.bytes));
	assert_int_equal(open_first(make(a), &other), DROP_NONE);
	seal_free(a);
}

static void seal_refuses_replays_but_not_reordering(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH), *b = member("SN-B", 22, BOTH);
	struct box first = make(a), second = make(a), third = make(a);

	(void)state;
	assert_int_equal(open_copy(b, third), DROP_NONE);
	assert_int_equal(open_copy(b, first), DROP_NONE);
	assert_int_equal(open_copy(b, second), DROP_NONE);
	assert_int_equal(open_copy(b, first), DROP_REPLAY);
	assert_int_equal(open_copy(b, second), DROP_REPLAY);
	assert_int_equal(open_copy(b, third), DROP_REPLAY);
	for (unsigned i = 0; i < LIMIT_REPLAY_WINDOW + 1; i++)
		second = make(a);
	first = make(a);
	assert_int_equal(open_copy(b, first), DROP_NONE);
	assert_int_equal(open_copy(b, third), DROP_REPLAY);
	seal_free(a);
	seal_free(b);
}

static void seal_never_repeats_a_counter(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH);

	(void)state;
	for (unsigned i = 1; i < 1000; i++) {
		struct box box = make(a);
		struct rbuf r = rbuf_of(box.bytes + 32, 8);

		assert_int_equal(rbuf_be64(&r), i);
	}
	seal_free(a);
}

static void seal_knows_its_own_frames_and_a_proven_double(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH), *twin = member("SN-A", 12, BOTH);
	struct box box = make(twin);
	struct frame_head head;
	struct rbuf payload;

	(void)state;
	assert_int_equal(open_copy(a, make(a)), DROP_OWN);
	box.bytes[FRAME - 1] ^= 1;
	assert_int_equal(open_copy(a, box), DROP_AUTH);
	box.bytes[FRAME - 1] ^= 1;
	assert_int_equal(seal_open(a, box.bytes, box.len, &head, &payload), DROP_SERIAL_CLASH);
	assert_string_equal(head.serial, "SN-A");
	assert_int_equal(head.incarnation, 12);
	assert_int_equal(rbuf_left(&payload), HELLO);
	assert_memory_equal(payload.p, hello, HELLO);
	seal_free(a);
	seal_free(twin);
}

/* However many doubles and earlier lives are heard, nobody else loses a slot or a window for it. */
static void seal_moves_nothing_for_a_double(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH), *b = member("SN-B", 22, BOTH);
	struct box box = make(b);

	(void)state;
	assert_int_equal(open_copy(a, box), DROP_NONE);
	for (uint64_t life = 100; life < 100 + 2 * LIMIT_SENDERS; life++) {
		struct seal *twin = member("SN-A", life, BOTH);
		struct box double_box = make(twin);

		assert_int_equal(open_copy(a, double_box), DROP_SERIAL_CLASH);
		assert_int_equal(open_copy(a, double_box), DROP_SERIAL_CLASH);
		seal_free(twin);
	}
	assert_int_equal(open_copy(a, box), DROP_REPLAY);
	seal_free(a);
	seal_free(b);
}

static void seal_reports_the_unproven_claim_for_counting(void **state)
{
	struct seal *a = member("SN-A", 11, BOTH), *b = member("SN-B", 22, BOTH);
	struct box box = make(a);
	struct frame_head head;
	struct rbuf payload;

	(void)state;
	box.bytes[FRAME - 1] ^= 1;
	assert_int_equal(seal_open(b, box.bytes, box.len, &head, &payload), DROP_AUTH);
	assert_string_equal(head.serial, "SN-A");
	seal_free(a);
	seal_free(b);
}

/* Recordings of old lives are authentic and want slots: living members keep theirs. */
static void seal_pinned_sender_outlives_a_flood_of_recordings(void **state)
{
	struct seal *living = member("SN-A", 11, BOTH), *free_one = member("SN-C", 33, BOTH);
	struct seal *b = member("SN-B", 22, BOTH);
	struct box pinned = make(living), loose = make(free_one);

	(void)state;
	assert_int_equal(open_copy(b, pinned), DROP_NONE);
	assert_int_equal(open_copy(b, loose), DROP_NONE);
	seal_pin(b, "SN-A", 11, true);
	seal_pin(b, "SN-A", 999, true); /* nobody: nothing happens */
	for (uint64_t life = 100; life < 100 + 2 * LIMIT_SENDERS; life++) {
		struct seal *old = member("SN-A", life, BOTH);

		assert_int_equal(open_copy(b, make(old)), DROP_NONE);
		seal_free(old);
	}
	assert_int_equal(open_copy(b, pinned), DROP_REPLAY);
	assert_int_equal(open_copy(b, make(living)), DROP_NONE);
	assert_int_equal(open_copy(b, loose), DROP_NONE); /* forgotten: not pinned */
	seal_free(living);
	seal_free(free_one);
	seal_free(b);
}

static void seal_evicts_the_least_recently_heard(void **state)
{
	struct seal *b = member("SN-B", 22, BOTH), *senders[LIMIT_SENDERS + 1];
	struct box boxes[LIMIT_SENDERS + 1];

	(void)state;
	for (unsigned i = 0; i <= LIMIT_SENDERS; i++) {
		senders[i] = member("SN-A", 100 + i, BOTH);
		boxes[i] = make(senders[i]);
		if (i == LIMIT_SENDERS)
			assert_int_equal(open_copy(b, make(senders[0])), DROP_NONE);
		assert_int_equal(open_copy(b, boxes[i]), DROP_NONE);
	}
	assert_int_equal(open_copy(b, boxes[0]), DROP_REPLAY);
	assert_int_equal(open_copy(b, boxes[2]), DROP_REPLAY);
	assert_int_equal(open_copy(b, boxes[1]), DROP_NONE);
	for (unsigned i = 0; i <= LIMIT_SENDERS; i++)
		seal_free(senders[i]);
	seal_free(b);
}

static void seal_takes_no_sender_when_all_slots_are_pinned(void **state)
{
	struct seal *b = member("SN-B", 22, BOTH);

	(void)state;
	for (uint64_t i = 0; i <= LIMIT_SENDERS; i++) {
		struct seal *a = member("SN-A", 100 + i, BOTH);

		assert_int_equal(open_copy(b, make(a)),
				 i < LIMIT_SENDERS ? DROP_NONE : DROP_CLUSTER_FULL);
		seal_pin(b, "SN-A", 100 + i, true);
		seal_free(a);
	}
	seal_free(b);
}

static void seal_group_key_depends_on_password_name_and_id(void **state)
{
	static const uint8_t zero[32];
	static const uint8_t golden[] = { 0x80, 0x1b, 0xab, 0xa8, 0xc1, 0xba, 0xe4, 0xdb };
	struct seal_key key, other;

	(void)state;
	assert_int_equal(seal_derive("secret", "office", 7, &key), 0);
	assert_memory_equal(key.bytes, golden, sizeof(golden));
	assert_int_equal(seal_derive("secret", "office", 7, &other), 0);
	assert_memory_equal(&key, &other, sizeof(key));
	assert_int_equal(seal_derive("Secret", "office", 7, &other), 0);
	assert_memory_not_equal(&key, &other, sizeof(key));
	assert_int_equal(seal_derive("secret", "home", 7, &other), 0);
	assert_memory_not_equal(&key, &other, sizeof(key));
	assert_int_equal(seal_derive("secret", "office", 8, &other), 0);
	assert_memory_not_equal(&key, &other, sizeof(key));
	assert_int_equal(seal_derive("", "office", 7, &other), 0);
	assert_memory_equal(other.bytes, zero, sizeof(zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seal_frame_opens_and_says_who_sent_it),
		cmocka_unit_test(seal_empty_payload_and_sixteen_byte_serial_work),
		cmocka_unit_test(seal_bytes_on_the_wire_do_not_change),
		cmocka_unit_test(seal_refuses_every_flipped_bit),
		cmocka_unit_test(seal_refuses_every_other_length),
		cmocka_unit_test(seal_names_each_step_of_the_ladder),
		cmocka_unit_test(seal_keys_differ_by_password_plane_and_group),
		cmocka_unit_test(seal_without_security_needs_no_common_password),
		cmocka_unit_test(seal_refuses_replays_but_not_reordering),
		cmocka_unit_test(seal_never_repeats_a_counter),
		cmocka_unit_test(seal_knows_its_own_frames_and_a_proven_double),
		cmocka_unit_test(seal_moves_nothing_for_a_double),
		cmocka_unit_test(seal_reports_the_unproven_claim_for_counting),
		cmocka_unit_test(seal_pinned_sender_outlives_a_flood_of_recordings),
		cmocka_unit_test(seal_evicts_the_least_recently_heard),
		cmocka_unit_test(seal_takes_no_sender_when_all_slots_are_pinned),
		cmocka_unit_test(seal_group_key_depends_on_password_name_and_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
