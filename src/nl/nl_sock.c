/* nl_sock.c: multicast news from the kernel, many datagrams a system call */
#include "nl/nl_impl.h"

#include "base/log.h"
#include "base/xalloc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS = 64,        /* datagrams a recvmmsg() */
	SLOT_BYTES = 8192, /* an event is one message: 200..1000 bytes, a link up to 4 KiB */
	/* Slots start at different offsets within a page: at the same one their first lines would
	 * all compete for the same few lines of an L1 cache. */
	SLOT_STRIDE = SLOT_BYTES + 192,
	ROUNDS = 16, /* recvmmsg() a callback, so that a flood leaves room for others */
};

struct nl_sock {
	struct mnl_socket *socket;
	struct loop *loop;
	struct watch *watch;
	struct timer *pause; /* armed while the watch is off */
	int64_t pause_ns;
	const char *name;
	nl_msg_fn *on_msg;
	nl_overrun_fn *on_overrun;
	nl_fill_fn *on_fill;
	unsigned fill_percent; /* as told last */
	void *arg;
	size_t rcvbuf_bytes;
	size_t rcvbuf_max_bytes;
	uint64_t overruns;
	bool is_reading;
	bool is_closed; /* while is_reading: freed when the reading returns */
	struct mmsghdr headers[SLOTS];
	struct iovec iovs[SLOTS];
	struct sockaddr_nl senders[SLOTS];
	char *arena;
};

int nl_open(int bus, struct mnl_socket **ret_socket)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int err;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(s);
		return err;
	}
	*ret_socket = s;
	return 0;
}

size_t nl_set_rcvbuf(int fd, size_t bytes)
{
	int want = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
	int got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len);
	return (size_t)got;
}

static void grow(struct nl_sock *sock)
{
	size_t bytes = sock->rcvbuf_bytes * 2;
	size_t got;

	if (bytes > sock->rcvbuf_max_bytes)
		bytes = sock->rcvbuf_max_bytes;
	if (bytes <= sock->rcvbuf_bytes)
		return;
	got = nl_set_rcvbuf(mnl_socket_get_fd(sock->socket), bytes);
	sock->rcvbuf_bytes = bytes;
	log_info("nl", "%s: receive buffer grown to %zu bytes", sock->name, got);
}

/* News was lost. Until the queue has been read empty the kernel drops more of it (see
 * netlink_rcv_wake()), so the reading goes on. */
static void overrun(struct nl_sock *sock)
{
	sock->overruns++;
	grow(sock);
	if (sock->on_overrun)
		sock->on_overrun(sock->arg);
}

static void take_datagram(struct nl_sock *sock, unsigned i)
{
	const struct nlmsghdr *nlh = sock->iovs[i].iov_base;
	int left = (int)sock->headers[i].msg_len;

	/* Only the kernel is believed. */
	if (sock->headers[i].msg_hdr.msg_namelen != sizeof(struct sockaddr_nl) ||
	    sock->senders[i].nl_pid != 0)
		return;
	if (sock->headers[i].msg_hdr.msg_flags & MSG_TRUNC) {
		overrun(sock);
		return;
	}
	for (; !sock->is_closed && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE)
			sock->on_msg(sock->arg, nlh);
		else if (nlh->nlmsg_type == NLMSG_OVERRUN)
			overrun(sock);
	}
}

static int receive(struct nl_sock *sock)
{
	int n;

	for (unsigned i = 0; i < SLOTS; i++)
		sock->headers[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_nl);
	n = recvmmsg(mnl_socket_get_fd(sock->socket), sock->headers, SLOTS, MSG_DONTWAIT, NULL);
	return n < 0 ? -errno : n;
}

static unsigned fill_of(const struct nl_sock *sock)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(mnl_socket_get_fd(sock->socket), SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
	    info[SK_MEMINFO_RCVBUF] == 0)
		return 0;
	return (unsigned)((uint64_t)info[SK_MEMINFO_RMEM_ALLOC] * 100 / info[SK_MEMINFO_RCVBUF]);
}

static void tell_fill(struct nl_sock *sock, bool may_be_more)
{
	unsigned percent = may_be_more && sock->on_fill ? fill_of(sock) : 0;

	if (percent == sock->fill_percent)
		return;
	sock->fill_percent = percent;
	sock->on_fill(sock->arg, percent);
}

enum heard { HEARD_NOTHING, HEARD_ALL, HEARD_PART, CLOSED };

/* Reads what there is, within ROUNDS. CLOSED: by a callback, and `sock` is gone. */
static enum heard read_news(struct nl_sock *sock)
{
	enum heard heard = HEARD_NOTHING;
	unsigned round = 0;

	sock->is_reading = true;
	for (; round < ROUNDS && !sock->is_closed; round++) {
		int n = receive(sock);

		if (n != -ENOBUFS && n != -EINTR)
			tell_fill(sock, n == SLOTS);
		if (n == -EAGAIN || n == -EINTR)
			break;
		heard = HEARD_ALL;
		if (n == -ENOBUFS) {
			overrun(sock);
			continue;
		}
		if (n < 0) {
			log_warnx("nl", "%s: recvmmsg: %s", sock->name, strerror(-n));
			break;
		}
		for (int i = 0; i < n && !sock->is_closed; i++)
			take_datagram(sock, (unsigned)i);
		if (n < SLOTS)
			break;
	}
	sock->is_reading = false;
	if (!sock->is_closed)
		return round < ROUNDS ? heard : HEARD_PART;
	nl_sock_close(sock);
	return CLOSED;
}

