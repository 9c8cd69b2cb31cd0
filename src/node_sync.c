/* node_sync.c: the doors of the sync room: the kernel on one side, the heartbeat links on the other */
#include "node.h"

#include "base/log.h"
#include "nl/rtnl.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

/* Netlink requests wait in a turn until its end, so that they travel together. */

/* The links on which every living member was heard lately: the best one if it does for all. */
static uint32_t links_to_use(const struct node *node)
{
	uint32_t use = 0;

	for (unsigned m = 0; m < node->living_count; m++) {
		unsigned best = CONFIG_HBDEV_MAX;

		for (unsigned i = 0; i < node->port_count; i++) {
			bool is_better = best == CONFIG_HBDEV_MAX ||
					 node->config.ha.hbdev[i].priority >
						 node->config.ha.hbdev[best].priority;

			if ((node->living[m].links >> i & 1) && l2_port_is_up(node->ports[i]) &&
			    is_better)
				best = i;
		}
		if (best < CONFIG_HBDEV_MAX)
			use |= UINT32_C(1) << best;
	}
	return use;
}

static struct wbuf *op_frame_begin(void *arg)
{
	struct node *node = arg;
	uint32_t use = links_to_use(node);
	size_t size = sizeof(node->frame);

	if (!use) {
		node->tx_no_link++;
		return NULL;
	}
	for (unsigned i = 0; i < node->port_count; i++)
		if ((use >> i & 1) && l2_port_mtu(node->ports[i]) < size)
			size = l2_port_mtu(node->ports[i]);
	node->frame_links = use;
	node->payload = seal_payload(node->frame, size);
	/* See take(): when it was said, by the clock that our heartbeats tell. */
	wbuf_be64(&node->payload, (uint64_t)(mono_read().ns / 1000));
	return &node->payload;
}

static void op_frame_end(void *arg, uint8_t type)
{
	struct node *node = arg;
	uint32_t use = node->frame_links;
	size_t len;

	if (node->payload.failed)
		return;
	len = seal_close(node->seal, (enum frame_type)type, node->frame, wbuf_len(&node->payload));
	for (unsigned i = 0; i < node->port_count; i++) {
		if (!(use >> i & 1))
			continue;
		if (l2_port_send(node->ports[i], node->frame, len) < 0)
			node->tx_failed++;
		else
			node->tx_frames++;
	}
}

static int op_kernel_put(void *arg, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	return ct_inject_copy(((struct node *)arg)->inject, op, ct, cookie);
}

static int op_kernel_delete(void *arg, const struct ct *key, uint64_t cookie)
{
	return ct_inject_delete(((struct node *)arg)->inject, key, cookie);
}

static int op_kernel_timeout(void *arg, const struct ct *key, uint32_t seconds, uint64_t cookie)
{
	return ct_inject_timeout(((struct node *)arg)->inject, key, seconds, cookie);
}

static int op_kernel_renew(void *arg, const struct ct *ct, uint32_t seconds, uint64_t cookie)
{
	return ct_inject_renew(((struct node *)arg)->inject, ct, seconds, cookie);
}

static int op_kernel_has(void *arg, const struct ct *key)
{
	struct node *node = arg;
	struct ct_seen seen;
	int error = ct_get(node->config.ha.copy_mark_bit, key, &seen);

	return error == -ENOENT ? 0 : error ? error : 1;
}

static bool op_kernel_clear(void *arg, const struct ct *ct)
{
	struct node *node = arg;
	struct ct key = { .l3 = ct->l3, .l4 = ct->l4, .zone = ct->zone_reply,
			  .zone_reply = ct->zone };
	struct ct_seen seen;

	if (ct->l4 != IPPROTO_TCP && ct->l4 != IPPROTO_UDP && ct->l4 != IPPROTO_SCTP)
		return false;
	ct_reply_tuple(ct, &key.src, &key.dst, &key.sport, &key.dport);
	key.has = ct->has & schema_ct.keys;
	if (ct_get(node->config.ha.copy_mark_bit, &key, &seen) < 0 ||
	    !ct_key_equal(&seen.ct, &key) || !ct_is_own(&seen.ct) ||
	    (seen.ct.status & IPS_SEEN_REPLY))
		return false;
	return ct_inject_delete(node->inject, &key, 0) == 0;
}

