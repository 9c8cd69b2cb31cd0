/* shell.c: lines to requests, replies to the terminal */
#include "shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void shell_init(struct shell *shell, struct client *client, bool is_json, bool is_interactive)
{
	memset(shell, 0, sizeof(*shell));
	shell->client = client;
	shell->is_json = is_json;
	shell->is_interactive = is_interactive;
}

static void forget_block(struct shell *shell)
{
	free(shell->pending);
	shell->pending = NULL;
	shell->pending_len = 0;
	memset(&shell->block, 0, sizeof(shell->block));
}

void shell_fini(struct shell *shell)
{
	forget_block(shell);
}

struct reply {
	char question[512];
};

static void print_chunk(void *arg, char type, const char *data, size_t len)
{
	struct reply *reply = arg;

	if (type == 't')
		fwrite(data, 1, len, stdout);
	else if (type == 'e')
		fprintf(stderr, "flowkeep: %.*s\n", (int)len, data);
	else if (type == 'q')
		snprintf(reply->question, sizeof(reply->question), "%.*s", (int)len, data);
}

static int ask(struct shell *shell, json_t *request, struct reply *reply)
{
	int status = client_ask(shell->client, request, print_chunk, reply);

	if (status == -EINTR)
		return SHELL_REFUSED;
	if (status < 0) {
		client_explain(shell->client, status);
		return SHELL_NO_DAEMON;
	}
	fflush(stdout);
	return status;
}

