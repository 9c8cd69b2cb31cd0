/* fake_node.h: a daemon of two members that never changes, for tests and fuzzing of the control
 * room */
#ifndef FK_CONTROL_FAKE_NODE_H
#define FK_CONTROL_FAKE_NODE_H

#include "control/control.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct fake_node {
	struct config config;
	enum member_state state;
	bool has_primary;
	bool has_lost; /* the other member is dead */
	bool is_standalone;
	bool is_forced;
	bool has_twin; /* another member uses our serial */
	unsigned sessions; /* rows of a list beyond the few that differ */
	unsigned given;    /* rows given so far */
	bool is_paused;
	bool is_walking;
	unsigned cancels, pauses;
	session_row_fn *row;
	session_done_fn *done;
	void *arg;
};

static const char *const fake_serials[] = {"SN0000000000002", "SN0000000000001"};

static void fake_get_ha(void *node, struct ha_view *v)
{
	struct fake_node *fake = node;

	if (fake->is_standalone)
		return;
	v->mode = HA_ACTIVE_PASSIVE;
	snprintf(v->group_name, sizeof(v->group_name), "lab");
	v->group_id = 7;
	v->state = fake->state;
	if (fake->has_primary)
		snprintf(v->primary, sizeof(v->primary), "%s",
			 fake_serials[fake->state == MEMBER_WORK ? 0 : 1]);
	v->uptime_ms = 93784000;
	v->changed_s = 1893553445;
	v->pickup = true;
	v->is_forced = fake->is_forced;
	v->is_warning[HA_WARN_FORCED] = fake->is_forced;
	v->is_warning[HA_WARN_SERIAL_CLASH] = fake->has_twin;
	if (fake->has_twin) {
		v->twin = (struct ha_twin_view){.hostname = "fw-c", .incarnation = 0xabcdef,
						.mac = {{2, 0, 0, 0, 0, 0x2a}}, .port = "port3"};
		snprintf(v->twin.text, sizeof(v->twin.text),
			 "serial %s is used by both %s and %s", fake_serials[0],
			 fake->config.global.hostname, v->twin.hostname);
	}
	v->term = 12;
	v->announced = 10;
	v->neighbours = 3;
	v->neighbours_refused = 1;
	v->lease_ms = fake->state == MEMBER_WORK ? 900 : -1;
	v->mute_backend = "bpf";
	v->takeovers = 2;
	v->probes = 1;
	v->hb_sent = 51672;
	v->hb_heard = 51670;
	v->hb_bytes = 21448344;
	v->hb_drops.n[DROP_NONE] = 51670;
	v->hb_drops.n[DROP_AUTH] = 3;
	v->sync_drops.n[DROP_NONE] = 1400;
	v->sync_drops.n[DROP_GAP] = 1;
	v->selected_count = 1;
	v->selected[0].when_s = 1893553445;
	snprintf(
		v->selected[0].text, HA_EVENT_TEXT,
		"SN0000000000002 is selected as the primary because its uptime is larger than peer "
		"member SN0000000000001.");
	v->member_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct ha_member_view *m = &v->members[i];

		snprintf(m->serial, sizeof(m->serial), "%s", fake_serials[i]);
		snprintf(m->hostname, sizeof(m->hostname), "%s",
			 i ? "fw-b" : fake->config.global.hostname);
		m->is_local = i == 0;
		m->is_living = i == 0 || !fake->has_lost;
		m->lost_s = m->is_living ? -1 : 1893553505;
		m->state = i == 0 ? fake->state : MEMBER_STANDBY;
		m->in_sync = true;
		m->priority = (uint8_t)(200 - 100 * i);
		m->age_ms = 1000000 - i * 500000;
		m->sessions = 42 - 2 * i;
		m->heard_ms = i ? 120 : 0;
	}
	v->members[0].has_usage = true;
	v->members[0].usage = (struct ha_usage_view){1, 0, 0, 99, 40};
	v->members[0].hbdev_count = 1;
	v->members[0].hbdev[0] =
		(struct ha_link_view){"port3", true, 10000, 1, 2, 0, 0, 3, 4, 0, 0};
	v->members[0].mondev_count = 1;
	v->members[0].mondev[0] = (struct ha_link_view){"port1", true, -1, 5, 6, 0, 0, 7, 8, 0, 0};
}

