/* runtime_impl.h: the inside of the heartbeat thread, for the runtime*.c files alone */
#ifndef FK_CLUSTER_RUNTIME_IMPL_H
#define FK_CLUSTER_RUNTIME_IMPL_H

#include "cluster/announce.h"
#include "cluster/linkmon.h"
#include "cluster/probe.h"
#include "cluster/runtime.h"

#include <stdatomic.h>
#include <pthread.h>

enum { PATH_MAX_COUNT = CONFIG_HBDEV_MAX + CONFIG_IFACE_MAX + CONFIG_MONITOR_MAX };

struct path {
	struct runtime *rt;
	char name[17];
	bool is_hbdev, is_monitored, has_vip;
	bool is_up;
	struct l2_port *port;
	mono_t heard[LIMIT_MEMBERS - 1]; /* per slot of cluster.members */
};

struct runtime {
	struct runtime_config config;
	const struct runtime_ops *ops;
	void *arg;
	struct loop *pipeline;
	struct mailbox *mailbox; /* news for the pipeline */

	/* the thread's own */
	struct loop *loop;
	pthread_t thread;
	struct cluster cluster;
	struct seal *seal;
	struct mute *mute;
	struct announce *announce;
	struct probe *probe;
	struct linkmon *linkmon;
	struct hook *hook;
	struct timer *timer;
	struct mute_watch *mute_watch; /* on the pipeline's loop */
	struct path paths[PATH_MAX_COUNT];
	unsigned path_count;
	struct drop_counts drops;
	uint64_t bytes;
	struct runtime_living living[LIMIT_MEMBERS - 1];
	struct runtime_living pinned[LIMIT_MEMBERS - 1]; /* whose replay windows are kept */
	unsigned living_count;
	int64_t lost_at_ns[LIMIT_MEMBERS - 1];
	uint8_t frame[LIMIT_FRAME_BYTES];
	bool is_realtime;
	atomic_int cpu;      /* where it ran last; -1: not yet */

	pthread_mutex_t lock;        /* guards `state`; the thread only ever tries it */
	struct runtime_state state;
};

/* runtime.c: the part of the configuration that the state machine needs */
void runtime_cluster_config(const struct config *config, const char *serial, uint64_t incarnation,
			    struct cluster_config *ret_config);

/* runtime_paths.c */
int paths_open(struct runtime *rt);
void paths_close(struct runtime *rt);
void paths_send(struct runtime *rt, const struct heartbeat *hb, bool everywhere);
/* Tells the pipeline when the set of living members or the links they are heard on changed. */
void paths_publish_living(struct runtime *rt, mono_t now);

/* runtime_post.c */
void runtime_mail_open(struct runtime *rt);
/* On the pipeline, after the thread has ended: delivers what is left; nothing comes afterwards. */
void runtime_mail_close(struct runtime *rt);
void runtime_tell_role(struct runtime *rt, enum member_state state, const char *primary,
		       uint64_t term);
void runtime_tell_history(struct runtime *rt, const char *text);
void runtime_tell_members(struct runtime *rt);
void runtime_tell_disturbance(struct runtime *rt);
void runtime_tell_link_up(struct runtime *rt);

#endif
