/* cli_golden_test.c: replays tests/golden/cli/NAME.txt, conversations with a daemon of two members
 *
 * Each file: "scenario WORD..." once, then commands after "fw # " as an operator types them, each
 * followed by exactly what is printed; errors begin with "! ", a question with "? ", and an exit
 * status other than 0 stands in brackets. "--json" in front of a command asks for JSON. With
 * FK_GOLDEN_WRITE=1 in the environment the files are rewritten with what happened.
 */
#include "config/grammar.h"
#include "control/fake_node.h"
#include "control/talk.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { PROMPT_LEN = 5 };

static void on_chunk(void *arg, char type, const char *data, size_t len)
{
	FILE *out = arg;

	if (type == 'x' && data[0] != 0)
		fprintf(out, "[%d]\n", data[0]);
	else if (type == 'e')
		fprintf(out, "! %.*s\n", (int)len, data);
	else if (type == 'q')
		fprintf(out, "? %.*s\n", (int)len, data);
	else if (type == 't')
		fwrite(data, 1, len, out);
}

static json_t *request_of(const char *line)
{
	struct lexer lexer = lexer_of(line, strlen(line));
	struct token token;
	const char *why;
	json_t *words = json_array(), *request = json_object();
	bool is_config = strncmp(line, "config ", 7) == 0, is_json = false, is_confirmed = false;
	size_t len = strlen(line);

	/* "get system ?" and "... <tab>" ask for help. */
	if (len > 0 && line[len - 1] == '?') {
		lexer.end--;
		json_object_set_new(request, "op", json_string("complete"));
	} else {
		json_object_set_new(request, "op", json_string(is_config ? "config" : "run"));
	}
	while (lexer_next(&lexer, &token, &why) == 0 && !token.is_end) {
		if (strcmp(token.text, "--json") == 0)
			is_json = true;
		else if (strcmp(token.text, "--yes") == 0)
			is_confirmed = true;
		else
			json_array_append_new(words, json_string(token.text));
	}
	if (len > 0 && line[len - 1] == '?' && (len == 1 || line[len - 2] == ' '))
		json_array_append_new(words, json_string(""));
	json_object_set_new(request, "words", words);
	json_object_set_new(request, "json", json_boolean(is_json));
	json_object_set_new(request, "confirmed", json_boolean(is_confirmed));
	json_object_set_new(request, "text", json_string(line));
	return request;
}

static void play_command(struct fake_node *fake, const char *line, FILE *out)
{
	static struct talk talk;
	json_t *request = request_of(line);
	char *json = json_dumps(request, 0);

	talk_init(&talk, &fake_ops, fake, on_chunk, out);
	talk_request(&talk, json, strlen(json));
	fake_walk(fake, 1000);
	assert_false(talk_is_busy(&talk));
	talk_fini(&talk);
	free(json);
	json_decref(request);
}

static void set_scenario(struct fake_node *fake, const char *words)
{
	if (strstr(words, "secondary"))
		fake->state = MEMBER_STANDBY;
	if (strstr(words, "hello"))
		fake->state = MEMBER_HELLO;
	fake->is_standalone = strstr(words, "standalone") != NULL;
	fake->has_primary = !strstr(words, "hello");
	fake->has_twin = strstr(words, "twin") != NULL;
	fake->has_lost = strstr(words, "lost") != NULL;
	fake->sessions = strstr(words, "ipv6") ? 1 : 0;
}

/* Replays the commands of the transcript; returns what the transcript should say. */
static char *play(const char *transcript)
{
	struct fake_node fake;
	char *result = NULL, *text = strdup(transcript), *save = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&result, &size);

	fake_init(&fake);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "scenario ", 9) == 0) {
			set_scenario(&fake, line);
			fprintf(out, "%s\n", line);
		} else if (strncmp(line, "fw # ", PROMPT_LEN) == 0) {
			fprintf(out, "%s\n", line);
			play_command(&fake, line + PROMPT_LEN, out);
		}
	}
	fclose(out);
	free(text);
	return result;
}

static void replay(const char *path)
{
	char *expected = calloc(1, 262144), *outcome;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	expected[fread(expected, 1, 262143, file)] = '\0';
	fclose(file);
	outcome = play(expected);
	if (getenv("FK_GOLDEN_WRITE")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(outcome, file);
		fclose(file);
	} else {
		assert_string_equal(outcome, expected);
	}
	free(outcome);
	free(expected);
}

static void cli_golden_transcripts_are_as_they_were(void **state)
{
	char dir[400] = __FILE__, path[700];
	unsigned replayed = 0;
	struct dirent *entry;
	DIR *d;

	(void)state;
	*strrchr(dir, '/') = '\0';
	strcat(dir, "/../../tests/golden/cli");
	d = opendir(dir);
	assert_non_null(d);
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len < 4 || strcmp(entry->d_name + len - 4, ".txt") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		replay(path);
		replayed++;
	}
	closedir(d);
	assert_true(replayed >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cli_golden_transcripts_are_as_they_were),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
