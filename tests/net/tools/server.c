/* server.c: the far end of every traffic tool, one process, one poll loop
 *
 * TCP 80: the client's first line says what it wants: D(ownload), U(pload), E(cho), I(dle). SIGUSR1:
 * every idle session is spoken to first. UDP 80 and 53 echo; UDP 9 only counts; SCTP 80 is answered
 * by hand-made packets. At SIGTERM (SIGUSR2: also before) a JSON line tells what was counted.
 */
#include "traffic.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONN_MAX = 256 };

struct conn {
	int fd;
	char line[64];
	unsigned line_len;
	char kind; /* 0 until the first line is complete */
	bool is_over;
	struct sender sender;
	struct receiver receiver;
};

struct server {
	int signals, listener;
	int udp[3], raw4, raw6;
	struct conn *conns[CONN_MAX];
	unsigned conn_count, conns_seen;
	uint64_t udp_echoed, sctp_answered, sunk;
	int64_t sunk_ns, sink_gap_ns; /* the longest silence of the one-way stream */
};

static int bound(int type, uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int one = 1, zero = 0, fd;

	fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 128) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void conn_close(struct conn *conn)
{
	if (conn->kind) {
		sender_fini(&conn->sender);
		receiver_fini(&conn->receiver);
	}
	close(conn->fd);
	free(conn);
}

static void server_accept(struct server *server)
{
	int one = 1, fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *conn;

	if (fd < 0)
		return;
	if (server->conn_count == CONN_MAX) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		abort();
	conn->fd = fd;
	server->conns[server->conn_count++] = conn;
	server->conns_seen++;
}

/* One byte of the first line; the rest of what was read with it belongs to the session. */
static void conn_greet(struct conn *conn, char byte)
{
	uint64_t rate = 0, bytes = 0;
	char kind = 0;

	if (conn->line_len == sizeof(conn->line) - 1) {
		conn->is_over = true;
		return;
	}
	conn->line[conn->line_len++] = byte;
	if (byte != '\n')
		return;
	if (sscanf(conn->line, "%c %lu %lu", &kind, &rate, &bytes) != 3 || !strchr("DUEI", kind) ||
	    rate > TRAFFIC_RATE_MAX) {
		conn->is_over = true;
		return;
	}
	conn->kind = kind;
	sender_init(&conn->sender, rate, bytes, (uint64_t)now_ns());
	receiver_init(&conn->receiver);
	if (kind == 'I')
		(void)send(conn->fd, "w", 1, MSG_NOSIGNAL);
}

static void upload_answer(struct conn *conn, uint64_t blocks_before)
{
	char dots[256];
	size_t n = conn->receiver.blocks - blocks_before;

	memset(dots, '.', sizeof(dots));
	if (n > sizeof(dots) - 1)
		n = sizeof(dots) - 1;
	if (conn->receiver.is_done)
		dots[n++] = conn->receiver.is_right ? 'K' : 'X';
	(void)send(conn->fd, dots, n, MSG_NOSIGNAL);
}

static void conn_take(struct conn *conn, const char *data, size_t len)
{
	uint64_t blocks = conn->receiver.blocks;

	switch (conn->kind) {
	case 'U':
		if (receiver_take(&conn->receiver, (const uint8_t *)data, len) < 0)
			conn->is_over = true;
		upload_answer(conn, blocks);
		break;
	case 'E':
		(void)send(conn->fd, data, len, MSG_NOSIGNAL);
		break;
	case 'I':
		for (size_t i = 0; i < len; i++)
			(void)send(conn->fd, "a", 1, MSG_NOSIGNAL);
		break;
	}
}

static void conn_receive(struct conn *conn)
{
	char data[16384];
	ssize_t n = recv(conn->fd, data, sizeof(data), 0), at = 0;

	if (n < 0) {
		conn->is_over = errno != EAGAIN;
		return;
	}
	if (n == 0) {
		/* A half-closed idle session stays; a half-closed download is asked to end. Reading the
		 * end twice means that the connection is gone. */
		if ((conn->kind == 'D' || conn->kind == 'I') && !conn->sender.is_ending)
			conn->sender.is_ending = true;
		else
			conn->is_over = true;
		return;
	}
	while (at < n && !conn->kind && !conn->is_over)
		conn_greet(conn, data[at++]);
	if (at < n && !conn->is_over)
		conn_take(conn, data + at, (size_t)(n - at));
}

static void sink_count(struct server *server)
{
	int64_t now = now_ns();

	if (server->sunk && now - server->sunk_ns > server->sink_gap_ns)
		server->sink_gap_ns = now - server->sunk_ns;
	server->sunk_ns = now;
	server->sunk++;
}

