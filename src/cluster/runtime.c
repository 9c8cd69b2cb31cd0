/* runtime.c: starts, runs and ends the heartbeat thread */
#include "cluster/runtime_impl.h"

#include "base/caps.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/vip.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Above ordinary real-time work, below the kernel's own threads (50). */
#define HB_PRIORITY 40
/* gratuitous ARP: `arps` and `arps-interval` of fortios-facts 1.2 at their defaults. */
#define ANNOUNCE_COUNT 5
#define ANNOUNCE_NS    SEC(8)

static uint64_t hash_vmac_table(const struct config *config)
{
	crypto_generichash_state state;
	uint8_t out[crypto_generichash_BYTES_MIN];
	uint64_t value = 0;

	crypto_generichash_init(&state, NULL, 0, sizeof(out));
	for (unsigned i = 0; i < config->iface_count; i++)
		crypto_generichash_update(&state, (const uint8_t *)config->iface[i].name,
					  strlen(config->iface[i].name) + 1);
	crypto_generichash_update(&state, (const uint8_t *)config->ha.group_name,
				  strlen(config->ha.group_name) + 1);
	crypto_generichash_update(&state, (const uint8_t[]){ (uint8_t)(config->ha.group_id >> 8),
							     (uint8_t)config->ha.group_id }, 2);
	crypto_generichash_final(&state, out, sizeof(out));
	for (unsigned i = 0; i < sizeof(value); i++)
		value = value << 8 | out[i];
	return value;
}

void runtime_cluster_config(const struct config *config, const char *serial, uint64_t incarnation,
			    struct cluster_config *ret_config)
{
	struct cluster_config c = {
		.incarnation = incarnation,
		.interval_ns = config_interval_ns(&config->ha),
		.threshold = config->ha.hb_lost_threshold,
		.holddown_ns = SEC(config->ha.hello_holddown_s),
		.margin_ns = SEC(config->ha.uptime_margin_s),
		.probe_ns = MS(config->ha.takeover_probe_ms),
		.priority = config->ha.priority,
		.is_override = config->ha.override,
		.vmac_table = hash_vmac_table(config),
	};

	memcpy(c.serial, serial, sizeof(c.serial));
	memcpy(c.hostname, config->global.hostname, sizeof(c.hostname));
	*ret_config = c;
}

static void op_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	paths_send(arg, hb, everywhere);
}

static int op_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	struct runtime *rt = arg;
	int error = mute_grant(rt->mute, deadline, term);

	if (error)
		log_errx("cluster", "cannot grant the lease: %s", strerror(-error));
	/* Frozen between deciding and doing: somebody else may forward by now. */
	if (deadline.ns == MONO_NEVER.ns && mono_reached(mono_read(), valid_until)) {
		mute_revoke(rt->mute, term);
		return -ETIME;
	}
	return error;
}

static void op_revoke(void *arg, uint64_t term)
{
	struct runtime *rt = arg;
	int error = mute_revoke(rt->mute, term);

	if (error)
		log_errx("cluster", "cannot mute: %s", strerror(-error));
}

static void on_probe(void *arg, enum probe_result result, const char *who)
{
	struct runtime *rt = arg;

	cluster_on_probe(&rt->cluster, loop_now(rt->loop), result, who);
}

static void op_probe(void *arg, int64_t duration_ns)
{
	struct runtime *rt = arg;

	probe_start(rt->probe, duration_ns, on_probe, rt);
}

static void op_probe_cancel(void *arg)
{
	probe_cancel(((struct runtime *)arg)->probe);
}

static void op_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	struct runtime *rt = arg;

	if (state == MEMBER_WORK)
		announce_start(rt->announce, ANNOUNCE_COUNT, ANNOUNCE_NS);
	else
		announce_stop(rt->announce);
	runtime_tell_role(rt, state, primary, term);
}

static void op_history(void *arg, const char *text)
{
	runtime_tell_history(arg, text);
}

static const struct cluster_ops cluster_doors = {
	.send = op_send,
	.grant = op_grant,
	.revoke = op_revoke,
	.probe = op_probe,
	.probe_cancel = op_probe_cancel,
	.on_role = op_role,
	.on_history = op_history,
};

