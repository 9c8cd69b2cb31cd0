/* shed.c: which kernel events the owner leaves out under pressure, and the dump that makes it good
 *
 * Decided when the event's entry has been looked up, before its record is decoded, and nothing is encoded,
 * hashed or said afterwards: a fifth of the work (measured: 90 ns instead of 430, frames not counted).
 */
#include "sync/sync_internal.h"

#include <netinet/in.h> /* before the kernel's, which then define less */

#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

/* Who has said nothing for so long is not late: whether it lives is the heartbeats' affair. */
#define SILENT_NS MS(200)

static bool is_closing(const struct ct *ct)
{
	if (ct->l4 == IPPROTO_TCP && HAS(ct, CT_TCP_STATE))
		return ct->tcp_state >= TCP_CONNTRACK_FIN_WAIT &&
		       ct->tcp_state <= TCP_CONNTRACK_CLOSE;
	if (ct->l4 == IPPROTO_SCTP && HAS(ct, CT_SCTP_STATE))
		return ct->sctp_state == SCTP_CONNTRACK_CLOSED ||
		       (ct->sctp_state >= SCTP_CONNTRACK_SHUTDOWN_SENT &&
			ct->sctp_state <= SCTP_CONNTRACK_SHUTDOWN_ACK_SENT);
	return false;
}

/* Connections are open when they are assured, what has no connection when it was answered. */
static bool is_open(const struct ct *ct)
{
	bool is_connection = ct->l4 == IPPROTO_TCP || ct->l4 == IPPROTO_SCTP;

	return ct->status & (is_connection ? IPS_ASSURED : IPS_SEEN_REPLY);
}

void shed_note_opening(struct store_entry *entry, const struct ct *ct)
{
	if (is_open(ct))
		entry->flags &= (uint16_t)~ENTRY_OPENING;
	else
		entry->flags |= ENTRY_OPENING;
}

static enum pressure_kind kind_of(const struct ct_seen *seen, const struct store_entry *entry,
				  uint16_t flags)
{
	if (seen->news == CT_NEWS_DESTROY || (flags & ENTRY_DOOMED))
		return PRESSURE_AN_END;
	if (!entry || (flags & (ENTRY_TOMB | ENTRY_YOUNG)))
		return PRESSURE_A_BEGINNING;
	if (is_closing(&seen->ct))
		return PRESSURE_AN_END;
	return (flags & ENTRY_OPENING) && is_open(&seen->ct) ? PRESSURE_A_BEGINNING :
							       PRESSURE_A_REFRESH;
}

bool shed_event(struct sync *s, mono_t now, const struct ct_seen *seen,
		const struct store_entry *entry, uint16_t flags)
{
	if (pressure_level(&s->pressure) == PRESSURE_NONE || seen->news == CT_NEWS_DUMP)
		return false;
	return pressure_sheds(&s->pressure, now, kind_of(seen, entry, flags));
}

static int64_t slowest_member(struct sync *s, mono_t now)
{
	int64_t worst_ns = 0;

	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		struct sync_peer *p = &s->peers[i];
		int64_t ns;

		/* Who walks is as far behind as the table is long. */
		if (!p->is_used || !p->has_acked || p->walk ||
		    mono_sub(now, p->heard_at) >= SILENT_NS) {
			p->lag = (struct pressure_lag){ 0 };
			continue;
		}
		ns = pressure_measure(&p->lag, now, store_head(s->store), p->acked);
		worst_ns = ns > worst_ns ? ns : worst_ns;
	}
	return worst_ns;
}

static size_t stored(const struct sync *s)
{
	return store_live(s->store) + store_tombs(s->store) + store_young(s->store);
}

bool shed_table_is_full(const struct sync *s)
{
	return stored(s) >= s->config.max_sessions;
}

/* So much that a table at its limit is not read again for every session that ends. */
static bool has_room(const struct sync *s)
{
	return stored(s) < s->config.max_sessions - s->config.max_sessions / 16;
}

uint64_t shed_debt(const struct sync *s)
{
	uint64_t refreshes = pressure_owed(&s->pressure, DEBT_REFRESHES);

	/* One session may have been refreshed many times. */
	if (refreshes > store_live(s->store))
		refreshes = store_live(s->store);
	return refreshes + pressure_owed(&s->pressure, DEBT_NEW) +
	       pressure_owed(&s->pressure, DEBT_REFUSED) +
	       pressure_owed(&s->pressure, DEBT_LOST);
}

void shed_step(struct sync *s, mono_t now, mono_t *wake)
{
	mono_t at;

	pressure_on_lag(&s->pressure, slowest_member(s, now));
	if (pressure_owes_dump(&s->pressure, now, has_room(s), &at))
		s->is_dump_wanted = true;
	else
		sync_wake(wake, at);
}
