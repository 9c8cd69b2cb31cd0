/* flowkeep.c: the command line: one command, a prompt, or commands from standard input */
#include "shell.h"

#include "control/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/flowkeep/flowkeep.sock"

static void print_usage(FILE *out)
{
	char words[160];

	fprintf(out, "usage: flowkeep [-s SOCKET] [--json] [WORD ...]\n"
		     "One command, or a prompt without words.\n\n"
		     "  -s, --socket SOCKET  of the daemon (" DEFAULT_SOCKET ")\n"
		     "      --json           answers as JSON\n"
		     "  -h, --help           this text\n"
		     "      --version        the version\n\n"
		     "Commands; words may be cut short:\n");
	for (unsigned i = 0; i < command_count; i++) {
		command_format(&commands[i], words, sizeof(words));
		fprintf(out, "  %-44s %s\n", words, commands[i].help);
	}
	fprintf(out, "\nExit status: 0 done, 1 refused by the daemon, 2 usage, 3 no daemon.\n");
}

static int read_lines(struct shell *shell)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	while (!shell->is_over && getline(&line, &size, stdin) >= 0) {
		int this_status;

		line[strcspn(line, "\r\n")] = '\0';
		this_status = shell_line(shell, line);
		/* The first thing that went wrong is what the caller should hear of. */
		if (status == 0)
			status = this_status;
		if (this_status == SHELL_NO_DAEMON)
			break;
	}
	free(line);
	return status ? status : shell_end(shell);
}

static int prompt(struct shell *shell)
{
	int err;

	if (client_catch_interrupt(shell->client) < 0)
		return SHELL_REFUSED;
	err = shell_learn_hostname(shell);
	if (err < 0) {
		client_explain(shell->client, err);
		return SHELL_NO_DAEMON;
	}
	return shell_edit(shell);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	const char *path = DEFAULT_SOCKET;
	bool is_json = false, is_prompt;
	struct client client;
	struct shell shell;
	int option, status;

	/* "+": what follows the first word belongs to the command. */
	while ((option = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			path = optarg;
			break;
		case 'j':
			is_json = true;
			break;
		case 'h':
			print_usage(stdout);
			return 0;
		case 'v':
			printf("flowkeep " FK_VERSION "\n");
			return 0;
		default:
			fprintf(stderr, "Try flowkeep --help.\n");
			return SHELL_USAGE;
		}
	}
	is_prompt = optind == argc && isatty(STDIN_FILENO);
	client_init(&client, path);
	shell_init(&shell, &client, is_json, is_prompt);
	if (optind < argc)
		status = shell_words(&shell, argv + optind, (unsigned)(argc - optind));
	else if (is_prompt)
		status = prompt(&shell);
	else
		status = read_lines(&shell);
	shell_fini(&shell);
	client_fini(&client);
	return status;
}
