/* pace.c: how fast a member that catches up is told: as fast as it acknowledges
 *
 * Frames that wait for an acknowledgement are remembered. Their number has a limit, which is halved when one
 * was lost and grows by one for every limit's worth that arrived, so that a link that carries little is not
 * filled with what nobody can use: a member behind a full queue would ask again and again for what is on
 * its way. How long an answer takes says when asking again, by it or by us, means a new loss.
 */
#include "sync/sync_internal.h"

enum { WINDOW_MIN = 4, IN_VAIN_MAX = 3 };

/* Nobody waits for longer than twice this, however busy the other side was once. */
#define TURNAROUND_MAX_NS MS(250)

void pace_begin(struct pace *p)
{
	*p = (struct pace){ .window = CATCH_UP_WINDOW };
}

bool pace_has_room(const struct pace *p)
{
	return p->count < p->window;
}

bool pace_is_full_speed(const struct pace *p)
{
	return p->window == CATCH_UP_WINDOW;
}

void pace_on_sent(struct pace *p, mono_t now, uint64_t end)
{
	p->sent[(p->head + p->count++) % CATCH_UP_WINDOW] = (struct pace_frame){ end, now };
}

void pace_on_acked(struct pace *p, mono_t now, uint64_t cursor)
{
	mono_t sent_at = MONO_ZERO;

	for (; p->count && p->sent[p->head].end <= cursor; p->count--) {
		sent_at = p->sent[p->head].at;
		p->head = (p->head + 1) % CATCH_UP_WINDOW;
		if (++p->arrived >= p->window) {
			p->arrived = 0;
			p->window += p->window < CATCH_UP_WINDOW;
		}
	}
	if (mono_is_zero(sent_at))
		return;
	p->in_vain = 0;
	/* Up at once, down slowly: what is lost of a queue that has filled comes late. */
	p->turnaround_ns -= p->turnaround_ns / 8;
	if (mono_sub(now, sent_at) > p->turnaround_ns)
		p->turnaround_ns = mono_sub(now, sent_at);
	if (p->turnaround_ns > TURNAROUND_MAX_NS)
		p->turnaround_ns = TURNAROUND_MAX_NS;
}

void pace_restart(struct pace *p)
{
	p->count = 0;
}

void pace_on_lost(struct pace *p)
{
	p->window = p->window / 2 > WINDOW_MIN ? p->window / 2 : WINDOW_MIN;
	p->arrived = 0;
}

void pace_on_silence(struct pace *p)
{
	pace_on_lost(p);
	p->in_vain += p->in_vain < IN_VAIN_MAX;
}

/* Another request within this time is about what was on its way when it was answered. */
int64_t pace_answer_ns(const struct pace *p)
{
	int64_t ns = p->turnaround_ns + p->turnaround_ns / 2;

	return ns > ASK_NS ? ns : ASK_NS;
}

/* Without progress for so long, what was sent is lost. */
int64_t pace_patience_ns(const struct pace *p)
{
	int64_t ns = PROGRESS_NS << p->in_vain;

	return ns > 2 * p->turnaround_ns ? ns : 2 * p->turnaround_ns;
}
