/* member.h: what this member knows of itself and of the others (types shared by the cluster room)
 *
 * A member is known once a heartbeat of it was authentic, and verified once one of its heartbeats
 * echoed our incarnation with a recent send time of ours: only then do its words count (DESIGN 5,
 * wire safety). It is living while it was heard within the detection time.
 */
#ifndef FK_CLUSTER_MEMBER_H
#define FK_CLUSTER_MEMBER_H

#include "base/mono.h"
#include "schema.h"
#include "wire/limits.h"

enum member_state { MEMBER_HELLO, MEMBER_STANDBY, MEMBER_WORK };

/* heartbeat.flags */
enum {
	HB_OVERRIDE = 1 << 0,      /* override is enabled at the sender */
	HB_FORCED = 1 << 1,        /* execute ha failover set: not eligible until unset */
	HB_READY = 1 << 2,         /* proven equal with the primary of the stated term (or is it) */
	HB_STALLED = 1 << 3,       /* primary whose lease has run out: it only asks */
	HB_LEASE_BOUNDED = 1 << 4, /* primary: its lease ends unless the counted members hear it */
	HB_RESIGNED = 1 << 5,      /* gave the role up: its lease has ended */
	HB_LEASE_OVER = 1 << 6,    /* was counted by the stated primary and has not heard it for a
				    * detection time: that lease has run out */
	HB_HOLDING = 1 << 7,       /* in hello, and its kernel still forwards under a lease of
				    * an earlier life of its daemon */
	HB_LEFT = 1 << 8,          /* standby: hears its primary, which has left the role */
	HB_BLIND = 1 << 9,         /* not primary, and no interface with virtual addresses of it is
				    * up: it cannot ask, nor serve anybody, and takes no role */
};

/* What a probe of the virtual addresses found. */
enum probe_result {
	PROBE_SILENT,   /* asked, and nobody answered; or there is nothing to ask for */
	PROBE_ANSWERED, /* a kernel somewhere forwards as this cluster */
	PROBE_BLIND,    /* no interface with virtual addresses was up for its whole time: its
			 * silence proves nothing */
};

struct member {
	char serial[17];
	uint64_t incarnation;
	bool is_used;
	bool is_verified;
	bool is_counted;   /* in our lease (only while we are primary) */
	mono_t rx;         /* last heartbeat, our clock */
	mono_t echo;       /* newest send time of ours that it has echoed, our clock */
	uint64_t send_us;  /* newest send time heard, its clock */
	struct heartbeat hb; /* its last words */
};

/* What election compares; filled from a heartbeat or from our own state. */
struct candidate {
	char serial[17];
	unsigned flags; /* HB_* */
	unsigned failures;
	uint8_t priority;
	int64_t age_ns;
};

enum rank_reason {
	RANK_EQUAL, RANK_BLIND, RANK_FORCED, RANK_HOLDING, RANK_READY, RANK_FAILURES, RANK_AGE,
	RANK_PRIORITY, RANK_SERIAL,
};

/* Positive: a is the better primary; negative: b. Never 0 for different serials. Pure
 * (fortios-facts 1.6). `ret_reason` (may be NULL): what decided. */
int rank_compare(const struct candidate *a, const struct candidate *b, int64_t margin_ns,
		 enum rank_reason *ret_reason);

/* Index of the best primary among `count` (>= 1) candidates. With two it agrees with rank_compare();
 * with more, "ages within the margin are equal" can run in a circle when members are compared two by
 * two, so here ages within the margin of the oldest one left are equal. */
unsigned rank_best(const struct candidate *list, unsigned count, int64_t margin_ns);

const char *member_state_name(enum member_state state);

#endif
