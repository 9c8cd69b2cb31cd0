/* outbox.c: says the store to the other members, in version order
 *
 * One group stream serves all members that keep up; who lacks something gets frames of its own
 * from where it is, until it has reached the group's position. Both are a cursor in the same
 * list, so a change that was overtaken by a newer one is said once. Nothing is queued per peer.
 */
#include "sync/sync_internal.h"

#include <string.h>

/* A frame: u16 length of the records, the records, then the sync_data head to its end. */
enum { RECORDS_LEN_BYTES = 2, HEAD_ROOM = 116, RECORD_ROOM = 10 + 1 + 3 };

/* So many records a frame may pass by, so that a turn stays short. */
enum { LEFT_OUT_PER_FRAME = 1024 };

static void put_head(struct sync *s, struct wbuf *w, uint64_t prev, uint64_t end, bool is_at_head,
		     const struct sync_peer *to)
{
	struct sync_data head = { .term = s->term, .prev = prev, .head = store_head(s->store) };

	SET_HAS(&head, SYNC_DATA_TERM);
	SET_HAS(&head, SYNC_DATA_PREV);
	SET_HAS(&head, SYNC_DATA_HEAD);
	if (is_at_head) {
		head.count = store_live(s->store);
		head.digest = store_digest(s->store);
		SET_HAS(&head, SYNC_DATA_COUNT);
		SET_HAS(&head, SYNC_DATA_DIGEST);
		head.debt = shed_debt(s);
		if (head.debt)
			SET_HAS(&head, SYNC_DATA_DEBT);
	}
	if (end) {
		head.end = end;
		SET_HAS(&head, SYNC_DATA_END);
	}
	if (to) {
		memcpy(head.to, to->serial, sizeof(head.to));
		SET_HAS(&head, SYNC_DATA_TO);
		if (to->walk) {
			head.walk = to->walk;
			SET_HAS(&head, SYNC_DATA_WALK);
		}
	}
	codec_encode(&schema_sync_data, &head, UINT64_MAX, w);
}

static void count_said(struct sync *s, struct store_entry *entry, const struct sync_peer *to)
{
	bool is_untold = entry->flags & ENTRY_UNTOLD;

	entry->flags &= (uint16_t)~ENTRY_UNTOLD;
	if (to)
		s->stats.bulk_records_sent++;
	else if (entry->flags & ENTRY_TOMB)
		s->stats.deleted_sent++;
	else
		*(is_untold ? &s->stats.created_sent : &s->stats.updated_sent) += 1;
}

static void put_record(const struct sync *s, struct wbuf *w, const struct store_entry *entry)
{
	if ((entry->flags & ENTRY_TOMB) && s->config.has_group_hash) {
		wbuf_u8(w, SYNC_OP_DELETE_HASH);
		wbuf_be64(w, entry->hash);
		return;
	}
	wbuf_u8(w, entry->flags & ENTRY_TOMB ? SYNC_OP_DELETE : SYNC_OP_PUT);
	wbuf_varint(w, entry->len);
	wbuf_bytes(w, entry->bytes, entry->len);
}

/* Packs and sends one frame from the cursor on; false when the link cannot take it now. */
static bool say_frame(struct sync *s, mono_t now, struct store_cursor *cursor,
		      const struct sync_peer *to)
{
	struct wbuf *w = s->ops->frame_begin(s->arg);
	unsigned left_out = 0;
	uint64_t prev = cursor->position;
	uint64_t said = prev;
	struct store_entry *entry;
	uint8_t *length;
	size_t start;

	if (!w)
		return false;
	length = wbuf_reserve(w, RECORDS_LEN_BYTES);
	start = wbuf_len(w);
	while ((entry = store_cursor_peek(s->store, cursor)) &&
	       wbuf_left(w) >= (size_t)entry->len + RECORD_ROOM + HEAD_ROOM) {
		if (to && ranges_is_left_out(to, entry)) {
			store_cursor_pass(cursor, entry);
			if (++left_out == LEFT_OUT_PER_FRAME)
				break;
			continue;
		}
		wbuf_varint(w, entry->node.version - said);
		said = entry->node.version;
		put_record(s, w, entry);
		store_cursor_pass(cursor, entry);
		count_said(s, entry, to);
	}
	if (length) {
		struct wbuf at = wbuf_of(length, RECORDS_LEN_BYTES);

		wbuf_be16(&at, (uint16_t)(wbuf_len(w) - start));
	}
	if (!entry)
		cursor->position = store_head(s->store);
	/* Before our own table is read nobody may call itself equal to it. */
	put_head(s, w, prev, left_out ? cursor->position : 0, !entry && s->is_complete, to);
	s->ops->frame_end(s->arg, SYNC_TYPE_DATA);
	s->stats.frames_sent++;
	s->stats.bulk_frames_sent += to != NULL;
	if (!to)
		s->said_at = now;
	return true;
}

