/* sim.c: the simulator's command line; speaks TAP
 *
 *   sim                               the named scenarios
 *   sim --scenario NAME [--verbose]   one of them
 *   sim --seeds N [--from S] [--seconds V]   random runs; prints the seed of each that fails
 *   sim --seed S [--seconds V]        one random run, with its trace
 */
#include "sim.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_FAILURES = 3 };

static int run_scenarios(const char *name, bool is_verbose)
{
	unsigned number = 0;
	int failed = 0;

	printf("1..%u\n", name ? 1 : scenario_count);
	for (unsigned i = 0; i < scenario_count; i++) {
		struct sim *sim;
		bool ok;

		if (name && strcmp(name, scenarios[i].name) != 0)
			continue;
		sim = sim_new(i + 1, scenarios[i].nodes, is_verbose);
		ok = scenarios[i].run(sim) && !sim->has_failed;
		printf("%sok %u - %s\n", ok ? "" : "not ", ++number, scenarios[i].name);
		if (!ok)
			check_dump(sim, stdout);
		failed += !ok;
		sim_free(sim);
	}
	if (!number)
		printf("Bail out! no scenario %s\n", name);
	return failed || !number;
}

static int run_seeds(uint64_t from, uint64_t count, int64_t seconds, bool is_verbose)
{
	uint64_t events = 0, takeovers = 0, stalls = 0, resumes = 0;
	unsigned failed = 0;

	printf("1..1\n");
	for (uint64_t seed = from; seed < from + count; seed++) {
		struct sim *sim;

		if (!random_run(seed, seconds, is_verbose, &sim)) {
			if (failed++ < SHOWN_FAILURES)
				check_dump(sim, stdout);
			else
				printf("# seed %llu: %s\n", (unsigned long long)seed,
				       sim->failure);
		}
		for (unsigned i = 0; i < sim->count; i++)
			if (sim->nodes[i].is_running)
				node_kill(&sim->nodes[i], "end of the run");
		events += sim->events;
		takeovers += sim->takeovers;
		stalls += sim->stalls;
		resumes += sim->resumes;
		sim_free(sim);
	}
	printf("# %llu events, %llu takeovers, %llu stalls, %llu resumes\n",
	       (unsigned long long)events, (unsigned long long)takeovers,
	       (unsigned long long)stalls, (unsigned long long)resumes);
	printf("%sok 1 - %llu random runs from seed %llu, %u failed\n", failed ? "not " : "",
	       (unsigned long long)count, (unsigned long long)from, failed);
	return failed != 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 'n' },   { "from", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },    { "seconds", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },       { "scenario", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t count = 0, from = 1;
	int64_t seconds = 20;
	bool is_verbose = false;
	const char *name = NULL;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'n')
			count = strtoull(optarg, NULL, 10);
		else if (o == 'f')
			from = strtoull(optarg, NULL, 10);
		else if (o == 't')
			seconds = strtoll(optarg, NULL, 10);
		else if (o == 'v')
			is_verbose = true;
		else if (o == 'c')
			name = optarg;
		else if (o == 's') {
			from = strtoull(optarg, NULL, 10);
			count = 1;
			is_verbose = true;
		} else
			return 2;
	}
	setvbuf(stdout, NULL, _IOFBF, 65536);
	return count ? run_seeds(from, count, seconds, is_verbose) : run_scenarios(name, is_verbose);
}
