/* traffic.c: reads the command line of the traffic tools and hands over to one of them */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct subcommand {
	const char *name;
	int (*main)(const struct options *options);
	uint16_t port;
	unsigned hz;
	const char *help;
};

static const struct subcommand subcommands[] = {
	{ "download", stream_main, PORT_MAIN, 1,    "checksummed bytes from the server at --rate" },
	{ "upload",   stream_main, PORT_MAIN, 1,    "checksummed bytes to the server at --rate" },
	{ "echo",     stream_main, PORT_MAIN, 50,   "interactive TCP: one keystroke, one answer" },
	{ "idle",     stream_main, PORT_MAIN, 1,    "TCP that waits for the server (SIGUSR1 there)" },
	{ "udp",      probe_main,  PORT_MAIN, 1000, "UDP echo" },
	{ "dns",      probe_main,  PORT_DNS,  1,    "UDP questions to port 53" },
	{ "icmp",     probe_main,  0,         100,  "ICMP or ICMPv6 echo with one identifier" },
	{ "sctp",     probe_main,  PORT_MAIN, 50,   "a crafted SCTP association, HEARTBEATs" },
	{ "oneway",   probe_main,  PORT_SINK, 50,   "UDP that nobody answers (the server counts)" },
};

static void usage(void)
{
	fprintf(stderr, "traffic serve | traffic KIND [--name N] [--from ADDR[,PORT]] [--port P]\n"
			"  [--ready FILE] [--bytes N] [--rate BYTES/S] [--hz N] [--size N]\n"
			"  [--alive-ms N] [--half-close] ADDRESS\n");
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		fprintf(stderr, "  %-9s %s\n", subcommands[i].name, subcommands[i].help);
}

/* "ADDR" or "ADDR,PORT"; a comma, because IPv6 addresses have colons. */
static int address_parse(const char *text, uint16_t port, struct sockaddr_storage *ret_addr)
{
	struct sockaddr_storage addr = { 0 };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	char host[64];
	const char *comma = strchr(text, ',');
	int len = comma ? (int)(comma - text) : (int)strlen(text);

	if (comma)
		port = (uint16_t)atoi(comma + 1);
	snprintf(host, sizeof(host), "%.*s", len, text);
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
	} else {
		return -EINVAL;
	}
	*ret_addr = addr;
	return 0;
}

/* A number within [min, max], or the end of the program. */
static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*end || value < min || value > max) {
		fprintf(stderr, "traffic: '%s' is not in %lu..%lu\n", text, min, max);
		exit(2);
	}
	return value;
}

static int options_parse(int argc, char **argv, const struct subcommand *sub, struct options *options)
{
	static const struct option longs[] = {
		{ "name", 1, NULL, 'n' },  { "from", 1, NULL, 'f' },	 { "port", 1, NULL, 'p' },
		{ "ready", 1, NULL, 'r' }, { "bytes", 1, NULL, 'b' },	 { "rate", 1, NULL, 'R' },
		{ "hz", 1, NULL, 'z' },	   { "size", 1, NULL, 's' },	 { "alive-ms", 1, NULL, 'a' },
		{ "half-close", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	uint16_t port = sub->port;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'n': options->name = optarg; break;
		case 'f':
			if (address_parse(optarg, 0, &options->from) < 0)
				return -EINVAL;
			break;
		case 'p': port = (uint16_t)number(optarg, 1, 65535); break;
		case 'r': options->ready = optarg; break;
		case 'b': options->bytes = number(optarg, 0, 10000000000); break;
		case 'R': options->rate = number(optarg, 1, TRAFFIC_RATE_MAX); break;
		case 'z': options->hz = (unsigned)number(optarg, 1, TRAFFIC_HZ_MAX); break;
		case 's': options->size = (unsigned)number(optarg, 4, 1400); break;
		case 'a': options->alive_ms = (unsigned)number(optarg, 1, 60000); break;
		case 'h': options->is_half_closed = true; break;
		default: return -EINVAL;
		}
	}
	if (optind != argc - 1)
		return -EINVAL;
	return address_parse(argv[optind], port, &options->to);
}

int main(int argc, char **argv)
{
	struct options options = { .rate = 500000, .size = 64, .alive_ms = 2000 };

	if (sodium_init() < 0)
		return 2;
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return serve_main();
	for (size_t i = 0; argc > 2 && i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (strcmp(argv[1], subcommands[i].name) != 0)
			continue;
		options.kind = options.name = subcommands[i].name;
		options.hz = subcommands[i].hz;
		if (options_parse(argc - 1, argv + 1, &subcommands[i], &options) < 0)
			break;
		return subcommands[i].main(&options);
	}
	usage();
	return 2;
}
