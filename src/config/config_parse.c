/* config_parse.c: statements to struct config, by walking the key table
 *
 *     file      = { "config" PATH block }
 *     block     = { set | unset | "edit" NAME { set | unset } ( "next" | end ) | "delete" NAME }
 * "end" set       = "set" KEY VALUE { VALUE }
 *
 * A value list ends at the next statement word, so one-line blocks need no separator. `end` inside
 * an edit ends the edit too, as on a FortiGate. All work is done on a copy.
 */
#include "config/config_check.h"
#include "config/config_statements.h"
#include "config/config_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A configuration with every key and list full is below 100 kB. */
enum { CONFIG_FILE_MAX = 1024 * 1024 };

struct parser {
	struct lexer lexer;
	struct token token; /* the next one, not yet used */
	struct config *config;
	struct config_error *error;
	struct value_word words[VALUE_WORDS_MAX];
};

static int advance(struct parser *p)
{
	const char *why = NULL;

	if (lexer_next(&p->lexer, &p->token, &why) < 0)
		return config_fail(p->error, p->token.line, p->token.text, "%s", why);
	return 0;
}

static int fail_here(struct parser *p, const char *text)
{
	return config_fail(p->error, p->token.line,
			   p->token.is_end ? "(end of text)" : p->token.text, "%s", text);
}

static bool at_statement(const struct parser *p, const char *word)
{
	return p->token.is_statement && strcmp(p->token.text, word) == 0;
}

/* A word that stands where a name is expected: not a statement word, not the end. */
static bool at_value(const struct parser *p)
{
	return !p->token.is_end && !p->token.is_statement;
}

/* Cuts what does not fit: these are texts for people. */
static void append_text(char *out, size_t size, const char *text)
{
	size_t len = strlen(out);
	size_t part = strlen(text);

	if (part > size - len - 1)
		part = size - len - 1;
	memcpy(out + len, text, part);
	out[len + part] = '\0';
}

static int fail_unknown(struct parser *p, const char *word, unsigned line, const char *guess,
			const char *expected)
{
	if (guess)
		return config_fail(p->error, line, word, "unknown; did you mean '%s'? (%s)", guess,
				   expected);
	return config_fail(p->error, line, word, "unknown; %s", expected);
}

static void list_keys(const char *path, char *out, size_t size)
{
	out[0] = '\0';
	append_text(out, size, "expected ");
	for (unsigned i = 0, n = 0; i < config_key_count; i++) {
		if (strcmp(config_keys[i].path, path) != 0)
			continue;
		if (strlen(out) + strlen(config_keys[i].name) + 8 > size) {
			append_text(out, size, ", ...");
			return;
		}
		append_text(out, size, n++ ? ", " : "");
		append_text(out, size, config_keys[i].name);
	}
}

static int parse_key(struct parser *p, const char *path, const struct config_key **ret_key)
{
	const struct config_key *key;
	char expected[160];

	list_keys(path, expected, sizeof(expected));
	if (!at_value(p))
		return fail_here(p, expected);
	key = config_key_find(path, p->token.text);
	if (!key)
		return fail_unknown(p, p->token.text, p->token.line,
				    config_key_guess(path, p->token.text), expected);
	*ret_key = key;
	return advance(p);
}

static int parse_set(struct parser *p, const char *path, void *object)
{
	const struct config_key *key = NULL;
	char expected[200], text[256];
	unsigned count = 0;

	if (advance(p) < 0 || parse_key(p, path, &key) < 0)
		return -EINVAL;
	config_key_expected(key, expected, sizeof(expected));
	for (; at_value(p); count++) {
		if (count == VALUE_WORDS_MAX)
			return fail_here(p, "too many values");
		p->words[count].line = p->token.line;
		memcpy(p->words[count].text, p->token.text, sizeof(p->words[count].text));
		if (advance(p) < 0)
			return -EINVAL;
	}
	snprintf(text, sizeof(text), "%s needs a value: expected %s", key->name, expected);
	if (count == 0)
		return config_fail(p->error, p->token.line, key->name, "%s", text);
	return config_value_set(key, object, p->words, count, p->error);
}

