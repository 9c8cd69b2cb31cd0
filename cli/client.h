/* client.h: one connection to the daemon's control socket, blocking */
#ifndef FK_CLI_CLIENT_H
#define FK_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Type as in control/control.h: 't', 'e', 'q'. */
typedef void client_chunk_fn(void *arg, char type, const char *data, size_t len);

struct client {
	const char *path;
	int fd;        /* -1: not connected */
	int signal_fd; /* SIGINT ends a reply; -1: nobody asked for that */
};

void client_init(struct client *client, const char *path);
void client_fini(struct client *client);
/* From now on SIGINT ends a reply that is being printed, not the program. */
int client_catch_interrupt(struct client *client);
/* Sends the request (taken), hands the chunks of the reply to fn. The exit status 0..2, or negative
 * errno: what connecting or talking said; -EINTR when interrupted. Connects when needed, and once
 * more when the daemon was restarted since the last request. */
int client_ask(struct client *client, json_t *request, client_chunk_fn *fn, void *arg);
/* Tells on stderr why nobody answers and what to do next. */
void client_explain(const struct client *client, int err);

#endif
