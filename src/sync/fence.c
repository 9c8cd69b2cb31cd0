/* fence.c: deletes wait, so that a dying member cannot take its copies with it
 *
 * Masquerade and address removal flush sessions a moment before or after a link goes down; those
 * deletes, told at once, would kill the copies that the takeover is about to use. So a delete
 * waits config.fence_ns; link and address news that arrives meanwhile parks all of them until the
 * dust has settled. Still primary then: whatever the kernel really no longer has is told. Role lost: discarded.
 */
#include "sync/sync_internal.h"

void fence_doom(struct sync *s, mono_t now, struct store_entry *entry, bool is_suspect)
{
	if (entry->flags & (ENTRY_TOMB | ENTRY_DOOMED))
		return;
	entry->flags |= ENTRY_DOOMED;
	if (mono_before(now, s->settled_at)) {
		is_suspect = true;
		s->stats.deletes_parked++;
	}
	hashq_push(&s->fence, entry->hash, mono_add(now, s->config.fence_ns), is_suspect);
}

void fence_discard(struct sync *s)
{
	for (const struct hashq_item *it; (it = hashq_peek(&s->fence)); hashq_pop(&s->fence)) {
		struct store_entry *entry = store_find_hash(s->store, it->hash);

		if (entry)
			entry->flags &= (uint16_t)~ENTRY_DOOMED;
		s->stats.deletes_discarded++;
	}
}

void sync_on_disturbance(struct sync *s, mono_t now)
{
	if (s->role != SYNC_PRIMARY)
		return;
	s->settled_at = mono_add(now, SETTLE_NS);
	for (size_t i = 0; i < s->fence.count; i++) {
		struct hashq_item *it = &s->fence.items[(s->fence.head + i) % s->fence.size];

		if (!it->is_suspect)
			s->stats.deletes_parked++;
		it->is_suspect = true;
	}
}

void fence_step(struct sync *s, mono_t now, mono_t *wake)
{
	unsigned budget = SWEEP_PER_STEP;

	for (const struct hashq_item *it; (it = hashq_peek(&s->fence)); hashq_pop(&s->fence)) {
		struct store_entry *entry;
		bool is_suspect = it->is_suspect;
		/* A link that flaps, or addresses that come and go, park it for a while, not for ever:
		 * the kernel is asked anyway, and the dead must not fill the store. */
		mono_t due = is_suspect ? mono_min(mono_max(it->due, s->settled_at),
						   mono_add(it->due, PARK_MAX_NS))
					: it->due;

		if (!mono_reached(now, due) || budget-- == 0) {
			sync_wake(wake, mono_max(due, now));
			return;
		}
		entry = store_find_hash(s->store, it->hash);
		/* Its key may have come back as a new session: then the flag is gone. */
		if (!entry || (entry->flags & ENTRY_TOMB) || !(entry->flags & ENTRY_DOOMED))
			continue;
		entry->flags &= (uint16_t)~ENTRY_DOOMED;
		if (is_suspect) {
			struct ct key;
			int has;

			store_read(s->store, entry, &key);
			has = s->ops->kernel_has(s->arg, &key);
			/* No answer is no reason to kill the copies: the next dump asks again. */
			if (has < 0)
				s->is_dump_wanted = true;
			if (has > 0)
				entry->flags |= ENTRY_IN_KERNEL;
			if (has)
				continue;
		}
		owner_remove(s, now, entry);
	}
}