void outbox_mark(struct sync *s, mono_t now)
{
	if (s->role == SYNC_PRIMARY && mono_is_zero(s->pending_since))
		s->pending_since = now;
}

struct sync_peer *outbox_peer(struct sync *s, const char *serial)
{
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && strcmp(s->peers[i].serial, serial) == 0)
			return &s->peers[i];
	return NULL;
}

uint64_t outbox_acked_by_all(const struct sync *s)
{
	uint64_t least = store_head(s->store);

	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && s->peers[i].acked < least)
			least = s->peers[i].acked;
	return least;
}

/* Nothing is known of it in this term; it will say what it lacks. */
static void begin_peer(struct sync_peer *p, mono_t now)
{
	p->is_joined = true;
	p->has_acked = false;
	p->acked = 0;
	pace_begin(&p->pace);
	p->walk = 0;
	p->proven = 0;
	p->proven_at = MONO_ZERO;
	p->whole_at = MONO_ZERO;
	p->lacking = 0;
	p->progress_at = now;
	p->offers = 0;
	p->owed = 0;
	p->is_ranges_due = false;
	p->has_ranges = false;
	p->range_walk = 0;
	p->offer_run = 0;
	p->offer_done = 0;
	p->is_merge_due = false;
}

void outbox_begin(struct sync *s, mono_t now)
{
	store_cursor_seek(s->store, &s->group, store_head(s->store));
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		begin_peer(&s->peers[i], now);
	s->pending_since = MONO_ZERO;
	s->age_count = 0;
	s->said_at = mono_add(now, -KEEPALIVE_NS);
}

void sync_on_members(struct sync *s, mono_t now, const char (*serials)[17], unsigned count)
{
	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		struct sync_peer *p = &s->peers[i];
		bool is_living = false;

		for (unsigned k = 0; k < count; k++)
			is_living |= p->is_used && strcmp(p->serial, serials[k]) == 0;
		p->is_used = is_living;
	}
	for (unsigned k = 0; k < count && k < LIMIT_PEERS; k++) {
		struct sync_peer *p = NULL;

		if (outbox_peer(s, serials[k]))
			continue;
		for (unsigned i = 0; i < LIMIT_PEERS && !p; i++)
			p = s->peers[i].is_used ? NULL : &s->peers[i];
		if (!p)
			return;
		memcpy(p->serial, serials[k], sizeof(p->serial));
		p->is_used = true;
		p->heard_at = now;
		begin_peer(p, now);
	}
}

static void rewind_peer(struct sync *s, struct sync_peer *p, mono_t now, uint64_t to)
{
	p->is_joined = false;
	p->has_been_told = false;
	pace_restart(&p->pace);
	p->rewound_at = now;
	p->progress_at = now;
	store_cursor_seek(s->store, &p->cursor, to);
}

/* It takes the group stream once it has been told what the group has. Where frames are lost not before it has
 * it all: the group stream waits for nobody. */
static void join_if_told(const struct sync *s, struct sync_peer *p)
{
	if (p->is_joined || !p->has_been_told || p->cursor.position < s->group.position ||
	    (p->pace.count && !pace_is_full_speed(&p->pace)))
		return;
	p->is_joined = true;
	pace_restart(&p->pace);
}

