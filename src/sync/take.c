/* take.c: the records of a frame go into the store
 *
 * A table of a million sessions fits no cache: to look a key up in it is to wait for memory twice, for
 * its bucket and for whoever is there. So some records are made ready ahead of the one that is stored,
 * and what their keys lead to is fetched meanwhile.
 */
#include "sync/sync_internal.h"

enum { LANE = 4, MASK = LANE - 1 };

struct taken {
	uint64_t version;
	struct ct ct;
	struct store_record record;
};

/* Records made ready, oldest first. */
struct lane {
	struct taken items[LANE];
	unsigned first, count;
};

static enum drop_reason store_one(struct sync *s, mono_t now, const struct taken *t)
{
	struct store_entry *entry = store_find_record(s->store, &t->record);
	bool is_known = entry && !(entry->flags & ENTRY_TOMB);
	bool is_changed = store_record_differs(entry, &t->record);
	bool is_right = false;
	struct ct old;

	if (is_known && is_changed) {
		if (entry->stamp != s->stamp)
			merge_contested(s, entry);
		store_read(s->store, entry, &old);
		/* A translation cannot be updated: the key has begun a new life. */
		if (!inbox_is_same_nat(&old, &t->ct) && (entry->flags & ENTRY_IN_KERNEL)) {
			apply_delete(s, &t->ct);
			entry->flags &= (uint16_t)~ENTRY_IN_KERNEL;
		}
		is_right = (entry->flags & ENTRY_ADOPTED) && adopt_is_copy_of(s, &old, &t->ct);
	}
	if (entry && !is_known)
		apply_unwait(s, entry);
	if (store_put_record(s->store, &t->record, t->version, entry, &entry) < 0) {
		s->stats.table_full++;
		return DROP_TABLE_FULL;
	}
	entry->stamp = s->stamp;
	entry->flags &= (uint16_t)~(ENTRY_OWN | ENTRY_ADOPTED);
	*(is_known ? &s->stats.updated_heard : &s->stats.created_heard) += 1;
	/* A walk repeats what the kernel has already. */
	if ((is_changed && !is_right) || !(entry->flags & ENTRY_IN_KERNEL))
		owed_put(s, now, entry, &t->ct);
	return DROP_NONE;
}

static void note_taken(struct sync *s, uint64_t version, enum drop_reason reason)
{
	if (reason)
		drop_count(&s->stats.drops, reason);
	if (version > s->cursor)
		s->cursor = version;
}

static void lane_store(struct sync *s, mono_t now, struct lane *lane)
{
	const struct taken *t = &lane->items[lane->first];

	lane->first = (lane->first + 1) & MASK;
	lane->count--;
	if (lane->count)
		store_fetch_entry(s->store, &lane->items[lane->first].record);
	note_taken(s, t->version, store_one(s, now, t));
}

static void lane_empty(struct sync *s, mono_t now, struct lane *lane)
{
	while (lane->count)
		lane_store(s, now, lane);
}

static enum drop_reason take_put(struct sync *s, mono_t now, struct lane *lane,
				 struct rbuf *bytes, uint64_t version)
{
	struct taken *t;
	enum drop_reason reason;

	if (lane->count == LANE)
		lane_store(s, now, lane);
	t = &lane->items[(lane->first + lane->count) & MASK];
	t->version = version;
	reason = codec_decode(&schema_ct, bytes, &t->ct);
	if (reason)
		return reason;
	if (store_prepare(s->store, &t->ct, &t->record) < 0)
		return DROP_RANGE;
	store_fetch_bucket(s->store, &t->record);
	lane->count++;
	return DROP_NONE;
}

static void take_end(struct sync *s, mono_t now, struct store_entry *entry)
{
	s->stats.deleted_heard++;
	if (entry && !(entry->flags & ENTRY_TOMB))
		apply_forget(s, now, entry);
}

static enum drop_reason take_delete(struct sync *s, mono_t now, struct rbuf *bytes)
{
	struct ct key;
	enum drop_reason reason = codec_decode(store_key_schema(s->store), bytes, &key);

	if (reason)
		return reason;
	take_end(s, now, store_find(s->store, &key));
	return DROP_NONE;
}

/* The rest of one record: what it says, if it is new. */
static enum drop_reason take_record(struct sync *s, mono_t now, struct lane *lane,
				    struct rbuf *records, uint64_t version)
{
	uint8_t op = rbuf_u8(records);
	enum drop_reason reason = DROP_NONE;
	struct rbuf bytes;
	uint64_t len;

	if (op > SYNC_OP_DELETE_HASH || (op == SYNC_OP_DELETE_HASH && !s->config.has_group_hash))
		return DROP_RANGE;
	len = op == SYNC_OP_DELETE_HASH ? sizeof(uint64_t) : rbuf_varint(records);
	bytes = rbuf_cut(records, len > LIMIT_RECORD_BYTES ? SIZE_MAX : len);
	if (records->failed)
		return DROP_TRUNCATED;
	if (version <= s->cursor)
		return DROP_NONE;
	if (op == SYNC_OP_PUT)
		return take_put(s, now, lane, &bytes, version);
	/* It may be of a key that has just been put. */
	lane_empty(s, now, lane);
	if (op == SYNC_OP_DELETE)
		reason = take_delete(s, now, &bytes);
	else
		take_end(s, now, store_find_hash(s->store, rbuf_be64(&bytes)));
	if (!reason)
		note_taken(s, version, DROP_NONE);
	return reason;
}

enum drop_reason take_records(struct sync *s, mono_t now, uint64_t version, struct rbuf *records)
{
	enum drop_reason reason = DROP_NONE;
	struct lane lane;

	lane.first = lane.count = 0;
	while (!reason && rbuf_left(records)) {
		uint64_t step = rbuf_varint(records);

		if (records->failed)
			reason = DROP_TRUNCATED;
		else if (step == 0 || step > s->head_heard - version)
			reason = DROP_RANGE;
		else
			reason = take_record(s, now, &lane, records, version += step);
	}
	lane_empty(s, now, &lane);
	return reason || !records->failed ? reason : DROP_TRUNCATED;
}
