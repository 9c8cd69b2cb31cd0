/* cluster_seek.c: without the role: whom to follow, and when to take over (pure) */
#include "cluster/cluster_internal.h"

#include <string.h>

/* A living primary that is not us, the one of the highest term; stalled ones do not count. */
const struct member *cluster_living_primary(const struct cluster *c, mono_t now)
{
	const struct member *best = NULL;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (cluster_is_living(c, m, now) && m->hb.state == MEMBER_WORK &&
		    !(m->hb.flags & HB_STALLED) && (!best || m->hb.term > best->hb.term))
			best = m;
	}
	return best;
}

bool cluster_hears(const struct cluster *c, const char *serial, uint64_t term, mono_t now)
{
	const struct member *m = cluster_member((struct cluster *)c, serial);

	return m && cluster_is_living(c, m, now) && m->hb.state == MEMBER_WORK &&
	       m->hb.term >= term;
}

/* A follower of a primary that we do not hear, but it does; of the highest term. */
static const struct member *relayed_primary(const struct cluster *c, mono_t now)
{
	const struct member *best = NULL;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (cluster_is_living(c, m, now) && m->hb.state == MEMBER_STANDBY &&
		    m->hb.primary[0] && strcmp(m->hb.primary, c->config.serial) != 0 &&
		    !cluster_hears(c, m->hb.primary, m->hb.term, now) &&
		    cluster_hearer_of(c, m->hb.primary, now) &&
		    (!best || m->hb.term > best->hb.term))
			best = m;
	}
	return best;
}

static unsigned living_count(const struct cluster *c, mono_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		n += cluster_is_living(c, &c->members[i], now);
	return n;
}

/* A living member's kernel still forwards; it resumes or gives up. */
static bool is_held(const struct cluster *c, mono_t now)
{
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (cluster_is_living(c, &c->members[i], now) &&
		    (c->members[i].hb.flags & HB_HOLDING))
			return !c->is_holding;
	return false;
}

/* A living member hears our primary, which we do not, and says that it has left: somebody there
 * may be taking over already. */
static bool is_left_elsewhere(const struct cluster *c, mono_t now)
{
	const struct member *primary = cluster_member((struct cluster *)c, c->primary);

	if (!c->primary[0] || (primary && cluster_is_living(c, primary, now)))
		return false;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (cluster_is_living(c, &c->members[i], now) &&
		    (c->members[i].hb.flags & HB_LEFT) &&
		    strcmp(c->members[i].hb.primary, c->primary) == 0)
			return true;
	return false;
}

/* Without probes nothing but this tells that nobody forwards any more: the primary says itself that
 * it left, or is silent and its lease counted us, or a living member that says so. */
static bool is_known_over(const struct cluster *c, mono_t now)
{
	const struct member *primary = cluster_member((struct cluster *)c, c->primary);

	if (cluster_is_lease_over(c, now) || (primary && cluster_is_living(c, primary, now)))
		return true;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (cluster_is_living(c, &c->members[i], now) &&
		    (c->members[i].hb.flags & HB_LEASE_OVER) &&
		    strcmp(c->members[i].hb.primary, c->primary) == 0)
			return true;
	return false;
}

/* Somebody that passes us over as blind may be taking over this moment. */
static bool is_passed_over(const struct cluster *c, mono_t now, mono_t *wake)
{
	mono_t known = mono_add(c->sighted_at, 3 * c->config.interval_ns);

	if (living_count(c, now) == 0 || (mono_reached(now, known) && !c->has_no_link))
		return false;
	if (mono_before(now, known))
		wake_at(wake, known);
	return true;
}

/* Nobody else should be the primary, and the virtual addresses are silent: takes over. */
static void elect(struct cluster *c, mono_t now, mono_t *wake)
{
	int waits;

	/* Who waits is woken by heartbeats. */
	if (cluster_better(c, now) || is_held(c, now) || cluster_is_twin_ahead(c, now)) {
		c->hidden_since = MONO_ZERO;
		/* With a link up again we may be the best. */
		if (c->alarms[ALARM_BLIND])
			cluster_probe_silent(c, now, wake);
		return;
	}
	if (is_passed_over(c, now, wake))
		return;
	if (c->config.probe_ns == 0 && c->state == MEMBER_STANDBY && !is_known_over(c, now)) {
		const struct member *primary = cluster_member(c, c->primary);
		mono_t patience = mono_add(primary ? primary->rx : c->state_since,
					   c->config.holddown_ns);

		if (!mono_reached(now, patience)) {
			c->hidden_since = MONO_ZERO;
			wake_at(wake, patience);
			return;
		}
	}
	/* The other one may wait too, for the second reason: then it goes first (seed 402272). */
	waits = cluster_is_hidden(c, now, true) +
		(cluster_is_disputed(c, now) || is_left_elsewhere(c, now));
	if (waits) {
		mono_t patience;

		if (mono_is_zero(c->hidden_since))
			c->hidden_since = now;
		patience = mono_add(c->hidden_since, 3 * waits * c->config.interval_ns);
		if (!mono_reached(now, patience)) {
			wake_at(wake, patience);
			return;
		}
	}
	/* Even a lease that counted us may live on: where we and the primary do not hear each other at
	 * all it has dropped us from its count (seed 976 of the simulator). */
	if (cluster_probe_silent(c, now, wake))
		cluster_take_over(c, now);
}

