/* main.c: the table of contents: stages up in order, down in reverse, nothing else */
#include "base/caps.h"
#include "base/log.h"
#include "cluster/mute.h"
#include "cluster/vip.h"
#include "node.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_CONFIG "/etc/flowkeep/flowkeep.conf"
#define DEFAULT_SOCKET "/run/flowkeep/flowkeep.sock"
#define DEFAULT_DIR    "/var/lib/flowkeep"

struct options {
	const char *config;
	const char *socket;
	const char *dir;
	const char *release;
	bool is_check;
	enum mute_backend backend;
	enum log_level level;
};

static const char usage[] =
	"usage: flowkeepd [-f FILE] [-s SOCKET] [-d DIR] [-l LEVEL] [--mute auto|bpf|nft]\n"
	"       flowkeepd --check [-f] FILE\n"
	"       flowkeepd --release IFACE [-f FILE]\n"
	"\n"
	"  -f, --config FILE    configuration (" DEFAULT_CONFIG ")\n"
	"  -s, --socket SOCKET  control socket (" DEFAULT_SOCKET ")\n"
	"  -d, --dir DIR        history and synced files (" DEFAULT_DIR ")\n"
	"  -l, --log LEVEL      error, warning, info (default) or debug\n"
	"      --mute BACKEND   how interfaces are muted: auto (default), bpf or nft\n"
	"      --check          check the configuration and exit: 0 good, 1 not\n"
	"      --release IFACE  take the mute, virtual MAC and addresses off an interface and exit\n"
	"  -V, --version        print the version and exit\n";

/* 0 to go on, else the exit status plus one. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'f' }, { "socket", required_argument, NULL, 's' },
		{ "dir", required_argument, NULL, 'd' },    { "log", required_argument, NULL, 'l' },
		{ "check", no_argument, NULL, 'c' },	    { "release", required_argument, NULL, 'r' },
		{ "mute", required_argument, NULL, 'm' },   { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	    { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "f:s:d:l:Vh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->config = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'd':
			o->dir = optarg;
			break;
		case 'c':
			o->is_check = true;
			break;
		case 'r':
			o->release = optarg;
			break;
		case 'l':
			if (log_level_parse(optarg, &o->level) < 0) {
				fprintf(stderr, "flowkeepd: '%s' is no log level: error, warning, info or debug\n",
					optarg);
				return 2 + 1;
			}
			break;
		case 'm':
			if (strcmp(optarg, "auto") != 0 && strcmp(optarg, "bpf") != 0 &&
			    strcmp(optarg, "nft") != 0) {
				fprintf(stderr, "flowkeepd: '%s' cannot mute: auto, bpf or nft\n", optarg);
				return 2 + 1;
			}
			o->backend = optarg[0] == 'b' ? MUTE_BPF :
				     optarg[0] == 'n' ? MUTE_NFT : MUTE_AUTO;
			break;
		case 'V':
			printf("flowkeepd " FK_VERSION "\n");
			return 0 + 1;
		case 'h':
			fputs(usage, stdout);
			return 0 + 1;
		default:
			fputs(usage, stderr);
			return 2 + 1;
		}
	}
	/* `flowkeepd --check FILE` reads best. */
	if (optind < argc && o->is_check)
		o->config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "flowkeepd: '%s' was not expected\n%s", argv[optind], usage);
		return 2 + 1;
	}
	return 0;
}

static int load(const char *file, struct config *ret_config)
{
	struct config_error error;
	char text[700];

	if (config_load(file, ret_config, &error) == 0)
		return 0;
	config_error_format(&error, text, sizeof(text));
	fprintf(stderr, "%s\n", text);
	return -EINVAL;
}

