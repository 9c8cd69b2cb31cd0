/* cluster_work.c: with the role: other primaries, better members (pure; the lease is in lease.c) */
#include "cluster/cluster_internal.h"

#include <stdio.h>
#include <string.h>

/* Another primary is heard: the better one stays, by the order of election. */
static bool settle_duel(struct cluster *c, mono_t now, const struct member *m)
{
	struct candidate self = cluster_self(c, now);
	struct candidate other = cluster_candidate(m, now);
	bool is_heard = mono_sub(now, m->echo) < cluster_detection_of(c, m);
	int64_t patience;
	bool is_better;

	/* Until it hears us it knows of no duel, and both must count from the same time. */
	if (mono_is_zero(c->duel_since) || is_heard != c->is_duel_mutual)
		c->duel_since = now;
	c->is_duel_mutual = is_heard;
	self.flags |= HB_READY;
	other.flags |= HB_READY;
	is_better = rank_compare(&self, &other, c->config.margin_ns, NULL) > 0;
	/* Ages at the edge of the margin may look different from the two sides: then nobody has left when
	 * both have heard each other twice. One that never hears us cannot leave. */
	patience = is_heard ? 2 * c->config.interval_ns : 4 * cluster_detection_ns(c);
	if (mono_sub(now, c->duel_since) > patience)
		is_better = is_heard && strcmp(self.serial, other.serial) > 0;
	if (!is_better) {
		cluster_history(c, "%s yields to %s: split brain healed.", c->config.serial,
				m->serial);
		cluster_follow(c, now, m->serial, m->hb.term);
		return true;
	}
	return false;
}

static void raise_term(struct cluster *c, mono_t now, uint64_t term)
{
	mono_t duel_since = c->duel_since;

	cluster_enter(c, now, MEMBER_WORK, c->config.serial, term + 1);
	c->duel_since = duel_since;
	c->raised_at = now;
	c->ops->grant(c->arg, c->lease, c->lease, c->term);
	cluster_send(c, now);
}

/* True when this step is done because the role was lost or the term changed. */
static bool meet_others(struct cluster *c, mono_t now)
{
	const struct member *m = cluster_living_primary(c, now);
	uint64_t highest = c->term;

	if (m && c->is_stalled) {
		cluster_to_hello(c, now, true, "stalled, and there is another primary");
		return true;
	}
	if (m && !c->is_stalled && settle_duel(c, now, m))
		return true;
	if (!m)
		c->duel_since = MONO_ZERO;
	else if (m->hb.term >= highest &&
		 /* Else two that both stay would outbid each other with every heartbeat. */
		 mono_sub(now, c->raised_at) >= c->config.interval_ns)
		highest = m->hb.term + 1;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		m = &c->members[i];
		if (!cluster_is_living(c, m, now) || m->hb.state == MEMBER_WORK ||
		    m->hb.term < c->term)
			continue;
		if (m->hb.term == c->term) {
			/* It hears another primary of this term, whom we do not. */
			if (m->hb.state != MEMBER_STANDBY || !m->hb.primary[0] ||
			    strcmp(m->hb.primary, c->config.serial) == 0 ||
			    cluster_hears(c, m->hb.primary, c->term, now) ||
			    !cluster_hearer_of(c, m->hb.primary, now))
				continue;
			if (c->is_stalled || strcmp(m->hb.primary, c->config.serial) > 0) {
				cluster_to_hello(c, now, c->is_stalled,
						 "a member follows another primary of this term");
				return true;
			}
			highest = c->term + 1;
			continue;
		}
		if (c->is_stalled || (m->hb.primary[0] &&
				      strcmp(m->hb.primary, c->config.serial) != 0)) {
			cluster_to_hello(c, now, true, "a member follows a primary of a higher term");
			return true;
		}
		if (m->hb.term > highest)
			highest = m->hb.term;
	}
	if (highest > c->term && !c->is_stalled)
		raise_term(c, now, highest);
	return false;
}

/* Gives the role to a better member that follows us and is equal to us. */
static void yield_to_better(struct cluster *c, mono_t now)
{
	enum rank_reason reason = RANK_EQUAL;
	const struct member *m = cluster_successor(c, now, &reason);
	char why[96];

	if (!m)
		return;
	snprintf(why, sizeof(why), "%s is the better primary%s", m->serial,
		 reason == RANK_FORCED ? " (failover forced by the operator)" :
		 reason == RANK_FAILURES ? " (fewer failed links)" : "");
	cluster_resign(c, now, m, why);
}

void cluster_step_work(struct cluster *c, mono_t now, mono_t *wake)
{
	/* First: without a lease we are nobody's rival. */
	lease_judge(c, now);
	if (cluster_is_twin_ahead(c, now)) {
		cluster_to_hello(c, now, true, "another primary uses its serial");
		return;
	}
	if (meet_others(c, now))
		return;
	lease_step(c, now, wake);
	if (c->state == MEMBER_WORK && !c->is_stalled)
		yield_to_better(c, now);
}