static void fake_get_sync(void *node, struct sync_view *v)
{
	(void)node;
	v->is_started = v->tcp = v->nat = true;
	v->head = 4711;
	v->stored = 42;
	v->unacked_ms = 1;
	v->proven_ms = 30;
	v->kernel_ms = 12000;
	v->kernel_seen = 42;
	v->kernel_more = 1;
	v->kernel_checks = 7;
	v->kernel_repairs = 1;
	v->pressure = (struct sync_pressure_view){.level = "refreshes", .socket_percent = 61, .owed = 3,
						  .late_ms = 12, .shed_refreshes = 240,
						  .shed_new = 5, .table_full = 1, .dumps = 2};
	v->sent = (struct sync_counts){12, 0, 7, 0, 3, 0, 0};
	v->store = (struct sync_counts){.created = 21, .updated = 22, .deleted = 23,
					.create_failed = 1};
	v->copies = (struct sync_counts){14, 1, 2, 3, 4, 5, 0};
	v->copies_retried = 6;
	v->copies_cleared = 7;
	v->talk = (struct sync_talk_view){
		.frames_sent = 31, .bytes_sent = 3100, .frames_received = 32,
		.bytes_received = 3200, .no_link = 33, .send_errors = 34,
		.receive_dropped = 35, .at_once = 36,
		.on_timer = 37, .asks_sent = 38, .asks_heard = 39, .asks_ignored = 40,
		.acks_sent = 41, .acks_failed = 42, .acks_heard = 43, .acks_refused = 44,
		.walks_served = 45, .bulk_frames_sent = 46, .bulk_records_sent = 47,
		.walks_taken = 48, .bulk_frames_heard = 49, .bulk_records_heard = 50, .lost = 51,
		.refused = {52, 53, 54, 55, 56, 57, 58, 59}, .links_silent = 60, .probes = 61,
		.probes_answered = 62, .probes_blind = 63};
	v->received = (struct sync_counts){14, 1, 2, 0, 1, 0, 0};
	v->frames_sent = 20;
	v->paths = 1;
	v->mtu = 1500;
	v->member_count = 1;
	snprintf(v->members[0].serial, sizeof(v->members[0].serial), "%s", fake_serials[1]);
	v->members[0].cursor = 4710;
	v->members[0].is_ready = true;
	v->members[0].ack_ms = 4;
	v->filter_count = 2;
	v->filter[0] = (struct named_count){"local", 9};
	v->filter[1] = (struct named_count){"multicast", 0};
	v->events = 100;
	v->created = 14;
}

static bool fake_get_event(void *node, unsigned back, struct ha_event *ret_event)
{
	(void)node;
	if (back >= 2)
		return false;
	ret_event->when_s = 1893553445 - 60 * (int64_t)back;
	snprintf(ret_event->text, sizeof(ret_event->text),
		 back ? "SN0000000000002 is selected as the primary because it's the only member "
			"in the "
			"cluster."
		      : "link port1 is up");
	return true;
}

static int64_t fake_get_epoch_s(void *node)
{
	(void)node;
	return 1893553500;
}

static int64_t fake_get_session_count(void *node)
{
	return 5 + ((struct fake_node *)node)->sessions;
}

static void fake_addr(struct ipaddr *addr, const char *text)
{
	ipaddr_parse(text, addr);
}

