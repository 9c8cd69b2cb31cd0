/* neigh_table.h: the neighbour entries this member was told, at most NEIGH_TABLE_MAX of them
 *
 * The kernel never collects externally learned entries, so the cap here is what bounds them.
 */
#ifndef FK_CLUSTER_NEIGH_TABLE_H
#define FK_CLUSTER_NEIGH_TABLE_H

#include "base/mono.h"
#include "schema.h"

enum { NEIGH_TABLE_MAX = 8192 };

struct neigh_table;

typedef void neigh_table_fn(void *arg, const struct neigh *entry);

struct neigh_table *neigh_table_new(void);
void neigh_table_free(struct neigh_table *table);
void neigh_table_clear(struct neigh_table *table);
bool neigh_table_has(const struct neigh_table *table, const struct neigh *entry);
/* Adds it or notes that it was told again; false when the table is full. */
bool neigh_table_put(struct neigh_table *table, const struct neigh *entry, mono_t now);
void neigh_table_del(struct neigh_table *table, const struct neigh *entry);
/* Calls fn for everything last told before `before`, and removes it. */
void neigh_table_expire(struct neigh_table *table, mono_t before, neigh_table_fn *fn, void *arg);
unsigned neigh_table_count(const struct neigh_table *table);
/* Counts what was not even considered; neigh_table_refused() also counts what did not fit. */
void neigh_table_refuse(struct neigh_table *table);
uint64_t neigh_table_refused(const struct neigh_table *table);

#endif
