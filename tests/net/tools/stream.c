/* stream.c: a byte stream that proves itself: blocks of 4 bytes length and data, at the end length
 * 0 and the SHA-256 of all data
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct digest {
	crypto_hash_sha256_state state;
};

struct digest *digest_new(void)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		abort();
	crypto_hash_sha256_init(&digest->state);
	return digest;
}

void digest_free(struct digest *digest)
{
	free(digest);
}

void digest_update(struct digest *digest, const uint8_t *data, size_t len)
{
	crypto_hash_sha256_update(&digest->state, data, len);
}

void digest_final(struct digest *digest, uint8_t ret_sum[32])
{
	crypto_hash_sha256_final(&digest->state, ret_sum);
}

void hex_of(const uint8_t sum[32], char ret_text[65])
{
	sodium_bin2hex(ret_text, 65, sum, 32);
}

void sender_init(struct sender *sender, uint64_t rate, uint64_t limit, uint64_t seed)
{
	memset(sender, 0, sizeof(*sender));
	sender->rate = rate;
	sender->limit = limit;
	sender->pattern = seed | 1;
	sender->started_ns = now_ns();
	sender->digest = digest_new();
}

void sender_fini(struct sender *sender)
{
	digest_free(sender->digest);
}

/* Marsaglia's xorshift64: no two blocks alike, so a repeated or missing one is noticed. */
static void pattern_fill(uint64_t *pattern, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		*pattern ^= *pattern << 13;
		*pattern ^= *pattern >> 7;
		*pattern ^= *pattern << 17;
		memcpy(out + i, pattern, len - i < 8 ? len - i : 8);
	}
}

static void block_put(struct sender *sender, size_t len)
{
	uint32_t head = htonl((uint32_t)len);

	memcpy(sender->out + sender->out_len, &head, 4);
	sender->out_len += 4;
	if (len) {
		pattern_fill(&sender->pattern, sender->out + sender->out_len, len);
		digest_update(sender->digest, sender->out + sender->out_len, len);
		sender->bytes += len;
	} else {
		len = sizeof(sender->sum);
		digest_final(sender->digest, sender->sum);
		memcpy(sender->out + sender->out_len, sender->sum, len);
		sender->is_ended = true;
	}
	sender->out_len += len;
}

/* How much of the stream may be out by now; what an outage left undone follows at once. */
static uint64_t due_bytes(const struct sender *sender)
{
	return (uint64_t)((double)(now_ns() - sender->started_ns) / 1e9 * (double)sender->rate);
}

static void sender_fill(struct sender *sender)
{
	uint64_t block = sender->rate / 200; /* a block every 5 ms */

	if (block < 64)
		block = 64;
	if (block > TRAFFIC_BLOCK_MAX)
		block = TRAFFIC_BLOCK_MAX;
	if (sender->limit && sender->limit - sender->bytes < block)
		block = sender->limit - sender->bytes;
	if (sender->is_ending || block == 0)
		block_put(sender, 0);
	else if (due_bytes(sender) >= sender->bytes + block)
		block_put(sender, block);
}

int sender_run(struct sender *sender, int fd)
{
	for (;;) {
		ssize_t n;

		if (sender->out_at == sender->out_len) {
			sender->out_at = sender->out_len = 0;
			if (sender->is_ended)
				return 1;
			sender_fill(sender);
			if (!sender->out_len)
				return 0;
		}
		n = send(fd, sender->out + sender->out_at, sender->out_len - sender->out_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		sender->out_at += (size_t)n;
	}
}

bool sender_is_blocked(const struct sender *sender)
{
	return sender->out_at < sender->out_len;
}

void receiver_init(struct receiver *receiver)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->digest = digest_new();
}

void receiver_fini(struct receiver *receiver)
{
	digest_free(receiver->digest);
}

static int head_take(struct receiver *receiver, uint8_t byte)
{
	uint32_t len;

	receiver->head[receiver->head_len++] = byte;
	if (receiver->head_len < 4)
		return 0;
	memcpy(&len, receiver->head, 4);
	receiver->left = ntohl(len);
	receiver->head_len = 0;
	receiver->blocks++;
	if (receiver->left > TRAFFIC_BLOCK_MAX)
		return -EPROTO;
	if (receiver->left == 0)
		receiver->is_trailer = true;
	return 0;
}

static void trailer_take(struct receiver *receiver, uint8_t byte)
{
	receiver->sum[receiver->sum_len++] = byte;
	if (receiver->sum_len < sizeof(receiver->sum))
		return;
	digest_final(receiver->digest, receiver->ours);
	receiver->is_right = memcmp(receiver->sum, receiver->ours, sizeof(receiver->sum)) == 0;
	receiver->is_done = true;
}

int receiver_take(struct receiver *receiver, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = 1;

		if (receiver->is_done)
			return -EPROTO;
		if (receiver->is_trailer) {
			trailer_take(receiver, *data);
		} else if (receiver->left) {
			n = len < receiver->left ? len : receiver->left;
			digest_update(receiver->digest, data, n);
			receiver->left -= n;
			receiver->bytes += n;
		} else if (head_take(receiver, *data) < 0) {
			return -EPROTO;
		}
		data += n;
		len -= n;
	}
	return 0;
}
