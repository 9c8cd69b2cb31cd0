/* node_view.c: snapshots of the rooms for the operator */
#include "node.h"

#include "base/xalloc.h"
#include "config/config_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t get_epoch_s(void *arg)
{
	(void)arg;
	return time(NULL);
}

static bool get_event(void *arg, unsigned back, struct ha_event *ret_event)
{
	const struct node *node = arg;
	const char *text;

	if (!history_get(node->history, back, &ret_event->when_s, &text))
		return false;
	snprintf(ret_event->text, sizeof(ret_event->text), "%s", text);
	return true;
}

static int64_t get_session_count(void *arg)
{
	(void)arg;
	return ct_count();
}

static const struct config *get_config(void *arg)
{
	return &((struct node *)arg)->config;
}

static void view_links(const struct runtime_state *s, struct ha_member_view *m)
{
	for (unsigned i = 0; i < s->link_count; i++) {
		const struct runtime_link *link = &s->links[i];
		struct ha_link_view view = {
			.is_up = link->is_up,
			.speed_mbps = -1,
			.rx_bytes = link->stats.rx_bytes,
			.rx_packets = link->stats.rx_frames,
			.rx_dropped = link->stats.rx_dropped,
			.tx_bytes = link->stats.tx_bytes,
			.tx_packets = link->stats.tx_frames,
			.tx_errors = link->stats.tx_errors,
		};

		memcpy(view.name, link->name, sizeof(view.name));
		if (link->is_hbdev && m->hbdev_count < CONFIG_HBDEV_MAX)
			m->hbdev[m->hbdev_count++] = view;
		if (link->is_monitored && m->mondev_count < CONFIG_MONITOR_MAX)
			m->mondev[m->mondev_count++] = view;
	}
}

static void view_self(const struct node *node, const struct runtime_state *s,
		      struct ha_member_view *m)
{
	const struct cluster *c = &s->cluster;
	int64_t sessions = ct_count();

	memcpy(m->serial, node->serial, sizeof(m->serial));
	memcpy(m->hostname, node->config.global.hostname, sizeof(m->hostname));
	m->is_local = true;
	m->is_living = true;
	m->state = c->state;
	m->in_sync = c->state == MEMBER_WORK || c->is_ready;
	m->priority = node->config.ha.priority;
	m->override = node->config.ha.override;
	m->age_ms = (uint64_t)(mono_sub(s->at, c->age_since) / MS(1));
	m->failures = c->failures;
	m->sessions = sessions > 0 ? (uint64_t)sessions : 0;
	m->lost_s = -1;
	view_links(s, m);
}

static void view_member(const struct runtime_state *s, unsigned i, struct ha_member_view *m)
{
	const struct member *member = &s->cluster.members[i];

	memcpy(m->serial, member->serial, sizeof(m->serial));
	memcpy(m->hostname, member->hb.hostname, sizeof(m->hostname));
	m->is_living = cluster_is_living(&s->cluster, member, s->at);
	m->state = (enum member_state)member->hb.state;
	m->in_sync = m->is_living && (member->hb.flags & HB_READY);
	m->priority = member->hb.priority;
	m->override = member->hb.flags & HB_OVERRIDE;
	m->age_ms = member->hb.age_ms + (uint64_t)(mono_sub(s->at, member->rx) / MS(1));
	m->failures = member->hb.failures;
	m->sessions = member->hb.sessions;
	m->has_other_table = member->hb.vmac_table != s->cluster.config.vmac_table;
	m->heard_ms = mono_sub(s->at, member->rx) / MS(1);
	m->lost_s = -1;
	if (!m->is_living && s->lost_at_ns[i])
		m->lost_s = time(NULL) - (s->at.ns - s->lost_at_ns[i]) / SEC(1);
}

static void view_warnings(const struct node *node, const struct runtime_state *s,
			  struct ha_view *v)
{
	const struct cluster *c = &s->cluster;

