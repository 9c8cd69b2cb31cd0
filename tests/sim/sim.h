/* sim.h: a cluster in a box: the real state machines in virtual time, with a hostile world
 *
 * One struct sim is one run: a clock, a queue of events, up to four nodes and the paths between
 * them. Everything random comes from one seed, so a failing run is replayed by its number. The
 * state machine under test is src/cluster (and src/sync behind node_sync.c); the simulator plays
 * what surrounds it in the daemon: clock, timers, links, the lease in the kernel, probes.
 *
 *   world.c      clock, queue, paths, frames, probes, the kernel's lease
 *   node.c       one daemon: boot, step, freeze, thaw, kill; struct cluster_ops
 *   node_sync.c  its sync room over a fake kernel table, and the workload
 *   faults.c     what may befall a node or a path; the random run
 *   check.c      what must always hold: the definitions are there
 *   scenarios.c  named stories
 *   away.c       those of a member that was away for an hour
 *   sim.c        the command line and TAP
 */
#ifndef FK_TESTS_SIM_H
#define FK_TESTS_SIM_H

#include "cluster/cluster.h"
#include "rng.h"

#include <stdio.h>

enum {
	SIM_NODES = 4,
	SIM_PATHS = 3,  /* two heartbeat links and the data interface */
	SIM_DATA = 2,   /* index of the latter: probes use it, heartbeats when sent everywhere */
	SIM_TRACE = 60, /* lines kept */
	SIM_DEFER = 64,
	SIM_GENERATIONS = 40000,
	SIM_TRAFFIC_KEYS = 128, /* random traffic uses so many sessions */
	SIM_INBOX = 48, /* frames a frozen daemon's socket keeps; the newest are lost */
};

struct sim;
struct node_sync;

/* One direction of one link between two nodes. */
struct path {
	bool is_up;
	unsigned loss;  /* per mille */
	unsigned dup;   /* per mille */
	unsigned spike; /* per mille of frames that come up to one interval late */
	int64_t delay_ns, jitter_ns;
};

struct frame {
	unsigned refs;
	unsigned from;
	uint64_t incarnation;
	int64_t sent_at; /* true time */
	uint8_t type;    /* 0: heartbeat, else a message of the sync room */
	size_t len;
	uint8_t bytes[];
};

enum defer_kind { DEFER_SEND, DEFER_GRANT, DEFER_REVOKE, DEFER_PROBE };

/* What a daemon that froze in the middle of a step does once it goes on. */
struct deferred {
	enum defer_kind kind;
	struct frame *frame;
	bool everywhere;
	mono_t deadline, valid_until;
	uint64_t term;
	int64_t duration_ns;
};

struct node {
	struct sim *sim;
	unsigned id;
	struct cluster_config config;
	struct cluster cluster;
	struct rng rng;
	bool is_powered, is_running, is_frozen;
	bool is_leaving;        /* shut down: ends at stop_at or when it has handed over */
	int64_t stop_at;
	int64_t thaw_at;        /* true time; while frozen */
	int64_t gap_since;      /* true time: its island has had no lease since */
	int64_t run_since;      /* true time of last boot or thaw */
	int64_t calm_since;     /* nothing befell it since */
	int64_t offset_ns;
	int ppm;                /* rate error of its clock */
	int64_t timer_at;       /* true time; INT64_MAX: none */
	bool is_sync_cut;       /* heartbeats pass, but nothing of the sync room */
	bool is_data_up;
	int64_t data_since;     /* true time of its last change */
	unsigned failures;

	mono_t lease;           /* in its kernel, its own clock */
	uint64_t lease_term;
	int64_t lease_began;    /* true time */
	int64_t split_at;       /* true time: last in a legitimate split */
	bool had_lease;         /* when it froze */
	int64_t boot_since;     /* true time */
	int64_t frozen_at;      /* true time */
	bool must_hear;         /* thawed without a lease: needs news before it may have one ... */
	int64_t hear_since;     /* ... sent after this (a short second freeze does not spoil it) */

	uint64_t probe_id;      /* 0: none */
	bool probe_hit, probe_done;
	bool probe_blind;       /* the data interface was down for some of its time */
	struct frame *inbox[SIM_INBOX];
	unsigned inbox_count;
	struct deferred deferred[SIM_DEFER];
	unsigned deferred_count;
	unsigned op_freeze;     /* per mille of ops in the middle of which the daemon freezes */
	int64_t freeze_max_ns;
	uint64_t ready_id;
	uint64_t last_term;     /* of this incarnation */
	struct node_sync *sync; /* NULL: cluster only */
};

enum event_kind { EVENT_FRAME, EVENT_PROBE, EVENT_THAW, EVENT_FAULT, EVENT_READY, EVENT_KERNEL, EVENT_DUMP,
		  EVENT_CLAIM, EVENT_TRAFFIC };

struct event {
	int64_t at;
	uint64_t seq;
	enum event_kind kind;
	unsigned node;
	uint64_t id;
	struct frame *frame;
};

