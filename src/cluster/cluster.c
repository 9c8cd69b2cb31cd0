/* cluster.c: moves between hello, standby and work, and the news the machine is handed (pure) */
#include "cluster/cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Between probes that are answered or blind. */
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
void cluster_enter(struct cluster *c, mono_t now, enum member_state state, const char *primary,
		  uint64_t term)
{
	char name[17];

	snprintf(name, sizeof(name), "%s", primary);
	if (state != c->state || strcmp(name, c->primary) != 0 || term != c->term)
		c->is_ready = state == MEMBER_WORK;
	if (state != c->state || strcmp(name, c->primary) != 0)
		c->state_since = c->entered_at = now;
	c->state = state;
	memcpy(c->primary, name, sizeof(c->primary));
	c->term = term;
	c->is_resigned = false;
	c->is_probe_due = false;
	c->alarms[ALARM_BLIND] = false;
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
	c->entered_at = now;
	c->age_since = now;
	c->next_send = now;
	c->last_send = mono_add(now, -config->interval_ns);
	c->stepped_at = now;
	c->stranger_rx = c->sighted_at = c->raised_at = (mono_t){ INT64_MIN / 2 };
	c->is_holding = is_holding;
	c->term = term;
	if (is_holding)
		c->lease = MONO_NEVER;
}

void cluster_reconfigure(struct cluster *c, const struct cluster_config *config)
{
	c->config = *config;
	if (config->probe_ns == 0)
		c->alarms[ALARM_BLIND] = false;
}

void cluster_to_hello(struct cluster *c, mono_t now, bool reset_age, const char *why)
{
	lease_end(c);
	if (reset_age)
		c->age_since = now;
	cluster_history(c, "%s goes to hello: %s.", c->config.serial, why);
	cluster_enter(c, now, MEMBER_HELLO, "", c->term);
	cluster_send(c, now);
}

void cluster_follow(struct cluster *c, mono_t now, const char *primary, uint64_t term)
{
	if (c->state == MEMBER_STANDBY && c->term == term && strcmp(c->primary, primary) == 0)
		return;
	if (c->state == MEMBER_WORK || c->is_holding)
		lease_end(c);
	c->alarms[ALARM_UNKNOWN_GATEWAY] = false;
	if (strcmp(c->primary, primary) != 0)
		cluster_history_followed(c, now, primary);
	cluster_enter(c, now, MEMBER_STANDBY, primary, term > c->term ? term : c->term);
	cluster_send(c, now);
}

void cluster_resign(struct cluster *c, mono_t now, const struct member *successor, const char *why)
{
	lease_end(c);
	c->stats.resigns++;
	cluster_history(c, "%s resigns: %s.", c->config.serial, why);
	cluster_enter(c, now, MEMBER_STANDBY, "", c->term);
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

void cluster_take_over(struct cluster *c, mono_t now)
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
	cluster_enter(c, now, MEMBER_WORK, c->config.serial, term + 1);
	cluster_send(c, now);
}

/* What happened while we were frozen is not known from what we find waiting: listen anew. */
static void note_freeze(struct cluster *c, mono_t now)
{
	if (mono_sub(now, c->stepped_at) > 2 * c->config.interval_ns) {
		c->state_since = now;
		c->stalled_since = now;
		c->stall_heard_since = MONO_ZERO;
		c->hidden_since = MONO_ZERO;
		c->duel_since = MONO_ZERO;
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
		cluster_step_hello(c, now, &wake);
		break;
	case MEMBER_STANDBY:
		cluster_step_standby(c, now, &wake);
		break;
	case MEMBER_WORK:
		cluster_step_work(c, now, &wake);
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
	cluster_step_twin(c, now);
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

/* Others wait for us while they take us for the best: they must know at once. */
static void set_blind(struct cluster *c, mono_t now, bool is_blind)
{
	if (c->alarms[ALARM_BLIND] == is_blind)
		return;
	c->alarms[ALARM_BLIND] = is_blind;
	if (is_blind)
		cluster_history(c, "%s: no interface with virtual addresses is up: not taking over.",
				c->config.serial);
	else
		c->sighted_at = now;
	cluster_send(c, now);
}

bool cluster_is_blind(const struct cluster *c)
{
	return c->state != MEMBER_WORK && c->config.probe_ns != 0 &&
	       (c->has_no_link || c->alarms[ALARM_BLIND]);
}

void cluster_on_links(struct cluster *c, mono_t now, bool has_link)
{
	if (c->has_no_link == !has_link)
		return;
	c->has_no_link = !has_link;
	if (has_link)
		c->sighted_at = now;
	cluster_send(c, now);
}

void cluster_on_probe(struct cluster *c, mono_t now, enum probe_result result, const char *who)
{
	bool was_blind = c->alarms[ALARM_BLIND];

	if (!c->is_probing)
		return;
	c->is_probing = false;
	set_blind(c, now, result == PROBE_BLIND);
	c->stats.probes_blind += result == PROBE_BLIND;
	if (result == PROBE_SILENT && !was_blind) {
		c->is_probe_due = true;
		return;
	}
	c->next_probe = mono_add(now, PROBE_PAUSE_NS);
	if (result != PROBE_ANSWERED)
		return;
	c->stats.probes_answered++;
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
