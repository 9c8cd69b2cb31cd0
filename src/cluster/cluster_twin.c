/* cluster_twin.c: another member with our serial: who it is, and who may forward (pure) */
#include "cluster/cluster_internal.h"

#include <stdio.h>
#include <string.h>

/* Claims to the role. A stalled primary may resume, so it is before who has no role at all. */
enum { CLAIM_NONE, CLAIM_STALLED, CLAIM_FORWARDS };

static unsigned claim_of(enum member_state state, bool is_stalled, bool is_holding)
{
	if (state != MEMBER_WORK)
		return is_holding ? CLAIM_FORWARDS : CLAIM_NONE;
	return is_stalled ? CLAIM_STALLED : CLAIM_FORWARDS;
}

static bool is_before(unsigned claim, uint64_t incarnation, unsigned other, uint64_t other_life)
{
	return claim != other ? claim > other : incarnation > other_life;
}

/* The entry for this very life: a third member of the serial may stand beside it. */
static const struct hb_peer *own_entry(const struct cluster *c, const struct heartbeat *hb)
{
	for (unsigned i = 0; i < hb->peers_count; i++)
		if (hb->peers[i].incarnation == c->config.incarnation &&
		    strcmp(hb->peers[i].serial, c->config.serial) == 0)
			return &hb->peers[i];
	return NULL;
}

/* Once, again when it has another hostname; a peer decides how often that is, the pause how often
 * it is told. */
static bool is_worth_telling(const struct cluster *c, mono_t now, bool is_known)
{
	return !is_known || (strcmp(c->twin.told, c->twin.hostname) != 0 &&
			     mono_sub(now, c->twin.told_at) >= STRANGER_NS);
}

bool cluster_is_twin_ahead(const struct cluster *c, mono_t now)
{
	return mono_before(now, c->twin_ahead_until);
}

void cluster_step_twin(struct cluster *c, mono_t now)
{
	if (!c->alarms[ALARM_SERIAL_CLASH] || mono_sub(now, c->twin.rx) <= STRANGER_NS)
		return;
	c->alarms[ALARM_SERIAL_CLASH] = false;
	cluster_history(c, "%s: the other member with this serial is not heard any more.",
			c->config.serial);
}

enum drop_reason cluster_on_serial_clash(struct cluster *c, mono_t now, uint64_t incarnation,
					 const struct heartbeat *hb, const struct mac *mac,
					 const char *port, bool *ret_is_news)
{
	struct twin *twin = &c->twin;
	bool is_known = c->alarms[ALARM_SERIAL_CLASH];
	unsigned claim = claim_of((enum member_state)hb->state, hb->flags & HB_STALLED,
				  hb->flags & HB_HOLDING);
	enum drop_reason reason = DROP_RANGE;
	mono_t echo;

	if (cluster_is_in_range(hb))
		reason = cluster_read_echo(c, now, own_entry(c, hb), &echo);
	if (reason == DROP_RANGE)
		return reason;
	/* Always: without our echo it could not tell us from a recording. */
	cluster_greet(c, now, c->config.serial, incarnation, hb->send_us);
	if (reason) {
		cluster_send_soon(c, now);
		return reason;
	}
	if (is_known && twin->incarnation == incarnation && hb->send_us <= twin->send_us)
		return DROP_SERIAL_CLASH; /* by another path, or overtaken */
	if (is_before(claim, incarnation, claim_of(c->state, c->is_stalled, c->is_holding),
		      c->config.incarnation))
		c->twin_ahead_until = mono_add(now, STRANGER_NS);
	/* Of several the same one is named all the time. */
	if (is_known && twin->incarnation != incarnation &&
	    mono_sub(now, twin->rx) < cluster_detection_ns(c) &&
	    !is_before(claim, incarnation, twin->claim, twin->incarnation))
		return DROP_SERIAL_CLASH;
	twin->incarnation = incarnation;
	twin->send_us = hb->send_us;
	twin->claim = claim;
	twin->rx = now;
	twin->mac = *mac;
	snprintf(twin->hostname, sizeof(twin->hostname), "%s", hb->hostname);
	snprintf(twin->port, sizeof(twin->port), "%s", port);
	c->alarms[ALARM_SERIAL_CLASH] = true;
	if (is_worth_telling(c, now, is_known)) {
		memcpy(twin->told, twin->hostname, sizeof(twin->told));
		twin->told_at = now;
		cluster_history(c, "%s: another member uses this serial: %s.", c->config.serial,
				twin->hostname[0] ? twin->hostname : "one without a hostname");
		*ret_is_news = true;
	}
	return DROP_SERIAL_CLASH;
}

const char *cluster_twin_text(const struct cluster *c, char out[TWIN_TEXT])
{
	const char *ours = c->config.hostname, *theirs = c->twin.hostname;
	char mac[MAC_STRLEN];

	snprintf(out, TWIN_TEXT,
		 "serial %s is used by both %s (this member, incarnation %016llx) and %s "
		 "(incarnation %016llx, MAC %s on %s): give one another "
		 "\"config system global / set serial\"",
		 c->config.serial, ours[0] ? ours : "-",
		 (unsigned long long)c->config.incarnation, theirs[0] ? theirs : "-",
		 (unsigned long long)c->twin.incarnation, mac_format(&c->twin.mac, mac),
		 c->twin.port);
	return out;
}
