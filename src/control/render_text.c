/* render_text.c: values in the lines people know */
#include "control/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Finds {name} or {.name}; a layout that names what was not given is a mistake that tests find. */
static const struct value *find(const struct value *values, unsigned count, const char *name,
				size_t len)
{
	for (unsigned i = 0; i < count; i++) {
		const char *have = values[i].name + (values[i].name[0] == '.');

		if (strncmp(have, name, len) == 0 && have[len] == '\0')
			return &values[i];
	}
	return NULL;
}

static void put_padded(struct render *r, const char *text, int width, bool has_zeros)
{
	int pad = abs(width) - (int)strlen(text);

	for (int i = 0; i < pad && width > 0; i++)
		render_put(r, has_zeros ? "0" : " ");
	render_put(r, text);
	for (int i = 0; i < pad && width < 0; i++)
		render_put(r, " ");
}

static void put_value(struct render *r, const struct value *v, const char *how)
{
	bool is_hex = *how == 'x', is_named_flag = *how == 'e';
	bool has_zeros = is_hex || *how == '0';
	int width = atoi(is_hex || is_named_flag ? how + 1 : how);
	char text[32];

	switch (v->type) {
	case VALUE_TEXT:
		put_padded(r, v->text, width, false);
		return;
	case VALUE_NUMBER:
		snprintf(text, sizeof(text), is_hex ? "%" PRIx64 : "%" PRIu64, v->number);
		put_padded(r, text, width, has_zeros);
		return;
	case VALUE_SIGNED:
		snprintf(text, sizeof(text), "%" PRId64, v->signed_number);
		put_padded(r, text, width, has_zeros);
		return;
	case VALUE_FLAG:
		if (is_named_flag)
			put_padded(r, v->number ? "enable" : "disable", width, false);
		else
			put_padded(r, v->number ? "1" : "0", width, false);
		return;
	case VALUE_NONE:
		put_padded(r, "-", width, false);
		return;
	}
}

static void text_values(struct render *r, const char *layout, const struct value *values,
			unsigned count)
{
	while (*layout) {
		size_t plain = strcspn(layout, "{");
		size_t name_len, len;
		const struct value *v;
		char how[8] = "";

		r->write(r->arg, layout, plain);
		layout += plain;
		if (*layout == '\0')
			return;
		if (layout[1] == '{') {
			render_put(r, "{");
			layout += 2;
			continue;
		}
		layout++;
		len = strcspn(layout, "}");
		name_len = strcspn(layout, ":}");
		if (name_len < len && len - name_len - 1 < sizeof(how))
			memcpy(how, layout + name_len + 1, len - name_len - 1);
		v = find(values, count, layout, name_len);
		if (v)
			put_value(r, v, how);
		layout += len + (layout[len] == '}');
	}
}

static void text_open(struct render *r, const char *name, bool is_list)
{
	(void)r;
	(void)name;
	(void)is_list;
}

static void text_close(struct render *r)
{
	(void)r;
}

const struct render_ops render_text = {
	.values = text_values,
	.open = text_open,
	.close = text_close,
};
