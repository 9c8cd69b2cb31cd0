/* fake_kernel.h: a conntrack table in memory: requests, verdicts that come later, events, dumps
 *
 * Keys are numbers 0 .. FAKE_KEYS - 1, one TCP session each; the mark carries a generation that
 * rises with every change anywhere, so content tells how old it is. The table outlives the
 * daemon, as the kernel's does. Pure: the simulator says when what happens.
 */
#ifndef FK_TESTS_SIM_FAKE_KERNEL_H
#define FK_TESTS_SIM_FAKE_KERNEL_H

#include "ct/ct.h"
#include "rng.h"

enum { FAKE_KEYS = 512, FAKE_REQUESTS = 256, FAKE_EVENTS = 64 };

struct fake_slot {
	bool is_used, is_copy;
	struct ct ct;
};

struct fake_request {
	enum ct_op op;
	struct ct ct;
	uint64_t cookie;
};

struct fake_verdict {
	enum ct_op op;
	uint64_t cookie;
	int error;
};

struct fake_kernel {
	struct fake_slot slots[FAKE_KEYS];
	unsigned used;
	struct fake_request requests[FAKE_REQUESTS]; /* FIFO */
	unsigned request_head, request_count;
	struct ct_seen events[FAKE_EVENTS]; /* what a frozen daemon's socket keeps */
	unsigned event_count;
	bool has_overrun;
	unsigned refusal; /* per mille of creates refused with -ENOSPC */
	struct rng rng;
};

/* The key fields of session `key`. */
struct ct fake_key(unsigned key);
unsigned fake_number(const struct ct *ct);

/* What traffic does to a session: CT_NEWS_NEW, _UPDATE or _DESTROY. `ret_seen`: the event. */
void fake_change(struct fake_kernel *k, unsigned key, enum ct_news news, uint32_t generation,
		 struct ct_seen *ret_seen);
/* One random thing that traffic does to a session: open, change, close. `ret_seen`: the event. */
void fake_traffic(struct fake_kernel *k, unsigned key, uint32_t generation,
		  struct ct_seen *ret_seen);
/* -EAGAIN when the queue is full. */
int fake_request(struct fake_kernel *k, enum ct_op op, const struct ct *ct, uint64_t cookie);
/* Executes the oldest request; false when there is none. */
bool fake_execute(struct fake_kernel *k, struct fake_verdict *ret_verdict);
/* What a dump or ct_get() shows of a session; false when it is not there. */
bool fake_show(const struct fake_kernel *k, unsigned key, struct ct_seen *ret_seen);
/* An event while nobody reads: kept, or lost with an overrun. */
void fake_keep_event(struct fake_kernel *k, const struct ct_seen *seen);
void fake_reset(struct fake_kernel *k);

#endif
