/* store_impl.h: what the files of the store share; nobody else includes it */
#ifndef FK_RECORD_STORE_IMPL_H
#define FK_RECORD_STORE_IMPL_H

#include "record/store.h"

struct store {
	const struct schema *schema;
	struct schema key_schema; /* the same, requiring key fields only: tombstones */
	struct store_keys keys;
	struct store_entry **buckets;
	/* A bit for every hash of its chain (and for some that left): most searches for what is new
	 * end in these few bytes, which stay in the cache where buckets and entries do not. */
	uint8_t *hints;
	size_t bucket_count; /* power of two */
	size_t live;
	size_t tombs;
	size_t max;
	size_t entry_bytes;
	uint64_t digest;
	uint64_t ranges[STORE_RANGES];
	uint64_t head;
	struct list by_version;
	struct list young;           /* by age; node.version is when it is due, nanoseconds */
	size_t young_count;
	struct store_entry *placed;  /* last one placed below the head, where a walk goes on */
	struct store_cursor tomb_at; /* no tombstones before it */
};

/* store.c */
void store_digest_add(struct store *store, const struct store_entry *entry);

/* store_order.c: the list in version order */
void store_take_out(struct store *store, struct store_entry *entry);
void store_set_version(struct store *store, struct store_entry *entry, uint64_t version);

#endif