	v->is_warning[HA_WARN_NO_SECRET] = !node->config.ha.password[0];
	v->is_warning[HA_WARN_UNKNOWN_GATEWAY] = c->alarms[ALARM_UNKNOWN_GATEWAY];
	v->is_warning[HA_WARN_BLIND] = c->alarms[ALARM_BLIND];
	v->is_warning[HA_WARN_STRANGER] = c->alarms[ALARM_STRANGER];
	v->is_warning[HA_WARN_VMAC_TABLE] = c->alarms[ALARM_VMAC_TABLE];
	v->is_warning[HA_WARN_SERIAL_CLASH] = c->alarms[ALARM_SERIAL_CLASH];
	v->is_warning[HA_WARN_NFT_MUTE] = s->mute_backend && strcmp(s->mute_backend, "nft") == 0;
	v->is_warning[HA_WARN_FORCED] = c->is_forced;
	v->is_warning[HA_WARN_STALLED] = c->is_stalled;
	v->is_warning[HA_WARN_HBDEV_DOWN] = c->has_path_trouble;
	memcpy(v->answered_by, c->answered_by, sizeof(v->answered_by));
}

static void view_twin(const struct cluster *c, struct ha_twin_view *twin)
{
	memcpy(twin->hostname, c->twin.hostname, sizeof(twin->hostname));
	memcpy(twin->port, c->twin.port, sizeof(twin->port));
	twin->incarnation = c->twin.incarnation;
	twin->mac = c->twin.mac;
	cluster_twin_text(c, twin->text);
}

static void view_selected(const struct node *node, struct ha_view *v)
{
	for (unsigned back = 0; back < HISTORY_MAX && v->selected_count < HA_SELECTED_MAX; back++) {
		struct ha_event event;

		if (!get_event((void *)node, back, &event))
			return;
		if (strstr(event.text, " is selected as the primary because "))
			v->selected[v->selected_count++] = event;
	}
}

static void view_cluster(const struct node *node, const struct runtime_state *s, struct ha_view *v)
{
	const struct cluster *c = &s->cluster;

	v->state = c->state;
	memcpy(v->primary, c->primary, sizeof(v->primary));
	v->is_forced = c->is_forced;
	v->term = c->term;
	v->is_lease_unbounded = cluster_has_lease(c, s->at) && c->lease.ns == MONO_NEVER.ns;
	v->lease_ms = !cluster_has_lease(c, s->at) ? -1 :
		      v->is_lease_unbounded ? 0 : mono_sub(c->lease, s->at) / MS(1);
	v->mute_backend = s->mute_backend;
	v->takeovers = c->stats.takeovers;
	v->stalls = c->stats.stalls;
	v->resumes = c->stats.resumes;
	v->resigns = c->stats.resigns;
	v->probes = c->stats.probes;
	v->probes_answered = c->stats.probes_answered;
	v->hb_sent = c->stats.hb_sent;
	v->hb_heard = c->stats.hb_heard;
	v->hb_bytes = s->bytes;
	v->hb_drops = s->drops;
	v->announced = s->announced;
	view_warnings(node, s, v);
	if (c->alarms[ALARM_SERIAL_CLASH])
		view_twin(c, &v->twin);
	view_self(node, s, &v->members[v->member_count++]);
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (c->members[i].is_used && c->members[i].is_verified)
			view_member(s, i, &v->members[v->member_count++]);
}

static void get_ha(void *arg, struct ha_view *v)
{
	struct node *node = arg;
	struct runtime_state *s;

	v->mode = node->config.ha.mode;
	memcpy(v->group_name, node->config.ha.group_name, sizeof(v->group_name));
	v->group_id = node->config.ha.group_id;
	v->pickup = node->config.ha.pickup;
	v->pickup_delay = node->config.ha.pickup_delay;
	v->pickup_delay_s = node->config.ha.pickup_delay_s;
	v->pickup_connectionless = node->config.ha.pickup_connectionless;
	v->override = node->config.ha.override;
	v->uptime_ms = (uint64_t)(time(NULL) - node->started_s) * 1000;
	v->changed_s = node->changed_s;
	v->lease_ms = -1;
	v->mute_backend = "none";
	v->sync_drops = node->drops;
	view_selected(node, v);
	if (!node->runtime)
		return;
	v->neighbours = neigh_sync_learned(node->neigh);
	v->neighbours_refused = neigh_sync_refused(node->neigh);
	s = xcalloc(1, sizeof(*s));
	runtime_get(node->runtime, s);
	view_cluster(node, s, v);
	free(s);
}

