/* edit.c: the prompt: libedit with history, completion by tab, help by ? */
#include "shell.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_LINES = 200 };

struct editor {
	struct shell *shell;
	EditLine *el;
	char prompt[160];
};

static struct editor *editor_of(EditLine *el)
{
	void *editor = NULL;

	el_get(el, EL_CLIENTDATA, &editor);
	return editor;
}

static char *prompt_of(EditLine *el)
{
	return editor_of(el)->prompt;
}

static void list_suggestions(const struct suggestion *list, int count)
{
	int width = 0;

	for (int i = 0; i < count; i++)
		if ((int)strlen(list[i].word) > width)
			width = (int)strlen(list[i].word);
	putchar('\n');
	for (int i = 0; i < count; i++)
		printf("  %-*s  %s\n", width, list[i].word, list[i].help);
	fflush(stdout);
}

/* Text that all words begin with; arguments (<...>) cannot be typed for the operator. */
static size_t common_prefix(const struct suggestion *list, int count, const char **ret_word)
{
	const char *first = NULL;
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		if (list[i].word[0] == '<')
			continue;
		if (!first) {
			first = list[i].word;
			len = strlen(first);
		}
		for (size_t k = 0; k < len; k++)
			if (first[k] != list[i].word[k])
				len = k;
	}
	*ret_word = first;
	return len;
}

static int suggest(struct editor *editor, struct suggestion *list, size_t *ret_partial)
{
	const LineInfo *line = el_line(editor->el);

	return shell_suggest(editor->shell, line->buffer, (size_t)(line->cursor - line->buffer),
			     list, ret_partial);
}

static unsigned char on_help(EditLine *el, int key)
{
	struct suggestion *list = calloc(SHELL_SUGGESTIONS_MAX, sizeof(*list));
	size_t partial = 0;
	int count = list ? suggest(editor_of(el), list, &partial) : 0;
	char typed[2] = {(char)key, '\0'};

	if (count == -EINVAL) { /* inside quotes it is a letter */
		free(list);
		return el_insertstr(el, typed) < 0 ? CC_ERROR : CC_REFRESH;
	}
	if (count > 0)
		list_suggestions(list, count);
	free(list);
	return count > 0 ? CC_REDISPLAY : CC_REFRESH_BEEP;
}

static unsigned char on_tab(EditLine *el, int key)
{
	struct suggestion *list = calloc(SHELL_SUGGESTIONS_MAX, sizeof(*list));
	unsigned char result = CC_REFRESH_BEEP;
	const char *word = NULL;
	char insert[84] = "";
	size_t partial = 0, len;
	int count = list ? suggest(editor_of(el), list, &partial) : 0;

	(void)key;
	if (count > 0) {
		len = common_prefix(list, count, &word);
		if (word && len > partial)
			snprintf(insert, sizeof(insert), "%.*s", (int)(len - partial),
				 word + partial);
		if (word && count == 1)
			strcat(insert, " ");
		if (*insert) {
			result = el_insertstr(el, insert) < 0 ? CC_ERROR : CC_REFRESH;
		} else {
			list_suggestions(list, count);
			result = CC_REDISPLAY;
		}
	}
	free(list);
	return result;
}

static EditLine *editor_open(struct editor *editor, History *lines)
{
	EditLine *el = el_init("flowkeep", stdin, stdout, stderr);
	HistEvent event;

	if (!el)
		return NULL;
	editor->el = el;
	el_set(el, EL_CLIENTDATA, editor);
	el_set(el, EL_PROMPT, prompt_of);
	el_set(el, EL_EDITOR, "emacs");
	/* ^C clears the line; while a reply is printed it ends the reply (client.h). */
	el_set(el, EL_SETTY, "-d", "-isig", NULL);
	el_set(el, EL_ADDFN, "flowkeep-help", "what may come here", on_help);
	el_set(el, EL_ADDFN, "flowkeep-complete", "completes the word", on_tab);
	el_set(el, EL_BIND, "?", "flowkeep-help", NULL);
	el_set(el, EL_BIND, "^I", "flowkeep-complete", NULL);
	el_set(el, EL_BIND, "^C", "em-kill-line", NULL);
	if (lines) {
		history(lines, &event, H_SETSIZE, HISTORY_LINES);
		el_set(el, EL_HIST, history, lines);
	}
	return el;
}

int shell_edit(struct shell *shell)
{
	struct editor editor = {.shell = shell};
	History *lines = history_init();
	HistEvent event;
	int status = 0, count;

	if (!editor_open(&editor, lines)) {
		fprintf(stderr, "flowkeep: the terminal cannot be used\n");
		if (lines)
			history_end(lines);
		return SHELL_USAGE;
	}
	while (!shell->is_over) {
		const char *line;
		char *text;

		shell_prompt(shell, editor.prompt, sizeof(editor.prompt));
		line = el_gets(editor.el, &count);
		if (!line || count <= 0) {
			putchar('\n');
			break;
		}
		text = strndup(line, strcspn(line, "\r\n"));
		if (!text)
			break;
		if (*text && lines)
			history(lines, &event, H_ENTER, text);
		status = shell_line(shell, text);
		free(text);
	}
	el_end(editor.el);
	if (lines)
		history_end(lines);
	return status == SHELL_NO_DAEMON ? status : 0;
}
