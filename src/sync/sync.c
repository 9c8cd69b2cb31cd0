/* sync.c: the two sides of replication and what moves between them */
#include "sync/sync_internal.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct sync *sync_new(const struct sync_config *config, const struct sync_ops *ops, void *arg,
		      mono_t now)
{
	struct sync *s = xcalloc(1, sizeof(*s));

	s->config = *config;
	s->ops = ops;
	s->arg = arg;
	s->closing = closing_new();
	s->store = store_new(&schema_ct, &config->keys, config->max_sessions);
	s->walk_asked_at = mono_add(now, -WALK_PAUSE_NS);
	store_cursor_init(s->store, &s->group);
	store_cursor_init(s->store, &s->sweep);
	store_cursor_init(s->store, &s->owed);
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		store_cursor_init(s->store, &s->peers[i].cursor);
	return s;
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	hashq_clear(&s->fence);
	hashq_clear(&s->retry);
	hashq_clear(&s->refused);
	hashq_clear(&s->renewals);
	closing_free(s->closing);
	store_cursor_fini(&s->group);
	store_cursor_fini(&s->sweep);
	store_cursor_fini(&s->owed);
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		store_cursor_fini(&s->peers[i].cursor);
	merge_clear(s);
	store_free(s->store);
	free(s);
}

static void drop_waiting(struct sync *s, struct hashq *q)
{
	for (struct store_entry *entry; (entry = full_pop(s, q));)
		apply_unwait(s, entry);
}

static void begin_sweep(struct sync *s)
{
	store_cursor_seek(s->store, &s->sweep, 0);
	s->is_sweeping = true;
}

void sync_on_role(struct sync *s, mono_t now, enum sync_role role, const char *primary,
		  uint64_t term)
{
	enum sync_role old = s->role;
	uint64_t old_term = s->term;

	if (role == old && term == s->term && strcmp(primary, s->primary) == 0)
		return;
	if (role != old && s->is_dumping)
		s->stamp++;
	if (old == SYNC_SECONDARY)
		merge_note_followed(s);
	merge_restart(s, now);
	if (role != old) {
		s->audit.last.at = MONO_ZERO;
		pressure_reset(&s->pressure);
	}
	if (role != SYNC_PRIMARY) {
		closing_discard(s);
		young_discard(s);
	}
	s->role = role;
	s->term = term;
	memset(s->primary, 0, sizeof(s->primary));
	memcpy(s->primary, primary, strnlen(primary, sizeof(s->primary) - 1));
	if (!s->config.is_enabled) {
		if (role == SYNC_SECONDARY)
			s->ops->on_ready(s->arg, term, true);
		return;
	}
	merge_tell_alone(s);
	switch (role) {
	case SYNC_IDLE:
		fence_discard(s);
		break;
	case SYNC_PRIMARY:
		/* What was on its way to the kernel still goes there; what did not fit is over. */
		drop_waiting(s, &s->refused);
		full_forget(s);
		s->is_walking = false;
		if (old != SYNC_PRIMARY) {
			owner_number(s);
			merge_begin_reign(s);
		} else {
			merge_raise_term(s, old_term);
		}
		outbox_begin(s, now);
		if (old != SYNC_PRIMARY) {
			begin_sweep(s);
			s->is_dump_wanted = true;
			s->is_complete = false;
		}
		break;
	case SYNC_SECONDARY:
		/* What the old role was about to delete may be alive at the new primary. */
		fence_discard(s);
		store_forget_tombs(s->store, store_head(s->store));
		/* What we know of our kernel may be stale too (lost events, a freeze): look once. */
		if (old != SYNC_SECONDARY) {
			begin_sweep(s);
			s->is_dump_wanted = true;
			adopt_begin(s, now);
		}
		inbox_begin(s, now);
		break;
	}
}

