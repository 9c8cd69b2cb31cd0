/* nl.h: netlink plumbing, ignorant of conntrack and routing
 *
 * nl_sock   a multicast listener: many datagrams a system call (recvmmsg into a fixed arena), a
 *           receive buffer that doubles on overrun (SO_RCVBUFFORCE, else SO_RCVBUF) up to a cap,
 *           overruns counted and told. With `pause_ns` the first news after a silence is read at
 *           once and what follows in heaps, one wake-up a pause. `on_fill` is told how full the
 *           receive buffer is, before the messages of a read that may have left some behind: one
 *           cheap question in 64 messages, none while the reading keeps up. 0 when it is empty again.
 * nl_batch  many requests in flight on one socket: requests are packed into one buffer, sent by
 *           one sendmsg when the buffer is full or nl_batch_flush() is called, and every request
 *           gets exactly one verdict (0 or negative errno), in order of requests and always from
 *           the loop or _drain(), never from within _begin() or _flush(). -ENOBUFS also stands for
 *           an answer that the kernel could not give: the request may have been carried out.
 * nl_dump   a dump that runs from the loop in slices, each message handed to a callback.
 *
 * All three are libmnl underneath and live on one loop. Nothing allocates after _new().
 */
#ifndef FK_NL_NL_H
#define FK_NL_NL_H

#include "base/loop.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl_sock;
struct nl_batch;
struct nl_dump;

typedef void nl_msg_fn(void *arg, const struct nlmsghdr *nlh);
typedef void nl_overrun_fn(void *arg);
typedef void nl_fill_fn(void *arg, unsigned percent);
typedef void nl_verdict_fn(void *arg, uint64_t cookie, int error);
typedef void nl_done_fn(void *arg, int error);

struct nl_sock_config {
	const char *name;        /* for the loop's slow-callback report */
	int bus;                 /* NETLINK_NETFILTER, NETLINK_ROUTE */
	const unsigned *groups;  /* multicast group numbers */
	unsigned group_count;
	size_t rcvbuf_bytes;     /* initial receive buffer */
	size_t rcvbuf_max_bytes; /* cap of the doubling */
	int64_t pause_ns;        /* between two reads of a stream of news; 0: none */
	enum loop_prio prio;
	nl_fill_fn *on_fill;     /* may be NULL: see nl_sock above */
};

/* 0, or negative errno (EPERM without rights, ENOENT for an unknown group ...). */
int nl_sock_open(struct loop *loop, const struct nl_sock_config *config, nl_msg_fn *on_msg,
		 nl_overrun_fn *on_overrun, void *arg, struct nl_sock **ret_sock);
void nl_sock_close(struct nl_sock *sock);
/* Joins or leaves a group; what is queued of it is still heard. */
int nl_sock_set_group(struct nl_sock *sock, unsigned group, bool is_member);
/* News whose first message names one of these requesters is dropped by the kernel (at most
 * NL_IGNORE_MAX of them; replaces what was ignored). Best effort: check nlmsg_pid too. */
enum { NL_IGNORE_MAX = 4 };
int nl_sock_ignore(struct nl_sock *sock, const uint32_t *portids, unsigned count);
uint32_t nl_sock_portid(const struct nl_sock *sock);
uint64_t nl_sock_overruns(const struct nl_sock *sock);

int nl_batch_open(struct loop *loop, const char *name, int bus, size_t buffer_bytes,
		  nl_verdict_fn *on_verdict, void *arg, struct nl_batch **ret_batch);
/* Verdicts that have not come are not given. Closing from on_verdict is legal, as for nl_sock. */
void nl_batch_close(struct nl_batch *batch);
uint32_t nl_batch_portid(const struct nl_batch *batch);
/* Begins a request with at least `room` bytes for its body; sends what is packed when it does not
 * fit. NLM_F_REQUEST is added, and NLM_F_ACK where it is needed. Fill it with mnl_attr_put_*, then
 * call _end(). NULL only while too many requests wait for verdicts (try again after a verdict;
 * count it). */
struct nlmsghdr *nl_batch_begin(struct nl_batch *batch, uint16_t type, uint16_t flags, size_t room,
				uint64_t cookie);
/* A request begun and not ended is dropped by the next _begin(). */
void nl_batch_end(struct nl_batch *batch, struct nlmsghdr *nlh);
void nl_batch_flush(struct nl_batch *batch);
unsigned nl_batch_in_flight(const struct nl_batch *batch);
/* Sends and waits for every verdict, at most timeout_ns: for start and stop, never on a hot path.
 * 0, -ETIMEDOUT, or -ECANCELED when a verdict's callback closed the batch. */
int nl_batch_drain(struct nl_batch *batch, int64_t timeout_ns);

/* `request` is copied (at most 512 bytes; NLM_F_DUMP is the caller's). on_done(0) at the end,
 * -EINTR when the kernel says that the dump was inconsistent, else the error. The dump frees
 * itself after on_done. */
int nl_dump_start(struct loop *loop, const char *name, int bus, const struct nlmsghdr *request,
		  nl_msg_fn *on_msg, nl_done_fn *on_done, void *arg, struct nl_dump **ret_dump);
/* Stops without on_done. */
void nl_dump_cancel(struct nl_dump *dump);
/* No further datagrams until told to go on (the one in hand is finished); legal from on_msg. The
 * kernel keeps the dump's place meanwhile. */
void nl_dump_pause(struct nl_dump *dump, bool is_paused);

/* One synchronous request with its answer(s), for start-up and commands, never on a hot path.
 * NLM_F_REQUEST | NLM_F_ACK are added. */
int nl_talk(int bus, struct nlmsghdr *request, nl_msg_fn *on_msg, void *arg);

#endif