static int release(const char *ifname, const char *file)
{
	struct config config;
	struct config_error error;
	char serial[17] = "";
	int status = 0;
	int failed;

	/* Without a configuration only the mute is known. */
	if (config_load(file, &config, &error) == 0 && node_serial(&config, serial) == 0) {
		failed = vip_release(&config, ifname, serial);
		if (failed < 0)
			fprintf(stderr, "flowkeepd: cannot restore %s: %s\n", ifname,
				strerror(-failed));
		status = failed;
	}
	/* Last, so that no frame leaves with the virtual MAC. */
	failed = mute_release(ifname);
	if (failed < 0) {
		fprintf(stderr, "flowkeepd: cannot take the mute off %s: %s\n", ifname,
			strerror(-failed));
		status = failed;
	}
	return status < 0 ? 1 : 0;
}

/* What the rooms need once everything is open, and nothing of the rest of root. */
static void drop_capabilities(void)
{
	static const cap_value_t keep[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON,
					    CAP_SYS_NICE, CAP_IPC_LOCK };
	static const cap_value_t dormant[] = { CAP_SYS_ADMIN };
	int error = caps_keep(keep, sizeof(keep) / sizeof(keep[0]), dormant,
			      sizeof(dormant) / sizeof(dormant[0]));

	if (error)
		log_warnx("main", "capabilities are not dropped: %s", strerror(-error));
}

static void on_stop(void *arg)
{
	loop_stop(arg);
}

struct reload {
	struct node *node;
};

static void on_reload(void *arg)
{
	struct node *node = ((struct reload *)arg)->node;
	struct config config;
	struct config_error error;
	char text[700];

	if (config_load(node->config_file, &config, &error) != 0) {
		config_error_format(&error, text, sizeof(text));
		log_errx("main", "nothing reloaded: %s", text);
		return;
	}
	if (node_apply(node, &config) == 0)
		log_info("main", "%s reloaded", node->config_file);
}

static void make_dir_of(const char *path)
{
	char dir[512];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		log_warn("main", "%s", dir);
}

static int serve(const struct options *o, const struct config *config)
{
	struct loop *loop = loop_new();
	struct watch *term = signal_watch_new(loop, SIGTERM, on_stop, loop);
	struct watch *intr = signal_watch_new(loop, SIGINT, on_stop, loop);
	struct reload reload = { 0 };
	struct watch *hup = signal_watch_new(loop, SIGHUP, on_reload, &reload);
	struct node *node = NULL;
	int error;

	make_dir_of(o->socket);
	if (mkdir(o->dir, 0700) < 0 && errno != EEXIST)
		log_warn("main", "%s", o->dir);
	error = node_open(loop, config, o->config, o->dir, o->backend, &node);
	if (error) {
		log_errx("main", "cannot start: %s", strerror(-error));
		goto out_signals;
	}
	reload.node = node;
	error = control_open(loop, o->socket, &node_control_ops, node, &node->control);
	if (error) {
		log_errx("main", "%s: %s", o->socket,
			 error == -EADDRINUSE ? "another flowkeepd answers there" : strerror(-error));
		goto out_node;
	}
	drop_capabilities();
	log_info("main", "flowkeepd " FK_VERSION " runs, mode %s",
		 config->ha.mode == HA_STANDALONE ? "standalone" : "a-p");
	error = loop_run(loop);
	control_close(node->control);
out_node:
	node_close(node);
out_signals:
	signal_watch_free(hup);
	signal_watch_free(intr);
	signal_watch_free(term);
	loop_free(loop);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = { DEFAULT_CONFIG, DEFAULT_SOCKET, DEFAULT_DIR, NULL, false, MUTE_AUTO,
			     LOG_LEVEL_INFO };
	static struct config config;
	int status = parse(argc, argv, &o);

	if (status)
		return status - 1;
	log_set_level(o.level);
	log_set_journal(getenv("JOURNAL_STREAM") != NULL);
	signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0) {
		fprintf(stderr, "flowkeepd: libsodium does not start\n");
		return 1;
	}
	if (o.release)
		return release(o.release, o.config);
	if (load(o.config, &config) != 0)
		return 1;
	if (o.is_check) {
		printf("%s: good\n", o.config);
		return 0;
	}
	return serve(&o, &config);
}