/* A wake-up costs as much as ten events, so a stream is read once a pause. It is counted from this
 * turn's time: whoever waits as long with the same news wakes up in the same turn as we. */
static void pause_after(struct nl_sock *sock, enum heard heard)
{
	watch_set_events(sock->watch, 0);
	timer_set(sock->pause,
		  heard == HEARD_PART ? MONO_ZERO : mono_add(loop_now(sock->loop), sock->pause_ns));
}

static void sock_on_readable(void *arg, unsigned events)
{
	struct nl_sock *sock = arg;
	enum heard heard = read_news(sock);

	(void)events;
	if ((heard == HEARD_ALL || heard == HEARD_PART) && sock->pause_ns)
		pause_after(sock, heard);
}

static void sock_on_pause(void *arg)
{
	struct nl_sock *sock = arg;
	enum heard heard = read_news(sock);

	if (heard == HEARD_NOTHING)
		watch_set_events(sock->watch, LOOP_READ);
	else if (heard != CLOSED)
		pause_after(sock, heard);
}

int nl_sock_set_group(struct nl_sock *sock, unsigned group, bool is_member)
{
	int number = (int)group;

	if (mnl_socket_setsockopt(sock->socket,
				  is_member ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
				  &number, sizeof(number)) < 0)
		return -errno;
	return 0;
}

/* Multicasts pass the socket filter before they are queued: do_one_broadcast() in the kernel. */
int nl_sock_ignore(struct nl_sock *sock, const uint32_t *portids, unsigned count)
{
	struct sock_filter code[NL_IGNORE_MAX + 3];
	struct sock_fprog program = { .filter = code };
	unsigned n = 0;

	assert(count <= NL_IGNORE_MAX);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct nlmsghdr, nlmsg_pid));
	/* The header is in host order, the load takes it for network order. */
	for (unsigned i = 0; i < count; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 htonl(portids[i]),
							 (uint8_t)(count - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	program.len = (unsigned short)n;
	if (setsockopt(mnl_socket_get_fd(sock->socket), SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0)
		return -errno;
	return 0;
}

static int join(struct nl_sock *sock, const struct nl_sock_config *config)
{
	int err = 0;

	for (unsigned i = 0; i < config->group_count && err == 0; i++)
		err = nl_sock_set_group(sock, config->groups[i], true);
	return err;
}

int nl_sock_open(struct loop *loop, const struct nl_sock_config *config, nl_msg_fn *on_msg,
		 nl_overrun_fn *on_overrun, void *arg, struct nl_sock **ret_sock)
{
	struct nl_sock *sock = xcalloc(1, sizeof(*sock));
	int err;

	sock->loop = loop;
	sock->pause_ns = config->pause_ns;
	sock->name = config->name;
	sock->on_msg = on_msg;
	sock->on_overrun = on_overrun;
	sock->on_fill = config->on_fill;
	sock->arg = arg;
	sock->rcvbuf_bytes = config->rcvbuf_bytes;
	sock->rcvbuf_max_bytes = config->rcvbuf_max_bytes;
	sock->arena = xcalloc(SLOTS, SLOT_STRIDE);
	for (unsigned i = 0; i < SLOTS; i++) {
		sock->iovs[i] = (struct iovec){ sock->arena + (size_t)i * SLOT_STRIDE, SLOT_BYTES };
		sock->headers[i].msg_hdr.msg_iov = &sock->iovs[i];
		sock->headers[i].msg_hdr.msg_iovlen = 1;
		sock->headers[i].msg_hdr.msg_name = &sock->senders[i];
	}
	err = nl_open(config->bus, &sock->socket);
	if (err < 0)
		goto fail;
	/* Before the first group: news may come at once. */
	nl_set_rcvbuf(mnl_socket_get_fd(sock->socket), sock->rcvbuf_bytes);
	err = join(sock, config);
	if (err < 0)
		goto fail_socket;
	sock->watch = watch_new(loop, mnl_socket_get_fd(sock->socket), LOOP_READ, config->prio,
				config->name, sock_on_readable, sock);
	sock->pause = timer_new(loop, config->name, sock_on_pause, sock);
	*ret_sock = sock;
	return 0;

fail_socket:
	mnl_socket_close(sock->socket);
fail:
	free(sock->arena);
	free(sock);
	return err;
}

void nl_sock_close(struct nl_sock *sock)
{
	if (!sock)
		return;
	if (sock->socket) {
		watch_free(sock->watch);
		timer_free(sock->pause);
		mnl_socket_close(sock->socket);
		sock->socket = NULL;
	}
	if (sock->is_reading) {
		sock->is_closed = true;
		return;
	}
	free(sock->arena);
	free(sock);
}

uint32_t nl_sock_portid(const struct nl_sock *sock)
{
	return mnl_socket_get_portid(sock->socket);
}

uint64_t nl_sock_overruns(const struct nl_sock *sock)
{
	return sock->overruns;
}
