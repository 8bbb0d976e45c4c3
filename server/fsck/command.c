#include "server/fsck/command.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto.h"
#include "node/config.h"
#include "node/genesis.h"
#include "server/fsck/check.h"
#include "server/watch.h"

/* A page walk and the hashing of a slice give signs of life every few megabytes; a repair's commit
 * is one long step. */
enum { PATIENCE_MS = 5 * 60 * 1000, SHOW_MS = 200 };

struct task {
	const char *config_file;
	bool repair;
	struct watch *watch;
	struct node_config config;
	struct node_paths paths;
	struct genesis genesis;
	const char *path; /* of the environment that is being checked */
	uint64_t done, total, shown_ms;
	char doing[256];
	bool terminal;
};

/* Progress, on a terminal. */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void show_nothing(struct task *task)
{
	if (task->terminal && task->shown_ms != 0)
		fputs("\r\033[K", stderr);
}

static void show(struct task *task)
{
	uint64_t now = now_ms();

	if (!task->terminal || now - task->shown_ms < SHOW_MS)
		return;
	task->shown_ms = now;
	if (task->total > 0)
		fprintf(stderr, "\r\033[K%s: %s: %" PRIu64 " %%", task->path, task->doing,
			task->done >= task->total ? 100 : task->done * 100 / task->total);
	else
		fprintf(stderr, "\r\033[K%s: %s: %" PRIu64, task->path, task->doing, task->done);
	fflush(stderr);
}

static void on_doing(void *arg, const char *what, uint64_t total)
{
	struct task *task = arg;
	char text[WATCH_TEXT];

	snprintf(task->doing, sizeof(task->doing), "%s", what);
	task->done = 0;
	task->total = total;
	snprintf(text, sizeof(text), "'%s/data.mdb' (%s)", task->path, what);
	watch_doing(task->watch, text);
	show(task);
}

static void on_progress(void *arg, uint64_t more)
{
	struct task *task = arg;

	task->done += more;
	watch_alive(task->watch);
	show(task);
}

static void on_line(void *arg, bool bad, const char *text)
{
	struct task *task = arg;

	watch_alive(task->watch);
	show_nothing(task);
	printf("%s  %s\n", bad ? "BAD" : "ok ", text);
	fflush(stdout);
}

/* What to do. */

static void advise_repair(const char *config_file)
{
	fprintf(stderr,
		"sautid: what to do: copy the node's directory to another disk, then run\n"
		"sautid --fsck --repair --config '%s'\n",
		config_file);
}

static void advise_keep(void)
{
	fprintf(stderr, "sautid: this cannot be repaired from what is here.\n"
			"sautid: what to do: keep the directory as it is, and look at the disk; "
			"see \"Damage\" in docs/OPERATIONS\n");
}

static void advise(const struct task *task, const struct fsck_result *result)
{
	if (!task->repair && (result->structure || result->repairable))
		advise_repair(task->config_file);
	else if (result->only_marks)
		fprintf(stderr,
			"sautid: %" PRIu64 " entries are marked: they are not given out, and are "
			"to be fetched again from peers.\n"
			"sautid: what to do: start the node; all else is served.\n",
			result->marked);
	else
		advise_keep();
}

static int exit_status(enum err err)
{
	switch (err) {
	case OK:
		return 0;
	case ERR_CORRUPT:
	case ERR_PROOF:
		return EXIT_INTEGRITY;
	case ERR_DENIED:
		return EXIT_PERMISSION;
	default:
		return EXIT_FAILED;
	}
}

static int fail(struct task *task, enum err err, const struct errctx *ctx)
{
	show_nothing(task);
	fprintf(stderr, "sautid: %s\n", err_message(ctx, err));
	if (err == ERR_BUSY)
		fprintf(stderr, "sautid: what to do: stop the node first; only a node at rest is "
				"checked.\n");
	return exit_status(err);
}

static enum err load(struct task *task, struct errctx *ctx)
{
	TRY(config_load(task->config_file, &task->config, ctx));
	TRY(config_paths(&task->config, &task->paths, ctx));
	return genesis_load(task->paths.genesis, &task->genesis, ctx);
}

static int check_one(struct task *task, const char *path,
	enum err (*check)(const struct fsck_opts *, struct fsck_result *, struct errctx *))
{
	const struct member *self =
		directory_find(task->genesis.directory, bytes_str(task->config.name));
	struct fsck_opts opts = {
		.path = path,
		.network = task->genesis.network,
		.node = task->config.name,
		.directory = task->genesis.origin,
		.directory_key = task->genesis.key,
		.members = task->genesis.directory,
		.headquarters = self != NULL && self->role == ROLE_HQ,
		.repair = task->repair,
		.line = on_line,
		.doing = on_doing,
		.progress = on_progress,
		.arg = task,
	};
	struct errctx ctx = {""};
	struct fsck_result result;
	enum err err;

	task->path = path;
	err = check(&opts, &result, &ctx);
	if (err == ERR_NOTFOUND)
		err_set(&ctx, err,
			"there is nothing at '%s': a node that was never started has no "
			"store yet; of any other it is lost",
			path);
	if (err != OK)
		return fail(task, err, &ctx);
	show_nothing(task);
	if (result.clean) {
		printf("ok   %s: whole%s\n", path,
			result.repaired ? ", now that it is repaired" : "");
		return 0;
	}
	fflush(stdout);
	advise(task, &result);
	return EXIT_INTEGRITY;
}

static int check_node(void *arg, struct watch *watch)
{
	struct task *task = arg;
	struct errctx ctx = {""};
	int store, keyring = 0;
	enum err err = crypto_init();

	task->watch = watch;
	task->terminal = isatty(STDERR_FILENO) == 1;
	if (err == OK)
		err = load(task, &ctx);
	if (err != OK)
		return fail(task, err, &ctx);
	store = check_one(task, task->paths.store, fsck_store);
	/* A busy or unreadable directory says all about the other one too. */
	if (store == 0 || store == EXIT_INTEGRITY) {
		/* Of a node that was never unlocked there is none. */
		if (files_exist(task->paths.keyring))
			keyring = check_one(task, task->paths.keyring, fsck_keyring);
	}
	fflush(stdout);
	return store != 0 ? store : keyring;
}

int fsck_main(const char *config_file, bool repair)
{
	struct task task = {.config_file = config_file, .repair = repair};
	struct errctx ctx = {""};
	struct watch_end end;
	enum err err = watch_run(check_node, &task, PATIENCE_MS, &end, &ctx);

	if (err != OK) {
		fprintf(stderr, "sautid: %s\n", err_message(&ctx, err));
		return EXIT_FAILED;
	}
	if (end.how == WATCH_EXITED)
		return end.status;
	if (end.how == WATCH_SIGNAL && (end.status == SIGKILL || end.status == SIGTERM)) {
		fprintf(stderr, "sautid: the check was ended by a signal (%s)\n",
			strsignal(end.status));
		return EXIT_FAILED;
	}
	printf("BAD  %s: it cannot be read: %s\n", end.doing,
		end.how == WATCH_STUCK ? "it runs in circles" : strsignal(end.status));
	fprintf(stderr, "sautid: LMDB, which keeps this file, stopped over it: it is damaged.\n");
	if (repair)
		advise_keep();
	else
		advise_repair(config_file);
	return EXIT_INTEGRITY;
}
