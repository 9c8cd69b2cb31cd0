/* history.h: what happened to the cluster, the last 512 events, kept over restarts
 *
 * One line an event in DIR/history: seconds since the epoch, a space, the text. Rewritten when it
 * has grown to twice the size. A file that cannot be written costs the memory of restarts, nothing else.
 */
#ifndef FK_HISTORY_H
#define FK_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/* `diagnose sys ha history read` keeps up to 512 entries (fortios-facts 1.6). */
enum { HISTORY_MAX = 512, HISTORY_TEXT = 200 };

struct history;

struct history *history_open(const char *dir);
void history_close(struct history *history);
void history_add(struct history *history, int64_t when_s, const char *text);
/* The event `back` steps before the newest (0); false beyond the oldest. */
bool history_get(const struct history *history, unsigned back, int64_t *ret_when_s,
		 const char **ret_text);

#endif
