/* store_test.c: the store against a model: content, digest, version order, cursors, tombstones */
#include "record/store.h"

#include "schema.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct store_keys keys = { .hash = { 1, 2, 3 }, .digest = { 4, 5, 6 } };
/* Another process of the same group: other buckets, the same digest. */
static const struct store_keys other_keys = { .hash = { 9, 8, 7 }, .digest = { 4, 5, 6 } };

/* Session number `id`; `life` makes its state differ, and now and then its length. */
static struct ct session(uint32_t id, uint32_t life)
{
	struct ct ct = { .l3 = AF_INET, .l4 = IPPROTO_TCP, .src = { .family = AF_INET },
			 .dst = { .family = AF_INET }, .sport = (uint16_t)id, .dport = 80,
			 .status = life, .timeout = 30 };

	ct.src.bytes[0] = 10;
	ct.src.bytes[2] = (uint8_t)(id >> 24);
	ct.src.bytes[3] = (uint8_t)(id >> 16);
	ct.dst.bytes[0] = 192;
	SET_HAS(&ct, CT_L3);
	SET_HAS(&ct, CT_L4);
	SET_HAS(&ct, CT_SRC);
	SET_HAS(&ct, CT_DST);
	SET_HAS(&ct, CT_SPORT);
	SET_HAS(&ct, CT_DPORT);
	SET_HAS(&ct, CT_STATUS);
	SET_HAS(&ct, CT_TIMEOUT);
	if (life % 3 == 1) {
		strcpy(ct.helper, "ftp");
		SET_HAS(&ct, CT_HELPER);
	}
	return ct;
}

static struct store_entry *put(struct store *store, uint32_t id, uint32_t life, uint64_t version)
{
	struct ct ct = session(id, life);
	struct store_entry *entry = NULL;

	assert_int_equal(store_put(store, &ct, version, &entry), 0);
	return entry;
}

static struct store_entry *find(const struct store *store, uint32_t id)
{
	struct ct ct = session(id, 0);

	return store_find(store, &ct);
}

static uint32_t life_of(const struct store *store, const struct store_entry *entry)
{
	struct ct ct;

	store_read(store, entry, &ct);
	return ct.status;
}

static void store_replaces_by_key(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 10);
	struct store_entry *entry;
	struct ct ct = session(7, 6);

	(void)state;
	assert_null(find(store, 7));
	entry = put(store, 7, 5, 1);
	entry->flags |= ENTRY_IN_KERNEL;
	assert_ptr_equal(find(store, 7), entry);
	assert_ptr_equal(store_find_hash(store, entry->hash), entry);
	assert_false(store_differs(store, entry, &(struct ct[]){ session(7, 5) }[0]));
	assert_true(store_differs(store, entry, &ct));
	for (uint32_t life = 6; life < 12; life++)
		entry = put(store, 7, life, life);
	assert_int_equal(life_of(store, entry), 11);
	assert_int_equal(entry->flags, ENTRY_IN_KERNEL);
	assert_int_equal(store_live(store), 1);
	assert_int_equal(store_head(store), 11);
	/* Timing is neither compared nor digested. */
	ct = session(7, 11);
	ct.timeout = 9;
	assert_false(store_differs(store, entry, &ct));
	store_free(store);
}

static void store_keeps_keys_apart(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 10);
	struct ct plain = session(1, 0), zoned = plain, v6 = plain;
	struct store_entry *a, *b, *c;

	(void)state;
	zoned.zone = 3;
	SET_HAS(&zoned, CT_ZONE);
	v6.l3 = v6.src.family = v6.dst.family = AF_INET6;
	assert_int_equal(store_put(store, &plain, 1, &a), 0);
	assert_int_equal(store_put(store, &zoned, 2, &b), 0);
	assert_int_equal(store_put(store, &v6, 3, &c), 0);
	assert_int_equal(store_live(store), 3);
	assert_ptr_equal(store_find(store, &plain), a);
	assert_ptr_equal(store_find(store, &zoned), b);
	assert_ptr_equal(store_find(store, &v6), c);
	store_free(store);
}

