/* xalloc.h: our own small allocations cannot fail; they abort the daemon instead
 *
 * Never for anything whose size or number a peer can choose: those have a cap in wire/limits.h.
 */
#ifndef FK_BASE_XALLOC_H
#define FK_BASE_XALLOC_H

#include <stddef.h>

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);

#endif
