/* control_test.c: the socket: framing, bounds, back-pressure, clean ends */
#include "control/fake_node.h"
#include "control/frame.h"
#include "control/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct loop *loop;
	struct control *control;
	struct fake_node fake;
	char dir[32], path[64];
};

static void world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/fkcontrol.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
	fake_init(&w->fake);
	w->loop = loop_new();
	assert_int_equal(control_open(w->loop, w->path, &fake_ops, &w->fake, &w->control), 0);
}

static void world_close(struct world *w)
{
	control_close(w->control);
	assert_int_equal(access(w->path, F_OK), -1);
	loop_turn(w->loop, 0);
	loop_free(w->loop);
	assert_int_equal(rmdir(w->dir), 0);
}

static void turn(struct world *w, unsigned times)
{
	while (times-- > 0)
		assert_true(loop_turn(w->loop, 0) >= 0);
}

static int dial(struct world *w)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	turn(w, 2);
	return fd;
}

static void ask(int fd, const char *json)
{
	uint8_t head[FRAME_REQUEST_HEAD];

	frame_request_head(head, strlen(json));
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, json, strlen(json)), strlen(json));
}

/* Reads whatever is there after a few turns; -1: closed by the daemon. */
static ssize_t gather(struct world *w, int fd, char *out, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < 20; i++) {
		ssize_t n;

		turn(w, 1);
		n = read(fd, out + len, size - len - 1);
		if (n == 0)
			return -1;
		if (n < 0 && errno != EAGAIN)
			return -1;
		len += n > 0 ? (size_t)n : 0;
	}
	out[len] = '\0';
	return (ssize_t)len;
}

static const char status_request[] =
	"{\"op\":\"run\",\"words\":[\"get\",\"system\",\"session\",\"status\"]}";
static const char list_request[] =
	"{\"op\":\"run\",\"words\":[\"get\",\"system\",\"session\",\"list\"]}";

static void control_answers_on_a_private_socket(void **state)
{
	struct world w;
	struct stat st;
	char out[400];
	ssize_t len;
	int fd;

	(void)state;
	world_open(&w);
	assert_int_equal(stat(w.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = dial(&w);
	for (unsigned i = 0; i < 3; i++) {
		ask(fd, status_request);
		len = gather(&w, fd, out, sizeof(out));
		assert_true(len > 11);
		assert_int_equal(out[0], 't');
		assert_non_null(strstr(out + 5, "sessions for the current VDOM: 5\n"));
		assert_memory_equal(out + len - 6, "x\0\0\0\1\0", 6);
	}
	close(fd);
	turn(&w, 3);
	world_close(&w);
}

static void control_takes_a_request_byte_by_byte(void **state)
{
	struct world w;
	uint8_t frame[4 + sizeof(status_request) - 1];
	char out[400];
	int fd;

	(void)state;
	world_open(&w);
	fd = dial(&w);
	frame_request_head(frame, sizeof(status_request) - 1);
	memcpy(frame + 4, status_request, sizeof(status_request) - 1);
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_int_equal(write(fd, frame + i, 1), 1);
		turn(&w, 1);
	}
	assert_true(gather(&w, fd, out, sizeof(out)) > 11);
	close(fd);
	world_close(&w);
}

static void control_refuses_what_is_too_large(void **state)
{
	static const uint8_t heads[][4] = {{0, 0, 0, 0}, {0, 4, 0, 1}, {255, 255, 255, 255}};
	struct world w;
	char out[400];

	(void)state;
	world_open(&w);
	for (unsigned i = 0; i < 3; i++) {
		int fd = dial(&w);

		assert_int_equal(write(fd, heads[i], 4), 4);
		assert_int_equal(gather(&w, fd, out, sizeof(out)), -1);
		close(fd);
	}
	world_close(&w);
}

static void control_tells_what_is_wrong_with_a_request(void **state)
{
	static const char *const requests[] = {
		"x",
		"[]",
		"{}",
		"{\"op\":\"run\",\"words\":[1]}",
		"{\"op\":\"dance\"}",
		"{\"op\":\"config\"}",
		"{\"op\":\"run\",\"words\":\"get\"}",
		"{\"op\":\"run\"}",
	};
	struct world w;
	char out[700];
	int fd;

	(void)state;
	world_open(&w);
	fd = dial(&w);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		ssize_t len;

		ask(fd, requests[i]);
		len = gather(&w, fd, out, sizeof(out));
		assert_true(len > 11);
		assert_int_equal(out[0], 'e');
		assert_int_equal(out[len - 1], CONTROL_USAGE);
	}
	close(fd);
	world_close(&w);
}

