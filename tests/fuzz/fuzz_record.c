/* fuzz_record.c: objects of every schema: first byte which, the rest its encoding
 *
 * What is accepted must have had the one encoding: written again it is the same bytes, or fewer
 * where fields of later versions were skipped, and then it reads as the same object.
 */
#include "fuzz.h"

#include "schema.h"

#include <string.h>

enum { ENCODED_BYTES = 1 << 14 };

union any {
	struct ct ct;
	struct heartbeat heartbeat;
	struct sync_data sync_data;
	struct sync_ack sync_ack;
	struct sync_neigh sync_neigh;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema *const all[] = {
		&schema_ct,       &schema_heartbeat,  &schema_sync_data,
		&schema_sync_ack, &schema_sync_neigh,
	};
	const struct schema *s;
	uint8_t again[ENCODED_BYTES];
	struct wbuf w = wbuf_of(again, sizeof(again));
	union any obj, back;
	struct rbuf r;

	if (size == 0)
		return 0;
	s = all[data[0] % (sizeof(all) / sizeof(all[0]))];
	r = rbuf_of(data + 1, size - 1);
	if (codec_decode(s, &r, &obj) != DROP_NONE)
		return 0;
	FUZZ_CHECK(rbuf_at_end(&r));
	codec_encode(s, &obj, UINT64_MAX, &w);
	FUZZ_CHECK(!w.failed);
	FUZZ_CHECK(wbuf_len(&w) <= size - 1);
	if (wbuf_len(&w) == size - 1)
		FUZZ_CHECK(memcmp(again, data + 1, size - 1) == 0);
	r = rbuf_of(again, wbuf_len(&w));
	FUZZ_CHECK(codec_decode(s, &r, &back) == DROP_NONE);
	FUZZ_CHECK(memcmp(&obj, &back, s->struct_size) == 0);
	return 0;
}
