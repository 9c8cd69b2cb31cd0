/* tcp.c: the TCP clients: download, upload (checksummed), echo (a keystroke every 20 ms), idle
 * (waits until the server speaks first)
 */
#include "traffic.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct session {
	const struct options *options;
	int fd, signals;
	bool is_up, is_ending, is_over;
	int error;                         /* negative errno of the socket, 0 while it lives */
	int64_t started_ns, last_ns, stall_ns, ended_ns;
	struct receiver receiver;
	struct sender sender;
	uint64_t acked;                    /* upload: blocks the server has said to have */
	int verdict;                       /* upload: 'K' right, 'X' wrong, 0 not yet */
	uint32_t asked, answered;          /* echo */
	int64_t asked_ns, rtt_max_ns;
	unsigned heard, agreed;            /* idle */
};

/* Something of ours arrived: the longest wait for that is the stall. */
static void session_on_progress(struct session *session)
{
	int64_t now = now_ns();

	if (!session->is_up) {
		session->is_up = true;
		ready_tell(session->options);
	} else if (now - session->last_ns > session->stall_ns) {
		session->stall_ns = now - session->last_ns;
	}
	session->last_ns = now;
}

static bool is_kind(const struct session *session, const char *kind)
{
	return strcmp(session->options->kind, kind) == 0;
}

static bool session_is_right(const struct session *session)
{
	int64_t silent = now_ns() - session->last_ns;

	if (session->error || !session->is_up)
		return false;
	if (is_kind(session, "download"))
		return session->receiver.is_done && session->receiver.is_right;
	if (is_kind(session, "upload"))
		return session->verdict == 'K';
	if (is_kind(session, "echo"))
		return silent < (int64_t)session->options->alive_ms * 1000000;
	return session->options->is_half_closed ? session->heard : session->agreed;
}

static void session_print(const struct session *session)
{
	uint8_t sum[32] = { 0 };
	char hex[65];
	int64_t end = session->is_over ? session->ended_ns : now_ns(), stall = session->stall_ns;

	if (session->is_up && end - session->last_ns > stall)
		stall = end - session->last_ns;
	memcpy(sum, is_kind(session, "upload") ? session->sender.sum : session->receiver.ours, 32);
	hex_of(sum, hex);
	printf("{\"name\":\"%s\",\"kind\":\"%s\",\"ok\":%s,\"up\":%s,\"error\":\"%s\",\"seconds\":%.3f,"
	       "\"stall_ms\":%.1f",
	       session->options->name, session->options->kind,
	       session_is_right(session) ? "true" : "false", session->is_up ? "true" : "false",
	       session->error ? strerror(-session->error) : "",
	       ms_of(end - session->started_ns) / 1000, ms_of(stall));
	if (is_kind(session, "download"))
		printf(",\"bytes\":%lu,\"sha256\":\"%s\"", session->receiver.bytes, hex);
	else if (is_kind(session, "upload"))
		printf(",\"bytes\":%lu,\"sha256\":\"%s\"", session->sender.bytes, hex);
	else if (is_kind(session, "echo"))
		printf(",\"sent\":%u,\"answered\":%u,\"rtt_max_ms\":%.1f", session->asked,
		       session->answered, ms_of(session->rtt_max_ns));
	else
		printf(",\"heard\":%u,\"agreed\":%u", session->heard, session->agreed);
	puts("}");
	fflush(stdout);
}

static void echo_take(struct session *session, const uint8_t *data, size_t len)
{
	/* One request is out at a time, 16 bytes; its answer may come in pieces. */
	static const size_t request_bytes = 16;

	(void)data;
	session->receiver.left += len;
	if (session->receiver.left < request_bytes)
		return;
	session->receiver.left = 0;
	session->answered++;
	if (now_ns() - session->asked_ns > session->rtt_max_ns)
		session->rtt_max_ns = now_ns() - session->asked_ns;
}

static void upload_take(struct session *session, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '.')
			session->acked++;
		else
			session->verdict = data[i];
	}
	if (session->verdict)
		session->is_over = true;
}

/* The server says 's' first, we answer 'h', it closes the round with 'a'; 'w' is its welcome. */
static void idle_take(struct session *session, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == 's') {
			session->heard++;
			if (!session->options->is_half_closed)
				(void)send(session->fd, "h", 1, MSG_NOSIGNAL);
		} else if (data[i] == 'a') {
			session->agreed++;
		}
	}
}

