/* show_sync.c: diagnose sys session sync (layout: fortios-facts 4.8, then our own lines) */
#include "control/commands.h"
#include "base/xalloc.h"

#include <stdlib.h>

static void show_counts(struct render *r, const char *name, const struct sync_counts *c)
{
	render_object(r, name);
	RENDER(r,
	       "{name}: create={created}:{create_failed}, update={updated}, "
	       "delete={deleted}:{delete_failed}, query={query}\n",
	       V_TEXT(".name", name), V_NUMBER("created", c->created),
	       V_NUMBER("create_failed", c->create_failed), V_NUMBER("updated", c->updated),
	       V_NUMBER("update_failed", c->update_failed), V_NUMBER("deleted", c->deleted),
	       V_NUMBER("delete_failed", c->delete_failed), V_NUMBER("query", c->query));
	render_close(r);
}

static void show_vendor_lines(struct render *r, const struct sync_view *v)
{
	RENDER(r,
	       "sync_ctx: sync_started={started}, sync_tcp={tcp}, sync_others={others},\n"
	       "sync_expectation={expectation}, sync_redir={redir}, sync_nat={nat}, "
	       "stdalone_sessync={standalone}.\n",
	       V_FLAG("started", v->is_started), V_FLAG("tcp", v->tcp), V_FLAG("others", v->others),
	       V_FLAG("expectation", v->expectation), V_FLAG("redir", v->redir),
	       V_FLAG("nat", v->nat), V_FLAG("standalone", v->standalone));
	show_counts(r, "sync", &v->sent);
	show_counts(r, "recv", &v->received);
	RENDER(r,
	       "ses pkts: send={frames_sent}, alloc_fail={alloc_failed}, recv={frames_received}, "
	       "recv_err={receive_errors} sz_err={size_errors}\n"
	       "nCfg_sess_sync_num={paths}, mtu={mtu}\n",
	       V_NUMBER("frames_sent", v->frames_sent), V_NUMBER("alloc_failed", v->alloc_failed),
	       V_NUMBER("frames_received", v->frames_received),
	       V_NUMBER("receive_errors", v->receive_errors),
	       V_NUMBER("size_errors", v->size_errors), V_NUMBER("paths", v->paths),
	       V_NUMBER("mtu", v->mtu));
	render_say(r, "sync_filter:\n        1: vd=0, szone=0, dzone=0, saddr=0.0.0.0:0.0.0.0, "
		      "daddr=0.0.0.0:0.0.0.0,\n");
}

static void show_equality(struct render *r, const struct sync_view *v)
{
	RENDER(r,
	       v->differing < 0 ? "differing sessions: unknown\n"
				: "differing sessions: {differing}\n",
	       V_KNOWN("differing", v->differing));
	RENDER(r,
	       v->unacked_ms > 0 ? "oldest unacknowledged change: {unacked_ms} ms ago\n"
				 : "oldest unacknowledged change: none\n",
	       V_SIGNED("unacked_ms", v->unacked_ms));
	RENDER(r,
	       v->proven_ms < 0 ? "last proven equal: never\n"
				: "last proven equal: {proven_ms} ms ago\n",
	       V_KNOWN("proven_ms", v->proven_ms));
	RENDER(r, v->waiting ? "kernel: {waiting} sessions on their way from the store\n" : "",
	       V_NUMBER("waiting", v->waiting));
	RENDER(r,
	       v->kernel_ms < 0 ? "kernel table: not compared yet\n"
				: "kernel table: compared {kernel_ms} ms ago, {kernel_seen} entries: "
				  "lacks={kernel_lacks}, more={kernel_more}, "
				  "differs={kernel_differs} (put right)\n",
	       V_KNOWN("kernel_ms", v->kernel_ms), V_NUMBER("kernel_seen", v->kernel_seen),
	       V_NUMBER("kernel_lacks", v->kernel_lacks), V_NUMBER("kernel_more", v->kernel_more),
	       V_NUMBER("kernel_differs", v->kernel_differs),
	       V_NUMBER("kernel_checks", v->kernel_checks),
	       V_NUMBER("kernel_repairs", v->kernel_repairs));
	RENDER(r,
	       v->is_kernel_full ? "kernel table is full (nf_conntrack_max {kernel_max}): {lacking} sessions are "
				   "not in it, {refused_full} attempts were refused\n"
	       : v->lacking	 ? "not in the kernel of a member: {lacking} sessions\n"
				 : "",
	       V_FLAG("kernel_full", v->is_kernel_full), V_NUMBER("kernel_max", v->kernel_max),
	       V_NUMBER("lacking", v->lacking), V_NUMBER("refused_full", v->refused_full));
	RENDER(r, "stored sessions: {stored}, version: {head}\n", V_NUMBER("stored", v->stored),
	       V_NUMBER("head", v->head));
	RENDER(r,
	       v->young || v->died_young ? "kept back: {young}, ended before they were told: "
					   "{died_young} (session-pickup-delay)\n"
					 : "",
	       V_NUMBER("young", v->young), V_NUMBER("died_young", v->died_young));
}

