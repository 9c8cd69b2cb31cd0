/* commands.c: every command, one row each; matching words against the rows */
#include "control/commands.h"
#include "config/config_keys.h"
#include "config/grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define K(word)                                                                                    \
	{                                                                                          \
		.type = WORD_KEY, .text = word                                                     \
	}
#define PATH_ANY                                                                                   \
	{                                                                                          \
		.type = WORD_PATH, .text = "path", .is_optional = true                             \
	}
#define PATH                                                                                       \
	{                                                                                          \
		.type = WORD_PATH, .text = "path"                                                  \
	}
#define VCLUSTER                                                                                   \
	{                                                                                          \
		.type = WORD_NUMBER, .text = "vcluster-id", .is_optional = true, .min = 1,         \
		.max = 1                                                                           \
	}

#define FAILOVER_QUESTION                                                                          \
	"This member gives up the primary role and stays secondary until execute ha failover "     \
	"unset.\nDo you want to continue? (y/n) "

/* clang-format off */
const struct command commands[] = {
	{ { K("config"), PATH }, "change the configuration; `end` applies", NULL, NULL, NULL },
	{ { K("diagnose"), K("sys"), K("ha"), K("drops") }, "refused frames and why", show_ha_drops, NULL, NULL },
	{ { K("diagnose"), K("sys"), K("ha"), K("history"), K("read") }, "who became primary, when and why", show_ha_history, NULL, NULL },
	{ { K("diagnose"), K("sys"), K("ha"), K("status") }, "heartbeats, lease and members", show_ha_diagnose, NULL, NULL },
	{ { K("diagnose"), K("sys"), K("session"), K("list") }, "every session in detail", NULL, &show_session_detail, NULL },
	{ { K("diagnose"), K("sys"), K("session"), K("sync") }, "how equal the members' sessions are", show_session_sync, NULL, NULL },
	{ { K("diagnose"), K("sys"), K("session"), K("sync"), K("check") }, "compare this kernel's table with what is stored, now", check_session_sync, NULL, NULL },
	{ { K("execute"), K("ha"), K("failover"), K("set"), VCLUSTER }, "give up the primary role until unset", failover_set, NULL, FAILOVER_QUESTION },
	{ { K("execute"), K("ha"), K("failover"), K("status") }, "is this member kept secondary", failover_status, NULL, NULL },
	{ { K("execute"), K("ha"), K("failover"), K("unset"), VCLUSTER }, "take part in elections again", failover_unset, NULL, NULL },
	{ { K("get"), K("system"), K("ha"), K("status") }, "members, roles and health", show_ha_status, NULL, NULL },
	{ { K("get"), K("system"), K("session"), K("list") }, "every session, one line each", NULL, &show_session_list, NULL },
	{ { K("get"), K("system"), K("session"), K("status") }, "number of sessions", show_session_status, NULL, NULL },
	{ { K("show"), PATH_ANY }, "configuration that differs from the defaults", show_config, NULL, NULL },
	{ { K("show"), K("full-configuration"), PATH_ANY }, "configuration with defaults", show_config_full, NULL, NULL },
};
/* clang-format on */

const unsigned command_count = sizeof(commands) / sizeof(commands[0]);

/* How a word fits; better is higher. */
enum fit { FIT_NO, FIT_PREFIX, FIT_EXACT };

static enum fit fits_key(const char *word, const char *key)
{
	if (strcmp(word, key) == 0)
		return FIT_EXACT;
	return *word && strncmp(word, key, strlen(word)) == 0 ? FIT_PREFIX : FIT_NO;
}

static enum fit fits_number(const char *word, const struct command_word *number)
{
	unsigned long value = 0;

	if (*word == '\0' || strlen(word) > 9 || word[strspn(word, "0123456789")] != '\0')
		return FIT_NO;
	for (; *word; word++)
		value = value * 10 + (unsigned long)(*word - '0');
	return value >= number->min && value <= number->max ? FIT_EXACT : FIT_NO;
}

