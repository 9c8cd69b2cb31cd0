/* cluster_hb.c: heartbeats said and heard: members, nonces, echoes (pure) */
#include "cluster/cluster_internal.h"

#include <string.h>

/* Detection times from the last trouble of heartbeat links to the trial without data interfaces. */
#define TRIAL 20

/* A paths' jitter and one reply take less than half an interval. */
int64_t cluster_missed_ns(const struct cluster *c)
{
	return c->config.interval_ns * 3 / 2;
}

int64_t cluster_detection_ns(const struct cluster *c)
{
	return c->config.interval_ns * c->config.threshold;
}

int64_t cluster_detection_of(const struct cluster *c, const struct member *m)
{
	int64_t theirs = US((int64_t)m->hb.interval_us) * m->hb.threshold;
	int64_t ours = cluster_detection_ns(c);

	return theirs > ours ? theirs : ours;
}

bool cluster_is_living(const struct cluster *c, const struct member *m, mono_t now)
{
	return m->is_used && m->is_verified && mono_sub(now, m->rx) < cluster_detection_of(c, m);
}

struct member *cluster_member(struct cluster *c, const char *serial)
{
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (c->members[i].is_used && strcmp(c->members[i].serial, serial) == 0)
			return &c->members[i];
	return NULL;
}

const struct hb_peer *cluster_peer_entry(const struct heartbeat *hb, const char *serial)
{
	for (unsigned i = 0; i < hb->peers_count; i++)
		if (strcmp(hb->peers[i].serial, serial) == 0)
			return &hb->peers[i];
	return NULL;
}

/* How old an echo of ours may be to prove that a heartbeat is no recording. */
static int64_t fresh_ns(const struct cluster *c)
{
	int64_t d = 2 * cluster_detection_ns(c);

	return d > SEC(1) ? d : SEC(1);
}

static void add_peer(struct heartbeat *hb, const struct member *m, mono_t now)
{
	struct hb_peer *p;

	if (!m->is_used || hb->peers_count == sizeof(hb->peers) / sizeof(hb->peers[0]))
		return;
	p = &hb->peers[hb->peers_count++];
	memset(p, 0, sizeof(*p));
	memcpy(p->serial, m->serial, sizeof(p->serial));
	p->incarnation = m->incarnation;
	p->echo_us = m->send_us;
	p->age_us = (uint64_t)(mono_sub(now, m->rx) / 1000);
	SET_HAS(p, HB_PEER_SERIAL);
	SET_HAS(p, HB_PEER_INCARNATION);
	SET_HAS(p, HB_PEER_ECHO_US);
	SET_HAS(p, HB_PEER_AGE_US);
	if (m->is_counted) {
		p->counted = 1;
		SET_HAS(p, HB_PEER_COUNTED);
	}
}

bool cluster_has_left(const struct cluster *c, const struct member *primary)
{
	/* Older words may be from before it took over: others may have told us first. */
	return primary->hb.state != MEMBER_WORK && mono_before(c->state_since, primary->rx);
}

bool cluster_is_lease_over(const struct cluster *c, mono_t now)
{
	const struct member *primary = cluster_member((struct cluster *)c, c->primary);
	const struct hb_peer *me;

	if (c->state != MEMBER_STANDBY || !primary || cluster_is_living(c, primary, now) ||
	    !(primary->hb.flags & HB_LEASE_BOUNDED))
		return false;
	me = cluster_peer_entry(&primary->hb, c->config.serial);
	return me && me->counted && me->incarnation == c->config.incarnation;
}

static uint32_t own_flags(const struct cluster *c, mono_t now)
{
	uint32_t flags = 0;
	const struct member *primary = cluster_member((struct cluster *)c, c->primary);

	flags |= c->config.is_override ? HB_OVERRIDE : 0;
	flags |= c->is_forced ? HB_FORCED : 0;
	flags |= c->is_ready || c->state == MEMBER_WORK ? HB_READY : 0;
	flags |= c->is_stalled ? HB_STALLED : 0;
	flags |= c->is_resigned ? HB_RESIGNED : 0;
	flags |= c->state == MEMBER_HELLO && c->is_holding ? HB_HOLDING : 0;
	flags |= cluster_is_blind(c) ? HB_BLIND : 0;
	if (c->state == MEMBER_WORK && c->lease.ns != MONO_NEVER.ns)
		flags |= HB_LEASE_BOUNDED;
	if (c->state == MEMBER_STANDBY && primary && cluster_is_living(c, primary, now) &&
	    cluster_has_left(c, primary))
		flags |= HB_LEFT;
	if (cluster_is_lease_over(c, now))
		flags |= HB_LEASE_OVER;
	return flags;
}