static void show_pressure(struct render *r, const struct sync_pressure_view *p)
{
	render_object(r, "pressure");
	RENDER(r,
	       "pressure: {level} (event socket {socket_percent} % full, slowest member {late_ms} ms "
	       "late)\n"
	       "shed so far: refreshes={shed_refreshes}, new={shed_new}, refused by a full "
	       "table={table_full}; {dumps} dumps made it good\n",
	       V_TEXT("level", p->level), V_NUMBER("socket_percent", p->socket_percent),
	       V_NUMBER("late_ms", p->late_ms), V_NUMBER("shed_refreshes", p->shed_refreshes),
	       V_NUMBER("shed_new", p->shed_new), V_NUMBER("table_full", p->table_full),
	       V_NUMBER("dumps", p->dumps));
	RENDER(r, p->is_table_full ? "the session store is full: new sessions are not told\n" : "",
	       V_FLAG("is_table_full", p->is_table_full));
	RENDER(r,
	       p->owed ? "shed or lost, and not told yet: about {owed} sessions; equality is not claimed\n"
		       : "",
	       V_NUMBER("owed", p->owed));
	render_close(r);
}

static void show_members(struct render *r, const struct sync_view *v)
{
	render_list(r, "members");
	for (unsigned i = 0; i < v->member_count; i++) {
		const struct sync_member_view *m = &v->members[i];

		render_object(r, NULL);
		RENDER(r,
		       m->lacking    ? "member {serial}: {state}, but {lacking} not in its kernel, "
				       "cursor={cursor}, acknowledged {ack_ms} ms ago\n"
		       : m->ack_ms < 0 ? "member {serial}: {state}, cursor={cursor}, no "
				       "acknowledgement yet\n"
				     : "member {serial}: {state}, cursor={cursor}, acknowledged "
				       "{ack_ms} ms ago\n",
		       V_TEXT("serial", m->serial),
		       V_TEXT(".state", m->is_ready     ? "ready"
					: m->is_walking ? "catching up"
					: m->waiting    ? "filling its kernel"
							: "not proven equal"),
		       V_FLAG("ready", m->is_ready), V_FLAG("walking", m->is_walking),
		       V_NUMBER("waiting", m->waiting), V_NUMBER("lacking", m->lacking),
		       V_NUMBER("cursor", m->cursor), V_KNOWN("ack_ms", m->ack_ms));
		render_close(r);
	}
	render_close(r);
}

static void show_kernel(struct render *r, const struct sync_view *v)
{
	RENDER(r,
	       "capture: events={events}, own={events_own}, unparsed={events_unparsed}, "
	       "overruns={overruns}\n"
	       "inject: created={created}, updated={updated}, deleted={deleted}, "
	       "timeouts={timeouts}, "
	       "failed={inject_failed}\n",
	       V_NUMBER("events", v->events), V_NUMBER("events_own", v->events_own),
	       V_NUMBER("events_unparsed", v->events_unparsed), V_NUMBER("overruns", v->overruns),
	       V_NUMBER("created", v->created), V_NUMBER("updated", v->updated),
	       V_NUMBER("deleted", v->deleted), V_NUMBER("timeouts", v->timeouts),
	       V_NUMBER("inject_failed", v->inject_failed));
	RENDER(r,
	       "repair: gaps={gaps}, resends={resends}, walks={walks}, ranges={ranges}, put_back={put_back}, "
	       "dumps={dumps}, deletes_parked={deletes_parked}:{deletes_discarded}\n"
	       "merge: offered={offered}, taken={merged}, kept={merge_kept}\n",
	       V_NUMBER("gaps", v->gaps), V_NUMBER("resends", v->resends),
	       V_NUMBER("walks", v->walks), V_NUMBER("ranges", v->ranges),
	       V_NUMBER("put_back", v->put_back),
	       V_NUMBER("dumps", v->dumps), V_NUMBER("deletes_parked", v->deletes_parked),
	       V_NUMBER("deletes_discarded", v->deletes_discarded),
	       V_NUMBER("offered", v->offered), V_NUMBER("merged", v->merged),
	       V_NUMBER("merge_kept", v->merge_kept));
	render_object(r, "filtered");
	for (unsigned i = 0; i < v->filter_count; i++)
		RENDER(r, v->filter[i].count ? "not told: {count} ({name})\n" : "",
		       V_TEXT(".name", v->filter[i].name), V_NUMBER(".count", v->filter[i].count),
		       V_NUMBER(v->filter[i].name, v->filter[i].count));
	render_close(r);
}

enum control_exit check_session_sync(struct command_call *call)
{
	if (!call->ops->check_kernel(call->node))
		return command_refuse(call, "session-pickup is disabled: there is nothing to compare");
	render_object(&call->render, NULL);
	RENDER(&call->render, "reading the kernel's table; diagnose sys session sync shows what "
			      "is found\n",
	       V_FLAG("checking", true));
	render_close(&call->render);
	return CONTROL_DONE;
}

enum control_exit show_session_sync(struct command_call *call)
{
	struct sync_view *view = xcalloc(1, sizeof(*view));

	call->ops->get_sync(call->node, view);
	render_object(&call->render, NULL);
	show_vendor_lines(&call->render, view);
	show_equality(&call->render, view);
	show_pressure(&call->render, &view->pressure);
	show_members(&call->render, view);
	show_kernel(&call->render, view);
	show_sync_counters(&call->render, view);
	render_close(&call->render);
	free(view);
	return CONTROL_DONE;
}