static void control_lets_a_crowd_wait(void **state)
{
	struct world w;
	int fds[CONTROL_CLIENTS + 1];
	char out[10];

	(void)state;
	world_open(&w);
	for (unsigned i = 0; i <= CONTROL_CLIENTS; i++)
		fds[i] = dial(&w);
	assert_int_equal(gather(&w, fds[CONTROL_CLIENTS], out, sizeof(out)), -1);
	assert_int_equal(gather(&w, fds[0], out, sizeof(out)), 0);
	for (unsigned i = 0; i <= CONTROL_CLIENTS; i++)
		close(fds[i]);
	turn(&w, 3);
	world_close(&w);
}

static void control_pauses_a_list_nobody_reads(void **state)
{
	struct world w;
	static char out[4 * 1024 * 1024];
	size_t len = 0;
	int fd, other;

	(void)state;
	world_open(&w);
	w.fake.sessions = 50000;
	fd = dial(&w);
	ask(fd, list_request);
	for (unsigned i = 0; i < 1000; i++) {
		turn(&w, 1);
		fake_walk(&w.fake, 100);
	}
	/* Unread: the walk stands still, far from its end, and others are served. */
	assert_true(w.fake.is_paused);
	assert_true(w.fake.given < 20000);
	other = dial(&w);
	ask(other, status_request);
	assert_true(gather(&w, other, out, sizeof(out)) > 11);
	close(other);
	/* Read: it goes on to the end, whole. */
	for (unsigned i = 0;
	     i < 10000 && !(len > 6 && memcmp(out + len - 6, "x\0\0\0\1\0", 6) == 0); i++) {
		ssize_t n = read(fd, out + len, sizeof(out) - len);

		assert_true(n != 0);
		len += n > 0 ? (size_t)n : 0;
		turn(&w, 1);
		fake_walk(&w.fake, 100);
	}
	assert_memory_equal(out + len - 6, "x\0\0\0\1\0", 6);
	assert_false(w.fake.is_walking);
	assert_int_equal(w.fake.given, 50005);
	assert_true(w.fake.pauses >= 1);
	close(fd);
	world_close(&w);
}

static void control_gives_up_a_list_it_cannot_pause(void **state)
{
	struct control_ops ops = fake_ops;
	struct world w;
	static char out[CONTROL_OUTPUT_MAX + 1024 * 1024];
	size_t len = 0;
	int fd;

	(void)state;
	world_open(&w);
	control_close(w.control);
	ops.pause_sessions = NULL;
	assert_int_equal(control_open(w.loop, w.path, &ops, &w.fake, &w.control), 0);
	w.fake.sessions = 300000;
	fd = dial(&w);
	ask(fd, list_request);
	for (unsigned i = 0; i < 400 && (i < 3 || w.fake.is_walking); i++) {
		turn(&w, 1);
		fake_walk(&w.fake, 1000);
	}
	assert_int_equal(w.fake.cancels, 1);
	/* What had been written still arrives, and then why there is no more. */
	for (unsigned i = 0;
	     i < 10000 && !(len > 6 && memcmp(out + len - 6, "x\0\0\0\1\1", 6) == 0); i++) {
		ssize_t n = read(fd, out + len, sizeof(out) - len);

		assert_true(n != 0);
		len += n > 0 ? (size_t)n : 0;
		turn(&w, 1);
	}
	assert_memory_equal(out + len - 6, "x\0\0\0\1\1", 6);
	assert_non_null(memmem(out + len - 100, 100, "too slow", 8));
	/* The connection goes on. */
	ask(fd, status_request);
	assert_true(gather(&w, fd, out, sizeof(out)) > 11);
	close(fd);
	world_close(&w);
}

