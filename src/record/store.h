/* store.h: a table of records, compact, in version order, with a running digest
 *
 * An entry keeps its record as the bytes that are sent (codec.h); nothing is stored twice.
 * Entries hang in a hash table by key and in a list by version, so "what changed since V" is a
 * walk from a cursor; a change moves its entry to the tail, which is how a newer change replaces
 * an older one on its way to a peer. A removed record leaves a tombstone in the list until the
 * owner says that every peer has passed it (store_forget_tombs()).
 *
 * The digest is the sum, modulo 2^64, of a keyed hash of every live record's key and state
 * fields (schema.digested: not of timing). Two stores with equal count and digest hold equal sessions.
 *
 * A record may be kept back at first: it is found by its key, and is in no order, digest or count,
 * until it is published.
 *
 * The key space has STORE_RANGES ranges, the same on every member, each with a digest of its own,
 * so that two stores which differ find out where.
 *
 * Pure: no I/O, no clock. Allocates one block per entry; the number of entries is capped.
 */
#ifndef FK_RECORD_STORE_H
#define FK_RECORD_STORE_H

#include "base/list.h"
#include "record/codec.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ENTRY_TOMB = 1 << 0,      /* removed; kept until every peer knows */
	ENTRY_IN_KERNEL = 1 << 1, /* our kernel has it, as far as we know (sync/apply.h) */
	ENTRY_TOUCHED = 1 << 2,   /* forwarded by this kernel: no hold timeout on it */
	ENTRY_DOOMED = 1 << 3,    /* a delete waits behind the fence (sync/fence.h) */
	ENTRY_RETRY = 1 << 4,     /* the kernel refused it; tried again later */
	ENTRY_FIXED = 1 << 5,     /* its timeout is fixed: renewed while it lives (GRE) */
	ENTRY_SILENT = 1 << 6,    /* known from a dump only: it may raise no events at all */
	ENTRY_OWN = 1 << 7,       /* forwarded by us in the reign that ended (sync/merge.c) */
	ENTRY_YOUNG = 1 << 8,     /* not told yet, store_put_young() */
	ENTRY_OWED = 1 << 9,      /* to go to our kernel still (sync/owed.c) */
	ENTRY_OPENING = 1 << 10,  /* its beginning is not over (sync/shed.c) */
	ENTRY_UNTOLD = 1 << 11,   /* new, and told to nobody yet (sync/outbox.c counts) */
	ENTRY_ADOPTED = 1 << 12,  /* as our kernel shows its copy (sync/adopt.c) */
};

/* 8 bytes of digest each: 8 KiB, and a table of a million differs by a thousand records or more. */
enum { STORE_RANGES = 1024 };

/* The head of list nodes; a cursor is a node too, with version STORE_IS_CURSOR. */
struct store_node {
	struct list link;
	uint64_t version;
};
#define STORE_IS_CURSOR UINT64_MAX
/* A peer that says more is broken: versions are counted, one for each change. */
#define STORE_VERSION_MAX (UINT64_MAX >> 2)

struct store_entry {
	struct store_node node;
	struct store_entry *chain;
	uint64_t hash;   /* of the key, 60 bits */
	uint64_t digest; /* this record's share of the store's digest; 0 for tombstones */
	uint32_t stamp;  /* free for the user: walk number that confirmed it, attempts ... */
	uint16_t flags;
	uint16_t len;
	uint8_t key_at;  /* where the key fields begin in bytes (after the presence mask) */
	uint8_t key_len;
	uint8_t attempts; /* free for the user: refusals in a row */
	uint8_t bytes[]; /* codec encoding; a tombstone keeps only the key fields */
};

/* A place in the version order; everything up to `position` lies behind it. */
struct store_cursor {
	struct store_node node;
	uint64_t position;
};

struct store_keys {
	uint8_t hash[16];   /* random per process: flooding cannot aim at a bucket */
	uint8_t digest[16]; /* equal on all members of a group */
};

/* The longest encoding (LIMIT_RECORD_BYTES of wire/limits.h). */
enum { STORE_RECORD_BYTES = 320 };

/* A record made ready once, to be looked up, compared and stored: store_prepare(). */
struct store_record {
	uint64_t hash, digest;
	uint16_t len;
	uint8_t key_at, key_len;
	uint8_t bytes[STORE_RECORD_BYTES];
};

struct store;

struct store *store_new(const struct schema *schema, const struct store_keys *keys, size_t max);
void store_free(struct store *store);
void store_clear(struct store *store);

