/* config_value.h: the values of one key, from words and back to words (inside the config room) */
#ifndef FK_CONFIG_VALUE_H
#define FK_CONFIG_VALUE_H

#include "config/config_keys.h"
#include "config/grammar.h"

/* Longest list: two words an entry (interface and priority, address and mask), and one too many. */
enum { VALUE_WORDS_MAX = 2 * CONFIG_MONITOR_MAX + 1 };

struct value_word {
	unsigned line;
	char text[TOKEN_TEXT_MAX + 1];
};

/* Fills line, word and text of an error; always -EINVAL. */
int config_fail(struct config_error *error, unsigned line, const char *word, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Stores the words in the object the key belongs to. 0, or -EINVAL with the error filled; the
 * object may hold half a list then (the parser works on a copy). */
int config_value_set(const struct config_key *key, void *object, const struct value_word *words,
		     unsigned count, struct config_error *error);
/* Back to the default. */
void config_value_reset(const struct config_key *key, void *object);
/* Calls fn with every word of the value in turn, none for an empty text or list. */
void config_value_words(const struct config_key *key, const void *object,
			void (*fn)(void *arg, const char *word, bool is_quoted), void *arg);

#endif
