/* config_value.c: the values of one key, from words to the struct and back, by type */
#include "config/config_value.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int config_fail(struct config_error *error, unsigned line, const char *word, const char *fmt, ...)
{
	va_list args;

	error->line = line;
	snprintf(error->word, sizeof(error->word), "%s", word);
	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_expected(struct config_error *error, const struct config_key *key, unsigned line,
			 const char *word)
{
	char expected[200];

	config_key_expected(key, expected, sizeof(expected));
	return config_fail(error, line, word, "expected %s", expected);
}

/* Decimal digits only: strtoul() would take signs, spaces and wrap. */
static int parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = (uint32_t)value;
	return 0;
}

static int parse_one_bit(const char *text, uint32_t *ret_value)
{
	size_t digits;
	unsigned long value;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	digits = strspn(text, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 8 || text[digits] != '\0')
		return -EINVAL;
	value = strtoul(text, NULL, 16);
	if (value == 0 || (value & (value - 1)) != 0)
		return -EINVAL;
	*ret_value = (uint32_t)value;
	return 0;
}

static bool is_name(const char *text)
{
	return text[strspn(text,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] ==
	       '\0';
}

static int set_choice(const struct config_key *key, void *object, const struct value_word *word,
		      struct config_error *error)
{
	static const struct key_choice flags[] = {
		{"enable", 1, NULL}, {"disable", 0, NULL}, {NULL, 0, NULL}};
	const struct key_choice *choices = key->type == KEY_FLAG ? flags : key->choices;
	const char *guess = NULL;
	char expected[160];
	unsigned best = 0;

	for (const struct key_choice *c = choices; c->name; c++) {
		unsigned nearness = grammar_nearness(word->text, c->name);

		if (strcmp(c->name, word->text) == 0) {
			config_number_set(object, key, (uint32_t)c->value);
			return 0;
		}
		if (nearness > best) {
			best = nearness;
			guess = c->name;
		}
	}
	config_key_expected(key, expected, sizeof(expected));
	return config_fail(error, word->line, word->text, "expected %s%s%s%s", expected,
			   guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
}

static int set_text(const struct config_key *key, void *object, const struct value_word *word,
		    struct config_error *error)
{
	char *at = (char *)object + key->offset;
	size_t len = strlen(word->text);

	if (len < key->min || len > key->max)
		return fail_expected(error, key, word->line, word->text);
	if (key->type == KEY_NAME && !is_name(word->text))
		return fail_expected(error, key, word->line, word->text);
	if (key->type == KEY_SECRET && strcmp(word->text, CONFIG_STARS) == 0) {
		if (*at == '\0')
			return config_fail(error, word->line, word->text,
					   "the secret was hidden when this text was printed; "
					   "expected the secret itself");
		return 0;
	}
	memset(at, 0, key->size);
	memcpy(at, word->text, len);
	return 0;
}

static int check_ifname(const struct value_word *word, struct config_error *error)
{
	if (config_ifname_ok(word->text))
		return 0;
	return config_fail(error, word->line, word->text,
			   "expected an interface: 1 to 15 characters without / : or space");
}

static void store_count(const struct config_key *key, void *object, unsigned count)
{
	memcpy((char *)object + key->count_offset, &count, sizeof(count));
}

static int set_hbdevs(const struct config_key *key, void *object, const struct value_word *words,
		      unsigned count, struct config_error *error)
{
	struct config_hbdev *list = (struct config_hbdev *)(void *)((char *)object + key->offset);
	unsigned n = 0;

	memset(list, 0, key->size);
	for (unsigned i = 0; i < count; i += 2, n++) {
		uint32_t priority;

		if (n == key->max)
			return fail_expected(error, key, words[i].line, words[i].text);
		if (check_ifname(&words[i], error) < 0)
			return -EINVAL;
		for (unsigned k = 0; k < n; k++)
			if (strcmp(list[k].name, words[i].text) == 0)
				return config_fail(error, words[i].line, words[i].text,
						   "the same interface twice");
		if (i + 1 == count)
			return config_fail(error, words[i].line, words[i].text,
					   "expected a priority from 0 to %u after the interface",
					   CONFIG_HBDEV_PRIORITY_MAX);
		if (parse_number(words[i + 1].text, 0, CONFIG_HBDEV_PRIORITY_MAX, &priority) < 0)
			return config_fail(error, words[i + 1].line, words[i + 1].text,
					   "expected the priority of %s, a number from 0 to %u",
					   words[i].text, CONFIG_HBDEV_PRIORITY_MAX);
		config_ifname_copy(list[n].name, words[i].text);
		list[n].priority = (uint16_t)priority;
	}
	store_count(key, object, n);
	return 0;
}

static int set_ifaces(const struct config_key *key, void *object, const struct value_word *words,
		      unsigned count, struct config_error *error)
{
	char(*list)[17] = (char(*)[17])(void *)((char *)object + key->offset);

	memset(list, 0, key->size);
	for (unsigned i = 0; i < count; i++) {
		if (i == key->max)
			return fail_expected(error, key, words[i].line, words[i].text);
		if (check_ifname(&words[i], error) < 0)
			return -EINVAL;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(list[k], words[i].text) == 0)
				return config_fail(error, words[i].line, words[i].text,
						   "the same interface twice");
		config_ifname_copy(list[i], words[i].text);
	}
	store_count(key, object, count);
	return 0;
}

/* An address of the wanted family that a host can have. */
static bool is_usable(const struct ipaddr *addr, int family)
{
	static const uint8_t zero[16];
	size_t size = family == AF_INET ? 4 : 16;
	bool is_multicast = family == AF_INET ? addr->bytes[0] >= 224 : addr->bytes[0] == 0xff;

	return addr->family == family && !is_multicast && memcmp(addr->bytes, zero, size) != 0;
}

/* "10.1.0.1/24", or the two words "10.1.0.1 255.255.255.0"; returns the words used, 0 on error. */
static unsigned parse_net(const struct value_word *words, unsigned count, struct ipnet *ret_net)
{
	char both[2 * TOKEN_TEXT_MAX + 2];

	if (count > 1 && !strchr(words[0].text, '/') && !strchr(words[1].text, '/')) {
		snprintf(both, sizeof(both), "%s %s", words[0].text, words[1].text);
		if (ipnet_parse(both, ret_net) == 0)
			return 2;
	}
	return ipnet_parse(words[0].text, ret_net) == 0 ? 1 : 0;
}

static int set_nets(const struct config_key *key, void *object, const struct value_word *words,
		    unsigned count, struct config_error *error)
{
	struct ipnet *list = (struct ipnet *)(void *)((char *)object + key->offset);
	int family = key->type == KEY_NETS4 ? AF_INET : AF_INET6;
	unsigned n = 0, used = 0;

	memset(list, 0, key->size);
	for (unsigned i = 0; i < count; i += used, n++) {
		struct ipnet net = {0};

		used = parse_net(&words[i], count - i, &net);
		if (n == key->max || used == 0 || !is_usable(&net.addr, family))
			return fail_expected(error, key, words[i].line, words[i].text);
		for (unsigned k = 0; k < n; k++)
			if (ipaddr_equal(&list[k].addr, &net.addr))
				return config_fail(error, words[i].line, words[i].text,
						   "the same address twice");
		list[n] = net;
	}
	store_count(key, object, n);
	return 0;
}

static int set_number(const struct config_key *key, void *object, const struct value_word *word,
		      struct config_error *error)
{
	uint32_t value = 0;
	int err = key->type == KEY_ONE_BIT ? parse_one_bit(word->text, &value)
					   : parse_number(word->text, key->min, key->max, &value);

	if (err < 0)
		return fail_expected(error, key, word->line, word->text);
	config_number_set(object, key, value);
	return 0;
}

static int set_by_type(const struct config_key *key, void *object, const struct value_word *words,
		       unsigned count, struct config_error *error)
{
	switch (key->type) {
	case KEY_FLAG:
	case KEY_CHOICE:
		return set_choice(key, object, words, error);
	case KEY_NUMBER:
	case KEY_ONE_BIT:
		return set_number(key, object, words, error);
	case KEY_TEXT:
	case KEY_NAME:
	case KEY_SECRET:
		return set_text(key, object, words, error);
	case KEY_HBDEVS:
		return set_hbdevs(key, object, words, count, error);
	case KEY_IFACES:
		return set_ifaces(key, object, words, count, error);
	case KEY_NETS4:
	case KEY_NETS6:
		return set_nets(key, object, words, count, error);
	}
	return -EINVAL;
}

static void mark_set(const struct config_key *key, void *object, bool is_set)
{
	if (key->is_set_offset)
		memcpy((char *)object + key->is_set_offset, &is_set, sizeof(is_set));
}

int config_value_set(const struct config_key *key, void *object, const struct value_word *words,
		     unsigned count, struct config_error *error)
{
	int err;

	if (count > 1 && key->count_offset == 0)
		return config_fail(error, words[1].line, words[1].text,
				   "%s takes one value; expected set, unset, next or end",
				   key->name);
	err = set_by_type(key, object, words, count, error);
	if (err == 0)
		mark_set(key, object, true);
	return err;
}

void config_value_reset(const struct config_key *key, void *object)
{
	struct config_error error;
	struct value_word word = {.line = 0};
	char *at = (char *)object + key->offset;

	mark_set(key, object, false);
	if (*key->standard) {
		snprintf(word.text, sizeof(word.text), "%s", key->standard);
		set_by_type(key, object, &word, 1, &error);
		return;
	}
	memset(at, 0, key->size);
	if (key->count_offset)
		store_count(key, object, 0);
	/* The one text that may not be empty is the host name: the kernel's, cut to what fits. */
	if (key->min > 0 && key->type == KEY_NAME) {
		if (gethostname(at, key->max) < 0)
			*at = '\0';
		at[strspn(at,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] = 0;
		if (*at == '\0')
			snprintf(at, key->size, "localhost");
	}
}

static unsigned count_of(const struct config_key *key, const void *object)
{
	unsigned count;

	memcpy(&count, (const char *)object + key->count_offset, sizeof(count));
	return count;
}

static const char *choice_name(const struct config_key *key, const void *object)
{
	uint32_t value = config_number_get(object, key);

	for (const struct key_choice *c = key->choices; c->name; c++)
		if ((uint32_t)c->value == value)
			return c->name;
	return key->standard;
}

void config_value_words(const struct config_key *key, const void *object,
			void (*fn)(void *arg, const char *word, bool is_quoted), void *arg)
{
	const char *at = (const char *)object + key->offset;
	unsigned count = key->count_offset ? count_of(key, object) : 0;
	char text[IPNET_STRLEN + 16];

	switch (key->type) {
	case KEY_FLAG:
		fn(arg, config_number_get(object, key) ? "enable" : "disable", false);
		return;
	case KEY_CHOICE:
		fn(arg, choice_name(key, object), false);
		return;
	case KEY_NUMBER:
	case KEY_ONE_BIT:
		snprintf(text, sizeof(text), key->type == KEY_NUMBER ? "%u" : "0x%08x",
			 config_number_get(object, key));
		fn(arg, text, false);
		return;
	case KEY_TEXT:
	case KEY_NAME:
	case KEY_SECRET:
		if (*at)
			fn(arg, at, true);
		return;
	case KEY_HBDEVS:
		for (unsigned i = 0; i < count; i++) {
			const struct config_hbdev *dev =
				(const struct config_hbdev *)(const void *)at + i;

			fn(arg, dev->name, true);
			snprintf(text, sizeof(text), "%u", dev->priority);
			fn(arg, text, false);
		}
		return;
	case KEY_IFACES:
		for (unsigned i = 0; i < count; i++)
			fn(arg, at + (size_t)i * 17, true);
		return;
	case KEY_NETS4:
	case KEY_NETS6:
		for (unsigned i = 0; i < count; i++)
			fn(arg, ipnet_format((const struct ipnet *)(const void *)at + i, text),
			   false);
		return;
	}
}
