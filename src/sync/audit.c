/* audit.c: is the store what the kernel has?
 *
 * Digests prove that the members' stores are equal, and nothing about their kernels: an event may be lost
 * in a way nobody notices, and a copy may be taken away. So the kernel's table is read once a minute (and
 * whenever somebody asks), compared with the store, and what differs is counted and repaired: a secondary
 * puts its copies right, a primary tells what it has missed.
 *
 * Only what had its version before the reading began is compared; the rest may be on its way.
 */
#include "sync/sync_internal.h"

#define AUDIT_NS SEC(60)

void audit_due(struct sync *s, mono_t now, mono_t *wake)
{
	/* No reading takes more than a part in REDUMP_SHARE of our time: dump_next sees to it. */
	mono_t due = mono_max(mono_add(s->audit.began, AUDIT_NS), s->dump_next);

	if (s->is_dumping || s->is_dump_wanted || s->is_walking)
		return;
	if (!mono_reached(now, due)) {
		sync_wake(wake, due);
		return;
	}
	s->is_dump_wanted = true;
}

void audit_begin(struct sync *s, mono_t now)
{
	s->audit.began = now;
	s->audit.now = (struct sync_audit){ 0 };
	/* What a new primary finds, or a member that has not got everything yet, is no mistake. */
	s->audit.is_counting = s->role == SYNC_PRIMARY ? s->is_complete : s->is_proven;
}

void audit_done(struct sync *s, mono_t now)
{
	if (!s->audit.is_counting)
		return;
	s->audit.is_counting = false;
	s->audit.last = s->audit.now;
	s->audit.last.at = now;
	s->stats.audits++;
	s->stats.audit_lacks += s->audit.now.lacks;
	s->stats.audit_more += s->audit.now.more;
	s->stats.audit_differs += s->audit.now.differs;
}

bool audit_is_old(const struct sync *s, const struct store_entry *entry)
{
	return s->is_dumping && entry->node.version <= s->dump_head;
}

/* The secondary's side of one entry of the dump. */
void audit_copy(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct store_entry *entry = store_find(s->store, &seen->ct);
	struct ct record;

	s->audit.now.seen++;
	if (!entry && seen->is_copy && s->is_adopting) {
		adopt_seen(s, seen);
		return;
	}
	if (!entry || (entry->flags & ENTRY_TOMB)) {
		/* A copy of nothing would stay for its hold. What is no copy is not ours. */
		if (!seen->is_copy || !s->is_proven || entry)
			return;
		s->audit.now.more++;
		apply_delete(s, &seen->ct);
		return;
	}
	entry->stamp = s->stamp;
	if (!seen->is_copy) {
		s->audit.now.differs++;
		apply_touched(s, now, seen);
		return;
	}
	if (!s->is_proven || !audit_is_old(s, entry) || (entry->flags & (ENTRY_RETRY | ENTRY_OWED)))
		return;
	store_read(s->store, entry, &record);
	if (ct_is_copy_of(&seen->ct, &record))
		return;
	s->audit.now.differs++;
	s->stats.put_back++;
	entry->flags |= ENTRY_IN_KERNEL;
	apply_put_ct(s, now, entry, &record);
}
