/* node_serial.c: a serial for a member whose operator gave none */
#include "node.h"

#include "nl/rtnl.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* 1 when something of this member alone went into the hash. */
static int hash_file(crypto_generichash_state *state, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int n = 0;

	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file)) {
		crypto_generichash_update(state, (const uint8_t *)line, strlen(line));
		n = 1;
	}
	fclose(file);
	return n;
}

static int hash_hbdev(crypto_generichash_state *state, const struct config *config)
{
	struct rtnl_link link;

	if (!config->ha.hbdev_count || rtnl_get_link(config->ha.hbdev[0].name, &link) < 0)
		return 0;
	/* Heartbeat links never carry a virtual MAC, so the device's own address does. */
	crypto_generichash_update(state, link.has_perm_mac ? link.perm_mac.bytes : link.mac.bytes,
				  sizeof(link.mac.bytes));
	return 1;
}

int node_serial(const struct config *config, char ret_serial[17])
{
	crypto_generichash_state state;
	uint8_t out[crypto_generichash_BYTES_MIN];

	if (config->global.serial[0]) {
		memcpy(ret_serial, config->global.serial, 17);
		return 0;
	}
	crypto_generichash_init(&state, NULL, 0, sizeof(out));
	hash_file(&state, "/etc/machine-id");
	/* Containers and namespaces share a machine-id: the link's address tells them apart. */
	if (!hash_hbdev(&state, config))
		return -ENODEV;
	crypto_generichash_final(&state, out, sizeof(out));
	snprintf(ret_serial, 17, "FK%02X%02X%02X%02X%02X%02X%02X", out[0], out[1], out[2], out[3],
		 out[4], out[5], out[6]);
	return 0;
}
