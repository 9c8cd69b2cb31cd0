/* cluster.c: the states hello, standby and work, and what moves between them (pure) */
#include "cluster/cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How long a stranger's frame keeps a member in hello from calling itself alone. */
#define STRANGER_NS SEC(10)
/* Between probes that are answered. */
#define PROBE_PAUSE_NS MS(100)

void cluster_history(struct cluster *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->ops->on_history(c->arg, text);
}

/* Every change of state goes through here. */
static void enter(struct cluster *c, mono_t now, enum member_state state, const char *primary,
		  uint64_t term)
{
	char name[17];

	snprintf(name, sizeof(name), "%s", primary);
	if (state != c->state || strcmp(name, c->primary) != 0 || term != c->term)
		c->is_ready = state == MEMBER_WORK;
	if (state != c->state || strcmp(name, c->primary) != 0)
		c->state_since = now;
	c->state = state;
	memcpy(c->primary, name, sizeof(c->primary));
	c->term = term;
	c->is_resigned = false;
	c->is_probe_due = false;
	c->duel_since = MONO_ZERO;
	c->stall_heard_since = MONO_ZERO;
	c->hidden_since = MONO_ZERO;
	c->resign_heard = MONO_ZERO;
	if (c->is_probing) {
		c->is_probing = false;
		c->ops->probe_cancel(c->arg);
	}
	c->ops->on_role(c->arg, state, c->primary, term);
}

void cluster_init(struct cluster *c, const struct cluster_config *config,
		  const struct cluster_ops *ops, void *arg, mono_t now, bool is_holding,
		  uint64_t term)
{
	memset(c, 0, sizeof(*c));
	c->config = *config;
	c->ops = ops;
	c->arg = arg;
	c->state = MEMBER_HELLO;
	c->state_since = now;
	c->age_since = now;
	c->next_send = now;
	c->last_send = mono_add(now, -config->interval_ns);
	c->stepped_at = now;
	c->stranger_rx = (mono_t){ INT64_MIN / 2 };
	c->is_holding = is_holding;
	c->term = term;
	if (is_holding)
		c->lease = MONO_NEVER;
}

void cluster_reconfigure(struct cluster *c, const struct cluster_config *config)
{
	c->config = *config;
}

void cluster_to_hello(struct cluster *c, mono_t now, bool reset_age, const char *why)
{
	lease_end(c);
	if (reset_age)
		c->age_since = now;
	cluster_history(c, "%s goes to hello: %s.", c->config.serial, why);
	enter(c, now, MEMBER_HELLO, "", c->term);
	cluster_send(c, now);
}

void cluster_follow(struct cluster *c, mono_t now, const char *primary, uint64_t term)
{
	if (c->state == MEMBER_STANDBY && c->term == term && strcmp(c->primary, primary) == 0)
		return;
	if (c->state == MEMBER_WORK || c->is_holding)
		lease_end(c);
	c->alarms[ALARM_UNKNOWN_GATEWAY] = false;
	enter(c, now, MEMBER_STANDBY, primary, term > c->term ? term : c->term);
	cluster_send(c, now);
}

void cluster_resign(struct cluster *c, mono_t now, const struct member *successor, const char *why)
{
	lease_end(c);
	c->stats.resigns++;
	cluster_history(c, "%s resigns: %s.", c->config.serial, why);
	enter(c, now, MEMBER_STANDBY, "", c->term);
	c->is_resigned = true;
	memcpy(c->successor, successor->serial, sizeof(c->successor));
	cluster_send(c, now);
}

bool cluster_probe_silent(struct cluster *c, mono_t now, mono_t *wake)
{
	if (c->config.probe_ns == 0)
		return true;
	if (c->is_probe_due) {
		c->is_probe_due = false;
		return true;
	}
	if (c->is_probing)
		return false;
	if (!mono_reached(now, c->next_probe)) {
		wake_at(wake, c->next_probe);
		return false;
	}
	c->is_probing = true;
	c->stats.probes++;
	c->ops->probe(c->arg, c->config.probe_ns);
	return false;
}

static void take_over(struct cluster *c, mono_t now)
{
	uint64_t term = c->term;
	mono_t end = mono_add(now, cluster_detection_ns(c));

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (c->members[i].is_used && c->members[i].hb.term > term)
			term = c->members[i].hb.term;
	/* Bounded at first, so that a freeze right here grants nothing after it; the next step
	 * makes it what the living members allow. */
	c->is_stalled = false;
	c->lease = end;
	if (c->ops->grant(c->arg, end, end, term + 1) < 0)
		return;
	c->stats.takeovers++;
	c->is_holding = false;
	c->alarms[ALARM_UNKNOWN_GATEWAY] = false;
	cluster_history_selected(c, now);
	enter(c, now, MEMBER_WORK, c->config.serial, term + 1);
	cluster_send(c, now);
}