static void session_receive(struct session *session)
{
	uint8_t data[16384];
	ssize_t n = recv(session->fd, data, sizeof(data), 0);

	if (n < 0) {
		if (errno != EAGAIN)
			session->error = -errno;
		return;
	}
	if (n == 0) {
		if (!session->is_ending && !session->is_over)
			session->error = -ECONNRESET;
		session->is_over = true;
		return;
	}
	session_on_progress(session);
	if (is_kind(session, "download")) {
		session->error = receiver_take(&session->receiver, data, (size_t)n);
		session->is_over = session->receiver.is_done;
	} else if (is_kind(session, "upload")) {
		upload_take(session, data, (size_t)n);
	} else if (is_kind(session, "echo")) {
		echo_take(session, data, (size_t)n);
	} else {
		idle_take(session, data, (size_t)n);
	}
}

static void session_send(struct session *session)
{
	uint8_t request[16] = "keystroke";
	int64_t gap = 1000000000 / session->options->hz;
	int r = 0;

	if (is_kind(session, "upload"))
		r = sender_run(&session->sender, session->fd);
	else if (is_kind(session, "echo") && session->asked == session->answered &&
		 now_ns() - session->asked_ns >= gap) {
		session->asked_ns = now_ns();
		session->asked++;
		r = (int)send(session->fd, request, sizeof(request), MSG_NOSIGNAL);
	}
	if (r < 0)
		session->error = is_kind(session, "upload") ? r : -errno;
}

/* SIGTERM: streams are brought to their proper end, which must itself work. */
static void session_end(struct session *session)
{
	session->is_ending = true;
	session->ended_ns = now_ns();
	if (is_kind(session, "download"))
		shutdown(session->fd, SHUT_WR);
	else if (is_kind(session, "upload"))
		session->sender.is_ending = true;
	else
		session->is_over = true;
}

static void session_greet(struct session *session)
{
	const struct options *options = session->options;
	char line[64];
	int len = snprintf(line, sizeof(line), "%c %lu %lu\n", options->kind[0] - 32, options->rate,
			   options->bytes);

	if (send(session->fd, line, (size_t)len, MSG_NOSIGNAL) != len)
		session->error = -EPIPE;
	if (options->is_half_closed)
		shutdown(session->fd, SHUT_WR);
	sender_init(&session->sender, options->rate, options->bytes, (uint64_t)now_ns());
	receiver_init(&session->receiver);
}

static void session_run(struct session *session)
{
	int64_t grace = (int64_t)session->options->alive_ms * 1000000;

	while (!session->is_over && !session->error) {
		struct pollfd fds[2] = { { session->fd, POLLIN, 0 }, { session->signals, POLLIN, 0 } };
		int64_t now = now_ns();
		int got = 0;

		if ((session->is_ending && now - session->ended_ns > grace + 2000000000) ||
		    now - session->started_ns > (int64_t)TRAFFIC_MAX_S * 1000000000)
			break;
		if (is_kind(session, "upload") && sender_is_blocked(&session->sender))
			fds[0].events |= POLLOUT;
		poll(fds, 2, is_kind(session, "upload") ? 5 : is_kind(session, "echo") ? 4 : 200);
		if (fds[1].revents)
			got = signals_read(session->signals);
		if (got == SIGUSR2)
			session_print(session);
		else if ((got == SIGTERM || got == SIGINT) && !session->is_ending)
			session_end(session);
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			session_receive(session);
		if (!session->error)
			session_send(session);
	}
	session->ended_ns = now_ns();
	session->is_over = true;
}

int stream_main(const struct options *options)
{
	struct session session = { .options = options, .fd = -1, .started_ns = now_ns() };
	struct pollfd fds = { .events = POLLOUT };
	socklen_t len = sizeof(session.error);
	int r = 1;

	session.signals = signals_open();
	session.error = socket_to(options, SOCK_STREAM, 0, &session.fd);
	if (!session.error) {
		fds.fd = session.fd;
		if (poll(&fds, 1, 5000) < 1)
			session.error = -ETIMEDOUT;
		else if (getsockopt(session.fd, SOL_SOCKET, SO_ERROR, &session.error, &len) == 0)
			session.error = -session.error;
	}
	if (!session.error) {
		session_greet(&session);
		session_run(&session);
	}
	session_print(&session);
	r = session_is_right(&session) ? 0 : 1;
	if (session.sender.digest) {
		sender_fini(&session.sender);
		receiver_fini(&session.receiver);
	}
	if (session.fd >= 0)
		close(session.fd);
	close(session.signals);
	return r;
}
