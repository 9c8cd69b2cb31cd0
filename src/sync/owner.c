/* owner.c: the primary's side of the store: kernel news become versions */
#include "sync/sync_internal.h"

#include <errno.h>
#include <netinet/in.h>

static uint64_t next_version(const struct sync *s)
{
	return store_head(s->store) + 1;
}

/* Versions of several streams may meet in one store: of a walk that was cut short, of an island that
 * was found equal. One that occurs twice could not be told (a step of 0), so the later gets a new one. */
void owner_number(struct sync *s)
{
	uint64_t head = store_head(s->store), before = 0;

	for (struct store_entry *e = store_first(s->store), *next; e && e->node.version <= head;
	     e = next) {
		struct ct ct;

		next = store_after(s->store, e);
		if (e->node.version > before) {
			before = e->node.version;
			continue;
		}
		if (e->flags & ENTRY_TOMB) {
			store_drop(s->store, e);
			continue;
		}
		store_read(s->store, e, &ct);
		store_put(s->store, &ct, next_version(s), &e);
	}
}

void owner_remove(struct sync *s, mono_t now, struct store_entry *entry)
{
	if (young_is(entry)) {
		store_drop(s->store, entry);
		s->stats.died_young++;
		return;
	}
	closing_forget(entry);
	owed_pay(s, entry);
	store_remove(s->store, entry, next_version(s));
	s->stats.store_deleted++;
	outbox_mark(s, now);
}

void owner_change(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct)
{
	struct store_record record;

	if (store_prepare(s->store, ct, &record) < 0 || !store_record_differs(entry, &record) ||
	    store_put_record(s->store, &record, next_version(s), entry, &entry) < 0)
		return;
	s->stats.closing_waited--;
	s->stats.store_updated++;
	outbox_mark(s, now);
}

static void note_silence(struct sync *s, const struct ct_seen *seen, struct store_entry *entry)
{
	if (seen->news != CT_NEWS_DUMP)
		entry->flags &= (uint16_t)~ENTRY_SILENT;
	else if (entry->flags & ENTRY_SILENT)
		s->has_silent = true;
}

/* Forwarded by this kernel, now. */
static void note_alive(struct sync *s, const struct ct_seen *seen, struct store_entry *entry)
{
	entry->flags |= ENTRY_IN_KERNEL | ENTRY_TOUCHED;
	owed_pay(s, entry);
	entry->stamp = s->stamp;
	note_silence(s, seen, entry);
}

static void count_refused(struct sync *s, mono_t now, int error)
{
	s->stats.table_full++;
	if (error == -ENOSPC)
		pressure_on_refused(&s->pressure, now);
}

static void keep(struct sync *s, mono_t now, const struct ct_seen *seen, struct store_entry *entry)
{
	struct ct old, merged;
	const struct ct *known = &seen->ct;
	struct store_record record;
	bool is_new = !entry || (entry->flags & ENTRY_TOMB), is_young;
	int error;

	if (entry && !(entry->flags & ENTRY_TOMB)) {
		note_alive(s, seen, entry);
		store_read(s->store, entry, &old);
		merged = old;
		ct_merge(&merged, seen);
		known = &merged;
	} else if (s->config.sees_all && !seen->is_full) {
		/* It lacks what its NEW was refused for, the label of our own sessions say. */
		s->stats.filtered++;
		return;
	}
	if (!s->ops->wants(s->arg, known)) {
		s->stats.filtered++;
		return;
	}
	if (closing_is_over(s, known)) {
		if (is_new)
			s->stats.filtered++;
		else
			owner_remove(s, now, entry);
		return;
	}
	if (!is_new && !young_is(entry) && closing_waits(s, now, entry, &old, known)) {
		s->stats.closing_waited++;
		return;
	}
	error = store_prepare(s->store, known, &record);
	if (!error && !store_record_differs(entry, &record)) {
		s->stats.unchanged++;
		return;
	}
	if (!error && seen->news == CT_NEWS_DUMP && !young_is(entry) &&
	    (is_new || audit_is_old(s, entry)))
		*(is_new ? &s->audit.now.more : &s->audit.now.differs) += 1;
	is_young = young_waits(s, known, entry, seen->news == CT_NEWS_DUMP);
	if (!error && is_young)
		error = store_put_young(s->store, &record, mono_add(now, s->config.delay_ns).ns,
					entry, &entry);
	else if (!error)
		error = store_put_record(s->store, &record, next_version(s), entry, &entry);
	if (error) {
		count_refused(s, now, error);
		return;
	}
	*(is_new ? &s->stats.store_created : &s->stats.store_updated) += 1;
	entry->flags |= ENTRY_IN_KERNEL | ENTRY_TOUCHED | (is_new ? ENTRY_UNTOLD : 0);
	shed_note_opening(entry, known);
	/* What was shed had spoken. */
	if (is_new && seen->news == CT_NEWS_DUMP && !pressure_is_owed(&s->pressure))
		entry->flags |= ENTRY_SILENT;
	note_silence(s, seen, entry);
	entry->stamp = s->stamp;
	if (!is_young)
		outbox_mark(s, now);
}

