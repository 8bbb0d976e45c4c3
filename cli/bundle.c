/*
 * sauti bundle export | import | inspect. Exporting and importing are the daemon's work; inspecting
 * needs no daemon, no node and no key.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "node/bundle_file.h"
#include "replication/bundle/check.h"

struct answer {
	const struct cli *cli;
	json_t *items; /* the documents that stay */
	bool shown;
};

static void progress_clear(struct answer *answer)
{
	if (answer->shown)
		fputs("\r\033[K", stderr);
	answer->shown = false;
}

/* "12 of 40 NAME" */
static void progress_show(
	struct answer *answer, const json_t *item, const char *name, const char *done)
{
	struct output_buffer buffer;

	if (answer->cli->json || !isatty(STDERR_FILENO))
		return;
	progress_clear(answer);
	output_text(stderr, output_member(item, name, &buffer), false);
	fprintf(stderr, "  %llu of %llu", (unsigned long long)output_number(item, done),
		(unsigned long long)output_number(item, "of"));
	answer->shown = true;
}

/* The daemon stands in another directory than its user. */
static enum err make_absolute(const char *path, char ret[PATH_MAX], struct errctx *ctx)
{
	char here[PATH_MAX] = "/";

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return files_errno(ctx, errno, "find", "the current directory");
	return files_join(here, path, ret, ctx);
}

/* ---- export ---- */

/* "10M", "500k", "2G" or bytes; powers of 1,000, as sticks and channels are sold. */
static enum err size_parse(struct cli *cli, const char *text, uint64_t *ret, struct errctx *ctx)
{
	static const struct {
		char letter;
		uint64_t times;
	} units[] = {{'k', 1000}, {'K', 1000}, {'M', 1000000}, {'G', 1000000000}};
	struct bytes digits = bytes_str(text);
	uint64_t times = 1, number;

