/* local_addrs.h: keeps the set of this gateway's own addresses, and tells when one comes or goes
 *
 * Listens to RTNLGRP_IPV4_IFADDR and RTNLGRP_IPV6_IFADDR. The set is complete when _open()
 * returns, so that no session is judged before it is; after an overrun it is read again, and what
 * changed meanwhile is told as if it had been heard. The news of a removed address is what the
 * fence around deletes needs: masquerade flushes sessions with it (DESIGN section 4).
 */
#ifndef FK_FILTER_LOCAL_ADDRS_H
#define FK_FILTER_LOCAL_ADDRS_H

#include "base/loop.h"
#include "filter/filter.h"

struct local_addrs;

/* Called for every address added or removed after _open(); the set is already up to date. */
typedef void local_addr_fn(void *arg, int ifindex, const struct ipaddr *addr, bool is_added);

/* `locals` is borrowed until _close(), and only written here. */
int local_addrs_open(struct loop *loop, struct filter_locals *locals, local_addr_fn *on_change,
		     void *arg, struct local_addrs **ret_addrs);
void local_addrs_close(struct local_addrs *addrs);

#endif
