/* config_keys.c: every configuration key, one row each, and how to find one */
#include "config/config_keys.h"
#include "config/grammar.h"

#include <stdio.h>
#include <string.h>

static const struct key_choice modes[] = {
	{"standalone", HA_STANDALONE, "one gateway without a cluster"},
	{"a-p", HA_ACTIVE_PASSIVE, "one primary forwards, the others stand by"},
	{NULL, 0, NULL},
};

static const struct key_choice units[] = {
	{"100ms", 100, "hb-interval counts tenths of a second"},
	{"10ms", 10, "hb-interval counts hundredths of a second"},
	{NULL, 0, NULL},
};

static const struct key_choice levels[] = {
	{"established", SYNC_LEVEL_ESTABLISHED, "tell members of a session once it is established"},
	{"all-states", SYNC_LEVEL_ALL_STATES, "tell members of every change of state"},
	{NULL, 0, NULL},
};

#define AT(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define GLOBAL(member)   AT(struct config, global.member)
#define IFACE(member)    AT(struct config_iface, member)
#define HA(member)       AT(struct config, ha.member)
#define COUNT(member)    offsetof(struct config, ha.member)

/* clang-format off */
const struct config_path config_paths[] = {
	{ "system global", false, "name of this member" },
	{ "system interface", true, "virtual addresses" },
	{ "system ha", false, "cluster and session pickup" },
};

/* path, name, type, where, entries, is_set, min, max, choices, default, scope, help */
const struct config_key config_keys[] = {
	{ "system global", "hostname", KEY_NAME, GLOBAL(hostname), 0, 0, 1, 35, NULL, "", KEY_PER_MEMBER, "name in prompts and status (default: the kernel's)" },
	{ "system global", "serial", KEY_NAME, GLOBAL(serial), 0, 0, 0, 16, NULL, "", KEY_PER_MEMBER, "unique name of this member (default: made of machine-id and the first hbdev)" },

	{ "system interface", "ip", KEY_NETS4, IFACE(ip), offsetof(struct config_iface, ip_count), 0, 0, CONFIG_IFACE_ADDR_MAX, NULL, "", KEY_SYNCED, "virtual IPv4 addresses" },
	{ "system interface", "ip6-address", KEY_NETS6, IFACE(ip6), offsetof(struct config_iface, ip6_count), 0, 0, CONFIG_IFACE_ADDR_MAX, NULL, "", KEY_SYNCED, "virtual IPv6 addresses" },

	{ "system ha", "mode", KEY_CHOICE, HA(mode), 0, 0, 0, 0, modes, "standalone", KEY_SYNCED, "cluster mode" },
	{ "system ha", "group-id", KEY_NUMBER, HA(group_id), 0, 0, 0, 1023, NULL, "0", KEY_SYNCED, "number of the cluster, unique on its segments" },
	{ "system ha", "group-name", KEY_TEXT, HA(group_name), 0, 0, 0, 32, NULL, "", KEY_SYNCED, "name of the cluster, the same on every member" },
	{ "system ha", "password", KEY_SECRET, HA(password), 0, 0, 0, 128, NULL, "", KEY_SYNCED, "secret of the cluster" },
	{ "system ha", "hbdev", KEY_HBDEVS, HA(hbdev), COUNT(hbdev_count), 0, 0, CONFIG_HBDEV_MAX, NULL, "", KEY_SYNCED, "heartbeat interfaces and their priorities" },
	{ "system ha", "hb-interval", KEY_NUMBER, HA(hb_interval), 0, 0, 1, 20, NULL, "2", KEY_SYNCED, "time between heartbeats" },
	{ "system ha", "hb-interval-in-milliseconds", KEY_CHOICE, HA(hb_interval_unit_ms), 0, 0, 0, 0, units, "100ms", KEY_SYNCED, "unit of hb-interval" },
	{ "system ha", "hb-lost-threshold", KEY_NUMBER, HA(hb_lost_threshold), 0, 0, 1, 60, NULL, "6", KEY_SYNCED, "heartbeats missed until a member counts as dead" },
	{ "system ha", "hello-holddown", KEY_NUMBER, HA(hello_holddown_s), 0, 0, 5, 300, NULL, "20", KEY_SYNCED, "seconds in hello before working alone" },
	{ "system ha", "encryption", KEY_FLAG, HA(encryption), 0, COUNT(encryption_is_set), 0, 0, NULL, "disable", KEY_SYNCED, "encrypt what members tell each other (default: with a password)" },
	{ "system ha", "authentication", KEY_FLAG, HA(authentication), 0, COUNT(authentication_is_set), 0, 0, NULL, "disable", KEY_SYNCED, "authenticate it (default: with a password)" },
	{ "system ha", "priority", KEY_NUMBER, HA(priority), 0, 0, 0, 255, NULL, "128", KEY_PER_MEMBER, "the higher becomes primary, by the rules of election" },
	{ "system ha", "override", KEY_FLAG, HA(override), 0, 0, 0, 0, NULL, "disable", KEY_PER_MEMBER, "priority counts before age" },
	{ "system ha", "ha-uptime-diff-margin", KEY_NUMBER, HA(uptime_margin_s), 0, 0, 1, 65535, NULL, "300", KEY_SYNCED, "seconds of age that count as no difference" },
	{ "system ha", "takeover-probe", KEY_NUMBER, HA(takeover_probe_ms), 0, 0, 0, 1000, NULL, "3", KEY_SYNCED, "milliseconds to wait for an answer of another gateway before takeover, 0 = do not ask" },
	{ "system ha", "monitor", KEY_IFACES, HA(monitor), COUNT(monitor_count), 0, 0, CONFIG_MONITOR_MAX, NULL, "", KEY_SYNCED, "interfaces whose link counts in the election" },
	{ "system ha", "session-pickup", KEY_FLAG, HA(pickup), 0, 0, 0, 0, NULL, "disable", KEY_SYNCED, "sessions survive a failover (TCP and SCTP)" },
	{ "system ha", "session-pickup-connectionless", KEY_FLAG, HA(pickup_connectionless), 0, 0, 0, 0, NULL, "disable", KEY_SYNCED, "UDP and ICMP sessions too" },
	{ "system ha", "session-pickup-delay", KEY_FLAG, HA(pickup_delay), 0, 0, 0, 0, NULL, "disable", KEY_SYNCED, "only TCP sessions that have lived for a while" },
	{ "system ha", "session-pickup-delay-seconds", KEY_NUMBER, HA(pickup_delay_s), 0, 0, 1, 3600, NULL, "30", KEY_SYNCED, "how long that is" },
	{ "system ha", "session-sync-level", KEY_CHOICE, HA(sync_level), 0, 0, 0, 0, levels, "established", KEY_SYNCED, "which changes of a session travel" },
	{ "system ha", "session-copy-mark", KEY_ONE_BIT, HA(copy_mark_bit), 0, 0, 0, 0, NULL, "0x80000000", KEY_SYNCED, "ct mark bit of copies" },
	{ "system ha", "event-mask", KEY_FLAG, HA(event_mask), 0, 0, 0, 0, NULL, "enable", KEY_PER_MEMBER, "let the kernel raise only the events that are needed" },
};
/* clang-format on */