	for (size_t i = 0; digits.size > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (text[digits.size - 1] == units[i].letter) {
			times = units[i].times;
			digits.size--;
			break;
		}
	if (decimal_parse(digits, LIMIT_BUNDLE_PART / times, &number) != OK ||
		number * times < LIMIT_BUNDLE_PART_MIN)
		return cli_usage(cli, ctx,
			"--max-size is a size as 10M: from %dk to 1000G, in k, M or G",
			LIMIT_BUNDLE_PART_MIN / 1000 + 1);
	*ret = number * times;
	return OK;
}

static enum err on_exported(void *arg, struct bytes json, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *item = NULL;
	struct answer *answer = arg;

	TRY(output_parse(json, &item, ctx));
	if (json_object_get(item, "ok") == NULL && json_object_get(item, "bundle") == NULL) {
		progress_show(answer, item, "origin", "entries");
		return OK;
	}
	progress_clear(answer);
	return json_array_append(answer->items, item) == 0 ? OK : ERR_NOMEM;
}

static void print_exported_log(const json_t *log)
{
	struct output_buffer b;
	unsigned long long from = (unsigned long long)output_number(log, "from");
	unsigned long long to = (unsigned long long)output_number(log, "to");

	printf("  %s  ", output_true(log, "ok") ? "ok " : "BAD");
	output_text(stdout, output_member(log, "origin", &b), false);
	if (from == to)
		printf("  no entries, %llu cosignatures",
			(unsigned long long)output_number(log, "cosignatures"));
	else
		printf("  entries %llu to %llu, %llu cosignatures", from, to - 1,
			(unsigned long long)output_number(log, "cosignatures"));
	if (!output_true(log, "ok")) {
		printf(", then: ");
		output_text(stdout, output_member(log, "message", &b), false);
	}
	putchar('\n');
}

static void print_exported(const json_t *items)
{
	struct output_buffer b;
	json_t *item, *file;
	size_t i, k;

	json_array_foreach(items, i, item)
	{
		if (json_object_get(item, "bundle") == NULL)
			print_exported_log(item);
	}
	json_array_foreach(items, i, item)
	{
		if (json_object_get(item, "bundle") == NULL)
			continue;
		printf("%llu entries of %llu logs, %llu items of mail, %llu bytes",
			(unsigned long long)output_number(item, "entries"),
			(unsigned long long)output_number(item, "logs"),
			(unsigned long long)output_number(item, "mail"),
			(unsigned long long)output_number(item, "bytes"));
		if (output_member(item, "for", &b)[0] != '\0')
			printf(", for '%s'", output_member(item, "for", &b));
		puts(":");
		json_array_foreach(json_object_get(item, "files"), k, file)
		{
			output_text(stdout, json_string_value(file), false);
			putchar('\n');
		}
	}
}

static enum err run_export(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__BundleExportRequest export = SAUTI__BUNDLE_EXPORT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *items = json_array();
	struct answer answer = {cli, items, false};
	const char *to = args_option(args, "to"), *size = args_option(args, "max-size");
	char *origins[ARGS_MAX], path[PATH_MAX];
	enum err err;

	if (items == NULL)
		return ERR_NOMEM;
	if (to == NULL || to[0] == '\0')
		return cli_usage(cli, ctx, "say where to: --to FILE");
	if (size != NULL)
		TRY(size_parse(cli, size, &export.part_max, ctx));
	TRY(make_absolute(to, path, ctx));
	export.to = path;
	if (args_option(args, "for") != NULL)
		export.for_node = (char *)args_option(args, "for");
	while (args_option_at(args, "log", export.n_origins) != NULL) {
		origins[export.n_origins] = (char *)args_option_at(args, "log", export.n_origins);
		export.n_origins++;
	}
	export.origins = origins;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_BUNDLE_EXPORT;
	request.bundle_export = &export;
	err = daemon_each(cli, &request, on_exported, &answer, ctx);
	progress_clear(&answer);
	if (cli->json && (err == OK || json_array_size(items) > 0))
		output_json(items);
	else if (!cli->json)
		print_exported(items);
	return err;
}

/* ---- import ---- */

static enum err on_imported(void *arg, struct bytes json, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *item = NULL;
	struct answer *answer = arg;

	TRY(output_parse(json, &item, ctx));
	if (json_object_get(item, "progress") != NULL) {
		progress_show(answer, item, "progress", "at");
		return OK;
	}
	progress_clear(answer);
	return json_array_append(answer->items, item) == 0 ? OK : ERR_NOMEM;
}

static void print_problems(const json_t *file)
{
	struct output_buffer b;
	json_t *item;
	size_t i;
	uint64_t count = output_number(file, "problem_count");

	json_array_foreach(json_object_get(file, "problems"), i, item)
	{
		printf("  BAD  at %llu: ", (unsigned long long)output_number(item, "at"));
		if (output_member(item, "origin", &b)[0] != '\0') {
			output_text(stdout, output_member(item, "origin", &b), false);
			printf(": ");
		}
		output_text(stdout, output_member(item, "what", &b), false);
		putchar('\n');
	}
	if (count > i)
		printf("  BAD  and %llu more\n", (unsigned long long)(count - i));
}

static void print_imported_log(const json_t *log)
{
	const json_t *gap = json_object_get(log, "gap");
	struct output_buffer b;

	printf("  %s  ", gap != NULL ? "GAP" : "ok ");
	output_text(stdout, output_member(log, "origin", &b), false);
	if (output_true(log, "revoked"))
		printf("  REVOKED");
	printf("  %llu new entries, %llu known, %llu held, %llu new cosignatures",
		(unsigned long long)output_number(log, "added"),
		(unsigned long long)output_number(log, "known"),
		(unsigned long long)output_number(log, "held"),
		(unsigned long long)output_number(log, "cosignatures"));
	if (gap != NULL) {
		printf("; %llu entries from %llu on do not join on: ",
			(unsigned long long)output_number(gap, "entries"),
			(unsigned long long)output_number(gap, "from"));
		output_text(stdout, output_member(gap, "what", &b), false);
	}
	putchar('\n');
}

static void print_head(const json_t *file)
{
	struct output_buffer b;

	output_text(stdout, output_member(file, "file", &b), false);
	if (json_object_get(file, "from") != NULL) {
		printf("  part %llu of %llu", (unsigned long long)output_number(file, "part"),
			(unsigned long long)output_number(file, "parts"));
		printf(", made by '%s'", output_member(file, "from", &b));
		printf(" at %s", output_time(file, "made_at", &b));
		if (output_member(file, "for", &b)[0] != '\0')
			printf(" for '%s'", output_member(file, "for", &b));
	}
	putchar('\n');
	if (output_member(file, "signature_problem", &b)[0] != '\0') {
		printf("  NOTE ");
		output_text(stdout, output_member(file, "signature_problem", &b), false);
		puts("; what is proven is proven all the same");
	}
}

static void print_imported(const json_t *files)
{
	json_t *file, *log;
	size_t i, k;

	json_array_foreach(files, i, file)
	{
		print_head(file);
		json_array_foreach(json_object_get(file, "logs"), k, log) print_imported_log(log);
		if (output_number(file, "mail") > 0)
			printf("  %llu new items of mail\n",
				(unsigned long long)output_number(file, "mail"));
		print_problems(file);
	}
}

static enum err run_import(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__BundleImportRequest import = SAUTI__BUNDLE_IMPORT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *items = json_array();
	struct answer answer = {cli, items, false};
	char *files[ARGS_MAX] = {NULL}, path[PATH_MAX];
	enum err err = items == NULL ? ERR_NOMEM : OK;

	for (; err == OK && args_at(args, import.n_files) != NULL; import.n_files++) {
		err = make_absolute(args_at(args, import.n_files), path, ctx);
		files[import.n_files] = err == OK ? mem_strdup(path) : NULL;
		if (err == OK && files[import.n_files] == NULL)
			err = ERR_NOMEM;
	}
	import.files = files;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_BUNDLE_IMPORT;
	request.bundle_import = &import;
	if (err == OK)
		err = daemon_each(cli, &request, on_imported, &answer, ctx);
	progress_clear(&answer);
	if (cli->json && (err == OK || json_array_size(items) > 0))
		output_json(items);
	else if (!cli->json)
		print_imported(items);
	for (size_t i = 0; i < import.n_files; i++)
		mem_free(files[i]);
	return err;
}

/* ---- inspect ---- */

enum { PROBLEMS_SHOWN = 20 };

struct inspection {
	struct bundle_check *check;
	json_t *files;
	size_t problems;
};

static void problem(
	struct inspection *in, json_t *file, const struct bundle_item *item, const char *what)
{
	json_t *list = json_object_get(file, "problems");
	char shown[200];

