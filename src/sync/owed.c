/* owed.c: what the store has and our kernel is still to get, in version order
 *
 * A kernel takes some 100 000 copies a second, a store ten times as many. So that a member that joins
 * has the whole table soon, the walk only marks what it stores, and a cursor of its own follows in the
 * order of versions, a slice each turn: nothing is queued, and a session that changed twice goes to the
 * kernel once. Live changes go there at once, unless something waits before them.
 *
 * Equal stores prove nothing about the kernel: only who owes it nothing calls itself ready.
 */
#include "sync/sync_internal.h"

enum {
	/* Entries passed in one turn, some milliseconds; fewer while the walk is waiting for us. */
	PASSED_PER_STEP = 512,
	PASSED_BESIDE_WALK = 128,
};

static void owe(struct sync *s, struct store_entry *entry)
{
	if (!s->owed_count || entry->node.version <= s->owed.position)
		store_cursor_before(&s->owed, entry);
	s->owed_count += !(entry->flags & ENTRY_OWED);
	entry->flags |= ENTRY_OWED;
}

void owed_pay(struct sync *s, struct store_entry *entry)
{
	s->owed_count -= (entry->flags & ENTRY_OWED) != 0;
	entry->flags &= (uint16_t)~ENTRY_OWED;
}

void owed_put(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct)
{
	entry->attempts = 0;
	if (s->is_walking || s->owed_count || !apply_try(s, now, entry, ct))
		owe(s, entry);
}

bool owed_tell_ready(struct sync *s)
{
	if (s->role != SYNC_SECONDARY || s->is_ready || !s->is_proven || s->owed_count)
		return false;
	s->is_ready = true;
	s->acked_at = MONO_ZERO;
	s->ops->on_ready(s->arg, s->term, true);
	return true;
}

void owed_step(struct sync *s, mono_t now, mono_t *wake)
{
	unsigned budget = s->is_walking ? PASSED_BESIDE_WALK : PASSED_PER_STEP;
	struct store_entry *entry;

	while (s->owed_count && (entry = store_cursor_peek(s->store, &s->owed))) {
		if (budget-- == 0) {
			sync_wake(wake, now);
			return;
		}
		/* What ended in a primary's own kernel is not put there again. */
		if (entry->flags & ENTRY_DOOMED)
			owed_pay(s, entry);
		if (entry->flags & ENTRY_OWED) {
			struct ct ct;

			store_read(s->store, entry, &ct);
			if (!apply_try(s, now, entry, &ct)) {
				sync_wake(wake, mono_add(now, MS(1)));
				return;
			}
		}
		store_cursor_pass(&s->owed, entry);
	}
	if (owed_tell_ready(s))
		sync_wake(wake, now); /* the primary hears of it */
}
