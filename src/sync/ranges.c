/* ranges.c: where do two tables differ? Only there is the walk repeated
 *
 * A member whose count and digest differ from the primary's asks for the digests of all ranges, compares
 * them with its own, and asks for a walk through those that differ. The primary notes its head when it
 * tells the digests: what has changed since is said whatever its range. Digests of another head are not
 * put together with these: a primary that took the member for dead meanwhile begins with a newer one.
 */
#include "sync/sync_internal.h"

#include <string.h>

enum {
	RANGES_PER_FRAME = 128,
	RANGE_FRAMES = STORE_RANGES / RANGES_PER_FRAME,
	/* Fewer sessions than this are said faster than compared. */
	WORTH_COMPARING = 64,
};

#define PATIENCE_NS MS(500) /* for digests; then everything is asked for */

_Static_assert(RANGE_FRAMES == 8, "one bit each in ranges.heard");
_Static_assert(sizeof(((struct ranges *)0)->wanted) * 8 == STORE_RANGES, "one bit each");

bool ranges_has(const uint8_t *set, unsigned range)
{
	return set[range / 8] >> (range % 8) & 1;
}

/* ---- the secondary's side ---- */

/* A walk begins; twice in vain means that the digests mislead, and everything is walked through. */
void ranges_begin(struct sync *s, mono_t now)
{
	struct ranges *r = &s->ranges;
	bool is_worth = store_live(s->store) >= WORTH_COMPARING && r->in_vain < 2;

	r->in_vain++;
	r->state = is_worth ? RANGES_ASKED : RANGES_ALL;
	r->heard = 0;
	r->head = 0;
	r->asked_at = now;
	memset(r->wanted, 0, sizeof(r->wanted));
}

enum sync_want ranges_want(struct sync *s, mono_t now)
{
	struct ranges *r = &s->ranges;

	if (r->state != RANGES_ALL && mono_sub(now, r->asked_at) >= PATIENCE_NS) {
		/* It may have forgotten what it told us, and us: then from the beginning (seed 2574). */
		if (r->state == RANGES_KNOWN)
			ranges_begin(s, now);
		else
			r->state = RANGES_ALL;
	}
	return r->state == RANGES_ASKED ? SYNC_WANT_RANGES : SYNC_WANT_ALL;
}

bool ranges_is_walked(const struct sync *s, const struct store_entry *entry)
{
	return s->ranges.state != RANGES_KNOWN ||
	       ranges_has(s->ranges.wanted, store_range_of(entry));
}

static void conclude(struct sync *s)
{
	unsigned differing = 0;

	for (unsigned i = 0; i < STORE_RANGES; i++)
		differing += ranges_has(s->ranges.wanted, i);
	s->stats.ranges_differing += differing;
	s->ranges.state = differing > STORE_RANGES / 2 ? RANGES_ALL : RANGES_KNOWN;
	s->asked_at = MONO_ZERO; /* at once */
}

enum drop_reason ranges_on_digests(struct sync *s, const struct sync_ranges *head,
				   struct rbuf *digests)
{
	struct ranges *r = &s->ranges;

	if (strcmp(head->to, s->config.serial) != 0)
		return DROP_NONE;
	if (!s->is_walking || r->state != RANGES_ASKED || head->walk != s->walk)
		return DROP_STALE_VERSION;
	if (head->first % RANGES_PER_FRAME || head->first >= STORE_RANGES ||
	    rbuf_left(digests) != RANGES_PER_FRAME * sizeof(uint64_t))
		return DROP_RANGE;
	if (head->head != r->head) {
		r->head = head->head;
		r->heard = 0;
		memset(r->wanted, 0, sizeof(r->wanted));
	}
	for (unsigned i = head->first; i < head->first + (unsigned)RANGES_PER_FRAME; i++)
		if (rbuf_be64(digests) != store_range_digest(s->store, i))
			r->wanted[i / 8] |= (uint8_t)(1 << (i % 8));
	r->heard |= (uint8_t)(1 << (head->first / RANGES_PER_FRAME));
	if (r->heard == UINT8_MAX)
		conclude(s);
	return DROP_NONE;
}

/* Asks for the walk; false when the link cannot take it now. */
bool ranges_say_want(struct sync *s)
{
	struct sync_want_ranges want = { .term = s->term, .walk = s->walk,
					 .head = s->ranges.head };
	struct wbuf *w = s->ops->frame_begin(s->arg);

	if (!w)
		return false;
	wbuf_be16(w, sizeof(s->ranges.wanted));
	wbuf_bytes(w, s->ranges.wanted, sizeof(s->ranges.wanted));
	SET_HAS(&want, SYNC_WANT_RANGES_TERM);
	SET_HAS(&want, SYNC_WANT_RANGES_WALK);
	SET_HAS(&want, SYNC_WANT_RANGES_HEAD);
	codec_encode(&schema_sync_want_ranges, &want, UINT64_MAX, w);
	s->ops->frame_end(s->arg, SYNC_TYPE_WANT_RANGES);
	return true;
}

/* ---- the primary's side ---- */

/* Tells `p` the digests it asks for in its walk `walk`. What is lost on the way it asks for again. */
void ranges_say(struct sync *s, struct sync_peer *p, uint64_t walk)
{
	if (p->range_walk != walk) {
		p->range_walk = walk;
		p->range_head = store_head(s->store);
	}
	for (unsigned first = 0; first < STORE_RANGES; first += RANGES_PER_FRAME) {
		struct sync_ranges head = { .term = s->term, .walk = walk,
					    .first = (uint16_t)first, .head = p->range_head };
		struct wbuf *w = s->ops->frame_begin(s->arg);

		if (!w)
			return;
		memcpy(head.to, p->serial, sizeof(head.to));
		wbuf_be16(w, RANGES_PER_FRAME * sizeof(uint64_t));
		for (unsigned i = first; i < first + RANGES_PER_FRAME; i++)
			wbuf_be64(w, store_range_digest(s->store, i));
		SET_HAS(&head, SYNC_RANGES_TERM);
		SET_HAS(&head, SYNC_RANGES_TO);
		SET_HAS(&head, SYNC_RANGES_WALK);
		SET_HAS(&head, SYNC_RANGES_FIRST);
		SET_HAS(&head, SYNC_RANGES_HEAD);
		codec_encode(&schema_sync_ranges, &head, UINT64_MAX, w);
		s->ops->frame_end(s->arg, SYNC_TYPE_RANGES);
		s->stats.frames_sent++;
	}
}

bool ranges_is_left_out(const struct sync_peer *p, const struct store_entry *entry)
{
	return p->has_ranges && entry->node.version <= p->range_head &&
	       !ranges_has(p->ranges, store_range_of(entry));
}
