/* render.c: the doorway to the two renderers */
#include "control/render.h"

#include <assert.h>
#include <string.h>

struct render render_of(bool is_json, render_write_fn *write, void *arg)
{
	return (struct render){
		.ops = is_json ? &render_json : &render_text, .write = write, .arg = arg};
}

void render_put(struct render *r, const char *text)
{
	r->write(r->arg, text, strlen(text));
}

void render_values(struct render *r, const char *layout, const struct value *values, unsigned count)
{
	r->ops->values(r, layout, values, count);
}

void render_say(struct render *r, const char *text)
{
	r->ops->values(r, text, NULL, 0);
}

static void render_open(struct render *r, const char *name, bool is_list)
{
	assert(r->depth < RENDER_DEPTH_MAX);
	r->ops->open(r, name, is_list);
	r->stack[r->depth].is_list = is_list;
	r->stack[r->depth].has_member = false;
	r->depth++;
}

void render_object(struct render *r, const char *name)
{
	render_open(r, name, false);
}

void render_list(struct render *r, const char *name)
{
	render_open(r, name, true);
}

void render_close(struct render *r)
{
	assert(r->depth > 0);
	r->ops->close(r);
	r->depth--;
}