static void control_cancels_the_list_of_a_reader_that_left(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	w.fake.sessions = 50000;
	fd = dial(&w);
	ask(fd, list_request);
	turn(&w, 5);
	fake_walk(&w.fake, 1000);
	close(fd);
	for (unsigned i = 0; i < 10 && w.fake.is_walking; i++) {
		fake_walk(&w.fake, 1000);
		turn(&w, 1);
	}
	assert_false(w.fake.is_walking);
	assert_int_equal(w.fake.cancels, 1);
	/* And at the end of the daemon too. */
	fd = dial(&w);
	ask(fd, list_request);
	turn(&w, 5);
	assert_true(w.fake.is_walking);
	world_close(&w);
	assert_int_equal(w.fake.cancels, 2);
	close(fd);
}

static void control_takes_over_a_dead_socket_only(void **state)
{
	struct world w;
	struct control *second = NULL;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	world_open(&w);
	assert_int_equal(control_open(w.loop, w.path, &fake_ops, &w.fake, &second), -EADDRINUSE);
	control_close(w.control);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(addr.sun_path, w.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(control_open(w.loop, w.path, &fake_ops, &w.fake, &w.control), 0);
	world_close(&w);
}

/* --- completion of statements ------------------------------------------------------------ */

static void collect(void *arg, const char *word, const char *help)
{
	(void)help;
	strcat(arg, word);
	strcat(arg, " ");
}

static void statements_complete_from_the_key_table(void **state)
{
	static const struct {
		const char *path;
		bool in_edit;
		const char *words[4];
		unsigned count;
		const char *expected;
	} rows[] = {
		{"system ha", false, {""}, 1, "abort end set show unset "},
		{"system interface", false, {""}, 1, "abort delete edit end show "},
		{"system interface", true, {""}, 1, "abort end next set show unset "},
		{"system ha", false, {"s"}, 1, "set show "},
		{"system ha",
		 false,
		 {"set", "hb-"},
		 2,
		 "hb-interval hb-interval-in-milliseconds hb-lost-threshold "},
		{"system ha", false, {"set", "mode", ""}, 3, "standalone a-p "},
		{"system ha", false, {"set", "override", "e"}, 3, "enable "},
		{"system ha", false, {"set", "priority", ""}, 3, "<0-255> "},
		{"system ha", false, {"set", "priority", "9", ""}, 4, "<cr> "},
		{"system ha", false, {"set", "hbdev", "a", ""}, 4, "<0-512> <cr> "},
		{"system interface", false, {"edit", ""}, 2, "in <interface> "},
		{"system ha", false, {"unset", "mon"}, 2, "monitor "},
		{"nothing", false, {"set", "x", ""}, 3, "<cr> "},
	};
	struct config config;
	struct config_error error;
	char out[600];

	(void)state;
	config_init(&config);
	assert_int_equal(
		config_parse(&config, "f", "config system interface edit in end", 35, &error), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out[0] = '\0';
		statement_complete(&config, rows[i].path, rows[i].in_edit, rows[i].words,
				   rows[i].count, collect, out);
		assert_string_equal(out, rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_answers_on_a_private_socket),
		cmocka_unit_test(control_takes_a_request_byte_by_byte),
		cmocka_unit_test(control_refuses_what_is_too_large),
		cmocka_unit_test(control_tells_what_is_wrong_with_a_request),
		cmocka_unit_test(control_lets_a_crowd_wait),
		cmocka_unit_test(control_pauses_a_list_nobody_reads),
		cmocka_unit_test(control_gives_up_a_list_it_cannot_pause),
		cmocka_unit_test(control_cancels_the_list_of_a_reader_that_left),
		cmocka_unit_test(control_takes_over_a_dead_socket_only),
		cmocka_unit_test(statements_complete_from_the_key_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
