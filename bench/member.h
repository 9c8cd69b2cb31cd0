/* member.h: one member of a group without threads, sockets and a cluster: the rooms and their doors
 *
 *   events ──> parse ──> filter ──> sync ──> seal ──> tape         the owner
 *   tape ──> open ──> sync ──> inject ──> kernel                   a secondary
 *
 * The doors do what those of node_sync.c do, but frames go to a tape (or are only counted) and time
 * is an argument. A secondary without an injector has a kernel that takes everything, a step later.
 * What a member says follows from what it is given, byte for byte: so a tape made with everybody in
 * one process can be played to one of them alone, whose work is then measured without the others'.
 */
#ifndef FK_BENCH_MEMBER_H
#define FK_BENCH_MEMBER_H

#include "ct/ct.h"
#include "filter/filter.h"
#include "sync/sync.h"
#include "wire/seal.h"

#include <libmnl/libmnl.h>

#define MEMBER_COPY_BIT 0x80000000u

/* Frames as they were sealed, and in which step. */
struct tape {
	uint8_t *bytes;
	size_t len, size;
	struct tape_item {
		size_t at;
		unsigned step, len;
	} * items;
	size_t count, room;
};

void tape_fini(struct tape *tape);

enum { MEMBERS_MAX = LIMIT_PEERS + 1, MEMBER_MTU = 1500, MEMBER_IN_FLIGHT = 4096, TERM = 3 };

struct member {
	char serial[17];
	struct sync *sync;
	struct seal *seal;
	struct filter_config filter;
	mono_t now;
	unsigned step;
	struct tape *said; /* NULL: frames are counted only */
	uint64_t frames, bytes,
		tags;             /* said; the sum of their tags tells whether they are the same */
	struct ct_inject *inject; /* NULL: the kernel that takes everything */
	struct {
		enum ct_op op;
		uint64_t cookie;
	} verdicts[MEMBER_IN_FLIGHT];
	unsigned verdict_count;
	bool is_dump_due, is_ready;
	uint64_t refused; /* frames, kernel requests, events */
	struct wbuf payload;
	uint8_t frame[LIMIT_FRAME_BYTES], heard[LIMIT_FRAME_BYTES];
};

/* Member `number` of a group of `count`; number 0 is the primary. */
struct member *member_new(unsigned number, unsigned count, bool is_brief, mono_t now);
void member_free(struct member *member);
struct seal *member_seal(unsigned number);
/* What comes now comes at this time. */
void member_at(struct member *member, mono_t now, unsigned step);
/* As ct_capture would tell it; `nlh` is one event. */
void member_see(struct member *member, const struct nlmsghdr *nlh);
void member_hear(struct member *member, const struct tape *tape, const struct tape_item *item);
/* The end of a turn of its loop. */
void member_step(struct member *member);
struct sync_state member_state(const struct member *member);
/* Verdicts of its injector, and news of its capture: its own requests raise none that reach it. */
void member_on_verdict(void *member, enum ct_op op, uint64_t cookie, int error);
void member_on_event(void *member, const struct ct_seen *seen);
void member_on_overrun(void *member);

#endif
