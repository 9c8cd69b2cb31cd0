/* affinity.h: keeps this thread off the processor that another one needs
 *
 * Reading the kernel's session table walks the whole hash table of the host inside one system call, 20 ms
 * with 262144 buckets. A kernel without preemption lets nobody else run on that processor meanwhile, and a
 * real-time thread that was there before is woken there again. So the reader goes elsewhere first.
 */
#ifndef FK_BASE_AFFINITY_H
#define FK_BASE_AFFINITY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdbool.h>

struct affinity {
	cpu_set_t before;
	unsigned users; /* of avoid, not yet restored */
};

/* This thread leaves `cpu` until affinity_restore(); nothing happens where there is no other
 * processor, or none is meant (negative). May be nested: the first one counts. */
void affinity_avoid(struct affinity *affinity, int cpu);
void affinity_restore(struct affinity *affinity);

#endif
