/* show_sync_counters.c: the counters of diagnose sys session sync, one line a subject */
#include "control/commands.h"

static void show_tables(struct render *r, const struct sync_view *v)
{
	render_object(r, "store");
	RENDER(r,
	       "own sessions: created={created}, updated={updated}, deleted={deleted}, "
	       "refused={create_failed}\n",
	       V_NUMBER("created", v->store.created), V_NUMBER("updated", v->store.updated),
	       V_NUMBER("deleted", v->store.deleted),
	       V_NUMBER("create_failed", v->store.create_failed));
	render_close(r);
	render_object(r, "copies");
	RENDER(r,
	       "copies: created={created}:{create_failed}, updated={updated}:{update_failed}, "
	       "deleted={deleted}:{delete_failed}, tried again={retried}, cleared the "
	       "way={cleared}\n",
	       V_NUMBER("created", v->copies.created),
	       V_NUMBER("create_failed", v->copies.create_failed),
	       V_NUMBER("updated", v->copies.updated),
	       V_NUMBER("update_failed", v->copies.update_failed),
	       V_NUMBER("deleted", v->copies.deleted),
	       V_NUMBER("delete_failed", v->copies.delete_failed),
	       V_NUMBER("retried", v->copies_retried), V_NUMBER("cleared", v->copies_cleared));
	render_close(r);
}

static void show_frames(struct render *r, const struct sync_talk_view *t)
{
	render_object(r, "frames");
	RENDER(r,
	       "frames out: {sent} ({bytes_sent} bytes), changes at once={at_once}, digests on the "
	       "timer={on_timer}; no link={no_link}, errors={send_errors}\n"
	       "frames in: {received} ({bytes_received} bytes), dropped by the "
	       "kernel={receive_dropped}\n",
	       V_NUMBER("sent", t->frames_sent), V_NUMBER("bytes_sent", t->bytes_sent),
	       V_NUMBER("at_once", t->at_once), V_NUMBER("on_timer", t->on_timer),
	       V_NUMBER("no_link", t->no_link), V_NUMBER("send_errors", t->send_errors),
	       V_NUMBER("received", t->frames_received),
	       V_NUMBER("bytes_received", t->bytes_received),
	       V_NUMBER("receive_dropped", t->receive_dropped));
	render_close(r);
}

static void show_requests(struct render *r, const struct sync_talk_view *t)
{
	render_object(r, "requests");
	RENDER(r,
	       "requests: sent={asks_sent}, heard={asks_heard}, ignored={asks_ignored}; "
	       "acknowledgements: sent={acks_sent}:{acks_failed}, heard={acks_heard}, "
	       "refused={acks_refused}\n",
	       V_NUMBER("asks_sent", t->asks_sent), V_NUMBER("asks_heard", t->asks_heard),
	       V_NUMBER("asks_ignored", t->asks_ignored), V_NUMBER("acks_sent", t->acks_sent),
	       V_NUMBER("acks_failed", t->acks_failed), V_NUMBER("acks_heard", t->acks_heard),
	       V_NUMBER("acks_refused", t->acks_refused));
	render_close(r);
	render_object(r, "bulk");
	RENDER(r,
	       "bulk out: walks={walks_served}, frames={frames_sent}, records={records_sent}; "
	       "in: walks={walks_taken}, frames={frames_heard}, records={records_heard}\n",
	       V_NUMBER("walks_served", t->walks_served),
	       V_NUMBER("frames_sent", t->bulk_frames_sent),
	       V_NUMBER("records_sent", t->bulk_records_sent),
	       V_NUMBER("walks_taken", t->walks_taken),
	       V_NUMBER("frames_heard", t->bulk_frames_heard),
	       V_NUMBER("records_heard", t->bulk_records_heard));
	render_close(r);
}

static void show_trouble(struct render *r, const struct sync_talk_view *t)
{
	static const char *const names[] = {
#define X(id, name) [SYNC_REFUSED_##id] = name,
		SYNC_REFUSALS(X)
#undef X
	};

	render_object(r, "refused");
	RENDER(r, "frames missed: {lost}, refused:", V_NUMBER("lost", t->lost));
	for (unsigned i = 0; i < SYNC_REFUSED_COUNT; i++)
		RENDER(r, " {name}={count}", V_TEXT(".name", names[i]),
		       V_NUMBER(".count", t->refused[i]), V_NUMBER(names[i], t->refused[i]));
	render_say(r, " (diagnose sys ha drops)\n");
	render_close(r);
	render_object(r, "links");
	RENDER(r,
	       "links: fell silent={silent}; probes of the addresses={probes}, "
	       "answered={probes_answered}, could not be asked={probes_blind}\n",
	       V_NUMBER("silent", t->links_silent), V_NUMBER("probes", t->probes),
	       V_NUMBER("probes_answered", t->probes_answered),
	       V_NUMBER("probes_blind", t->probes_blind));
	render_close(r);
}

void show_sync_counters(struct render *r, const struct sync_view *v)
{
	show_tables(r, v);
	show_frames(r, &v->talk);
	show_requests(r, &v->talk);
	show_trouble(r, &v->talk);
}