/* Word `at` of a configuration path. */
static bool path_word(const struct config_path *path, unsigned at, char *out, size_t size)
{
	const char *p = path->path;

	for (; at > 0 && p; at--) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return false;
	snprintf(out, size, "%.*s", (int)strcspn(p, " "), p);
	return true;
}

/* Do the words, each perhaps cut short, begin this path? Fills `full` with them in full. */
static bool path_begins(const struct config_path *path, const char *const *words, unsigned count,
			char *full, size_t size)
{
	char word[40];
	size_t len = 0;

	full[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		if (!path_word(path, i, word, sizeof(word)) || !fits_key(words[i], word))
			return false;
		len += (size_t)snprintf(full + len, size - len, "%s%s", i ? " " : "", word);
	}
	return true;
}

static bool resolve_path(const char *const *words, unsigned count, char *full, size_t size)
{
	/* An exact path before one that begins like it. */
	for (unsigned is_exact = 2; is_exact-- > 0;)
		for (unsigned i = 0; i < config_path_count; i++)
			if (path_begins(&config_paths[i], words, count, full, size) &&
			    (!is_exact ||
			     strcmp(words[count - 1],
				    strrchr(full, ' ') ? strrchr(full, ' ') + 1 : full) == 0))
				return true;
	return false;
}

static const struct command_word *word_at(const struct command *command, unsigned at)
{
	/* A path takes every word that follows. */
	for (unsigned i = 0; i < at && i < COMMAND_WORDS; i++)
		if (command->words[i].type == WORD_PATH)
			return &command->words[i];
	return at < COMMAND_WORDS ? &command->words[at] : &command->words[COMMAND_WORDS - 1];
}

static unsigned path_start(const struct command *command, unsigned at)
{
	for (unsigned i = 0; i < at && i < COMMAND_WORDS; i++)
		if (command->words[i].type == WORD_PATH)
			return i;
	return at;
}

static enum fit fits(const struct command *command, const char *const *words, unsigned at)
{
	const struct command_word *word = word_at(command, at);
	unsigned start = path_start(command, at);
	char full[COMMAND_PATH_MAX];

	switch (word->type) {
	case WORD_KEY:
		return fits_key(words[at], word->text);
	case WORD_NUMBER:
		return fits_number(words[at], word);
	case WORD_PATH:
		return resolve_path(words + start, at - start + 1, full, sizeof(full)) ? FIT_PREFIX
										       : FIT_NO;
	case WORD_END:
		return FIT_NO;
	}
	return FIT_NO;
}

/* Keeps the rows that the words begin, as a set; a word that fits exactly beats one cut short.
 * Returns the number of words understood: `count`, or the place of the first that fits nowhere. */
static unsigned narrow(const char *const *words, unsigned count, uint32_t *ret_rows)
{
	uint32_t rows = (UINT32_C(1) << command_count) - 1;
	unsigned at = 0;

	for (; at < count; at++) {
		uint32_t prefix = 0, exact = 0;

		for (unsigned i = 0; i < command_count; i++) {
			enum fit fit = (rows >> i) & 1 ? fits(&commands[i], words, at) : FIT_NO;

			if (fit == FIT_EXACT)
				exact |= UINT32_C(1) << i;
			else if (fit == FIT_PREFIX)
				prefix |= UINT32_C(1) << i;
		}
		if (!exact && !prefix)
			break;
		rows = exact ? exact : prefix;
	}
	*ret_rows = rows;
	return at;
}

static bool is_seen(const char *const *seen, unsigned count, const char *word)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(seen[i], word) == 0)
			return true;
	return false;
}

