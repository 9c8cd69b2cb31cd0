/* runtime.h: the heartbeat thread: one loop of its own around the cluster state machine
 *
 * Owns everything that must not wait for bulk work: heartbeat sockets, links' carrier, the lease in
 * the kernel, probes and announcements. Runs with SCHED_FIFO and locked memory where permitted.
 *
 *   this thread                                  the pipeline's loop (main)
 *   heartbeats, links ─► cluster ─► mute,        on_role, on_members, on_history, on_disturbance
 *                           ▲       announce      (posted, in order)
 *                           └── runtime_set_ready(), runtime_force() ... (posted)
 *
 * runtime_get() copies the last snapshot; the heartbeat thread never waits for a reader.
 */
#ifndef FK_CLUSTER_RUNTIME_H
#define FK_CLUSTER_RUNTIME_H

#include "cluster/cluster.h"
#include "cluster/mute.h"
#include "config/config.h"
#include "link/l2.h"
#include "wire/seal.h"

struct runtime;

struct runtime_config {
	struct config config;   /* copied */
	char serial[17];
	uint64_t incarnation;
	struct seal_key key;
	uint8_t seal_flags;
	enum mute_backend backend;
};

struct runtime_living {
	char serial[17];
	uint64_t incarnation;
	uint64_t since_us;       /* its clock when it first answered us: older words of this
				  * incarnation may be a recording from before our own start */
	uint32_t links;          /* bit i: heard on hbdev i within the detection time */
};

/* All are called on the pipeline's loop. */
struct runtime_ops {
	void (*on_role)(void *arg, enum member_state state, const char *primary, uint64_t term);
	void (*on_members)(void *arg, const struct runtime_living *living, unsigned count);
	void (*on_history)(void *arg, const char *text);
	/* A monitored interface or one with virtual addresses lost its link. */
	void (*on_disturbance)(void *arg);
	/* One with virtual addresses got a link, maybe as a new device: see runtime_repair(). */
	void (*on_link_up)(void *arg);
};

struct runtime_link {
	char name[17];
	bool is_hbdev, is_monitored, is_up;
	struct l2_stats stats;
};

struct runtime_state {
	struct cluster cluster;  /* a copy: read it, never call its functions */
	mono_t at;               /* when it was taken */
	struct drop_counts drops;
	uint64_t bytes;          /* heartbeats both ways */
	uint64_t announced;      /* frames that told switches and hosts where we are */
	struct runtime_link links[CONFIG_HBDEV_MAX + CONFIG_IFACE_MAX + CONFIG_MONITOR_MAX];
	unsigned link_count;
	const char *mute_backend;
	struct mute_stats mute;
	bool is_realtime;
	int64_t lost_at_ns[LIMIT_MEMBERS - 1]; /* when a member was found dead, 0: lives */
};

/* Mutes, puts the virtual addresses up and starts the thread. 0 or negative errno. */
int runtime_start(struct loop *pipeline, const struct runtime_config *config,
		  const struct runtime_ops *ops, void *arg, struct runtime **ret_runtime);
/* Resigns if somebody can follow, ends the thread, delivers its last news: nothing comes afterwards.
 * The attachment and an unbounded lease stay. */
void runtime_stop(struct runtime *rt);
/* Mutes again, then puts up again, what disappeared and came back. Waits for the kernel's RTNL
 * lock, so it runs on the pipeline and never on the heartbeat thread. */
void runtime_repair(struct runtime *rt);
void runtime_get(struct runtime *rt, struct runtime_state *ret_state);
/* The processor on which heartbeats ran last; the pipeline keeps long system calls away from it. */
int runtime_cpu(const struct runtime *rt);
void runtime_set_ready(struct runtime *rt, uint64_t term, bool is_ready);
void runtime_set_sessions(struct runtime *rt, uint64_t sessions);
void runtime_force(struct runtime *rt, bool is_forced);
/* New timers, priority, override ...: what is not a matter of sockets or keys. */
void runtime_reconfigure(struct runtime *rt, const struct config *config);
/* Would this change need a new thread (sockets, keys, addresses)? */
bool runtime_needs_restart(const struct config *a, const struct config *b);

#endif
