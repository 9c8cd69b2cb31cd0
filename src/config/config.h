/* config.h: what the operator wants, as one immutable struct
 *
 * Text in the FortiGate grammar becomes a struct config (config_parse.c walks the key table of
 * config_keys.c); the struct becomes text again (config_print.c) that parses to itself. A config
 * is never changed after it was parsed: a new one replaces it, and the rooms compare.
 *
 * Grammar (DESIGN section 6): a file is a list of blocks
 *     config PATH... / [edit NAME / ... / next] / set KEY VALUE... / unset KEY / end
 * The words config, edit, set, unset, next, end begin a statement anywhere unless quoted; "..."
 * quotes with \" and \\; # starts a comment; line breaks are white space otherwise. Errors name
 * file, line, word and what was expected, and nothing of a file with an error is applied.
 *
 * A new key is one row in config_keys.c.
 */
#ifndef FK_CONFIG_CONFIG_H
#define FK_CONFIG_CONFIG_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_IFACE_MAX = 64,      /* entries of config system interface */
	CONFIG_IFACE_ADDR_MAX = 8,  /* addresses of one family on one interface */
	CONFIG_HBDEV_MAX = 8,       /* fortios-facts 1.3 */
	CONFIG_MONITOR_MAX = 64,    /* fortios-facts 1.9 */
};

enum ha_mode { HA_STANDALONE, HA_ACTIVE_PASSIVE };
enum sync_level { SYNC_LEVEL_ESTABLISHED, SYNC_LEVEL_ALL_STATES };

struct config_global {
	char hostname[36]; /* default: the kernel's host name */
	char serial[17];   /* empty: derived by node start from machine-id and the first hbdev */
};

struct config_iface {
	char name[17];
	struct ipnet ip[CONFIG_IFACE_ADDR_MAX]; /* set ip A/L [A/L ...] */
	unsigned ip_count;
	struct ipnet ip6[CONFIG_IFACE_ADDR_MAX]; /* set ip6-address A/L [A/L ...] */
	unsigned ip6_count;
};

struct config_hbdev {
	char name[17];
	uint16_t priority; /* 0..512 */
};

struct config_ha {
	enum ha_mode mode;         /* standalone | a-p; default standalone */
	uint16_t group_id;         /* 0..1023, default 0 */
	char group_name[33];       /* at most 32 characters */
	char password[129];        /* at most 128; printed as ENC-less "********" unless show full */
	struct config_hbdev hbdev[CONFIG_HBDEV_MAX]; /* set hbdev "port3" 50 "port4" 50 */
	unsigned hbdev_count;
	uint16_t hb_interval;      /* 1..20, default 2 */
	uint16_t hb_interval_unit_ms; /* hb-interval-in-milliseconds: 100 (default) or 10 */
	uint16_t hb_lost_threshold; /* 1..60, default 6 */
	uint16_t hello_holddown_s; /* 5..300, default 20 */
	bool encryption;           /* default: enable when a password is set */
	bool authentication;       /* the same */
	bool encryption_is_set;    /* by the operator */
	bool authentication_is_set;
	uint8_t priority;          /* 0..255, default 128; per member */
	bool override;             /* default disable; per member */
	uint16_t uptime_margin_s;  /* ha-uptime-diff-margin 1..65535, default 300 */
	uint16_t takeover_probe_ms; /* takeover-probe 0..1000 milliseconds, default 3; 0 = off */
	char monitor[CONFIG_MONITOR_MAX][17];
	unsigned monitor_count;
	enum sync_level sync_level; /* session-sync-level, default established */
	bool event_mask;           /* default enable */
	uint32_t copy_mark_bit;    /* session-copy-mark: one bit, hexadecimal, default 0x80000000 */
	bool pickup;               /* session-pickup, default disable */
	bool pickup_delay;          /* session-pickup-delay, default disable */
	unsigned pickup_delay_s;    /* session-pickup-delay-seconds, 1..3600, default 30 */
	bool pickup_connectionless; /* session-pickup-connectionless, default disable */
};

struct config {
	struct config_global global;
	struct config_iface iface[CONFIG_IFACE_MAX];
	unsigned iface_count;
	struct config_ha ha;
};

struct config_error {
	char file[256];
	unsigned line;    /* from 1 */
	char word[64];    /* the offending word, cut if longer */
	char text[256];   /* what was expected, with the accepted values */
};

/* All keys at their defaults. */
void config_init(struct config *config);
/* Applies the statements of `text` on top of *config. 0, or -EINVAL with *ret_error filled and
 * *config untouched. Also checks what concerns several keys (a-p needs a group-name and a
 * hbdev, connectionless needs session-pickup, no interface is both hbdev and virtual, ...). */
int config_parse(struct config *config, const char *file, const char *text, size_t len,
		 struct config_error *ret_error);
/* Reads and parses a file over defaults; errors of the file itself are told with line 0. */
int config_load(const char *file, struct config *ret_config, struct config_error *ret_error);
/* "FILE:LINE: 'WORD': TEXT" */
void config_error_format(const struct config_error *error, char *out, size_t size);

/* Time from the last heartbeat to a member's death. */
static inline int64_t config_interval_ns(const struct config_ha *ha)
{
	return (int64_t)ha->hb_interval * ha->hb_interval_unit_ms * 1000000;
}

#endif