/* Long enough to have heard a primary and to have exchanged nonces with it. */
static mono_t listened_at(const struct cluster *c)
{
	int64_t d = cluster_detection_ns(c);
	int64_t least = 4 * c->config.interval_ns;

	return mono_add(c->state_since, d > least ? d : least);
}

/* Our kernel forwards on from an earlier life. Others wait for us; a better one gets its turn. */
static void hold_on(struct cluster *c, mono_t now)
{
	const struct member *m = cluster_better(c, now);

	if (!m || (!(m->hb.flags & HB_HOLDING) && !mono_reached(now, listened_at(c))))
		return;
	cluster_history(c, "%s gives its lease up: %s is the better primary.", c->config.serial,
			m->serial);
	lease_end(c);
	cluster_send(c, now);
}

void cluster_step_hello(struct cluster *c, mono_t now, mono_t *wake)
{
	const struct member *m = cluster_living_primary(c, now);
	mono_t alone_at = mono_add(c->entered_at, c->config.holddown_ns);

	if (m) {
		cluster_follow(c, now, m->serial, m->hb.term);
		return;
	}
	if (c->is_holding)
		hold_on(c, now);
	m = relayed_primary(c, now);
	if (m) {
		cluster_follow(c, now, m->hb.primary, m->hb.term);
		return;
	}
	if (!mono_reached(now, listened_at(c))) {
		wake_at(wake, listened_at(c));
		return;
	}
	if (living_count(c, now) == 0 && !c->is_holding) {
		mono_t calm = mono_add(c->stranger_rx, STRANGER_NS);

		if (!mono_reached(now, alone_at) || !mono_reached(now, calm)) {
			wake_at(wake, mono_max(alone_at, calm));
			return;
		}
	}
	elect(c, now, wake);
}

/* The primary lives. One that cannot stop asking (somebody it hears does not hear it) is left. */
static void follow_on(struct cluster *c, mono_t now, const struct member *primary, mono_t *wake)
{
	int64_t d = cluster_detection_of(c, primary);

	wake_at(wake, mono_add(primary->rx, d));
	if (!(primary->hb.flags & HB_STALLED)) {
		c->stall_heard_since = MONO_ZERO;
		return;
	}
	if (mono_is_zero(c->stall_heard_since))
		c->stall_heard_since = now;
	if (mono_reached(now, mono_add(c->stall_heard_since, 3 * d)))
		cluster_to_hello(c, now, false, "its primary has stalled and does not resume");
}

void cluster_step_standby(struct cluster *c, mono_t now, mono_t *wake)
{
	struct member *primary = cluster_member(c, c->primary);
	const struct member *m = cluster_living_primary(c, now);
	bool is_living = primary && cluster_is_living(c, primary, now);

	if (m && (m->hb.term > c->term || !is_living || cluster_has_left(c, primary)) &&
	    m->hb.term >= c->term) {
		cluster_follow(c, now, m->serial, m->hb.term);
		return;
	}
	/* The next one may be out of our hearing, but not of a member's. */
	m = !is_living || cluster_has_left(c, primary) ? relayed_primary(c, now) : NULL;
	if (m && m->hb.term > c->term) {
		cluster_follow(c, now, m->hb.primary, m->hb.term);
		return;
	}
	if (c->is_resigned) {
		mono_t patience = mono_add(c->state_since, 4 * cluster_detection_ns(c));

		if (mono_reached(now, patience))
			cluster_to_hello(c, now, false, "nobody took the role over");
		else
			wake_at(wake, patience);
		return;
	}
	if (is_living && !cluster_has_left(c, primary)) {
		c->hidden_since = MONO_ZERO;
		follow_on(c, now, primary, wake);
		return;
	}
	m = cluster_hearer_of(c, c->primary, now);
	if (!is_living && m) {
		c->hidden_since = MONO_ZERO;
		wake_at(wake, c->next_send);
		return;
	}
	/* Silence counts from when we listened for this primary; so does what it said, unless it
	 * echoes us: then it is no news of before we froze. */
	if (!(is_living && mono_sub(now, primary->echo) < cluster_detection_ns(c)) &&
	    !mono_reached(now, mono_add(c->state_since, cluster_detection_ns(c)))) {
		wake_at(wake, mono_add(c->state_since, cluster_detection_ns(c)));
		return;
	}
	if (is_living && (primary->hb.flags & HB_RESIGNED)) {
		mono_t patience;

		if (mono_is_zero(c->resign_heard))
			c->resign_heard = now;
		patience = mono_add(c->resign_heard, cluster_detection_ns(c) / 2);
		/* A lease that ended in an orderly way: nothing to probe for, unless we have just
		 * woken up or come here: somebody else's may have begun meanwhile. Whoever cannot
		 * take over at once has no precedence: others elect by then (seed 412435). */
		if (strcmp(primary->hb.successor, c->config.serial) == 0 &&
		    !cluster_is_twin_ahead(c, now) && !cluster_is_blind(c) &&
		    !c->alarms[ALARM_UNKNOWN_GATEWAY] && mono_before(now, patience)) {
			if (mono_reached(now, listened_at(c)) || cluster_probe_silent(c, now, wake))
				cluster_take_over(c, now);
			return;
		}
		/* Everybody else gives the successor time, also one we have not heard yet. */
		patience = mono_add(c->resign_heard, cluster_detection_ns(c));
		m = cluster_member(c, primary->hb.successor);
		if (m && cluster_is_living(c, m, now))
			return;
		if (!mono_reached(now, patience)) {
			wake_at(wake, patience);
			return;
		}
	}
	elect(c, now, wake);
}