static bool op_wants(void *arg, const struct ct *ct)
{
	struct node *node = arg;
	enum filter_verdict verdict = filter_decide(&node->filter, ct);

	node->filtered[verdict]++;
	return verdict == FILTER_TRAVELS;
}

static void on_dump_seen(void *arg, const struct ct_seen *seen)
{
	struct node *node = arg;

	sync_on_seen(node->sync, loop_now(node->loop), seen);
}

static void on_dump_done(void *arg, int error)
{
	struct node *node = arg;

	node->dump = NULL;
	affinity_restore(&node->affinity);
	sync_on_dump_done(node->sync, loop_now(node->loop), error);
}

static void op_start_dump(void *arg)
{
	struct node *node = arg;
	int error;

	affinity_avoid(&node->affinity, node->runtime ? runtime_cpu(node->runtime) : -1);
	error = ct_dump_start(node->loop, node->config.ha.copy_mark_bit, on_dump_seen,
			      on_dump_done, node, &node->dump);
	if (error) {
		affinity_restore(&node->affinity);
		log_errx("sync", "cannot read the kernel's table: %s", strerror(-error));
		sync_on_dump_done(node->sync, loop_now(node->loop), error);
	}
}

static void op_alone(void *arg, bool is_alone)
{
	ct_table_set_alone(((struct node *)arg)->table, is_alone);
}

static void op_ready(void *arg, uint64_t term, bool is_ready)
{
	struct node *node = arg;

	if (node->runtime)
		runtime_set_ready(node->runtime, term, is_ready);
	log_info("sync", is_ready ? "sessions proven equal with the primary of term %llu, in our kernel too" :
				    "sessions differ from the primary of term %llu: reading all again",
		 (unsigned long long)term);
}

/* A table that is full for long is said once a minute, however often it comes and goes. */
static void op_full(void *arg, bool is_full)
{
	struct node *node = arg;
	mono_t now = loop_now(node->loop);

	if (!is_full) {
		if (node->is_full_said)
			log_info("sync", "the kernel's conntrack table has room again");
		node->is_full_said = false;
		return;
	}
	if (!mono_is_zero(node->full_said_at) && mono_sub(now, node->full_said_at) < SEC(60))
		return;
	log_warnx("sync", "this kernel's conntrack table is full (nf_conntrack_max %lld): "
		  "sessions of the primary cannot be copied",
		  (long long)ct_max());
	node->full_said_at = now;
	node->is_full_said = true;
}

static const struct sync_ops sync_doors = {
	.frame_begin = op_frame_begin,
	.frame_end = op_frame_end,
	.kernel_put = op_kernel_put,
	.kernel_delete = op_kernel_delete,
	.kernel_timeout = op_kernel_timeout,
	.kernel_renew = op_kernel_renew,
	.kernel_has = op_kernel_has,
	.kernel_clear = op_kernel_clear,
	.wants = op_wants,
	.start_dump = op_start_dump,
	.on_alone = op_alone,
	.on_ready = op_ready,
	.on_full = op_full,
};

static void on_seen(void *arg, const struct ct_seen *seen)
{
	struct node *node = arg;
	struct ct_seen dated;

	if (seen->news != CT_NEWS_NEW || HAS(&seen->ct, CT_START_S)) {
		sync_on_seen(node->sync, loop_now(node->loop), seen);
		return;
	}
	/* The kernel tells the start only at the end: its first event is as good. */
	dated = *seen;
	dated.ct.start_s = (uint32_t)time(NULL);
	SET_HAS(&dated.ct, CT_START_S);
	sync_on_seen(node->sync, loop_now(node->loop), &dated);
}

static void on_overrun(void *arg)
{
	struct node *node = arg;

	sync_on_overrun(node->sync, loop_now(node->loop));
}

static void on_fill(void *arg, unsigned percent)
{
	sync_on_fill(((struct node *)arg)->sync, percent);
}

static void on_verdict(void *arg, enum ct_op op, uint64_t cookie, int error)
{
	struct node *node = arg;

	sync_on_verdict(node->sync, loop_now(node->loop), op, cookie, error);
}

static bool is_virtual(const struct config *config, const char *ifname, const struct ipaddr *addr)
{
	for (unsigned i = 0; i < config->iface_count; i++) {
		const struct config_iface *iface = &config->iface[i];

		if (strcmp(iface->name, ifname) != 0)
			continue;
		for (unsigned k = 0; k < iface->ip_count; k++)
			if (ipaddr_equal(&iface->ip[k].addr, addr))
				return true;
		for (unsigned k = 0; k < iface->ip6_count; k++)
			if (ipaddr_equal(&iface->ip6[k].addr, addr))
				return true;
	}
	return false;
}

