/* block.c: follows config, edit, next and end through a text */
#include "block.h"
#include "config/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void take_word(struct block *block, const char *word)
{
	if (block->word_count == BLOCK_WORDS_MAX)
		return;
	memcpy(block->words[block->word_count++], word, strlen(word) + 1);
}

/* A word of a config statement: the block is open once its path is known. */
static void take_path_word(struct block *block, const char *word)
{
	size_t len = strlen(block->path);

	snprintf(block->path + len, sizeof(block->path) - len, "%s%s", len ? " " : "", word);
	block->is_open = config_path_find(block->path) != NULL;
	if (block->is_open)
		block->word_count = 0;
}

static void take_statement(struct block *block, const char *word)
{
	block->word_count = 0;
	take_word(block, word);
	if (strcmp(word, "config") == 0) {
		block->is_open = block->in_edit = false;
		block->path[0] = '\0';
	} else if (strcmp(word, "next") == 0) {
		block->in_edit = false;
	} else if (strcmp(word, "end") == 0) {
		block->is_open = block->in_edit = false;
		block->path[0] = '\0';
		block->word_count = 0;
	}
}

int block_scan(const char *text, size_t len, struct block *ret_block, const char **ret_why)
{
	struct lexer lexer = lexer_of(text, len);
	struct block *block = ret_block;
	struct token token;

	memset(block, 0, sizeof(*block));
	for (;;) {
		if (lexer_next(&lexer, &token, ret_why) < 0)
			return -EINVAL;
		if (token.is_end)
			return 0;
		if (token.is_statement) {
			take_statement(block, token.text);
			continue;
		}
		if (!block->is_open && block->word_count > 0 &&
		    strcmp(block->words[0], "config") == 0) {
			take_word(block, token.text);
			take_path_word(block, token.text);
			continue;
		}
		/* After `next`, `delete` stands where a statement begins. */
		if (block->word_count == 1 && strcmp(block->words[0], "next") == 0)
			block->word_count = 0;
		take_word(block, token.text);
		if (block->is_open && block->word_count == 2 &&
		    strcmp(block->words[0], "edit") == 0) {
			block->in_edit = true;
			snprintf(block->name, sizeof(block->name), "%.79s", token.text);
		}
	}
}
