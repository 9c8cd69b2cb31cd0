/* owner.c: the primary's side of the store: kernel news become versions */
#include "sync/sync_internal.h"

#include <errno.h>

static uint64_t next_version(const struct sync *s)
{
	return store_head(s->store) + 1;
}

void owner_remove(struct sync *s, mono_t now, struct store_entry *entry)
{
	store_remove(s->store, entry, next_version(s));
	outbox_mark(s, now, entry->len);
}

static void keep(struct sync *s, mono_t now, const struct ct_seen *seen, struct store_entry *entry)
{
	struct ct known;
	uint16_t flags = ENTRY_IN_KERNEL | ENTRY_TOUCHED;
	int error;

	if (entry && !(entry->flags & ENTRY_TOMB)) {
		entry->flags |= flags;
		entry->stamp = s->stamp;
		store_read(s->store, entry, &known);
		ct_merge(&known, seen);
	} else {
		known = seen->ct;
	}
	if (!s->ops->wants(s->arg, &known)) {
		s->stats.filtered++;
		return;
	}
	if (entry && !store_differs(s->store, entry, &known)) {
		s->stats.unchanged++;
		return;
	}
	error = store_put(s->store, &known, next_version(s), &entry);
	if (error) {
		s->stats.table_full++;
		return;
	}
	entry->flags |= flags;
	entry->stamp = s->stamp;
	outbox_mark(s, now, entry->len);
}

void owner_on_seen(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct store_entry *entry = store_find(s->store, &seen->ct);

	if (seen->news == CT_NEWS_DESTROY) {
		if (entry)
			fence_doom(s, now, entry, false);
		return;
	}
	if (entry)
		entry->flags &= (uint16_t)~ENTRY_DOOMED;
	if (seen->is_copy) {
		/* Taken over and still waiting for its first packet: the record knows more than
		 * the kernel's hold. A copy that the store does not have was deleted meanwhile. */
		if (entry && !(entry->flags & ENTRY_TOMB)) {
			entry->flags |= ENTRY_IN_KERNEL;
			entry->stamp = s->stamp;
		} else if (seen->news == CT_NEWS_DUMP) {
			apply_delete(s, &seen->ct);
		}
		return;
	}
	keep(s, now, seen, entry);
}

/* What the dump did not show has ended while nobody listened; the fence asks the kernel once more. */
void owner_on_dump_done(struct sync *s, mono_t now)
{
	for (struct store_entry *e = store_first(s->store); e; e = store_after(s->store, e)) {
		if (e->node.version > s->dump_head)
			break;
		if (!(e->flags & ENTRY_TOMB) && e->stamp != s->stamp)
			fence_doom(s, now, e, true);
	}
}

/* After a takeover the copies nobody has spoken on yet get their owner's timeout back. */
static void sweep(struct sync *s, mono_t *wake, mono_t now)
{
	struct store_entry *entry;
	unsigned budget = SWEEP_PER_STEP;

	while ((entry = store_cursor_peek(s->store, &s->sweep))) {
		struct ct ct;

		if (budget-- == 0) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		if (!(entry->flags & (ENTRY_TOMB | ENTRY_TOUCHED))) {
			store_read(s->store, entry, &ct);
			if (s->ops->kernel_timeout(s->arg, &ct, ct.timeout ? ct.timeout : 30,
						   entry->hash) == -EAGAIN) {
				sync_wake(wake, mono_add(now, MS(1)));
				return;
			}
			s->in_flight++;
		}
		store_cursor_pass(&s->sweep, entry);
	}
	s->is_sweeping = false;
}

/* A dump that is wanted begins when no request of ours is on its way to the kernel. */
void owner_dump(struct sync *s)
{
	if (!s->is_dump_wanted || s->is_dumping || s->in_flight || s->is_walking)
		return;
	s->is_dump_wanted = false;
	s->is_dumping = true;
	s->dump_stamp = ++s->stamp;
	s->dump_head = store_head(s->store);
	s->stats.dumps++;
	s->ops->start_dump(s->arg);
}

void owner_step(struct sync *s, mono_t now, mono_t *wake)
{
	if (s->is_sweeping)
		sweep(s, wake, now);
	owner_dump(s);
	fence_step(s, now, wake);
}
