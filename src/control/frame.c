/* frame.c: requests and chunks of the control socket */
#include "control/frame.h"
#include "base/buf.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int64_t frame_request_len(const uint8_t head[FRAME_REQUEST_HEAD], size_t max)
{
	struct rbuf r = rbuf_of(head, FRAME_REQUEST_HEAD);
	uint32_t len = rbuf_be32(&r);

	if (len == 0 || len > max)
		return -EMSGSIZE;
	return len;
}

void frame_request_head(uint8_t head[FRAME_REQUEST_HEAD], size_t len)
{
	struct wbuf w = wbuf_of(head, FRAME_REQUEST_HEAD);

	wbuf_be32(&w, (uint32_t)len);
}

void frame_chunk_head(uint8_t head[FRAME_CHUNK_HEAD], char type, size_t len)
{
	struct wbuf w = wbuf_of(head, FRAME_CHUNK_HEAD);

	wbuf_u8(&w, (uint8_t)type);
	wbuf_be32(&w, (uint32_t)len);
}

static int parse_op(const char *name, enum request_op *ret_op)
{
	static const char *const names[] = {"run", "complete", "config", "check"};

	for (unsigned i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			*ret_op = (enum request_op)i;
			return 0;
		}
	return -EINVAL;
}

static int take_words(json_t *list, struct request *request)
{
	size_t count = json_array_size(list);

	if (list && (!json_is_array(list) || count > FRAME_WORDS_MAX))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		request->words[i] = json_string_value(json_array_get(list, i));
		if (!request->words[i])
			return -EINVAL;
	}
	request->word_count = (unsigned)count;
	return 0;
}

int request_parse(const char *json, size_t len, struct request *ret_request, const char **ret_why)
{
	struct request request = {.op = REQUEST_RUN};
	/* Without JSON_ALLOW_NUL a string cannot end early; depth is bounded by jansson. */
	json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *text;

	*ret_why = "the request is not a JSON object";
	if (!json_is_object(root))
		goto fail;
	*ret_why = "\"op\" is not one of run, complete, config, check";
	if (parse_op(json_string_value(json_object_get(root, "op")), &request.op) < 0)
		goto fail;
	*ret_why = "\"words\" is not a list of at most 32 strings";
	if (take_words(json_object_get(root, "words"), &request) < 0)
		goto fail;
	text = json_object_get(root, "text");
	*ret_why = "\"text\" is missing";
	if ((request.op == REQUEST_CONFIG || request.op == REQUEST_CHECK) && !json_is_string(text))
		goto fail;
	request.text = json_string_value(text);
	request.text_len = json_string_length(text);
	request.context = json_string_value(json_object_get(root, "context"));
	request.in_edit = json_is_true(json_object_get(root, "in_edit"));
	request.is_json = json_is_true(json_object_get(root, "json"));
	request.is_confirmed = json_is_true(json_object_get(root, "confirmed"));
	request.root = root;
	*ret_request = request;
	return 0;
fail:
	json_decref(root);
	return -EINVAL;
}

void request_fini(struct request *request)
{
	json_decref(request->root);
	memset(request, 0, sizeof(*request));
}
