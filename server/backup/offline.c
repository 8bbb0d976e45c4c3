#include "server/backup/offline.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "node/config.h"
#include "node/genesis.h"
#include "server/backup/report.h"

enum { PROGRESS_MS = 250 };

static bool stopping;

static void on_signal(int number)
{
	(void)number;
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
}

/* Progress. */

struct shown {
	bool json, terminal, anything;
	uint64_t last_ms;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static const char *step_words(const char *step)
{
	return strcmp(step, "copy") == 0   ? "copying"
	       : strcmp(step, "hash") == 0 ? "reading again"
					   : "hashing every entry";
}

static void progress_show(void *arg, const struct backup_progress *progress)
{
	struct shown *shown = arg;
	uint64_t now = now_ms();

	if (now - shown->last_ms < PROGRESS_MS || (!shown->json && !shown->terminal))
		return;
	shown->last_ms = now;
	if (!shown->json) {
		shown->anything = true;
		fprintf(stderr, "\r%s: %u %%      ", step_words(progress->step),
			progress->total == 0 ? 0
					     : (unsigned)(100.0 * (double)progress->done /
							  (double)progress->total));
		return;
	}
	/* Nobody listens any more: whoever started this is gone. */
	if (fprintf(stderr,
		    "{\"progress\":{\"step\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}}\n",
		    progress->step, progress->done, progress->total) < 0)
		__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
}

static struct backup_watch watch_make(const struct offline_opts *opts, struct shown *shown)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	*shown = (struct shown){
		.json = opts->progress, .terminal = !opts->json && isatty(STDERR_FILENO)};
	return (struct backup_watch){&stopping, progress_show, shown};
}

static void progress_end(const struct shown *shown)
{
	if (shown->anything)
		fputs("\r\033[K", stderr);
}

/* Words. */

/* Paths and names that came from elsewhere, for a terminal. */
static const char *shown_text(const char *text, char out[1024])
{
	return text_escape(bytes_str(text), out, 1024);
}

static enum err print_json(json_t *json)
{
	if (json == NULL)
		return ERR_NOMEM;
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return OK;
}

static void print_contents(const char *what, const char *path, const struct manifest *manifest)
{
	char created[MANIFEST_TIME_SIZE], place[1024];

	manifest_time(manifest->created_s, created);
	printf("%s '%s'\n", what, shown_text(path, place));
	printf("  node '%s' of '%s', as of %s (commit %" PRIu64 ")\n", manifest->node,
		manifest->network, created, manifest->commits);
	printf("  %zu logs, %" PRIu64 " entries, %" PRIu64 " bytes; every entry was hashed again "
	       "and every signature checked\n",
		manifest->log_count, report_entries(manifest), report_bytes(manifest));
}

static void print_no_keys(void)
{
	puts("  No keys are in it: without keys/ of this machine, or a copy of it kept by hand, "
	     "nobody can\n"
	     "  start the node from it or read a case.");
}

/* The modes. */

static enum err backup_run(const struct offline_opts *opts, const struct node_paths *paths,
	const char *node, struct store *store, struct errctx *ctx)
{
	char to[PATH_MAX], here[PATH_MAX];
	struct manifest manifest = {0};
	struct shown shown;
	struct backup_opts backup = {
		.store = store,
		.paths = paths,
		.node = node,
		.to = to,
		.watch = watch_make(opts, &shown),
	};
	enum err err;

	if (getcwd(here, sizeof(here)) == NULL)
		return err_set(ctx, ERR_NOTFOUND, "the current directory has no name");
	TRY(files_join(here, opts->place, to, ctx));
	err = backup_make(&backup, &manifest, ctx);
	progress_end(&shown);
	if (err == OK && opts->json) {
		err = print_json(report_json("backup", to, &manifest));
	} else if (err == OK) {
		print_contents("backup", to, &manifest);
		print_no_keys();
	}
	manifest_release(&manifest);
	return err;
}

/* A stopped node: the store's lock says whether it is. */
static enum err do_backup(const struct offline_opts *opts, struct errctx *ctx)
{
	struct node_config config = {0};
	struct genesis genesis = {0};
	struct store *store = NULL;
	struct node_paths paths;
	enum err err = config_load(opts->config, &config, ctx);

	if (err == OK)
		err = config_paths(&config, &paths, ctx);
	if (err == OK)
		err = genesis_load(paths.genesis, &genesis, ctx);
	if (err == OK && !files_exist(paths.store))
		err = err_set(ctx, ERR_NOTFOUND, "there is no store in '%s' to make a backup of",
			paths.directory);
	if (err == OK) {
		struct store_opts store_opts = {
			.path = paths.store, .network = genesis.network, .node = config.name};

		err = store_open(&store_opts, &store, ctx);
		if (err == ERR_BUSY)
			err_set(ctx, err,
				"sautid runs on '%s': 'sauti backup' makes a backup of a running "
				"node",
				paths.directory);
	}
	if (err == OK)
		err = backup_run(opts, &paths, config.name, store, ctx);
	store_close(store);
	genesis_release(&genesis);
	config_release(&config);
	return err;
}

