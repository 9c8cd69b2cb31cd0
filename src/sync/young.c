/* young.c: session-pickup-delay: a TCP session is told when it has lived for a while
 *
 * Most sessions are over within seconds. With a delay they are kept back in the owner's store and cost
 * nothing on the wire, nor at the others; those that are lost in a failover are the price.
 */
#include "sync/sync_internal.h"

#include <netinet/in.h>

bool young_is(const struct store_entry *entry)
{
	return entry && (entry->flags & ENTRY_YOUNG);
}

bool young_waits(const struct sync *s, const struct ct *ct, const struct store_entry *entry,
		 bool is_dump)
{
	if (young_is(entry))
		return true;
	/* What a dump shows first may be as old as it likes. */
	return s->config.delay_ns && ct->l4 == IPPROTO_TCP && !is_dump &&
	       (!entry || (entry->flags & ENTRY_TOMB));
}

/* Told to nobody, so nobody has to be told of their end. */
void young_discard(struct sync *s)
{
	for (struct store_entry *e; (e = store_first_young(s->store, NULL));)
		store_drop(s->store, e);
}

/* What the dump did not show has ended, and its end was lost. */
void young_on_dump_done(struct sync *s)
{
	struct store_entry *e = store_first_young(s->store, NULL);

	for (struct store_entry *next; e; e = next) {
		next = store_next_young(s->store, e);
		if (e->stamp != s->stamp)
			store_drop(s->store, e);
	}
}

void young_step(struct sync *s, mono_t now, mono_t *wake)
{
	struct store_entry *entry;
	int64_t due_ns;
	unsigned budget = SWEEP_PER_STEP;

	while ((entry = store_first_young(s->store, &due_ns))) {
		/* The delay may have become shorter, or none. */
		mono_t due = mono_min((mono_t){ due_ns }, mono_add(now, s->config.delay_ns));

		if (!mono_reached(now, due) || budget-- == 0) {
			sync_wake(wake, mono_max(due, now));
			return;
		}
		store_publish(s->store, entry, store_head(s->store) + 1);
		outbox_mark(s, now);
	}
}
