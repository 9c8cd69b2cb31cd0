/* shell.h: lines an operator types, to requests
 *
 * The same for a prompt, for a file on standard input, and for the words of one command: a line
 * that opens a config block is kept until the block is whole, and then travels as one text, which
 * the daemon applies whole or not at all. Every line of a block is checked when it is typed.
 */
#ifndef FK_CLI_SHELL_H
#define FK_CLI_SHELL_H

#include "block.h"
#include "client.h"

enum { SHELL_NO_DAEMON = 3, SHELL_USAGE = 2, SHELL_REFUSED = 1 };

struct shell {
	struct client *client;
	bool is_json;
	bool is_interactive; /* a person types: ask questions, check every line, forgive */
	char *pending;       /* the config block so far */
	size_t pending_len;
	struct block block; /* where it ends */
	char hostname[64];
	bool is_over; /* exit was typed */
};

void shell_init(struct shell *shell, struct client *client, bool is_json, bool is_interactive);
void shell_fini(struct shell *shell);
/* One line. The exit status. */
int shell_line(struct shell *shell, const char *line);
/* One command, as words of an argument vector. */
int shell_words(struct shell *shell, char *const *words, unsigned count);
/* The end of the input; a block that is still open is an error. */
int shell_end(struct shell *shell);
/* Asks the daemon for its host name; 0 or negative errno. */
int shell_learn_hostname(struct shell *shell);
/* "fw-a # ", "fw-a (ha) # " */
void shell_prompt(const struct shell *shell, char *out, size_t size);

struct suggestion {
	char word[80];
	char help[160];
};
enum { SHELL_SUGGESTIONS_MAX = 64 };
/* What may come where the text of `len` bytes ends; the length of the word being typed goes to
 * *ret_partial. The number, or negative errno (-EINVAL: inside quotes). */
int shell_suggest(struct shell *shell, const char *text, size_t len,
		  struct suggestion out[SHELL_SUGGESTIONS_MAX], size_t *ret_partial);
/* The prompt: lines from a terminal until exit or end of file. */
int shell_edit(struct shell *shell);

#endif
