/* show_ha_diagnose.c: diagnose sys ha status | drops | history read */
#include "control/commands.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

static const char *role_of(const struct ha_view *view, const struct ha_member_view *m)
{
	return *view->primary && strcmp(view->primary, m->serial) == 0 ? "Primary" : "Secondary";
}

static const char *local_state(const struct ha_view *view)
{
	static const char *const names[] = {"hello", "standby", "work"};

	return names[view->state];
}

static void show_statistics(struct render *r, const struct ha_view *v)
{
	bool is_cluster = v->mode != HA_STANDALONE;

	RENDER(r,
	       "HA information\nStatistics\n"
	       "        traffic.local = s:0 p:{hb_sent} b:{hb_bytes}\n"
	       "        traffic.total = s:0 p:{packets} b:{hb_bytes}\n"
	       "        activity.ha_id_changes = {takeovers}\n"
	       "        activity.fdb  = c:0 q:0\n\n"
	       "Model=Flowkeep, Mode={mode} Group={group_id} Debug=0\n"
	       "nvcluster=1, ses_pickup={session_pickup}, delay={delay_s}\n\n",
	       V_NUMBER("hb_sent", v->hb_sent), V_NUMBER("hb_heard", v->hb_heard),
	       V_NUMBER(".packets", v->hb_sent + v->hb_heard), V_NUMBER("hb_bytes", v->hb_bytes),
	       V_NUMBER("takeovers", v->takeovers), V_NUMBER("mode", is_cluster ? 2 : 0),
	       V_NUMBER("group_id", v->group_id), V_FLAG("session_pickup", v->pickup),
	       V_NUMBER("delay_s", v->pickup && v->pickup_delay ? v->pickup_delay_s : 0));
}

static void show_members(struct render *r, const struct ha_view *v)
{
	bool is_local_primary = v->state == MEMBER_WORK;

	RENDER(r,
	       "[Debug_Zone HA information]\n"
	       "HA group member information: is_manage_primary={is_primary}.\n",
	       V_FLAG("is_primary", is_local_primary));
	render_list(r, "members");
	for (unsigned i = 0; i < v->member_count; i++) {
		const struct ha_member_view *m = &v->members[i];

		if (!m->is_living)
			continue;
		render_object(r, NULL);
		RENDER(r,
		       "{serial}: {role:12}, serialno_prio={index}, usr_priority={priority}, "
		       "hostname={hostname}\n",
		       V_TEXT("serial", m->serial), V_TEXT("role", role_of(v, m)),
		       V_NUMBER("index", ha_cluster_index(v, i)), V_NUMBER("priority", m->priority),
		       V_TEXT("hostname", m->hostname), V_NUMBER("failures", m->failures),
		       V_NUMBER("age_ms", m->age_ms), V_SIGNED("heard_ms", m->heard_ms),
		       V_FLAG("in_sync", m->in_sync));
		render_close(r);
	}
	render_close(r);
}

/* What the kernel was told, in the layout's place for it. */
static void show_kernel(struct render *r, const struct ha_view *v)
{
	unsigned next = *v->primary ? 1 : 0;

	RENDER(r,
	       "\n[Kernel HA information]\nvcluster 1, state={state}, primary={primary}, "
	       "primary_id=0:\n",
	       V_TEXT("state", local_state(v)), V_TEXT_OR_NONE("primary", v->primary));
	for (unsigned i = 0; i < v->member_count; i++) {
		const struct ha_member_view *m = &v->members[i];
		bool leads = strcmp(v->primary, m->serial) == 0;

		if (m->is_living)
			RENDER(r, "{serial}: {role:12}, ha_prio/o_ha_prio={prio}/{prio}\n",
			       V_TEXT(".serial", m->serial), V_TEXT(".role", role_of(v, m)),
			       V_NUMBER(".prio", leads ? 0 : next++));
	}
}