/* A living primary that is not us, the one of the highest term; stalled ones do not count. */
static const struct member *living_primary(const struct cluster *c, mono_t now)
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

static bool hears(const struct cluster *c, const char *serial, mono_t now)
{
	const struct member *m = cluster_member((struct cluster *)c, serial);

	return m && cluster_is_living(c, m, now) && m->hb.state == MEMBER_WORK;
}

/* A follower of a primary that we do not hear, but it does; of the highest term. */
static const struct member *relayed_primary(const struct cluster *c, mono_t now)
{
	const struct member *best = NULL;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (cluster_is_living(c, m, now) && m->hb.state == MEMBER_STANDBY &&
		    m->hb.primary[0] && strcmp(m->hb.primary, c->config.serial) != 0 &&
		    !hears(c, m->hb.primary, now) && cluster_hearer_of(c, m->hb.primary, now) &&
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

/* A living member hears our primary, which we do not, and says that it has left: somebody there may be
 * taking over already. */
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

/* Nobody else should be the primary, and the virtual addresses are silent: takes over. */
static void elect(struct cluster *c, mono_t now, mono_t *wake)
{
	/* Who waits is woken by heartbeats. */
	if (cluster_better(c, now) || is_held(c, now)) {
		c->hidden_since = MONO_ZERO;
		return;
	}
	if (cluster_is_hidden(c, now, true) || cluster_is_disputed(c, now) ||
	    is_left_elsewhere(c, now)) {
		mono_t patience;

		if (mono_is_zero(c->hidden_since))
			c->hidden_since = now;
		patience = mono_add(c->hidden_since, 3 * c->config.interval_ns);
		if (!mono_reached(now, patience)) {
			wake_at(wake, patience);
			return;
		}
	}
	if (cluster_probe_silent(c, now, wake))
		take_over(c, now);
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

static void step_hello(struct cluster *c, mono_t now, mono_t *wake)
{
	const struct member *m = living_primary(c, now);
	mono_t alone_at = mono_add(c->state_since, c->config.holddown_ns);

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

static void step_standby(struct cluster *c, mono_t now, mono_t *wake)
{
	struct member *primary = cluster_member(c, c->primary);
	const struct member *m = living_primary(c, now);
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
		follow_on(c, now, primary, wake);
		return;
	}
	m = cluster_hearer_of(c, c->primary, now);
	if (!is_living && m) {
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

		/* A lease that ended in an orderly way: nothing to probe for. */
		if (strcmp(primary->hb.successor, c->config.serial) == 0) {
			if (!c->alarms[ALARM_UNKNOWN_GATEWAY] || cluster_probe_silent(c, now, wake))
				take_over(c, now);
			return;
		}
		/* Everybody else gives the successor time, also one we have not heard yet. */
		if (mono_is_zero(c->resign_heard))
			c->resign_heard = now;
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

/* Another primary is heard: the better one stays, by the order of election. */
static bool settle_duel(struct cluster *c, mono_t now, const struct member *m)
{
	struct candidate self = cluster_self(c, now);
	struct candidate other = cluster_candidate(m, now);
	bool is_better;

	if (mono_is_zero(c->duel_since))
		c->duel_since = now;
	self.flags |= HB_READY;
	other.flags |= HB_READY;
	is_better = rank_compare(&self, &other, c->config.margin_ns, NULL) > 0;
	/* Ages at the edge of the margin may look different from the two sides. */
	if (mono_sub(now, c->duel_since) > 4 * cluster_detection_ns(c))
		is_better = strcmp(self.serial, other.serial) > 0;
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

	enter(c, now, MEMBER_WORK, c->config.serial, term + 1);
	c->duel_since = duel_since;
	c->ops->grant(c->arg, c->lease, c->lease, c->term);
	cluster_send(c, now);
}

/* True when this step is done because the role was lost or the term changed. */
static bool meet_others(struct cluster *c, mono_t now)
{
	const struct member *m = living_primary(c, now);
	uint64_t highest = c->term;

	if (m && c->is_stalled) {
		cluster_to_hello(c, now, true, "stalled, and there is another primary");
		return true;
	}
	if (m && !c->is_stalled && settle_duel(c, now, m))
		return true;
	if (!m)
		c->duel_since = MONO_ZERO;
	else if (m->hb.term >= highest)
		highest = m->hb.term + 1;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		m = &c->members[i];
		if (!cluster_is_living(c, m, now) || m->hb.state == MEMBER_WORK ||
		    m->hb.term < c->term)
			continue;
		if (m->hb.term == c->term) {
			/* It hears another primary of this term, whom we do not. */
			if (m->hb.state != MEMBER_STANDBY || !m->hb.primary[0] ||
			    strcmp(m->hb.primary, c->config.serial) == 0 || c->is_stalled ||
			    hears(c, m->hb.primary, now) ||
			    !cluster_hearer_of(c, m->hb.primary, now))
				continue;
			if (strcmp(m->hb.primary, c->config.serial) > 0) {
				cluster_to_hello(c, now, false,
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

static void step_work(struct cluster *c, mono_t now, mono_t *wake)
{
	/* First: without a lease we are nobody's rival. */
	lease_judge(c, now);
	if (meet_others(c, now))
		return;
	lease_step(c, now, wake);
	if (c->state == MEMBER_WORK && !c->is_stalled)
		yield_to_better(c, now);
}

/* What happened while we were frozen is not known from what we find waiting: listen anew. */
static void note_freeze(struct cluster *c, mono_t now)
{
	if (mono_sub(now, c->stepped_at) > 2 * c->config.interval_ns) {
		c->state_since = now;
		c->stalled_since = now;
		c->stall_heard_since = MONO_ZERO;
		c->hidden_since = MONO_ZERO;
		c->is_probe_due = false;
	}
	c->stepped_at = now;
}

mono_t cluster_step(struct cluster *c, mono_t now)
{
	mono_t wake = MONO_NEVER;

	note_freeze(c, now);
	switch (c->state) {
	case MEMBER_HELLO:
		step_hello(c, now, &wake);
		break;
	case MEMBER_STANDBY:
		step_standby(c, now, &wake);
		break;
	case MEMBER_WORK:
		step_work(c, now, &wake);
		break;
	}
	c->is_probe_due = false;
	c->alarms[ALARM_VMAC_TABLE] = false;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (cluster_is_living(c, &c->members[i], now) &&
		    c->members[i].hb.vmac_table != c->config.vmac_table)
			c->alarms[ALARM_VMAC_TABLE] = true;
	if (c->alarms[ALARM_STRANGER] && mono_sub(now, c->stranger_rx) > STRANGER_NS)
		c->alarms[ALARM_STRANGER] = false;
	if (mono_reached(now, c->next_send))
		cluster_send(c, now);
	/* What changed in this step may have something to do at once. */
	return mono_max(mono_min(wake, c->next_send), mono_add(now, MS(1) / 4));
}

void cluster_on_stranger(struct cluster *c, mono_t now)
{
	c->stranger_rx = now;
	c->alarms[ALARM_STRANGER] = true;
}

void cluster_on_serial_clash(struct cluster *c)
{
	c->alarms[ALARM_SERIAL_CLASH] = true;
}

void cluster_on_failures(struct cluster *c, mono_t now, unsigned failures)
{
	if (failures > c->failures)
		c->age_since = now;
	if (failures != c->failures) {
		c->failures = failures;
		cluster_send(c, now);
	}
}

void cluster_on_path_trouble(struct cluster *c, bool has_trouble)
{
	c->has_path_trouble = has_trouble;
}

void cluster_on_ready(struct cluster *c, uint64_t term, bool is_ready)
{
	if (c->state == MEMBER_STANDBY && term == c->term)
		c->is_ready = is_ready;
}

void cluster_on_probe(struct cluster *c, mono_t now, bool is_answered, const char *who)
{
	if (!c->is_probing)
		return;
	c->is_probing = false;
	if (!is_answered) {
		c->is_probe_due = true;
		return;
	}
	c->stats.probes_answered++;
	c->next_probe = mono_add(now, PROBE_PAUSE_NS);
	if (!c->alarms[ALARM_UNKNOWN_GATEWAY])
		cluster_history(c, "%s stays silent: somebody it cannot hear still forwards: %s.",
				c->config.serial, who ? who : "a probe was answered");
	c->alarms[ALARM_UNKNOWN_GATEWAY] = true;
	c->answered_at = now;
	snprintf(c->answered_by, sizeof(c->answered_by), "%s", who ? who : "?");
}

void cluster_on_force(struct cluster *c, bool is_forced)
{
	c->is_forced = is_forced;
}

void cluster_on_reset_uptime(struct cluster *c, mono_t now)
{
	c->age_since = now;
}

bool cluster_on_shutdown(struct cluster *c, mono_t now)
{
	const struct member *best = NULL;
	struct candidate first, other;

	if (c->state != MEMBER_WORK || c->is_stalled)
		return false;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (!m->is_counted || !cluster_is_living(c, m, now))
			continue;
		other = cluster_candidate(m, now);
		if (!best || rank_compare(&other, &first, c->config.margin_ns, NULL) > 0) {
			best = m;
			first = other;
		}
	}
	if (!best)
		return false;
	cluster_resign(c, now, best, "the daemon is stopped");
	return true;
}

bool cluster_has_lease(const struct cluster *c, mono_t now)
{
	return (c->state == MEMBER_WORK || c->is_holding) && mono_before(now, c->lease);
}
