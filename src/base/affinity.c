/* affinity.c: keeps this thread off the processor that another one needs */
#include "base/affinity.h"

void affinity_avoid(struct affinity *a, int cpu)
{
	cpu_set_t other;

	if (a->users++)
		return;
	CPU_ZERO(&a->before);
	if (sched_getaffinity(0, sizeof(a->before), &a->before) < 0 || cpu < 0 ||
	    cpu >= CPU_SETSIZE)
		return;
	other = a->before;
	CPU_CLR((unsigned)cpu, &other);
	if (CPU_COUNT(&other))
		(void)sched_setaffinity(0, sizeof(other), &other);
}

void affinity_restore(struct affinity *a)
{
	if (a->users == 0 || --a->users)
		return;
	if (CPU_COUNT(&a->before))
		(void)sched_setaffinity(0, sizeof(a->before), &a->before);
}