static void show_lease(struct render *r, const struct ha_view *v)
{
	RENDER(r, "\n[Flowkeep]\nterm={term}, mute={mute}, ", V_NUMBER("term", v->term),
	       V_TEXT("mute", v->mute_backend ? v->mute_backend : "none"),
	       V_FLAG("lease_unbounded", v->is_lease_unbounded));
	if (v->is_lease_unbounded)
		RENDER(r, "lease=unbounded\n", V_NONE("lease_ms"));
	else if (v->lease_ms < 0)
		RENDER(r, "lease=none\n", V_NONE("lease_ms"));
	else
		RENDER(r, "lease={lease_ms} ms\n", V_SIGNED("lease_ms", v->lease_ms));
	RENDER(r,
	       "takeovers={takeovers}, stalls={stalls}, resumes={resumes}, resigns={resigns}\n"
	       "probes={probes}, answered={probes_answered}\n"
	       "failover={failover}\n",
	       V_NUMBER(".takeovers", v->takeovers), V_NUMBER("stalls", v->stalls),
	       V_NUMBER("resumes", v->resumes), V_NUMBER("resigns", v->resigns),
	       V_NUMBER("probes", v->probes), V_NUMBER("probes_answered", v->probes_answered),
	       V_FLAG("forced", v->is_forced), V_TEXT(".failover", v->is_forced ? "set" : "unset"));
	RENDER(r,
	       "announcements={announcements}\n"
	       "neighbours={neighbours}, refused={neighbours_refused}\n",
	       V_NUMBER("announcements", v->announced), V_NUMBER("neighbours", v->neighbours),
	       V_NUMBER("neighbours_refused", v->neighbours_refused));
}

static void show_errors(struct render *r, const struct ha_view *v)
{
	render_list(r, "errors");
	if (v->is_warning[HA_WARN_SERIAL_CLASH]) {
		render_object(r, NULL);
		show_ha_twin(r, "ERROR: {text}\n", v);
		render_close(r);
	}
	render_close(r);
}

enum control_exit show_ha_diagnose(struct command_call *call)
{
	struct ha_view *view = xcalloc(1, sizeof(*view));

	call->ops->get_ha(call->node, view);
	render_object(&call->render, NULL);
	show_statistics(&call->render, view);
	show_members(&call->render, view);
	show_kernel(&call->render, view);
	show_lease(&call->render, view);
	show_errors(&call->render, view);
	render_close(&call->render);
	free(view);
	return CONTROL_DONE;
}

/* People see the reasons that happened, programs see all of them. */
static void show_plane(struct render *r, const char *name, const char *title,
		       const struct drop_counts *counts)
{
	uint64_t sum = 0;

	for (unsigned i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		sum += counts->n[i];
	render_object(r, name);
	RENDER(r, "{title}: {accepted} accepted, {refused} refused\n", V_TEXT(".title", title),
	       V_NUMBER("accepted", counts->n[DROP_NONE]), V_NUMBER("refused", sum));
	render_object(r, "reasons");
	for (unsigned i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		RENDER(r, counts->n[i] ? "    {name:-15} {count:10}  {text}\n" : "",
		       V_TEXT(".name", drop_name((enum drop_reason)i)),
		       V_NUMBER(".count", counts->n[i]),
		       V_TEXT(".text", drop_text((enum drop_reason)i)),
		       V_NUMBER(drop_name((enum drop_reason)i), counts->n[i]));
	render_close(r);
	render_close(r);
}

enum control_exit show_ha_drops(struct command_call *call)
{
	struct ha_view *view = xcalloc(1, sizeof(*view));

	call->ops->get_ha(call->node, view);
	render_object(&call->render, NULL);
	show_plane(&call->render, "heartbeat", "heartbeat", &view->hb_drops);
	show_plane(&call->render, "session_sync", "session sync", &view->sync_drops);
	render_close(&call->render);
	free(view);
	return CONTROL_DONE;
}

enum { HISTORY_MAX = 512 }; /* fortios-facts 1.6 */

enum control_exit show_ha_history(struct command_call *call)
{
	struct render *r = &call->render;
	struct ha_event event;
	char date[DATE_STRLEN];

	render_object(r, NULL);
	render_list(r, "history");
	for (unsigned i = 0; i < HISTORY_MAX && call->ops->get_event(call->node, i, &event); i++) {
		render_object(r, NULL);
		RENDER(r, "<{date}> {text}\n", V_SIGNED("when_s", event.when_s),
		       V_TEXT(".date", format_date(event.when_s, '/', date)),
		       V_TEXT("text", event.text));
		render_close(r);
	}
	render_close(r);
	render_close(r);
	return CONTROL_DONE;
}
