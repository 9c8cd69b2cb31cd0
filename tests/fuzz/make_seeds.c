/* make_seeds.c: writes the seeds of fuzz_frame, _record and _ct_nl: make_seeds tests/fuzz/seeds */
#include "ct/ct_msg.h"
#include "schema.h"
#include "wire/seal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A schema's byte in fuzz_record, and its frame type in fuzz_frame (0: it is no message). */
struct kind {
	const char *name;
	const struct schema *schema;
	uint8_t record_byte;
	uint8_t frame_type;
};

static const struct kind kinds[] = {
	{ "ct",         &schema_ct,         0, 0 },
	{ "heartbeat",  &schema_heartbeat,  1, FRAME_HEARTBEAT },
	{ "sync_data",  &schema_sync_data,  2, FRAME_SYNC_DATA },
	{ "sync_ack",   &schema_sync_ack,   3, FRAME_SYNC_ACK },
	{ "sync_neigh", &schema_sync_neigh, 4, FRAME_SYNC_NEIGH },
};

static void save(const char *base, const char *target, const char *name, const char *variant,
		 const uint8_t *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", base, target);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s%s", base, target, name, variant);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static uint64_t every_field(const struct schema *s)
{
	return (UINT64_C(1) << s->field_count) - 1;
}

/* What matters is that every field is there; printable, so that a name whose length was mutated
 * goes on into its neighbours. */
static void fill(const struct schema *s, uint64_t has, uint8_t family, void *obj)
{
	uint8_t *base = obj;
	uint32_t two = 2;

	memset(obj, 0, s->struct_size);
	memcpy(obj, &has, sizeof(has));
	for (unsigned i = 0; i < s->field_count; i++) {
		const struct field *f = &s->fields[i];
		uint8_t *p = base + f->offset;

		if (!(has >> i & 1))
			continue;
		if (f->type == FT_LIST) {
			memcpy(base + f->count_offset, &two, sizeof(two));
			for (unsigned k = 0; k < two; k++)
				fill(f->of, every_field(f->of), family, p + k * f->size);
		} else if (f->type == FT_NAME || f->type == FT_NAME32) {
			memset(p, 'g', f->size - 1); /* the longest */
		} else if (s->family_offset && f->offset == s->family_offset) {
			*p = family;
		} else {
			/* not behind an address's bytes */
			memset(p, 'a' + (int)i % 26, f->type == FT_IP ? 1 : f->size);
		}
	}
}

static void write_payload(const char *base, const struct kind *kind, const char *variant,
			  const uint8_t *payload, size_t len)
{
	struct seal_config config = { .flags = SEAL_ENCRYPTED | SEAL_AUTHENTICATED,
				      .plane = SEAL_PLANE_SYNC,
				      .group_id = 7,
				      .serial = "SN-A",
				      .incarnation = 11 };
	uint8_t out[2048] = { kind->record_byte };
	struct seal *seal;

	memcpy(out + 1, payload, len);
	save(base, "record", kind->name, variant, out, len + 1);
	if (!kind->frame_type)
		return;
	out[0] = SEAL_ENCRYPTED | SEAL_AUTHENTICATED;
	out[1] = kind->frame_type;
	memcpy(out + 2, payload, len);
	save(base, "frame", kind->name, variant, out, len + 2);
	/* the same as it comes from the wire; keys as in fuzz_frame.c */
	out[0] |= 0x80;
	memset(config.key.bytes, 0x5a, sizeof(config.key.bytes));
	memcpy(out + 1 + SEAL_HEAD_BYTES, payload, len);
	seal = seal_new(&config);
	len = seal_close(seal, (enum frame_type)kind->frame_type, out + 1, len);
	seal_free(seal);
	snprintf((char *)out + sizeof(out) - 32, 32, "%s-raw", variant);
	save(base, "frame", kind->name, (char *)out + sizeof(out) - 32, out, len + 1);
}

