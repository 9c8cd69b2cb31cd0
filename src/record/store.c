/* store.c: a table of records, in version order, with a running digest */
#include "record/store_impl.h"

#include "base/xalloc.h"
#include "wire/limits.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024

_Static_assert((int)STORE_RECORD_BYTES == (int)LIMIT_RECORD_BYTES, "the same bound");

static uint64_t keyed_hash(const uint8_t key[16], const void *data, size_t len)
{
	uint64_t out;

	crypto_shorthash((unsigned char *)&out, data, len, key);
	return out;
}

/* 60 bits, so that a hash fits a request's cookie (ct.h). */
static uint64_t key_hash(const struct store *store, const void *key, size_t len)
{
	return keyed_hash(store->keys.hash, key, len) >> 4;
}

/* Members agree on it, so it is not keyed by the process; nor is it secret: whoever aims at one range
 * makes repairs coarser, nothing else. */
unsigned store_range_of(const struct store_entry *entry)
{
	const uint8_t *at = entry->bytes + entry->key_at, *end = at + entry->key_len;
	uint64_t mix = 0;

	for (; at < end; at += 8) {
		uint8_t word[8] = { 0 };

		memcpy(word, at, end - at < 8 ? (size_t)(end - at) : 8);
		for (unsigned i = 0; i < 8; i++)
			mix ^= (uint64_t)word[i] << 8 * i; /* one load where bytes lie that way */
		mix *= UINT64_C(0x9e3779b97f4a7c15);
		mix ^= mix >> 29;
	}
	return (unsigned)(mix * UINT64_C(0xbf58476d1ce4e5b9) >> 54);
}

/* Takes an entry's share out of the digests, or puts it in. */
static void digest_sub(struct store *store, const struct store_entry *entry)
{
	store->digest -= entry->digest;
	store->ranges[store_range_of(entry)] -= entry->digest;
}

void store_digest_add(struct store *store, const struct store_entry *entry)
{
	store->digest += entry->digest;
	store->ranges[store_range_of(entry)] += entry->digest;
}

uint64_t store_range_digest(const struct store *store, unsigned range)
{
	return store->ranges[range % STORE_RANGES];
}

const struct schema *store_key_schema(const struct store *store)
{
	return &store->key_schema;
}

struct store *store_new(const struct schema *schema, const struct store_keys *keys, size_t max)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->schema = schema;
	store->key_schema = *schema;
	store->key_schema.required &= schema->keys;
	store->keys = *keys;
	store->max = max;
	store->bucket_count = FIRST_BUCKETS;
	store->buckets = xcalloc(store->bucket_count, sizeof(*store->buckets));
	store->hints = xcalloc(store->bucket_count, sizeof(*store->hints));
	list_init(&store->by_version);
	list_init(&store->young);
	store_cursor_init(store, &store->tomb_at);
	return store;
}

static size_t bucket_of(const struct store *store, uint64_t hash)
{
	return hash & (store->bucket_count - 1);
}

/* The highest three of 60 bits: buckets are chosen by the lowest. */
static uint8_t hint_of(uint64_t hash)
{
	return (uint8_t)(1u << (hash >> 57));
}

/* Where an entry of that hash is to be looked for. */
static struct store_entry *chain_of(const struct store *store, uint64_t hash)
{
	size_t bucket = bucket_of(store, hash);

	return store->hints[bucket] & hint_of(hash) ? store->buckets[bucket] : NULL;
}

static void unchain(struct store *store, struct store_entry *entry)
{
	size_t bucket = bucket_of(store, entry->hash);
	struct store_entry **at = &store->buckets[bucket];

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	if (!store->buckets[bucket])
		store->hints[bucket] = 0;
}

static void chain(struct store *store, struct store_entry *entry)
{
	size_t bucket = bucket_of(store, entry->hash);

	entry->chain = store->buckets[bucket];
	store->buckets[bucket] = entry;
	store->hints[bucket] |= hint_of(entry->hash);
}