/* The n-th session: plain, source NAT, destination NAT, both, ICMP; IPv6 copies after that. */
static void fake_row(unsigned n, struct session_row *row)
{
	struct ct *ct = &row->ct;

	memset(row, 0, sizeof(*row));
	ct->l3 = AF_INET;
	ct->l4 = n == 4 ? 1 : n % 2 ? 17 : 6;
	fake_addr(&ct->src, "192.0.2.10");
	fake_addr(&ct->dst, "198.51.100.7");
	ct->sport = (uint16_t)(40000 + n);
	ct->dport = n == 4 ? 8 << 8 : 443;
	ct->status = IPS_SEEN_REPLY | IPS_ASSURED;
	ct->tcp_state = 3;
	ct->timeout = 3600;
	ct->start_s = 1893553458;
	SET_HAS(ct, CT_START_S);
	row->expire_s = 3597;
	row->is_synced = true;
	if (n == 1 || n == 3) {
		fake_addr(&ct->rdst, "203.0.113.1");
		ct->rdport = 61000;
		SET_HAS(ct, CT_RDST);
		SET_HAS(ct, CT_RDPORT);
	}
	if (n == 2 || n == 3) {
		fake_addr(&ct->rsrc, "10.1.0.80");
		ct->rsport = 8443;
		SET_HAS(ct, CT_RSRC);
		SET_HAS(ct, CT_RSPORT);
		snprintf(ct->helper, sizeof(ct->helper), "ftp");
		row->has_counters = true;
		row->bytes[0] = 1200;
		row->packets[0] = 10;
	}
	if (n > 4) {
		ct->l3 = AF_INET6;
		fake_addr(&ct->src, "2001:db8:1::10");
		fake_addr(&ct->dst, "2001:db8:2::7");
		row->is_copy = true;
	}
}

static int fake_start_sessions(void *node, session_row_fn *row, session_done_fn *done, void *arg,
			       void **ret_walk)
{
	struct fake_node *fake = node;

	if (fake->is_walking)
		return -EBUSY;
	fake->is_walking = true;
	fake->is_paused = false;
	fake->given = 0;
	fake->row = row;
	fake->done = done;
	fake->arg = arg;
	*ret_walk = fake;
	return 0;
}

/* Up to `most` rows, and the end after the last. */
static inline void fake_walk(struct fake_node *fake, unsigned most)
{
	struct session_row row;

	for (; fake->is_walking && most > 0 && !fake->is_paused; most--) {
		if (fake->given == 5 + fake->sessions) {
			fake->is_walking = false;
			fake->done(fake->arg, 0);
			return;
		}
		fake_row(fake->given++, &row);
		fake->row(fake->arg, &row);
	}
}

static void fake_cancel_sessions(void *node, void *walk)
{
	struct fake_node *fake = node;

	(void)walk;
	fake->is_walking = false;
	fake->cancels++;
}

static void fake_pause_sessions(void *node, void *walk, bool is_paused)
{
	struct fake_node *fake = node;

	(void)walk;
	fake->is_paused = is_paused;
	fake->pauses += is_paused;
}

static bool fake_check_kernel(void *node)
{
	(void)node;
	return true;
}

static int fake_force_failover(void *node, bool is_forced, char *ret_why, size_t size)
{
	struct fake_node *fake = node;

	if (is_forced && fake->has_lost) {
		snprintf(ret_why, size, "no other member could take over");
		return -EBUSY;
	}
	fake->is_forced = is_forced;
	return 0;
}

static const struct config *fake_get_config(void *node)
{
	return &((struct fake_node *)node)->config;
}

static int fake_apply(void *node, const char *text, size_t len, struct config_error *ret_error)
{
	return config_parse(&((struct fake_node *)node)->config, "command", text, len, ret_error);
}

static const struct control_ops fake_ops = {
	.get_ha = fake_get_ha,
	.get_sync = fake_get_sync,
	.get_event = fake_get_event,
	.get_epoch_s = fake_get_epoch_s,
	.get_session_count = fake_get_session_count,
	.start_sessions = fake_start_sessions,
	.cancel_sessions = fake_cancel_sessions,
	.pause_sessions = fake_pause_sessions,
	.check_kernel = fake_check_kernel,
	.force_failover = fake_force_failover,
	.get_config = fake_get_config,
	.apply = fake_apply,
};

static inline void fake_init(struct fake_node *fake)
{
	memset(fake, 0, sizeof(*fake));
	config_init(&fake->config);
	snprintf(fake->config.global.hostname, sizeof(fake->config.global.hostname), "fw-a");
	fake->state = MEMBER_WORK;
	fake->has_primary = true;
}

#endif
