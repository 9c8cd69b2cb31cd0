/* filter_locals.c: the bounded sorted set of this gateway's own addresses */
#include "filter/filter.h"

#include "base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int local_compare(const struct filter_local *a, const struct ipaddr *addr, int ifindex)
{
	int d = (int)a->addr.family - (int)addr->family;

	if (d == 0)
		d = memcmp(a->addr.bytes, addr->bytes, sizeof(addr->bytes));
	if (d == 0)
		d = (a->ifindex > ifindex) - (a->ifindex < ifindex);
	return d;
}

/* Index of the first entry not before (addr, ifindex). */
static unsigned local_position(const struct filter_locals *locals, const struct ipaddr *addr,
			       int ifindex)
{
	unsigned low = 0, high = locals->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (local_compare(&locals->sorted[middle], addr, ifindex) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void filter_locals_fini(struct filter_locals *locals)
{
	free(locals->sorted);
	*locals = (struct filter_locals){0};
}

int filter_locals_add(struct filter_locals *locals, int ifindex, const struct ipaddr *addr)
{
	unsigned at = local_position(locals, addr, ifindex);

	if (at < locals->count && local_compare(&locals->sorted[at], addr, ifindex) == 0)
		return 0;
	if (locals->count == FILTER_LOCALS_MAX) {
		locals->refused++;
		return -ENOSPC;
	}
	if (locals->count == locals->size) {
		locals->size = locals->size == 0 ? 16 : locals->size * 2;
		locals->sorted = xrealloc(locals->sorted, locals->size, sizeof(*locals->sorted));
	}
	memmove(&locals->sorted[at + 1], &locals->sorted[at],
		(locals->count - at) * sizeof(*locals->sorted));
	locals->sorted[at] = (struct filter_local){*addr, ifindex};
	locals->count++;
	return 1;
}

bool filter_locals_remove(struct filter_locals *locals, int ifindex, const struct ipaddr *addr)
{
	unsigned at = local_position(locals, addr, ifindex);

	if (at == locals->count || local_compare(&locals->sorted[at], addr, ifindex) != 0)
		return false;
	locals->count--;
	memmove(&locals->sorted[at], &locals->sorted[at + 1],
		(locals->count - at) * sizeof(*locals->sorted));
	return true;
}

bool filter_locals_has(const struct filter_locals *locals, const struct ipaddr *addr)
{
	/* Interface indices are positive. */
	unsigned at = local_position(locals, addr, 0);

	return at < locals->count && ipaddr_equal(&locals->sorted[at].addr, addr);
}