static void grow(struct store *store)
{
	size_t old_count = store->bucket_count;
	struct store_entry **old = store->buckets;

	store->bucket_count *= 2;
	store->buckets = xcalloc(store->bucket_count, sizeof(*store->buckets));
	free(store->hints);
	store->hints = xcalloc(store->bucket_count, sizeof(*store->hints));
	for (size_t i = 0; i < old_count; i++) {
		for (struct store_entry *e = old[i], *next; e; e = next) {
			next = e->chain;
			chain(store, e);
		}
	}
	free(old);
}

void store_clear(struct store *store)
{
	for (struct store_entry *e = store_first(store), *next; e; e = next) {
		next = store_after(store, e);
		store_drop(store, e);
	}
	for (struct store_entry *e; (e = store_first_young(store, NULL));)
		store_drop(store, e);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store_clear(store);
	free(store->buckets);
	free(store->hints);
	free(store);
}

size_t store_live(const struct store *store)
{
	return store->live;
}

size_t store_tombs(const struct store *store)
{
	return store->tombs;
}

size_t store_young(const struct store *store)
{
	return store->young_count;
}

uint64_t store_digest(const struct store *store)
{
	return store->digest;
}

uint64_t store_head(const struct store *store)
{
	return store->head;
}

size_t store_bytes(const struct store *store)
{
	return store->entry_bytes +
	       store->bucket_count * (sizeof(*store->buckets) + sizeof(*store->hints));
}

void store_raise_head(struct store *store, uint64_t version)
{
	if (version > store->head)
		store->head = version;
}

/* `has` is the first member of every generated struct. */
static uint64_t mask_of(const void *obj)
{
	return *(const uint64_t *)obj;
}

/* Key fields as bytes without the presence mask; returns the length, 0 when they do not fit. */
static size_t encode_key(const struct store *store, const void *obj, uint8_t *out, size_t size,
			 size_t *ret_key_at)
{
	struct wbuf w = wbuf_of(out, size);

	codec_encode(store->schema, obj, store->schema->keys, &w);
	*ret_key_at = varint_size(mask_of(obj) & store->schema->keys);
	return w.failed ? 0 : wbuf_len(&w);
}

static uint64_t stored_mask(const struct store_entry *entry)
{
	struct rbuf r = rbuf_of(entry->bytes, entry->key_at);

	return rbuf_varint(&r);
}

static bool has_key(const struct store *store, const struct store_entry *entry, const uint8_t *key,
		    size_t key_len, uint64_t key_mask)
{
	return entry->key_len == key_len &&
	       memcmp(entry->bytes + entry->key_at, key, key_len) == 0 &&
	       (stored_mask(entry) & store->schema->keys) == key_mask;
}

struct store_entry *store_find(const struct store *store, const void *obj)
{
	uint8_t key[LIMIT_RECORD_BYTES];
	size_t at = 0;
	size_t len = encode_key(store, obj, key, sizeof(key), &at);
	uint64_t hash = key_hash(store, key, len);
	uint64_t key_mask = mask_of(obj) & store->schema->keys;

	for (struct store_entry *e = chain_of(store, hash); e; e = e->chain)
		if (e->hash == hash && has_key(store, e, key + at, len - at, key_mask))
			return e;
	return NULL;
}

struct store_entry *store_find_hash(const struct store *store, uint64_t hash)
{
	for (struct store_entry *e = chain_of(store, hash); e; e = e->chain)
		if (e->hash == hash)
			return e;
	return NULL;
}

static uint64_t digest_of(const struct store *store, const void *obj)
{
	uint8_t bytes[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));

	codec_encode(store->schema, obj, store->schema->digested, &w);
	return keyed_hash(store->keys.digest, bytes, wbuf_len(&w));
}

/* Exactly codec_encode() of the digested fields, from the bytes of all. */
static uint64_t digest_parts(const struct store *store, uint64_t mask, const uint8_t *bytes,
			     size_t len, const struct codec_parts *parts)
{
	uint8_t digested[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(digested, sizeof(digested));
	size_t at = parts->key_at;

	wbuf_varint(&w, mask & store->schema->digested);
	for (unsigned i = 0; i < parts->skip_count; i++) {
		wbuf_bytes(&w, bytes + at, parts->skip[i].from - at);
		at = parts->skip[i].to;
	}
	wbuf_bytes(&w, bytes + at, len - at);
	return keyed_hash(store->keys.digest, digested, wbuf_len(&w));
}

/* The key's encoding by itself has a mask of its own. */
static uint64_t hash_parts(const struct store *store, uint64_t mask, const uint8_t *key, size_t len)
{
	uint8_t bytes[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));

	wbuf_varint(&w, mask & store->schema->keys);
	wbuf_bytes(&w, key, len);
	return key_hash(store, bytes, wbuf_len(&w));
}