	in->problems++;
	json_object_set_new(file, "problem_count",
		json_integer((json_int_t)output_number(file, "problem_count") + 1));
	if (json_array_size(list) < PROBLEMS_SHOWN)
		json_array_append_new(
			list, json_pack("{s:I,s:I,s:s}", "at", (json_int_t)item->offset, "bytes",
				      (json_int_t)item->size, "what",
				      text_escape(bytes_str(what), shown, sizeof(shown))));
}

static enum err inspect_manifest(
	struct inspection *in, json_t *file, const struct bundle_manifest *m)
{
	json_object_set_new(file, "network", json_string(m->network));
	json_object_set_new(file, "from", json_string(m->node));
	json_object_set_new(
		file, "for", m->for_node[0] == '\0' ? json_null() : json_string(m->for_node));
	json_object_set_new(file, "made_at", json_integer((json_int_t)m->made_at));
	json_object_set_new(file, "part", json_integer(m->part));
	json_object_set_new(file, "parts", json_integer(m->parts));
	json_object_set_new(file, "signature", json_boolean(m->signed_ok));
	return bundle_check_manifest(in->check, m);
}

static enum err inspect_frames(struct inspection *in, json_t *file, struct bundle_reader *reader)
{
	struct bundle_item item = {.found = BUNDLE_DAMAGE};
	uint64_t frames = 0;

