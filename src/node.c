/* node.c: starts and stops the rooms as the configuration says */
#include "node.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/vip.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	struct node *node = arg;

	if (!node->runtime)
		return;
	if (state != node->state || strcmp(primary, node->primary) != 0)
		node->changed_s = time(NULL);
	node->state = state;
	memset(node->primary, 0, sizeof(node->primary));
	memcpy(node->primary, primary, strnlen(primary, sizeof(node->primary) - 1));
	node->term = term;
	log_info("cluster", "%s%s%s, term %llu", member_state_name(state),
		 primary[0] ? ", primary " : "", primary, (unsigned long long)term);
	node_sync_role(node);
}

/* Its heartbeats come by other links still. */
static void count_silent(struct node *node, const struct runtime_living *now, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < node->living_count; k++)
			if (node->living[k].incarnation == now[i].incarnation &&
			    strcmp(node->living[k].serial, now[i].serial) == 0)
				node->links_silent += (unsigned)__builtin_popcount(
					node->living[k].links & ~now[i].links);
}

static void on_members(void *arg, const struct runtime_living *living, unsigned count)
{
	struct node *node = arg;

	if (!node->runtime)
		return;
	/* Replay windows of incarnations that went away are given back. */
	for (unsigned i = 0; i < node->living_count; i++)
		seal_pin(node->seal, node->living[i].serial, node->living[i].incarnation, false);
	count_silent(node, living, count);
	memcpy(node->living, living, sizeof(node->living));
	node->living_count = count;
	node_sync_members(node);
}

static void on_history(void *arg, const char *text)
{
	struct node *node = arg;

	log_info("cluster", "%s", text);
	history_add(node->history, time(NULL), text);
}

static void on_disturbance(void *arg)
{
	struct node *node = arg;

	if (node->sync)
		sync_on_disturbance(node->sync, loop_now(node->loop));
}

static void on_link_up(void *arg)
{
	struct node *node = arg;

	if (node->runtime)
		runtime_repair(node->runtime);
}

static const struct runtime_ops runtime_doors = {
	.on_role = on_role,
	.on_members = on_members,
	.on_history = on_history,
	.on_disturbance = on_disturbance,
	.on_link_up = on_link_up,
};

static void on_tick(void *arg)
{
	struct node *node = arg;
	int64_t count = ct_count();

	if (node->runtime && count >= 0)
		runtime_set_sessions(node->runtime, (uint64_t)count);
	timer_set(node->tick, mono_add(loop_now(node->loop), SEC(1)));
}

static uint8_t seal_flags(const struct config_ha *ha)
{
	return (uint8_t)((ha->encryption ? SEAL_ENCRYPTED | SEAL_AUTHENTICATED : 0) |
			 (ha->authentication ? SEAL_AUTHENTICATED : 0));
}

static void stop_cluster(struct node *node)
{
	runtime_stop(node->runtime);
	node->runtime = NULL;
	node_sync_close(node);
	node->state = MEMBER_HELLO;
	node->primary[0] = 0;
	node->living_count = 0;
}

static int start_cluster(struct node *node)
{
	const struct config_ha *ha = &node->config.ha;
	struct runtime_config config = { .seal_flags = seal_flags(ha), .backend = node->backend };
	int error;

	if (ha->mode == HA_STANDALONE)
		return 0;
	error = node_serial(&node->config, node->serial);
	if (error) {
		log_errx("node", "no serial: set one in config system global, or an hbdev that exists");
		return error;
	}
	if (!ha->password[0])
		log_warnx("node", "no password is set: this member believes whatever is on the segment");
	randombytes_buf(&node->incarnation, sizeof(node->incarnation));
	error = seal_derive(ha->password, ha->group_name, ha->group_id, &config.key);
	if (error)
		return error;
	config.config = node->config;
	memcpy(config.serial, node->serial, sizeof(config.serial));
	config.incarnation = node->incarnation;
	error = node_sync_open(node, &config.key, config.seal_flags);
	if (!error)
		error = runtime_start(node->loop, &config, &runtime_doors, node, &node->runtime);
	sodium_memzero(&config.key, sizeof(config.key));
	if (error) {
		node_sync_close(node);
		return error;
	}
	if (node->is_forced)
		runtime_force(node->runtime, true);
	return 0;
}

int node_open(struct loop *loop, const struct config *config, const char *config_file,
	      const char *dir, enum mute_backend backend, struct node **ret_node)
{
	struct node *node = xcalloc(1, sizeof(*node));
	int error;

	node->loop = loop;
	node->config = *config;
	node->config_file = config_file;
	node->dir = dir;
	node->backend = backend;
	node->changed_s = -1;
	node->started_s = time(NULL);
	node->history = history_open(dir);
	node->tick = timer_new(loop, "tick", on_tick, node);
	error = start_cluster(node);
	if (error) {
		timer_free(node->tick);
		history_close(node->history);
		free(node);
		return error;
	}
	timer_set(node->tick, loop_now(loop));
	*ret_node = node;
	return 0;
}

void node_close(struct node *node)
{
	stop_cluster(node);
	timer_free(node->tick);
	history_close(node->history);
	sodium_memzero(&node->config, sizeof(node->config));
	free(node);
}

/* Interfaces that are no longer ours get their own MAC back and speak for themselves. */
static void release_removed(const struct config *old, const struct config *new, const char *serial)
{
	for (unsigned i = 0; i < old->iface_count; i++) {
		bool is_kept = false;

		for (unsigned k = 0; k < new->iface_count; k++)
			is_kept |= strcmp(old->iface[i].name, new->iface[k].name) == 0;
		if (is_kept && new->ha.mode != HA_STANDALONE)
			continue;
		vip_release(old, old->iface[i].name, serial);
		mute_release(old->iface[i].name);
	}
}

int node_apply(struct node *node, const struct config *config)
{
	struct config old = node->config;
	int error;

	/* A cluster that could not be started is tried again, whatever changed. */
	if (!runtime_needs_restart(&old, config) &&
	    (node->runtime || config->ha.mode == HA_STANDALONE) &&
	    config->ha.copy_mark_bit == old.ha.copy_mark_bit) {
		node->config = *config;
		if (!node->runtime)
			return 0;
		runtime_reconfigure(node->runtime, config);
		node_sync_reconfigure(node);
		return 0;
	}
	stop_cluster(node);
	if (old.ha.mode != HA_STANDALONE) {
		release_removed(&old, config, node->serial);
		if (config->ha.mode != HA_STANDALONE)
			vip_apply(config, &old);
	}
	node->config = *config;
	error = start_cluster(node);
	if (!error)
		return 0;
	log_errx("node", "the new configuration cannot be put into effect (%s): the old one is back",
		 strerror(-error));
	node->config = old;
	if (start_cluster(node) != 0)
		log_errx("node", "the old configuration does not start any more either");
	return error;
}