/* One neighbour more than allowed, each in order: codec_encode() would not write it. */
static void write_too_many(const char *base, const struct kind *kind)
{
	unsigned count = schema_sync_neigh.fields[SYNC_NEIGH_NEIGHBOURS].max + 1;
	uint8_t element[256], bytes[1536];
	struct wbuf w = wbuf_of(element, sizeof(element)), all = wbuf_of(bytes, sizeof(bytes));
	struct neigh neigh;

	fill(&schema_neigh, schema_neigh.required, AF_INET, &neigh);
	codec_encode(&schema_neigh, &neigh, UINT64_MAX, &w);
	wbuf_varint(&all, 1 << SYNC_NEIGH_TERM | 1 << SYNC_NEIGH_NEIGHBOURS);
	wbuf_varint(&all, 1);
	wbuf_varint(&all, count);
	while (count--) {
		wbuf_varint(&all, wbuf_len(&w));
		wbuf_bytes(&all, element, wbuf_len(&w));
	}
	if (w.failed || all.failed)
		abort();
	write_payload(base, kind, "-many", bytes, wbuf_len(&all));
}

/* Messages of the kernel look like our own updates, and less like our creates. */
static void write_ct_nl(const char *base)
{
	static const struct {
		const char *name;
		uint8_t family, l4;
	} rows[] = {
		{ "tcp4", AF_INET, IPPROTO_TCP },       { "tcp6", AF_INET6, IPPROTO_TCP },
		{ "udp4", AF_INET, IPPROTO_UDP },       { "sctp6", AF_INET6, IPPROTO_SCTP },
		{ "icmp4", AF_INET, IPPROTO_ICMP },     { "icmp6", AF_INET6, IPPROTO_ICMPV6 },
		{ "gre4", AF_INET, IPPROTO_GRE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_Alignas(8) char room[MNL_NLMSG_HDRLEN + CT_BUILD_ROOM];
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
		uint8_t *what = (uint8_t *)mnl_nlmsg_get_payload(nlh) - 1;
		struct ct ct;
		size_t len;

		fill(&schema_ct, every_field(&schema_ct), rows[i].family, &ct);
		ct.src.family = ct.dst.family = ct.rsrc.family = ct.rdst.family = rows[i].family;
		ct.l4 = rows[i].l4;
		if (ct.l4 == IPPROTO_ICMP || ct.l4 == IPPROTO_ICMPV6)
			ct.dport = (uint16_t)((ct.l4 == IPPROTO_ICMP ? 8 : 128) << 8);
		ct_build_update(nlh, 1 << 15, &ct);
		len = mnl_nlmsg_get_payload_len(nlh) + 1;
		*what = 4; /* see fuzz_ct_nl.c: from a dump */
		save(base, "ct_nl", rows[i].name, "-update", what, len);
		nlh = mnl_nlmsg_put_header(room);
		ct_build_create(nlh, 1 << 15, &ct, CT_HOLD_S);
		len = mnl_nlmsg_get_payload_len(nlh) + 1;
		*what = 2;
		save(base, "ct_nl", rows[i].name, "-create", what, len);
	}
}

int main(int argc, char **argv)
{
	union {
		struct ct ct;
		struct heartbeat heartbeat;
		struct sync_neigh neigh;
	} obj;
	uint8_t bytes[1024];

	if (argc != 2)
		return 2;
	mkdir(argv[1], 0755);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct schema *s = kinds[i].schema;
		struct wbuf w = wbuf_of(bytes, sizeof(bytes));

		fill(s, every_field(s), AF_INET6, &obj);
		codec_encode(s, &obj, UINT64_MAX, &w);
		write_payload(argv[1], &kinds[i], "-full", bytes, wbuf_len(&w));
		w = wbuf_of(bytes, sizeof(bytes));
		fill(s, s->required, AF_INET, &obj);
		codec_encode(s, &obj, UINT64_MAX, &w);
		/* and what a later version might add */
		wbuf_varint(&w, 60);
		wbuf_varint(&w, 3);
		wbuf_bytes(&w, "new", 3);
		if (w.failed)
			abort();
		write_payload(argv[1], &kinds[i], "-least", bytes, wbuf_len(&w));
		if (s == &schema_sync_neigh)
			write_too_many(argv[1], &kinds[i]);
	}
	write_ct_nl(argv[1]);
	return 0;
}