static void store_tombstones_keep_the_key_only(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 10);
	struct store_entry *entry = put(store, 1, 4, 1);
	uint64_t digest;
	struct ct ct;

	(void)state;
	digest = store_digest(store);
	entry->flags |= ENTRY_IN_KERNEL | ENTRY_DOOMED;
	store_remove(store, entry, 2);
	entry = find(store, 1);
	assert_non_null(entry);
	assert_int_equal(entry->flags, ENTRY_TOMB);
	assert_int_equal(entry->node.version, 2);
	assert_int_equal(store_live(store), 0);
	assert_int_equal(store_tombs(store), 1);
	assert_int_equal(store_digest(store), 0);
	store_read(store, entry, &ct);
	assert_int_equal(ct.sport, 1);
	assert_false(HAS(&ct, CT_STATUS));
	assert_true(store_differs(store, entry, &(struct ct[]){ session(1, 4) }[0]));
	/* A new life of the key begins without the flags of the old one. */
	entry = put(store, 1, 4, 3);
	assert_int_equal(entry->flags, 0);
	assert_int_equal(store_tombs(store), 0);
	assert_int_equal(store_digest(store), digest);
	store_drop(store, entry);
	assert_null(find(store, 1));
	assert_int_equal(store_digest(store), 0);
	assert_int_equal(store_live(store) + store_tombs(store), 0);
	store_free(store);
}

/* What ends is often old: a search for its place would pass everything that changed since. */
static void tombstone_of_the_same_version_stays_in_its_place(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 10);
	struct store_entry *first = put(store, 1, 0, 1), *entry = put(store, 2, 0, 2);
	struct store_entry *last = put(store, 3, 0, 3);
	uint64_t digest = store_digest(store);
	struct store_cursor cursor;

	(void)state;
	store_cursor_init(store, &cursor);
	store_cursor_seek(store, &cursor, 1);
	store_remove(store, entry, 2);
	assert_true(entry->flags & ENTRY_TOMB);
	assert_ptr_equal(store_after(store, first), entry);
	assert_ptr_equal(store_after(store, entry), last);
	assert_ptr_equal(store_cursor_peek(store, &cursor), entry);
	assert_int_equal(store_live(store), 2);
	assert_int_equal(store_tombs(store), 1);
	assert_int_equal(store_head(store), 3);
	assert_true(store_digest(store) != digest);
	store_drop(store, entry);
	assert_int_equal(store_tombs(store), 0);
	assert_ptr_equal(store_after(store, first), last);
	store_cursor_fini(&cursor);
	store_free(store);
}

static void store_digest_depends_on_content_only(void **state)
{
	struct store *a = store_new(&schema_ct, &keys, 1000);
	struct store *b = store_new(&schema_ct, &other_keys, 1000);
	uint64_t version = 0;

	(void)state;
	for (uint32_t id = 0; id < 500; id++)
		put(a, id, id, ++version);
	version = 0;
	for (uint32_t id = 500; id-- > 0;) {
		put(b, id, 77, ++version);
		put(b, id, id, ++version);
	}
	put(b, 900, 1, ++version);
	assert_int_not_equal(store_digest(a), store_digest(b));
	store_remove(b, find(b, 900), ++version);
	assert_int_equal(store_digest(a), store_digest(b));
	for (unsigned r = 0; r < STORE_RANGES; r++)
		assert_int_equal(store_range_digest(a, r), store_range_digest(b, r));
	put(b, 250, 251, ++version);
	assert_int_not_equal(store_digest(a), store_digest(b));
	for (unsigned r = 0; r < STORE_RANGES; r++) /* that range differs, and no other */
		assert_int_equal(store_range_digest(a, r) != store_range_digest(b, r),
				 r == store_range_of(find(a, 250)));
	store_free(a);
	store_free(b);
}

