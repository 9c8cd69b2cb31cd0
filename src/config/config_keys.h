/* config_keys.h: the table of configuration keys, which parser, printer and completion walk
 *
 * A key is one row in config_keys.c; nothing else has to change unless it brings a new type. The
 * rows say where the value lives (offset in struct config, or in struct config_iface for a table),
 * what it may be, its default in the words of the grammar, and whether members must agree on it.
 */
#ifndef FK_CONFIG_KEYS_H
#define FK_CONFIG_KEYS_H

#include "config/config.h"

enum key_type {
	KEY_FLAG,    /* bool: enable | disable */
	KEY_NUMBER,  /* uint8_t, uint16_t or uint32_t by size, decimal, min..max */
	KEY_CHOICE,  /* a word of `choices`, stored as its value */
	KEY_TEXT,    /* char[size], at most `max` bytes, any text */
	KEY_NAME,    /* the same, only letters, digits, - _ and . */
	KEY_SECRET,  /* KEY_TEXT that is shown as stars */
	KEY_ONE_BIT, /* uint32_t with exactly one bit, hexadecimal */
	KEY_HBDEVS,  /* list of interface and priority min..max */
	KEY_IFACES,  /* list of interfaces */
	KEY_NETS4,   /* list of IPv4 addresses with prefix length */
	KEY_NETS6,
};

enum key_scope { KEY_SYNCED, KEY_PER_MEMBER };

struct key_choice {
	const char *name; /* NULL ends the list */
	int value;
	const char *help;
};

struct config_key {
	const char *path;
	const char *name;
	enum key_type type;
	size_t offset;
	size_t size;
	size_t count_offset;  /* lists: the unsigned number of entries */
	size_t is_set_offset; /* where a bool says that the operator gave it; 0: nowhere */
	uint32_t min, max; /* number: range; text: most bytes in max; list: most entries in max */
	const struct key_choice *choices;
	const char *standard; /* the default, "" for an empty text or list */
	enum key_scope scope;
	const char *help;
};

struct config_path {
	const char *path;
	bool is_table; /* edit NAME ... next */
	const char *help;
};

extern const struct config_key config_keys[];
extern const unsigned config_key_count;
extern const struct config_path config_paths[];
extern const unsigned config_path_count;

/* What hides a secret in `show`; as a value it means "the one there is". */
#define CONFIG_STARS "********"

enum { CONFIG_HBDEV_PRIORITY_MAX = 512 }; /* fortios-facts 1.3 */

const struct config_path *config_path_find(const char *path);
const struct config_key *config_key_find(const char *path, const char *name);
/* The key or path name that the writer of `word` probably meant, or NULL. */
const char *config_key_guess(const char *path, const char *word);
const char *config_path_guess(const char *word);
/* "enable or disable", "a number from 1 to 20", ... */
void config_key_expected(const struct config_key *key, char *out, size_t size);
/* May this be the name of a network interface? (dev_valid_name() of the kernel) */
bool config_ifname_ok(const char *name);
/* Copies a name that is ok; the rest of `out` is zero, so that structs compare. */
void config_ifname_copy(char out[17], const char *name);
/* The entry of config system interface, or NULL. */
struct config_iface *config_iface_find(struct config *config, const char *name);
/* A number of one, two or four bytes (KEY_NUMBER, KEY_CHOICE, KEY_FLAG, KEY_ONE_BIT). */
uint32_t config_number_get(const void *object, const struct config_key *key);
void config_number_set(void *object, const struct config_key *key, uint32_t value);

#endif
