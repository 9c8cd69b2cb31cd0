/* message.c: one authentic message of the sync plane, to the room it concerns */
#include "sync/sync_internal.h"

#include <string.h>

/* u16 length, that many bytes for `ret_part`, then the message's head to the end. */
static enum drop_reason open_parts(const struct schema *schema, struct rbuf *payload,
				   struct rbuf *ret_part, void *ret_head)
{
	uint16_t len = rbuf_be16(payload);

	*ret_part = rbuf_cut(payload, len);
	return payload->failed ? DROP_TRUNCATED : codec_decode(schema, payload, ret_head);
}

/* Of what a primary says to its followers. */
static enum drop_reason check_primary(const struct sync *s, const char *from, uint64_t term)
{
	if (s->role != SYNC_SECONDARY || strcmp(from, s->primary) != 0)
		return DROP_NOT_PRIMARY;
	return term == s->term ? DROP_NONE : DROP_STALE_TERM;
}

static enum drop_reason on_data(struct sync *s, mono_t now, const char *from, struct rbuf *payload)
{
	struct rbuf records;
	struct sync_data head;
	enum drop_reason reason = open_parts(&schema_sync_data, payload, &records, &head);

	if (!reason)
		reason = check_primary(s, from, head.term);
	return reason ? reason : inbox_on_data(s, now, &head, &records);
}

static enum drop_reason on_ranges(struct sync *s, const char *from, struct rbuf *payload)
{
	struct rbuf digests;
	struct sync_ranges head;
	enum drop_reason reason = open_parts(&schema_sync_ranges, payload, &digests, &head);

	if (!reason)
		reason = check_primary(s, from, head.term);
	return reason ? reason : ranges_on_digests(s, &head, &digests);
}

static enum drop_reason on_want_ranges(struct sync *s, mono_t now, const char *from,
				       struct rbuf *payload)
{
	struct rbuf set;
	struct sync_want_ranges want;
	enum drop_reason reason = open_parts(&schema_sync_want_ranges, payload, &set, &want);

	return reason ? reason : outbox_on_want_ranges(s, now, from, &want, &set);
}

static enum drop_reason on_offer(struct sync *s, mono_t now, const char *from, struct rbuf *payload)
{
	struct rbuf records;
	struct sync_offer head;
	enum drop_reason reason = open_parts(&schema_sync_offer, payload, &records, &head);

	return reason ? reason : merge_on_offer(s, now, from, &head, &records);
}

enum drop_reason sync_on_message(struct sync *s, mono_t now, const char *from, uint8_t type,
				 struct rbuf *payload)
{
	enum drop_reason reason = DROP_TYPE;
	struct sync_merged merged;
	struct sync_ack ack;

	if (!s->config.is_enabled)
		return DROP_NONE;
	if (type == SYNC_TYPE_DATA) {
		reason = on_data(s, now, from, payload);
	} else if (type == SYNC_TYPE_OFFER) {
		reason = on_offer(s, now, from, payload);
	} else if (type == SYNC_TYPE_RANGES) {
		reason = on_ranges(s, from, payload);
	} else if (type == SYNC_TYPE_WANT_RANGES) {
		reason = on_want_ranges(s, now, from, payload);
	} else if (type == SYNC_TYPE_MERGED) {
		reason = codec_decode(&schema_sync_merged, payload, &merged);
		if (!reason && s->role == SYNC_SECONDARY)
			reason = merge_on_merged(s, now, from, &merged);
	} else if (type == SYNC_TYPE_ACK) {
		reason = codec_decode(&schema_sync_ack, payload, &ack);
		/* Acknowledgements are broadcast: only the primary listens. */
		if (!reason && s->role != SYNC_PRIMARY)
			return DROP_NONE;
		if (!reason)
			reason = outbox_on_ack(s, now, from, &ack);
		*(reason ? &s->stats.acks_refused : &s->stats.acks_heard) += 1;
	}
	return drop_count(&s->stats.drops, reason);
}