static uint32_t timeout_of(const struct ct *ct)
{
	return ct->timeout ? ct->timeout : 30;
}

/* The kernel cannot refresh a fixed timeout (kernel-facts section 3, ct.h), so we make the session
 * anew three times within it, as long as its packets keep clearing the copy bit we set. */
static int renew(struct sync *s, struct store_entry *entry, const struct ct *ct)
{
	int error = s->ops->kernel_renew(s->arg, ct, timeout_of(ct), entry->hash);

	if (!error) {
		s->in_flight += 2;
		entry->flags |= ENTRY_FIXED;
		entry->flags &= (uint16_t)~ENTRY_TOUCHED;
	}
	return error;
}

static void on_alive(struct sync *s, mono_t now, struct store_entry *entry)
{
	struct ct ct;

	if (!(entry->flags & ENTRY_FIXED) || (entry->flags & ENTRY_TOUCHED))
		return;
	store_read(s->store, entry, &ct);
	hashq_push(&s->renewals, entry->hash, mono_add(now, SEC(timeout_of(&ct)) / 3), false);
}

static void renew_due(struct sync *s, mono_t now, mono_t *wake)
{
	for (size_t n = s->renewals.count; n > 0; n--) {
		struct hashq_item it = *hashq_peek(&s->renewals);
		struct store_entry *entry;
		struct ct ct;

		hashq_pop(&s->renewals);
		if (!mono_reached(now, it.due)) {
			hashq_push(&s->renewals, it.hash, it.due, false);
			sync_wake(wake, it.due);
			continue;
		}
		entry = store_find_hash(s->store, it.hash);
		if (!entry || (entry->flags & ENTRY_TOMB) || !(entry->flags & ENTRY_FIXED))
			continue;
		store_read(s->store, entry, &ct);
		if (renew(s, entry, &ct) == -EAGAIN)
			hashq_push(&s->renewals, it.hash, mono_add(now, MS(1)), false);
	}
}

/* A copy from a life before this one, ours or the owner's: idle since, and maybe alive. The timeout
 * its owner gave it is not known any more. */
static void adopt_copy(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct ct_seen own = *seen;
	struct store_entry *entry;

	adopt_limit_timeout(&own.ct);
	keep(s, now, &own, NULL);
	entry = store_find(s->store, &own.ct);
	if (!entry)
		return;
	entry->flags &= (uint16_t)~ENTRY_TOUCHED;
	s->has_adopted = true;
}

