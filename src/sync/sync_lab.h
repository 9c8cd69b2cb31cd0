/* sync_lab.h: for tests of this room: two members without heartbeats, in one box
 *
 *    kernel A --- sync "FKA" === frames === sync "FKB" --- kernel B        one clock: box->now
 *
 * Kernels are arrays that answer as conntrack does (EEXIST, EBUSY, ENOENT, ENOMEM), a step later.
 * Time passes only in box_run(). A test breaks what it likes between two runs: cuts the wire, fills
 * a kernel, takes sessions out of it behind the back of its member, frees a member (NULL: dead).
 */
#ifndef FK_SYNC_SYNC_LAB_H
#define FK_SYNC_SYNC_LAB_H

#include "sync/sync.h"

enum { KERNEL_MAX = 4096, QUEUE_MAX = 4096, FRAME_BYTES = 1400, TERM = 5 };

struct verdict {
	enum ct_op op;
	uint64_t cookie;
	int error;
};

struct side {
	struct box *box;
	const char *serial;
	struct sync *sync;
	uint8_t bytes[FRAME_BYTES];
	struct wbuf payload;
	struct ct kernel[KERNEL_MAX];
	unsigned kernel_count;
	struct verdict verdicts[QUEUE_MAX];
	unsigned verdict_count;
	unsigned creates, updates, deletes, timeouts, dumps;
	bool has_helpers;      /* knows the helper that a session names */
	bool is_full;          /* creates answer ENOMEM */
	bool is_busy;          /* its kernel takes no copies now */
	uint16_t last_put;     /* port of the last one it took */
	bool has_no_link;      /* it cannot say anything */
	bool is_dump_due;
	bool is_dump_stuck;    /* its kernel is never read to the end */
	bool has_copies_only;  /* nobody has spoken on what is in its kernel */
	int has_error;         /* what kernel_has() answers instead of looking */
	bool is_ready, is_alone, says_full;
	unsigned ready_news;
};

struct frame {
	struct side *from;
	uint8_t type;
	size_t len;
	uint8_t bytes[FRAME_BYTES];
};

struct box {
	mono_t now;
	struct side a, b;
	struct frame frames[256];
	unsigned frame_count;
	bool is_cut;           /* frames are lost */
	unsigned loss;         /* every so-manieth frame is lost; 0: none */
	unsigned queue_max;    /* a frame arrives every 4 ms, so many wait; 0: all at once */
	uint8_t lost_type;     /* frames of this type are lost too; 0: none */
	unsigned said, data_frames, lost;
};

/* A is primary of TERM and complete; B follows where `with_b`. 300 ms have passed. */
struct box *box_new(bool is_enabled, bool with_b);
void box_free(struct box *box);
/* The same with stores that hold so many sessions. */
struct box *box_new_of(size_t max_sessions);
/* The two know each other from now on, and B follows A. */
void box_join(struct box *box);
/* B is another process: it knows nothing, and its kernel still has the copies. Then box_join(). */
void box_restart_b(struct box *box);
/* Time goes on in steps of a millisecond: both step, frames arrive, the kernels answer. */
void box_run(struct box *box, int64_t ns);
/* Both know the same, tables and kernels, and B knows that it does. */
void box_expect_equal(struct box *box);

/* What sync_new() gets with a side as argument. */
extern const struct sync_ops sync_lab_ops;
struct sync_stats side_stats(struct side *side);

/* 10.0.0.0:port to 192.0.0.0:80, established. */
struct ct session(uint16_t port);
/* Its kernel changes and its capture hears of it. */
void side_opens(struct side *side, const struct ct *ct);
void side_changes(struct side *side, uint16_t port, uint32_t mark);
void side_ends(struct side *side, const struct ct *ct);
/* Its capture alone hears of it; the kernel stays as it is. */
void side_tells(struct side *side, enum ct_news news, const struct ct *ct);
/* The session of that port is in its kernel. */
bool side_has(struct side *side, uint16_t port);

/* The kernel alone, behind the back of the capture. */
struct ct *kernel_find(struct side *side, const struct ct *key);
void kernel_add(struct side *side, const struct ct *ct);
void kernel_remove(struct side *side, struct ct *at);

#endif