/* A virtual address stays as long as it is configured. Of a link that went down or away the kernel
 * takes it; the news that the link is up again brings it back. */
static void put_back(struct node *node, int ifindex, const struct ipaddr *addr)
{
	char ifname[IF_NAMESIZE], text[IPADDR_STRLEN];
	struct rtnl_link link;

	if (!node->runtime || !if_indextoname((unsigned)ifindex, ifname) ||
	    !is_virtual(&node->config, ifname, addr) || rtnl_get_link(ifname, &link) < 0 ||
	    !link.is_up)
		return;
	log_warnx("node", "%s: somebody removed %s: it is put back", ifname,
		  ipaddr_format(addr, text));
	runtime_repair(node->runtime);
}

static void on_local_addr(void *arg, int ifindex, const struct ipaddr *addr, bool is_added)
{
	struct node *node = arg;

	if (is_added)
		return;
	sync_on_disturbance(node->sync, loop_now(node->loop));
	put_back(node, ifindex, addr);
}

static const struct runtime_living *living_sender(const struct node *node,
						  const struct frame_head *head)
{
	for (unsigned i = 0; i < node->living_count; i++)
		if (node->living[i].incarnation == head->incarnation &&
		    strcmp(node->living[i].serial, head->serial) == 0)
			return &node->living[i];
	return NULL;
}

static enum drop_reason take_neigh(struct node *node, const char *from, struct rbuf *payload)
{
	struct sync_neigh message;
	enum drop_reason reason = codec_decode(&schema_sync_neigh, payload, &message);

	if (reason)
		return reason;
	if (strcmp(from, node->primary) != 0 || node->state != MEMBER_STANDBY)
		return DROP_NOT_PRIMARY;
	if (message.term != node->term)
		return DROP_STALE_TERM;
	neigh_sync_learn(node->neigh, message.neighbours, message.neighbours_count);
	return DROP_NONE;
}

static enum drop_reason take(struct node *node, uint8_t *frame, size_t len)
{
	struct frame_head head = { .serial = "" };
	struct rbuf payload;
	enum drop_reason reason = seal_open(node->seal, frame, len, &head, &payload);
	const struct runtime_living *sender;
	uint64_t said_us;

	if (reason)
		return reason;
	/* The heartbeat plane has proven which incarnation is alive, and when it first answered this
	 * life of ours. Our window knows nothing of what it said before: that may be a recording. */
	sender = living_sender(node, &head);
	said_us = rbuf_be64(&payload);
	if (!sender || (!payload.failed && said_us < sender->since_us))
		return DROP_UNVERIFIED;
	if (payload.failed)
		return DROP_TRUNCATED;
	/* Here, because a window cannot be kept before its first frame. */
	seal_pin(node->seal, head.serial, head.incarnation, true);
	if (head.type == FRAME_SYNC_NEIGH)
		return take_neigh(node, head.serial, &payload);
	return sync_on_message(node->sync, loop_now(node->loop), head.serial, head.type, &payload);
}

static void on_frame(void *arg, struct l2_port *port, uint8_t *frame, size_t len)
{
	struct node *node = arg;

	(void)port;
	node->rx_frames++;
	drop_count(&node->drops, take(node, frame, len));
}

static void on_neigh_tell(void *arg, const struct neigh *entries, unsigned count)
{
	struct node *node = arg;
	struct sync_neigh message = { .term = node->term, .neighbours_count = count };
	struct wbuf *w = op_frame_begin(node);

	if (!w)
		return;
	memcpy(message.neighbours, entries, count * sizeof(*entries));
	SET_HAS(&message, SYNC_NEIGH_TERM);
	SET_HAS(&message, SYNC_NEIGH_NEIGHBOURS);
	codec_encode(&schema_sync_neigh, &message, UINT64_MAX, w);
	op_frame_end(node, FRAME_SYNC_NEIGH);
}

/* Before every sleep: what this turn collected goes out together. */
static void step(void *arg)
{
	struct node *node = arg;
	mono_t wake = sync_step(node->sync, loop_now(node->loop));

	ct_inject_flush(node->inject);
	if (wake.ns == MONO_NEVER.ns)
		timer_clear(node->sync_timer);
	else
		timer_set(node->sync_timer, wake);
}

