/* neigh_table.c: a fixed array of told neighbours, chained by hash */
#include "cluster/neigh_table.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, NONE = UINT16_MAX };

struct slot {
	struct neigh entry;
	mono_t told;
	uint16_t next; /* in its chain, or in the list of free slots */
};

struct neigh_table {
	unsigned count;
	uint64_t refused;
	uint16_t free;
	uint16_t buckets[BUCKETS];
	struct slot slots[NEIGH_TABLE_MAX];
};

static bool is_same(const struct neigh *a, const struct neigh *b)
{
	return a->l3 == b->l3 && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 &&
	       strncmp(a->ifname, b->ifname, sizeof(a->ifname)) == 0;
}

/* FNV-1a over address and interface. Peers that are authenticated are trusted not to collide. */
static uint16_t *bucket_of(struct neigh_table *table, const struct neigh *entry)
{
	uint32_t hash = 0x811c9dc5;

	for (size_t i = 0; i < sizeof(entry->addr); i++)
		hash = (hash ^ entry->addr[i]) * 0x01000193;
	for (const char *p = entry->ifname; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x01000193;
	return &table->buckets[(hash ^ hash >> 16) % BUCKETS];
}

/* Where the index of the entry's slot is kept; *result is NONE when there is none. */
static uint16_t *find(struct neigh_table *table, const struct neigh *entry)
{
	uint16_t *at = bucket_of(table, entry);

	while (*at != NONE && !is_same(&table->slots[*at].entry, entry))
		at = &table->slots[*at].next;
	return at;
}

static void remove_at(struct neigh_table *table, uint16_t *at)
{
	uint16_t index = *at;

	*at = table->slots[index].next;
	table->slots[index].next = table->free;
	table->free = index;
	table->count--;
}

void neigh_table_clear(struct neigh_table *table)
{
	memset(table->buckets, 0xff, sizeof(table->buckets)); /* NONE */
	table->count = 0;
	table->free = 0;
	for (unsigned i = 0; i < NEIGH_TABLE_MAX; i++)
		table->slots[i].next = i + 1 < NEIGH_TABLE_MAX ? (uint16_t)(i + 1) : NONE;
}

struct neigh_table *neigh_table_new(void)
{
	struct neigh_table *table = xcalloc(1, sizeof(*table));

	neigh_table_clear(table);
	return table;
}

void neigh_table_free(struct neigh_table *table)
{
	free(table);
}

bool neigh_table_has(const struct neigh_table *table, const struct neigh *entry)
{
	return *find((struct neigh_table *)(uintptr_t)table, entry) != NONE;
}

bool neigh_table_put(struct neigh_table *table, const struct neigh *entry, mono_t now)
{
	uint16_t *at = find(table, entry);

	if (*at == NONE) {
		if (table->free == NONE) {
			table->refused++;
			return false;
		}
		*at = table->free;
		table->free = table->slots[*at].next;
		table->slots[*at].next = NONE;
		table->count++;
	}
	table->slots[*at].entry = *entry;
	table->slots[*at].told = now;
	return true;
}

void neigh_table_del(struct neigh_table *table, const struct neigh *entry)
{
	uint16_t *at = find(table, entry);

	if (*at != NONE)
		remove_at(table, at);
}

void neigh_table_expire(struct neigh_table *table, mono_t before, neigh_table_fn *fn, void *arg)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (uint16_t *at = &table->buckets[i]; *at != NONE;) {
			struct slot *slot = &table->slots[*at];

			if (mono_before(slot->told, before)) {
				fn(arg, &slot->entry);
				remove_at(table, at);
			} else {
				at = &slot->next;
			}
		}
	}
}

unsigned neigh_table_count(const struct neigh_table *table)
{
	return table->count;
}

void neigh_table_refuse(struct neigh_table *table)
{
	table->refused++;
}

uint64_t neigh_table_refused(const struct neigh_table *table)
{
	return table->refused;
}