/* Clients behind one translation, one port after the other: every range gets its part. */
static void ranges_are_of_like_size(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 100000);
	unsigned count[STORE_RANGES] = { 0 };

	(void)state;
	for (uint32_t id = 0; id < 50 * STORE_RANGES; id++)
		count[store_range_of(put(store, id, 1, id + 1))]++;
	for (unsigned r = 0; r < STORE_RANGES; r++)
		assert_in_range(count[r], 15, 100);
	store_free(store);
}

static struct store_entry *put_young(struct store *store, uint32_t id, uint32_t life, int64_t due)
{
	struct ct ct = session(id, life);
	struct store_record record;
	struct store_entry *entry = NULL;

	assert_int_equal(store_prepare(store, &ct, &record), 0);
	assert_int_equal(store_put_young(store, &record, due, store_find(store, &ct), &entry), 0);
	return entry;
}

static void young_records_are_known_to_nobody(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 4);
	struct ct ct = session(9, 9);
	struct store_entry *e;
	int64_t due = 0;

	(void)state;
	put(store, 1, 1, 1);
	put_young(store, 2, 0, 100);
	put_young(store, 3, 0, 200);
	put_young(store, 2, 1, 300); /* longer now, and still the oldest */
	assert_int_equal(store_live(store), 1);
	assert_int_equal(store_young(store), 2);
	assert_int_equal(store_head(store), 1);
	assert_ptr_equal(store_after(store, store_first(store)), NULL);
	assert_int_equal(store_digest(store), store_first(store)->digest);
	e = store_first_young(store, &due);
	assert_ptr_equal(e, find(store, 2));
	assert_int_equal(life_of(store, e), 1);
	assert_int_equal(due, 100);
	assert_ptr_equal(store_next_young(store, e), find(store, 3));
	/* They count against the cap. */
	put(store, 4, 1, 2);
	assert_int_equal(store_put(store, &ct, 3, &e), -ENOSPC);
	store_publish(store, find(store, 2), 3);
	assert_int_equal(store_live(store), 3);
	assert_int_equal(find(store, 2)->node.version, 3);
	assert_false(find(store, 2)->flags & ENTRY_YOUNG);
	/* Whoever ends young leaves nothing. */
	store_remove(store, find(store, 3), 4);
	assert_null(find(store, 3));
	assert_int_equal(store_tombs(store), 0);
	assert_null(store_first_young(store, &due));
	/* Put as any other: told at once. */
	put_young(store, 5, 0, 100);
	put(store, 5, 1, 5);
	assert_int_equal(store_young(store), 0);
	assert_int_equal(store_live(store), 4);
	store_drop(store, find(store, 5));
	put_young(store, 6, 0, 100);
	store_free(store);
}

static void store_refuses_beyond_its_cap(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 3);
	struct ct ct = session(9, 0);
	struct store_entry *untouched = NULL;

	(void)state;
	for (uint32_t id = 0; id < 3; id++)
		put(store, id, 0, id + 1);
	assert_int_equal(store_put(store, &ct, 4, &untouched), -ENOSPC);
	assert_null(untouched);
	assert_int_equal(store_head(store), 3);
	put(store, 1, 5, 4); /* what is there can change */
	store_remove(store, find(store, 2), 5);
	assert_int_equal(store_put(store, &ct, 6, &untouched), -ENOSPC);
	store_forget_tombs(store, 5);
	put(store, 9, 0, 6);
	store_clear(store);
	assert_int_equal(store_live(store), 0);
	store_free(store);
}

static void expect_next(struct store *store, struct store_cursor *cursor, uint32_t id,
			uint64_t version)
{
	struct store_entry *entry = store_cursor_peek(store, cursor);

	assert_non_null(entry);
	assert_ptr_equal(entry, find(store, id));
	assert_int_equal(entry->node.version, version);
	store_cursor_pass(cursor, entry);
	assert_int_equal(cursor->position, version);
}

