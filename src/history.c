/* history.c: a ring of events and the file that outlives it */
#include "history.h"

#include "base/log.h"
#include "base/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event {
	int64_t when_s;
	char text[HISTORY_TEXT];
};

struct history {
	struct event events[HISTORY_MAX];
	unsigned newest; /* index of the newest */
	unsigned count;
	unsigned lines;  /* in the file */
	char path[512];
};

static void keep(struct history *h, int64_t when_s, const char *text)
{
	struct event *e;

	h->newest = (h->newest + 1) % HISTORY_MAX;
	e = &h->events[h->newest];
	e->when_s = when_s;
	snprintf(e->text, sizeof(e->text), "%s", text);
	if (h->count < HISTORY_MAX)
		h->count++;
}

static void load(struct history *h)
{
	FILE *file = fopen(h->path, "re");
	char line[HISTORY_TEXT + 32];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *text;
		long long when = strtoll(line, &text, 10);

		line[strcspn(line, "\n")] = 0;
		h->lines++;
		if (text != line && *text == ' ')
			keep(h, when, text + 1);
	}
	fclose(file);
}

struct history *history_open(const char *dir)
{
	struct history *h = xcalloc(1, sizeof(*h));

	snprintf(h->path, sizeof(h->path), "%s/history", dir);
	load(h);
	return h;
}

void history_close(struct history *h)
{
	free(h);
}

static void rewrite(struct history *h)
{
	char path[sizeof(h->path) + 8];
	FILE *file;
	int error = 0;

	snprintf(path, sizeof(path), "%s.new", h->path);
	file = fopen(path, "we");
	if (!file) {
		log_warn("history", "%s", path);
		return;
	}
	for (unsigned back = h->count; back-- > 0;) {
		int64_t when_s;
		const char *text;

		if (history_get(h, back, &when_s, &text))
			error |= fprintf(file, "%" PRId64 " %s\n", when_s, text) < 0;
	}
	error |= fclose(file) != 0;
	if (error || rename(path, h->path) != 0)
		log_warn("history", "%s", path);
	h->lines = h->count;
}

void history_add(struct history *h, int64_t when_s, const char *text)
{
	FILE *file;

	keep(h, when_s, text);
	if (h->lines >= 2 * HISTORY_MAX) {
		rewrite(h);
		return;
	}
	file = fopen(h->path, "ae");
	if (!file)
		return;
	if (fprintf(file, "%" PRId64 " %s\n", when_s, h->events[h->newest].text) > 0)
		h->lines++;
	fclose(file);
}

bool history_get(const struct history *h, unsigned back, int64_t *ret_when_s,
		 const char **ret_text)
{
	const struct event *e;

	if (back >= h->count)
		return false;
	e = &h->events[(h->newest + HISTORY_MAX - back) % HISTORY_MAX];
	*ret_when_s = e->when_s;
	*ret_text = e->text;
	return true;
}
