/* render_json.c: the same values as JSON (RFC 8259), streamed; jansson does the quoting */
#include "control/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nearly every text is plain: addresses, names, states. Long lists are made of them. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e || *text == '"' ||
		    *text == '\\')
			return false;
	return true;
}

static void put_string(struct render *r, const char *text)
{
	json_t *string;
	char *quoted;

	if (is_plain(text)) {
		render_put(r, "\"");
		render_put(r, text);
		render_put(r, "\"");
		return;
	}
	string = json_string(text);
	quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
	/* Not UTF-8: an interface can be named so. Its bytes as if they were Latin-1 letters. */
	if (!quoted) {
		char letter[8];

		render_put(r, "\"");
		for (; *text; text++) {
			snprintf(letter, sizeof(letter), "\\u%04x", (unsigned char)*text);
			render_put(r, letter);
		}
		render_put(r, "\"");
	} else {
		render_put(r, quoted);
	}
	free(quoted);
	json_decref(string);
}

/* The comma and the name in front of a member. */
static void put_name(struct render *r, const char *name)
{
	if (r->depth == 0)
		return;
	if (r->stack[r->depth - 1].has_member)
		render_put(r, ",");
	r->stack[r->depth - 1].has_member = true;
	if (!r->stack[r->depth - 1].is_list) {
		put_string(r, name ? name : "");
		render_put(r, ":");
	}
}

static void json_values(struct render *r, const char *layout, const struct value *values,
			unsigned count)
{
	char number[32];

	(void)layout;
	for (unsigned i = 0; i < count; i++) {
		const struct value *v = &values[i];

		if (v->name[0] == '.')
			continue;
		put_name(r, v->name);
		switch (v->type) {
		case VALUE_TEXT:
			put_string(r, v->text);
			break;
		case VALUE_NUMBER:
			snprintf(number, sizeof(number), "%" PRIu64, v->number);
			render_put(r, number);
			break;
		case VALUE_SIGNED:
			snprintf(number, sizeof(number), "%" PRId64, v->signed_number);
			render_put(r, number);
			break;
		case VALUE_FLAG:
			render_put(r, v->number ? "true" : "false");
			break;
		case VALUE_NONE:
			render_put(r, "null");
			break;
		}
	}
}

static void json_open(struct render *r, const char *name, bool is_list)
{
	put_name(r, name);
	render_put(r, is_list ? "[" : "{");
}

static void json_close(struct render *r)
{
	render_put(r, r->stack[r->depth - 1].is_list ? "]" : "}");
	if (r->depth == 1)
		render_put(r, "\n");
}

const struct render_ops render_json = {
	.values = json_values,
	.open = json_open,
	.close = json_close,
};
