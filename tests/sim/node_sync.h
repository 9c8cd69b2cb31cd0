/* node_sync.h: one daemon's sync room over a fake kernel (see sim.h) */
#ifndef FK_TESTS_SIM_NODE_SYNC_H
#define FK_TESTS_SIM_NODE_SYNC_H

#include "fake_kernel.h"
#include "sim.h"
#include "sync/sync.h"

struct node_sync {
	struct node *node;
	struct fake_kernel kernel;   /* outlives the daemon */
	struct sync *sync;           /* NULL: daemon does not run */
	int64_t timer_at;            /* true time */
	bool is_role_due;            /* the cluster room has news; applied outside of its step */
	bool is_ready_due, ready;
	uint64_t ready_term;
	char living[LIMIT_MEMBERS - 1][17];
	unsigned living_count;
	uint8_t bytes[1400];
	struct wbuf frame;
	unsigned busy;               /* per mille of frames the link cannot take now */
	bool is_execute_posted, is_dumping;
	uint64_t dump_id;
	struct fake_verdict verdicts[FAKE_REQUESTS]; /* waiting for a frozen daemon */
	unsigned verdict_count;
	/* What the kernel was told, per key: never an older generation within a term. */
	uint64_t put_term;
	uint32_t put_generation[FAKE_KEYS];
	/* Sessions that were ours when we took over; they must not vanish. */
	bool claimed[FAKE_KEYS];
	uint64_t claim_id;
};

void node_sync_open(struct node *node);            /* once per run */
void node_sync_close(struct node *node);
void node_sync_boot(struct node *node);
void node_sync_kill(struct node *node);            /* checks I4c first */
void node_sync_power_off(struct node *node);
void node_sync_thaw(struct node *node);
void node_sync_on_role(struct node *node);
/* After the cluster's step, a frame, a verdict: what is due. */
void node_sync_step(struct node *node);
void node_sync_on_frame(struct node *node, struct frame *frame);
void node_sync_on_kernel(struct node *node, uint64_t id);
void node_sync_on_dump(struct node *node, uint64_t id);
void node_sync_on_claim(struct node *node, uint64_t id);
/* Traffic opens, changes or ends one session in this kernel. */
void sim_session(struct node *node, unsigned key, enum ct_news news);
/* Random traffic through every kernel that forwards. */
void sim_traffic(struct sim *sim);
void node_sync_fill(struct node *node, unsigned percent);
void dump_sync(const struct node *node, FILE *out);
/* I4a: in a calm cluster all tables are equal. */
void check_equal(struct sim *sim);

#endif