static int parse_unset(struct parser *p, const char *path, void *object)
{
	const struct config_key *key = NULL;

	if (advance(p) < 0 || parse_key(p, path, &key) < 0)
		return -EINVAL;
	if (at_value(p))
		return fail_here(p, "unset takes one key; expected set, unset, next or end");
	config_value_reset(key, object);
	return 0;
}

static int parse_set_or_unset(struct parser *p, const char *path, void *object,
			      const char *expected)
{
	if (at_statement(p, "set"))
		return parse_set(p, path, object);
	if (at_statement(p, "unset"))
		return parse_unset(p, path, object);
	return fail_here(p, expected);
}

/* Kept in order of name: the virtual MAC index is the position, and must not depend on the order
 * in which an operator wrote the entries. */
static struct config_iface *iface_add(struct config *config, const char *name)
{
	unsigned at = 0;

	while (at < config->iface_count && strcmp(config->iface[at].name, name) < 0)
		at++;
	memmove(&config->iface[at + 1], &config->iface[at],
		(config->iface_count - at) * sizeof(config->iface[0]));
	memset(&config->iface[at], 0, sizeof(config->iface[at]));
	config_ifname_copy(config->iface[at].name, name);
	config->iface_count++;
	return &config->iface[at];
}

static void iface_remove(struct config *config, struct config_iface *iface)
{
	unsigned at = (unsigned)(iface - config->iface);

	config->iface_count--;
	memmove(iface, iface + 1, (config->iface_count - at) * sizeof(*iface));
	memset(&config->iface[config->iface_count], 0, sizeof(*iface));
}

static int parse_edit(struct parser *p, const char *path)
{
	struct config_iface *iface;

	if (advance(p) < 0)
		return -EINVAL;
	if (!at_value(p) || !config_ifname_ok(p->token.text))
		return fail_here(
			p, "expected the name of an interface: 1 to 15 characters without / : "
			   "or space");
	iface = config_iface_find(p->config, p->token.text);
	if (!iface && p->config->iface_count == CONFIG_IFACE_MAX)
		return fail_here(p, "more than 64 interfaces");
	if (!iface)
		iface = iface_add(p->config, p->token.text);
	if (advance(p) < 0)
		return -EINVAL;
	while (!at_statement(p, "next") && !at_statement(p, "end"))
		if (parse_set_or_unset(p, path, iface, "expected set, unset, next or end") < 0)
			return -EINVAL;
	return at_statement(p, "next") ? advance(p) : 0;
}

static int parse_delete(struct parser *p)
{
	struct config_iface *iface;

	if (advance(p) < 0)
		return -EINVAL;
	iface = at_value(p) ? config_iface_find(p->config, p->token.text) : NULL;
	if (!iface)
		return fail_here(p, "expected the name of an entry");
	iface_remove(p->config, iface);
	return advance(p);
}

/* The words after `config`, joined with single spaces, up to the longest path that is known. */
static int parse_path(struct parser *p, const struct config_path **ret_path)
{
	const struct config_path *found = NULL;
	unsigned line = p->token.line;
	char path[80] = "", expected[160] = "expected ";

	for (unsigned words = 0; at_value(p) && !found && words < 3; words++) {
		append_text(path, sizeof(path), words ? " " : "");
		append_text(path, sizeof(path), p->token.text);
		found = config_path_find(path);
		if (advance(p) < 0)
			return -EINVAL;
	}
	if (found) {
		*ret_path = found;
		return 0;
	}
	for (unsigned i = 0; i < config_path_count; i++) {
		append_text(expected, sizeof(expected), i ? ", " : "");
		append_text(expected, sizeof(expected), config_paths[i].path);
	}
	if (!*path)
		return fail_here(p, expected);
	return fail_unknown(p, path, line, config_path_guess(path), expected);
}

