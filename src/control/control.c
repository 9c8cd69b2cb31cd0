/* control.c: the socket: who may connect, bounded buffers, back-pressure */
#include "control/control.h"
#include "base/list.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "control/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	struct list link;
	struct control *control;
	struct watch *watch;
	int fd;
	uint8_t head[FRAME_REQUEST_HEAD];
	size_t head_len;
	char *request; /* CONTROL_REQUEST_MAX at most, by the announced length */
	size_t request_len, request_size;
	char *out;
	size_t out_start, out_end, out_size;
	bool is_lost; /* fell too far behind, or the socket broke */
	bool is_saying_why;
	bool is_full; /* chunks were dropped: the list is given up before the loop sleeps */
	struct talk talk;
};

struct control {
	struct loop *loop;
	const struct control_ops *ops;
	void *node;
	int fd;
	struct watch *watch;
	struct hook *hook;
	struct list clients;
	unsigned client_count;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static size_t unread(const struct client *client)
{
	return client->out_end - client->out_start;
}

static void client_free(struct client *client)
{
	talk_fini(&client->talk);
	list_del(&client->link);
	client->control->client_count--;
	watch_free(client->watch);
	close(client->fd);
	free(client->request);
	free(client->out);
	free(client);
}

static void client_append(struct client *client, const void *data, size_t len)
{
	if (client->out_start > 0 && client->out_end + len > client->out_size) {
		memmove(client->out, client->out + client->out_start, unread(client));
		client->out_end -= client->out_start;
		client->out_start = 0;
	}
	while (client->out_end + len > client->out_size) {
		client->out_size = client->out_size ? client->out_size * 2 : 16 * 1024;
		client->out = xrealloc(client->out, client->out_size, 1);
	}
	memcpy(client->out + client->out_end, data, len);
	client->out_end += len;
}

static void client_chunk(void *arg, char type, const char *data, size_t len)
{
	struct client *client = arg;
	uint8_t head[FRAME_CHUNK_HEAD];

	if (client->is_lost || client->is_full)
		return;
	if (!client->is_saying_why && unread(client) + len + sizeof(head) > CONTROL_OUTPUT_MAX) {
		client->is_full = true;
		return;
	}
	frame_chunk_head(head, type, len);
	client_append(client, head, sizeof(head));
	client_append(client, data, len);
	if (unread(client) > CONTROL_PAUSE_BYTES)
		talk_pause(&client->talk, true);
}

/* Not where it is noticed: that is inside of a row of the walk that has to be cancelled. */
static void client_give_up(struct client *client)
{
	client->is_full = false;
	/* What is said now is short; it may pass the limit. */
	client->is_saying_why = true;
	talk_give_up(&client->talk, "the reader is too slow: the list is not complete");
	client->is_saying_why = false;
}

static void client_send(struct client *client)
{
	while (!client->is_lost && unread(client) > 0) {
		ssize_t n = send(client->fd, client->out + client->out_start, unread(client),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			client->is_lost = true;
		else
			client->out_start += (size_t)n;
	}
	if (unread(client) < CONTROL_RESUME_BYTES)
		talk_pause(&client->talk, false);
	if (unread(client) == 0 && client->out_size > CONTROL_PAUSE_BYTES) {
		free(client->out);
		client->out = NULL;
		client->out_size = client->out_start = client->out_end = 0;
	}
}

/* While a reply is on its way the next request waits in the socket; a closed peer still shows, as
 * an error of send(). */
static void client_rearm(struct client *client)
{
	bool is_waiting = !talk_is_busy(&client->talk) && unread(client) == 0;

	watch_set_events(client->watch,
			 (is_waiting ? LOOP_READ : 0u) | (unread(client) > 0 ? LOOP_WRITE : 0u));
}

/* One request at most a call; 1: it is complete, 0: more is to come, negative: let go. */
static int client_receive(struct client *client)
{
	bool in_head = client->head_len < FRAME_REQUEST_HEAD;
	char *to = in_head ? (char *)client->head + client->head_len
			   : client->request + client->request_len;
	size_t want = in_head ? FRAME_REQUEST_HEAD - client->head_len
			      : client->request_size - client->request_len;
	ssize_t n = recv(client->fd, to, want, MSG_DONTWAIT);
	int64_t len;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (!in_head) {
		client->request_len += (size_t)n;
		return client->request_len == client->request_size;
	}
	client->head_len += (size_t)n;
	if (client->head_len < FRAME_REQUEST_HEAD)
		return 0;
	len = frame_request_len(client->head, CONTROL_REQUEST_MAX);
	if (len < 0)
		return (int)len;
	client->request = xcalloc(1, (size_t)len);
	client->request_size = (size_t)len;
	client->request_len = 0;
	return 0;
}

static void client_on_event(void *arg, unsigned events)
{
	struct client *client = arg;
	bool is_idle = !talk_is_busy(&client->talk) && unread(client) == 0;
	int got = 0;

	if (events & LOOP_READ) {
		if (is_idle)
			got = client_receive(client);
		else if (recv(client->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			got = -EPIPE; /* hung up in the middle of a reply */
	}
	if (got > 0) {
		char *request = client->request;

		client->request = NULL;
		client->head_len = 0;
		talk_request(&client->talk, request, client->request_size);
		free(request);
	}
	client_send(client);
	if (got < 0 || client->is_lost)
		client_free(client);
	else
		client_rearm(client);
}

/* Rows of a list arrive from other callbacks of the turn; what they wrote goes out here. */
static void control_before_sleep(void *arg)
{
	struct control *control = arg;

	list_for_each_safe (it, &control->clients) {
		struct client *client = container_of(it, struct client, link);

		if (client->is_full)
			client_give_up(client);
		if (unread(client) == 0 && !client->is_lost)
			continue;
		client_send(client);
		if (client->is_lost)
			client_free(client);
		else
			client_rearm(client);
	}
}

static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void control_on_accept(void *arg, unsigned events)
{
	struct control *control = arg;
	struct client *client;
	int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (!is_allowed(fd) || control->client_count == CONTROL_CLIENTS) {
		log_warnx("control", "refused a client: %s",
			  is_allowed(fd) ? "too many are connected" : "not root");
		close(fd);
		return;
	}
	client = xcalloc(1, sizeof(*client));
	client->control = control;
	client->fd = fd;
	talk_init(&client->talk, control->ops, control->node, client_chunk, client);
	client->watch = watch_new(control->loop, fd, LOOP_READ, LOOP_NORMAL, "control client",
				  client_on_event, client);
	list_add_tail(&control->clients, &client->link);
	control->client_count++;
}

/* A socket file without a listener was left by a daemon that died; with one we must not take it. */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int err = 0, fd;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED)
		err = -EADDRINUSE;
	close(fd);
	if (err == 0 && unlink(addr->sun_path) < 0)
		err = -errno;
	return err;
}

static int bind_socket(int fd, const struct sockaddr_un *addr)
{
	/* Nobody can connect before listen(), so chmod() in between leaves no gap; the umask is the
	 * process' and stays untouched. */
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	if (chmod(addr->sun_path, 0600) < 0 || listen(fd, CONTROL_CLIENTS) < 0) {
		int err = -errno;

		unlink(addr->sun_path);
		return err;
	}
	return 0;
}

int control_open(struct loop *loop, const char *path, const struct control_ops *ops, void *node,
		 struct control **ret_control)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct control *control;
	int err, fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	err = remove_stale(&addr);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind_socket(fd, &addr);
	if (err < 0) {
		close(fd);
		return err;
	}
	control = xcalloc(1, sizeof(*control));
	control->loop = loop;
	control->ops = ops;
	control->node = node;
	control->fd = fd;
	memcpy(control->path, addr.sun_path, sizeof(control->path));
	list_init(&control->clients);
	control->watch = watch_new(loop, fd, LOOP_READ, LOOP_NORMAL, "control socket",
				   control_on_accept, control);
	control->hook = hook_new(loop, "control output", control_before_sleep, control);
	*ret_control = control;
	return 0;
}

void control_close(struct control *control)
{
	list_for_each_safe (it, &control->clients)
		client_free(container_of(it, struct client, link));
	hook_free(control->hook);
	watch_free(control->watch);
	close(control->fd);
	unlink(control->path);
	free(control);
}
