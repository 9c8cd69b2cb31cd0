/* config_statements.h: statements without the checks that concern several keys
 *
 * For a prompt that wants to know after every line whether it is right so far, while the block that
 * will make the keys agree is not finished.
 */
#ifndef FK_CONFIG_STATEMENTS_H
#define FK_CONFIG_STATEMENTS_H

#include "config/config.h"

/* As config_parse(), but only what one statement alone can tell. */
int config_statements(struct config *config, const char *file, const char *text, size_t len,
		      struct config_error *ret_error);

#endif
