/* scenario.h: one scenario against the kernel, run as root with either back end, and rootless
 *
 * A scenario returns NULL or what was wrong, so that it also runs in a forked child that gave up
 * its privileges (where cmocka's jumps would not do).
 */
#ifndef FK_CLUSTER_SCENARIO_H
#define FK_CLUSTER_SCENARIO_H

#include "cluster/mute.h"
#include "cluster/netlab.h"

typedef const char *scenario_fn(struct netlab *lab, enum mute_backend backend);

#define MUST(claim)                                                                                \
	do {                                                                                       \
		if (!(claim))                                                                      \
			return #claim;                                                             \
	} while (0)

/* Each runs it in a fresh lab; a test is skipped, with the reason, where that is not permitted. */
void scenario_with_bpf(scenario_fn *scenario);
void scenario_with_nft(scenario_fn *scenario);
void scenario_with_rootless_nft(scenario_fn *scenario);

/* The three of them as cmocka tests. */
#define SCENARIO_DEFINE(name)                                                                      \
	static void bpf_##name(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		scenario_with_bpf(name);                                                           \
	}                                                                                          \
	static void nft_##name(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		scenario_with_nft(name);                                                           \
	}                                                                                          \
	static void rootless_nft_##name(void **state)                                              \
	{                                                                                          \
		(void)state;                                                                       \
		scenario_with_rootless_nft(name);                                                  \
	}
/* For what needs no mute: as root and rootless. */
#define SCENARIO_DEFINE_PLAIN(name)                                                                \
	static void plain_##name(void **state)                                                     \
	{                                                                                          \
		(void)state;                                                                       \
		scenario_with_nft(name);                                                           \
	}                                                                                          \
	static void rootless_##name(void **state)                                                  \
	{                                                                                          \
		(void)state;                                                                       \
		scenario_with_rootless_nft(name);                                                  \
	}
#define SCENARIO_ROWS(name)                                                                        \
	cmocka_unit_test(bpf_##name), cmocka_unit_test(nft_##name),                                \
		cmocka_unit_test(rootless_nft_##name),

#endif