/* The different key words at a place of the rows; texts live in the table. */
static unsigned keys_at(uint32_t rows, unsigned at, const char *partial, const char **out)
{
	unsigned count = 0;

	for (unsigned i = 0; i < command_count; i++) {
		const struct command_word *word = word_at(&commands[i], at);

		if (((rows >> i) & 1) && word->type == WORD_KEY &&
		    !is_seen(out, count, word->text) &&
		    strncmp(word->text, partial, strlen(partial)) == 0)
			out[count++] = word->text;
	}
	return count;
}

static void list_expected(uint32_t rows, unsigned at, const char *partial, char *out, size_t size)
{
	const char *keys[32];
	unsigned count = keys_at(rows, at, partial, keys);
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < count && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", keys[i]);
	for (unsigned i = 0; i < command_count && len < size; i++) {
		const struct command_word *word = word_at(&commands[i], at);

		if (!((rows >> i) & 1) || *partial)
			continue;
		if (word->type == WORD_NUMBER)
			len += (size_t)snprintf(out + len, size - len, "%s%s from %u to %u",
						len ? ", " : "", word->text, word->min, word->max);
		else if (word->type == WORD_PATH)
			len += (size_t)snprintf(out + len, size - len,
						"%ssystem global, system interface, system ha",
						len ? ", " : "");
	}
	if (*out == '\0')
		snprintf(out, size, "the end of the command");
}

static const char *guess_key(uint32_t rows, unsigned at, const char *wrong)
{
	const char *keys[32], *guess = NULL;
	unsigned count = keys_at(rows, at, "", keys), best = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned nearness = grammar_nearness(wrong, keys[i]);

		if (nearness > best) {
			best = nearness;
			guess = keys[i];
		}
	}
	return guess;
}

enum control_exit command_refuse(struct command_call *call, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(call->error, sizeof(call->error), fmt, args);
	va_end(args);
	return CONTROL_REFUSED;
}

static enum control_exit fail_usage(struct command_call *call, const char *const *words,
				    unsigned count, unsigned at, uint32_t rows)
{
	char expected[300];
	const char *guess;

	list_expected(rows, at, "", expected, sizeof(expected));
	if (at == count) {
		command_refuse(call, "'%s' is not complete: expected %s",
			       count ? words[count - 1] : "", expected);
		return CONTROL_USAGE;
	}
	guess = guess_key(rows, at, words[at]);
	command_refuse(call, "'%.60s': unknown%s%s%s; expected %s", words[at],
		       guess ? ", did you mean '" : "", guess ? guess : "", guess ? "'?" : "",
		       expected);
	return CONTROL_USAGE;
}

static bool is_complete(const struct command *command, unsigned count)
{
	const struct command_word *word = word_at(command, count);

	return word->type == WORD_END || word->is_optional ||
	       (word->type == WORD_PATH && path_start(command, count) < count);
}

static void take_arguments(const struct command *command, const char *const *words, unsigned count,
			   struct command_call *call)
{
	call->number = 0;
	call->path[0] = '\0';
	for (unsigned at = 0; at < count && at < COMMAND_WORDS; at++) {
		if (command->words[at].type == WORD_NUMBER)
			call->number = (uint32_t)strtoul(words[at], NULL, 10);
		if (command->words[at].type == WORD_PATH) {
			resolve_path(words + at, count - at, call->path, sizeof(call->path));
			return;
		}
	}
}

enum control_exit command_find(const char *const *words, unsigned count, struct command_call *call,
			       const struct command **ret_command)
{
	uint32_t rows;
	unsigned at = narrow(words, count, &rows);
	const struct command *found = NULL;

	if (at < count || count == 0)
		return fail_usage(call, words, count, at, rows);
	/* One word cut short may still mean two words: the key words at its place differ. */
	for (unsigned i = 0; i < count; i++) {
		const char *keys[32];
		char list[200];

		if (keys_at(rows, i, words[i], keys) < 2)
			continue;
		list_expected(rows, i, words[i], list, sizeof(list));
		command_refuse(call, "'%.60s' may mean %s", words[i], list);
		return CONTROL_USAGE;
	}
	for (unsigned i = 0; i < command_count; i++)
		if (((rows >> i) & 1) && is_complete(&commands[i], count) && !found)
			found = &commands[i];
	if (!found)
		return fail_usage(call, words, count, count, rows);
	take_arguments(found, words, count, call);
	*ret_command = found;
	return CONTROL_DONE;
}

