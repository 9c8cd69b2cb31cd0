/* seal.c: seals and opens frames with keys of the group, of each sender and of each start */
#include "wire/seal.h"

#include "base/xalloc.h"
#include "wire/limits.h"
#include "wire/replay.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEAL_MAGIC = 0x464b,
	SEAL_VERSION = 1,
	SERIAL_BYTES = 16,
	SECURITY_FLAGS = SEAL_ENCRYPTED | SEAL_AUTHENTICATED,
	KEY_PASSES = 3,
	KEY_MEMORY_BYTES = 16 << 20,
};

struct sender {
	bool is_used;
	bool is_pinned;
	uint64_t heard; /* value of seal->clock when last heard */
	char serial[SERIAL_BYTES];
	uint64_t incarnation;
	struct seal_key key;
	struct replay window;
};

struct seal {
	struct seal_config config;
	char serial[SERIAL_BYTES];
	struct seal_key group; /* config.key, or the known one where nothing is protected */
	struct seal_key own;
	uint64_t counter; /* of the newest frame we sealed */
	uint64_t clock;   /* counts accepted frames; orders the slots by when they were heard */
	struct sender senders[LIMIT_SENDERS];
};

/* What a frame's first 40 bytes say, before any of it is believed. */
struct claim {
	uint16_t magic;
	uint8_t version, type, flags, plane;
	uint16_t group_id;
	char serial[SERIAL_BYTES];
	uint64_t incarnation, counter;
};

static void serial_pad(const char *text, char ret_serial[SERIAL_BYTES])
{
	memset(ret_serial, 0, SERIAL_BYTES);
	memcpy(ret_serial, text, strnlen(text, SERIAL_BYTES));
}

/* Printable, then zeros: a claimed serial is shown to people before it is proven. */
static bool is_serial(const char serial[SERIAL_BYTES])
{
	size_t i = 0;

	while (i < SERIAL_BYTES && serial[i] >= 0x21 && serial[i] <= 0x7e)
		i++;
	return i > 0 && sodium_is_zero((const uint8_t *)serial + i, SERIAL_BYTES - i);
}

static void derive_sender(const struct seal *seal, const char serial[SERIAL_BYTES],
			  uint64_t incarnation, struct seal_key *ret_key)
{
	uint8_t text[1 + SERIAL_BYTES + 8];
	struct wbuf w = wbuf_of(text, sizeof(text));

	wbuf_u8(&w, (uint8_t)seal->config.plane);
	wbuf_bytes(&w, serial, SERIAL_BYTES);
	wbuf_be64(&w, incarnation);
	crypto_generichash(ret_key->bytes, sizeof(ret_key->bytes), text, sizeof(text),
			   seal->group.bytes, sizeof(seal->group.bytes));
}

static void make_nonce(uint64_t counter, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
	struct wbuf w = wbuf_of(nonce, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);

	wbuf_be32(&w, 0);
	wbuf_be64(&w, counter);
}

static void write_head(const struct seal *seal, enum frame_type type, uint8_t *frame)
{
	struct wbuf w = wbuf_of(frame, SEAL_HEAD_BYTES);

	wbuf_be16(&w, SEAL_MAGIC);
	wbuf_u8(&w, SEAL_VERSION);
	wbuf_u8(&w, (uint8_t)type);
	wbuf_u8(&w, seal->config.flags);
	wbuf_u8(&w, (uint8_t)seal->config.plane);
	wbuf_be16(&w, seal->config.group_id);
	wbuf_bytes(&w, seal->serial, SERIAL_BYTES);
	wbuf_be64(&w, seal->config.incarnation);
	wbuf_be64(&w, seal->counter);
	assert(!w.failed && wbuf_left(&w) == 0);
}

static struct claim read_head(const uint8_t *frame)
{
	struct rbuf r = rbuf_of(frame, SEAL_HEAD_BYTES);
	struct claim c;