const unsigned config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);
const unsigned config_path_count = sizeof(config_paths) / sizeof(config_paths[0]);

const struct config_path *config_path_find(const char *path)
{
	for (unsigned i = 0; i < config_path_count; i++)
		if (strcmp(config_paths[i].path, path) == 0)
			return &config_paths[i];
	return NULL;
}

const struct config_key *config_key_find(const char *path, const char *name)
{
	for (unsigned i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].path, path) == 0 &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

const char *config_key_guess(const char *path, const char *word)
{
	const char *guess = NULL;
	unsigned best = 0;

	for (unsigned i = 0; i < config_key_count; i++) {
		unsigned nearness = grammar_nearness(word, config_keys[i].name);

		if (strcmp(config_keys[i].path, path) == 0 && nearness > best) {
			best = nearness;
			guess = config_keys[i].name;
		}
	}
	return guess;
}

const char *config_path_guess(const char *word)
{
	const char *guess = NULL;
	unsigned best = 0;

	for (unsigned i = 0; i < config_path_count; i++) {
		unsigned nearness = grammar_nearness(word, config_paths[i].path);

		if (nearness > best) {
			best = nearness;
			guess = config_paths[i].path;
		}
	}
	return guess;
}

void config_key_expected(const struct config_key *key, char *out, size_t size)
{
	size_t len = 0;

	switch (key->type) {
	case KEY_FLAG:
		snprintf(out, size, "enable or disable");
		return;
	case KEY_NUMBER:
		snprintf(out, size, "a number from %u to %u", key->min, key->max);
		return;
	case KEY_CHOICE:
		out[0] = '\0';
		for (const struct key_choice *c = key->choices; c->name && len < size; c++)
			len += (size_t)snprintf(out + len, size - len, "%s%s",
						c == key->choices ? "" : " or ", c->name);
		return;
	case KEY_TEXT:
	case KEY_SECRET:
		snprintf(out, size, "a text of at most %u characters", key->max);
		return;
	case KEY_NAME:
		snprintf(out, size, "a name of %u to %u letters, digits, -, _ or .", key->min,
			 key->max);
		return;
	case KEY_ONE_BIT:
		snprintf(out, size, "one bit in hexadecimal, 0x1 to 0x80000000");
		return;
	case KEY_HBDEVS:
		snprintf(out, size, "1 to %u times an interface and its priority (0 to %u)",
			 key->max, CONFIG_HBDEV_PRIORITY_MAX);
		return;
	case KEY_IFACES:
		snprintf(out, size, "1 to %u interfaces", key->max);
		return;
	case KEY_NETS4:
		snprintf(out, size, "1 to %u IPv4 addresses such as 10.1.0.1/24", key->max);
		return;
	case KEY_NETS6:
		snprintf(out, size, "1 to %u IPv6 addresses such as 2001:db8::1/64", key->max);
		return;
	}
}

bool config_ifname_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 15 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || *name == ' ' || *name == '\t')
			return false;
	return true;
}

void config_ifname_copy(char out[17], const char *name)
{
	memset(out, 0, 17);
	memcpy(out, name, strnlen(name, 15));
}

struct config_iface *config_iface_find(struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->iface_count; i++)
		if (strcmp(config->iface[i].name, name) == 0)
			return &config->iface[i];
	return NULL;
}

uint32_t config_number_get(const void *object, const struct config_key *key)
{
	const char *at = (const char *)object + key->offset;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;

	switch (key->size) {
	case 1:
		memcpy(&u8, at, 1);
		return u8;
	case 2:
		memcpy(&u16, at, 2);
		return u16;
	default:
		memcpy(&u32, at, 4);
		return u32;
	}
}

void config_number_set(void *object, const struct config_key *key, uint32_t value)
{
	char *at = (char *)object + key->offset;
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;

	switch (key->size) {
	case 1:
		memcpy(at, &u8, 1);
		return;
	case 2:
		memcpy(at, &u16, 2);
		return;
	default:
		memcpy(at, &value, 4);
		return;
	}
}
