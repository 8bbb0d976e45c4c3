/* sautid: the node. docs/man/sautid.8 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cases/json_memory.h"
#include "server/fsck.h"
#include "server/log.h"
#include "server/runtime.h"

static const char help[] =
	"usage: sautid [--config FILE | --dir DIR] [--debug]\n"
	"       sautid --fsck [--repair] [--config FILE | --dir DIR]\n"
	"\n"
	"Runs a node in the foreground until SIGINT or SIGTERM; or checks a stopped one.\n"
	"\n"
	"  --config FILE  the configuration; default: sauti.conf in the node's directory\n"
	"  --dir DIR      the node's directory; default: $SAUTI_DIR or /var/lib/sauti\n"
	"  --debug        say more\n"
	"  --fsck         re-hash every entry of the stopped node and compare it with what is "
	"signed\n"
	"  --repair       with --fsck: make derived data anew, mark damaged entries; never "
	"removes\n"
	"                 what is signed\n"
	"  --version, --help\n"
	"\n"
	"Messages go to standard error. Exit status: 0 stopped as asked, or whole; 1 failed, 2 "
	"usage,\n"
	"4 stored data is damaged, 5 not permitted.\n";

static int exit_status(enum err err)
{
	switch (err) {
	case ERR_CORRUPT:
	case ERR_FORK:
	case ERR_PROOF:
		return EXIT_INTEGRITY;
	case ERR_DENIED:
	case ERR_LOCKED:
		return EXIT_PERMISSION;
	default:
		return EXIT_FAILED;
	}
}

/* A process that holds keys leaves nothing of its memory on the disk. */
static void keep_to_ourselves(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
}

static int run(const char *config)
{
	struct runtime *rt;
	struct errctx ctx = {""};
	enum err err = crypto_init();

	if (err == OK)
		err = runtime_new(config, &rt, &ctx);
	if (err != OK) {
		fprintf(stderr, "sautid: %s\n", err_message(&ctx, err));
		crypto_release();
		return exit_status(err);
	}
	runtime_run(rt);
	runtime_free(rt);
	crypto_release();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"dir", required_argument, NULL, 'd'},
		{"debug", no_argument, NULL, 'v'},
		{"fsck", no_argument, NULL, 'f'},
		{"repair", no_argument, NULL, 'r'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *config = NULL, *dir = getenv("SAUTI_DIR");
	bool fsck = false, repair = false;
	char path[PATH_MAX];
	int c;

	keep_to_ourselves();
	json_memory_init();
	while ((c = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			config = optarg;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'v':
			log_set_level(LOG_DEBUG);
			break;
		case 'f':
			fsck = true;
			break;
		case 'r':
			repair = true;
			break;
		case 'V':
			puts("sautid " SAUTI_VERSION);
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs("sautid: see sautid --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sautid: unexpected argument '%s'; see sautid --help\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	if (repair && !fsck) {
		fputs("sautid: --repair goes with --fsck; see sautid --help\n", stderr);
		return EXIT_USAGE;
	}
	if (config == NULL) {
		snprintf(path, sizeof(path), "%s/sauti.conf", dir == NULL ? "/var/lib/sauti" : dir);
		config = path;
	}
	return fsck ? fsck_main(config, repair) : run(config);
}