static void cursor_sees_each_change_once(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 100);
	struct store_cursor cursor;

	(void)state;
	store_cursor_init(store, &cursor);
	assert_null(store_cursor_peek(store, &cursor));
	for (uint32_t id = 1; id <= 4; id++)
		put(store, id, 0, id);
	expect_next(store, &cursor, 1, 1);
	expect_next(store, &cursor, 2, 2);
	/* 3 moves to the tail under the cursor, and so do 1 and 2, which lie behind it. */
	put(store, 3, 1, 5);
	put(store, 1, 1, 6);
	store_remove(store, find(store, 2), 7);
	expect_next(store, &cursor, 4, 4);
	expect_next(store, &cursor, 3, 5);
	expect_next(store, &cursor, 1, 6);
	expect_next(store, &cursor, 2, 7);
	assert_null(store_cursor_peek(store, &cursor));
	/* What it would see next may be dropped. */
	put(store, 5, 0, 8);
	put(store, 6, 0, 9);
	store_drop(store, find(store, 5));
	expect_next(store, &cursor, 6, 9);
	store_cursor_fini(&cursor);
	store_free(store);
}

static void cursors_seek_and_join(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 100);
	struct store_cursor a, b;

	(void)state;
	store_cursor_init(store, &a);
	store_cursor_init(store, &b);
	for (uint32_t id = 1; id <= 9; id++)
		put(store, id, 0, 10 * id);
	store_cursor_seek(store, &a, 35); /* between two */
	expect_next(store, &a, 4, 40);
	store_cursor_join(&b, &a);
	assert_int_equal(b.position, 40);
	store_cursor_seek(store, &a, 0);
	expect_next(store, &a, 1, 10);
	expect_next(store, &b, 5, 50);
	store_cursor_seek(store, &b, 20);
	expect_next(store, &b, 3, 30);
	store_cursor_seek(store, &b, store_head(store));
	assert_null(store_cursor_peek(store, &b));
	/* Ahead of everything: what comes at or below its position lies behind it. */
	store_cursor_seek(store, &b, 100);
	put(store, 10, 0, 100);
	assert_null(store_cursor_peek(store, &b));
	put(store, 11, 0, 101);
	expect_next(store, &b, 11, 101);
	/* A walk that takes an older version puts it where it belongs. */
	put(store, 12, 0, 15);
	expect_next(store, &a, 12, 15);
	expect_next(store, &a, 2, 20);
	store_cursor_fini(&a);
	store_cursor_fini(&b);
	store_free(store);
}

static void tombstones_go_when_they_are_passed(void **state)
{
	struct store *store = store_new(&schema_ct, &keys, 100);
	struct store_cursor cursor;

	(void)state;
	store_cursor_init(store, &cursor);
	for (uint32_t id = 1; id <= 6; id++)
		put(store, id, 0, id);
	store_remove(store, find(store, 2), 7);
	store_remove(store, find(store, 4), 8);
	store_forget_tombs(store, 6);
	assert_int_equal(store_tombs(store), 2);
	store_forget_tombs(store, 7);
	assert_int_equal(store_tombs(store), 1);
	assert_null(find(store, 2));
	assert_non_null(find(store, 4));
	expect_next(store, &cursor, 1, 1);
	store_forget_tombs(store, UINT64_MAX - 1);
	assert_int_equal(store_tombs(store), 0);
	assert_int_equal(store_live(store), 4);
	expect_next(store, &cursor, 3, 3);
	/* Ones that come after the first were forgotten go as well. */
	store_remove(store, find(store, 1), 9);
	store_forget_tombs(store, 9);
	assert_int_equal(store_tombs(store), 0);
	store_cursor_fini(&cursor);
	store_free(store);
}

