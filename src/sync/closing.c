/* closing.c: how TCP sessions end, said briefly (session-sync-level established)
 *
 * A connection that is closed passes through three or four states within a round trip, and the kernel
 * tells each. None of them matters to a copy unless the connection stays in it: so a closing state waits
 * CLOSING_NS, and is forgotten when another follows. TIME_WAIT and CLOSE are the end: nobody will send
 * on it any more, and the copy is deleted then, not two minutes later.
 *
 * While an owner's entry waits its `attempts` counts the states that came; only the last one is due.
 */
#include "sync/sync_internal.h"

#include "base/xalloc.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stdlib.h>

/* Beyond this many at once nothing waits any more: 50 ms at 80 k closing connections a second. */
enum { CLOSING_MAX = 4096 };

struct closing_item {
	uint64_t hash;
	mono_t due;
	uint32_t timeout;
	uint8_t turn, tcp_state, tcp_flags_orig, tcp_flags_reply;
};

struct closing {
	unsigned head, count;
	struct closing_item items[CLOSING_MAX];
};

struct closing *closing_new(void)
{
	return xcalloc(1, sizeof(struct closing));
}

void closing_free(struct closing *closing)
{
	free(closing);
}

void closing_discard(struct sync *s)
{
	s->closing->count = 0;
}

bool closing_is_over(const struct sync *s, const struct ct *ct)
{
	return s->config.is_brief && ct->l4 == IPPROTO_TCP && HAS(ct, CT_TCP_STATE) &&
	       (ct->tcp_state == TCP_CONNTRACK_TIME_WAIT || ct->tcp_state == TCP_CONNTRACK_CLOSE);
}

static bool is_passing(uint8_t state)
{
	return state == TCP_CONNTRACK_FIN_WAIT || state == TCP_CONNTRACK_CLOSE_WAIT ||
	       state == TCP_CONNTRACK_LAST_ACK;
}

bool closing_waits(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *old,
		   const struct ct *ct)
{
	struct closing *c = s->closing;
	struct store_record record;
	struct ct rest;

	if (!s->config.is_brief || ct->l4 != IPPROTO_TCP || !is_passing(ct->tcp_state) ||
	    c->count == CLOSING_MAX)
		return false;
	/* Only if the state is all that is new, and has been told before. */
	if (old->has != ct->has)
		return false;
	rest = *ct;
	rest.tcp_state = old->tcp_state;
	rest.tcp_flags_orig = old->tcp_flags_orig;
	rest.tcp_flags_reply = old->tcp_flags_reply;
	if (store_prepare(s->store, &rest, &record) < 0 || store_record_differs(entry, &record))
		return false;
	c->items[(c->head + c->count++) % CLOSING_MAX] = (struct closing_item){
		.hash = entry->hash, .due = mono_add(now, CLOSING_NS), .timeout = ct->timeout,
		.turn = ++entry->attempts, .tcp_state = ct->tcp_state,
		.tcp_flags_orig = ct->tcp_flags_orig, .tcp_flags_reply = ct->tcp_flags_reply,
	};
	return true;
}

void closing_forget(struct store_entry *entry)
{
	entry->attempts++;
}

void closing_step(struct sync *s, mono_t now, mono_t *wake)
{
	struct closing *c = s->closing;

	for (; c->count; c->head = (c->head + 1) % CLOSING_MAX, c->count--) {
		const struct closing_item *it = &c->items[c->head];
		struct store_entry *entry;
		struct ct ct;

		if (!mono_reached(now, it->due)) {
			sync_wake(wake, it->due);
			return;
		}
		entry = store_find_hash(s->store, it->hash);
		if (!entry || (entry->flags & ENTRY_TOMB) || entry->attempts != it->turn)
			continue;
		store_read(s->store, entry, &ct);
		ct.tcp_state = it->tcp_state;
		ct.tcp_flags_orig = it->tcp_flags_orig;
		ct.tcp_flags_reply = it->tcp_flags_reply;
		ct.timeout = it->timeout;
		owner_change(s, now, entry, &ct);
	}
}
