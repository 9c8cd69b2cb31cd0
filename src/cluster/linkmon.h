/* linkmon.h: carrier of interfaces by name, as rtnetlink tells it
 *
 * Follows a set of names, also while the devices do not exist (down then). on_change is called
 * once for each name at open (from the loop's first turn) and at every change. Runs on whichever
 * loop it is given: the heartbeat thread has its own.
 */
#ifndef FK_CLUSTER_LINKMON_H
#define FK_CLUSTER_LINKMON_H

#include "base/loop.h"

#include <stdbool.h>

struct linkmon;

typedef void linkmon_fn(void *arg, unsigned index, bool is_up);

int linkmon_open(struct loop *loop, const char *const *ifnames, unsigned count,
		 linkmon_fn *on_change, void *arg, struct linkmon **ret_linkmon);
void linkmon_close(struct linkmon *linkmon);
bool linkmon_is_up(const struct linkmon *linkmon, unsigned index);

#endif