/* A reader may hold the lock while it is not scheduled: then this snapshot is left out. */
static void publish(struct runtime *rt, mono_t now)
{
	struct runtime_state *s = &rt->state;

	if (pthread_mutex_trylock(&rt->lock) != 0)
		return;
	s->cluster = rt->cluster;
	s->at = now;
	s->drops = rt->drops;
	s->bytes = rt->bytes;
	s->announced = announce_sent(rt->announce);
	s->link_count = rt->path_count;
	for (unsigned i = 0; i < rt->path_count; i++) {
		memcpy(s->links[i].name, rt->paths[i].name, sizeof(s->links[i].name));
		s->links[i].is_hbdev = rt->paths[i].is_hbdev;
		s->links[i].is_monitored = rt->paths[i].is_monitored;
		s->links[i].is_up = rt->paths[i].is_up;
		s->links[i].stats = l2_port_stats(rt->paths[i].port);
	}
	s->mute_backend = mute_backend_name(rt->mute);
	s->mute = mute_stats(rt->mute);
	s->is_realtime = rt->is_realtime;
	memcpy(s->lost_at_ns, rt->lost_at_ns, sizeof(s->lost_at_ns));
	pthread_mutex_unlock(&rt->lock);
}

int runtime_cpu(const struct runtime *rt)
{
	return atomic_load_explicit(&rt->cpu, memory_order_relaxed);
}

static void step(void *arg)
{
	struct runtime *rt = arg;
	mono_t now = loop_now(rt->loop);

	atomic_store_explicit(&rt->cpu, sched_getcpu(), memory_order_relaxed);
	timer_set(rt->timer, cluster_step(&rt->cluster, now));
	paths_publish_living(rt, now);
	publish(rt, now);
}

static void on_timer(void *arg)
{
	(void)arg; /* the hook after it steps */
}

static void *thread_main(void *arg)
{
	struct runtime *rt = arg;
	struct sched_param param = { .sched_priority = HB_PRIORITY };
	int error;

	rt->is_realtime = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0;
	if (!rt->is_realtime)
		log_info("cluster", "heartbeats run without real-time priority (not permitted)");
	rt->hook = hook_new(rt->loop, "cluster step", step, rt);
	error = loop_run(rt->loop);
	if (error)
		log_errx("cluster", "heartbeat loop: %s", strerror(-error));
	hook_free(rt->hook);
	return NULL;
}

static int start_thread(struct runtime *rt)
{
	sigset_t all, old;
	int error;

	/* Signals belong to the pipeline. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	error = pthread_create(&rt->thread, NULL, thread_main, rt);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

static void fini(struct runtime *rt)
{
	/* First: whoever is told may still ask this runtime. */
	runtime_mail_close(rt);
	paths_close(rt);
	if (rt->mute_watch)
		mute_watch_close(rt->mute_watch);
	if (rt->probe)
		probe_close(rt->probe);
	if (rt->announce)
		announce_close(rt->announce);
	if (rt->mute)
		mute_close(rt->mute);
	seal_free(rt->seal);
	timer_free(rt->timer);
	loop_free(rt->loop);
	pthread_mutex_destroy(&rt->lock);
	free(rt);
}

static int open_all(struct runtime *rt)
{
	const struct config *config = &rt->config.config;
	const char *vips[CONFIG_IFACE_MAX];
	unsigned count = 0;
	int error;

	for (unsigned i = 0; i < config->iface_count; i++)
		if (config->iface[i].ip_count || config->iface[i].ip6_count)
			vips[count++] = config->iface[i].name;
	/* Looking an earlier attachment up by its number is the one thing that needs it. */
	caps_raise(CAP_SYS_ADMIN, true);
	error = mute_open(rt->config.backend, vips, count, &rt->mute);
	caps_raise(CAP_SYS_ADMIN, false);
	if (error) {
		log_errx("cluster", "cannot mute the data interfaces: %s", strerror(-error));
		return error;
	}
	error = mute_watch_open(rt->pipeline, rt->mute, &rt->mute_watch);
	if (error)
		return error;
	/* A missing interface must not keep the others from being protected. */
	vip_apply(config, NULL);
	error = announce_open(rt->loop, config, &rt->announce);
	if (!error)
		error = probe_open(rt->loop, config, rt->config.serial, &rt->probe);
	if (!error)
		error = paths_open(rt);
	return error;
}

