/* shell_test.c: the command line against a daemon in a child process: statuses, blocks, completion
 */
#include "shell.h"

#include "control/fake_node.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char dir[32], path[64];
	pid_t daemon;
	struct client client;
	struct shell shell;
	int life; /* the daemon ends when this is closed */
};

static void serve_walk(void *arg)
{
	fake_walk(arg, 1000);
}

/* Lives until the parent closes its end of the pipe. */
static void on_parent_gone(void *arg, unsigned events)
{
	(void)events;
	loop_stop(arg);
}

static void serve(const char *path, int ready, int parent)
{
	struct fake_node fake;
	struct control *control;
	struct loop *loop = loop_new();
	struct watch *watch =
		watch_new(loop, parent, LOOP_READ, LOOP_NORMAL, "parent", on_parent_gone, loop);
	struct hook *hook = hook_new(loop, "rows", serve_walk, &fake);

	fake_init(&fake);
	if (control_open(loop, path, &fake_ops, &fake, &control) < 0)
		_exit(1);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	loop_run(loop);
	control_close(control);
	hook_free(hook);
	watch_free(watch);
	loop_turn(loop, 0);
	loop_free(loop);
	_exit(0);
}

static int world_open(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	int ready[2], life[2];
	char byte;

	strcpy(w->dir, "/tmp/fkshell.XXXXXX");
	if (!mkdtemp(w->dir) || pipe(ready) < 0 || pipe(life) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
	fflush(NULL);
	w->daemon = fork();
	if (w->daemon == 0) {
		close(life[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(w->path, ready[1], life[0]);
	}
	close(life[0]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	w->life = life[1];
	client_init(&w->client, w->path);
	shell_init(&w->shell, &w->client, false, true);
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;
	int status;

	shell_fini(&w->shell);
	client_fini(&w->client);
	close(w->life);
	waitpid(w->daemon, &status, 0);
	rmdir(w->dir);
	free(w);
	return status;
}

/* Runs fn(line) with both outputs caught in `text`. */
static int caught(struct world *w, const char *line, char *text, size_t size)
{
	FILE *file = tmpfile();
	int out = dup(1), err = dup(2), status;
	size_t len;

	fflush(NULL);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	status = shell_line(&w->shell, line);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	rewind(file);
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
	return status;
}

struct line {
	const char *typed;
	int status;
	const char *prompt; /* afterwards */
	const char *says;   /* some of what is printed */
};

static void play(struct world *w, const struct line *lines, size_t count)
{
	char text[8192], prompt[200];

	for (size_t i = 0; i < count; i++) {
		int status = caught(w, lines[i].typed, text, sizeof(text));

		if (status != lines[i].status || !strstr(text, lines[i].says))
			fail_msg("%s: %d: %s", lines[i].typed, status, text);
		shell_prompt(&w->shell, prompt, sizeof(prompt));
		assert_string_equal(prompt, lines[i].prompt);
	}
}

#define PLAY(w, lines) play((w), (lines), sizeof(lines) / sizeof((lines)[0]))

static void shell_follows_a_conversation(void **state)
{
	static const struct line lines[] = {
		{"", 0, "fw-a # ", ""},
		{"get system session status", 0, "fw-a # ", "VDOM: 5\n"},
		{"get sys sess list", 0, "fw-a # ", "icmp    3597"},
		{"get system ha status --json", 0, "fw-a # ", "\"local\":{"},
		{"get system", 2, "fw-a # ", "expected ha, session"},
		{"execute ha failover set 9", 2, "fw-a # ", "vcluster-id"},
		{"conf system ha", 0, "fw-a (ha) # ", ""},
		{"set priority 300", 1, "fw-a (ha) # ", "expected a number from 0 to 255"},
		{"set priority \"2", 2, "fw-a (ha) # ", "inside quotes"},
		{"set priority 200 # comment", 0, "fw-a (ha) # ", ""},
		{"set mode a-p", 0, "fw-a (ha) # ", ""},
		{"show", 0, "fw-a (ha) # ", "config system ha\nend\n"},
		{"end", 1, "fw-a (ha) # ", "group-name"},
		{"unset mode", 0, "fw-a (ha) # ", ""},
		{"end", 0, "fw-a # ", ""},
		{"show system ha", 0, "fw-a # ", "set priority 200\nend"},
		{"config system interface", 0, "fw-a (interface) # ", ""},
		{"edit in", 0, "fw-a (in) # ", ""},
		{"set ip 10.1.0.1/24", 0, "fw-a (in) # ", ""},
		{"next", 0, "fw-a (interface) # ", ""},
		{"abort", 0, "fw-a # ", ""},
		{"show system interface", 0, "fw-a # ", "config system interface\nend\n"},
		{"config system interface edit in end", 0, "fw-a # ", ""},
		{"config system interface", 0, "fw-a (interface) # ", ""},
		{"delete in", 0, "fw-a (interface) # ", ""},
		{"end", 0, "fw-a # ", ""},
		{"config system global set hostname gw-9 end", 0, "gw-9 # ", ""},
		{"config system hha", 1, "gw-9 # ", "did you mean"},
		{"exit", 0, "gw-9 # ", ""},
	};
	struct world *w = *state;

	assert_int_equal(shell_learn_hostname(&w->shell), 0);
	PLAY(w, lines);
	assert_true(w->shell.is_over);
}

static void shell_completes(void **state)
{
	static const struct {
		const char *typed;
		int count;
		size_t partial;
		const char *first;
	} rows[] = {
		{"", 5, 0, "config"},
		{"ge", 1, 2, "get"},
		{"get system s", 1, 1, "session"},
		{"config system ha ", 5, 0, "abort"},
		{"config system ha", 0, 0, ""},
		{"config system ha set mon", 1, 3, "monitor"},
		{"config system ha set mode ", 2, 0, "standalone"},
		{"get system \"", -EINVAL, 0, ""},
		{"nonsense ", 0, 0, ""},
	};
	struct world *w = *state;
	static struct suggestion list[SHELL_SUGGESTIONS_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t partial = 0;
		int count = shell_suggest(&w->shell, rows[i].typed, strlen(rows[i].typed), list,
					  &partial);

		assert_int_equal(count, rows[i].count);
		assert_int_equal(partial, rows[i].partial);
		if (count > 0)
			assert_string_equal(list[0].word, rows[i].first);
	}
}

static void shell_takes_words_of_an_argument_vector(void **state)
{
	struct world *w = *state;
	char *const config[] = {(char *)"config", (char *)"system",   (char *)"ha",
				(char *)"set",    (char *)"password", (char *)"two words",
				(char *)"end"};
	char *const one[] = {(char *)"config system ha set group-name lab end"};
	char text[2000];

	w->shell.is_interactive = false;
	assert_int_equal(shell_words(&w->shell, config, 7), 0);
	assert_int_equal(shell_words(&w->shell, one, 1), 0);
	assert_int_equal(caught(w, "show system ha", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "set password ********"));
	assert_non_null(strstr(text, "set group-name \"lab\""));
}

static void shell_tells_that_nobody_answers(void **state)
{
	struct world *w = *state;
	struct client client;
	struct shell shell = w->shell;
	char text[1000];

	client_init(&client, "/nonexistent/sock");
	w->shell.client = &client;
	assert_int_equal(caught(w, "get system ha status", text, sizeof(text)), SHELL_NO_DAEMON);
	assert_non_null(strstr(text, "no daemon answers at /nonexistent/sock"));
	assert_non_null(strstr(text, "Start it with"));
	w->shell = shell;
	client_fini(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shell_follows_a_conversation, world_open,
						world_close),
		cmocka_unit_test_setup_teardown(shell_completes, world_open, world_close),
		cmocka_unit_test_setup_teardown(shell_takes_words_of_an_argument_vector, world_open,
						world_close),
		cmocka_unit_test_setup_teardown(shell_tells_that_nobody_answers, world_open,
						world_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
