/* apply.c: what the inbox stored goes into this kernel at once, as copies
 *
 * A request says create or update as far as we know; where the kernel knows better the entry's
 * current state is put again the other way. What the kernel refuses (table full, a clash of reply
 * tuples) waits (full.c) and is shown as differing meanwhile.
 */
#include "sync/sync_internal.h"

#include <errno.h>

/* Turns between create and update before a refusal counts as one. */
#define ATTEMPTS 4

void apply_wait(struct sync *s, struct store_entry *entry)
{
	s->waiting += !(entry->flags & ENTRY_RETRY);
	entry->flags |= ENTRY_RETRY;
}

void apply_unwait(struct sync *s, struct store_entry *entry)
{
	if ((entry->flags & ENTRY_RETRY) && s->waiting)
		s->waiting--;
	entry->flags &= (uint16_t)~ENTRY_RETRY;
}

static void retry_later(struct sync *s, mono_t at, struct store_entry *entry)
{
	if (entry->flags & ENTRY_RETRY)
		return;
	apply_wait(s, entry);
	hashq_push(&s->retry, entry->hash, at, false);
}

static bool ask(struct sync *s, struct store_entry *entry, const struct ct *ct)
{
	enum ct_op op = entry->flags & ENTRY_IN_KERNEL ? CT_OP_UPDATE : CT_OP_CREATE;

	if (s->ops->kernel_put(s->arg, op, ct, entry->hash) < 0)
		return false;
	entry->flags &= (uint16_t)~ENTRY_TOUCHED;
	entry->flags |= ENTRY_IN_KERNEL; /* unless the verdict says otherwise */
	owed_pay(s, entry);
	s->in_flight++;
	return true;
}

bool apply_try(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct)
{
	if (!s->full.is_full || s->role != SYNC_SECONDARY || (entry->flags & ENTRY_IN_KERNEL))
		return ask(s, entry, ct);
	owed_pay(s, entry);
	if (!(entry->flags & ENTRY_RETRY))
		full_wait(s, now, entry);
	return true;
}

void apply_put_ct(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct)
{
	if (!apply_try(s, now, entry, ct))
		retry_later(s, mono_add(now, MS(1)), entry);
}

void apply_put(struct sync *s, mono_t now, struct store_entry *entry)
{
	struct ct ct;

	store_read(s->store, entry, &ct);
	apply_put_ct(s, now, entry, &ct);
}

void apply_delete(struct sync *s, const struct ct *key)
{
	/* A delete that cannot be queued leaves a copy that ages out of its hold; counted. */
	if (s->ops->kernel_delete(s->arg, key, 0) < 0) {
		s->stats.inject_failed++;
		s->stats.inject_delete_failed++;
	} else {
		s->in_flight++;
	}
}

/* The session is over: out of the kernel, then out of the store. While too many requests wait for
 * verdicts it stays as a tombstone that owes the kernel a delete. */
void apply_forget(struct sync *s, mono_t now, struct store_entry *entry)
{
	struct ct key;

	owed_pay(s, entry);
	apply_unwait(s, entry);
	store_read(s->store, entry, &key);
	if (s->ops->kernel_delete(s->arg, &key, 0) == 0) {
		s->in_flight++;
		store_drop(s->store, entry);
		return;
	}
	if (!(entry->flags & ENTRY_TOMB))
		store_remove(s->store, entry, entry->node.version);
	retry_later(s, mono_add(now, MS(1)), entry);
}

/* Somebody took a copy out of our kernel: put it back, never tell it. */
void apply_lost(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct store_entry *entry = store_find(s->store, &seen->ct);

	if (!entry || (entry->flags & ENTRY_TOMB))
		return;
	entry->flags &= (uint16_t)~(ENTRY_IN_KERNEL | ENTRY_OWN);
	entry->attempts = 0;
	s->stats.put_back++;
	apply_put(s, now, entry);
}

/* A packet found its way through this kernel (somebody flushed the mute), which now ages the session
 * and follows its windows from that packet on: they would be wrong at a takeover. A copy again. */
void apply_touched(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct store_entry *entry = store_find(s->store, &seen->ct);

	if (!entry || (entry->flags & ENTRY_TOMB))
		return;
	entry->flags |= ENTRY_IN_KERNEL;
	entry->attempts = 0;
	s->stats.put_back++;
	apply_put(s, now, entry);
}

/* What the dump did not show is not there any more, whatever we missed. */
void apply_on_dump_done(struct sync *s, mono_t now)
{
	for (struct store_entry *e = store_first(s->store); e; e = store_after(s->store, e)) {
		if ((e->flags & ENTRY_TOMB) || e->stamp == s->stamp)
			continue;
		e->flags &= (uint16_t)~ENTRY_IN_KERNEL;
		s->stats.put_back++;
		s->audit.now.lacks++;
		retry_later(s, now, e);
	}
}

/* It can neither be made (its translated tuple is taken) nor updated (its key is not there). */
static bool clear_way(struct sync *s, struct store_entry *entry)
{
	struct ct ct;

	store_read(s->store, entry, &ct);
	if (!s->ops->kernel_clear(s->arg, &ct))
		return false;
	s->stats.inject_cleared++;
	entry->flags &= (uint16_t)~ENTRY_IN_KERNEL;
	entry->attempts = 0;
	return true;
}

