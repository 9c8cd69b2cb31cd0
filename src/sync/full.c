/* full.c: what this kernel refused waits here, and a kernel whose table is full is asked only now and then
 *
 * A refusal for another reason (a clash of reply tuples) is tried again every second. While the table is
 * full a create is not even tried: a few that wait are, five times a second; when the kernel takes
 * them, twice as many at once, until it is plain that there is room. So a table that is too small costs
 * next to nothing, whatever the number of sessions that do not fit, and room is used within moments.
 */
#include "sync/sync_internal.h"

#include <errno.h>

#define ASK_AGAIN_NS MS(200)

enum { FEW = 16 };

static void change(struct sync *s, bool is_full)
{
	if (s->full.is_full == is_full)
		return;
	s->full.is_full = is_full;
	s->ops->on_full(s->arg, is_full);
}

void full_on_refused(struct sync *s, mono_t now)
{
	s->stats.refused_full++;
	s->full.tries = FEW;
	s->full.taken = 0;
	s->full.next = mono_add(now, ASK_AGAIN_NS);
	change(s, true);
}

void full_on_taken(struct sync *s)
{
	if (!s->full.is_full || ++s->full.taken < s->full.tries)
		return;
	s->full.tries *= 2;
	s->full.taken = 0;
	s->full.next = MONO_ZERO;
	if (s->full.tries > SWEEP_PER_STEP)
		change(s, false);
}

void full_wait(struct sync *s, mono_t now, struct store_entry *entry)
{
	apply_wait(s, entry);
	hashq_push(&s->refused, entry->hash, mono_add(now, RETRY_NS), false);
}

void full_forget(struct sync *s)
{
	change(s, false);
}

/* The next one of the queue that still waits for the kernel; NULL: none. */
struct store_entry *full_pop(struct sync *s, struct hashq *q)
{
	for (const struct hashq_item *it; (it = hashq_peek(q));) {
		struct store_entry *entry = store_find_hash(s->store, it->hash);

		hashq_pop(q);
		if (entry && (entry->flags & ENTRY_RETRY))
			return entry;
	}
	return NULL;
}

void full_step(struct sync *s, mono_t now, mono_t *wake)
{
	unsigned budget = s->full.is_full ? s->full.tries : SWEEP_PER_STEP;
	const struct hashq_item *it;

	if (s->full.is_full && !mono_reached(now, s->full.next)) {
		sync_wake(wake, s->full.next);
		return;
	}
	s->full.taken = 0;
	s->full.next = mono_add(now, ASK_AGAIN_NS);
	while (budget && (it = hashq_peek(&s->refused)) &&
	       (s->full.is_full || mono_reached(now, it->due))) {
		struct store_entry *entry = full_pop(s, &s->refused);

		if (entry)
			apply_again(s, now, entry);
		budget--;
	}
	it = hashq_peek(&s->refused);
	if (it)
		sync_wake(wake, s->full.is_full ? s->full.next
						: mono_max(it->due, mono_add(now, MS(1))));
	else if (!s->in_flight)
		change(s, false);
	else if (s->full.is_full)
		sync_wake(wake, s->full.next);
}
