/* show_ha.c: get system ha status (layout: fortios-facts 4.11) */
#include "control/commands.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *format_date(int64_t epoch_s, char separator, char out[DATE_STRLEN])
{
	time_t at = (time_t)epoch_s;
	struct tm tm;

	if (epoch_s < 0 || !localtime_r(&at, &tm) || tm.tm_year > 8099) {
		snprintf(out, DATE_STRLEN, "N/A");
		return out;
	}
	snprintf(out, DATE_STRLEN, "%04u%c%02u%c%02u %02u:%02u:%02u",
		 (unsigned)tm.tm_year % 10000 + 1900u, separator, (unsigned)(tm.tm_mon + 1) % 100,
		 separator, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return out;
}

unsigned ha_cluster_index(const struct ha_view *view, unsigned member)
{
	unsigned index = 0;

	for (unsigned i = 0; i < view->member_count; i++)
		if (view->members[i].is_living &&
		    strcmp(view->members[i].serial, view->members[member].serial) > 0)
			index++;
	return index;
}

static bool is_primary(const struct ha_view *view, const struct ha_member_view *member)
{
	return *view->primary && strcmp(view->primary, member->serial) == 0;
}

const char *ha_primary_hostname(const struct ha_view *view)
{
	for (unsigned i = 0; i < view->member_count; i++)
		if (is_primary(view, &view->members[i]))
			return view->members[i].hostname;
	return "";
}

static const char *state_name(enum member_state state)
{
	static const char *const names[] = {"hello", "standby", "work"};

	return names[state];
}

static bool has_link_down(const struct ha_link_view *links, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!links[i].is_up)
			return true;
	return false;
}

static const char *const warning_names[] = {
#define X(id, name, text) name,
	HA_WARNINGS(X)
#undef X
};

static const char *const warning_texts[] = {
#define X(id, name, text) text,
	HA_WARNINGS(X)
#undef X
};

void show_ha_twin(struct render *r, const char *layout, const struct ha_view *view)
{
	const struct ha_twin_view *twin = &view->twin;
	char incarnation[17], mac[MAC_STRLEN];

	snprintf(incarnation, sizeof(incarnation), "%016llx",
		 (unsigned long long)twin->incarnation);
	RENDER(r, layout, V_TEXT("name", warning_names[HA_WARN_SERIAL_CLASH]),
	       V_TEXT("text", twin->text), V_TEXT("serial", view->members[0].serial),
	       V_TEXT("hostname", view->members[0].hostname),
	       V_TEXT_OR_NONE("other_hostname", twin->hostname),
	       V_TEXT("other_incarnation", incarnation),
	       V_TEXT("other_mac", mac_format(&twin->mac, mac)), V_TEXT("interface", twin->port));
}

static void show_warnings(struct render *r, const struct ha_view *view)
{
	char text[200];

	for (unsigned i = 0; i < HA_WARN_COUNT; i++) {
		if (!view->is_warning[i])
			continue;
		if (i == HA_WARN_SERIAL_CLASH) {
			render_object(r, NULL);
			show_ha_twin(r, "    ERROR: {text};\n", view);
			render_close(r);
			continue;
		}
		if (i == HA_WARN_UNKNOWN_GATEWAY && *view->answered_by)
			snprintf(text, sizeof(text), "%s: %s", warning_texts[i], view->answered_by);
		else
			snprintf(text, sizeof(text), "%s", warning_texts[i]);
		render_object(r, NULL);
		RENDER(r, "    WARNING: {text};\n", V_TEXT("name", warning_names[i]),
		       V_TEXT("text", text));
		render_close(r);
	}
}