	while (item.found != BUNDLE_END) {
		struct errctx ctx = {""};
		enum err err;

		TRY(bundle_reader_next(reader, &item));
		if (item.found == BUNDLE_DAMAGE)
			problem(in, file, &item, item.what);
		if (item.found != BUNDLE_FRAME)
			continue;
		frames++;
		err = bundle_check_frame(in->check, item.frame, &ctx);
		if (err == ERR_NOMEM)
			return err;
		if (err != OK)
			problem(in, file, &item, err_message(&ctx, err));
	}
	json_object_set_new(file, "frames", json_integer((json_int_t)frames));
	return OK;
}

static enum err inspect_file(struct inspection *in, const char *path, struct errctx *ctx)
{
	struct bundle_reader *reader = NULL;
	const struct bundle_manifest *m;
	struct bundle_file source;
	json_t *file;
	enum err err;

	TRY(bundle_file_open(path, &source, ctx));
	err = bundle_reader_open(&source.source, &reader, ctx);
	if (err != OK) {
		bundle_file_close(&source);
		return err_wrap(ctx, err, "'%s'", path);
	}
	file = json_pack("{s:s,s:I,s:[],s:i}", "file", path, "bytes", (json_int_t)source.size,
		"problems", "problem_count", 0);
	json_array_append_new(in->files, file);
	m = bundle_reader_manifest(reader, NULL);
	if (m != NULL) {
		err = inspect_manifest(in, file, m);
		if (!m->signed_ok)
			problem(in, file, &(struct bundle_item){.found = BUNDLE_DAMAGE},
				"the manifest's signature does not verify");
	}
	if (err == OK)
		err = inspect_frames(in, file, reader);
	bundle_reader_close(reader);
	bundle_file_close(&source);
	return err;
}

static json_t *cosigners_json(const struct bundle_check_log *log)
{
	json_t *list = json_array();

	for (size_t i = 0; i < log->cosigned; i++) {
		char shown[2 * LIMIT_NODE_NAME];

		json_array_append_new(list,
			json_pack("{s:s,s:I}", "mirror",
				text_escape(bytes_str(log->cosigner[i].node), shown, sizeof(shown)),
				"size", (json_int_t)log->cosigner[i].size));
	}
	return list;
}

static json_t *checked_json(const struct bundle_check *check)
{
	json_t *list = json_array();

	for (size_t i = 0; i < bundle_check_count(check); i++) {
		const struct bundle_check_log *log = bundle_check_at(check, i);

		json_array_append_new(list,
			json_pack("{s:s,s:I,s:I,s:I,s:I,s:b,s:b,s:I,s:o,s:I}", "origin",
				log->origin.text, "from", (json_int_t)log->from, "to",
				(json_int_t)log->to, "entries", (json_int_t)log->entries,
				"checkpoint", (json_int_t)log->size, "checkpoint_signed",
				log->key_known && log->signed_ok && log->size > 0, "from_the_first",
				log->whole, "proven", (json_int_t)log->proven, "cosigned_by",
				cosigners_json(log), "problem_count", (json_int_t)log->problems));
	}
	return list;
}

static void print_inspected_log(const json_t *log)
{
	struct output_buffer b;
	uint64_t entries = output_number(log, "entries"), from = output_number(log, "from");
	json_t *mirror;
	size_t i;

	/* Named in the manifest, and nothing of it came: the file is cut, as is said above. */
	if (entries == 0 && output_number(log, "checkpoint") == 0) {
		printf("  BAD  ");
		output_text(stdout, output_member(log, "origin", &b), false);
		puts("  nothing of it can be read");
		return;
	}
	printf("  %s  ", output_number(log, "problem_count") > 0 ? "BAD" : "ok ");
	output_text(stdout, output_member(log, "origin", &b), false);
	if (entries == 0)
		printf("  no entries");
	else
		printf("  entries %llu to %llu", (unsigned long long)from,
			(unsigned long long)output_number(log, "to") - 1);
	printf(", checkpoint %llu %s", (unsigned long long)output_number(log, "checkpoint"),
		output_true(log, "checkpoint_signed") ? "signed" : "NOT SIGNED");
	if (output_true(log, "from_the_first"))
		printf(", %llu proven", (unsigned long long)output_number(log, "proven"));
	else if (entries > 0)
		printf(", to be proven at the import");
	json_array_foreach(json_object_get(log, "cosigned_by"), i, mirror)
	{
		printf("%s%s at %llu", i == 0 ? ", cosigned by " : ", ",
			output_member(mirror, "mirror", &b),
			(unsigned long long)output_number(mirror, "size"));
	}
	putchar('\n');
}

static void print_inspected(const json_t *document)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(document, "files"), i, item)
	{
		print_head(item);
		print_problems(item);
	}
	json_array_foreach(json_object_get(document, "logs"), i, item) print_inspected_log(item);
	if (output_number(document, "evidence") > 0)
		printf("  evidence of %llu forks, to be verified at the import\n",
			(unsigned long long)output_number(document, "evidence"));
	if (output_number(document, "mail") > 0)
		printf("  %llu items of mail, sealed\n",
			(unsigned long long)output_number(document, "mail"));
}

