/* merge_offer.c: what a former primary offers to the present one (see merge.c) */
#include "sync/sync_internal.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

enum { OFFER_WINDOW = 16, HEAD_ROOM = 64 };

static bool is_own(const struct sync *s, const struct store_entry *entry)
{
	return s->reign.is_used && (entry->flags & (ENTRY_OWN | ENTRY_TOMB)) == ENTRY_OWN;
}

static void add(struct sync *s, const struct store_entry *entry)
{
	struct offers *o = &s->offers;
	uint8_t head[20];
	struct wbuf w = wbuf_of(head, sizeof(head));
	size_t need;

	wbuf_varint(&w, entry->node.version);
	wbuf_varint(&w, entry->len);
	need = o->len + wbuf_len(&w) + entry->len;
	if (need > o->size) {
		size_t size = need * 2;
		uint8_t *bytes = xcalloc(1, size);

		if (o->len)
			memcpy(bytes, o->bytes, o->len);
		free(o->bytes);
		o->bytes = bytes;
		o->size = size;
	}
	memcpy(o->bytes + o->len, head, wbuf_len(&w));
	memcpy(o->bytes + o->len + wbuf_len(&w), entry->bytes, entry->len);
	o->len = need;
	o->count++;
	o->term = s->reign.term;
}

void merge_contested(struct sync *s, const struct store_entry *entry)
{
	if (is_own(s, entry) && entry->node.version > s->reign.base)
		add(s, entry);
}

void merge_unconfirmed(struct sync *s, const struct store_entry *entry)
{
	if (is_own(s, entry))
		add(s, entry);
}

uint64_t merge_pending(const struct sync *s)
{
	return s->offers.count - s->offers.acked;
}

void merge_clear(struct sync *s)
{
	free(s->offers.bytes);
	s->offers = (struct offers){ 0 };
}

/* Another primary may know nothing of what the one before took. */
void merge_restart(struct sync *s, mono_t now)
{
	struct offers *o = &s->offers;

	o->run = (uint64_t)now.ns;
	o->acked = o->said = 0;
	o->acked_at = o->said_at = 0;
	o->in_flight = 0;
	o->progress_at = now;
}

/* Length of the record at `at`, whose bytes are our own. */
size_t merge_record_len(const struct offers *o, size_t at)
{
	struct rbuf r = rbuf_of(o->bytes + at, o->len - at);
	uint64_t len;

	rbuf_varint(&r);
	len = rbuf_varint(&r);
	return o->len - at - rbuf_left(&r) + len;
}

static bool say_offer(struct sync *s)
{
	struct offers *o = &s->offers;
	struct sync_offer head = { .term = s->term, .reign = o->term, .run = o->run,
				   .first = o->said };
	struct wbuf *w = s->ops->frame_begin(s->arg);
	uint8_t *length;
	size_t start;

	if (!w)
		return false;
	length = wbuf_reserve(w, 2);
	start = wbuf_len(w);
	while (o->said_at < o->len) {
		size_t len = merge_record_len(o, o->said_at);

		if (wbuf_left(w) < len + HEAD_ROOM)
			break;
		wbuf_bytes(w, o->bytes + o->said_at, len);
		o->said_at += len;
		o->said++;
		s->stats.offered++;
	}
	if (length) {
		struct wbuf at = wbuf_of(length, 2);

		wbuf_be16(&at, (uint16_t)(wbuf_len(w) - start));
	}
	SET_HAS(&head, SYNC_OFFER_TERM);
	SET_HAS(&head, SYNC_OFFER_REIGN);
	SET_HAS(&head, SYNC_OFFER_RUN);
	SET_HAS(&head, SYNC_OFFER_FIRST);
	codec_encode(&schema_sync_offer, &head, UINT64_MAX, w);
	s->ops->frame_end(s->arg, SYNC_TYPE_OFFER);
	s->stats.frames_sent++;
	return true;
}

void merge_offer_step(struct sync *s, mono_t now, mono_t *wake)
{
	struct offers *o = &s->offers;

	if (o->acked_at == o->len) {
		/* The walk may add more. */
		if (o->len && !s->reign.is_used)
			merge_clear(s);
		return;
	}
	if (o->said_at == o->acked_at)
		o->progress_at = now;
	if (mono_sub(now, o->progress_at) >= PROGRESS_NS) {
		o->said = o->acked;
		o->said_at = o->acked_at;
		o->in_flight = 0;
		o->progress_at = now;
	}
	while (o->said_at < o->len && o->in_flight < OFFER_WINDOW) {
		if (!say_offer(s)) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		o->in_flight++;
	}
	sync_wake(wake, mono_add(o->progress_at, PROGRESS_NS));
}

enum drop_reason merge_on_merged(struct sync *s, mono_t now, const char *from,
				 const struct sync_merged *merged)
{
	struct offers *o = &s->offers;

	if (s->role != SYNC_SECONDARY || strcmp(from, s->primary) != 0)
		return DROP_NOT_PRIMARY;
	if (merged->term != s->term)
		return DROP_STALE_TERM;
	if (strcmp(merged->to, s->config.serial) != 0 || merged->run != o->run)
		return DROP_NONE;
	if (merged->done > o->said)
		return DROP_RANGE;
	while (o->acked < merged->done) {
		o->acked_at += merge_record_len(o, o->acked_at);
		o->acked++;
		o->in_flight = 0;
		o->progress_at = now;
		s->is_ack_due = true;
	}
	return DROP_NONE;
}
