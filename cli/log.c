/* sauti log list | show | verify | export | policy; evidence.c has log evidence */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/evidence.h"
#include "cli/output.h"

/* "hq at 120, office at 118" */
static const char *held_by(const json_t *log, struct output_buffer *buffer)
{
	size_t at = 0, i;
	json_t *item;

	buffer->text[0] = '\0';
	json_array_foreach(json_object_get(log, "held_by"), i, item)
	{
		const char *name = json_is_string(item)
					   ? json_string_value(item)
					   : json_string_value(json_object_get(item, "mirror"));
		char size[32] = "";
		int n;

		if (json_is_integer(json_object_get(item, "size")))
			snprintf(size, sizeof(size), " at %llu",
				(unsigned long long)output_number(item, "size"));
		n = snprintf(buffer->text + at, sizeof(buffer->text) - at, "%s%s%s",
			at == 0 ? "" : ", ", name == NULL ? "?" : name, size);
		if (n < 0 || (size_t)n >= sizeof(buffer->text) - at)
			break;
		at += (size_t)n;
	}
	return at == 0 ? "-" : buffer->text;
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {
		"LOG", "OWN", "SIZE", "CHECKPOINT", "IN QUORUM", "HELD BY"};
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogListRequest list = SAUTI__LOG_LIST_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *logs = NULL;
	struct output_table table;
	json_t *log;
	size_t i;
	enum err err;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_LIST;
	request.log_list = &list;
	TRY(daemon_list(cli, &request, &logs, ctx));
	if (cli->json) {
		output_json(logs);
		return OK;
	}
	output_table_init(&table, heads, 6);
	json_array_foreach(logs, i, log)
	{
		struct output_buffer b[6];
		const char *cells[] = {output_member(log, "origin", &b[0]),
			output_member(log, "own", &b[1]), output_member(log, "size", &b[2]),
			output_member(log, "checkpoint_size", &b[3]),
			output_member(json_object_get(log, "quorum"), "size", &b[4]),
			held_by(log, &b[5])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static void print_member(const char *label, const json_t *object, const char *name)
{
	struct output_buffer buffer;

	if (json_object_get(object, name) == NULL)
		return;
	printf("%-16s", label);
	output_text(stdout, output_member(object, name, &buffer), false);
	putchar('\n');
}

static void print_quorum(const json_t *quorum)
{
	printf("%-16s%llu entries; the newest checkpoint by %llu of %llu\n", "in quorum",
		(unsigned long long)output_number(quorum, "size"),
		(unsigned long long)output_number(quorum, "current"),
		(unsigned long long)output_number(quorum, "needed"));
}

/* A checkpoint that somebody submitted may be of more entries than have come. */
static void print_witnessed(const json_t *log)
{
	const json_t *witnessed = json_object_get(log, "witnessed");

	if (!json_is_object(witnessed))
		return;
	if (output_true(witnessed, "lost"))
		printf("%-16snot known: this node's witness signs nothing of it\n", "witnessed");
	else
		printf("%-16sseen up to %llu, held %llu\n", "witnessed",
			(unsigned long long)output_number(witnessed, "size"),
			(unsigned long long)output_number(log, "size"));
}

static void print_log(const json_t *log)
{
	const json_t *entry = json_object_get(log, "entry");
	const char *note = json_string_value(json_object_get(log, "checkpoint"));
	struct output_buffer buffer;

	print_member("log", log, "origin");
	print_member("own", log, "own");
	print_member("size", log, "size");
	print_member("checkpoint size", log, "checkpoint_size");
	print_member("root", log, "root");
	if (json_object_get(log, "held_by") != NULL) {
		printf("%-16s", "held by");
		output_text(stdout, held_by(log, &buffer), false);
		putchar('\n');
	}
	if (json_object_get(log, "quorum") != NULL)
		print_quorum(json_object_get(log, "quorum"));
	print_witnessed(log);
	print_member("counts up to", log, "counts");
	print_member("beyond that", log, "beyond");
	if (entry != NULL) {
		print_member("entry", entry, "index");
		print_member("bytes", entry, "bytes");
		print_member("kind", entry, "kind");
		print_member("leaf hash", entry, "leaf_hash");
		printf("%-16s%s\n", "state",
			output_member(json_object_get(entry, "state"), "state", &buffer));
	}
	if (note != NULL) {
		putchar('\n');
		output_text(stdout, note, true);
	}
}

static enum err run_show(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogShowRequest show = SAUTI__LOG_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *index = args_option(args, "index");

	show.origin = (char *)args_at(args, 0);
	show.has_index = index != NULL;
	if (index != NULL && decimal_parse(bytes_str(index), LIMIT_LOG_SIZE - 1, &show.index) != OK)
		return cli_usage(cli, ctx, "--index is a number from 0 on");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_SHOW;
	request.log_show = &show;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		print_log(answer);
	return OK;
}

/* A log of which nothing says that it is whole counts as one that is not. */
static void print_verified(const json_t *log)
{
	struct output_buffer origin, message, size;

	printf("%s  ", output_true(log, "ok") ? "ok " : "BAD");
	output_text(stdout, output_member(log, "origin", &origin), false);
	printf("  %s entries, %llu cosignatures", output_member(log, "size", &size),
		(unsigned long long)output_number(log, "cosignatures"));
	if (!output_true(log, "ok") && json_is_integer(json_object_get(log, "bad_index")))
		printf(", first bad entry %llu",
			(unsigned long long)output_number(log, "bad_index"));
	if (output_member(log, "message", &message)[0] != '\0') {
		printf(": ");
		output_text(stdout, output_member(log, "message", &message), false);
	}
	putchar('\n');
}

static enum err run_verify(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogVerifyRequest verify = SAUTI__LOG_VERIFY_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *logs = NULL;
	size_t i, bad = 0, forked = 0;
	json_t *log;

	verify.origin = (char *)(args_at(args, 0) == NULL ? "" : args_at(args, 0));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_VERIFY;
	request.log_verify = &verify;
	TRY(daemon_list(cli, &request, &logs, ctx));
	if (cli->json)
		output_json(logs);
	json_array_foreach(logs, i, log)
	{
		bad += !output_true(log, "ok");
		forked += output_number(log, "evidence") > 0;
		if (!cli->json)
			print_verified(log);
	}
	if (bad > 0)
		return err_set(ctx, ERR_CORRUPT, "%zu of %zu logs did not verify", bad,
			json_array_size(logs));
	if (forked > 0)
		return err_set(ctx, ERR_FORK,
			"%zu of %zu logs have two histories: see 'sauti log evidence'", forked,
			json_array_size(logs));
	return OK;
}

/* ---- export ---- */

struct export_answer {
	const struct cli *cli;
	json_t *logs; /* the documents of those that are done */
	bool progress_shown;
};

static void progress_clear(struct export_answer *answer)
{
	if (answer->progress_shown)
		fputs("\r\033[K", stderr);
	answer->progress_shown = false;
}

static void progress_show(struct export_answer *answer, const json_t *item)
{
	struct output_buffer origin;

	if (answer->cli->json || !isatty(STDERR_FILENO))
		return;
	progress_clear(answer);
	output_text(stderr, output_member(item, "origin", &origin), false);
	fprintf(stderr, "  %llu of %llu entries",
		(unsigned long long)output_number(item, "entries"),
		(unsigned long long)output_number(item, "of"));
	answer->progress_shown = true;
}

static void print_exported(const struct cli *cli, const json_t *log)
{
	struct output_buffer origin, message, size;
	unsigned long long files = (unsigned long long)output_number(log, "files_written");

	printf("%s  ", output_true(log, "ok") ? "ok " : "BAD");
	output_text(stdout, output_member(log, "origin", &origin), false);
	if (!output_true(log, "ok")) {
		if (json_is_integer(json_object_get(log, "bad_index")))
			printf("  first bad entry %llu",
				(unsigned long long)output_number(log, "bad_index"));
		printf("  ");
		output_text(stdout, output_member(log, "message", &message), false);
		putchar('\n');
		return;
	}
	printf("  %s entries, %llu cosignatures, ", output_member(log, "size", &size),
		(unsigned long long)output_number(log, "cosignatures"));
	if (files == 0)
		puts("nothing new");
	else
		printf("%llu files written, %llu bytes\n", files,
			(unsigned long long)output_number(log, "bytes_written"));
	if (output_number(log, "cosignatures_bad") > 0)
		cli_note(cli,
			"%s: %llu cosignatures did not verify and were left out: see 'sauti "
			"log verify'",
			output_member(log, "origin", &origin),
			(unsigned long long)output_number(log, "cosignatures_bad"));
}

static enum err on_exported(void *arg, struct bytes json, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *item = NULL;
	struct export_answer *answer = arg;

	TRY(output_parse(json, &item, ctx));
	if (json_object_get(item, "ok") == NULL) {
		progress_show(answer, item);
		return OK;
	}
	progress_clear(answer);
	if (!answer->cli->json)
		print_exported(answer->cli, item);
	return json_array_append(answer->logs, item) == 0 ? OK : ERR_NOMEM;
}

/* The daemon stands in another directory than its user. */
static enum err make_absolute(const char *path, char ret[PATH_MAX], struct errctx *ctx)
{
	char here[PATH_MAX] = "/";

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return files_errno(ctx, errno, "find", "the current directory");
	return files_join(here, path, ret, ctx);
}

static enum err run_export(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogExportRequest export = SAUTI__LOG_EXPORT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *logs = json_array();
	struct export_answer answer = {cli, logs, false};
	char *origins[ARGS_MAX], directory[PATH_MAX];
	enum err err;

	if (logs == NULL)
		return ERR_NOMEM;
	if (args_at(args, 0)[0] == '\0')
		return cli_usage(cli, ctx, "DIR is empty");
	TRY(make_absolute(args_at(args, 0), directory, ctx));
	while (args_at(args, 1 + export.n_origins) != NULL) {
		origins[export.n_origins] = (char *)args_at(args, 1 + export.n_origins);
		export.n_origins++;
	}
	export.directory = directory;
	export.origins = origins;
	export.compare = args_flag(args, "compare");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_EXPORT;
	request.log_export = &export;
	err = daemon_each(cli, &request, on_exported, &answer, ctx);
	progress_clear(&answer);
	if (cli->json && (err == OK || json_array_size(logs) > 0))
		output_json(logs);
	return err;
}

/* ---- policy ---- */

static enum err run_policy(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogPolicyRequest policy = SAUTI__LOG_POLICY_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *witnesses = args_option(args, "witnesses");
	char *origins[ARGS_MAX];
	uint64_t needed = 0;
	const char *text;

	if (witnesses != NULL &&
		decimal_parse(bytes_str(witnesses), LIMIT_POLICY_ITEMS, &needed) != OK)
		return cli_usage(
			cli, ctx, "--witnesses is a number of at most %d", LIMIT_POLICY_ITEMS);

	while (args_at(args, policy.n_origins) != NULL) {
		origins[policy.n_origins] = (char *)args_at(args, policy.n_origins);
		policy.n_origins++;
	}
	policy.origins = origins;
	policy.witnesses = (uint32_t)needed;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_POLICY;
	request.log_policy = &policy;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	text = json_string_value(json_object_get(answer, "policy"));
	if (cli->json)
		output_json(answer);
	else
		output_text(stdout, text == NULL ? "" : text, true);
	return OK;
}

static const struct cli_option export_options[] = {
	{"compare", NULL, "compare every file that is there, and write again what differs", false},
	{0},
};

static const struct cli_option policy_options[] = {
	{"witnesses", "K", "so many witnesses must have cosigned, too (default: 0)", false},
	{0},
};

static const struct cli_option evidence_options[] = {
	{"export", "FILE", "write what is held to FILE", false},
	{"verify", "FILE", "verify such a file, without the node", false},
	{"vkey", "KEY", "with --verify: the log's verifier key", false},
	{"node-key", "KEY", "with --verify: the author's node key, in base64", false},
	{0},
};

static const struct cli_option show_options[] = {
	{"index", "N", "show the entry with that index too", false},
	{0},
};

const struct cli_command log_commands[] = {
	{"log", "list", "", "the logs this node holds, and who else holds them", NULL, 0, 0, NULL,
		run_list},
	{"log", "show", "LOG", "a log's newest checkpoint with its signatures",
		"LOG is an origin, as 'sauti log list' prints it.", 1, 1, show_options, run_show},
	{"log", "verify", "[LOG]", "hash every entry again and check all signatures",
		"Without LOG, every log. Exit code 4 when one does not verify, or has two\n"
		"histories.",
		0, 1, NULL, run_verify},
	{"log", "export", "DIR [LOG...]", "write logs as static files (C2SP tlog-tiles)",
		"Into DIR/LOG/, one directory per log; without LOG, every log. DIR is new, empty, "
		"or\n"
		"has earlier exports, which are continued: only what is new is written. Proofs of "
		"forks\nare added to DIR/evidence, of whatever log.",
		1, ARGS_MAX, export_options, run_export},
	{"log", "policy", "[LOG...]", "whom an outsider is to believe (C2SP tlog-policy)",
		"The keys of the logs and of the mirrors that count, and the network's quorum, as "
		"this\n"
		"node's verified directory has them: for 'sauti audit', for any other verifier, "
		"and "
		"for\n[safe] policy of sauti.conf. Witnesses are listed, so that what they "
		"cosigned is "
		"checked,\ntoo; --witnesses makes the quorum take so many of them besides its "
		"mirrors.",
		0, ARGS_MAX, policy_options, run_policy},
	{"log", "evidence", "[LOG]", "proofs that a log has two histories",
		"Without LOG, of every log. Exit code 4 when there is any, as when a file "
		"verifies.",
		0, 1, evidence_options, run_evidence},
	{0},
};