/* A walk confirms what is there under the versions it has; that must not search the list. */
static void store_confirms_in_place(void **state)
{
	enum { COUNT = 100000 };
	struct store *store = store_new(&schema_ct, &keys, COUNT);
	struct store_cursor cursor;

	(void)state;
	for (uint32_t id = 1; id <= COUNT; id++)
		put(store, id, 0, id);
	store_cursor_init(store, &cursor);
	store_cursor_seek(store, &cursor, COUNT / 2);
	for (uint32_t id = 1; id <= COUNT; id++)
		put(store, id, 1, id); /* 32 s under ASan when each searched from the tail */
	for (uint32_t id = COUNT / 2 + 1; id <= COUNT; id++)
		expect_next(store, &cursor, id, id);
	store_cursor_fini(&cursor);
	store_free(store);
}

static void store_sorts_whatever_comes(void **state)
{
	enum { COUNT = 2000, STRIDE = 1009 }; /* a prime: every version once, in no order */
	struct store *store = store_new(&schema_ct, &keys, COUNT);
	uint64_t before = 0;

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++)
		put(store, i, 0, 1 + (uint64_t)i * STRIDE % COUNT);
	for (uint32_t i = 0; i < COUNT; i += 7)
		put(store, i, 1, 1 + COUNT + (uint64_t)i * STRIDE % COUNT);
	for (uint32_t i = 0; i < COUNT; i += 3)
		store_drop(store, find(store, i));
	for (uint32_t i = 1; i < COUNT; i += 3)
		put(store, i, 2, 1 + 2 * COUNT - i);
	for (struct store_entry *e = store_first(store); e; e = store_after(store, e)) {
		assert_true(e->node.version >= before);
		before = e->node.version;
	}
	store_free(store);
}

/* ---- random operations against a model ------------------------------------------------------ */

enum { IDS = 100000, STEPS = 400000, CURSORS = 4, CHECKS = 8 };

struct model {
	uint64_t version[IDS]; /* 0: absent */
	uint32_t life[IDS];
	bool is_tomb[IDS];
	size_t live, tombs;
};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void check_all(struct store *store, const struct model *m)
{
	struct store *again = store_new(&schema_ct, &other_keys, IDS);
	uint64_t before = 0;
	size_t seen = 0;
	struct ct ct;

	assert_int_equal(store_live(store), m->live);
	assert_int_equal(store_tombs(store), m->tombs);
	for (struct store_entry *e = store_first(store); e; e = store_after(store, e), seen++) {
		assert_true(e->node.version > before);
		before = e->node.version;
	}
	assert_int_equal(seen, m->live + m->tombs);
	for (uint32_t id = 0; id < IDS; id++) {
		struct store_entry *e = find(store, id);

		assert_int_equal(e ? e->node.version : 0, m->version[id]);
		if (!e)
			continue;
		assert_int_equal(!!(e->flags & ENTRY_TOMB), m->is_tomb[id]);
		if (m->is_tomb[id])
			continue;
		assert_int_equal(life_of(store, e), m->life[id]);
		store_read(store, e, &ct);
		assert_false(store_differs(store, e, &ct)); /* one digest, made in two ways */
		put(again, id, m->life[id], id + 1);
	}
	assert_int_equal(store_digest(again), store_digest(store));
	for (unsigned r = 0; r < STORE_RANGES; r++)
		assert_int_equal(store_range_digest(again, r), store_range_digest(store, r));
	store_free(again);
}

/* From wherever it is to the end: exactly the entries above its position, in order. */
static void check_cursor(struct store *store, const struct model *m, struct store_cursor *cursor)
{
	uint64_t from = cursor->position, before = from;
	size_t expected = 0, seen = 0;

	for (uint32_t id = 0; id < IDS; id++)
		expected += m->version[id] > from;
	for (struct store_entry *e; (e = store_cursor_peek(store, cursor)); seen++) {
		assert_true(e->node.version > before);
		before = e->node.version;
		store_cursor_pass(cursor, e);
	}
	assert_int_equal(seen, expected);
	store_cursor_seek(store, cursor, from);
}