static void fill(struct cluster *c, mono_t now, struct heartbeat *hb)
{
	memset(hb, 0, sizeof(*hb));
	hb->has = UINT64_C(1) << HEARTBEAT_SEND_US | UINT64_C(1) << HEARTBEAT_TERM |
		  UINT64_C(1) << HEARTBEAT_STATE | UINT64_C(1) << HEARTBEAT_FLAGS |
		  UINT64_C(1) << HEARTBEAT_PRIORITY | UINT64_C(1) << HEARTBEAT_FAILURES |
		  UINT64_C(1) << HEARTBEAT_AGE_MS | UINT64_C(1) << HEARTBEAT_INTERVAL_US |
		  UINT64_C(1) << HEARTBEAT_THRESHOLD | UINT64_C(1) << HEARTBEAT_VMAC_TABLE |
		  UINT64_C(1) << HEARTBEAT_SESSIONS | UINT64_C(1) << HEARTBEAT_PEERS;
	hb->send_us = (uint64_t)(now.ns / 1000);
	hb->term = c->term;
	hb->state = (uint8_t)c->state;
	hb->flags = own_flags(c, now);
	hb->priority = c->config.priority;
	hb->failures = c->failures;
	hb->age_ms = (uint64_t)(mono_sub(now, c->age_since) / MS(1));
	hb->interval_us = (uint64_t)(c->config.interval_ns / 1000);
	hb->threshold = (uint8_t)c->config.threshold;
	hb->vmac_table = c->config.vmac_table;
	hb->sessions = c->sessions;
	if (c->config.hostname[0]) {
		memcpy(hb->hostname, c->config.hostname, sizeof(hb->hostname));
		SET_HAS(hb, HEARTBEAT_HOSTNAME);
	}
	if (c->primary[0]) {
		memcpy(hb->primary, c->primary, sizeof(hb->primary));
		SET_HAS(hb, HEARTBEAT_PRIMARY);
	}
	if (c->is_resigned) {
		memcpy(hb->successor, c->successor, sizeof(hb->successor));
		SET_HAS(hb, HEARTBEAT_SUCCESSOR);
	}
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		add_peer(hb, &c->members[i], now);
	for (unsigned i = 0; i < LIMIT_MEMBERS; i++)
		if (mono_sub(now, c->greeted[i].rx) < fresh_ns(c))
			add_peer(hb, &c->greeted[i], now);
}

/* Heartbeat links alone do not do: somebody we know or greet is not heard, or does not hear us. */
static bool has_trouble(const struct cluster *c, mono_t now)
{
	if (c->state == MEMBER_HELLO || c->is_stalled || c->has_path_trouble)
		return true;
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &c->members[i];

		if (m->is_used && (mono_sub(now, m->rx) >= cluster_missed_ns(c) ||
				   mono_sub(now, m->echo) >= 2 * c->config.interval_ns))
			return true;
	}
	for (unsigned i = 0; i < LIMIT_MEMBERS; i++)
		if (c->greeted[i].is_used && mono_sub(now, c->greeted[i].rx) < fresh_ns(c))
			return true;
	return false;
}

void cluster_send(struct cluster *c, mono_t now)
{
	struct heartbeat hb;

	/* Trouble that data interfaces hide is not over: going back to the heartbeat links alone is a
	 * trial that costs two intervals. */
	if (has_trouble(c, now))
		c->everywhere_until = mono_add(now, TRIAL * cluster_detection_ns(c));

	fill(c, now, &hb);
	c->stats.hb_sent++;
	c->last_send = now;
	c->next_send = mono_add(now, c->config.interval_ns);
	c->ops->send(c->arg, &hb, mono_before(now, c->everywhere_until));
}

void cluster_greet(struct cluster *c, mono_t now, const char *serial, uint64_t incarnation,
		   uint64_t send_us)
{
	struct member *slot = &c->greeted[0];

	for (unsigned i = 0; i < LIMIT_MEMBERS; i++) {
		struct member *g = &c->greeted[i];

		if (g->is_used && g->incarnation == incarnation &&
		    strcmp(g->serial, serial) == 0) {
			slot = g;
			break;
		}
		if (mono_before(g->rx, slot->rx))
			slot = g;
	}
	if (slot->is_used && slot->incarnation == incarnation && slot->send_us > send_us)
		return;
	memset(slot, 0, sizeof(*slot));
	memcpy(slot->serial, serial, strnlen(serial, sizeof(slot->serial) - 1));
	slot->incarnation = incarnation;
	slot->send_us = send_us;
	slot->rx = now;
	slot->is_used = true;
}

