/* nl_dump.c: dumps in slices from the loop, and single synchronous requests */
#include "nl/nl_impl.h"

#include "base/xalloc.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	REQUEST_MAX = 512,
	SEQ = 1, /* one request per socket: its answers carry this number */
	/* Datagrams a turn: some 200 conntrack entries, below a millisecond of the kernel's time,
	 * for recvmsg() is what makes the kernel dump the next part. */
	SLICE = 2,
	TALK_TIMEOUT_MS = 5000, /* rtnl_lock may be held for long by others */
};

/* What a datagram said about the end of the answer. */
struct answer {
	bool is_end;
	bool is_interrupted; /* NLM_F_DUMP_INTR: the table changed under the dump */
	int error;
};

struct nl_dump {
	struct mnl_socket *socket;
	struct watch *watch;
	nl_msg_fn *on_msg;
	nl_done_fn *on_done;
	void *arg;
	struct answer answer;
	bool is_reading;
	bool is_paused;
	bool is_cancelled; /* while is_reading: freed when the reading returns */
	_Alignas(NLMSG_ALIGNTO) char buffer[NL_DATAGRAM_MAX];
};

/* Walks a datagram; `is_cancelled` may be set by on_msg. */
static void walk(const char *buffer, size_t len, nl_msg_fn *on_msg, void *arg,
		 const bool *is_cancelled, struct answer *answer)
{
	const struct nlmsghdr *nlh = (const void *)buffer;
	int left = (int)len;

	for (; !*is_cancelled && !answer->is_end && mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != SEQ)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			answer->is_interrupted = true;
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE) {
			if (on_msg)
				on_msg(arg, nlh);
		} else if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
			/* Both begin with 0 or a negative error; old dumps leave it out. */
			answer->is_end = true;
			if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int))
				memcpy(&answer->error, mnl_nlmsg_get_payload(nlh), sizeof(int));
		}
	}
}

static int verdict(const struct answer *answer)
{
	if (answer->error > 0)
		return -EPROTO;
	if (answer->error == 0 && answer->is_interrupted)
		return -EINTR;
	return answer->error;
}

/* Receives one datagram of the kernel; its length or negative errno, 0 for one to ignore. */
static ssize_t receive(struct mnl_socket *socket, char *buffer)
{
	struct sockaddr_nl sender = { .nl_family = AF_UNSPEC };
	struct iovec iov = { buffer, NL_DATAGRAM_MAX };
	struct msghdr header = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n = recvmsg(mnl_socket_get_fd(socket), &header, MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (header.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return sender.nl_pid == 0 ? n : 0;
}

static int send_request(struct mnl_socket *socket, const struct nlmsghdr *nlh)
{
	while (mnl_socket_sendto(socket, nlh, nlh->nlmsg_len) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static void close_socket(struct nl_dump *dump)
{
	watch_free(dump->watch);
	dump->watch = NULL;
	if (dump->socket)
		mnl_socket_close(dump->socket);
	dump->socket = NULL;
}

static void dump_on_readable(void *arg, unsigned events)
{
	struct nl_dump *dump = arg;
	ssize_t n = 0;

	(void)events;
	dump->is_reading = true;
	for (int i = 0; i < SLICE && n >= 0 && !dump->answer.is_end && !dump->is_cancelled &&
			!dump->is_paused; i++) {
		n = receive(dump->socket, dump->buffer);
		if (n > 0)
			walk(dump->buffer, (size_t)n, dump->on_msg, dump->arg, &dump->is_cancelled,
			     &dump->answer);
	}
	if (n < 0 && n != -EAGAIN) {
		dump->answer.is_end = true;
		dump->answer.error = (int)n;
	}
	if (dump->answer.is_end && !dump->is_cancelled) {
		close_socket(dump);
		dump->on_done(dump->arg, verdict(&dump->answer));
		dump->is_cancelled = true;
	}
	dump->is_reading = false;
	if (dump->is_cancelled)
		nl_dump_cancel(dump);
}

int nl_dump_start(struct loop *loop, const char *name, int bus, const struct nlmsghdr *request,
		  nl_msg_fn *on_msg, nl_done_fn *on_done, void *arg, struct nl_dump **ret_dump)
{
	union {
		struct nlmsghdr nlh;
		char bytes[REQUEST_MAX];
	} copy;
	struct nl_dump *dump;
	int err;

	if (request->nlmsg_len > sizeof(copy) || request->nlmsg_len < sizeof(*request))
		return -EMSGSIZE;
	memcpy(copy.bytes, request, request->nlmsg_len);
	copy.nlh.nlmsg_flags |= NLM_F_REQUEST;
	copy.nlh.nlmsg_seq = SEQ;
	dump = xcalloc(1, sizeof(*dump));
	err = nl_open(bus, &dump->socket);
	if (err < 0)
		goto fail;
	err = send_request(dump->socket, &copy.nlh);
	if (err < 0)
		goto fail;
	dump->on_msg = on_msg;
	dump->on_done = on_done;
	dump->arg = arg;
	dump->watch = watch_new(loop, mnl_socket_get_fd(dump->socket), LOOP_READ, LOOP_NORMAL, name,
				dump_on_readable, dump);
	*ret_dump = dump;
	return 0;

fail:
	close_socket(dump);
	free(dump);
	return err;
}

void nl_dump_cancel(struct nl_dump *dump)
{
	if (!dump)
		return;
	if (dump->is_reading) {
		dump->is_cancelled = true;
		return;
	}
	close_socket(dump);
	free(dump);
}

void nl_dump_pause(struct nl_dump *dump, bool is_paused)
{
	dump->is_paused = is_paused;
	if (dump->watch)
		watch_set_events(dump->watch, is_paused ? 0 : LOOP_READ);
}

int nl_talk(int bus, struct nlmsghdr *request, nl_msg_fn *on_msg, void *arg)
{
	const bool is_cancelled = false;
	struct answer answer = { .is_end = false };
	struct mnl_socket *socket;
	char *buffer;
	int err = nl_open(bus, &socket);

	if (err < 0)
		return err;
	buffer = xcalloc(1, NL_DATAGRAM_MAX);
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = SEQ;
	err = send_request(socket, request);
	while (err == 0 && !answer.is_end) {
		struct pollfd pfd = { .fd = mnl_socket_get_fd(socket), .events = POLLIN };
		ssize_t n = receive(socket, buffer);

		if (n > 0)
			walk(buffer, (size_t)n, on_msg, arg, &is_cancelled, &answer);
		else if (n < 0 && n != -EAGAIN)
			err = (int)n;
		else if (n == -EAGAIN && poll(&pfd, 1, TALK_TIMEOUT_MS) == 0)
			err = -ETIMEDOUT;
	}
	free(buffer);
	mnl_socket_close(socket);
	return err < 0 ? err : verdict(&answer);
}
