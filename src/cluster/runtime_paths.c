/* runtime_paths.c: heartbeats on wires: heartbeat links always, data interfaces when needed */
#include "cluster/runtime_impl.h"

#include "base/log.h"
#include "nl/rtnl.h"

#include <string.h>

/* A member's slot in the state machine; LIMIT_MEMBERS - 1 when it has none. */
static unsigned slot_of(const struct runtime *rt, const char *serial)
{
	unsigned i;

	for (i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (rt->cluster.members[i].is_used &&
		    strcmp(rt->cluster.members[i].serial, serial) == 0)
			break;
	return i;
}

/* A living member keeps its replay window; the window of its earlier life is given back. */
static void pin(struct runtime *rt, unsigned slot, const struct frame_head *head,
		const struct heartbeat *hb)
{
	struct runtime_living *pinned = &rt->pinned[slot];

	if (pinned->incarnation == head->incarnation && strcmp(pinned->serial, head->serial) == 0)
		return;
	if (pinned->serial[0])
		seal_pin(rt->seal, pinned->serial, pinned->incarnation, false);
	memcpy(pinned->serial, head->serial, sizeof(pinned->serial));
	pinned->incarnation = head->incarnation;
	pinned->since_us = hb->send_us;
	seal_pin(rt->seal, head->serial, head->incarnation, true);
}

/* Nothing of it is believed; it only names the other one. */
static enum drop_reason take_clash(struct runtime *rt, const struct path *path,
				   const struct frame_head *head, struct rbuf *payload)
{
	struct mac mac = l2_port_sender(path->port);
	bool is_news = false;
	struct heartbeat hb;
	enum drop_reason reason;
	char text[TWIN_TEXT];

	if (head->type != FRAME_HEARTBEAT)
		return DROP_TYPE;
	reason = codec_decode(&schema_heartbeat, payload, &hb);
	if (reason)
		return reason;
	reason = cluster_on_serial_clash(&rt->cluster, loop_now(rt->loop), head->incarnation, &hb,
					 &mac, path->name, &is_news);
	if (is_news)
		log_errx("cluster", "%s", cluster_twin_text(&rt->cluster, text));
	return reason;
}

static enum drop_reason take(struct runtime *rt, struct path *path, uint8_t *frame, size_t len)
{
	mono_t now = loop_now(rt->loop);
	struct frame_head head = { .serial = "" };
	struct rbuf payload;
	struct heartbeat hb;
	unsigned slot;
	enum drop_reason reason = seal_open(rt->seal, frame, len, &head, &payload);

	/* On a heartbeat link it is a member with another password. On a data interface it may be any
	 * of the clients, and none of them shall keep a gateway from starting alone. */
	if ((reason == DROP_AUTH || reason == DROP_SECURITY) && path->is_hbdev)
		cluster_on_stranger(&rt->cluster, now);
	if (reason == DROP_SERIAL_CLASH)
		return take_clash(rt, path, &head, &payload);
	if (reason)
		return reason;
	if (head.type != FRAME_HEARTBEAT)
		return DROP_TYPE;
	reason = codec_decode(&schema_heartbeat, &payload, &hb);
	if (reason)
		return reason;
	reason = cluster_on_heartbeat(&rt->cluster, now, head.serial, head.incarnation, &hb);
	if (reason)
		return reason;
	slot = slot_of(rt, head.serial);
	if (slot < LIMIT_MEMBERS - 1) {
		path->heard[slot] = now;
		pin(rt, slot, &head, &hb);
	}
	return DROP_NONE;
}

static void on_frame(void *arg, struct l2_port *port, uint8_t *frame, size_t len)
{
	struct path *path = arg;

	(void)port;
	path->rt->bytes += len;
	drop_count(&path->rt->drops, take(path->rt, path, frame, len));
}

void paths_send(struct runtime *rt, const struct heartbeat *hb, bool everywhere)
{
	for (unsigned i = 0; i < rt->path_count; i++) {
		struct path *path = &rt->paths[i];
		struct wbuf w;
		size_t len;

		if (!path->port || (!path->is_hbdev && !everywhere))
			continue;
		/* Every copy has a counter of its own: paths differ in delay. */
		w = seal_payload(rt->frame, sizeof(rt->frame));
		codec_encode(&schema_heartbeat, hb, UINT64_MAX, &w);
		if (w.failed)
			return;
		len = seal_close(rt->seal, FRAME_HEARTBEAT, rt->frame, wbuf_len(&w));
		if (l2_port_send(path->port, rt->frame, len) == 0)
			rt->bytes += len;
	}
}

void paths_publish_living(struct runtime *rt, mono_t now)
{
	struct runtime_living living[LIMIT_MEMBERS - 1];
	unsigned count = 0;

	memset(living, 0, sizeof(living));
	for (unsigned m = 0; m < LIMIT_MEMBERS - 1; m++) {
		const struct member *member = &rt->cluster.members[m];
		struct runtime_living *l = &living[count];
		unsigned bit = 0;

		if (!member->is_used)
			continue;
		if (!cluster_is_living(&rt->cluster, member, now)) {
			if (!rt->lost_at_ns[m])
				rt->lost_at_ns[m] = now.ns;
			continue;
		}
		rt->lost_at_ns[m] = 0;
		memcpy(l->serial, member->serial, sizeof(l->serial));
		l->incarnation = member->incarnation;
		l->since_us = rt->pinned[m].since_us;
		for (unsigned i = 0; i < rt->path_count; i++) {
			if (!rt->paths[i].is_hbdev)
				continue;
			if (mono_sub(now, rt->paths[i].heard[m]) <
				    cluster_detection_ns(&rt->cluster) &&
			    !mono_is_zero(rt->paths[i].heard[m]))
				l->links |= UINT32_C(1) << bit;
			bit++;
		}
		count++;
	}
	if (count == rt->living_count && memcmp(living, rt->living, sizeof(living)) == 0)
		return;
	memcpy(rt->living, living, sizeof(living));
	rt->living_count = count;
	runtime_tell_members(rt);
}

static void on_link(void *arg, unsigned index, bool is_up)
{
	struct runtime *rt = arg;
	struct path *path = &rt->paths[index];
	unsigned failures = 0;
	bool has_trouble = false, has_vip = false, has_link = false;

	if (is_up && path->port)
		l2_port_rebind(path->port);
	if (path->is_up && !is_up && (path->has_vip || path->is_monitored))
		runtime_tell_disturbance(rt);
	path->is_up = is_up;
	for (unsigned i = 0; i < rt->path_count; i++) {
		failures += rt->paths[i].is_monitored && !rt->paths[i].is_up;
		has_trouble |= rt->paths[i].is_hbdev && !rt->paths[i].is_up;
		has_vip |= rt->paths[i].has_vip;
		has_link |= rt->paths[i].has_vip && rt->paths[i].is_up;
	}
	if (path->has_vip && is_up)
		runtime_tell_link_up(rt);
	cluster_on_path_trouble(&rt->cluster, has_trouble);
	cluster_on_links(&rt->cluster, loop_now(rt->loop), has_link || !has_vip);
	cluster_on_failures(&rt->cluster, loop_now(rt->loop), failures);
}

static struct path *path_named(struct runtime *rt, const char *name)
{
	for (unsigned i = 0; i < rt->path_count; i++)
		if (strcmp(rt->paths[i].name, name) == 0)
			return &rt->paths[i];
	rt->paths[rt->path_count].rt = rt;
	memcpy(rt->paths[rt->path_count].name, name, sizeof(rt->paths[0].name));
	return &rt->paths[rt->path_count++];
}

int paths_open(struct runtime *rt)
{
	const struct config *config = &rt->config.config;
	const char *names[PATH_MAX_COUNT];

	for (unsigned i = 0; i < config->ha.hbdev_count; i++)
		path_named(rt, config->ha.hbdev[i].name)->is_hbdev = true;
	for (unsigned i = 0; i < config->iface_count; i++)
		if (config->iface[i].ip_count || config->iface[i].ip6_count)
			path_named(rt, config->iface[i].name)->has_vip = true;
	for (unsigned i = 0; i < config->ha.monitor_count; i++)
		path_named(rt, config->ha.monitor[i])->is_monitored = true;
	for (unsigned i = 0; i < rt->path_count; i++) {
		struct path *path = &rt->paths[i];
		struct rtnl_link link;
		bool has_perm = rtnl_get_link(path->name, &link) == 0 && link.has_perm_mac;
		struct mac mac = l2_own_mac(rt->config.serial, path->name,
					    has_perm ? &link.perm_mac : NULL);
		int error = l2_port_open(rt->loop, path->name, ETH_P_FK_HB, LOOP_URGENT, &mac,
					 on_frame, path, &path->port);

		if (error)
			return error;
		/* Up until told otherwise: the first news comes with the first turn. */
		path->is_up = true;
		names[i] = path->name;
	}
	return linkmon_open(rt->loop, names, rt->path_count, on_link, rt, &rt->linkmon);
}

void paths_close(struct runtime *rt)
{
	if (rt->linkmon)
		linkmon_close(rt->linkmon);
	for (unsigned i = 0; i < rt->path_count; i++)
		if (rt->paths[i].port)
			l2_port_close(rt->paths[i].port);
}
