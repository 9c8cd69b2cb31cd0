/* grammar.h: text to words, and near misses; the one lexer of files and of the interactive prompt
 *
 * White space (line breaks too) separates words; # at the beginning of a word starts a comment up
 * to the end of the line; "..." quotes, with \" and \\ inside; a quoted part may touch an unquoted
 * one, as in a shell. A word that was quoted anywhere is never one of the statement words config,
 * edit, set, unset, next, end. Line breaks inside quotes and control bytes are errors, because they
 * are always a forgotten quote or a binary file.
 */
#ifndef FK_CONFIG_GRAMMAR_H
#define FK_CONFIG_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

/* Longest word: a password of 128 bytes is the longest value, twice that is room for telling. */
enum { TOKEN_TEXT_MAX = 256 };

struct lexer {
	const char *p;
	const char *end;
	unsigned line; /* of the next byte, from 1 */
};

struct token {
	unsigned line; /* where the word begins; of the end of the text when is_end */
	bool is_end;   /* no word is left */
	bool is_quoted;
	bool is_statement; /* one of the statement words, unquoted */
	const char *start; /* borrowed: where the word begins in the text */
	char text[TOKEN_TEXT_MAX + 1];
};

struct lexer lexer_of(const char *text, size_t len);
/* The next word. 0, or -EINVAL with the reason in *ret_why (a constant); token->line and
 * token->text (what was read so far) are filled then too. */
int lexer_next(struct lexer *lexer, struct token *token, const char **ret_why);

bool grammar_is_statement(const char *word);
/* Does the word need quotes to come back as itself, as a value? */
bool grammar_needs_quotes(const char *word);
/* Writes "word" with quotes and escapes; the length, or 0 when it does not fit. */
size_t grammar_quote(const char *word, char *out, size_t size);
/* Changes (insert, delete, replace, swap neighbours) from a to b; words above 40 bytes: 99. */
unsigned grammar_distance(const char *a, const char *b);
/* Is b what the writer of a probably meant? Closer is better, 0 means no. */
unsigned grammar_nearness(const char *a, const char *b);

#endif
