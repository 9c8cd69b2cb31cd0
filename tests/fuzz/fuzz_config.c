/* fuzz_config.c: a configuration file from hell: refused with a line and a text, or it comes back
 *
 * What parses is printed, and what is printed must parse to the same text again.
 */
#include "fuzz.h"

#include "config/config_print.h"

#include <string.h>

int fuzz_config(const uint8_t *data, size_t size);

int fuzz_config(const uint8_t *data, size_t size)
{
	struct config config, again;
	struct config_error error = {.line = 0};
	char line[800], *text, *second;

	config_init(&config);
	if (config_parse(&config, "fuzz", (const char *)data, size, &error) < 0) {
		FUZZ_CHECK(error.line > 0);
		FUZZ_CHECK(error.text[0] != '\0');
		config_error_format(&error, line, sizeof(line));
		return 0;
	}
	text = config_to_text(&config, "", CONFIG_PRINT_SECRETS);
	FUZZ_CHECK(text);
	config_init(&again);
	FUZZ_CHECK(config_parse(&again, "again", text, strlen(text), &error) == 0);
	second = config_to_text(&again, "", CONFIG_PRINT_SECRETS);
	FUZZ_CHECK(second && strcmp(text, second) == 0);
	free(second);
	free(text);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_config(data, size);
}
