/* config_print.c: struct config to text, by walking the key table */
#include "config/config_print.h"
#include "config/config_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct printer {
	unsigned flags;
	config_write_fn *write;
	void *arg;
	bool is_secret;
	unsigned words; /* of the value so far */
};

static void print_word(void *arg, const char *word, bool is_quoted)
{
	struct printer *p = arg;
	char quoted[2 * TOKEN_TEXT_MAX + 3];

	if (p->is_secret && !(p->flags & CONFIG_PRINT_SECRETS)) {
		word = CONFIG_STARS;
		is_quoted = false;
	}
	p->words++;
	p->write(p->arg, " ");
	if ((is_quoted || grammar_needs_quotes(word)) &&
	    grammar_quote(word, quoted, sizeof(quoted)))
		word = quoted;
	p->write(p->arg, word);
}

struct word_list {
	char text[VALUE_WORDS_MAX * 18];
	size_t len;
};

static void collect_word(void *arg, const char *word, bool is_quoted)
{
	struct word_list *list = arg;

	(void)is_quoted;
	if (list->len < sizeof(list->text))
		list->len += (size_t)snprintf(list->text + list->len,
					      sizeof(list->text) - list->len, "%s ", word);
}

static bool is_default(const struct config_key *key, const void *object, const void *defaults)
{
	struct word_list now = {.len = 0}, then = {.len = 0};
	bool is_set;

	if (key->is_set_offset) {
		memcpy(&is_set, (const char *)object + key->is_set_offset, sizeof(is_set));
		return !is_set;
	}
	config_value_words(key, object, collect_word, &now);
	config_value_words(key, defaults, collect_word, &then);
	return strcmp(now.text, then.text) == 0;
}

static void print_keys(struct printer *p, const char *path, const char *indent, const void *object,
		       const void *defaults)
{
	for (unsigned i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		struct word_list value = {.len = 0};

		if (strcmp(key->path, path) != 0)
			continue;
		if (!(p->flags & CONFIG_PRINT_FULL) && is_default(key, object, defaults))
			continue;
		config_value_words(key, object, collect_word, &value);
		p->write(p->arg, indent);
		p->write(p->arg, value.len ? "set " : "unset ");
		p->write(p->arg, key->name);
		p->is_secret = key->type == KEY_SECRET;
		p->words = 0;
		config_value_words(key, object, print_word, p);
		p->write(p->arg, "\n");
	}
}

static void print_ifaces(struct printer *p, const struct config *config)
{
	static const struct config_iface empty;

	for (unsigned i = 0; i < config->iface_count; i++) {
		char quoted[64];

		grammar_quote(config->iface[i].name, quoted, sizeof(quoted));
		p->write(p->arg, "    edit ");
		p->write(p->arg, quoted);
		p->write(p->arg, "\n");
		print_keys(p, "system interface", "        ", &config->iface[i], &empty);
		p->write(p->arg, "    next\n");
	}
}

static bool path_matches(const char *wanted, const char *path)
{
	size_t len = strlen(wanted);

	return len == 0 ||
	       (strncmp(wanted, path, len) == 0 && (path[len] == '\0' || path[len] == ' '));
}

int config_print(const struct config *config, const char *path, unsigned flags,
		 config_write_fn *write, void *arg)
{
	struct printer p = {.flags = flags, .write = write, .arg = arg};
	struct config defaults;
	bool has_matched = false;

	config_init(&defaults);
	for (unsigned i = 0; i < config_path_count; i++) {
		if (!path_matches(path, config_paths[i].path))
			continue;
		has_matched = true;
		write(arg, "config ");
		write(arg, config_paths[i].path);
		write(arg, "\n");
		if (config_paths[i].is_table)
			print_ifaces(&p, config);
		else
			print_keys(&p, config_paths[i].path, "    ", config, &defaults);
		write(arg, "end\n");
	}
	return has_matched ? 0 : -ENOENT;
}

static void write_file(void *arg, const char *text)
{
	fputs(text, arg);
}

char *config_to_text(const struct config *config, const char *path, unsigned flags)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	int err;

	if (!file)
		return NULL;
	err = config_print(config, path, flags, write_file, file);
	if (fclose(file) != 0 || err < 0) {
		free(text);
		return NULL;
	}
	return text;
}
