/* play.h: a load of recorded events played to members of a group, together or to one of them alone
 *
 * Time goes in steps of a millisecond. First everybody plays together: the owner is fed, real sync
 * rooms answer it, and what was said is taped. Then the one that is measured plays alone, against
 * the tape, and must say again what it said, to the last tag. What does not come out right ends the
 * program.
 */
#ifndef FK_BENCH_PLAY_H
#define FK_BENCH_PLAY_H

#include "events.h"
#include "member.h"

/* Steps: until all are proven equal, a session's life, until its entry ends, until all is quiet. */
enum { WARM = 600, LIFE = 1000, GONE = 1000, TAIL = 300 };
enum { ETHERNET_BYTES = 14 };

struct load {
	struct events *events;
	uint32_t count, rate;
	bool is_closing;
};

/* CPU time of the thread for each session. */
struct cost {
	double ns, system_ns;
};

/* What they said, and how much; and what the owner knew at the end. */
struct rehearsal {
	struct tape data, acks;
	uint64_t frames, bytes, tags, link_bytes;
	struct sync_state end;
};

__attribute__((noreturn)) void die(const char *what, int error);
void must(bool is_true, const char *what);
/* Since the thread began; since then, for each session. */
struct cost cost_read(void);
struct cost cost_since(struct cost begun, uint32_t sessions);

typedef void feed_fn(void *arg, const struct nlmsghdr *nlh);

unsigned last_step(const struct load *load);
/* The events of a step: what is old enough of each kind. */
void feed(const struct load *load, unsigned step, feed_fn *fn, void *arg);

void rehearse(const struct load *load, unsigned peers, struct rehearsal *ret_rehearsal);
void rehearsal_fini(struct rehearsal *rehearsal);
struct cost play_owner(const struct load *load, unsigned peers, const struct rehearsal *r);
/* `is_real`: into the kernel of this network namespace, which is empty. */
struct cost play_secondary(const struct load *load, const struct rehearsal *r, bool is_real);

#endif