void owner_on_seen(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	struct store_entry *entry = store_find(s->store, &seen->ct);
	uint16_t flags = entry ? entry->flags : 0;

	if (seen->news == CT_NEWS_DESTROY) {
		/* Should the role be lost before the fence: it is to be put back here. */
		if (young_is(entry)) {
			owner_remove(s, now, entry);
		} else if (entry) {
			entry->flags &= (uint16_t)~ENTRY_IN_KERNEL;
			closing_forget(entry);
			fence_doom(s, now, entry, false);
		}
		return;
	}
	s->audit.now.seen += seen->news == CT_NEWS_DUMP;
	if (entry)
		entry->flags &= (uint16_t)~ENTRY_DOOMED;
	if (seen->is_copy) {
		/* Taken over and still waiting for its first packet: the record knows more than
		 * the kernel's hold. A copy that a complete store does not have was deleted
		 * meanwhile. */
		if (entry && !(entry->flags & ENTRY_TOMB)) {
			entry->flags |= ENTRY_IN_KERNEL;
			entry->stamp = s->stamp;
		} else if (seen->news == CT_NEWS_DUMP) {
			if (entry || s->knows_all)
				apply_delete(s, &seen->ct);
			else
				adopt_copy(s, now, seen);
		}
		return;
	}
	if (entry)
		on_alive(s, now, entry);
	if (!shed_event(s, now, seen, entry, flags))
		keep(s, now, seen, entry);
	else if (entry && !(flags & ENTRY_TOMB))
		note_alive(s, seen, entry);
}

/* What the dump did not show has ended while nobody listened; the fence asks the kernel once more. */
void owner_on_dump_done(struct sync *s, mono_t now)
{
	young_on_dump_done(s);
	for (struct store_entry *e = store_first(s->store); e; e = store_after(s->store, e)) {
		if (e->node.version > s->dump_head)
			break;
		if ((e->flags & ENTRY_TOMB) || e->stamp == s->stamp)
			continue;
		s->audit.now.lacks += !(e->flags & ENTRY_DOOMED);
		e->flags &= (uint16_t)~ENTRY_IN_KERNEL;
		fence_doom(s, now, e, true);
	}
}

static int give_timeout(struct sync *s, struct store_entry *entry, const struct ct *ct)
{
	int error;

	if (ct->l4 == IPPROTO_GRE)
		return renew(s, entry, ct);
	error = s->ops->kernel_timeout(s->arg, ct, timeout_of(ct), entry->hash);
	if (!error)
		s->in_flight++;
	return error;
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
		entry->flags &= (uint16_t)~ENTRY_OWN;
		if (!(entry->flags & (ENTRY_TOMB | ENTRY_TOUCHED))) {
			store_read(s->store, entry, &ct);
			if (give_timeout(s, entry, &ct) == -EAGAIN) {
				sync_wake(wake, mono_add(now, MS(1)));
				return;
			}
		}
		store_cursor_pass(&s->sweep, entry);
	}
	s->is_sweeping = false;
}

/* A dump that is wanted begins when no request of ours is on its way to the kernel. */
void owner_dump(struct sync *s, mono_t now, mono_t *wake)
{
	if (s->has_silent && !s->is_dumping && s->role == SYNC_PRIMARY) {
		if (mono_reached(now, s->dump_next))
			s->is_dump_wanted = true;
		else
			sync_wake(wake, s->dump_next);
	}
	audit_due(s, now, wake);
	if (!s->is_dump_wanted || s->is_dumping || s->is_walking || s->in_flight ||
	    s->retry.count || s->owed_count)
		return;
	audit_begin(s, now);
	pressure_on_dump_begun(&s->pressure);
	s->is_dump_wanted = false;
	s->is_dumping = true;
	s->dump_stamp = ++s->stamp;
	s->has_silent = false;
	s->dump_began = now;
	s->dump_head = store_head(s->store);
	s->stats.dumps++;
	s->ops->start_dump(s->arg);
}

void owner_step(struct sync *s, mono_t now, mono_t *wake)
{
	/* Who takes over gives its kernel the rest first, and then all of it timeouts. */
	apply_retry(s, now, wake);
	owed_step(s, now, wake);
	if (s->is_sweeping && !s->retry.count && !s->owed_count)
		sweep(s, wake, now);
	shed_step(s, now, wake);
	owner_dump(s, now, wake);
	renew_due(s, now, wake);
	closing_step(s, now, wake);
	young_step(s, now, wake);
	merge_own_step(s, now, wake);
	fence_step(s, now, wake);
}
