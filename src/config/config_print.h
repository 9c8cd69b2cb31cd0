/* config_print.h: struct config to text that parses to itself
 *
 * `show` prints what differs from the defaults, `show full-configuration` all of it. Secrets are
 * stars, which a parser takes for "the one there is"; only CONFIG_PRINT_SECRETS writes them out.
 */
#ifndef FK_CONFIG_PRINT_H
#define FK_CONFIG_PRINT_H

#include "config/config.h"

enum { CONFIG_PRINT_FULL = 1, CONFIG_PRINT_SECRETS = 2 };

typedef void config_write_fn(void *arg, const char *text);

/* Writes line by line. `path`: "" for everything, or one path or its first words ("system"). 0, or
 * -ENOENT when there is no such path. */
int config_print(const struct config *config, const char *path, unsigned flags,
		 config_write_fn *write, void *arg);
/* The same into a fresh string, for free(); NULL when there is no such path. */
char *config_to_text(const struct config *config, const char *path, unsigned flags);

#endif