static void forget_greeted(struct cluster *c, const char *serial)
{
	for (unsigned i = 0; i < LIMIT_MEMBERS; i++)
		if (strcmp(c->greeted[i].serial, serial) == 0)
			memset(&c->greeted[i], 0, sizeof(c->greeted[i]));
}

/* A slot for a newcomer: an empty one, else the one longest dead. */
static struct member *member_slot(struct cluster *c, mono_t now)
{
	struct member *slot = NULL;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		struct member *m = &c->members[i];

		if (!m->is_used)
			return m;
		if (!cluster_is_living(c, m, now) && (!slot || mono_before(m->rx, slot->rx)))
			slot = m;
	}
	return slot;
}

bool cluster_is_in_range(const struct heartbeat *hb)
{
	/* hb-interval is 1..20 times 10 or 100 ms; hb-lost-threshold 1..60. */
	return hb->state <= MEMBER_WORK && hb->threshold >= 1 && hb->threshold <= 60 &&
	       hb->interval_us >= 10000 && hb->interval_us <= 2000000 &&
	       /* one above it must still be one above it */
	       hb->term < UINT64_MAX >> 2 &&
	       hb->send_us < (uint64_t)INT64_MAX / 1000 && hb->age_ms < (uint64_t)INT64_MAX / MS(1);
}

enum drop_reason cluster_read_echo(const struct cluster *c, mono_t now, const struct hb_peer *me,
				   mono_t *ret_echo)
{
	mono_t echo;

	if (!me || me->incarnation != c->config.incarnation)
		return DROP_UNVERIFIED;
	/* It echoes a time of our own: anything later than now is a lie. */
	if (me->echo_us > (uint64_t)(now.ns / 1000))
		return DROP_RANGE;
	echo = (mono_t){ US((int64_t)me->echo_us) };
	if (mono_sub(now, echo) > fresh_ns(c))
		return DROP_UNVERIFIED;
	*ret_echo = echo;
	return DROP_NONE;
}

void cluster_send_soon(struct cluster *c, mono_t now)
{
	if (mono_sub(now, c->last_send) >= c->config.interval_ns / 8)
		cluster_send(c, now);
}

enum drop_reason cluster_on_heartbeat(struct cluster *c, mono_t now, const char *serial,
				      uint64_t incarnation, const struct heartbeat *hb)
{
	const struct hb_peer *me = cluster_peer_entry(hb, c->config.serial);
	struct member *m = cluster_member(c, serial);
	mono_t echo = MONO_ZERO;
	enum drop_reason reason =
		cluster_is_in_range(hb) ? cluster_read_echo(c, now, me, &echo) : DROP_RANGE;
	bool is_fresh = reason == DROP_NONE;

	if (reason == DROP_RANGE)
		return reason;
	if (!m || m->incarnation != incarnation) {
		if (!is_fresh) {
			cluster_greet(c, now, serial, incarnation, hb->send_us);
			/* Before recordings of old lives have taken every slot: else they would keep a
			 * newcomer out for as long as they are played. */
			cluster_send_soon(c, now);
			return DROP_UNVERIFIED;
		}
		if (!m)
			m = member_slot(c, now);
		if (!m)
			return DROP_CLUSTER_FULL;
		memset(m, 0, sizeof(*m));
		memcpy(m->serial, serial, strnlen(serial, sizeof(m->serial) - 1));
		m->incarnation = incarnation;
		m->is_used = true;
		forget_greeted(c, serial);
	} else if (hb->send_us <= m->send_us) {
		/* The same heartbeat by another path, or one it has overtaken. */
		return DROP_NONE;
	}
	m->is_verified = m->is_verified || is_fresh;
	m->rx = now;
	m->send_us = hb->send_us;
	m->hb = *hb;
	if (is_fresh)
		m->echo = mono_max(m->echo, echo);
	c->stats.hb_heard++;
	/* An early answer keeps the primary's lease as long as it can be; one that asks gets it back
	 * within a round trip. */
	if (c->state != MEMBER_WORK && strcmp(serial, c->primary) == 0 &&
	    ((hb->flags & HB_STALLED) ||
	     mono_sub(now, c->last_send) >= c->config.interval_ns / 2))
		cluster_send(c, now);
	return DROP_NONE;
}
