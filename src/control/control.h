/* control.h: what the operator sees and does: a UNIX socket, a table of commands, two renderers
 *
 *   control.c         the socket: clients, bounds, back-pressure     frame.{h,c}  its framing
 *   commands.{h,c}    the table of commands; matching, help and completion come from it
 *   complete.c        completion of commands and of configuration statements
 *   render*.{h,c}     named values to text or JSON; long lists stream
 *   show_*.c          one function a command
 *
 * The room knows the daemon only through struct control_ops below and the views of view.h; main.c
 * fills both. It never blocks, never calls a clock, and keeps at most CONTROL_CLIENTS clients with
 * bounded buffers: a reader that does not read pauses its own list, nobody else's work.
 *
 * Only uid 0 and the daemon's own uid may connect (SO_PEERCRED); the socket's mode is 0600.
 *
 * Protocol. Request: 4 bytes length (network order), JSON of that length:
 *     {"op":"run", "words":["get","system","ha","status"], "json":false, "confirmed":false}
 *     {"op":"config"|"check", "text":"config system ha set priority 200 end"}
 *     {"op":"complete", "words":["get","sys"], "context":"system ha", "in_edit":false}
 * "confirmed" answers a question (a 'q' chunk) in advance; "check" parses one statement after the
 * other and applies nothing; the last of the words to "complete" is the one being typed, and
 * "context" the block in which a configuration statement is being typed, absent outside of one.
 * Reply: chunks of type (1 byte), length (4 bytes), bytes: 't' text, 'e' text of an error,
 * 'q' question, 'x' the exit status (1 byte) and the end of the reply: 0 done, 1 refused, 2 usage.
 * A completion is one 't' line each: WORD, tab, help. One request at a time, many a connection.
 */
#ifndef FK_CONTROL_CONTROL_H
#define FK_CONTROL_CONTROL_H

#include "base/loop.h"
#include "control/view.h"

enum {
	CONTROL_CLIENTS = 16,
	CONTROL_REQUEST_MAX = 256 * 1024,     /* a full configuration is below 100 kB */
	CONTROL_PAUSE_BYTES = 256 * 1024,     /* unread output at which a list pauses, */
	CONTROL_RESUME_BYTES = 64 * 1024,     /* and goes on */
	CONTROL_OUTPUT_MAX = 8 * 1024 * 1024, /* unread output at which a list is given up */
	CONTROL_WHY = 200,
};

enum control_exit { CONTROL_DONE = 0, CONTROL_REFUSED = 1, CONTROL_USAGE = 2 };

/* The row is borrowed for the call. */
typedef void session_row_fn(void *arg, const struct session_row *row);
/* 0, or why the list is not complete; the walk is gone after it. */
typedef void session_done_fn(void *arg, int error);

/* Everything runs on the loop's thread. Nothing may be NULL but pause_sessions. */
struct control_ops {
	/* The view is zeroed before. */
	void (*get_ha)(void *node, struct ha_view *view);
	void (*get_sync)(void *node, struct sync_view *view);
	/* The history, newest is 0; false beyond the oldest. */
	bool (*get_event)(void *node, unsigned back, struct ha_event *ret_event);
	int64_t (*get_epoch_s)(void *node);       /* seconds since 1970, for durations and dates */
	int64_t (*get_session_count)(void *node); /* or negative errno */

	/* Calls row(arg) for every session and then done(arg), all later than this call returns.
	 * *ret_walk is for the two below. 0 or negative errno. */
	int (*start_sessions)(void *node, session_row_fn *row, session_done_fn *done, void *arg,
			      void **ret_walk);
	/* The reader went away: no more calls. */
	void (*cancel_sessions)(void *node, void *walk);
	/* The reader is slow: give no rows until told to go on. NULL: cannot; a reader that stays
	 * CONTROL_OUTPUT_MAX behind is refused then. A few rows after a pause are fine. */
	void (*pause_sessions)(void *node, void *walk, bool is_paused);

	/* diagnose sys session sync check: reads the kernel's table now; false: no session pickup. */
	bool (*check_kernel)(void *node);
	/* execute ha failover set | unset: 0, or negative errno with the reason for the operator.
	 */
	int (*force_failover)(void *node, bool is_forced, char *ret_why, size_t size);

	const struct config *(*get_config)(void *node); /* borrowed until the next call of apply */
	/* Applies statements on top of the current configuration, all or nothing (config_parse()).
	 * 0; -EINVAL with *ret_error; another negative errno when it could not be put into effect,
	 * with *ret_error->text telling why. */
	int (*apply)(void *node, const char *text, size_t len, struct config_error *ret_error);
};

struct control;

/* Replaces a socket that a dead daemon left; -EADDRINUSE when a living one answers there. The
 * directory must exist. */
int control_open(struct loop *loop, const char *path, const struct control_ops *ops, void *node,
		 struct control **ret_control);
/* Cancels running lists, closes every client and removes the socket. */
void control_close(struct control *control);

#endif
