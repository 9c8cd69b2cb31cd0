/* merge.c: what two islands made of the table becomes one again
 *
 * When every path is cut each side serves its own sessions. After the healing one of the two
 * primaries follows the other, and the walk makes its store the winner's. Whatever the walk would
 * take from it although its kernel forwarded it in its own reign is offered to the winner first:
 * sessions the winner lacks, and those both have changed. The winner compares the order of the two
 * truths (term, version, serial), takes what is higher under a new version of its own, and everybody
 * hears of it on the stream. The same repairs what was on its way when a frozen member was replaced.
 *
 * An offer is a numbered list of records, sent in order and acknowledged by number, so a lost frame
 * is sent again; taking one twice changes nothing.
 */
#include "sync/sync_internal.h"

#include <netinet/in.h>
#include <string.h>

void merge_begin_reign(struct sync *s)
{
	s->reign.is_used = true;
	s->reign.term = s->term;
	s->reign.base = s->reign.term_base = store_head(s->store);
	s->reign.old_term = 0;
}

/* Still primary, in a higher term: of a healed split. */
void merge_raise_term(struct sync *s, uint64_t old_term)
{
	s->reign.old_term = old_term;
	s->reign.term = s->term;
	s->reign.term_base = store_head(s->store);
}

/* Leaves a primary; what we had from it when it was proven complete is known not to be news. */
void merge_note_followed(struct sync *s)
{
	memset(&s->followed, 0, sizeof(s->followed));
	if (!s->is_proven)
		return;
	memcpy(s->followed.serial, s->primary, sizeof(s->followed.serial));
	s->followed.term = s->term;
	s->followed.version = s->cursor;
}

void merge_tell_alone(struct sync *s)
{
	bool is_alone = false, has_peer = false;

	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		if (!s->peers[i].is_used)
			continue;
		has_peer = true;
		/* Whoever turns up may have been primary of an island until now. */
		is_alone |= (s->is_alone || s->reign.old_term) &&
			    (mono_is_zero(s->peers[i].proven_at) || s->peers[i].offers);
	}
	is_alone = s->config.is_enabled && s->role == SYNC_PRIMARY && (is_alone || !has_peer);
	if (is_alone == s->is_alone)
		return;
	s->is_alone = is_alone;
	s->ops->on_alone(s->arg, is_alone);
}

/* (term, version, serial): is what we know of `entry` the higher order? */
static bool outranks(const struct sync *s, const struct store_entry *entry, uint64_t term,
		     uint64_t version, const char *serial)
{
	uint64_t own_version = entry->node.version;
	uint64_t own_term = own_version > s->reign.term_base ? s->reign.term
			    : own_version > s->reign.base    ? s->reign.old_term
							     : 0;

	if (own_term != term)
		return own_term > term;
	if (own_version != version)
		return own_version > version;
	return strcmp(s->config.serial, serial) >= 0;
}

static bool has_end(const struct ct *ct)
{
	return ct->l4 == IPPROTO_TCP || ct->l4 == IPPROTO_SCTP;
}

/* What is not in our store. A connection that we knew and ended is over; what only ages cannot have
 * ended here while the other kernel still had it. */
static bool is_over(const struct sync *s, const struct ct *ct, const struct store_entry *tomb,
		    uint64_t term, uint64_t version, const char *serial)
{
	if (!has_end(ct))
		return false;
	if (tomb && outranks(s, tomb, term, version, serial))
		return true;
	return s->followed.term == term && version <= s->followed.version &&
	       strcmp(s->followed.serial, serial) == 0;
}

static bool is_taken(const struct sync *s, const struct ct *ct, const struct store_entry *entry,
		     uint64_t term, uint64_t version, const char *serial)
{
	struct ct own;

	if (!entry || (entry->flags & ENTRY_TOMB))
		return !is_over(s, ct, entry, term, version, serial);
	/* It has just ended here, in the present term. */
	if (entry->flags & (ENTRY_DOOMED | ENTRY_YOUNG))
		return false;
	if (!store_differs(s->store, entry, ct) || outranks(s, entry, term, version, serial))
		return false;
	/* A translation cannot be changed under a session that lives here. */
	store_read(s->store, entry, &own);
	return inbox_is_same_nat(&own, ct);
}