void command_format(const struct command *command, char *out, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < COMMAND_WORDS && command->words[i].type != WORD_END && len < size;
	     i++) {
		const struct command_word *word = &command->words[i];
		bool is_key = word->type == WORD_KEY;

		len += (size_t)snprintf(out + len, size - len, "%s%s%s%s%s%s", i ? " " : "",
					word->is_optional ? "[" : "", is_key ? "" : "<", word->text,
					is_key ? "" : ">", word->is_optional ? "]" : "");
	}
}

static const char *word_help(const char *word)
{
	static const char *const helps[][2] = {
		{"config", "change the configuration"},
		{"diagnose", "look inside"},
		{"execute", "do something once"},
		{"get", "state of the system"},
		{"show", "the configuration"},
		{"sys", "system"},
		{"system", "system"},
		{"ha", "cluster"},
		{"session", "sessions"},
		{"failover", "force a failover"},
		{"history", "who became primary"},
	};

	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		if (strcmp(helps[i][0], word) == 0)
			return helps[i][1];
	return "";
}

/* The next word of every path that the words before begin. */
static void complete_path(const char *const *words, unsigned count, command_suggest_fn *suggest,
			  void *arg)
{
	char seen[8][40], full[COMMAND_PATH_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < config_path_count && n < 8; i++) {
		const struct config_path *path = &config_paths[i];
		bool is_last, is_new = true;

		if (!path_begins(path, words, count - 1, full, sizeof(full)) ||
		    !path_word(path, count - 1, seen[n], sizeof(seen[n])) ||
		    strncmp(seen[n], words[count - 1], strlen(words[count - 1])) != 0)
			continue;
		for (unsigned k = 0; k < n; k++)
			is_new = is_new && strcmp(seen[k], seen[n]) != 0;
		if (!is_new)
			continue;
		is_last = !path_word(path, count, full, sizeof(full));
		suggest(arg, seen[n], is_last ? path->help : word_help(seen[n]));
		n++;
	}
}

void command_complete(const char *const *words, unsigned count, command_suggest_fn *suggest,
		      void *arg)
{
	const char *keys[32], *partial;
	unsigned key_count, last;
	bool has_end = false, has_path = false;
	uint32_t rows;

	if (count == 0 || narrow(words, count - 1, &rows) < count - 1)
		return;
	last = count - 1;
	partial = words[last];
	key_count = keys_at(rows, last, partial, keys);
	for (unsigned k = 0; k < key_count; k++) {
		const char *help = word_help(keys[k]);

		/* The last word of a command is explained by the command. */
		for (unsigned i = 0; i < command_count; i++)
			if (((rows >> i) & 1) && last + 1 < COMMAND_WORDS &&
			    is_complete(&commands[i], count) &&
			    word_at(&commands[i], last)->text == keys[k] && !*help)
				help = commands[i].help;
		suggest(arg, keys[k], help);
	}
	for (unsigned i = 0; i < command_count; i++) {
		const struct command_word *word = word_at(&commands[i], last);
		char range[40];

		if (!((rows >> i) & 1))
			continue;
		has_end = has_end || is_complete(&commands[i], last);
		if (word->type == WORD_NUMBER && !*partial) {
			snprintf(range, sizeof(range), "<%u-%u>", word->min, word->max);
			suggest(arg, range, word->text);
		}
		if (word->type == WORD_PATH && !has_path) {
			unsigned start = path_start(&commands[i], last);

			has_path = true;
			complete_path(words + start, count - start, suggest, arg);
		}
	}
	if (has_end && !*partial && count > 1)
		suggest(arg, "<cr>", "");
}
