/* scenarios.c: named stories, each with its promise */
#include "sim.h"

const struct scenario scenarios[] = {
	{ 0 },
};
const unsigned scenario_count = 0;