static void on_sync_timer(void *arg)
{
	(void)arg; /* the hook after it steps */
}

static struct ct_table_config table_config(const struct node *node)
{
	const struct config_ha *ha = &node->config.ha;

	return (struct ct_table_config){
		.copy_bit = ha->copy_mark_bit,
		.event_mask = ha->event_mask,
		.level = ha->sync_level,
		.tcp = ha->pickup,
		.connectionless = ha->pickup && ha->pickup_connectionless,
	};
}

static int64_t delay_ns(const struct config_ha *ha)
{
	return ha->pickup_delay ? SEC((int64_t)ha->pickup_delay_s) : 0;
}

/* A secondary learns of sessions from the stream, and of its own table from updates and ends. Nor does a
 * primary hear beginnings that its masks hide. It is counted for the whole host whether somebody does: then
 * the kernel makes an event for every copy written in any namespace, and throws it away. */
static bool hears_new(const struct node *node)
{
	const struct config_ha *ha = &node->config.ha;

	return node->state != MEMBER_STANDBY &&
	       (!ha->event_mask || ha->sync_level != SYNC_LEVEL_ESTABLISHED ||
		ha->pickup_connectionless);
}

/* Whoever becomes primary listens before it reads the table, so nothing falls between. */
static void listen_as_due(struct node *node)
{
	int error = ct_capture_hear_new(node->capture, hears_new(node));

	if (error)
		log_warnx("sync", "cannot choose which events to hear: %s", strerror(-error));
}

void node_sync_reconfigure(struct node *node)
{
	struct ct_table_config table = table_config(node);

	node->filter.pickup = table.tcp;
	node->filter.connectionless = table.connectionless;
	if (hears_new(node))
		listen_as_due(node); /* before the masks show more */
	ct_table_replace(node->table, &table);
	listen_as_due(node);
	sync_set_sees_all(node->sync, !table.event_mask);
	sync_set_brief(node->sync, table.level == SYNC_LEVEL_ESTABLISHED);
	sync_set_delay(node->sync, delay_ns(&node->config.ha));
	sync_set_enabled(node->sync, loop_now(node->loop), table.tcp);
}

static int open_ports(struct node *node)
{
	for (unsigned i = 0; i < node->config.ha.hbdev_count; i++) {
		const char *name = node->config.ha.hbdev[i].name;
		struct rtnl_link link;
		bool has_perm = rtnl_get_link(name, &link) == 0 && link.has_perm_mac;
		struct mac mac = l2_own_mac(node->serial, name, has_perm ? &link.perm_mac : NULL);
		int error = l2_port_open(node->loop, name, ETH_P_FK_SYNC, LOOP_NORMAL, &mac,
					 on_frame, node, &node->ports[i]);

		if (error)
			return error;
		node->port_count++;
	}
	return 0;
}

/* Both are of no use to anybody outside the group. Without a password there is no outside, and buckets
 * that everybody can aim at; then every process hashes by itself. */
static void derive_keys(const struct seal_key *key, bool is_secret, struct store_keys *ret_keys)
{
	static const char digest_label[] = "flowkeep store digest", hash_label[] = "flowkeep store hash";

	randombytes_buf(ret_keys->hash, sizeof(ret_keys->hash));
	if (is_secret)
		crypto_generichash(ret_keys->hash, sizeof(ret_keys->hash),
				   (const uint8_t *)hash_label, sizeof(hash_label), key->bytes,
				   sizeof(key->bytes));
	crypto_generichash(ret_keys->digest, sizeof(ret_keys->digest),
			   (const uint8_t *)digest_label, sizeof(digest_label), key->bytes,
			   sizeof(key->bytes));
}

static int open_kernel(struct node *node)
{
	struct ct_table_config table = table_config(node);
	uint32_t bit = node->config.ha.copy_mark_bit;
	int error = ct_table_sysctls();

	if (error)
		log_warnx("sync", "nf_conntrack_events is off: sessions cannot be seen");
	error = local_addrs_open(node->loop, &node->filter.locals, on_local_addr, node,
				 &node->locals);
	if (!error)
		error = ct_inject_open(node->loop, bit, on_verdict, node, &node->inject);
	if (!error)
		error = ct_capture_open(node->loop, bit, on_seen, on_overrun, node, &node->capture);
	if (error)
		return error;
	ct_capture_tell_fill(node->capture, on_fill);
	ct_capture_ignore(node->capture, ct_inject_portid(node->inject));
	return ct_table_open(node->loop, &table, &node->table);
}