static int64_t since_ms(mono_t now, mono_t then)
{
	return mono_is_zero(then) ? -1 : mono_sub(now, then) / MS(1);
}

static void view_counts(const struct sync_state *s, struct sync_view *v)
{
	const struct sync_stats *n = &s->stats;

	v->sent = (struct sync_counts){ .created = n->created_sent,
					.create_failed = n->table_full + s->pressure.shed_new,
					.updated = n->updated_sent,
					.update_failed = s->pressure.shed_refreshes,
					.deleted = n->deleted_sent,
					.delete_failed = n->deletes_discarded,
					.query = n->walks_served };
	v->store = (struct sync_counts){ .created = n->store_created,
					 .create_failed = n->table_full,
					 .updated = n->store_updated,
					 .deleted = n->store_deleted };
	v->copies = (struct sync_counts){ .created = n->inject_created,
					  .create_failed = n->inject_failed -
							   n->inject_update_failed -
							   n->inject_delete_failed,
					  .updated = n->inject_updated,
					  .update_failed = n->inject_update_failed,
					  .deleted = n->inject_deleted,
					  .delete_failed = n->inject_delete_failed };
	v->copies_retried = n->inject_retried;
	v->copies_cleared = n->inject_cleared;
	v->received = (struct sync_counts){ .created = n->created_heard,
					    .create_failed = v->copies.create_failed,
					    .updated = n->updated_heard,
					    .update_failed = v->copies.update_failed,
					    .deleted = n->deleted_heard,
					    .delete_failed = v->copies.delete_failed,
					    .query = n->walks_taken };
	v->frames_sent = n->frames_sent;
	v->frames_received = n->frames_heard;
	v->gaps = n->gaps;
	v->resends = n->resends;
	v->walks = n->walks_served + n->walks_taken;
	v->ranges = n->ranges_differing;
	v->put_back = n->put_back;
	v->dumps = n->dumps;
	v->deletes_parked = n->deletes_parked;
	v->deletes_discarded = n->deletes_discarded;
	v->offered = n->offered;
	v->merged = n->merged;
	v->merge_kept = n->merge_kept;
	v->kernel_seen = s->audit.seen;
	v->kernel_lacks = s->audit.lacks;
	v->kernel_more = s->audit.more;
	v->kernel_differs = s->audit.differs;
	v->kernel_checks = n->audits;
	v->refused_full = n->refused_full;
	v->kernel_repairs = n->audit_lacks + n->audit_more + n->audit_differs;
}

static void view_pressure(const struct sync_state *s, struct sync_pressure_view *v)
{
	static const char *const levels[] = { [PRESSURE_NONE] = "none",
					      [PRESSURE_REFRESHES] = "refreshes",
					      [PRESSURE_NEW] = "new" };
	const struct pressure *p = &s->pressure;

	v->level = levels[pressure_level(p)];
	v->socket_percent = p->fill_percent;
	v->late_ms = (uint64_t)(p->lag_ns / MS(1));
	v->is_table_full = s->is_table_full;
	v->owed = s->debt;
	v->shed_refreshes = p->shed_refreshes;
	v->shed_new = p->shed_new;
	v->table_full = s->stats.table_full;
	v->dumps = p->dumps;
}