static void show_health(struct render *r, const struct ha_view *view)
{
	bool is_ok = true;
	char date[DATE_STRLEN], text[80];

	for (unsigned i = 0; i < HA_WARN_COUNT; i++)
		is_ok = is_ok && !view->is_warning[i];
	for (unsigned i = 0; i < view->member_count; i++) {
		const struct ha_member_view *m = &view->members[i];

		is_ok = is_ok && m->is_living && m->failures == 0 &&
			!has_link_down(m->mondev, m->mondev_count);
	}
	RENDER(r, is_ok ? "HA Health Status: OK\n" : "HA Health Status:\n",
	       V_FLAG("healthy", is_ok));
	render_list(r, "warnings");
	for (unsigned i = 0; i < view->member_count; i++) {
		const struct ha_member_view *m = &view->members[i];

		if (!m->is_living) {
			snprintf(text, sizeof(text), "%s is lost @ %s", m->serial,
				 format_date(m->lost_s, '/', date));
			render_object(r, NULL);
			RENDER(r, "    ERROR {text}\n", V_TEXT("name", "lost"),
			       V_TEXT("text", text));
			render_close(r);
		} else if (m->failures > 0 || has_link_down(m->mondev, m->mondev_count)) {
			snprintf(text, sizeof(text), "%s has mondev down", m->serial);
			render_object(r, NULL);
			RENDER(r, "    WARNING: {text};\n", V_TEXT("name", "mondev_down"),
			       V_TEXT("text", text));
			render_close(r);
		}
	}
	show_warnings(r, view);
	render_close(r);
}

static void show_head(struct render *r, const struct ha_view *view)
{
	uint64_t s = view->uptime_ms / 1000;
	char date[DATE_STRLEN];

	RENDER(r,
	       "Model: {model}\nMode: {mode}\nGroup Name: {group_name}\nGroup ID: "
	       "{group_id}\nDebug: 0\n",
	       V_TEXT("model", "Flowkeep"),
	       V_TEXT("mode", view->mode == HA_STANDALONE ? "Standalone" : "HA A-P"),
	       V_TEXT("group_name", view->group_name), V_NUMBER("group_id", view->group_id));
	RENDER(r, "Cluster Uptime: {days} days {hours}:{minutes}:{seconds}\n",
	       V_NUMBER("uptime_ms", view->uptime_ms), V_NUMBER(".days", s / 86400),
	       V_NUMBER(".hours", s / 3600 % 24), V_NUMBER(".minutes", s / 60 % 60),
	       V_NUMBER(".seconds", s % 60));
	RENDER(r, "Cluster state change time: {date}\n", V_KNOWN("changed_s", view->changed_s),
	       V_TEXT(".date", format_date(view->changed_s, '-', date)));
	render_say(r, "Primary selected using:\n");
	render_list(r, "selected");
	for (unsigned i = 0; i < view->selected_count; i++) {
		render_object(r, NULL);
		RENDER(r, "    <{date}> vcluster-1: {text}\n",
		       V_SIGNED("when_s", view->selected[i].when_s),
		       V_TEXT(".date", format_date(view->selected[i].when_s, '/', date)),
		       V_TEXT("text", view->selected[i].text));
		render_close(r);
	}
	render_close(r);
	RENDER(r,
	       view->pickup ? "ses_pickup: {session_pickup:e}, ses_pickup_delay={session_pickup_delay:e}\n"
			    : "ses_pickup: {session_pickup:e}\n",
	       V_FLAG("session_pickup", view->pickup),
	       V_FLAG("session_pickup_delay", view->pickup && view->pickup_delay),
	       V_FLAG("session_pickup_connectionless", view->pickup_connectionless));
	RENDER(r, "override: {override:e}\n", V_FLAG("override", view->override));
}

static void show_configuration(struct render *r, const struct ha_view *view)
{
	render_say(r, "Configuration Status:\n");
	for (unsigned i = 0; i < view->member_count; i++) {
		const struct ha_member_view *m = &view->members[i];

		if (m->is_living)
			RENDER(r, "    {serial}(updated {seconds} seconds ago): {sync}\n",
			       V_TEXT(".serial", m->serial),
			       V_SIGNED(".seconds", m->heard_ms / 1000),
			       V_TEXT(".sync", m->has_other_table ? "out-of-sync" : "in-sync"));
	}
}

