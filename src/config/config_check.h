/* config_check.h: what concerns several keys of a configuration */
#ifndef FK_CONFIG_CHECK_H
#define FK_CONFIG_CHECK_H

#include "config/config.h"

/* 0, or -EINVAL with word and text of the error filled; its line is 0. */
int config_check(const struct config *config, struct config_error *error);
/* Gives an error that has no line the one where its word stands last in the text; the last line
 * of the text when it does not stand there (what is missing is missing at the end). */
void config_find_line(struct config_error *error, const char *text, size_t len);

#endif
