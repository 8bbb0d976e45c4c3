/*
 * sauti backup, sauti restore. A backup is the daemon's work, over the control socket. Restoring
 * needs LMDB, which the command line does not have: it is sautid's, and `restore` becomes that
 * program, which speaks under this name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/daemon.h"
#include "cli/output.h"
#include "node/control.h"

#define WITH_KEYS_WORDS                                                                            \
	"--with-keys comes with recovery keys, which this version does not have. Until then no "   \
	"key "                                                                                     \
	"is in a backup: a lost keys/ cannot be brought back from one, and without it nobody "     \
	"reads "                                                                                   \
	"this office's cases. Keep a copy of keys/ and keyring/ by hand, made while sautid is "    \
	"stopped: in it, keys/keystore is protected by the passphrase alone, keys/boot by nothing"

struct answer {
	const struct cli *cli;
	json_t *document; /* the last */
	bool shown;
};

static const char *step_words(const char *step)
{
	return strcmp(step, "copy") == 0   ? "copying"
	       : strcmp(step, "hash") == 0 ? "reading again"
					   : "hashing every entry";
}

static void progress_show(struct answer *answer, const json_t *progress)
{
	uint64_t total = output_number(progress, "total");
	struct output_buffer step;

	if (answer->cli->json || !isatty(STDERR_FILENO))
		return;
	answer->shown = true;
	fprintf(stderr, "\r%s: %u %%      ", step_words(output_member(progress, "step", &step)),
		total == 0 ? 0
			   : (unsigned)(100.0 * (double)output_number(progress, "done") /
					(double)total));
}

static enum err answer_take(void *arg, struct bytes json, struct errctx *ctx)
{
	struct answer *answer = arg;
	json_t *document, *progress;

	TRY(output_parse(json, &document, ctx));
	progress = json_object_get(document, "progress");
	if (progress != NULL) {
		progress_show(answer, progress);
		json_decref(document);
		return OK;
	}
	json_decref(answer->document);
	answer->document = document;
	return OK;
}

static void print_backup(const json_t *backup)
{
	struct output_buffer b[4];

	printf("backup '");
	output_text(stdout, output_member(backup, "backup", &b[0]), false);
	printf("'\n  node '%s' of '%s', as of %s (commit %llu)\n",
		output_member(backup, "node", &b[1]), output_member(backup, "network", &b[2]),
		output_member(backup, "created", &b[3]),
		(unsigned long long)output_number(backup, "commits"));
	printf("  %llu logs, %llu entries, %llu bytes; every entry was hashed again and every "
	       "signature checked\n",
		(unsigned long long)output_number(backup, "log_count"),
		(unsigned long long)output_number(backup, "entries"),
		(unsigned long long)output_number(backup, "bytes"));
	puts("  No keys are in it: without keys/ of this machine, or a copy of it kept by hand, "
	     "nobody can\n"
	     "  start the node from it or read a case.");
}

/* The daemon may stand in another directory. */
static enum err absolute(const char *path, char ret[PATH_MAX], struct errctx *ctx)
{
	char here[PATH_MAX];

	if (path[0] == '/')
		return files_join("/", path, ret, ctx);
	if (getcwd(here, sizeof(here)) == NULL)
		return files_errno(ctx, errno, "find", ".");
	return files_join(here, path, ret, ctx);
}

static enum err ask(
	const struct cli *cli, const char *to, struct answer *answer, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__BackupRequest backup = SAUTI__BACKUP_REQUEST__INIT;
	struct node_config config;
	struct control *control = NULL;
	enum err err;

	backup.to = (char *)to;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_BACKUP;
	request.backup = &backup;
	TRY(daemon_config(cli, &config, ctx));
	err = control_connect(config.socket, &control, ctx);
	if (err == ERR_UNREACHABLE)
		err_set(ctx, err,
			"no daemon answers at %s: start sautid, or make a backup of the stopped "
			"node with 'sautid --config %s --backup %s'",
			config.socket, config.file, to);
	config_release(&config);
	if (err == OK)
		err = control_call(control, &request, answer_take, answer, NULL, ctx);
	control_close(control);
	if (answer->shown)
		fputs("\r\033[K", stderr);
	return err;
}

static enum err run_backup(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct answer answer = {.cli = cli};
	char to[PATH_MAX];
	enum err err;

	if (args_flag(args, "with-keys"))
		return err_set(ctx, ERR_UNSUPPORTED, "%s", WITH_KEYS_WORDS);
	TRY(absolute(args_at(args, 0), to, ctx));
	err = ask(cli, to, &answer, ctx);
	if (err == OK && answer.document == NULL)
		err = err_set(ctx, ERR_MALFORMED, "the daemon's answer is empty");
	if (err == OK && cli->json)
		output_json(answer.document);
	else if (err == OK)
		print_backup(answer.document);
	json_decref(answer.document);
	return err;
}

/* Beside this program, or where it is installed from there. */
static enum err sautid_find(char ret[PATH_MAX], struct errctx *ctx)
{
	static const char *const places[] = {"sautid", "../sbin/sautid"};
	char self[PATH_MAX], *slash;
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (size < 0)
		return files_errno(ctx, errno, "find", "/proc/self/exe");
	self[size] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		TRY(files_join(self, places[i], ret, ctx));
		if (access(ret, X_OK) == 0)
			return OK;
	}
	return err_set(ctx, ERR_NOTFOUND,
		"sautid is neither in '%s' nor in '%s/../sbin': it does the restoring", self, self);
}

static enum err run_restore(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	char program[PATH_MAX];
	char *argv[10] = {
		"sauti", "--dir", (char *)cli->dir, "--restore", (char *)args_at(args, 0)};
	size_t count = 5;

	if (cli->config_file != NULL)
		return cli_usage(cli, ctx,
			"restore takes --dir, not --config: a backup brings its own sauti.conf");
	if (args_flag(args, "keep-keys"))
		argv[count++] = "--keep-keys";
	if (args_flag(args, "dry-run"))
		argv[count++] = "--dry-run";
	if (cli->json)
		argv[count++] = "--json";
	TRY(sautid_find(program, ctx));
	execv(program, argv);
	return files_errno(ctx, errno, "run", program);
}

static const struct cli_option backup_options[] = {
	{"with-keys", NULL, "seal the keys in, to the recovery key: not in this version", false},
	{0},
};

static const struct cli_option restore_options[] = {
	{"keep-keys", NULL, "DIR still holds keys/ of that node: restore the rest around them",
		false},
	{"dry-run", NULL, "check everything, say what would happen, write nothing", false},
	{0},
};

const struct cli_command backup_commands[] = {
	{"backup", NULL, "TO", "a verified copy of the node, without its keys",
		"The daemon copies what it holds while it works on, and hashes all of the copy "
		"again.\n"
		"TO is a directory that is not there yet, or is empty, best on another disk; the\n"
		"daemon's user must be able to write beside it. Once TO is there, it is whole.",
		1, 1, backup_options, run_backup},
	{"restore", NULL, "FROM", "the node of a backup, into an empty directory",
		"Needs no daemon. The backup is verified before and after it is written to the "
		"node's\n"
		"directory (--dir), which must be missing or empty. The log of the backup is not\n"
		"continued: the node opens a new one at its next unlock.",
		1, 1, restore_options, run_restore},
	{0},
};