/* How two nodes stand to each other; see check.c. */
struct pair {
	int64_t direct_since; /* both directions usable; INT64_MAX: not */
	int64_t data_since;   /* both directions of the data path */
	int64_t since;        /* over any path, relaying members included */
	bool is_split;        /* both have an active lease */
	int64_t split_since;
	uint64_t terms[2];    /* of the last split: a resume of the same terms goes on with it */
};

struct sim {
	uint64_t seed;
	struct rng rng;
	int64_t now;            /* true time, ns */
	uint64_t seq;
	struct event *heap;
	size_t heap_count, heap_size;
	struct node nodes[SIM_NODES];
	unsigned count;
	struct path paths[SIM_NODES][SIM_NODES][SIM_PATHS];
	unsigned lost_in_row[SIM_NODES][SIM_NODES];
	struct pair pairs[SIM_NODES][SIM_NODES];
	bool is_topology_stale;
	int64_t slack_ns;       /* beyond the detection time */
	int64_t patience_ns;    /* after this much calm an island has one lease */
	int64_t faults_until, fault_mean_ns;
	int64_t traffic_mean_ns;
	unsigned max_sessions;  /* of every store */
	bool never_overruns;
	unsigned press;         /* per mille of events before which the socket's fill changes */
	uint64_t origins[SIM_GENERATIONS]; /* term and node in whose kernel a change happened */
	uint32_t generation;    /* of the newest change of any session */
	bool is_single_fault;   /* no cut is full: I1 holds without exception */
	bool is_verbose;
	bool has_failed;
	char failure[512];
	char trace[SIM_TRACE][224];
	uint64_t trace_count;
	uint64_t next_incarnation;
	struct {
		uint64_t term;
		unsigned node;
		int64_t at;
	} terms[64];
	unsigned term_count;
	uint64_t events, takeovers, stalls, resumes;
};

/* world.c */
struct sim *sim_new(uint64_t seed, unsigned count, bool is_verbose);
void sim_free(struct sim *sim);
void sim_trace(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_post(struct sim *sim, int64_t at, enum event_kind kind, unsigned node, uint64_t id,
	      struct frame *frame);
/* Runs until true time `until` or the first violation; false on a violation. */
bool sim_run(struct sim *sim, int64_t until);
bool sim_run_for(struct sim *sim, int64_t ns);
struct frame *frame_new(const struct node *from, uint8_t type, const void *bytes, size_t len);
void frame_unref(struct frame *frame);
void sim_send(struct node *from, struct frame *frame, bool everywhere);
/* Would a probe by `node` be answered right now? */
bool sim_answers(const struct sim *sim, const struct node *node);
/* So many heartbeats lost in a row are an outage like a cut. */
unsigned sim_outage(const struct node *node);
bool sim_dir_up(const struct sim *sim, unsigned from, unsigned to);
void sim_set_paths(struct sim *sim, unsigned from, unsigned to, bool is_up);
mono_t node_clock(const struct node *node);
mono_t node_clock_at(const struct node *node, int64_t t);
int64_t node_true(const struct node *node, mono_t local);
bool node_has_lease(const struct node *node);

/* node.c */
void node_boot(struct node *node);
void node_kill(struct node *node, const char *why);
void node_power_off(struct node *node);
void node_freeze(struct node *node, int64_t ns);
void node_thaw(struct node *node);
void node_shutdown(struct node *node);
void node_step(struct node *node);
void node_on_frame(struct node *node, struct frame *frame);
void node_on_probe(struct node *node, uint64_t id);
/* Stands in for the sync room where there is none: equal a while after it began to follow. */
void node_on_ready(struct node *node, uint64_t id);
void node_set_failures(struct node *node, unsigned failures);
void node_set_data(struct node *node, bool is_up);
void node_force(struct node *node, bool is_forced);

/* check.c */
void check_topology(struct sim *sim);
void check_event(struct sim *sim);
void check_grant(struct node *node, uint64_t term);
void check_tell(struct node *node, const struct heartbeat *hb);
void check_dump(const struct sim *sim, FILE *out);

/* faults.c */
void fault_random(struct sim *sim);
/* Everything boots, thaws and is connected again. */
void fault_heal_all(struct sim *sim);
/* The caller frees the sim; it tells what went wrong. */
bool random_run(uint64_t seed, int64_t seconds, bool is_verbose, struct sim **ret_sim);

/* scenarios.c */
bool expect(struct sim *sim, bool is_true, const char *what);
#define EXPECT(claim) expect(sim, claim, #claim)
/* Boots everybody; the highest serial becomes primary and the others equal to it. */
struct node *begin(struct sim *sim);

/* away.c */
bool secondary_stands_still_for_an_hour(struct sim *sim);
bool sync_is_cut_for_an_hour(struct sim *sim);

struct scenario {
	const char *name;
	bool (*run)(struct sim *sim);
	unsigned nodes;
};
extern const struct scenario scenarios[];
extern const unsigned scenario_count;

#endif
