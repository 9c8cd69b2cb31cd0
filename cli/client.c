/* client.c: talks to the control socket */
#include "client.h"
#include "control/frame.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* No chunk of the daemon is larger than what it would keep for a client. */
enum { CHUNK_MAX = 8 * 1024 * 1024 };

void client_init(struct client *client, const char *path)
{
	*client = (struct client){.path = path, .fd = -1, .signal_fd = -1};
}

static void client_hang_up(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

void client_fini(struct client *client)
{
	client_hang_up(client);
	if (client->signal_fd >= 0)
		close(client->signal_fd);
	client->signal_fd = -1;
}

int client_catch_interrupt(struct client *client)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	client->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return client->signal_fd < 0 ? -errno : 0;
}

/* Takes an interrupt that is waiting. */
static bool take_interrupt(struct client *client)
{
	struct signalfd_siginfo info;

	return client->signal_fd >= 0 &&
	       read(client->signal_fd, &info, sizeof(info)) == sizeof(info);
}

static int client_connect(struct client *client)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (client->fd >= 0)
		return 0;
	if (strlen(client->path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, client->path, strlen(client->path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	client->fd = fd;
	return 0;
}

static int send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_all(struct client *client, void *data, size_t len)
{
	char *p = data;

	while (len > 0) {
		struct pollfd fds[2] = {{client->fd, POLLIN, 0}, {client->signal_fd, POLLIN, 0}};
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (take_interrupt(client))
			return -EINTR;
		n = recv(client->fd, p, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(struct client *client, const char *json)
{
	uint8_t head[FRAME_REQUEST_HEAD];
	int err = client_connect(client);

	frame_request_head(head, strlen(json));
	if (err == 0)
		err = send_all(client->fd, head, sizeof(head));
	if (err == 0)
		err = send_all(client->fd, json, strlen(json));
	return err;
}

/* One chunk. Its exit status, -EAGAIN when more chunks follow, or another negative errno. */
static int receive_chunk(struct client *client, client_chunk_fn *fn, void *arg)
{
	uint8_t head[FRAME_CHUNK_HEAD];
	uint32_t len;
	char *data;
	int err = receive_all(client, head, sizeof(head));

	if (err < 0)
		return err;
	len = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
	if (len > CHUNK_MAX || (head[0] == 'x' && len != 1))
		return -EPROTO;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	err = receive_all(client, data, len);
	if (err == 0) {
		data[len] = '\0';
		err = -EAGAIN;
		if (head[0] == 'x')
			err = data[0] >= 0 && data[0] <= 2 ? data[0] : -EPROTO;
		else
			fn(arg, (char)head[0], data, len);
	}
	free(data);
	return err;
}

int client_ask(struct client *client, json_t *request, client_chunk_fn *fn, void *arg)
{
	bool was_connected = client->fd >= 0;
	char *json = json_dumps(request, JSON_COMPACT);
	bool has_answered = false;
	int err;

	json_decref(request);
	if (!json)
		return -EINVAL;
	take_interrupt(client);
retry:
	err = send_request(client, json);
	while (err == 0 || err == -EAGAIN) {
		err = receive_chunk(client, fn, arg);
		if (err != -ECONNRESET)
			has_answered = true;
		if (err >= 0)
			break;
	}
	if (err < 0)
		client_hang_up(client);
	/* A connection that was idle may belong to a daemon that has been restarted since. */
	if ((err == -ECONNRESET || err == -EPIPE) && was_connected && !has_answered) {
		was_connected = false;
		goto retry;
	}
	free(json);
	return err;
}

void client_explain(const struct client *client, int err)
{
	if (err == -EINTR)
		return;
	if (err == -EACCES || err == -EPERM) {
		fprintf(stderr,
			"flowkeep: may not talk to the daemon at %s: %s\nTry again as root.\n",
			client->path, strerror(-err));
		return;
	}
	if (err == -ECONNRESET || err == -EPIPE) {
		fprintf(stderr,
			"flowkeep: the daemon at %s closed the connection\n"
			"It was stopped, too many clients are connected, or it belongs to another "
			"user.\n",
			client->path);
		return;
	}
	fprintf(stderr,
		"flowkeep: no daemon answers at %s: %s\n"
		"Start it with `flowkeepd -f /etc/flowkeep/flowkeep.conf` (or `systemctl start "
		"flowkeepd`),\nor name another socket with -s.\n",
		client->path, strerror(-err));
}