	c.magic = rbuf_be16(&r);
	c.version = rbuf_u8(&r);
	c.type = rbuf_u8(&r);
	c.flags = rbuf_u8(&r);
	c.plane = rbuf_u8(&r);
	c.group_id = rbuf_be16(&r);
	rbuf_bytes(&r, c.serial, SERIAL_BYTES);
	c.incarnation = rbuf_be64(&r);
	c.counter = rbuf_be64(&r);
	return c;
}

static bool tag_proves(const struct seal_key *key, uint64_t counter, bool is_encrypted,
		       uint8_t *frame, size_t payload_len)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
	uint8_t *payload = frame + SEAL_HEAD_BYTES;
	size_t plain_len = is_encrypted ? 0 : payload_len;

	make_nonce(counter, nonce);
	return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
		       payload, NULL, payload, payload_len - plain_len, payload + payload_len,
		       frame, SEAL_HEAD_BYTES + plain_len, nonce, key->bytes) == 0;
}

static struct sender *sender_find(struct seal *seal, const char serial[SERIAL_BYTES],
				  uint64_t incarnation)
{
	for (struct sender *s = seal->senders; s < seal->senders + LIMIT_SENDERS; s++)
		if (s->is_used && s->incarnation == incarnation &&
		    memcmp(s->serial, serial, SERIAL_BYTES) == 0)
			return s;
	return NULL;
}

/* A free slot or the one least recently heard (free ones were heard at 0); NULL when all are
 * pinned. */
static struct sender *sender_take(struct seal *seal)
{
	struct sender *oldest = NULL;

	for (struct sender *s = seal->senders; s < seal->senders + LIMIT_SENDERS; s++)
		if (!s->is_pinned && (!oldest || s->heard < oldest->heard))
			oldest = s;
	return oldest;
}

static enum drop_reason check_head(const struct seal *seal, const struct claim *c)
{
	if (c->group_id != seal->config.group_id)
		return DROP_GROUP;
	if (!is_serial(c->serial))
		return DROP_RANGE;
	if (memcmp(c->serial, seal->serial, SERIAL_BYTES) == 0 &&
	    c->incarnation == seal->config.incarnation)
		return DROP_OWN;
	if ((c->flags & SECURITY_FLAGS) != seal->config.flags)
		return DROP_SECURITY;
	return DROP_NONE;
}

/* The sender's key, the tag, and below it everything that moves. */
static enum drop_reason admit(struct seal *seal, const struct claim *c, uint8_t *frame,
			      size_t payload_len)
{
	struct sender *sender = sender_find(seal, c->serial, c->incarnation);
	struct seal_key key;

	if (sender)
		key = sender->key;
	else
		derive_sender(seal, c->serial, c->incarnation, &key);
	if (!tag_proves(&key, c->counter, seal->config.flags & SEAL_ENCRYPTED, frame, payload_len))
		return DROP_AUTH;
	if (memcmp(c->serial, seal->serial, SERIAL_BYTES) == 0)
		return DROP_SERIAL_CLASH;
	if (!sender) {
		sender = sender_take(seal);
		if (!sender)
			return DROP_CLUSTER_FULL;
		*sender = (struct sender){ .is_used = true, .incarnation = c->incarnation };
		sender->key = key;
		memcpy(sender->serial, c->serial, SERIAL_BYTES);
	}
	if (!replay_accept(&sender->window, c->counter))
		return DROP_REPLAY;
	sender->heard = ++seal->clock;
	return DROP_NONE;
}

int seal_derive(const char *password, const char *group_name, uint16_t group_id,
		struct seal_key *ret_key)
{
	static const uint8_t purpose[] = "flowkeep group key 1";
	uint8_t salt[crypto_pwhash_SALTBYTES];
	uint8_t id[2] = { (uint8_t)(group_id >> 8), (uint8_t)group_id };
	crypto_generichash_state state;
	struct seal_key key = { { 0 } };

