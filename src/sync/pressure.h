/* pressure.h: what is left undone when not everything can be done, in a fixed order
 *
 * Under pressure the owner sheds work: refreshes first, then the beginnings of sessions, and never an
 * end, because a copy that outlives its session is one nobody will ever ask about. Two things press:
 *
 *   the event socket   it fills while we are slower than the kernel (or were stopped). When it
 *                      overflows, everything is lost without a choice, ends too; so it is emptied
 *                      faster before that. Half full: refreshes are shed. Three quarters: new
 *                      sessions too. A level ends one quarter below where it begins.
 *   the members        when acknowledgements come late, refreshes are shed: each would take the
 *                      place of a beginning or an end on the link. New sessions are not, they
 *                      lose nothing by waiting in the store.
 *
 * A third, the store at its limit, sheds nothing that is known: what is new is refused, everything else
 * goes on.
 *
 * Of each kernel event (shed.c):
 *   an end      DESTROY; a state that closes the connection (TCP from FIN_WAIT on, SCTP from
 *               SHUTDOWN_SENT on); whatever takes back an end that waits behind the fence.
 *   a beginning NEW; any event of a session that the members do not know (level established
 *               speaks of TCP when it is assured, by an update); and the one that opens what
 *               was told half open: assured, of UDP and the like: answered (ENTRY_OPENING).
 *   a refresh   every other update of a session that members know: mark, label, helper, timeout,
 *               sequence adjustment, the first packet after a takeover.
 * Rows of a dump are never shed: they make good what was.
 *
 * What was shed is owed, and so is what was refused: one dump of the kernel's table pays it all, as soon
 * as the pressure is over (there is room again). Until then nobody may claim equality. A dump costs
 * what the table's size is, so it rests between two.
 *
 * Pure: numbers and a clock in, levels and counts out.
 */
#ifndef FK_SYNC_PRESSURE_H
#define FK_SYNC_PRESSURE_H

#include "base/mono.h"

#include <stdbool.h>
#include <stdint.h>

enum pressure_level { PRESSURE_NONE, PRESSURE_REFRESHES, PRESSURE_NEW };
enum pressure_kind { PRESSURE_AN_END, PRESSURE_A_BEGINNING, PRESSURE_A_REFRESH };
/* What is owed: two kinds shed, what the full store refused, and overruns, each of who knows how much. */
enum pressure_debt { DEBT_REFRESHES, DEBT_NEW, DEBT_REFUSED, DEBT_LOST, DEBT_COUNT };

/* How late one member acknowledges: the time it took (or takes, if that is longer already) from a head
 * of ours to its word that it has it. */
struct pressure_lag {
	uint64_t version; /* 0: nothing is being measured */
	mono_t since;
	int64_t measured_ns;
};

struct pressure {
	enum pressure_level socket, members;
	unsigned fill_percent;
	int64_t lag_ns;
	uint64_t owed[DEBT_COUNT];   /* since the last dump began */
	uint64_t paying[DEBT_COUNT]; /* what a dump that runs will have paid */
	mono_t owed_since;           /* zero: nothing is owed */
	mono_t rest_until;
	uint64_t shed_refreshes, shed_new, dumps; /* ever */
	bool is_dump_ours;
};

/* Another role: nothing is owed. The socket is as full as it was. */
void pressure_reset(struct pressure *p);
/* The event socket holds so much of what it can. */
void pressure_on_fill(struct pressure *p, unsigned percent);
int64_t pressure_measure(struct pressure_lag *lag, mono_t now, uint64_t head, uint64_t acked);
/* The slowest member is so late; 0: none is. */
void pressure_on_lag(struct pressure *p, int64_t ns);

enum pressure_level pressure_level(const struct pressure *p);
/* True: this one is shed, and counted. */
bool pressure_sheds(struct pressure *p, mono_t now, enum pressure_kind kind);
void pressure_on_refused(struct pressure *p, mono_t now);
/* An overrun; whoever tells us wants a dump at once. */
void pressure_on_lost(struct pressure *p, mono_t now);

/* Is a dump due? False with *ret_at: not before (MONO_NEVER: nothing is owed, or the pressure lasts). */
bool pressure_owes_dump(const struct pressure *p, mono_t now, bool has_room, mono_t *ret_at);
/* A dump begins or is complete, whoever wanted it; one that fails is begun again. */
void pressure_on_dump_begun(struct pressure *p);
void pressure_on_dump_done(struct pressure *p, mono_t began, mono_t now);

uint64_t pressure_owed(const struct pressure *p, enum pressure_debt debt);
bool pressure_is_owed(const struct pressure *p);

#endif
