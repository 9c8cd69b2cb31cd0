/* codec.h: a struct described by a schema, to bytes and back
 *
 * One walker for everything that is stored, sent or digested: session records, heartbeats, sync
 * messages. The tables come from schema/gen.py, the walking is written here by hand.
 *
 * Encoding: presence mask (varint, bit n = field n), then the present fields of version 1 in order
 * of number, then fields of later versions, each as number (varint), length (varint), bytes. A
 * reader skips numbers it does not know, so neighbouring versions understand each other. The
 * encoding of a value is unique: equal structs have equal bytes.
 *
 * codec_decode() takes bytes and gives a struct or a drop_reason; it never allocates, and checks
 * required fields, list limits and that nothing is left over.
 */
#ifndef FK_RECORD_CODEC_H
#define FK_RECORD_CODEC_H

#include "base/buf.h"
#include "base/drop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FT_U8, FT_U16, FT_U32, FT_U64, FT_W32, FT_IP, FT_B16, FT_B6, FT_NAME, FT_NAME32, FT_LIST,
};

struct schema;

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	size_t size;         /* of the member; of one element for lists */
	size_t count_offset; /* lists: where the uint32_t count is */
	unsigned max;        /* lists: most elements */
	unsigned since;      /* first wire version that has it */
	const struct schema *of;
};

struct schema {
	const char *name;
	const struct field *fields;
	unsigned field_count;
	size_t struct_size;
	size_t family_offset; /* of the uint8_t AF_* that sizes FT_IP fields */
	uint64_t required;    /* masks of field numbers */
	uint64_t keys;
	uint64_t digested;
};

#define HAS(obj, field_number) (((obj)->has >> (field_number)) & 1)
#define SET_HAS(obj, field_number) ((obj)->has |= UINT64_C(1) << (field_number))
#define CLEAR_HAS(obj, field_number) ((obj)->has &= ~(UINT64_C(1) << (field_number)))

/* Writes the fields of `obj` that are present and in `mask` (UINT64_MAX: all). A full buffer
 * leaves w->failed set. */
void codec_encode(const struct schema *s, const void *obj, uint64_t mask, struct wbuf *w);
/* The same for all fields, and where parts of it are, for who keeps the bytes: key fields (they have
 * the lowest numbers) and what is not digested. Offsets count from where `w` stood. */
struct codec_parts {
	size_t key_at, key_end;
	unsigned skip_count; /* undigested stretches */
	struct { size_t from, to; } skip[4];
	bool is_plain; /* false: fields of later versions, or too many stretches: no skip[] */
};
void codec_encode_parts(const struct schema *s, const void *obj, struct wbuf *w,
			struct codec_parts *ret_parts);
/* Reads one object that fills `r` to its end. `ret_obj` is undefined unless DROP_NONE. */
enum drop_reason codec_decode(const struct schema *s, struct rbuf *r, void *ret_obj);
#endif