int runtime_start(struct loop *pipeline, const struct runtime_config *config,
		  const struct runtime_ops *ops, void *arg, struct runtime **ret_runtime)
{
	struct runtime *rt = xcalloc(1, sizeof(*rt));
	struct seal_config seal = { .key = config->key, .flags = config->seal_flags,
				    .plane = SEAL_PLANE_HEARTBEAT,
				    .group_id = config->config.ha.group_id,
				    .incarnation = config->incarnation };
	struct cluster_config cluster;
	struct mute_adopted adopted;
	int error;

	atomic_init(&rt->cpu, -1);
	rt->config = *config;
	rt->ops = ops;
	rt->arg = arg;
	rt->pipeline = pipeline;
	runtime_mail_open(rt);
	pthread_mutex_init(&rt->lock, NULL);
	rt->loop = loop_new();
	rt->timer = timer_new(rt->loop, "cluster", on_timer, rt);
	memcpy(seal.serial, config->serial, sizeof(seal.serial));
	rt->seal = seal_new(&seal);
	error = open_all(rt);
	if (error) {
		fini(rt);
		return error;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_info("cluster", "memory is not locked (not permitted)");
	adopted = mute_adopted(rt->mute);
	if (adopted.is_forwarding)
		log_info("cluster", "this kernel still forwards under the lease of term %llu: adopted",
			 (unsigned long long)adopted.term);
	runtime_cluster_config(&config->config, config->serial, config->incarnation, &cluster);
	cluster_init(&rt->cluster, &cluster, &cluster_doors, rt, mono_read(),
		     adopted.is_forwarding, adopted.term);
	publish(rt, mono_read());
	error = start_thread(rt);
	if (error) {
		fini(rt);
		return error;
	}
	*ret_runtime = rt;
	return 0;
}

static void leave(void *arg)
{
	struct runtime *rt = arg;

	if (cluster_on_shutdown(&rt->cluster, loop_now(rt->loop)))
		log_info("cluster", "resigned for a standby");
	loop_stop(rt->loop);
}

void runtime_stop(struct runtime *rt)
{
	if (!rt)
		return;
	loop_post(rt->loop, leave, rt);
	pthread_join(rt->thread, NULL);
	fini(rt);
}

void runtime_repair(struct runtime *rt)
{
	int repaired = mute_ensure(rt->mute);

	if (repaired < 0)
		log_errx("cluster", "cannot mute again: %s", strerror(-repaired));
	else
		vip_apply(&rt->config.config, NULL);
}

void runtime_get(struct runtime *rt, struct runtime_state *ret_state)
{
	pthread_mutex_lock(&rt->lock);
	*ret_state = rt->state;
	pthread_mutex_unlock(&rt->lock);
}

bool runtime_needs_restart(const struct config *a, const struct config *b)
{
	const struct config_ha *x = &a->ha;
	const struct config_ha *y = &b->ha;

	return x->mode != y->mode || x->group_id != y->group_id ||
	       strcmp(x->group_name, y->group_name) != 0 || strcmp(x->password, y->password) != 0 ||
	       x->hbdev_count != y->hbdev_count ||
	       memcmp(x->hbdev, y->hbdev, sizeof(x->hbdev)) != 0 ||
	       x->monitor_count != y->monitor_count ||
	       memcmp(x->monitor, y->monitor, sizeof(x->monitor)) != 0 ||
	       x->encryption != y->encryption || x->authentication != y->authentication ||
	       a->iface_count != b->iface_count ||
	       memcmp(a->iface, b->iface, sizeof(a->iface)) != 0 ||
	       strcmp(a->global.serial, b->global.serial) != 0;
}
