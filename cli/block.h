/* block.h: where in a configuration block a piece of text ends, for prompts and completion
 *
 * The daemon parses; this only follows config, edit, next and end, so that the command line knows
 * its prompt, when a block is whole, and which statement is being typed.
 */
#ifndef FK_CLI_BLOCK_H
#define FK_CLI_BLOCK_H

#include "config/grammar.h"

#include <stdbool.h>
#include <stddef.h>

enum { BLOCK_WORDS_MAX = 32 };

struct block {
	bool is_open; /* inside of config PATH ... end */
	bool in_edit;
	char path[80];       /* "system ha" */
	char name[80];       /* of the edit */
	unsigned word_count; /* of the statement that the text ends in */
	char words[BLOCK_WORDS_MAX][TOKEN_TEXT_MAX + 1];
};

/* 0, or -EINVAL when the text ends inside quotes or holds what no text holds (*ret_why). */
int block_scan(const char *text, size_t len, struct block *ret_block, const char **ret_why);

#endif