static bool has_confirmed(const char *question)
{
	char answer[16];

	fputs(question, stdout);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int run(struct shell *shell, json_t *words, bool is_json)
{
	struct reply reply = {.question = ""};
	/* Questions are for people: a script means what it says (DESIGN section 6). */
	bool is_confirmed = !isatty(STDIN_FILENO);
	int status = ask(shell,
			 json_pack("{s:s,s:O,s:b,s:b}", "op", "run", "words", words, "json",
				   is_json, "confirmed", is_confirmed),
			 &reply);

	if (status == 0 && *reply.question) {
		if (has_confirmed(reply.question))
			status = ask(shell,
				     json_pack("{s:s,s:O,s:b,s:b}", "op", "run", "words", words,
					       "json", is_json, "confirmed", 1),
				     &reply);
		else
			status = SHELL_REFUSED;
	}
	json_decref(words);
	return status;
}

static int send_text(struct shell *shell, const char *op, const char *text)
{
	struct reply reply = {.question = ""};
	json_t *request = json_pack("{s:s,s:s}", "op", op, "text", text);

	if (!request) {
		fprintf(stderr, "flowkeep: the text is not UTF-8\n");
		return SHELL_USAGE;
	}
	return ask(shell, request, &reply);
}

static bool is_config(const char *word)
{
	return *word && strncmp("config", word, strlen(word)) == 0;
}

/* Words of a line; NULL with the reason told when it is not made of words. */
static json_t *words_of(const char *line, bool *ret_json)
{
	struct lexer lexer = lexer_of(line, strlen(line));
	json_t *words = json_array();
	struct token token;
	const char *why;

	for (;;) {
		if (lexer_next(&lexer, &token, &why) < 0) {
			fprintf(stderr, "flowkeep: '%s': %s\n", token.text, why);
			json_decref(words);
			return NULL;
		}
		if (token.is_end)
			return words;
		if (strcmp(token.text, "--json") == 0 && !token.is_quoted)
			*ret_json = true;
		else
			json_array_append_new(words, json_string(token.text));
	}
}

/* Adds a line to the block being typed and finds where it ends now. */
static int append_line(struct shell *shell, const char *line)
{
	size_t len = strlen(line);
	const char *why = NULL;
	char *text = realloc(shell->pending, shell->pending_len + len + 2);

	if (!text)
		return -ENOMEM;
	shell->pending = text;
	memcpy(text + shell->pending_len, line, len);
	memcpy(text + shell->pending_len + len, "\n", 2);
	if (block_scan(text, shell->pending_len + len + 1, &shell->block, &why) < 0) {
		fprintf(stderr, "flowkeep: %s\n", why);
		return -EINVAL;
	}
	shell->pending_len += len + 1;
	return 0;
}

/* Takes the last line back, or the whole block when nobody is there to correct it. */
static void take_back(struct shell *shell, size_t len)
{
	const char *why;

	if (!shell->is_interactive || len == 0) {
		forget_block(shell);
		return;
	}
	shell->pending_len = len;
	shell->pending[len] = '\0';
	block_scan(shell->pending, len, &shell->block, &why);
}

/* The unfinished block, closed for the daemon to look at. */
static int check_block(struct shell *shell)
{
	static const char closing[] = "end\n";
	char *text = malloc(shell->pending_len + sizeof(closing));
	int status;

	if (!text)
		return SHELL_REFUSED;
	memcpy(text, shell->pending, shell->pending_len);
	memcpy(text + shell->pending_len, closing, sizeof(closing));
	status = send_text(shell, "check", text);
	free(text);
	return status;
}

static int config_line(struct shell *shell, const char *line)
{
	size_t before = shell->pending_len;
	int status;

	if (append_line(shell, line) < 0) {
		take_back(shell, before);
		return SHELL_USAGE;
	}
	if (shell->block.is_open) {
		status = shell->is_interactive ? check_block(shell) : 0;
		if (status != 0)
			take_back(shell, before);
		return status;
	}
	status = send_text(shell, "config", shell->pending);
	if (status == 0) {
		forget_block(shell);
		if (shell->is_interactive)
			shell_learn_hostname(shell);
		return 0;
	}
	/* An `end` that did not apply leaves the block open, to be put right or aborted. */
	take_back(shell, before);
	return status;
}

static int show_path(struct shell *shell)
{
	char line[100];
	bool is_json = false;

	snprintf(line, sizeof(line), "show %s", shell->block.path);
	return run(shell, words_of(line, &is_json), shell->is_json);
}

static int inside_block(struct shell *shell, const char *line, const char *first)
{
	if (strcmp(first, "abort") == 0) {
		forget_block(shell);
		return 0;
	}
	if (strcmp(first, "show") == 0)
		return show_path(shell);
	return config_line(shell, line);
}

int shell_line(struct shell *shell, const char *line)
{
	bool is_json = shell->is_json;
	json_t *words = words_of(line, &is_json);
	const char *first;
	int status;

	if (!words)
		return SHELL_USAGE;
	if (json_array_size(words) == 0) {
		json_decref(words);
		return 0;
	}
	first = json_string_value(json_array_get(words, 0));
	if (!first) {
		fprintf(stderr, "flowkeep: the line is not UTF-8\n");
		status = SHELL_USAGE;
	} else if (shell->pending) {
		status = inside_block(shell, line, first);
	} else if (strcmp(first, "exit") == 0 || strcmp(first, "quit") == 0) {
		shell->is_over = true;
		status = 0;
	} else if (is_config(first)) {
		/* The word itself may be cut short; the grammar of files knows it in full only. */
		size_t cut = strspn(line, " \t") + strlen(first);
		char *text = malloc(strlen(line) + sizeof("config"));

		if (text)
			sprintf(text, "config%s", line + cut);
		status = text ? config_line(shell, text) : SHELL_REFUSED;
		free(text);
	} else {
		return run(shell, words, is_json);
	}
	json_decref(words);
	return status;
}

int shell_end(struct shell *shell)
{
	if (!shell->pending)
		return 0;
	fprintf(stderr, "flowkeep: config %s: not applied, expected end\n", shell->block.path);
	forget_block(shell);
	return SHELL_USAGE;
}

static int one_command(struct shell *shell, const char *line)
{
	int status = shell_line(shell, line);

	return status ? status : shell_end(shell);
}

/* A word of an argument vector as text: quoted unless it is a statement word. */
static void put_word(FILE *out, const char *word)
{
	char quoted[2 * TOKEN_TEXT_MAX + 3];

	if (!grammar_is_statement(word) && grammar_needs_quotes(word) &&
	    grammar_quote(word, quoted, sizeof(quoted)))
		word = quoted;
	fprintf(out, "%s ", word);
}

int shell_words(struct shell *shell, char *const *words, unsigned count)
{
	char *line = NULL;
	size_t size = 0;
	FILE *out;
	int status;

	/* A whole command in one argument. */
	if (count == 1 && strpbrk(words[0], " \t\n"))
		return one_command(shell, words[0]);
	out = open_memstream(&line, &size);
	if (!out)
		return SHELL_REFUSED;
	for (unsigned i = 0; i < count; i++)
		put_word(out, words[i]);
	fclose(out);
	status = one_command(shell, line);
	free(line);
	return status;
}

struct collected {
	char *text;
	size_t len;
};

static void collect_chunk(void *arg, char type, const char *data, size_t len)
{
	struct collected *all = arg;
	char *text;

	if (type != 't')
		return;
	text = realloc(all->text, all->len + len + 1);
	if (!text)
		return;
	memcpy(text + all->len, data, len);
	all->text = text;
	all->len += len;
	text[all->len] = '\0';
}

int shell_learn_hostname(struct shell *shell)
{
	struct collected all = {.len = 0};
	const char *name;
	json_t *status;
	int err = client_ask(shell->client,
			     json_pack("{s:s,s:[s,s,s,s],s:b}", "op", "run", "words", "get",
				       "system", "ha", "status", "json", 1),
			     collect_chunk, &all);

	status = json_loads(all.text ? all.text : "", 0, NULL);
	name = json_string_value(json_object_get(json_object_get(status, "local"), "hostname"));
	snprintf(shell->hostname, sizeof(shell->hostname), "%s", name && *name ? name : "flowkeep");
	json_decref(status);
	free(all.text);
	return err < 0 ? err : 0;
}

void shell_prompt(const struct shell *shell, char *out, size_t size)
{
	const char *last = strrchr(shell->block.path, ' ');

	if (!shell->pending)
		snprintf(out, size, "%s # ", shell->hostname);
	else
		snprintf(out, size, "%s (%s) # ", shell->hostname,
			 shell->block.in_edit ? shell->block.name
			 : last               ? last + 1
					      : shell->block.path);
}

static json_t *completion_request(const struct block *block, bool has_space, bool is_block)
{
	json_t *words = json_array(), *request = json_pack("{s:s}", "op", "complete");

	for (unsigned i = 0; i < block->word_count; i++)
		json_array_append_new(words, json_string(block->words[i]));
	if (has_space || block->word_count == 0)
		json_array_append_new(words, json_string(""));
	json_object_set_new(request, "words", words);
	if (is_block) {
		json_object_set_new(request, "context", json_string(block->path));
		json_object_set_new(request, "in_edit", json_boolean(block->in_edit));
	}
	return request;
}

int shell_suggest(struct shell *shell, const char *text, size_t len,
		  struct suggestion out[SHELL_SUGGESTIONS_MAX], size_t *ret_partial)
{
	bool has_space = len == 0 || text[len - 1] == ' ' || text[len - 1] == '\t';
	char *all = malloc(shell->pending_len + len + 1), *save = NULL, *line;
	struct collected reply = {.len = 0};
	struct block *block = malloc(sizeof(*block));
	const char *why;
	int count = -ENOMEM;

	if (!all || !block)
		goto out;
	if (shell->pending)
		memcpy(all, shell->pending, shell->pending_len);
	memcpy(all + shell->pending_len, text, len);
	count = block_scan(all, shell->pending_len + len, block, &why);
	/* Right behind the word that opened the block nothing can come but a space. */
	if (count < 0 || (block->is_open && block->word_count == 0 && !has_space))
		goto out;
	*ret_partial = has_space || block->word_count == 0
			       ? 0
			       : strlen(block->words[block->word_count - 1]);
	count = client_ask(shell->client, completion_request(block, has_space, block->is_open),
			   collect_chunk, &reply);
	if (count < 0)
		goto out;
	count = 0;
	for (line = reply.text ? strtok_r(reply.text, "\n", &save) : NULL;
	     line && count < SHELL_SUGGESTIONS_MAX; line = strtok_r(NULL, "\n", &save), count++) {
		char *tab = strchr(line, '\t');

		if (tab)
			*tab = '\0';
		snprintf(out[count].word, sizeof(out[count].word), "%s", line);
		snprintf(out[count].help, sizeof(out[count].help), "%s", tab ? tab + 1 : "");
	}
out:
	free(reply.text);
	free(block);
	free(all);
	return count;
}
