/* cluster_internal.h: what the files of the state machine share; nobody else includes it */
#ifndef FK_CLUSTER_CLUSTER_INTERNAL_H
#define FK_CLUSTER_CLUSTER_INTERNAL_H

#include "cluster/cluster.h"

/* cluster_hb.c */
struct member *cluster_member(struct cluster *c, const char *serial);
const struct hb_peer *cluster_peer_entry(const struct heartbeat *hb, const char *serial);
void cluster_send(struct cluster *c, mono_t now);
/* Unless we have spoken just now. */
void cluster_send_soon(struct cluster *c, mono_t now);
bool cluster_is_in_range(const struct heartbeat *hb);
/* What a heartbeat says of us (`me` may be NULL): DROP_NONE and when we said what it echoes, _RANGE
 * for a lie, _UNVERIFIED where it proves nothing: another life of ours, or long ago. */
enum drop_reason cluster_read_echo(const struct cluster *c, mono_t now, const struct hb_peer *me,
				   mono_t *ret_echo);
/* Remembers an authentic but unproven sender, so that our heartbeats give it our nonce to echo. */
void cluster_greet(struct cluster *c, mono_t now, const char *serial, uint64_t incarnation,
		   uint64_t send_us);
/* Do we know ourselves that our silent primary's lease has run out: it counted us? */
bool cluster_is_lease_over(const struct cluster *c, mono_t now);
/* Silence after which a heartbeat was certainly missed. */
int64_t cluster_missed_ns(const struct cluster *c);
/* Detection time for that member: ours, or its own where it is configured slower. */
int64_t cluster_detection_of(const struct cluster *c, const struct member *m);

/* The primary we follow has left the role, and said so itself since we follow it. */
bool cluster_has_left(const struct cluster *c, const struct member *primary);

/* cluster_elect.c */
struct candidate cluster_self(const struct cluster *c, mono_t now);
struct candidate cluster_candidate(const struct member *m, mono_t now);
/* The best of the living others that may become primary while nobody is; NULL: we are. */
const struct member *cluster_better(struct cluster *c, mono_t now);
/* To whom a primary gives the role, because that one is better and equal; NULL: it keeps it. */
const struct member *cluster_successor(const struct cluster *c, mono_t now,
				       enum rank_reason *ret_reason);
/* A living member, not `serial` itself, that still hears it as its primary. */
const struct member *cluster_hearer_of(const struct cluster *c, const char *serial, mono_t now);
/* A member that we do not hear, but a living one does; is_better: only with a higher serial than
 * ours, but also one that does not hear us. */
bool cluster_is_hidden(const struct cluster *c, mono_t now, bool is_better);
/* Ages are told by heartbeats that take time: at the edge of the margin two members may each find
 * itself the best. True when another with a higher serial may. */
bool cluster_is_disputed(const struct cluster *c, mono_t now);
void cluster_history_selected(struct cluster *c, mono_t now);
/* The same for another member that we begin to follow, as far as we can tell. */
void cluster_history_followed(struct cluster *c, mono_t now, const char *primary);

/* lease.c */
/* Stalled, when it has run out. */
void lease_judge(struct cluster *c, mono_t now);
void lease_step(struct cluster *c, mono_t now, mono_t *wake);
/* Ends it: the kernel falls silent now. */
void lease_end(struct cluster *c);

/* How long a stranger's frame keeps a member in hello from calling itself alone. */
#define STRANGER_NS SEC(10)

/* cluster_twin.c */
/* A twin (cluster.h) had the better claim to the role when it was heard in the last STRANGER_NS: it
 * forwards and we do not, or neither or both do and its incarnation is the higher one. */
bool cluster_is_twin_ahead(const struct cluster *c, mono_t now);
void cluster_step_twin(struct cluster *c, mono_t now);

/* cluster_seek.c */
void cluster_step_hello(struct cluster *c, mono_t now, mono_t *wake);
void cluster_step_standby(struct cluster *c, mono_t now, mono_t *wake);
/* Do we hear that member ourselves, as the primary of this term or a later one? What it said of an
 * earlier one is old: it has become primary again since, and we did not hear that. */
bool cluster_hears(const struct cluster *c, const char *serial, uint64_t term, mono_t now);
/* A living primary that is not us, the one of the highest term; stalled ones do not count. */
const struct member *cluster_living_primary(const struct cluster *c, mono_t now);

/* cluster_work.c */
void cluster_step_work(struct cluster *c, mono_t now, mono_t *wake);

/* cluster.c */
/* Every change of state, primary or term goes through here. */
void cluster_enter(struct cluster *c, mono_t now, enum member_state state, const char *primary,
		   uint64_t term);
void cluster_take_over(struct cluster *c, mono_t now);
void cluster_to_hello(struct cluster *c, mono_t now, bool reset_age, const char *why);
void cluster_follow(struct cluster *c, mono_t now, const char *primary, uint64_t term);
/* In favour of that member; everybody else waits for it. */
void cluster_resign(struct cluster *c, mono_t now, const struct member *successor, const char *why);
void cluster_history(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Not primary, and no interface with virtual addresses is up, by link news or by the last probe. */
bool cluster_is_blind(const struct cluster *c);
/* True when a probe of the virtual addresses has just found silence; else one is on its way. */
bool cluster_probe_silent(struct cluster *c, mono_t now, mono_t *wake);

static inline void wake_at(mono_t *wake, mono_t t)
{
	*wake = mono_min(*wake, t);
}

#endif
