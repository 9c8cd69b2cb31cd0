/* config_check.c: rules that concern several keys, one function each, and the table of them */
#include "config/config_check.h"
#include "config/config_value.h"

#include <errno.h>
#include <string.h>

static int check_group(const struct config *config, struct config_error *error)
{
	if (config->ha.mode == HA_STANDALONE || config->ha.group_name[0])
		return 0;
	return config_fail(error, 0, "mode",
			   "mode a-p needs a cluster: expected set group-name too");
}

static int check_hbdev(const struct config *config, struct config_error *error)
{
	if (config->ha.mode == HA_STANDALONE || config->ha.hbdev_count > 0)
		return 0;
	return config_fail(error, 0, "mode",
			   "mode a-p needs heartbeats: expected set hbdev INTERFACE PRIORITY too");
}

static int check_connectionless(const struct config *config, struct config_error *error)
{
	if (!config->ha.pickup_connectionless || config->ha.pickup)
		return 0;
	return config_fail(
		error, 0, "session-pickup-connectionless",
		"works with session-pickup only: expected set session-pickup enable too");
}

static int check_secret(const struct config *config, struct config_error *error)
{
	const struct config_ha *ha = &config->ha;

	if (ha->password[0] || (!ha->encryption && !ha->authentication))
		return 0;
	return config_fail(error, 0, ha->encryption ? "encryption" : "authentication",
			   "there is no secret: expected set password too");
}

static int check_hbdev_is_ours(const struct config *config, struct config_error *error)
{
	for (unsigned i = 0; i < config->iface_count; i++)
		for (unsigned k = 0; k < config->ha.hbdev_count; k++)
			if (strcmp(config->iface[i].name, config->ha.hbdev[k].name) == 0)
				return config_fail(error, 0, config->ha.hbdev[k].name,
						   "an hbdev cannot have virtual addresses (it "
						   "would be muted): "
						   "expected it in system ha hbdev or in system "
						   "interface, not both");
	return 0;
}

static const struct ipnet *nets_of(const struct config_iface *iface, unsigned family,
				   unsigned *ret_count)
{
	*ret_count = family ? iface->ip6_count : iface->ip_count;
	return family ? iface->ip6 : iface->ip;
}

static int check_addresses(const struct config *config, struct config_error *error)
{
	char text[IPADDR_STRLEN];

	for (unsigned n = 0; n < 2 * config->iface_count; n++) {
		const struct config_iface *a = &config->iface[n / 2];
		unsigned a_count, b_count;
		const struct ipnet *a_nets = nets_of(a, n % 2, &a_count);

		for (unsigned k = 0; k < n / 2; k++) {
			const struct ipnet *b_nets = nets_of(&config->iface[k], n % 2, &b_count);

			for (unsigned i = 0; i < a_count * b_count; i++)
				/* A link-local address may be the same on every link (RFC 4007). */
				if (ipaddr_equal(&a_nets[i / b_count].addr,
						 &b_nets[i % b_count].addr) &&
				    !(n % 2 && a_nets[i / b_count].addr.bytes[0] == 0xfe &&
				      (a_nets[i / b_count].addr.bytes[1] & 0xc0) == 0x80))
					return config_fail(
						error, 0,
						ipaddr_format(&a_nets[i / b_count].addr, text),
						"%s and %s have the same virtual address",
						config->iface[k].name, a->name);
		}
	}
	return 0;
}

int config_check(const struct config *config, struct config_error *error)
{
	static int (*const rules[])(const struct config *, struct config_error *) = {
		check_group,  check_hbdev,         check_connectionless,
		check_secret, check_hbdev_is_ours, check_addresses,
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i](config, error) < 0)
			return -EINVAL;
	return 0;
}

void config_find_line(struct config_error *error, const char *text, size_t len)
{
	struct lexer lexer = lexer_of(text, len);
	struct token token;
	const char *why;
	unsigned found = 0;

	while (lexer_next(&lexer, &token, &why) == 0 && !token.is_end) {
		size_t word_len = strlen(error->word);

		/* An address stands there with its prefix length. */
		if (strncmp(token.text, error->word, word_len) == 0 &&
		    (token.text[word_len] == '\0' || token.text[word_len] == '/'))
			found = token.line;
	}
	error->line = found ? found : lexer.line;
}
