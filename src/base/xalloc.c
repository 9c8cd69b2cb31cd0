/* xalloc.c: small allocations that cannot fail */
#include "base/xalloc.h"

#include "base/log.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		log_errx("xalloc", "out of memory");
		abort();
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	/* calloc(0) may give NULL without being out of memory. */
	return must(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	if (n == 0 || size == 0)
		n = size = 1;
	return must(reallocarray(p, n, size));
}
