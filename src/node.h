/* node.h: one gateway: the rooms of the pipeline, wired together
 *
 *   node.c        starts and stops the rooms as the configuration says, takes new configurations
 *   node_sync.c   the doors of the sync room: kernel requests, frames on the heartbeat links
 *   node_view.c   the doors of the control room: snapshots for the operator
 *   node_serial.c who we are when the operator did not say
 *
 * Created in main(), one a process. Everything here runs on the pipeline's loop; the heartbeat
 * thread is behind cluster/runtime.h.
 */
#ifndef FK_NODE_H
#define FK_NODE_H

#include "base/affinity.h"
#include "base/loop.h"
#include "cluster/neigh.h"
#include "cluster/runtime.h"
#include "config/config.h"
#include "control/control.h"
#include "ct/ct.h"
#include "ct/ct_table.h"
#include "filter/filter.h"
#include "filter/local_addrs.h"
#include "history.h"
#include "link/l2.h"
#include "sync/sync.h"
#include "wire/seal.h"

/* Sessions the store may hold: as many as a large gateway's nf_conntrack_max. */
#define NODE_SESSIONS_MAX (4u * 1024 * 1024)

struct node {
	struct loop *loop;
	struct config config;
	const char *config_file;
	const char *dir;
	enum mute_backend backend;
	char serial[17];
	uint64_t incarnation;
	struct history *history;
	struct control *control;

	/* cluster: alive while mode is a-p */
	struct runtime *runtime;
	enum member_state state;
	char primary[17];
	uint64_t term;
	int64_t changed_s;        /* epoch; -1: never */
	int64_t started_s;
	bool is_forced;
	struct runtime_living living[LIMIT_MEMBERS - 1];
	unsigned living_count;

	/* replication: alive while mode is a-p */
	struct sync *sync;
	struct hook *sync_hook;
	struct timer *sync_timer;
	struct timer *tick;       /* once a second: counts, ends of leases in displays */
	struct seal *seal;
	struct l2_port *ports[CONFIG_HBDEV_MAX];
	unsigned port_count;
	uint8_t frame[LIMIT_FRAME_BYTES];
	struct wbuf payload;
	uint32_t frame_links;      /* which ports it leaves by, chosen when it was begun */
	struct drop_counts drops;
	uint64_t rx_frames, tx_frames, tx_failed;
	uint64_t tx_no_link;       /* frames for which no link was left */
	uint64_t links_silent;     /* times a living member was not heard any more on one link */
	struct ct_capture *capture;
	struct ct_inject *inject;
	struct ct_table *table;
	struct ct_dump *dump;
	struct affinity affinity; /* dumps are read away from the heartbeats */
	struct filter_config filter;
	struct local_addrs *locals;
	uint64_t filtered[FILTER_VERDICT_COUNT];
	mono_t full_said_at;       /* that the kernel's table is full; zero: never */
	bool is_full_said;         /* and not yet that it has room again */
	struct neigh_sync *neigh;
};

int node_open(struct loop *loop, const struct config *config, const char *config_file,
	      const char *dir, enum mute_backend backend, struct node **ret_node);
void node_close(struct node *node);
/* Puts a new configuration into effect; 0, or negative errno with the old one still in force. */
int node_apply(struct node *node, const struct config *config);

/* node_sync.c */
int node_sync_open(struct node *node, const struct seal_key *key, uint8_t seal_flags);
void node_sync_close(struct node *node);
void node_sync_role(struct node *node);
void node_sync_members(struct node *node);
/* Session-pickup, level, masks: what can change while running. */
void node_sync_reconfigure(struct node *node);

/* node_view.c */
extern const struct control_ops node_control_ops;

/* node_serial.c: 0 and the configured serial, or one made of machine-id and the first hbdev. */
int node_serial(const struct config *config, char ret_serial[17]);

#endif