enum drop_reason outbox_on_ack(struct sync *s, mono_t now, const char *from,
			       const struct sync_ack *ack)
{
	struct sync_peer *p = outbox_peer(s, from);
	bool is_again;

	if (s->role != SYNC_PRIMARY || ack->term != s->term)
		return DROP_STALE_TERM;
	if (!p)
		return DROP_UNKNOWN_SENDER;
	if (ack->proven_ms > (uint64_t)INT32_MAX)
		return DROP_RANGE;
	if (ack->cursor > store_head(s->store) || ack->want > SYNC_WANT_RANGES)
		return DROP_RANGE;
	is_again = mono_sub(now, p->rewound_at) < pace_answer_ns(&p->pace);
	p->heard_at = now;
	p->has_acked = true;
	if (ack->cursor != p->acked)
		p->progress_at = now;
	pace_on_acked(&p->pace, now, ack->cursor);
	p->acked = ack->cursor;
	join_if_told(s, p);
	if (p->acked >= p->range_head)
		p->has_ranges = false;
	p->offers = HAS(ack, SYNC_ACK_OFFERS) ? ack->offers : 0;
	p->owed = HAS(ack, SYNC_ACK_OWED) ? ack->owed : 0;
	if (HAS(ack, SYNC_ACK_PROVEN)) {
		p->proven = ack->proven;
		p->proven_at = mono_add(now, -MS((int64_t)ack->proven_ms));
	}
	p->lacking = HAS(ack, SYNC_ACK_LACKING) ? ack->lacking : 0;
	if (HAS(ack, SYNC_ACK_PROVEN) && !p->lacking)
		p->whole_at = p->proven_at;
	if (ack->want == SYNC_WANT_ALL && (ack->walk != p->walk || !is_again)) {
		s->stats.walks_served += ack->walk != p->walk;
		p->walk = ack->walk;
		p->has_ranges = false;
		rewind_peer(s, p, now, 0);
	} else if (ack->want == SYNC_WANT_RANGES) {
		p->is_ranges_due = true;
		p->asked_walk = ack->walk;
	} else if (ack->want == SYNC_WANT_NEXT && (p->is_joined || !is_again)) {
		s->stats.resends++;
		pace_on_lost(&p->pace);
		rewind_peer(s, p, now, ack->cursor);
	} else if (ack->want) {
		s->stats.asks_ignored++; /* answered a moment ago */
	}
	s->stats.asks_heard += ack->want != SYNC_WANT_NOTHING;
	return DROP_NONE;
}

enum drop_reason outbox_on_want_ranges(struct sync *s, mono_t now, const char *from,
				       const struct sync_want_ranges *want, struct rbuf *set)
{
	struct sync_peer *p = outbox_peer(s, from);

	if (s->role != SYNC_PRIMARY)
		return DROP_NONE; /* broadcast: only the primary listens */
	if (want->term != s->term)
		return DROP_STALE_TERM;
	if (!p)
		return DROP_UNKNOWN_SENDER;
	if (rbuf_left(set) != sizeof(p->ranges) || want->head > store_head(s->store))
		return DROP_RANGE;
	if (want->walk != p->range_walk)
		return DROP_STALE_VERSION;
	s->stats.asks_heard++;
	if (want->walk == p->walk && mono_sub(now, p->rewound_at) < ASK_NS) {
		s->stats.asks_ignored++;
		return DROP_NONE;
	}
	s->stats.walks_served += want->walk != p->walk;
	p->walk = want->walk;
	p->range_head = want->head;
	p->has_ranges = true;
	rbuf_bytes(set, p->ranges, sizeof(p->ranges));
	rewind_peer(s, p, now, 0);
	return DROP_NONE;
}

static void remember_age(struct sync *s, mono_t now)
{
	unsigned at = (s->age_head + s->age_count) % AGE_SAMPLES;

	if (s->age_count == AGE_SAMPLES) {
		/* Full: the newest sample stands for what came since. */
		s->ages[(at + AGE_SAMPLES - 1) % AGE_SAMPLES].version = store_head(s->store);
		return;
	}
	s->ages[at].version = store_head(s->store);
	s->ages[at].at = now;
	s->age_count++;
}

static bool is_waiting(const struct sync *s)
{
	if (!s->is_complete)
		return true;
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && !s->peers[i].has_acked)
			return true;
	return outbox_acked_by_all(s) < store_head(s->store);
}