static int parse_block(struct parser *p)
{
	const struct config_path *path = NULL;

	if (!at_statement(p, "config"))
		return fail_here(p, "expected config");
	if (advance(p) < 0 || parse_path(p, &path) < 0)
		return -EINVAL;
	while (!at_statement(p, "end")) {
		int err;

		if (path->is_table && at_statement(p, "edit"))
			err = parse_edit(p, path->path);
		else if (path->is_table && at_value(p) && strcmp(p->token.text, "delete") == 0)
			err = parse_delete(p);
		else if (path->is_table)
			err = fail_here(p, "expected edit, delete or end");
		else
			err = parse_set_or_unset(p, path->path, p->config,
						 "expected set, unset or end");
		if (err < 0)
			return err;
	}
	return advance(p);
}

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < config_key_count; i++)
		if (!config_path_find(config_keys[i].path)->is_table)
			config_value_reset(&config_keys[i], config);
}

int config_statements(struct config *config, const char *file, const char *text, size_t len,
		      struct config_error *ret_error)
{
	struct parser *p = calloc(1, sizeof(*p));
	struct config *work = malloc(sizeof(*work));
	struct config_error error = {.line = 0};
	int err = -ENOMEM;

	snprintf(error.file, sizeof(error.file), "%s", file);
	config_fail(&error, 0, "(memory)", "out of memory");
	if (!p || !work)
		goto out;
	*work = *config;
	p->lexer = lexer_of(text, len);
	p->config = work;
	p->error = &error;
	err = advance(p);
	while (err == 0 && !p->token.is_end)
		err = parse_block(p);
	/* Both follow the password until the operator says otherwise (DESIGN section 6). */
	if (!work->ha.encryption_is_set)
		work->ha.encryption = work->ha.password[0] != '\0';
	if (!work->ha.authentication_is_set)
		work->ha.authentication = work->ha.password[0] != '\0';
	if (err == 0)
		*config = *work;
out:
	if (err < 0)
		*ret_error = error;
	free(p);
	free(work);
	return err;
}

int config_parse(struct config *config, const char *file, const char *text, size_t len,
		 struct config_error *ret_error)
{
	struct config work = *config;
	struct config_error error = {.line = 0};
	int err = config_statements(&work, file, text, len, ret_error);

	if (err < 0)
		return err;
	snprintf(error.file, sizeof(error.file), "%s", file);
	err = config_check(&work, &error);
	if (err < 0) {
		config_find_line(&error, text, len);
		*ret_error = error;
		return err;
	}
	*config = work;
	return 0;
}

static int file_error(struct config_error *ret_error, const char *file, int err)
{
	snprintf(ret_error->file, sizeof(ret_error->file), "%s", file);
	config_fail(ret_error, 0, file, "%s",
		    err == -EFBIG ? "not a configuration: larger than 1 MiB" : strerror(-err));
	return err;
}

int config_load(const char *file, struct config *ret_config, struct config_error *ret_error)
{
	struct config config;
	char *text = NULL;
	size_t len = 0;
	int err = 0, fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return file_error(ret_error, file, -errno);
	text = malloc(CONFIG_FILE_MAX + 1);
	while (text && err == 0 && len <= CONFIG_FILE_MAX) {
		ssize_t n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len);

		if (n < 0)
			err = errno == EINTR ? 0 : -errno;
		else if (n == 0)
			break;
		else
			len += (size_t)n;
	}
	close(fd);
	if (!text)
		err = -ENOMEM;
	else if (err == 0 && len > CONFIG_FILE_MAX)
		err = -EFBIG;
	if (err < 0) {
		free(text);
		return file_error(ret_error, file, err);
	}
	config_init(&config);
	err = config_parse(&config, file, text, len, ret_error);
	free(text);
	if (err == 0)
		*ret_config = config;
	return err;
}

void config_error_format(const struct config_error *error, char *out, size_t size)
{
	snprintf(out, size, "%s:%u: '%s': %s", error->file, error->line, error->word, error->text);
}
