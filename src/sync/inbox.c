/* inbox.c: takes what the primary says, in order, and proves that nothing is missing */
#include "sync/sync_internal.h"

#include <string.h>

void inbox_begin(struct sync *s, mono_t now)
{
	s->is_synced = false;
	s->is_walking = false;
	s->has_walk_frame = false;
	s->is_led = false;
	s->is_proven = false;
	s->is_ready = false;
	s->proven = 0;
	s->proven_at = MONO_ZERO;
	s->debt_heard = 0;
	s->whole_at = MONO_ZERO;
	s->cursor = 0;
	s->head_heard = 0;
	s->want = SYNC_WANT_NOTHING;
	s->frames_unacked = 0;
	s->is_ack_due = true;
	s->acked_at = MONO_ZERO;
	s->asked_at = MONO_ZERO;
	/* The new primary's first words may prove our tables equal as they are; wait that long. */
	s->walk_pause_ns = WALK_PAUSE_NS;
	s->walk_asked_at = mono_add(now, PROGRESS_NS - WALK_PAUSE_NS);
}

static void ask_walk(struct sync *s, mono_t now)
{
	if (mono_sub(now, s->walk_asked_at) < s->walk_pause_ns || adopt_is_waited_for(s, now))
		return;
	/* What our kernel still has of our own reign must be known before it is compared. */
	if (s->reign.is_used && (s->is_sweeping || s->in_flight || s->owed_count))
		return;
	if (s->walk_pause_ns < WALK_PAUSE_MAX_NS)
		s->walk_pause_ns *= 2;
	s->progress_at = now;
	s->walk++;
	s->walk_asked_at = now;
	s->is_walking = true;
	s->has_walk_frame = false;
	s->is_synced = true;
	s->cursor = 0;
	s->stamp++;
	s->stats.walks_taken++;
	ranges_begin(s, now);
	s->want = ranges_want(s, now);
	s->asked_at = MONO_ZERO;
	s->is_proven = false;
	if (s->is_ready) {
		s->is_ready = false;
		s->ops->on_ready(s->arg, s->term, false);
	}
}

bool inbox_is_same_nat(const struct ct *a, const struct ct *b)
{
	struct ipaddr src[2], dst[2];
	uint16_t sport[2], dport[2];

	ct_reply_tuple(a, &src[0], &dst[0], &sport[0], &dport[0]);
	ct_reply_tuple(b, &src[1], &dst[1], &sport[1], &dport[1]);
	return ipaddr_equal(&src[0], &src[1]) && ipaddr_equal(&dst[0], &dst[1]) &&
	       sport[0] == sport[1] && dport[0] == dport[1];
}

/* The walk is complete: what it did not confirm does not exist any more. */
static void sweep_unconfirmed(struct sync *s, mono_t now)
{
	for (struct store_entry *e = store_first(s->store), *next; e; e = next) {
		next = store_after(s->store, e);
		if (e->stamp == s->stamp || (e->flags & ENTRY_TOMB) || !ranges_is_walked(s, e))
			continue;
		merge_unconfirmed(s, e);
		apply_forget(s, now, e);
	}
	s->is_walking = false;
}

static bool is_equal(const struct sync *s, const struct sync_data *head)
{
	return head->count == store_live(s->store) && head->digest == store_digest(s->store);
}

static void prove(struct sync *s, mono_t now, const struct sync_data *head)
{
	if (!is_equal(s, head)) {
		s->stats.digest_mismatches++;
		ask_walk(s, now);
		return;
	}
	s->proven = head->head;
	s->proven_at = now;
	/* Equal with what it knows, which is not all there is. */
	if (!s->debt_heard)
		s->debt_since = now;
	s->debt_heard = HAS(head, SYNC_DATA_DEBT) ? head->debt : 0;
	if (!s->waiting)
		s->whole_at = now;
	s->knows_all = true;
	s->reign.is_used = false;
	s->ranges.in_vain = 0;
	s->walk_pause_ns = WALK_PAUSE_NS;
	if (!s->is_proven)
		s->acked_at = MONO_ZERO;
	s->is_proven = true;
	owed_tell_ready(s);
}

/* A new primary's stream: our own cursor means nothing until count and digest agree at rest. */
static void adopt(struct sync *s, mono_t now, const struct sync_data *head, bool is_empty)
{
	/* It is still reading its kernel's table, and will say the digest when it has. */
	if (is_empty && !HAS(head, SYNC_DATA_COUNT) && head->prev == head->head)
		s->walk_asked_at = mono_add(now, PROGRESS_NS - s->walk_pause_ns);
	/* It reads its kernel's table first; inbox_step() waits a little, then asks. */
	if (is_empty && !HAS(head, SYNC_DATA_COUNT))
		return;
	if (!is_empty || HAS(head, SYNC_DATA_TO) || !is_equal(s, head)) {
		ask_walk(s, now);
		return;
	}
	s->is_synced = true;
	s->cursor = head->head;
	store_raise_head(s->store, head->head);
	prove(s, now, head);
}

static uint64_t records_heard(const struct sync *s)
{
	return s->stats.created_heard + s->stats.updated_heard + s->stats.deleted_heard;
}

enum drop_reason inbox_on_data(struct sync *s, mono_t now, const struct sync_data *head,
			       struct rbuf *records)
{
	bool is_at_head = HAS(head, SYNC_DATA_COUNT) && HAS(head, SYNC_DATA_DIGEST);
	enum drop_reason reason;
	uint64_t before;