void sync_set_enabled(struct sync *s, mono_t now, bool is_enabled)
{
	enum sync_role role = s->role;
	char primary[17];

	if (is_enabled == s->config.is_enabled)
		return;
	s->config.is_enabled = is_enabled;
	if (!is_enabled) {
		s->knows_all = false;
		young_discard(s);
		s->reign.is_used = false;
		merge_clear(s);
		fence_discard(s);
		drop_waiting(s, &s->retry);
		drop_waiting(s, &s->refused);
		full_forget(s);
		for (struct store_entry *e = store_first(s->store), *next; e; e = next) {
			next = store_after(s->store, e);
			owed_pay(s, e);
			if (role == SYNC_SECONDARY && !(e->flags & ENTRY_TOMB))
				apply_forget(s, now, e);
			else
				store_drop(s->store, e);
		}
	}
	/* Begin the role anew under the new setting. */
	memcpy(primary, s->primary, sizeof(primary));
	s->role = SYNC_IDLE;
	s->primary[0] = 0;
	sync_on_role(s, now, role, primary, s->term);
}

void sync_set_sees_all(struct sync *s, bool sees_all)
{
	s->config.sees_all = sees_all;
}

void sync_set_delay(struct sync *s, int64_t delay_ns)
{
	s->config.delay_ns = delay_ns;
}

void sync_set_brief(struct sync *s, bool is_brief)
{
	/* Sessions that are over under one level and not under the other: the dump tells. */
	if (is_brief != s->config.is_brief)
		s->is_dump_wanted = true;
	s->config.is_brief = is_brief;
}

void sync_on_seen(struct sync *s, mono_t now, const struct ct_seen *seen)
{
	if (!s->config.is_enabled)
		return;
	switch (s->role) {
	case SYNC_PRIMARY:
		owner_on_seen(s, now, seen);
		break;
	case SYNC_SECONDARY:
		if (seen->news == CT_NEWS_DESTROY) {
			apply_lost(s, now, seen);
		} else if (seen->news == CT_NEWS_DUMP) {
			audit_copy(s, now, seen);
		} else if (seen->news == CT_NEWS_UPDATE && seen->has_mark && !seen->is_copy) {
			apply_touched(s, now, seen);
		}
		break;
	case SYNC_IDLE:
		break;
	}
}

void sync_on_dump_done(struct sync *s, mono_t now, int error)
{
	int64_t pause_ns = REDUMP_SHARE * mono_sub(now, s->dump_began);

	if (!s->is_dumping)
		return;
	s->is_dumping = false;
	s->dump_next = mono_add(now, pause_ns > REDUMP_NS ? pause_ns : REDUMP_NS);
	if (error) {
		s->is_dump_wanted = true;
		return;
	}
	/* A walk or another role has begun since: what the dump marked means nothing there. */
	if (s->dump_stamp != s->stamp)
		return;
	pressure_on_dump_done(&s->pressure, s->dump_began, now);
	switch (s->role) {
	case SYNC_PRIMARY:
		/* Whoever is equal hears it at once and needs no walk. */
		if (!s->is_complete)
			s->said_at = mono_add(now, -KEEPALIVE_NS);
		s->is_complete = true;
		s->knows_all = true;
		owner_on_dump_done(s, now);
		if (s->has_adopted)
			begin_sweep(s);
		s->has_adopted = false;
		break;
	case SYNC_SECONDARY:
		s->is_adopting = false;
		apply_on_dump_done(s, now);
		break;
	case SYNC_IDLE:
		break;
	}
	audit_done(s, now);
}

void sync_check_kernel(struct sync *s)
{
	if (s->config.is_enabled && s->role != SYNC_IDLE)
		s->is_dump_wanted = true;
}

void sync_on_overrun(struct sync *s, mono_t now)
{
	if (s->config.is_enabled && s->role != SYNC_IDLE)
		s->is_dump_wanted = true;
	if (s->config.is_enabled && s->role == SYNC_PRIMARY)
		pressure_on_lost(&s->pressure, now);
}

void sync_on_fill(struct sync *s, unsigned percent)
{
	pressure_on_fill(&s->pressure, percent);
}