static void take(struct sync *s, mono_t now, const struct ct *ct, struct store_entry *entry)
{
	uint64_t head = store_head(s->store);

	if (store_put(s->store, ct, head + 1, &entry) < 0) {
		s->stats.table_full++;
		return;
	}
	s->stats.merged++;
	outbox_mark(s, now);
	/* As a copy first; the sweep gives it a timeout of its own. */
	apply_put_ct(s, now, entry, ct);
	if (!s->is_sweeping) {
		store_cursor_seek(s->store, &s->sweep, head);
		s->is_sweeping = true;
	}
}

static enum drop_reason merge_one(struct sync *s, mono_t now, const char *serial, uint64_t term,
				  struct rbuf *r)
{
	uint64_t version = rbuf_varint(r);
	uint64_t len = rbuf_varint(r);
	struct rbuf bytes = rbuf_cut(r, len > LIMIT_RECORD_BYTES ? SIZE_MAX : len);
	struct store_entry *entry;
	enum drop_reason reason;
	struct ct ct;

	if (r->failed)
		return DROP_TRUNCATED;
	if (version == 0 || version > STORE_VERSION_MAX)
		return DROP_RANGE;
	reason = codec_decode(&schema_ct, &bytes, &ct);
	if (reason)
		return reason;
	entry = store_find(s->store, &ct);
	if (!s->ops->wants(s->arg, &ct))
		s->stats.filtered++;
	else if (is_taken(s, &ct, entry, term, version, serial))
		take(s, now, &ct, entry);
	else
		s->stats.merge_kept++;
	return DROP_NONE;
}

/* Offers of ours that nobody has acknowledged, and now we are primary again. */
void merge_own_step(struct sync *s, mono_t now, mono_t *wake)
{
	struct offers *o = &s->offers;

	while (o->said_at < o->len) {
		size_t len = merge_record_len(o, o->said_at);
		struct rbuf r = rbuf_of(o->bytes + o->said_at, len);

		if (s->in_flight >= SWEEP_PER_STEP) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		merge_one(s, now, s->config.serial, o->term, &r);
		o->said_at += len;
	}
	if (o->len)
		merge_clear(s);
}

enum drop_reason merge_on_offer(struct sync *s, mono_t now, const char *from,
				const struct sync_offer *head, struct rbuf *records)
{
	struct sync_peer *p = outbox_peer(s, from);
	uint64_t at = head->first;

	if (s->role != SYNC_PRIMARY)
		return DROP_NONE; /* offers are broadcast: only the primary listens */
	if (head->term != s->term)
		return DROP_STALE_TERM;
	if (!p)
		return DROP_UNKNOWN_SENDER;
	if (head->run != p->offer_run) {
		p->offer_run = head->run;
		p->offer_done = 0;
	}
	p->is_merge_due = true;
	if (at > p->offer_done)
		return DROP_GAP;
	for (; rbuf_left(records) && s->in_flight < SWEEP_PER_STEP; at++) {
		enum drop_reason reason;

		if (at < p->offer_done) {
			rbuf_varint(records);
			rbuf_cut(records, rbuf_varint(records));
			if (records->failed)
				return DROP_TRUNCATED;
			continue;
		}
		reason = merge_one(s, now, from, head->reign, records);
		if (reason)
			return reason;
		p->offer_done++;
	}
	return DROP_NONE;
}

/* Says how far each member's offers have been taken. */
void merge_ack_step(struct sync *s, mono_t now, mono_t *wake)
{
	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		struct sync_peer *p = &s->peers[i];
		struct sync_merged merged = { .term = s->term, .run = p->offer_run,
					      .done = p->offer_done };
		struct wbuf *w;

		if (!p->is_used || !p->is_merge_due)
			continue;
		w = s->ops->frame_begin(s->arg);
		if (!w) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		memcpy(merged.to, p->serial, sizeof(merged.to));
		SET_HAS(&merged, SYNC_MERGED_TERM);
		SET_HAS(&merged, SYNC_MERGED_TO);
		SET_HAS(&merged, SYNC_MERGED_RUN);
		SET_HAS(&merged, SYNC_MERGED_DONE);
		codec_encode(&schema_sync_merged, &merged, UINT64_MAX, w);
		s->ops->frame_end(s->arg, SYNC_TYPE_MERGED);
		p->is_merge_due = false;
	}
}
