/* adopt.c: the copies that a life before this one left in our kernel
 *
 * A daemon that starts as a secondary knows nothing, and its kernel may hold the whole table. It reads that first
 * and compares digests with the primary, so that only what changed meanwhile is told and written. Of a
 * copy the kernel cannot tell what a copy has of its own: the record of a session without an answer is not
 * ASSURED, and its timeout is taken to be ADOPTED_S unless a connection is established. Timeouts and
 * beginnings are in no digest; the next change of the session, or the walk of its range, brings the owner's.
 */
#include "sync/sync_internal.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

/* A walk does not wait longer for the reading. */
#define ADOPT_NS SEC(5)

void adopt_limit_timeout(struct ct *ct)
{
	bool is_closing = HAS(ct, CT_TCP_STATE) && ct->tcp_state != TCP_CONNTRACK_ESTABLISHED;
	bool is_connection = ct->l4 == IPPROTO_TCP || ct->l4 == IPPROTO_SCTP;

	if ((!is_connection || is_closing) && ct->timeout > ADOPTED_S)
		ct->timeout = ADOPTED_S;
}

void adopt_begin(struct sync *s, mono_t now)
{
	s->is_adopting = store_live(s->store) == 0 && !s->knows_all;
	s->adopt_until = mono_add(now, ADOPT_NS);
}

bool adopt_is_waited_for(struct sync *s, mono_t now)
{
	if (mono_reached(now, s->adopt_until))
		s->is_adopting = false;
	return s->is_adopting;
}

void adopt_seen(struct sync *s, const struct ct_seen *seen)
{
	struct store_entry *entry;
	struct ct ct = seen->ct;

	if (!(ct.status & IPS_SEEN_REPLY))
		ct.status &= ~(uint32_t)IPS_ASSURED;
	adopt_limit_timeout(&ct);
	if (store_put(s->store, &ct, 1, &entry) < 0) {
		s->stats.table_full++;
		return;
	}
	entry->flags |= ENTRY_IN_KERNEL | ENTRY_ADOPTED;
	entry->stamp = s->stamp;
	s->stats.adopted++;
}

/* As the kernel would show a copy of it. */
static uint64_t copy_digest(const struct sync *s, const struct ct *ct)
{
	struct store_record record;
	struct ct copy = *ct;

	copy.status |= IPS_ASSURED | IPS_CONFIRMED;
	copy.tcp_flags_orig |= IP_CT_TCP_FLAG_BE_LIBERAL;
	copy.tcp_flags_reply |= IP_CT_TCP_FLAG_BE_LIBERAL;
	return store_prepare(s->store, &copy, &record) < 0 ? 0 : record.digest;
}

bool adopt_is_copy_of(const struct sync *s, const struct ct *old, const struct ct *ct)
{
	return copy_digest(s, old) == copy_digest(s, ct);
}
