/* ct_lab.h: for tests of this room: namespaces of one process, and sessions through them
 *
 *    client 10.1.0.9 --- c0 [gateway 10.1.0.1 | 10.2.0.1] s0 --- 10.2.0.9 server      standby
 *           fd01::9                fd01::1   fd02::1              fd02::9             (no links)
 *
 * The process owns them without being root (a user namespace of its own); they vanish with it.
 */
#ifndef FK_CT_CT_LAB_H
#define FK_CT_CT_LAB_H

#include "base/loop.h"
#include "ct/ct.h"

enum lab_ns { LAB_GATEWAY, LAB_CLIENT, LAB_SERVER, LAB_STANDBY, LAB_NS_COUNT };

enum { LAB_SEEN_MAX = 64 };

struct lab {
	int ns[LAB_NS_COUNT];
	struct loop *loop;
	/* What a capture with lab_on_seen() heard, oldest first. */
	struct ct_seen seen[LAB_SEEN_MAX];
	unsigned seen_count;
	unsigned overruns;
	/* What an injector with lab_on_verdict() heard. */
	unsigned verdicts;
	int last_error;
};

/* 0, or a reason to skip in *ret_why. */
int lab_open(struct lab *lab, const char **ret_why);
void lab_close(struct lab *lab);
void lab_enter(const struct lab *lab, enum lab_ns ns);
/* Runs a shell command in a namespace; its exit status. */
int lab_run(const struct lab *lab, enum lab_ns ns, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void lab_on_seen(void *lab, const struct ct_seen *seen);
void lab_on_overrun(void *lab);
void lab_on_verdict(void *lab, enum ct_op op, uint64_t cookie, int error);
/* Turns the loop until *counter reaches `want`, at most two seconds. */
bool lab_wait(struct lab *lab, const unsigned *counter, unsigned want);
/* Turns the loop for a time in which something must not happen. */
void lab_listen(struct lab *lab, int64_t ns);
/* A socket in a namespace, bound to port (0: any) of that host's address. */
int lab_socket(const struct lab *lab, enum lab_ns ns, int type, uint16_t port);
int lab_connect(int fd, const char *host, uint16_t port);

#endif