int store_prepare(const struct store *store, const void *obj, struct store_record *r)
{
	struct wbuf w = wbuf_of(r->bytes, sizeof(r->bytes));
	struct codec_parts parts;

	codec_encode_parts(store->schema, obj, &w, &parts);
	if (w.failed)
		return -EMSGSIZE;
	r->len = (uint16_t)wbuf_len(&w);
	r->key_at = (uint8_t)parts.key_at;
	r->key_len = (uint8_t)(parts.key_end - parts.key_at);
	r->digest = parts.is_plain ? digest_parts(store, mask_of(obj), r->bytes, r->len, &parts)
				   : digest_of(store, obj);
	r->hash = hash_parts(store, mask_of(obj), r->bytes + r->key_at, r->key_len);
	return 0;
}

static uint64_t record_mask(const struct store_record *r)
{
	struct rbuf bytes = rbuf_of(r->bytes, r->key_at);

	return rbuf_varint(&bytes);
}

struct store_entry *store_find_record(const struct store *store, const struct store_record *r)
{
	uint64_t key_mask = record_mask(r) & store->schema->keys;

	for (struct store_entry *e = chain_of(store, r->hash); e; e = e->chain)
		if (e->hash == r->hash &&
		    has_key(store, e, r->bytes + r->key_at, r->key_len, key_mask))
			return e;
	return NULL;
}

void store_fetch_bucket(const struct store *store, const struct store_record *r)
{
	size_t bucket = bucket_of(store, r->hash);

	__builtin_prefetch(&store->hints[bucket], 1);
	__builtin_prefetch(&store->buckets[bucket], 1);
}

void store_fetch_entry(const struct store *store, const struct store_record *r)
{
	const struct store_entry *entry = chain_of(store, r->hash);

	if (entry)
		__builtin_prefetch(entry);
}

bool store_record_differs(const struct store_entry *entry, const struct store_record *record)
{
	return !entry || (entry->flags & ENTRY_TOMB) || record->digest != entry->digest;
}

/* An entry with room for `len` bytes, chained; the old one's address may change. */
static struct store_entry *make_room(struct store *store, struct store_entry *old, uint64_t hash,
				     size_t len)
{
	struct store_entry *entry = old;

	if (old)
		store->entry_bytes -= sizeof(*old) + old->len;
	store->entry_bytes += sizeof(*entry) + len;
	if (old && old->len >= len)
		return old;
	if (old)
		unchain(store, old);
	entry = xrealloc(old, 1, sizeof(*entry) + len);
	if (!old)
		memset(entry, 0, sizeof(*entry));
	entry->hash = hash;
	chain(store, entry);
	return entry;
}

static bool is_full(const struct store *store)
{
	return store->live + store->tombs + store->young_count >= store->max;
}

/* Out of digest and count, whatever it was. */
static void uncount(struct store *store, struct store_entry *entry)
{
	if (entry->flags & ENTRY_YOUNG) {
		store->young_count--;
		return;
	}
	digest_sub(store, entry);
	if (entry->flags & ENTRY_TOMB)
		store->tombs--;
	else
		store->live--;
}

/* And out of order. */
static void leave(struct store *store, struct store_entry *entry)
{
	store_take_out(store, entry);
	uncount(store, entry);
}

static struct store_entry *fill(struct store *store, const struct store_record *record,
				struct store_entry *old)
{
	struct store_entry *entry;

	if (old && (old->flags & ENTRY_TOMB)) {
		old->flags = 0;
		old->stamp = 0;
	}
	entry = make_room(store, old, record->hash, record->len);
	memcpy(entry->bytes, record->bytes, record->len);
	entry->len = record->len;
	entry->key_at = record->key_at;
	entry->key_len = record->key_len;
	entry->digest = record->digest;
	return entry;
}