	if (head->head > STORE_VERSION_MAX || head->prev > head->head)
		return DROP_RANGE;
	if (HAS(head, SYNC_DATA_TO) && strcmp(head->to, s->config.serial) != 0)
		return DROP_NONE;
	if (HAS(head, SYNC_DATA_WALK) && (!s->is_walking || head->walk != s->walk))
		return DROP_STALE_VERSION;
	s->stats.frames_heard++;
	/* Late, and said before the walk: behind the walk's cursor it would look new. */
	if (s->is_walking && !HAS(head, SYNC_DATA_WALK) && head->head < s->head_heard)
		return DROP_STALE_VERSION;
	if (head->head > s->head_heard)
		s->head_heard = head->head;
	if (!s->is_synced) {
		adopt(s, now, head, rbuf_left(records) == 0);
		return DROP_NONE;
	}
	if (HAS(head, SYNC_DATA_WALK))
		s->has_walk_frame = true;
	else if (s->is_walking && !s->has_walk_frame)
		return DROP_NONE; /* the live stream goes on beside the walk we asked for */
	if (head->prev > s->cursor) {
		/* Live frames run ahead of what is told to us alone; only when that stands still
		 * is its end lost, and asked for again. */
		if ((s->is_walking || s->is_led) && !HAS(head, SYNC_DATA_TO) &&
		    mono_sub(now, s->progress_at) < PROGRESS_NS)
			return DROP_NONE;
		s->stats.gaps++;
		s->want = SYNC_WANT_NEXT;
		return DROP_GAP;
	}
	if (HAS(head, SYNC_DATA_END) && (head->end < head->prev || head->end > head->head))
		return DROP_RANGE;
	before = records_heard(s);
	reason = take_records(s, now, head->prev, records);
	if (HAS(head, SYNC_DATA_TO)) {
		s->stats.bulk_frames_heard++;
		s->stats.bulk_records_heard += records_heard(s) - before;
	}
	if (reason)
		return reason;
	if (HAS(head, SYNC_DATA_END) && head->end > s->cursor)
		s->cursor = head->end;
	s->want = SYNC_WANT_NOTHING;
	s->is_led = HAS(head, SYNC_DATA_TO);
	s->progress_at = now;
	s->frames_unacked++;
	s->is_ack_due = true;
	if (!is_at_head || head->head < s->cursor)
		return DROP_NONE;
	s->cursor = head->head;
	store_raise_head(s->store, head->head);
	if (s->is_walking)
		sweep_unconfirmed(s, now);
	prove(s, now, head);
	return DROP_NONE;
}

static void say_ack(struct sync *s, mono_t now)
{
	struct sync_ack ack = { .term = s->term, .cursor = s->is_synced ? s->cursor : 0,
				.want = (uint8_t)s->want };
	struct wbuf *w;

	if (s->want == SYNC_WANT_ALL && s->ranges.state == RANGES_KNOWN) {
		if (!ranges_say_want(s)) {
			s->stats.acks_failed++;
			return;
		}
		s->stats.asks_sent++;
		ack.want = SYNC_WANT_NOTHING;
	}
	w = s->ops->frame_begin(s->arg);
	if (!w) {
		s->stats.acks_failed++;
		return;
	}
	s->stats.acks_sent++;
	s->stats.asks_sent += ack.want != SYNC_WANT_NOTHING;
	SET_HAS(&ack, SYNC_ACK_TERM);
	SET_HAS(&ack, SYNC_ACK_CURSOR);
	SET_HAS(&ack, SYNC_ACK_WANT);
	if (s->is_proven) {
		ack.proven = s->proven;
		ack.proven_ms = (uint64_t)(mono_sub(now, s->proven_at) / MS(1));
		SET_HAS(&ack, SYNC_ACK_PROVEN);
		SET_HAS(&ack, SYNC_ACK_PROVEN_MS);
	}
	ack.owed = s->owed_count;
	if (ack.owed)
		SET_HAS(&ack, SYNC_ACK_OWED);
	ack.offers = merge_pending(s);
	if (ack.offers)
		SET_HAS(&ack, SYNC_ACK_OFFERS);
	ack.lacking = s->waiting;
	if (ack.lacking)
		SET_HAS(&ack, SYNC_ACK_LACKING);
	if (s->is_walking) {
		ack.walk = s->walk;
		SET_HAS(&ack, SYNC_ACK_WALK);
	}
	codec_encode(&schema_sync_ack, &ack, UINT64_MAX, w);
	s->ops->frame_end(s->arg, SYNC_TYPE_ACK);
	s->acked_at = now;
	s->frames_unacked = 0;
	s->is_ack_due = false;
	if (s->want)
		s->asked_at = now;
}

void inbox_step(struct sync *s, mono_t now, mono_t *wake)
{
	mono_t due;

	merge_offer_step(s, now, wake);
	if (!s->is_synced)
		ask_walk(s, now);
	if (s->is_walking && !s->has_walk_frame)
		s->want = ranges_want(s, now);
	if (!s->is_synced && s->is_adopting)
		sync_wake(wake, mono_add(now, ACK_NS));
	else if (!s->is_synced)
		sync_wake(wake, mono_add(s->walk_asked_at, s->walk_pause_ns));
	/* A walk or a gap whose answer was lost is asked for again. */
	due = mono_add(s->acked_at, s->is_ack_due ? ACK_NS : ACK_REST_NS);
	if (s->want)
		due = mono_min(due, mono_add(s->asked_at, ASK_NS));
	if (mono_reached(now, due) || s->frames_unacked >= ACK_FRAMES) {
		say_ack(s, now);
		due = mono_add(now, s->want ? ASK_NS : ACK_REST_NS);
	}
	sync_wake(wake, due);
}