static bool has_listener(const struct sync *s)
{
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && s->peers[i].is_joined)
			return true;
	return false;
}

static void say_group(struct sync *s, mono_t now, mono_t *wake)
{
	bool is_heard = has_listener(s);
	mono_t due;
	uint64_t acked = outbox_acked_by_all(s);

	while (s->age_count && s->ages[s->age_head].version <= acked) {
		s->age_head = (s->age_head + 1) % AGE_SAMPLES;
		s->age_count--;
	}
	/* Changes have had company already: the kernel's news are read in bundles (ct_capture.c). */
	if (!mono_is_zero(s->pending_since)) {
		unsigned budget = FRAMES_PER_STEP;

		remember_age(s, s->pending_since);
		/* Whoever catches up is told in frames of its own, as far as this. */
		if (!is_heard)
			store_cursor_seek(s->store, &s->group, store_head(s->store));
		while (store_cursor_peek(s->store, &s->group)) {
			if (budget-- == 0 || !say_frame(s, now, &s->group, NULL)) {
				sync_wake(wake, mono_add(now, MS(5)));
				return;
			}
			s->stats.frames_at_once++;
		}
		s->pending_since = MONO_ZERO;
	}
	if (!is_heard)
		return;
	/* At rest: the digest now and then; while something is not acknowledged, more often. */
	due = mono_add(s->said_at, is_waiting(s) ? TAIL_NS : KEEPALIVE_NS);
	if (mono_reached(now, due)) {
		bool is_said = say_frame(s, now, &s->group, NULL);

		s->stats.frames_on_timer += is_said;
		due = mono_add(now, is_said ? TAIL_NS : MS(5));
	}
	sync_wake(wake, due);
}

static void say_peer(struct sync *s, struct sync_peer *p, mono_t now, mono_t *wake)
{
	int64_t patience_ns = pace_patience_ns(&p->pace);

	if (p->pace.count && mono_sub(now, p->progress_at) >= patience_ns) {
		s->stats.resends++;
		pace_on_silence(&p->pace);
		rewind_peer(s, p, now, p->acked);
	}
	while (pace_has_room(&p->pace) &&
	       (!p->has_been_told || p->cursor.position < s->group.position)) {
		if (!p->pace.count)
			p->progress_at = now;
		if (!say_frame(s, now, &p->cursor, p)) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		pace_on_sent(&p->pace, now, p->cursor.position);
		p->has_been_told = true;
		if (p->cursor.position < s->group.position)
			continue;
		p->walk = 0;
		join_if_told(s, p);
		if (p->is_joined)
			return;
	}
	sync_wake(wake, mono_add(p->progress_at, pace_patience_ns(&p->pace)));
}

/* A peer that never acknowledges must not make tombstones grow without bound; it is repaired by its digest. Who
 * keeps up still hears the newest of them. */
static void forget_tombs(struct sync *s)
{
	size_t most = s->config.max_sessions / 2;
	uint64_t best = 0;

	store_forget_tombs(s->store, outbox_acked_by_all(s));
	if (store_tombs(s->store) <= most)
		return;
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && s->peers[i].acked > best)
			best = s->peers[i].acked;
	store_forget_tombs(s->store, best);
	if (store_tombs(s->store) > most)
		store_forget_tombs(s->store, store_head(s->store));
}

void outbox_step(struct sync *s, mono_t now, mono_t *wake)
{
	bool has_peer = false;

	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		has_peer |= s->peers[i].is_used;
	if (!has_peer) {
		/* Nobody to tell: whoever comes gets everything from 0. */
		store_cursor_seek(s->store, &s->group, store_head(s->store));
		s->pending_since = MONO_ZERO;
		s->age_count = 0;
		store_forget_tombs(s->store, store_head(s->store));
		return;
	}
	say_group(s, now, wake);
	merge_ack_step(s, now, wake);
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && s->peers[i].is_ranges_due) {
			s->peers[i].is_ranges_due = false;
			ranges_say(s, &s->peers[i], s->peers[i].asked_walk);
		}
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		if (s->peers[i].is_used && !s->peers[i].is_joined)
			say_peer(s, &s->peers[i], now, wake);
	forget_tombs(s);
}
