/* fuzz_frame.c: frames from a stranger, and the worst a member could say
 *
 * First byte: bits 0-1 the SEAL_* flags, bit 2 the plane, bit 7 whether the rest is a frame as it
 * came from the wire, or frame type and payload, which a member then seals: mutations rarely get
 * past a tag, so that is how they reach the decoders.
 */
#include "fuzz.h"

#include "schema.h"
#include "wire/limits.h"
#include "wire/seal.h"

#include <string.h>

enum { RAW = 0x80, PLANE = 4, FLAGS = 3 };

static struct seal *member(uint8_t mode, const char *serial, uint64_t incarnation)
{
	struct seal_config config = { .flags = mode & FLAGS, .group_id = 7 };

	config.incarnation = incarnation;
	config.plane = mode & PLANE ? SEAL_PLANE_HEARTBEAT : SEAL_PLANE_SYNC;
	memset(config.key.bytes, 0x5a, sizeof(config.key.bytes));
	snprintf(config.serial, sizeof(config.serial), "%s", serial);
	return seal_new(&config);
}

/* As the rooms above do it: the type tells the schema, records follow the head of sync_data. */
static void read_payload(uint8_t type, struct rbuf payload)
{
	static const struct {
		uint8_t type;
		const struct schema *schema;
	} rows[] = {
		{ FRAME_HEARTBEAT, &schema_heartbeat }, { FRAME_SYNC_DATA, &schema_sync_data },
		{ FRAME_SYNC_ACK, &schema_sync_ack },   { FRAME_SYNC_NEIGH, &schema_sync_neigh },
	};
	union {
		struct heartbeat heartbeat;
		struct sync_data sync_data;
		struct sync_ack sync_ack;
		struct sync_neigh sync_neigh;
	} obj;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			codec_decode(rows[i].schema, &payload, &obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *frame, mode = size ? data[0] : 0;
	struct seal *receiver = NULL, *sender = NULL;
	size_t len = mode & RAW ? size - 1 : size - 2 + SEAL_OVERHEAD;
	struct frame_head head;
	struct rbuf payload;
	enum drop_reason reason;

	if (size < 2 || len > LIMIT_FRAME_BYTES)
		return 0;
	frame = malloc(len);
	FUZZ_CHECK(frame);
	receiver = member(mode, "SN-B", 22);
	if (mode & RAW) {
		memcpy(frame, data + 1, len);
	} else {
		sender = member(mode, "SN-A", 11);
		memcpy(frame + SEAL_HEAD_BYTES, data + 2, size - 2);
		FUZZ_CHECK(seal_close(sender, (enum frame_type)data[1], frame, size - 2) == len);
	}
	reason = seal_open(receiver, frame, len, &head, &payload);
	FUZZ_CHECK(reason < DROP_REASON_COUNT);
	FUZZ_CHECK(mode & RAW || reason == DROP_NONE);
	if (reason == DROP_NONE) {
		FUZZ_CHECK(rbuf_left(&payload) == len - SEAL_OVERHEAD);
		read_payload(head.type, payload);
	}
	seal_free(sender);
	seal_free(receiver);
	free(frame);
	return 0;
}