static enum err do_child(const struct offline_opts *opts, struct errctx *ctx)
{
	struct manifest manifest = {0};
	struct shown shown;
	struct backup_watch watch = watch_make(opts, &shown);
	struct complete_opts complete = {opts->place, opts->name, opts->created_s, watch};
	enum err err;

	/* Run by another, whose work is void when it ends: the next one may begin at once. */
	if (opts->progress)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (opts->mode == OFFLINE_DO_COMPLETE)
		err = backup_complete(&complete, &manifest, ctx);
	else
		err = backup_verify(opts->place, &watch, &manifest, ctx);
	progress_end(&shown);
	if (err == OK && opts->json)
		err = print_json(report_json("verified", opts->place, &manifest));
	else if (err == OK)
		print_contents("verified", opts->place, &manifest);
	manifest_release(&manifest);
	return err;
}

static const char epoch_words[] = "The old log is not continued: at the next unlock the node opens "
				  "a new one. What other nodes "
				  "hold of the old log stays.";
static const char keys_kept_words[] = "keys/ was left as it was.";
static const char keys_missing_words[] = "No keys are in a backup: before the node can start, put "
					 "your own copy of keys/ and keyring/ "
					 "there.";
static const char invites_words[] =
	"Invitations are not in a backup: invite again whoever has not joined yet.";

static void print_restored(const struct offline_opts *opts, const struct restore_result *result)
{
	char text[1024];

	print_contents(opts->dry_run      ? "could be restored, nothing was written:"
		       : result->finished ? "interrupted restore brought to its end, from"
					  : "restored",
		result->from, &result->manifest);
	printf("  %s '%s'\n", opts->dry_run ? "it would go into" : "it is in",
		shown_text(result->to, text));
	printf("%s\n%s\n%s\n", epoch_words, opts->keep_keys ? keys_kept_words : keys_missing_words,
		invites_words);
	if (result->config[0] != '\0')
		printf("Look at this first: %s\n", shown_text(result->config, text));
}

static json_t *restored_json(const struct offline_opts *opts, const struct restore_result *result)
{
	json_t *json = report_json("from", result->from, &result->manifest);
	json_t *notes = json_pack("[s,s,s]", epoch_words,
		opts->keep_keys ? keys_kept_words : keys_missing_words, invites_words);

	if (result->config[0] != '\0')
		json_array_append_new(notes, json_string(result->config));
	json_object_set_new(json, "directory", json_string(result->to));
	json_object_set_new(json, "dry_run", json_boolean(opts->dry_run));
	json_object_set_new(json, "keys_kept", json_boolean(opts->keep_keys));
	json_object_set_new(json, "finished", json_boolean(result->finished));
	json_object_set_new(json, "notes", notes);
	return json;
}

static enum err do_restore(const struct offline_opts *opts, struct errctx *ctx)
{
	struct restore_result result;
	struct shown shown;
	struct restore_opts restore = {
		.from = opts->place,
		.to = opts->dir,
		.keep_keys = opts->keep_keys,
		.dry_run = opts->dry_run,
		.watch = watch_make(opts, &shown),
	};
	enum err err = backup_restore(&restore, &result, ctx);

	progress_end(&shown);
	TRY(err);
	if (opts->json)
		err = print_json(restored_json(opts, &result));
	else
		print_restored(opts, &result);
	restore_result_release(&result);
	return err;
}

enum err offline_run(const struct offline_opts *opts, struct errctx *ctx)
{
	enum err err;

	switch (opts->mode) {
	case OFFLINE_DO_BACKUP:
		err = do_backup(opts, ctx);
		break;
	case OFFLINE_DO_RESTORE:
		err = do_restore(opts, ctx);
		break;
	default:
		err = do_child(opts, ctx);
		break;
	}
	if ((fflush(stdout) != 0 || ferror(stdout)) && err == OK)
		err = err_set(ctx, ERR_IO, "standard output could not be written");
	return err;
}

void offline_error(const struct offline_opts *opts, const char *program, enum err err,
	const struct errctx *ctx)
{
	const char *message = err_message(ctx, err);
	char text[1024];
	json_t *json = NULL;

	if (!opts->json) {
		fprintf(stderr, "%s: %s\n", program, shown_text(message, text));
		return;
	}
	json = json_pack("{s:{s:s,s:s}}", "error", "code", err_name(err), "message", message);
	if (json == NULL) /* not UTF-8 */
		json = json_pack(
			"{s:{s:s,s:s}}", "error", "code", err_name(err), "message", err_text(err));
	if (json != NULL)
		json_dumpf(json, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(json);
}
