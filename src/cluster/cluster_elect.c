/* cluster_elect.c: who of the living is the best primary, and why (pure) */
#include "cluster/cluster_internal.h"

#include <string.h>

struct candidate cluster_self(const struct cluster *c, mono_t now)
{
	struct candidate self = {
		.flags = (c->config.is_override ? HB_OVERRIDE : 0u) |
			 (c->is_forced ? HB_FORCED : 0u) |
			 (c->is_ready || c->state == MEMBER_WORK ? HB_READY : 0u) |
			 (c->is_holding ? HB_HOLDING : 0u) | (cluster_is_blind(c) ? HB_BLIND : 0u),
		.failures = c->failures,
		.priority = c->config.priority,
		.age_ns = mono_sub(now, c->age_since),
	};

	memcpy(self.serial, c->config.serial, sizeof(self.serial));
	return self;
}

struct candidate cluster_candidate(const struct member *m, mono_t now)
{
	struct candidate other = {
		.flags = m->hb.flags,
		.failures = m->hb.failures,
		.priority = m->hb.priority,
		.age_ns = MS((int64_t)m->hb.age_ms) + mono_sub(now, m->rx),
	};

	memcpy(other.serial, m->serial, sizeof(other.serial));
	return other;
}

static bool is_eligible(const struct cluster *c, const struct member *m, mono_t now)
{
	return cluster_is_living(c, m, now) && !(m->hb.flags & HB_RESIGNED) &&
	       m->hb.state != MEMBER_WORK && m->hb.vmac_table == c->config.vmac_table;
}

/* Ourselves, then everybody eligible; returns how many. */
static unsigned candidates(const struct cluster *c, mono_t now, struct candidate *list,
			   const struct member **who)
{
	unsigned n = 1;

	list[0] = cluster_self(c, now);
	who[0] = NULL;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (!is_eligible(c, m, now))
			continue;
		who[n] = m;
		list[n++] = cluster_candidate(m, now);
	}
	return n;
}

const struct member *cluster_better(struct cluster *c, mono_t now)
{
	struct candidate list[LIMIT_MEMBERS];
	const struct member *who[LIMIT_MEMBERS];
	unsigned n = candidates(c, now, list, who);

	return who[rank_best(list, n, c->config.margin_ns)];
}

bool cluster_is_disputed(const struct cluster *c, mono_t now)
{
	struct candidate list[LIMIT_MEMBERS];
	const struct member *who[LIMIT_MEMBERS];
	unsigned n = candidates(c, now, list, who);
	int64_t fuzz = c->config.interval_ns;
	int64_t margin = c->config.margin_ns;
	const struct member *less = who[rank_best(list, n, margin > fuzz ? margin - fuzz : 0)];
	const struct member *more = who[rank_best(list, n, margin + fuzz)];

	return (less && strcmp(less->serial, c->config.serial) > 0) ||
	       (more && strcmp(more->serial, c->config.serial) > 0);
}

const struct member *cluster_successor(const struct cluster *c, mono_t now,
				       enum rank_reason *ret_reason)
{
	struct candidate list[LIMIT_MEMBERS];
	const struct member *who[LIMIT_MEMBERS];
	const struct member *winner;
	unsigned n = candidates(c, now, list, who);
	unsigned best;

	/* Who is not equal yet is no successor, but weighs in: else two could take turns whenever a
	 * third one is behind. */
	for (unsigned i = 1; i < n; i++)
		list[i].flags |= HB_READY;
	best = rank_best(list, n, c->config.margin_ns);
	winner = who[best];
	if (!winner)
		return NULL;
	rank_compare(&list[best], &list[0], c->config.margin_ns, ret_reason);
	if (winner->is_counted)
		return winner;
	/* Forced out, or with failed links, any successor is better than waiting for the best. */
	if (*ret_reason != RANK_FORCED && *ret_reason != RANK_FAILURES)
		return NULL;
	for (unsigned i = 1; i < n; i++)
		if (!who[i]->is_counted)
			list[i].flags &= ~(unsigned)HB_READY;
	best = rank_best(list, n, c->config.margin_ns);
	winner = who[best];
	return winner && winner->is_counted ? winner : NULL;
}

