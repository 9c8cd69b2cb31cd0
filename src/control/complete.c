/* complete.c: what may follow in a configuration statement, from the key table */
#include "control/commands.h"
#include "config/config_keys.h"

#include <stdio.h>
#include <string.h>

static void suggest_if(command_suggest_fn *suggest, void *arg, const char *partial,
		       const char *word, const char *help)
{
	if (strncmp(word, partial, strlen(partial)) == 0)
		suggest(arg, word, help);
}

static void suggest_statements(const char *path, bool in_edit, const char *partial,
			       command_suggest_fn *suggest, void *arg)
{
	static const struct {
		const char *word, *help;
		bool in_block, in_table, in_edit;
	} rows[] = {
		{"abort", "leave and forget the changes", true, true, true},
		{"delete", "remove an entry", false, true, false},
		{"edit", "make or change an entry", false, true, false},
		{"end", "apply the changes and leave", true, true, true},
		{"next", "finish this entry", false, false, true},
		{"set", "give a key a value", true, false, true},
		{"show", "the configuration as it is applied", true, true, true},
		{"unset", "back to the default", true, false, true},
	};
	const struct config_path *found = config_path_find(path);
	bool is_table = found && found->is_table;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (in_edit ? rows[i].in_edit : is_table ? rows[i].in_table : rows[i].in_block)
			suggest_if(suggest, arg, partial, rows[i].word, rows[i].help);
}

static void suggest_keys(const char *path, const char *partial, command_suggest_fn *suggest,
			 void *arg)
{
	for (unsigned i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].path, path) == 0)
			suggest_if(suggest, arg, partial, config_keys[i].name, config_keys[i].help);
}

static void suggest_value(const struct config_key *key, const char *partial, unsigned values,
			  command_suggest_fn *suggest, void *arg)
{
	char text[80];

	if (values > 0 && key->count_offset == 0)
		goto end;
	switch (key->type) {
	case KEY_FLAG:
		suggest_if(suggest, arg, partial, "enable", key->help);
		suggest_if(suggest, arg, partial, "disable", key->help);
		return;
	case KEY_CHOICE:
		for (const struct key_choice *c = key->choices; c->name; c++)
			suggest_if(suggest, arg, partial, c->name, c->help);
		return;
	case KEY_NUMBER:
		snprintf(text, sizeof(text), "<%u-%u>", key->min, key->max);
		break;
	case KEY_TEXT:
	case KEY_SECRET:
	case KEY_NAME:
		snprintf(text, sizeof(text), "<text>");
		break;
	case KEY_ONE_BIT:
		snprintf(text, sizeof(text), "<0x1-0x80000000>");
		break;
	case KEY_HBDEVS:
		if (values % 2)
			snprintf(text, sizeof(text), "<0-%u>", CONFIG_HBDEV_PRIORITY_MAX);
		else
			snprintf(text, sizeof(text), "<interface>");
		break;
	case KEY_IFACES:
		snprintf(text, sizeof(text), "<interface>");
		break;
	case KEY_NETS4:
		snprintf(text, sizeof(text), "<A.B.C.D/LENGTH>");
		break;
	case KEY_NETS6:
		snprintf(text, sizeof(text), "<A:B::C/LENGTH>");
		break;
	}
	if (*partial == '\0')
		suggest(arg, text, key->help);
end:
	if (values > 0 && *partial == '\0')
		suggest(arg, "<cr>", "");
}

static void suggest_entries(const struct config *config, const char *partial,
			    command_suggest_fn *suggest, void *arg)
{
	for (unsigned i = 0; i < config->iface_count; i++)
		suggest_if(suggest, arg, partial, config->iface[i].name, "");
	if (*partial == '\0')
		suggest(arg, "<interface>", "an interface");
}

void statement_complete(const struct config *config, const char *path, bool in_edit,
			const char *const *words, unsigned count, command_suggest_fn *suggest,
			void *arg)
{
	const struct config_key *key;
	const char *partial = count ? words[count - 1] : "";
	bool is_set = count > 1 && strcmp(words[0], "set") == 0;
	bool is_unset = count > 1 && strcmp(words[0], "unset") == 0;
	bool is_entry =
		count > 1 && (strcmp(words[0], "edit") == 0 || strcmp(words[0], "delete") == 0);

	if (count <= 1)
		suggest_statements(path, in_edit, partial, suggest, arg);
	else if (count == 2 && (is_set || is_unset))
		suggest_keys(path, partial, suggest, arg);
	else if (count == 2 && is_entry)
		suggest_entries(config, partial, suggest, arg);
	else if (is_set && (key = config_key_find(path, words[1])))
		suggest_value(key, partial, count - 3, suggest, arg);
	else if (*partial == '\0')
		suggest(arg, "<cr>", "");
}
