/* hashq.c: a ring of key hashes with due times */
#include "sync/sync_internal.h"

#include "base/xalloc.h"

#include <stdlib.h>

void hashq_push(struct hashq *q, uint64_t hash, mono_t due, bool is_suspect)
{
	if (q->count == q->size) {
		size_t size = q->size ? q->size * 2 : 64;
		struct hashq_item *items = xcalloc(size, sizeof(*items));

		for (size_t i = 0; i < q->count; i++)
			items[i] = q->items[(q->head + i) % q->size];
		free(q->items);
		q->items = items;
		q->size = size;
		q->head = 0;
	}
	q->items[(q->head + q->count++) % q->size] =
		(struct hashq_item){ .hash = hash, .due = due, .is_suspect = is_suspect };
}

const struct hashq_item *hashq_peek(const struct hashq *q)
{
	return q->count ? &q->items[q->head] : NULL;
}

void hashq_pop(struct hashq *q)
{
	q->head = (q->head + 1) % q->size;
	q->count--;
}

void hashq_clear(struct hashq *q)
{
	free(q->items);
	*q = (struct hashq){ 0 };
}