void sync_on_verdict(struct sync *s, mono_t now, enum ct_op op, uint64_t cookie, int error)
{
	apply_on_verdict(s, now, op, cookie, error);
}

mono_t sync_step(struct sync *s, mono_t now)
{
	mono_t wake = MONO_NEVER;

	if (!s->config.is_enabled) {
		apply_retry(s, now, &wake); /* deletes still owed to the kernel */
		return wake;
	}
	switch (s->role) {
	case SYNC_IDLE:
		break;
	case SYNC_PRIMARY:
		owner_step(s, now, &wake);
		outbox_step(s, now, &wake);
		merge_tell_alone(s);
		break;
	case SYNC_SECONDARY:
		/* Acknowledged first: the primary goes on while our kernel is busy. */
		inbox_step(s, now, &wake);
		apply_step(s, now, &wake);
		break;
	}
	return wake;
}

struct store *sync_store(struct sync *s)
{
	return s->store;
}

static void view_peers(const struct sync *s, struct sync_state *v)
{
	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		const struct sync_peer *p = &s->peers[i];
		struct sync_peer_state *out;

		if (!p->is_used)
			continue;
		out = &v->peers[v->peer_count++];
		memcpy(out->serial, p->serial, sizeof(out->serial));
		out->cursor = p->acked;
		out->proven = p->proven;
		out->proven_at = p->proven_at;
		out->heard_at = p->heard_at;
		out->lacking = p->lacking;
		if (p->lacking > v->lacking)
			v->lacking = p->lacking;
		out->is_joined = p->is_joined;
		out->owed = p->owed;
		if (v->peer_count == 1 || mono_before(p->whole_at, v->proven_at))
			v->proven_at = p->whole_at;
	}
}

uint64_t sync_known_by_all(const struct sync *s)
{
	bool has_peer = false;

	if (s->role == SYNC_SECONDARY)
		return UINT64_MAX; /* it would not be here */
	for (unsigned i = 0; i < LIMIT_PEERS; i++)
		has_peer |= s->peers[i].is_used;
	return has_peer ? outbox_acked_by_all(s) : 0;
}

void sync_describe(const struct sync *s, mono_t now, struct sync_state *v)
{
	memset(v, 0, sizeof(*v));
	v->role = s->role;
	v->term = s->term;
	v->head = store_head(s->store);
	v->cursor = s->cursor;
	v->sessions = store_live(s->store);
	v->tombs = store_tombs(s->store);
	v->young = store_young(s->store);
	v->store_bytes = store_bytes(s->store);
	v->digest = store_digest(s->store);
	v->in_flight = s->in_flight;
	v->owed = s->owed_count;
	v->audit = s->audit.last;
	v->pressure = s->pressure;
	v->is_table_full = s->role == SYNC_PRIMARY && shed_table_is_full(s);
	v->stats = s->stats;
	if (s->role == SYNC_PRIMARY) {
		v->unacknowledged = v->head - outbox_acked_by_all(s);
		v->debt = shed_debt(s);
		/* Versions are counted; what changed twice differs once. */
		v->differing = v->unacknowledged < v->sessions + v->tombs ?
				       v->unacknowledged : v->sessions + v->tombs;
		if (s->age_count && v->unacknowledged)
			v->oldest_unacked_ns = mono_sub(now, s->ages[s->age_head].at);
		view_peers(s, v);
		v->differing += v->debt + v->lacking;
		if (v->debt)
			v->proven_at = mono_min(v->proven_at, s->pressure.owed_since);
	} else if (s->role == SYNC_SECONDARY) {
		v->unacknowledged = s->head_heard > s->cursor ? s->head_heard - s->cursor : 0;
		v->debt = s->debt_heard;
		v->lacking = s->waiting;
		v->is_kernel_full = s->full.is_full;
		v->differing = v->unacknowledged + s->in_flight + s->waiting + s->owed_count +
			       v->debt;
		v->proven_at = v->debt ? mono_min(s->whole_at, s->debt_since) : s->whole_at;
	}
}