/* The schema with only key fields required: what a tombstone is decoded with. */
const struct schema *store_key_schema(const struct store *store);
size_t store_live(const struct store *store);
size_t store_tombs(const struct store *store);
uint64_t store_digest(const struct store *store);
/* Digest of a range, 0 .. STORE_RANGES - 1, and the range of an entry's key. */
uint64_t store_range_digest(const struct store *store, unsigned range);
unsigned store_range_of(const struct store_entry *entry);
uint64_t store_head(const struct store *store); /* newest version ever put */
size_t store_bytes(const struct store *store);  /* memory in use */

/* Live or tombstone, NULL when never seen. Only the key fields of `obj` are read. */
struct store_entry *store_find(const struct store *store, const void *obj);
struct store_entry *store_find_hash(const struct store *store, uint64_t hash);
/* What the record of `obj` will be; -EMSGSIZE when it does not encode. One encoding and two hashes: what
 * store_find(), store_differs() and store_put() would each do again. */
int store_prepare(const struct store *store, const void *obj, struct store_record *ret_record);
struct store_entry *store_find_record(const struct store *store, const struct store_record *record);
/* For who looks up many: fetches what store_find_record() will read first; and, a little later, second. */
void store_fetch_bucket(const struct store *store, const struct store_record *record);
void store_fetch_entry(const struct store *store, const struct store_record *record);
bool store_record_differs(const struct store_entry *entry, const struct store_record *record);
/* store_put() of a record whose entry has been looked up (NULL: there is none). */
int store_put_record(struct store *store, const struct store_record *record, uint64_t version,
		     struct store_entry *old, struct store_entry **ret_entry);
/* Inserts or replaces; flags of a live entry are kept, a tombstone's are cleared. `version` must
 * not be 0. -ENOSPC at the cap, -EMSGSIZE for a record that does not encode. */
int store_put(struct store *store, const void *obj, uint64_t version,
	      struct store_entry **ret_entry);
/* Keeps a record back until `due_ns` (a new one, or one kept back already, whose time stays; `old` as
 * for store_put_record()). */
int store_put_young(struct store *store, const struct store_record *record, int64_t due_ns,
		    struct store_entry *old, struct store_entry **ret_entry);
/* The one kept back longest and when it is due, NULL: none; and who came after it. */
struct store_entry *store_first_young(const struct store *store, int64_t *ret_due_ns);
struct store_entry *store_next_young(const struct store *store, const struct store_entry *entry);
/* From now on it is a record like any other, of this version. */
void store_publish(struct store *store, struct store_entry *entry, uint64_t version);
size_t store_young(const struct store *store);
/* Leaves a tombstone of that version. The entry's address may change. */
void store_remove(struct store *store, struct store_entry *entry, uint64_t version);
/* Forgets it at once, without a tombstone. */
void store_drop(struct store *store, struct store_entry *entry);
/* Drops tombstones of versions up to and including `version`. */
void store_forget_tombs(struct store *store, uint64_t version);
/* Raises the head without a record (a new primary continues above what it has seen). */
void store_raise_head(struct store *store, uint64_t version);
/* The record as a struct; entries were encoded here, so it cannot fail. */
void store_read(const struct store *store, const struct store_entry *entry, void *ret_obj);
/* Would putting `obj` change its digest? True also when it is not there. */
bool store_differs(const struct store *store, const struct store_entry *entry, const void *obj);

void store_cursor_init(struct store *store, struct store_cursor *cursor); /* at 0 */
void store_cursor_fini(struct store_cursor *cursor);
/* The next entry after the cursor, NULL at the end; does not move it. */
struct store_entry *store_cursor_peek(const struct store *store, const struct store_cursor *cursor);
/* Moves past `entry`, which must be what _peek gave. */
void store_cursor_pass(struct store_cursor *cursor, struct store_entry *entry);
/* Moves back (or forward) so that exactly versions up to `position` lie behind. */
void store_cursor_seek(struct store *store, struct store_cursor *cursor, uint64_t position);
/* Moves so that `entry` is the next. */
void store_cursor_before(struct store_cursor *cursor, struct store_entry *entry);
/* To where `to` is. */
void store_cursor_join(struct store_cursor *cursor, const struct store_cursor *to);

/* Walk over all entries in version order; dropping `it` meanwhile is legal. */
struct store_entry *store_first(const struct store *store);
struct store_entry *store_after(const struct store *store, const struct store_entry *entry);

#endif