static void udp_receive(struct server *server, unsigned index)
{
	for (unsigned i = 0; i < 64; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		uint8_t data[2048];
		ssize_t n = recvfrom(server->udp[index], data, sizeof(data), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		if (index == 2) {
			sink_count(server);
			continue;
		}
		server->udp_echoed++;
		(void)sendto(server->udp[index], data, (size_t)n, 0, (struct sockaddr *)&from, from_len);
	}
}

static void sctp_receive(struct server *server, int fd, bool is_v4)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t data[2048], out[2048];
	ssize_t n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	ssize_t at = 0;
	size_t len;

	if (n < 20)
		return;
	if (is_v4)
		at = (data[0] & 15) * 4; /* a raw IPv4 socket delivers the header, an IPv6 one does not */
	if (at >= n)
		return;
	len = sctp_answer(data + at, (size_t)(n - at), PORT_MAIN, out, sizeof(out));
	if (!len)
		return;
	server->sctp_answered++;
	if (!is_v4)
		((struct sockaddr_in6 *)&from)->sin6_port = 0;
	(void)sendto(fd, out, len, 0, (struct sockaddr *)&from, from_len);
}

static void server_print(const struct server *server)
{
	printf("{\"name\":\"server\",\"kind\":\"serve\",\"ok\":true,\"tcp\":%u,\"tcp_open\":%u,"
	       "\"udp_echoed\":%lu,\"sctp_answered\":%lu,\"oneway\":%lu,\"oneway_gap_ms\":%.1f,"
	       "\"oneway_silent_ms\":%.1f}\n",
	       server->conns_seen, server->conn_count, server->udp_echoed, server->sctp_answered,
	       server->sunk, ms_of(server->sink_gap_ns),
	       server->sunk ? ms_of(now_ns() - server->sunk_ns) : 0.0);
	fflush(stdout);
}

static void server_speak(struct server *server)
{
	for (unsigned i = 0; i < server->conn_count; i++)
		if (server->conns[i]->kind == 'I')
			(void)send(server->conns[i]->fd, "s", 1, MSG_NOSIGNAL);
}

/* Sends what is due on every download, and buries sessions that are over. */
static bool server_serve(struct server *server)
{
	bool is_busy = false;

	for (unsigned i = 0; i < server->conn_count; i++) {
		struct conn *conn = server->conns[i];

		if (conn->kind == 'D' && !conn->is_over) {
			int r = sender_run(&conn->sender, conn->fd);

			is_busy = true;
			conn->is_over = r != 0;
			if (r == 1)
				shutdown(conn->fd, SHUT_WR);
		}
		if (!conn->is_over)
			continue;
		conn_close(conn);
		server->conns[i--] = server->conns[--server->conn_count];
	}
	return is_busy;
}

static int server_turn(struct server *server, bool is_busy)
{
	struct pollfd fds[7 + CONN_MAX] = {
		{ server->signals, POLLIN, 0 }, { server->listener, POLLIN, 0 },
		{ server->udp[0], POLLIN, 0 },	{ server->udp[1], POLLIN, 0 },
		{ server->udp[2], POLLIN, 0 },	{ server->raw4, POLLIN, 0 },
		{ server->raw6, POLLIN, 0 },
	};
	unsigned count = server->conn_count;
	int got = 0;

	for (unsigned i = 0; i < count; i++) {
		struct conn *conn = server->conns[i];

		/* Once the peer's FIN is read, readable means nothing any more. */
		fds[7 + i].fd = conn->fd;
		fds[7 + i].events = conn->sender.is_ending ? 0 : POLLIN;
	}
	poll(fds, 7 + count, is_busy ? 5 : 1000);
	if (fds[0].revents)
		got = signals_read(server->signals);
	for (unsigned i = 0; i < count; i++)
		if (fds[7 + i].revents)
			conn_receive(server->conns[i]);
	for (unsigned i = 0; i < 3; i++)
		if (fds[2 + i].revents)
			udp_receive(server, i);
	if (fds[5].revents)
		sctp_receive(server, server->raw4, true);
	if (fds[6].revents)
		sctp_receive(server, server->raw6, false);
	if (fds[1].revents)
		server_accept(server);
	return got;
}

int serve_main(void)
{
	struct server *server = calloc(1, sizeof(*server));
	bool is_busy = false;
	int got = 0;

	if (!server)
		abort();
	server->signals = signals_open();
	server->listener = bound(SOCK_STREAM, PORT_MAIN);
	server->udp[0] = bound(SOCK_DGRAM, PORT_MAIN);
	server->udp[1] = bound(SOCK_DGRAM, PORT_DNS);
	server->udp[2] = bound(SOCK_DGRAM, PORT_SINK);
	server->raw4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_SCTP);
	server->raw6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_SCTP);
	if (server->listener < 0 || server->udp[0] < 0 || server->udp[1] < 0 || server->udp[2] < 0) {
		perror("traffic serve");
		free(server);
		return 2;
	}
	puts("{\"name\":\"server\",\"listening\":true}");
	fflush(stdout);
	for (int64_t start = now_ns(); got != SIGTERM && got != SIGINT;) {
		if (now_ns() - start > (int64_t)TRAFFIC_MAX_S * 2000000000)
			break;
		got = server_turn(server, is_busy);
		if (got == SIGUSR1)
			server_speak(server);
		if (got == SIGUSR2)
			server_print(server);
		is_busy = server_serve(server);
	}
	server_print(server);
	while (server->conn_count)
		conn_close(server->conns[--server->conn_count]);
	for (unsigned i = 0; i < 3; i++)
		close(server->udp[i]);
	close(server->listener);
	close(server->signals);
	if (server->raw4 >= 0)
		close(server->raw4);
	if (server->raw6 >= 0)
		close(server->raw6);
	free(server);
	return 0;
}
