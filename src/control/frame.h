/* frame.h: the framing of the control socket, for the daemon, the command line and tests
 *
 * Request: length, JSON. Reply: chunks of type, length, bytes. Lengths are 4 bytes, network order.
 */
#ifndef FK_CONTROL_FRAME_H
#define FK_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_REQUEST_HEAD = 4, FRAME_CHUNK_HEAD = 5, FRAME_WORDS_MAX = 32 };

enum request_op { REQUEST_RUN, REQUEST_COMPLETE, REQUEST_CONFIG, REQUEST_CHECK };

/* A request, taken apart. Strings live in `root` until request_fini(). */
struct request {
	enum request_op op;
	const char *words[FRAME_WORDS_MAX];
	unsigned word_count;
	bool is_json;
	bool is_confirmed;
	const char *text;
	size_t text_len;
	const char *context; /* NULL outside of a config block */
	bool in_edit;
	void *root;
};

/* The length that follows the head, or -EMSGSIZE when it is 0 or above `max`. */
int64_t frame_request_len(const uint8_t head[FRAME_REQUEST_HEAD], size_t max);
void frame_request_head(uint8_t head[FRAME_REQUEST_HEAD], size_t len);
void frame_chunk_head(uint8_t head[FRAME_CHUNK_HEAD], char type, size_t len);
/* 0, or -EINVAL with *ret_why (a constant). */
int request_parse(const char *json, size_t len, struct request *ret_request, const char **ret_why);
void request_fini(struct request *request);

#endif