static void on_refusal(struct sync *s, mono_t now, struct store_entry *entry, enum ct_op op,
		       int error)
{
	struct ct ct;

	if (op == CT_OP_CREATE && error == -EEXIST)
		entry->flags |= ENTRY_IN_KERNEL;
	else
		entry->flags &= (uint16_t)~(ENTRY_IN_KERNEL | ENTRY_OWN);
	entry->attempts++;
	/* What the kernel will not update it takes anew. */
	if (error == -EBUSY) {
		store_read(s->store, entry, &ct);
		apply_delete(s, &ct);
	}
	/* No such helper here: the session matters more than its helper. */
	if (error == -EOPNOTSUPP && entry->attempts < ATTEMPTS) {
		store_read(s->store, entry, &ct);
		CLEAR_HAS(&ct, CT_HELPER);
		if (s->ops->kernel_put(s->arg, op, &ct, entry->hash) == 0) {
			entry->flags |= ENTRY_IN_KERNEL;
			s->in_flight++;
			return;
		}
	}
	if ((error == -EEXIST || error == -ENOENT || error == -EBUSY) &&
	    (entry->attempts < ATTEMPTS || clear_way(s, entry))) {
		s->stats.inject_retried++;
		apply_put(s, now, entry);
		return;
	}
	entry->attempts = 0;
	s->stats.inject_failed++;
	s->stats.inject_update_failed += op == CT_OP_UPDATE;
	if (op == CT_OP_CREATE && error == -ENOMEM)
		full_on_refused(s, now);
	if (!(entry->flags & ENTRY_RETRY))
		full_wait(s, now, entry);
}

void apply_on_verdict(struct sync *s, mono_t now, enum ct_op op, uint64_t cookie, int error)
{
	struct store_entry *entry;

	if (s->in_flight)
		s->in_flight--;
	switch (op) {
	case CT_OP_DELETE:
		s->stats.inject_deleted += error == 0;
		s->stats.inject_failed += error && error != -ENOENT;
		s->stats.inject_delete_failed += error && error != -ENOENT;
		return;
	case CT_OP_TIMEOUT:
		return;
	case CT_OP_CREATE:
	case CT_OP_UPDATE:
		break;
	}
	if (!error) {
		/* As was expected: nothing to look up. */
		*(op == CT_OP_CREATE ? &s->stats.inject_created : &s->stats.inject_updated) += 1;
		if (op == CT_OP_CREATE)
			full_on_taken(s);
		return;
	}
	entry = store_find_hash(s->store, cookie);
	if (!entry || (entry->flags & ENTRY_TOMB))
		return;
	/* The kernel of a primary is the truth: the dump finds what it has. */
	if (s->role != SYNC_SECONDARY) {
		if (op == CT_OP_CREATE && error == -EEXIST && clear_way(s, entry)) {
			apply_put(s, now, entry);
			return;
		}
		if (op == CT_OP_CREATE && error != -EEXIST)
			entry->flags &= (uint16_t)~ENTRY_IN_KERNEL;
		s->stats.inject_failed++;
		s->stats.inject_update_failed += op == CT_OP_UPDATE;
		s->is_dump_wanted = true;
		return;
	}
	on_refusal(s, now, entry, op, error);
}

/* After a demotion our sessions become copies: copy bit and hold, in slices. What had ended here and
 * was not told yet is a session of the new primary, and is put back. */
static void hold_own(struct sync *s, mono_t now, mono_t *wake)
{
	struct store_entry *entry;
	unsigned budget = SWEEP_PER_STEP;

	while ((entry = store_cursor_peek(s->store, &s->sweep))) {
		if (budget-- == 0 || s->in_flight > SWEEP_PER_STEP * 8) {
			sync_wake(wake, mono_add(now, MS(1)));
			return;
		}
		if (!(entry->flags & ENTRY_TOMB) &&
		    ((entry->flags & ENTRY_TOUCHED) || !(entry->flags & ENTRY_IN_KERNEL))) {
			if (entry->flags & ENTRY_IN_KERNEL)
				entry->flags |= ENTRY_OWN;
			apply_put(s, now, entry);
		}
		store_cursor_pass(&s->sweep, entry);
	}
	s->is_sweeping = false;
}

void apply_again(struct sync *s, mono_t now, struct store_entry *entry)
{
	struct ct ct;

	apply_unwait(s, entry);
	/* A primary's tombstone has been told to its peers, or will be. */
	if ((entry->flags & ENTRY_TOMB) && s->role == SYNC_PRIMARY)
		return;
	if (entry->flags & ENTRY_TOMB) {
		apply_forget(s, now, entry);
		return;
	}
	store_read(s->store, entry, &ct);
	if (!ask(s, entry, &ct))
		retry_later(s, mono_add(now, MS(1)), entry);
}

/* What could not be asked of the kernel, because too many requests waited for verdicts. */
void apply_retry(struct sync *s, mono_t now, mono_t *wake)
{
	const struct hashq_item *it;
	unsigned budget = SWEEP_PER_STEP;

	while ((it = hashq_peek(&s->retry))) {
		struct store_entry *entry;

		if (!mono_reached(now, it->due) || budget-- == 0) {
			sync_wake(wake, mono_max(it->due, mono_add(now, MS(1))));
			break;
		}
		entry = full_pop(s, &s->retry);
		if (entry)
			apply_again(s, now, entry);
	}
	full_step(s, now, wake);
	if (!s->retry.count && !s->refused.count)
		s->waiting = 0;
}

void apply_step(struct sync *s, mono_t now, mono_t *wake)
{
	if (s->is_sweeping)
		hold_own(s, now, wake);
	owner_dump(s, now, wake);
	apply_retry(s, now, wake);
	owed_step(s, now, wake);
}