static void show_usage(struct render *r, const struct ha_view *view)
{
	render_say(r, "System Usage stats:\n");
	for (unsigned i = 0; i < view->member_count; i++) {
		const struct ha_member_view *m = &view->members[i];

		if (!m->is_living)
			continue;
		RENDER(r,
		       "    {serial}(updated {seconds} seconds ago):\n        sessions={sessions}",
		       V_TEXT(".serial", m->serial), V_SIGNED(".seconds", m->heard_ms / 1000),
		       V_NUMBER(".sessions", m->sessions));
		if (m->has_usage)
			RENDER(r,
			       ", "
			       "average-cpu-user/nice/system/idle={user}%/{nice}%/{system}%/"
			       "{idle}%, "
			       "memory={memory}%",
			       V_NUMBER(".user", m->usage.cpu_user),
			       V_NUMBER(".nice", m->usage.cpu_nice),
			       V_NUMBER(".system", m->usage.cpu_system),
			       V_NUMBER(".idle", m->usage.cpu_idle),
			       V_NUMBER(".memory", m->usage.memory));
		render_say(r, "\n");
	}
}

static void show_links(struct render *r, const char *name, const struct ha_member_view *m,
		       const struct ha_link_view *links, unsigned count)
{
	char speed[24];

	render_list(r, name);
	if (count > 0)
		RENDER(r, "    {serial}(updated {seconds} seconds ago):\n",
		       V_TEXT(".serial", m->serial), V_SIGNED(".seconds", m->heard_ms / 1000));
	for (unsigned i = 0; i < count; i++) {
		const struct ha_link_view *l = &links[i];

		if (l->speed_mbps >= 0)
			snprintf(speed, sizeof(speed), "%dfull", l->speed_mbps);
		else
			snprintf(speed, sizeof(speed), "unknown");
		render_object(r, NULL);
		RENDER(r,
		       "        {name}: physical/{speed}, {link}, "
		       "rx-bytes/packets/dropped/errors={rx_bytes}/{rx_packets}/{rx_dropped}/"
		       "{rx_errors}, "
		       "tx={tx_bytes}/{tx_packets}/{tx_dropped}/{tx_errors}\n",
		       V_TEXT("name", l->name), V_TEXT(".speed", speed),
		       V_KNOWN("speed_mbps", l->speed_mbps),
		       V_TEXT(".link", l->is_up ? "up" : "down"), V_FLAG("up", l->is_up),
		       V_NUMBER("rx_bytes", l->rx_bytes), V_NUMBER("rx_packets", l->rx_packets),
		       V_NUMBER("rx_dropped", l->rx_dropped), V_NUMBER("rx_errors", l->rx_errors),
		       V_NUMBER("tx_bytes", l->tx_bytes), V_NUMBER("tx_packets", l->tx_packets),
		       V_NUMBER("tx_dropped", l->tx_dropped), V_NUMBER("tx_errors", l->tx_errors));
		render_close(r);
	}
	render_close(r);
}

static void show_member(struct render *r, const struct ha_view *view, unsigned i)
{
	const struct ha_member_view *m = &view->members[i];
	bool leads = is_primary(view, m);

	render_object(r, NULL);
	/* The dead are told of under health; people expect only the living here. */
	RENDER(r,
	       !m->is_living ? ""
	       : leads ? "Primary     : {hostname:-16}, {serial}, HA cluster index = {index}\n"
		       : "Secondary   : {hostname:-16}, {serial}, HA cluster index = {index}\n",
	       V_TEXT("serial", m->serial), V_TEXT("hostname", m->hostname),
	       V_TEXT("role", leads ? "primary" : "secondary"),
	       V_TEXT("state", state_name(m->state)), V_FLAG("local", m->is_local),
	       V_FLAG("living", m->is_living), V_FLAG("in_sync", m->in_sync),
	       V_NUMBER("index", ha_cluster_index(view, i)), V_NUMBER("priority", m->priority),
	       V_FLAG("override", m->override), V_NUMBER("age_ms", m->age_ms),
	       V_NUMBER("failures", m->failures), V_NUMBER("sessions", m->sessions),
	       V_SIGNED("heard_ms", m->heard_ms), V_KNOWN("lost_s", m->lost_s));
	render_close(r);
}