static void step_model(struct store *store, struct model *m, uint64_t random, uint64_t version)
{
	uint32_t id = (uint32_t)(random >> 32) % IDS;
	struct store_entry *e = find(store, id);
	unsigned what = (unsigned)(random % 100);

	if (what < 70) {
		m->live += m->version[id] == 0 || m->is_tomb[id];
		m->tombs -= m->is_tomb[id];
		m->is_tomb[id] = false;
		m->version[id] = version;
		m->life[id] = (uint32_t)(random >> 8) & 0xffff;
		put(store, id, m->life[id], version);
	} else if (what < 95 && e && !m->is_tomb[id]) {
		m->live--;
		m->tombs++;
		m->is_tomb[id] = true;
		m->version[id] = version;
		store_remove(store, e, version);
	} else if (e && what >= 95) {
		m->live -= !m->is_tomb[id];
		m->tombs -= m->is_tomb[id];
		m->is_tomb[id] = false;
		m->version[id] = 0;
		store_drop(store, e);
	}
}

static void forget(struct store *store, struct model *m, uint64_t version)
{
	store_forget_tombs(store, version);
	for (uint32_t id = 0; id < IDS; id++)
		if (m->is_tomb[id] && m->version[id] <= version) {
			m->is_tomb[id] = false;
			m->version[id] = 0;
			m->tombs--;
		}
}

static void store_agrees_with_a_model(void **state)
{
	const char *given = getenv("FK_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 20261121, random = seed;
	struct store *store = store_new(&schema_ct, &keys, IDS);
	struct model *m = calloc(1, sizeof(*m));
	struct store_cursor cursors[CURSORS];
	uint64_t version = 0;

	(void)state;
	print_message("# seed %llu (FK_SEED)\n", (unsigned long long)seed);
	for (unsigned i = 0; i < CURSORS; i++)
		store_cursor_init(store, &cursors[i]);
	for (unsigned step = 1; step <= STEPS; step++) {
		struct store_cursor *cursor = &cursors[next_random(&random) % CURSORS];
		struct store_entry *e;

		step_model(store, m, next_random(&random), ++version);
		for (unsigned n = (unsigned)(next_random(&random) % 3); n > 0; n--)
			if ((e = store_cursor_peek(store, cursor)))
				store_cursor_pass(cursor, e);
		if (next_random(&random) % 10000 == 0)
			store_cursor_seek(store, cursor, next_random(&random) % (version + 1));
		if (next_random(&random) % 20000 == 0)
			store_cursor_join(cursor, &cursors[(cursor - cursors + 1) % CURSORS]);
		e = store_cursor_peek(store, &cursors[next_random(&random) % CURSORS]);
		if (e && next_random(&random) % 10000 == 0) {
			store_cursor_before(cursor, e);
			assert_ptr_equal(store_cursor_peek(store, cursor), e);
		}
		if (next_random(&random) % 20000 == 0)
			forget(store, m, next_random(&random) % (version + 1));
		if (step % (STEPS / CHECKS) == 0) {
			check_all(store, m);
			check_cursor(store, m, cursor);
		}
	}
	for (unsigned i = 0; i < CURSORS; i++)
		store_cursor_fini(&cursors[i]);
	store_free(store);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_replaces_by_key),
		cmocka_unit_test(store_keeps_keys_apart),
		cmocka_unit_test(store_tombstones_keep_the_key_only),
		cmocka_unit_test(tombstone_of_the_same_version_stays_in_its_place),
		cmocka_unit_test(store_digest_depends_on_content_only),
		cmocka_unit_test(ranges_are_of_like_size),
		cmocka_unit_test(young_records_are_known_to_nobody),
		cmocka_unit_test(store_refuses_beyond_its_cap),
		cmocka_unit_test(cursor_sees_each_change_once),
		cmocka_unit_test(cursors_seek_and_join),
		cmocka_unit_test(tombstones_go_when_they_are_passed),
		cmocka_unit_test(store_confirms_in_place),
		cmocka_unit_test(store_sorts_whatever_comes),
		cmocka_unit_test(store_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