static void view_refused(const struct node *node, const struct sync_stats *n,
			 struct sync_talk_view *v)
{
	static const uint8_t refusal_of[DROP_REASON_COUNT] = {
		[DROP_SHORT] = SYNC_REFUSED_MALFORMED,
		[DROP_MAGIC] = SYNC_REFUSED_MALFORMED,
		[DROP_TRUNCATED] = SYNC_REFUSED_MALFORMED,
		[DROP_TRAILING] = SYNC_REFUSED_MALFORMED,
		[DROP_MISSING_FIELD] = SYNC_REFUSED_MALFORMED,
		[DROP_TOO_MANY] = SYNC_REFUSED_MALFORMED,
		[DROP_TYPE] = SYNC_REFUSED_TYPE,
		[DROP_WIRE_VERSION] = SYNC_REFUSED_VERSION,
		[DROP_RANGE] = SYNC_REFUSED_VALUE,
		[DROP_GROUP] = SYNC_REFUSED_VALUE,
		[DROP_SERIAL_CLASH] = SYNC_REFUSED_STATE,
		[DROP_UNVERIFIED] = SYNC_REFUSED_STATE,
		[DROP_UNKNOWN_SENDER] = SYNC_REFUSED_STATE,
		[DROP_NOT_PRIMARY] = SYNC_REFUSED_STATE,
		[DROP_BAD_PATH] = SYNC_REFUSED_STATE,
		[DROP_SECURITY] = SYNC_REFUSED_AUTH,
		[DROP_AUTH] = SYNC_REFUSED_AUTH,
		[DROP_REPLAY] = SYNC_REFUSED_STALE,
		[DROP_STALE_TERM] = SYNC_REFUSED_STALE,
		[DROP_STALE_VERSION] = SYNC_REFUSED_STALE,
		[DROP_TABLE_FULL] = SYNC_REFUSED_MEMORY,
		[DROP_CLUSTER_FULL] = SYNC_REFUSED_MEMORY,
	};