static void show_members(struct render *r, const struct ha_view *view)
{
	const char *hostname = ha_primary_hostname(view);
	bool has_primary = false;

	/* The primary first, so that the one line scripts look for has a place. */
	render_list(r, "members");
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < view->member_count; i++)
			if (is_primary(view, &view->members[i]) == (pass == 0)) {
				show_member(r, view, i);
				has_primary =
					has_primary || (pass == 0 && view->members[i].is_living);
			}
	render_close(r);
	/* Known by hearsay only, or just fallen silent. */
	if (*view->primary && !has_primary)
		RENDER(r, "Primary     : {hostname:-16}, {serial}, HA cluster index = 0\n",
		       V_TEXT(".hostname", *hostname ? hostname : "-"),
		       V_TEXT(".serial", view->primary));
}

static void show_tail(struct render *r, const struct ha_view *view)
{
	unsigned operating = *view->primary ? 1 : 0;

	RENDER(r, "number of vcluster: 1\nvcluster 1: {state} {primary}\n",
	       V_TEXT(".state", state_name(view->state)), V_TEXT_OR_NONE("primary", view->primary));
	if (*view->primary)
		RENDER(r, "Primary: {serial}, HA operating index = 0\n",
		       V_TEXT(".serial", view->primary));
	for (unsigned i = 0; i < view->member_count; i++)
		if (view->members[i].is_living && !is_primary(view, &view->members[i]))
			RENDER(r, "Secondary: {serial}, HA operating index = {index}\n",
			       V_TEXT(".serial", view->members[i].serial),
			       V_NUMBER(".index", operating++));
}

static void show_local(struct render *r, const struct ha_view *view)
{
	const struct ha_member_view *m = &view->members[0];

	render_object(r, "local");
	RENDER(r, "", V_TEXT("serial", m->serial), V_TEXT("hostname", m->hostname),
	       V_TEXT("role", is_primary(view, m) ? "primary" : "secondary"),
	       V_TEXT("state", state_name(view->state)));
	/* Ours alone: the other members do not tell their counters. */
	render_say(r, "HBDEV stats:\n");
	show_links(r, "hbdev", m, m->hbdev, m->hbdev_count);
	render_say(r, "MONDEV stats:\n");
	show_links(r, "mondev", m, m->mondev, m->mondev_count);
	render_close(r);
}

/* Without a cluster there are no members, but still a name for prompts and scripts. */
static void name_standalone(struct ha_view *view, const struct config *config)
{
	struct ha_member_view *m = &view->members[0];

	if (view->member_count > 0)
		return;
	memcpy(m->hostname, config->global.hostname, sizeof(m->hostname));
	memcpy(m->serial, config->global.serial, sizeof(m->serial));
}

enum control_exit show_ha_status(struct command_call *call)
{
	struct render *r = &call->render;
	struct ha_view *view = xcalloc(1, sizeof(*view));

	call->ops->get_ha(call->node, view);
	name_standalone(view, call->ops->get_config(call->node));
	render_object(r, NULL);
	show_health(r, view);
	show_head(r, view);
	show_configuration(r, view);
	show_usage(r, view);
	show_local(r, view);
	show_members(r, view);
	show_tail(r, view);
	render_close(r);
	free(view);
	return CONTROL_DONE;
}
