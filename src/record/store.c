/* store.c: a table of records, in version order, with a running digest */
#include "record/store.h"

#include "base/xalloc.h"
#include "wire/limits.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024

struct store {
	const struct schema *schema;
	struct schema key_schema; /* the same, requiring key fields only: tombstones */
	struct store_keys keys;
	struct store_entry **buckets;
	size_t bucket_count; /* power of two */
	size_t live;
	size_t tombs;
	size_t max;
	size_t entry_bytes;
	uint64_t digest;
	uint64_t ranges[STORE_RANGES];
	uint64_t head;
	struct list by_version;
	struct store_entry *placed;  /* last one placed below the head, where a walk goes on */
	struct store_cursor tomb_at; /* no tombstones before it */
};

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

static void digest_add(struct store *store, const struct store_entry *entry)
{
	store->digest += entry->digest;
	store->ranges[store_range_of(entry)] += entry->digest;
}

uint64_t store_range_digest(const struct store *store, unsigned range)
{
	return store->ranges[range % STORE_RANGES];
}

static struct store_node *node_of(struct list *link)
{
	return container_of(link, struct store_node, link);
}

static struct store_entry *entry_of(struct store_node *node)
{
	return container_of(node, struct store_entry, node);
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
	list_init(&store->by_version);
	store_cursor_init(store, &store->tomb_at);
	return store;
}

static void unchain(struct store *store, struct store_entry *entry)
{
	struct store_entry **at = &store->buckets[entry->hash & (store->bucket_count - 1)];

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
}

static void chain(struct store *store, struct store_entry *entry)
{
	struct store_entry **at = &store->buckets[entry->hash & (store->bucket_count - 1)];

	entry->chain = *at;
	*at = entry;
}