	/* A gap is counted as lost, our own frame as nothing. */
	for (unsigned i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		if (i != DROP_GAP && i != DROP_OWN)
			v->refused[refusal_of[i]] += node->drops.n[i];
	/* Of a record; the rest of its frame was taken. */
	v->refused[SYNC_REFUSED_MEMORY] += n->drops.n[DROP_TABLE_FULL];
}

static void view_talk(const struct node *node, const struct sync_stats *n,
		      struct sync_talk_view *v)
{
	v->at_once = n->frames_at_once;
	v->on_timer = n->frames_on_timer;
	v->asks_sent = n->asks_sent;
	v->asks_heard = n->asks_heard;
	v->asks_ignored = n->asks_ignored;
	v->acks_sent = n->acks_sent;
	v->acks_failed = n->acks_failed;
	v->acks_heard = n->acks_heard;
	v->acks_refused = n->acks_refused;
	v->walks_served = n->walks_served;
	v->bulk_frames_sent = n->bulk_frames_sent;
	v->bulk_records_sent = n->bulk_records_sent;
	v->walks_taken = n->walks_taken;
	v->bulk_frames_heard = n->bulk_frames_heard;
	v->bulk_records_heard = n->bulk_records_heard;
	v->lost = n->gaps;
	v->no_link = node->tx_no_link;
	v->links_silent = node->links_silent;
	for (unsigned i = 0; i < node->port_count; i++) {
		struct l2_stats stats = l2_port_stats(node->ports[i]);

		v->frames_sent += stats.tx_frames;
		v->bytes_sent += stats.tx_bytes;
		v->send_errors += stats.tx_errors;
		v->frames_received += stats.rx_frames;
		v->bytes_received += stats.rx_bytes;
		v->receive_dropped += stats.rx_dropped;
	}
	view_refused(node, n, v);
}

static void view_probes(const struct node *node, struct sync_talk_view *v)
{
	struct runtime_state *s;

	if (!node->runtime)
		return;
	s = xcalloc(1, sizeof(*s));
	runtime_get(node->runtime, s);
	v->probes = s->cluster.stats.probes;
	v->probes_answered = s->cluster.stats.probes_answered;
	v->probes_blind = s->cluster.stats.probes_blind;
	free(s);
}

static void view_filter(const struct node *node, struct sync_view *v)
{
	for (unsigned i = FILTER_TRAVELS + 1; i < FILTER_VERDICT_COUNT; i++) {
		v->filter[v->filter_count].name = filter_name((enum filter_verdict)i);
		v->filter[v->filter_count++].count = node->filtered[i];
	}
}

static void view_kernel(const struct node *node, struct sync_view *v)
{
	struct ct_capture_stats capture = ct_capture_stats(node->capture);
	struct ct_inject_stats inject = ct_inject_stats(node->inject);

	v->events = capture.events;
	v->events_own = capture.ignored_own;
	v->events_unparsed = capture.unparsed;
	v->overruns = capture.overruns;
	v->created = inject.created;
	v->updated = inject.updated;
	v->deleted = inject.deleted;
	v->timeouts = inject.timeouts;
	v->inject_failed = inject.failed;
	if (v->is_kernel_full && ct_max() > 0)
		v->kernel_max = (uint64_t)ct_max();
}

static void get_sync(void *arg, struct sync_view *v)
{
	struct node *node = arg;
	mono_t now = loop_now(node->loop);
	struct sync_state s;

	v->nat = true;
	v->tcp = node->config.ha.pickup;
	v->others = node->config.ha.pickup && node->config.ha.pickup_connectionless;
	v->differing = -1;
	v->proven_ms = -1;
	v->kernel_ms = -1;
	v->pressure.level = "none";
	if (!node->sync)
		return;
	sync_describe(node->sync, now, &s);
	v->is_started = node->config.ha.pickup;
	v->head = s.role == SYNC_SECONDARY ? s.cursor : s.head;
	v->stored = s.sessions;
	v->young = s.young;
	v->died_young = s.stats.died_young;
	v->unacked_ms = s.oldest_unacked_ns / MS(1);
	v->proven_ms = since_ms(now, s.proven_at);
	v->waiting = s.owed;
	v->kernel_ms = since_ms(now, s.audit.at);
	v->lacking = s.lacking;
	v->is_kernel_full = s.is_kernel_full;
	/* Not known is not equal: nobody to compare with, or never proven in this term. */
	v->differing = v->proven_ms < 0 && !s.lacking ? -1 : (int64_t)s.differing;
	view_counts(&s, v);
	view_pressure(&s, &v->pressure);
	view_talk(node, &s.stats, &v->talk);
	view_probes(node, &v->talk);
	view_filter(node, v);
	view_kernel(node, v);
	v->alloc_failed = node->tx_no_link + node->tx_failed;
	v->size_errors = node->drops.n[DROP_SHORT] + node->drops.n[DROP_TRUNCATED] +
			 node->drops.n[DROP_TRAILING];
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		if (i != DROP_NONE && i != DROP_REPLAY && i != DROP_OWN)
			v->receive_errors += node->drops.n[i];
	for (unsigned i = 0; i < node->port_count; i++) {
		v->paths += l2_port_is_up(node->ports[i]);
		if (!v->mtu || l2_port_mtu(node->ports[i]) < v->mtu)
			v->mtu = (unsigned)l2_port_mtu(node->ports[i]);
	}
	for (unsigned i = 0; i < s.peer_count; i++) {
		struct sync_member_view *m = &v->members[v->member_count++];

		memcpy(m->serial, s.peers[i].serial, sizeof(m->serial));
		m->cursor = s.peers[i].cursor;
		m->is_ready = !mono_is_zero(s.peers[i].proven_at) && !s.peers[i].owed;
		m->waiting = s.peers[i].owed;
		m->is_walking = !s.peers[i].is_joined;
		m->ack_ms = since_ms(now, s.peers[i].heard_at);
		m->lacking = s.peers[i].lacking;
	}
}

/* One list being read: a dump of the kernel, with what only the store knows laid over. */
struct walk {
	struct node *node;
	struct ct_dump *dump;
	session_row_fn *row;
	session_done_fn *done;
	void *arg;
};

static void on_walk_seen(void *arg, const struct ct_seen *seen)
{
	struct walk *walk = arg;
	struct node *node = walk->node;
	struct session_row row = { .ct = seen->ct, .is_copy = seen->is_copy,
				   .expire_s = seen->ct.timeout };
	struct store_entry *entry =
		node->sync ? store_find(sync_store(node->sync), &seen->ct) : NULL;

	if (entry && !(entry->flags & ENTRY_TOMB)) {
		struct ct known;

		store_read(sync_store(node->sync), entry, &known);
		row.is_synced = entry->node.version <= sync_known_by_all(node->sync);
		if (HAS(&known, CT_START_S)) {
			row.ct.start_s = known.start_s;
			SET_HAS(&row.ct, CT_START_S);
		}
		if (seen->is_copy) {
			row.ct.status = known.status;
			row.ct.timeout = known.timeout;
			row.expire_s = known.timeout;
		}
	}
	walk->row(walk->arg, &row);
}

static void on_walk_done(void *arg, int error)
{
	struct walk *walk = arg;

	affinity_restore(&walk->node->affinity);
	walk->done(walk->arg, error);
	free(walk);
}

static int start_sessions(void *arg, session_row_fn *row, session_done_fn *done, void *done_arg,
			  void **ret_walk)
{
	struct node *node = arg;
	struct walk *walk = xcalloc(1, sizeof(*walk));
	int error;

	*walk = (struct walk){ .node = node, .row = row, .done = done, .arg = done_arg };
	affinity_avoid(&node->affinity, node->runtime ? runtime_cpu(node->runtime) : -1);
	error = ct_dump_start(node->loop, node->config.ha.copy_mark_bit, on_walk_seen, on_walk_done,
			      walk, &walk->dump);
	if (error) {
		affinity_restore(&node->affinity);
		free(walk);
		return error;
	}
	*ret_walk = walk;
	return 0;
}

static void cancel_sessions(void *arg, void *walk_arg)
{
	struct walk *walk = walk_arg;

	(void)arg;
	ct_dump_cancel(walk->dump);
	affinity_restore(&walk->node->affinity);
	free(walk);
}

static void pause_sessions(void *arg, void *walk, bool is_paused)
{
	(void)arg;
	ct_dump_pause(((struct walk *)walk)->dump, is_paused);
}

static bool check_kernel(void *arg)
{
	struct node *node = arg;

	if (!node->sync || !node->config.ha.pickup)
		return false;
	sync_check_kernel(node->sync);
	timer_set(node->sync_timer, loop_now(node->loop));
	return true;
}

static int force_failover(void *arg, bool is_forced, char *ret_why, size_t size)
{
	struct node *node = arg;

	if (!node->runtime) {
		snprintf(ret_why, size, "this gateway is standalone: set mode a-p in config system ha first");
		return -ENOTSUP;
	}
	if (is_forced && node->state != MEMBER_WORK) {
		snprintf(ret_why, size, "this is not the primary: run it on %s",
			 node->primary[0] ? node->primary : "the primary, when there is one");
		return -EPERM;
	}
	node->is_forced = is_forced;
	runtime_force(node->runtime, is_forced);
	return 0;
}

static int apply(void *arg, const char *text, size_t len, struct config_error *ret_error)
{
	struct node *node = arg;
	struct config *config = xcalloc(1, sizeof(*config));
	int error;

	*config = node->config;
	error = config_parse(config, "command", text, len, ret_error);
	if (!error) {
		error = node_apply(node, config);
		if (error)
			snprintf(ret_error->text, sizeof(ret_error->text),
				 "not put into effect: %s", strerror(-error));
	}
	free(config);
	return error;
}

const struct control_ops node_control_ops = {
	.get_ha = get_ha,
	.get_sync = get_sync,
	.get_event = get_event,
	.get_epoch_s = get_epoch_s,
	.get_session_count = get_session_count,
	.start_sessions = start_sessions,
	.cancel_sessions = cancel_sessions,
	.pause_sessions = pause_sessions,
	.check_kernel = check_kernel,
	.force_failover = force_failover,
	.get_config = get_config,
	.apply = apply,
};
