/* sautid: the node. docs/man/sautid.8 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cases/event/json_memory.h"
#include "server/backup/offline.h"
#include "server/fsck/command.h"
#include "server/internal.h"
#include "server/log.h"

static const char help[] =
	"usage: sautid [--config FILE | --dir DIR] [--debug]\n"
	"       sautid --fsck [--repair] [--config FILE | --dir DIR]\n"
	"       sautid [--config FILE | --dir DIR] [--json] --backup TO\n"
	"       sautid [--json] --verify-backup FROM\n"
	"       sautid [--dir DIR] [--json] [--keep-keys] [--dry-run] --restore FROM\n"
	"\n"
	"Runs a node in the foreground until SIGINT or SIGTERM; or checks a stopped one, makes a\n"
	"backup of it, verifies a backup, or restores one into DIR.\n"
	"\n"
	"  --config FILE  the configuration; default: sauti.conf in the node's directory\n"
	"  --dir DIR      the node's directory; default: $SAUTI_DIR or /var/lib/sauti\n"
	"  --debug        say more\n"
	"  --fsck         re-hash every entry of the stopped node and compare it with what is "
	"signed\n"
	"  --repair       with --fsck: make derived data anew, mark damaged entries; never "
	"removes\n"
	"                 what is signed\n"
	"  --backup TO    into a new directory ('sauti backup' does it while the node runs)\n"
	"  --verify-backup FROM, --restore FROM\n"
	"  --keep-keys    DIR holds keys/ of that node: restore the rest around them\n"
	"  --dry-run      check everything, write nothing\n"
	"  --json         print JSON\n"
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

static int failed(const struct errctx *ctx, enum err err)
{
	fprintf(stderr, "sautid: %s\n", err_message(ctx, err));
	return exit_status(err);
}

static int run(const char *config)
{
	struct runtime *rt;
	struct errctx ctx = {""};
	enum err err = crypto_init();

	if (err != OK)
		return failed(&ctx, err);
	err = runtime_new(config, &rt, &ctx);
	if (err == OK) {
		runtime_run(rt);
		runtime_free(rt);
	}
	crypto_release();
	return err == OK ? 0 : failed(&ctx, err);
}

/* As `sauti restore` runs us under its own name, messages come under that. */
static int run_offline(const struct offline_opts *opts, const char *program)
{
	const char *slash = strrchr(program, '/');
	struct errctx ctx = {""};
	enum err err = crypto_init();

	if (err == OK) {
		err = offline_run(opts, &ctx);
		crypto_release();
	}
	if (err == OK)
		return 0;
	offline_error(opts, slash != NULL ? slash + 1 : program, err, &ctx);
	return exit_status(err);
}

enum {
	OPTION_BACKUP = 256,
	OPTION_COMPLETE,
	OPTION_VERIFY,
	OPTION_RESTORE,
	OPTION_NAME,
	OPTION_CREATED,
	OPTION_DRY_RUN,
	OPTION_KEEP_KEYS,
	OPTION_JSON,
	OPTION_PROGRESS,
};

/* False: it is none of these. */
static bool offline_option(int c, struct offline_opts *opts)
{
	enum offline_mode before = opts->mode;

	switch (c) {
	case OPTION_BACKUP:
		opts->mode = OFFLINE_DO_BACKUP;
		break;
	case OPTION_COMPLETE:
		opts->mode = OFFLINE_DO_COMPLETE;
		break;
	case OPTION_VERIFY:
		opts->mode = OFFLINE_DO_VERIFY;
		break;
	case OPTION_RESTORE:
		opts->mode = OFFLINE_DO_RESTORE;
		break;
	case OPTION_NAME:
		opts->name = optarg;
		return true;
	case OPTION_CREATED:
		opts->created_s = strtoull(optarg, NULL, 10);
		return true;
	case OPTION_DRY_RUN:
		opts->dry_run = true;
		return true;
	case OPTION_KEEP_KEYS:
		opts->keep_keys = true;
		return true;
	case OPTION_JSON:
		opts->json = true;
		return true;
	case OPTION_PROGRESS:
		opts->progress = true;
		return true;
	default:
		return false;
	}
	opts->twice |= before != OFFLINE_NO;
	opts->place = optarg;
	return true;
}

/* What does not go together is a mistake that might cost data. */
static const char *offline_wrong(const struct offline_opts *opts, const char *config)
{
	bool restore = opts->mode == OFFLINE_DO_RESTORE;

	if (opts->twice)
		return "one of --backup, --verify-backup and --restore at a time";
	if ((opts->dry_run || opts->keep_keys) && !restore)
		return "--dry-run and --keep-keys are for --restore";
	if (opts->json && opts->mode == OFFLINE_NO)
		return "--json is for --backup, --verify-backup and --restore";
	if (restore && config != NULL)
		return "--restore takes --dir, not --config: a backup brings its own sauti.conf";
	if ((opts->mode == OFFLINE_DO_COMPLETE) != (opts->name != NULL))
		return "--name and --complete-backup go together";
	return NULL;
}

/* glibc raises this limit by itself, and then keeps what one burst of large messages took. */
static void give_back_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 512 * 1024);
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
		{"backup", required_argument, NULL, OPTION_BACKUP},
		{"complete-backup", required_argument, NULL, OPTION_COMPLETE},
		{"verify-backup", required_argument, NULL, OPTION_VERIFY},
		{"restore", required_argument, NULL, OPTION_RESTORE},
		{"name", required_argument, NULL, OPTION_NAME},
		{"created", required_argument, NULL, OPTION_CREATED},
		{"dry-run", no_argument, NULL, OPTION_DRY_RUN},
		{"keep-keys", no_argument, NULL, OPTION_KEEP_KEYS},
		{"json", no_argument, NULL, OPTION_JSON},
		{"progress", no_argument, NULL, OPTION_PROGRESS},
		{NULL, 0, NULL, 0},
	};
	const char *config = NULL, *dir = getenv("SAUTI_DIR"), *wrong;
	struct offline_opts offline = {.mode = OFFLINE_NO};
	bool fsck = false, repair = false;
	char path[PATH_MAX];
	int c;

	keep_to_ourselves();
	give_back_memory();
	json_memory_init(runtime_out_of_memory);
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
			if (offline_option(c, &offline))
				break;
			fputs("sautid: see sautid --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sautid: unexpected argument '%s'; see sautid --help\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	wrong = offline_wrong(&offline, config);
	if (wrong != NULL) {
		fprintf(stderr, "sautid: %s; see sautid --help\n", wrong);
		return EXIT_USAGE;
	}
	dir = dir == NULL ? "/var/lib/sauti" : dir;
	if (repair && !fsck) {
		fputs("sautid: --repair goes with --fsck; see sautid --help\n", stderr);
		return EXIT_USAGE;
	}
	if (config == NULL) {
		snprintf(path, sizeof(path), "%s/sauti.conf", dir);
		config = path;
	}
	offline.config = config;
	offline.dir = dir;
	if (fsck)
		return fsck_main(config, repair);
	return offline.mode == OFFLINE_NO ? run(config) : run_offline(&offline, argv[0]);
}