int node_sync_open(struct node *node, const struct seal_key *key, uint8_t seal_flags)
{
	struct seal_config seal = { .key = *key, .flags = seal_flags, .plane = SEAL_PLANE_SYNC,
				    .group_id = node->config.ha.group_id,
				    .incarnation = node->incarnation };
	struct sync_config config = { .is_enabled = node->config.ha.pickup,
				      .sees_all = !node->config.ha.event_mask,
				      .is_brief = node->config.ha.sync_level ==
						  SYNC_LEVEL_ESTABLISHED,
				      .has_group_hash = seal_flags & SEAL_AUTHENTICATED,
				      .delay_ns = delay_ns(&node->config.ha),
				      .max_sessions = NODE_SESSIONS_MAX, .fence_ns = MS(20) };
	int error;

	memcpy(seal.serial, node->serial, sizeof(seal.serial));
	memcpy(config.serial, node->serial, sizeof(config.serial));
	derive_keys(key, config.has_group_hash, &config.keys);
	node->filter.pickup = node->config.ha.pickup;
	node->filter.connectionless = node->config.ha.pickup &&
				      node->config.ha.pickup_connectionless;
	node->seal = seal_new(&seal);
	node->sync = sync_new(&config, &sync_doors, node, loop_now(node->loop));
	error = open_kernel(node);
	if (!error)
		error = open_ports(node);
	if (!error)
		error = neigh_sync_open(node->loop, &node->config, on_neigh_tell, node,
					&node->neigh);
	if (error) {
		log_errx("sync", "cannot start: %s", strerror(-error));
		return error;
	}
	node->sync_timer = timer_new(node->loop, "sync", on_sync_timer, node);
	node->sync_hook = hook_new(node->loop, "sync step", step, node);
	return 0;
}

void node_sync_close(struct node *node)
{
	if (node->sync_hook)
		hook_free(node->sync_hook);
	if (node->sync_timer)
		timer_free(node->sync_timer);
	if (node->neigh)
		neigh_sync_close(node->neigh);
	for (unsigned i = 0; i < node->port_count; i++)
		l2_port_close(node->ports[i]);
	if (node->table)
		ct_table_close(node->table);
	if (node->dump) {
		ct_dump_cancel(node->dump);
		affinity_restore(&node->affinity);
	}
	if (node->capture)
		ct_capture_close(node->capture);
	if (node->inject)
		ct_inject_close(node->inject);
	if (node->locals)
		local_addrs_close(node->locals);
	filter_locals_fini(&node->filter.locals);
	sync_free(node->sync);
	seal_free(node->seal);
	node->sync_hook = NULL;
	node->sync_timer = NULL;
	node->neigh = NULL;
	node->port_count = 0;
	node->table = NULL;
	node->dump = NULL;
	node->capture = NULL;
	node->inject = NULL;
	node->locals = NULL;
	node->sync = NULL;
	node->seal = NULL;
}

void node_sync_role(struct node *node)
{
	enum sync_role role = SYNC_IDLE;

	if (!node->sync)
		return;
	switch (node->state) {
	case MEMBER_HELLO:
		break;
	case MEMBER_STANDBY:
		role = node->primary[0] ? SYNC_SECONDARY : SYNC_IDLE;
		break;
	case MEMBER_WORK:
		role = SYNC_PRIMARY;
		break;
	}
	listen_as_due(node);
	neigh_sync_set_telling(node->neigh, role == SYNC_PRIMARY);
	sync_on_role(node->sync, loop_now(node->loop), role, node->primary, node->term);
}

void node_sync_members(struct node *node)
{
	char serials[LIMIT_MEMBERS - 1][17];

	for (unsigned i = 0; i < node->living_count; i++) {
		memcpy(serials[i], node->living[i].serial, sizeof(serials[i]));
		seal_pin(node->seal, node->living[i].serial, node->living[i].incarnation, true);
	}
	for (unsigned i = 0; i < node->port_count; i++)
		l2_port_rebind(node->ports[i]);
	sync_on_members(node->sync, loop_now(node->loop), (const char (*)[17])serials,
			node->living_count);
}
