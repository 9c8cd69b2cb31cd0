/* talk.h: one request from words to reply, without a socket (inside the control room, and tests)
 *
 * A talk takes a parsed request, writes chunks through a sink, and knows when the reply is over.
 * Only lists of sessions take longer than the call.
 */
#ifndef FK_CONTROL_TALK_H
#define FK_CONTROL_TALK_H

#include "control/commands.h"
#include "control/frame.h"

struct talk {
	const struct control_ops *ops;
	void *node;
	/* Takes whole chunks; `type` as in control.h. */
	void (*chunk)(void *arg, char type, const char *data, size_t len);
	void *arg;

	struct command_call call;
	const struct command_list *list; /* being walked, or NULL */
	void *walk;
	bool is_paused;
	size_t held; /* bytes in `hold` that are not a chunk yet */
	char hold[8192];
};

void talk_init(struct talk *talk, const struct control_ops *ops, void *node,
	       void (*chunk)(void *arg, char type, const char *data, size_t len), void *arg);
/* Carries out one request of `len` bytes of JSON. The reply is over when talk_is_busy() is false.
 */
void talk_request(struct talk *talk, const char *json, size_t len);
bool talk_is_busy(const struct talk *talk);
/* The reader is slow, or not any more. */
void talk_pause(struct talk *talk, bool is_paused);
/* The reader did not keep up and cannot be waited for: ends the reply with this error. Chunks that
 * were held back are forgotten. */
void talk_give_up(struct talk *talk, const char *why);
/* The reader went away. */
void talk_fini(struct talk *talk);

#endif
