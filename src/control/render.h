/* render.h: named values, said once, to text and to JSON
 *
 * A show function says each value once, with its name and, for people, the line it stands in:
 *
 *     RENDER(r, "Primary     : {hostname:-16}, {serial}, HA cluster index = {index}\n",
 *            V_TEXT("hostname", name), V_TEXT("serial", serial), V_NUMBER("index", 0));
 *
 * Text output prints the layout with {name} replaced; JSON output prints every value as a member of
 * the object that is open, also those that the layout does not mention, and no layout. A value that
 * a layout needs but JSON must not have begins with a dot. Both stream: nothing is kept.
 *
 * {name} plainly; {name:-16} padded on the right to 16; {name:16} on the left; {name:x8} eight
 * hexadecimal digits; {name:02} with zeros; {name:e} a flag as enable or disable (plain: 1 or 0).
 * V_NONE prints "-" (JSON: null). "{{" is a brace.
 */
#ifndef FK_CONTROL_RENDER_H
#define FK_CONTROL_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type { VALUE_TEXT, VALUE_NUMBER, VALUE_SIGNED, VALUE_FLAG, VALUE_NONE };

struct value {
	const char *name;
	enum value_type type;
	const char *text;
	uint64_t number;
	int64_t signed_number;
};

#define V_TEXT(n, t)   ((struct value){.name = (n), .type = VALUE_TEXT, .text = (t)})
#define V_NUMBER(n, v) ((struct value){.name = (n), .type = VALUE_NUMBER, .number = (v)})
#define V_SIGNED(n, v) ((struct value){.name = (n), .type = VALUE_SIGNED, .signed_number = (v)})
#define V_FLAG(n, v)   ((struct value){.name = (n), .type = VALUE_FLAG, .number = (v)})
#define V_NONE(n)      ((struct value){.name = (n), .type = VALUE_NONE})
/* A text that may be missing, a length in ms of which -1 is "not known". */
#define V_TEXT_OR_NONE(n, t) (*(t) ? V_TEXT(n, t) : V_NONE(n))
#define V_KNOWN(n, v)        ((v) < 0 ? V_NONE(n) : V_SIGNED(n, v))

struct render;

struct render_ops {
	void (*values)(struct render *r, const char *layout, const struct value *values,
		       unsigned count);
	/* Opens and closes an object or a list; `name` is NULL inside a list and for the outermost.
	 */
	void (*open)(struct render *r, const char *name, bool is_list);
	void (*close)(struct render *r);
};

enum { RENDER_DEPTH_MAX = 8 };

typedef void render_write_fn(void *arg, const char *data, size_t len);

struct render {
	const struct render_ops *ops;
	render_write_fn *write;
	void *arg;
	unsigned depth;
	struct {
		bool is_list;
		bool has_member;
	} stack[RENDER_DEPTH_MAX];
};

extern const struct render_ops render_text;
extern const struct render_ops render_json;

struct render render_of(bool is_json, render_write_fn *write, void *arg);

#define RENDER(r, layout, ...)                                                                     \
	render_values((r), (layout), (const struct value[]){__VA_ARGS__},                          \
		      sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))

void render_values(struct render *r, const char *layout, const struct value *values,
		   unsigned count);
/* Words for people only. */
void render_say(struct render *r, const char *text);
void render_object(struct render *r, const char *name);
void render_list(struct render *r, const char *name);
void render_close(struct render *r);

/* For the two renderers. */
void render_put(struct render *r, const char *text);

#endif
