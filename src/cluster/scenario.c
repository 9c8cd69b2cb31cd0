/* scenario.c: runs scenarios of the tests of this room */
#include "cluster/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *run(scenario_fn *scenario, enum mute_backend backend)
{
	struct netlab lab;
	const char *wrong = netlab_open(&lab) ? scenario(&lab, backend) : "no namespaces here";

	netlab_close(&lab);
	return wrong;
}

/* In a lab of its own: a scenario must find an untouched interface. */
static bool has_bpf(void)
{
	static const char *const lan[] = {"lan"};
	struct netlab lab;
	struct mute *mute;
	int r = netlab_open(&lab) ? mute_open(MUTE_BPF, lan, 1, &mute) : -1;

	if (r == 0)
		mute_close(mute);
	else
		fprintf(stderr, "# skipped: the BPF back end cannot open here (errno %d)\n", -r);
	netlab_close(&lab);
	return r == 0;
}

static bool is_root(void)
{
	if (geteuid() != 0)
		fprintf(stderr, "# skipped: needs root for network namespaces\n");
	return geteuid() == 0;
}

void scenario_with_bpf(scenario_fn *scenario)
{
	const char *wrong;

	if (!is_root() || !has_bpf())
		skip();
	wrong = run(scenario, MUTE_BPF);
	if (wrong)
		fail_msg("%s", wrong);
}

void scenario_with_nft(scenario_fn *scenario)
{
	const char *wrong;

	if (!is_root())
		skip();
	wrong = run(scenario, MUTE_NFT);
	if (wrong)
		fail_msg("%s", wrong);
}

void scenario_with_rootless_nft(scenario_fn *scenario)
{
	int status;
	pid_t pid;

	if (!is_root()) /* which is what can become nobody */
		skip();
	pid = fork();
	if (pid == 0) {
		const char *wrong = netlab_become_rootless() ? run(scenario, MUTE_NFT)
							     : "no user namespaces here";

		if (wrong)
			fprintf(stderr, "# rootless: %s\n", wrong);
		_exit(wrong != NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
