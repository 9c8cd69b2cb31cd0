/* config_golden_test.c: replays tests/golden/config: N.in gives N.ok (`show`) or N.err (one line)
 *
 * With FK_GOLDEN_WRITE=1 in the environment the outcome is written instead of compared.
 */
#include "config/config_print.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (!file || !text) {
		free(text);
		if (file)
			fclose(file);
		return NULL;
	}
	text[fread(text, 1, 65535, file)] = '\0';
	fclose(file);
	return text;
}

static void compare(const char *path, const char *outcome)
{
	char *expected;

	if (getenv("FK_GOLDEN_WRITE")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(outcome, file);
		fclose(file);
	}
	expected = read_all(path);
	if (!expected)
		fail_msg("%s is missing; the outcome is: %s", path, outcome);
	assert_string_equal(outcome, expected);
	free(expected);
}

static void replay(const char *dir, const char *name)
{
	char path[512], line[800];
	struct config config;
	struct config_error error = {.line = 0};
	char *text;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = read_all(path);
	assert_non_null(text);
	config_init(&config);
	if (config_parse(&config, name, text, strlen(text), &error) == 0) {
		char *shown = config_to_text(&config, "", CONFIG_PRINT_SECRETS);

		snprintf(path, sizeof(path), "%s/%.*sok", dir, (int)strlen(name) - 2, name);
		compare(path, shown);
		free(shown);
	} else {
		config_error_format(&error, line, sizeof(line) - 1);
		strcat(line, "\n");
		snprintf(path, sizeof(path), "%s/%.*serr", dir, (int)strlen(name) - 2, name);
		compare(path, line);
	}
	free(text);
}

static void config_golden_files_are_as_they_were(void **state)
{
	char dir[400] = __FILE__;
	unsigned replayed = 0;
	struct dirent *entry;
	DIR *d;

	(void)state;
	*strrchr(dir, '/') = '\0';
	strcat(dir, "/../../tests/golden/config");
	d = opendir(dir);
	assert_non_null(d);
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len > 3 && strcmp(entry->d_name + len - 3, ".in") == 0) {
			replay(dir, entry->d_name);
			replayed++;
		}
	}
	closedir(d);
	assert_true(replayed >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_golden_files_are_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
