/* netlab.h: two namespaces and a cable, for tests against the real kernel
 *
 *      this process (gateway)             another namespace (host)
 *      lan  02:..:01  10.9.0.1/24 ------- host  02:..:02  10.9.0.2/24
 *           fd09::1/64                          fd09::2/64
 *
 * Neither has a name, so nothing is left behind. Test code only: it shells out to `ip`. Functions
 * print what failed and return false, so that a forked child without cmocka can use them too.
 */
#ifndef FK_CLUSTER_NETLAB_H
#define FK_CLUSTER_NETLAB_H

#include <stdbool.h>
#include <sys/types.h>

struct netlab {
	pid_t host_pid; /* holds the host's namespace */
	int home_ns, gw_ns, host_ns;
	int host_pipe;
};

/* Enters a fresh namespace. False where that is not permitted. */
bool netlab_open(struct netlab *lab);
/* Returns to the namespace of before. */
void netlab_close(struct netlab *lab);
/* In the gateway's namespace / in the host's; exit status 0. Output goes to stderr. */
bool netlab_run(const struct netlab *lab, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool netlab_run_host(const struct netlab *lab, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Makes the calling thread enter the host's namespace, or come back. */
bool netlab_enter_host(const struct netlab *lab);
bool netlab_enter_gw(const struct netlab *lab);
/* A UDP socket in either namespace, bound to its IPv4 address and port 4000, not blocking. */
int netlab_udp(const struct netlab *lab, bool on_host);
/* Static neighbours on both sides, so that only the mute decides what passes. */
bool netlab_pin_neighbours(const struct netlab *lab);
/* Becomes the unprivileged user 65534 with its own user namespace. Only in a forked child. */
bool netlab_become_rootless(void);

#endif
