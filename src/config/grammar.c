/* grammar.c: text to words, quoting, and near misses */
#include "config/grammar.h"

#include <errno.h>
#include <string.h>

static const char *const statement_words[] = {"config", "edit", "set", "unset", "next", "end"};

bool grammar_is_statement(const char *word)
{
	for (size_t i = 0; i < sizeof(statement_words) / sizeof(statement_words[0]); i++)
		if (strcmp(word, statement_words[i]) == 0)
			return true;
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

struct lexer lexer_of(const char *text, size_t len)
{
	return (struct lexer){.p = text, .end = text + len, .line = 1};
}

static void skip_space(struct lexer *lexer)
{
	bool in_comment = false;

	for (; lexer->p < lexer->end; lexer->p++) {
		char c = *lexer->p;

		if (c == '\n') {
			lexer->line++;
			in_comment = false;
		} else if (c == '#') {
			in_comment = true;
		} else if (!in_comment && !is_space(c)) {
			return;
		}
	}
}

int lexer_next(struct lexer *lexer, struct token *token, const char **ret_why)
{
	size_t len = 0;
	bool in_quotes = false;

	skip_space(lexer);
	token->line = lexer->line;
	token->is_end = lexer->p == lexer->end;
	token->is_quoted = false;
	token->is_statement = false;
	token->start = lexer->p;
	token->text[0] = '\0';
	for (; lexer->p < lexer->end; lexer->p++) {
		char c = *lexer->p;

		if (c == '"') {
			in_quotes = !in_quotes;
			token->is_quoted = true;
			continue;
		}
		if (!in_quotes && is_space(c))
			break;
		if (in_quotes && c == '\n') {
			*ret_why = "the line ends inside quotes; expected a closing \"";
			return -EINVAL;
		}
		if (in_quotes && c == '\\' && lexer->p + 1 < lexer->end &&
		    (lexer->p[1] == '"' || lexer->p[1] == '\\'))
			c = *++lexer->p;
		if (is_control(c) && c != '\t') {
			*ret_why = "a control byte; expected text";
			return -EINVAL;
		}
		if (len == TOKEN_TEXT_MAX) {
			*ret_why = "a word longer than 256 bytes";
			return -EINVAL;
		}
		token->text[len++] = c;
		token->text[len] = '\0';
	}
	if (in_quotes) {
		*ret_why = "the text ends inside quotes; expected a closing \"";
		return -EINVAL;
	}
	token->is_statement = !token->is_quoted && grammar_is_statement(token->text);
	return 0;
}

bool grammar_needs_quotes(const char *word)
{
	if (*word == '\0' || *word == '#' || grammar_is_statement(word))
		return true;
	for (; *word; word++)
		if (is_space(*word) || *word == '"' || *word == '\\')
			return true;
	return false;
}

size_t grammar_quote(const char *word, char *out, size_t size)
{
	size_t len = 0;

	if (size < 3)
		return 0;
	out[len++] = '"';
	for (; *word; word++) {
		if (len + 4 > size)
			return 0;
		if (*word == '"' || *word == '\\')
			out[len++] = '\\';
		out[len++] = *word;
	}
	out[len++] = '"';
	out[len] = '\0';
	return len;
}

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned grammar_distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	unsigned rows[3][MAX + 1]; /* the row before the last, the last, and this one */
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > MAX || b_len > MAX)
		return 99;
	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			now[j] = min_of(min_of(now[j - 1], last[j]) + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min_of(now[j], before[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

unsigned grammar_nearness(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned distance = grammar_distance(a, b);

	if (len == 0)
		return 0;
	/* One slip in a short word, two in a long one; more is another word. */
	if (distance <= (len < 5 ? 1u : 2u))
		return 10 - distance;
	/* A word cut short (`session-pick`) or with another beginning missing (`pickup`). */
	if (len >= 3 && strncmp(a, b, len) == 0)
		return 5;
	if (len >= 4 && strstr(b, a))
		return 3;
	return 0;
}
