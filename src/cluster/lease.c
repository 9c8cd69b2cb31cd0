/* lease.c: how long a primary may forward, from the echoes it hears (pure; rules in cluster.h) */
#include "cluster/cluster_internal.h"

#include <string.h>

void lease_end(struct cluster *c)
{
	c->lease = MONO_ZERO;
	c->is_stalled = false;
	c->is_holding = false;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		c->members[i].is_counted = false;
	c->ops->revoke(c->arg, c->term);
}

static bool follows_us(const struct cluster *c, const struct member *m)
{
	return m->hb.state == MEMBER_STANDBY && m->hb.term == c->term &&
	       strcmp(m->hb.primary, c->config.serial) == 0;
}

/* Would it take over on our silence? */
static bool is_able(const struct member *m)
{
	return (m->hb.flags & HB_READY) && !(m->hb.flags & HB_BLIND);
}

/* Silence that means "not heard at all"; shorter where the detection time itself is short. */
static int64_t silence_ns(const struct cluster *c)
{
	int64_t missed = cluster_missed_ns(c);
	int64_t most = cluster_detection_ns(c) - c->config.interval_ns / 4;

	return missed < most ? missed : most;
}

static void count_member(struct cluster *c, struct member *m, mono_t now, mono_t *wake)
{
	int64_t d = cluster_detection_ns(c);
	mono_t judged = mono_add(m->echo, d - c->config.interval_ns);
	mono_t silent = mono_add(m->rx, silence_ns(c));

	if (!m->is_counted) {
		/* Only a member that hears us well enough that counting it shortens nothing. */
		if (cluster_is_living(c, m, now) && follows_us(c, m) &&
		    is_able(m) && mono_sub(now, m->echo) <= d / 2)
			m->is_counted = true;
		return;
	}
	if (mono_reached(now, judged) && mono_reached(now, silent)) {
		m->is_counted = false; /* dead */
		return;
	}
	/* Alive, but no longer one that would take over on our silence. */
	if (mono_before(now, silent) && (!follows_us(c, m) || !is_able(m))) {
		m->is_counted = false;
		return;
	}
	wake_at(wake, mono_max(judged, silent));
}

static mono_t deadline(const struct cluster *c)
{
	mono_t end = MONO_NEVER;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (c->members[i].is_counted)
			end = mono_min(end, mono_add(c->members[i].echo, cluster_detection_ns(c)));
	return end;
}

static void stall(struct cluster *c, mono_t now)
{
	c->is_stalled = true;
	c->stalled_since = now;
	c->is_one_missing = false;
	c->stats.stalls++;
	c->lease = MONO_ZERO;
	c->ops->revoke(c->arg, c->term);
	cluster_history(c, "%s has stalled: its lease of term %llu ran out; it stays silent and asks.",
			c->config.serial, (unsigned long long)c->term);
	cluster_send(c, now);
}

static void grant(struct cluster *c, mono_t now, mono_t end)
{
	mono_t replaced = c->lease;

	if (end.ns == replaced.ns)
		return;
	c->lease = end;
	if (c->ops->grant(c->arg, end, replaced, c->term) < 0)
		stall(c, now);
}

static void resume(struct cluster *c, mono_t now)
{
	mono_t end = deadline(c);

	/* Bounded even when nobody is left: the step after this one makes it unbounded. */
	if (end.ns == MONO_NEVER.ns)
		end = mono_add(now, cluster_detection_ns(c));
	c->is_stalled = false;
	c->alarms[ALARM_BLIND] = false;
	c->stats.resumes++;
	grant(c, now, end);
	cluster_history(c, "%s resumes as the primary of term %llu: all living members still follow it.",
			c->config.serial, (unsigned long long)c->term);
	c->ops->on_role(c->arg, MEMBER_WORK, c->primary, c->term);
}

/* A stalled primary: who was counted and is heard again must follow us with an echo made since. */
static void ask(struct cluster *c, mono_t now, mono_t *wake)
{
	mono_t patience = mono_add(c->stalled_since, cluster_detection_ns(c));
	unsigned fresh = 0;
	unsigned pending = 0;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		struct member *m = &c->members[i];

		if (!m->is_counted)
			continue;
		/* Send times are told in whole microseconds. */
		if (follows_us(c, m) && mono_before(c->stalled_since, mono_add(m->echo, US(1))))
			fresh++;
		else if (!mono_reached(now, patience) || cluster_is_living(c, m, now))
			pending++;
		else {
			m->is_counted = false;
			c->is_one_missing = true;
		}
	}
	wake_at(wake, mono_reached(now, patience) ? c->next_send : patience);
	if (pending)
		return;
	/* Somebody we do not hear may be taking over this moment: its frames and the answers to our
	 * question cross. */
	if (cluster_is_hidden(c, now, false)) {
		mono_t heard = mono_add(c->stalled_since, 2 * c->config.interval_ns);

		if (!mono_reached(now, heard)) {
			wake_at(wake, heard);
			return;
		}
	}
	/* Nobody confirms it, or one that was counted is silent and may have taken over out of our
	 * hearing: time for news of a successor, then the virtual addresses tell (seed 312784). */
	if ((fresh && !c->is_one_missing) ||
	    (mono_reached(now, patience) && cluster_probe_silent(c, now, wake)))
		resume(c, now);
}

void lease_judge(struct cluster *c, mono_t now)
{
	if (!c->is_stalled && mono_reached(now, c->lease))
		stall(c, now);
}

void lease_step(struct cluster *c, mono_t now, mono_t *wake)
{
	lease_judge(c, now);
	if (c->is_stalled) {
		ask(c, now, wake);
		return;
	}
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (c->members[i].is_used)
			count_member(c, &c->members[i], now, wake);
	grant(c, now, deadline(c));
	if (c->lease.ns != MONO_NEVER.ns)
		wake_at(wake, c->lease);
}