static void grow(struct store *store)
{
	size_t old_count = store->bucket_count;
	struct store_entry **old = store->buckets;

	store->bucket_count *= 2;
	store->buckets = xcalloc(store->bucket_count, sizeof(*store->buckets));
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
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store_clear(store);
	free(store->buckets);
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
	return store->entry_bytes + store->bucket_count * sizeof(*store->buckets);
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

static struct store_entry *find(const struct store *store, const void *obj, uint64_t *ret_hash)
{
	uint8_t key[LIMIT_RECORD_BYTES];
	size_t at = 0;
	size_t len = encode_key(store, obj, key, sizeof(key), &at);
	uint64_t hash = key_hash(store, key, len);
	uint64_t key_mask = mask_of(obj) & store->schema->keys;

	*ret_hash = hash;
	for (struct store_entry *e = store->buckets[hash & (store->bucket_count - 1)]; e;
	     e = e->chain)
		if (e->hash == hash && has_key(store, e, key + at, len - at, key_mask))
			return e;
	return NULL;
}

struct store_entry *store_find(const struct store *store, const void *obj)
{
	uint64_t hash;

	return find(store, obj, &hash);
}

struct store_entry *store_find_hash(const struct store *store, uint64_t hash)
{
	for (struct store_entry *e = store->buckets[hash & (store->bucket_count - 1)]; e;
	     e = e->chain)
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

/* Keeps the list in version order. Changes come at the tail. A walk over a table that is here already
 * comes in rising order from far below: searching from the tail each time would be quadratic. */
static void place(struct store *store, struct store_entry *entry)
{
	uint64_t version = entry->node.version;
	struct list *at = &store->by_version;

	if (version < store->head && store->placed && store->placed->node.version <= version) {
		at = store->placed->node.link.next;
		while (at != &store->by_version && (node_of(at)->version == STORE_IS_CURSOR ||
						    node_of(at)->version <= version))
			at = at->next;
	}
	while (at->prev != &store->by_version) {
		struct store_node *before = node_of(at->prev);

		if (before->version != STORE_IS_CURSOR && before->version <= entry->node.version)
			break;
		/* A cursor keeps its place right behind what it has passed. */
		if (before->version == STORE_IS_CURSOR &&
		    container_of(before, struct store_cursor, node)->position <
			    entry->node.version)
			break;
		at = at->prev;
	}
	list_add_before(at, &entry->node.link);
	if (version < store->head)
		store->placed = entry;
}

static void take_out(struct store *store, struct store_entry *entry)
{
	list_del(&entry->node.link);
	if (store->placed == entry)
		store->placed = NULL;
}

static void set_version(struct store *store, struct store_entry *entry, uint64_t version)
{
	entry->node.version = version;
	place(store, entry);
	store_raise_head(store, version);
}

int store_put(struct store *store, const void *obj, uint64_t version,
	      struct store_entry **ret_entry)
{
	uint8_t bytes[LIMIT_RECORD_BYTES];
	uint8_t key[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	size_t key_bytes_at = 0;
	size_t key_len;
	uint64_t hash;
	struct store_entry *old = find(store, obj, &hash);
	struct store_entry *entry = old;
	size_t len;

	codec_encode(store->schema, obj, UINT64_MAX, &w);
	if (w.failed)
		return -EMSGSIZE;
	if (!old && store->live + store->tombs >= store->max)
		return -ENOSPC;
	len = wbuf_len(&w);
	key_len = encode_key(store, obj, key, sizeof(key), &key_bytes_at) - key_bytes_at;
	if (old) {
		take_out(store, old);
		digest_sub(store, old);
		if (old->flags & ENTRY_TOMB) {
			store->tombs--;
			store->live++;
			old->flags = 0;
			old->stamp = 0;
		}
	}
	if (!old || old->len < len) {
		if (old) {
			unchain(store, old);
			store->entry_bytes -= sizeof(*old) + old->len;
		}
		entry = xrealloc(old, 1, sizeof(*entry) + len);
		if (!old) {
			memset(entry, 0, sizeof(*entry));
			store->live++;
		}
		entry->hash = hash;
		chain(store, entry);
	} else {
		store->entry_bytes -= sizeof(*old) + old->len;
	}
	store->entry_bytes += sizeof(*entry) + len;
	memcpy(entry->bytes, bytes, len);
	entry->len = (uint16_t)len;
	entry->key_at = (uint8_t)varint_size(mask_of(obj));
	entry->key_len = (uint8_t)key_len;
	entry->digest = digest_of(store, obj);
	digest_add(store, entry);
	set_version(store, entry, version);
	if (store->live + store->tombs > store->bucket_count)
		grow(store);
	*ret_entry = entry;
	return 0;
}

void store_remove(struct store *store, struct store_entry *entry, uint64_t version)
{
	uint64_t key_mask = stored_mask(entry) & store->schema->keys;
	uint8_t key[LIMIT_RECORD_BYTES];
	struct wbuf w = wbuf_of(key, sizeof(key));

	/* The key fields begin the encoding: the tombstone is their mask and their bytes. */
	wbuf_varint(&w, key_mask);
	take_out(store, entry);
	if (!(entry->flags & ENTRY_TOMB)) {
		store->live--;
		store->tombs++;
	}
	digest_sub(store, entry);
	entry->digest = 0;
	entry->flags = ENTRY_TOMB;
	store->entry_bytes -= entry->len;
	memmove(entry->bytes + wbuf_len(&w), entry->bytes + entry->key_at, entry->key_len);
	memcpy(entry->bytes, key, wbuf_len(&w));
	entry->key_at = (uint8_t)wbuf_len(&w);
	entry->len = (uint16_t)(entry->key_at + entry->key_len);
	store->entry_bytes += entry->len;
	set_version(store, entry, version);
}

void store_drop(struct store *store, struct store_entry *entry)
{
	unchain(store, entry);
	take_out(store, entry);
	digest_sub(store, entry);
	if (entry->flags & ENTRY_TOMB)
		store->tombs--;
	else
		store->live--;
	store->entry_bytes -= sizeof(*entry) + entry->len;
	free(entry);
}

void store_forget_tombs(struct store *store, uint64_t version)
{
	struct store_entry *e;

	while ((e = store_cursor_peek(store, &store->tomb_at)) && e->node.version <= version) {
		store_cursor_pass(&store->tomb_at, e);
		if (e->flags & ENTRY_TOMB)
			store_drop(store, e);
	}
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

static struct store_entry *entry_from(const struct store *store, struct list *link)
{
	while (link != &store->by_version && node_of(link)->version == STORE_IS_CURSOR)
		link = link->next;
	return link == &store->by_version ? NULL : entry_of(node_of(link));
}

struct store_entry *store_first(const struct store *store)
{
	return entry_from(store, store->by_version.next);
}

struct store_entry *store_after(const struct store *store, const struct store_entry *entry)
{
	return entry_from(store, entry->node.link.next);
}

void store_cursor_init(struct store *store, struct store_cursor *cursor)
{
	cursor->node.version = STORE_IS_CURSOR;
	cursor->position = 0;
	list_add_before(store->by_version.next, &cursor->node.link);
}

void store_cursor_fini(struct store_cursor *cursor)
{
	list_del(&cursor->node.link);
}

struct store_entry *store_cursor_peek(const struct store *store, const struct store_cursor *cursor)
{
	return entry_from(store, cursor->node.link.next);
}

void store_cursor_pass(struct store_cursor *cursor, struct store_entry *entry)
{
	cursor->position = entry->node.version;
	list_del(&cursor->node.link);
	list_add_before(entry->node.link.next, &cursor->node.link);
}

void store_cursor_seek(struct store *store, struct store_cursor *cursor, uint64_t position)
{
	struct list *at;

	if (position > cursor->position) {
		struct store_entry *e;

		while ((e = store_cursor_peek(store, cursor)) && e->node.version <= position)
			store_cursor_pass(cursor, e);
		cursor->position = position;
		return;
	}
	at = cursor->node.link.prev;
	list_del(&cursor->node.link);
	while (at != &store->by_version && (node_of(at)->version == STORE_IS_CURSOR ||
					    node_of(at)->version > position))
		at = at->prev;
	list_add_before(at->next, &cursor->node.link);
	cursor->position = position;
}

void store_cursor_join(struct store_cursor *cursor, const struct store_cursor *to)
{
	list_del(&cursor->node.link);
	list_add_before(((struct store_cursor *)to)->node.link.next, &cursor->node.link);
	cursor->position = to->position;
}