static bool is_fresh(const struct cluster *c, const struct member *m, const struct hb_peer *heard,
		     mono_t now)
{
	return heard->age_us < 120000000u &&
	       US((int64_t)heard->age_us) + mono_sub(now, m->rx) < cluster_detection_of(c, m);
}

const struct member *cluster_hearer_of(const struct cluster *c, const char *serial, mono_t now)
{
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];
		const struct hb_peer *heard;

		if (!cluster_is_living(c, m, now) || strcmp(m->serial, serial) == 0 ||
		    m->hb.state != MEMBER_STANDBY || (m->hb.flags & HB_LEFT) ||
		    strcmp(m->hb.primary, serial) != 0)
			continue;
		heard = cluster_peer_entry(&m->hb, serial);
		if (heard && is_fresh(c, m, heard, now))
			return m;
	}
	return NULL;
}

bool cluster_is_hidden(const struct cluster *c, mono_t now, bool is_better)
{
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (!cluster_is_living(c, m, now))
			continue;
		/* It does not hear us, and so will not wait for us. */
		if (is_better && is_eligible(c, m, now) &&
		    strcmp(m->serial, c->config.serial) > 0 &&
		    mono_sub(now, m->echo) >= cluster_detection_of(c, m))
			return true;
		for (unsigned k = 0; k < m->hb.peers_count; k++) {
			const struct hb_peer *p = &m->hb.peers[k];
			const struct member *known = cluster_member((struct cluster *)c, p->serial);

			int order = strcmp(p->serial, c->config.serial);

			if (order && (order > 0 || !is_better) &&
			    strcmp(p->serial, c->primary) != 0 && is_fresh(c, m, p, now) &&
			    !(known && cluster_is_living(c, known, now)))
				return true;
		}
	}
	return false;
}

/* Why the winner is before the other one, in the documents' words (fortios-facts 1.6). */
static void tell_selected(struct cluster *c, const struct candidate *winner,
			  const struct candidate *other)
{
	static const char *const because[] = {
		[RANK_EQUAL] = "it was elected before peer member",
		[RANK_BLIND] = "it can serve the virtual addresses, not so peer member",
		[RANK_FORCED] = "EXE_FAIL_OVER flag is set on peer member",
		[RANK_HOLDING] = "its kernel has gone on forwarding, not that of peer member",
		[RANK_READY] = "its sessions are in sync, not those of peer member",
		[RANK_FAILURES] = "the value of link-failure + pingsvr-failure is less than peer member",
		[RANK_AGE] = "its uptime is larger than peer member",
		[RANK_PRIORITY] = "its override priority is larger than peer member",
		[RANK_SERIAL] = "its serialno is larger than peer member",
	};
	enum rank_reason reason = RANK_EQUAL;

	/* Whoever was elected although another would be better now, was there first. */
	if (rank_compare(winner, other, c->config.margin_ns, &reason) < 0)
		reason = RANK_EQUAL;
	cluster_history(c, "%s is selected as the primary because %s %s.", winner->serial,
			because[reason], other->serial);
}

void cluster_history_selected(struct cluster *c, mono_t now)
{
	struct candidate self = cluster_self(c, now);
	struct candidate next = { .serial = "" };

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		struct candidate other;

		if (!cluster_is_living(c, &c->members[i], now))
			continue;
		other = cluster_candidate(&c->members[i], now);
		if (!next.serial[0] ||
		    rank_compare(&other, &next, c->config.margin_ns, NULL) > 0)
			next = other;
	}
	if (next.serial[0])
		tell_selected(c, &self, &next);
	else
		cluster_history(c, "%s is selected as the primary because it's the only member in the cluster.",
				self.serial);
}

void cluster_history_followed(struct cluster *c, mono_t now, const char *primary)
{
	const struct member *m = cluster_member(c, primary);
	struct candidate self = cluster_self(c, now);
	struct candidate winner;

	if (!m)
		return;
	winner = cluster_candidate(m, now);
	/* It counts as ready because it is the primary; that is not what it was elected for. */
	winner.flags = (winner.flags & ~(unsigned)HB_READY) | (self.flags & HB_READY);
	tell_selected(c, &winner, &self);
}