static enum err run_inspect(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *document = NULL;
	struct inspection in = {.files = json_array()};
	enum err err = bundle_check_new(&in.check);

	for (size_t i = 0; err == OK && args_at(args, i) != NULL; i++)
		err = inspect_file(&in, args_at(args, i), ctx);
	if (in.check != NULL)
		document = json_pack("{s:o,s:o,s:I,s:I}", "files", in.files, "logs",
			checked_json(in.check), "evidence",
			(json_int_t)bundle_check_evidence(in.check), "mail",
			(json_int_t)bundle_check_mail(in.check));
	bundle_check_free(in.check);
	if (err == ERR_NOMEM || document == NULL)
		return ERR_NOMEM;
	if (cli->json && json_array_size(in.files) > 0)
		output_json(document);
	else if (!cli->json)
		print_inspected(document);
	if (err == OK && in.problems > 0)
		err = err_set(
			ctx, ERR_CORRUPT, "%zu places are not as they should be", in.problems);
	return err;
}

static const struct cli_option export_options[] = {
	{"to", "FILE", "the file to write, or what its parts' names begin with", false},
	{"for", "NODE", "leave out what NODE is known to hold", false},
	{"max-size", "SIZE", "of one file, as 10M: then there are parts (default 1 GiB)", false},
	{"log", "LOG", "only this log, and the directory", true},
	{0},
};

const struct cli_command bundle_commands[] = {
	{"bundle", "export", "", "write logs into a file for a stick or any other channel",
		"What a session would send: entries with their proofs, checkpoints, cosignatures.\n"
		"Cases stay sealed in it. Several files are FILE-01-of-07 and so on; each alone\n"
		"gives what it proves. A locked node can do it.",
		0, 0, export_options, run_export},
	{"bundle", "import", "FILE...", "take in what bundles bring",
		"Every entry is proven as if a peer had sent it. What is there already is not "
		"taken\n"
		"twice. Exit code 4 when a file is damaged, and 1 when something must come first;\n"
		"what is proven is taken all the same.",
		1, LIMIT_BUNDLE_FILES < ARGS_MAX ? LIMIT_BUNDLE_FILES : ARGS_MAX - 1, NULL,
		run_import},
	{"bundle", "inspect", "FILE...", "what is in a bundle, and whether it is whole",
		"Needs no daemon and no key. Parts are given in order. Exit code 4 when something\n"
		"is damaged.",
		1, ARGS_MAX - 1, NULL, run_inspect},
	{0},
};