static void grow_to_count(struct store *store)
{
	if (store->live + store->tombs + store->young_count > store->bucket_count)
		grow(store);
}

int store_put_record(struct store *store, const struct store_record *record, uint64_t version,
		     struct store_entry *old, struct store_entry **ret_entry)
{
	struct store_entry *entry;

	if (!old && is_full(store))
		return -ENOSPC;
	if (old) {
		leave(store, old);
		old->flags &= (uint16_t)~ENTRY_YOUNG;
	}
	entry = fill(store, record, old);
	store_publish(store, entry, version);
	grow_to_count(store);
	*ret_entry = entry;
	return 0;
}

int store_put_young(struct store *store, const struct store_record *record, int64_t due_ns,
		    struct store_entry *old, struct store_entry **ret_entry)
{
	bool is_young = old && (old->flags & ENTRY_YOUNG);
	struct list *after = is_young ? old->node.link.prev : store->young.prev;
	uint64_t due = is_young ? old->node.version : (uint64_t)due_ns;
	struct store_entry *entry;

	if (!old && is_full(store))
		return -ENOSPC;
	if (old)
		leave(store, old);
	entry = fill(store, record, old);
	entry->flags |= ENTRY_YOUNG;
	entry->node.version = due;
	list_add_before(after->next, &entry->node.link);
	store->young_count++;
	grow_to_count(store);
	*ret_entry = entry;
	return 0;
}

void store_publish(struct store *store, struct store_entry *entry, uint64_t version)
{
	if (entry->flags & ENTRY_YOUNG)
		leave(store, entry);
	entry->flags &= (uint16_t)~ENTRY_YOUNG;
	store->live++;
	store_digest_add(store, entry);
	store_set_version(store, entry, version);
}

int store_put(struct store *store, const void *obj, uint64_t version,
	      struct store_entry **ret_entry)
{
	struct store_record record;
	int error = store_prepare(store, obj, &record);

	if (error)
		return error;
	return store_put_record(store, &record, version, store_find_record(store, &record),
				ret_entry);
}

void store_remove(struct store *store, struct store_entry *entry, uint64_t version)
{
	uint64_t key_mask = stored_mask(entry) & store->schema->keys;
	uint8_t key[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(key, sizeof(key));
	/* Then it is where it belongs, and to look for that would be to walk along half of the table. */
	bool stays = version == entry->node.version;

	/* Nobody has heard of it. */
	if (entry->flags & ENTRY_YOUNG) {
		store_drop(store, entry);
		return;
	}
	if (!stays)
		store_take_out(store, entry);
	uncount(store, entry);
	/* The key fields begin the encoding: the tombstone is their mask and their bytes. */
	wbuf_varint(&w, key_mask);
	entry->digest = 0;
	entry->flags = ENTRY_TOMB;
	store->tombs++;
	store->entry_bytes -= entry->len;
	memmove(entry->bytes + wbuf_len(&w), entry->bytes + entry->key_at, entry->key_len);
	memcpy(entry->bytes, key, wbuf_len(&w));
	entry->key_at = (uint8_t)wbuf_len(&w);
	entry->len = (uint16_t)(entry->key_at + entry->key_len);
	store->entry_bytes += entry->len;
	if (!stays)
		store_set_version(store, entry, version);
}

void store_drop(struct store *store, struct store_entry *entry)
{
	unchain(store, entry);
	leave(store, entry);
	store->entry_bytes -= sizeof(*entry) + entry->len;
	free(entry);
}

void store_read(const struct store *store, const struct store_entry *entry, void *ret_obj)
{
	struct rbuf r = rbuf_of(entry->bytes, entry->len);

	if (codec_decode(&store->key_schema, &r, ret_obj) == DROP_NONE)
		return;
	abort(); /* encoded by store_put(): a decoder that cannot read it is broken */
}

bool store_differs(const struct store *store, const struct store_entry *entry, const void *obj)
{
	return !entry || (entry->flags & ENTRY_TOMB) || digest_of(store, obj) != entry->digest;
}