	if (sodium_init() < 0)
		return -ENOSYS;
	crypto_generichash_init(&state, purpose, sizeof(purpose), sizeof(salt));
	crypto_generichash_update(&state, id, sizeof(id));
	crypto_generichash_update(&state, (const uint8_t *)group_name, strlen(group_name));
	crypto_generichash_final(&state, salt, sizeof(salt));
	if (*password &&
	    crypto_pwhash(key.bytes, sizeof(key.bytes), password, strlen(password), salt,
			  KEY_PASSES, KEY_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13))
		return -ENOMEM;
	*ret_key = key;
	sodium_memzero(&key, sizeof(key));
	return 0;
}

struct seal *seal_new(const struct seal_config *config)
{
	struct seal *seal = xcalloc(1, sizeof(*seal));

	if (sodium_init() < 0)
		abort(); /* no source of randomness: nothing about this host can be trusted */
	assert((config->flags & ~SECURITY_FLAGS) == 0);
	seal->config = *config;
	serial_pad(config->serial, seal->serial);
	/* Without protection the key is the one of zeros, known to all: the tag is a checksum. */
	if (config->flags)
		seal->group = config->key;
	derive_sender(seal, seal->serial, config->incarnation, &seal->own);
	return seal;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	sodium_memzero(seal, sizeof(*seal));
	free(seal);
}

struct wbuf seal_payload(uint8_t *frame, size_t size)
{
	struct wbuf w = wbuf_of(frame, size < SEAL_OVERHEAD ? 0 : size - SEAL_OVERHEAD);

	w.failed = size < SEAL_OVERHEAD;
	if (!w.failed)
		w = wbuf_of(frame + SEAL_HEAD_BYTES, size - SEAL_OVERHEAD);
	return w;
}

size_t seal_close(struct seal *seal, enum frame_type type, uint8_t *frame, size_t payload_len)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
	uint8_t *payload = frame + SEAL_HEAD_BYTES;
	size_t plain_len = seal->config.flags & SEAL_ENCRYPTED ? 0 : payload_len;

	assert(seal->counter < UINT64_MAX);
	seal->counter++;
	write_head(seal, type, frame);
	make_nonce(seal->counter, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt_detached(
		payload, payload + payload_len, NULL, payload, payload_len - plain_len, frame,
		SEAL_HEAD_BYTES + plain_len, NULL, nonce, seal->own.bytes);
	return SEAL_OVERHEAD + payload_len;
}

enum drop_reason seal_open(struct seal *seal, uint8_t *frame, size_t len,
			   struct frame_head *ret_head, struct rbuf *ret_payload)
{
	enum drop_reason reason;
	struct claim c;

	if (len < SEAL_OVERHEAD)
		return DROP_SHORT;
	c = read_head(frame);
	if (c.magic != SEAL_MAGIC)
		return DROP_MAGIC;
	if (c.version != SEAL_VERSION)
		return DROP_WIRE_VERSION;
	if (c.plane != seal->config.plane)
		return DROP_BAD_PATH;
	reason = check_head(seal, &c);
	if (reason == DROP_NONE)
		reason = admit(seal, &c, frame, len - SEAL_OVERHEAD);
	if (reason != DROP_RANGE && reason != DROP_GROUP) {
		*ret_head = (struct frame_head){ .type = c.type, .incarnation = c.incarnation,
						 .counter = c.counter };
		memcpy(ret_head->serial, c.serial, SERIAL_BYTES);
	}
	/* A clash too: the double shall be named. Nothing has moved for it. */
	if (reason == DROP_NONE || reason == DROP_SERIAL_CLASH)
		*ret_payload = rbuf_of(frame + SEAL_HEAD_BYTES, len - SEAL_OVERHEAD);
	return reason;
}

void seal_pin(struct seal *seal, const char *serial, uint64_t incarnation, bool is_pinned)
{
	char padded[SERIAL_BYTES];
	struct sender *sender;

	serial_pad(serial, padded);
	sender = sender_find(seal, padded, incarnation);
	if (sender)
		sender->is_pinned = is_pinned;
}
