#include "cli/import.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "proto/codec.h"

struct import {
	const struct cli *cli;
	const char *name; /* of the input, for messages */
	const char *case_ref;
	FILE *file;
	const struct import_source *source; /* instead of a file */
	size_t source_at;
	struct buf spool; /* of a stream, so that it can be read twice */
	struct buf line, request;
	uint64_t line_number;
	uint64_t *numbers; /* of the lines in the request */
	size_t count;
	bool dry_run;
	struct control *control; /* one connection: the node ends a trial with it */
	uint64_t trial;
	struct import_counts counts;
};

/* ---- the input ---- */

static enum err spool_stream(struct import *import, int fd, struct errctx *ctx)
{
	for (;;) {
		uint8_t *room = buf_reserve(&import->spool, 65536);
		ssize_t n;

		if (room == NULL)
			return err_set(ctx, ERR_LIMIT,
				"%s: more than %d MiB from a stream: put it into a file",
				import->name, IMPORT_STREAM_MAX >> 20);
		n = read(fd, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "read", import->name);
		if (n == 0)
			break;
		import->spool.size += (size_t)n;
	}
	if (import->spool.size == 0)
		return err_set(ctx, ERR_INVALID, "%s: no events in it", import->name);
	import->file = fmemopen(import->spool.data, import->spool.size, "r");
	return import->file == NULL ? ERR_NOMEM : OK;
}

static enum err open_input(struct import *import, const char *path, struct errctx *ctx)
{
	struct stat st;
	enum err err;
	FILE *file;

	import->name = path;
	if (strcmp(path, "-") == 0) {
		import->name = "stdin";
		return spool_stream(import, STDIN_FILENO, ctx);
	}
	file = fopen(path, "re");
	if (file == NULL)
		return files_errno(ctx, errno, "open", path);
	if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(file);
		return err_set(ctx, ERR_INVALID, "'%s' is a directory", path);
	}
	if (S_ISREG(st.st_mode)) {
		import->file = file;
		return OK;
	}
	err = spool_stream(import, fileno(file), ctx);
	fclose(file);
	return err;
}

static enum err line_error(
	const struct import *import, struct errctx *ctx, enum err err, uint64_t line)
{
	return err_wrap(ctx, err, "%s:%llu", import->name, (unsigned long long)line);
}

static enum err next_given(struct import *import, bool *ret_end)
{
	buf_clear(&import->line);
	*ret_end = import->source_at == import->source->count;
	if (!*ret_end)
		import->line_number = import->source->get(
			import->source->arg, import->source_at++, &import->line);
	return import->line.err;
}

/* The next line that is not blank, without its newline; *ret_end at the end. */
static enum err next_line(struct import *import, bool *ret_end, struct errctx *ctx)
{
	int c = 0;

	if (import->source != NULL)
		return next_given(import, ret_end);

	while (c != EOF) {
		buf_clear(&import->line);
		import->line_number++;
		while ((c = getc_unlocked(import->file)) != EOF && c != '\n')
			buf_put_u8(&import->line, (uint8_t)c);
		if (ferror(import->file))
			return files_errno(ctx, errno, "read", import->name);
		if (import->line.err != OK) {
			err_set(ctx, ERR_LIMIT, "line longer than %d bytes", LIMIT_EVENT_JSON);
			return line_error(import, ctx, ERR_LIMIT, import->line_number);
		}
		if (strspn(buf_cstr(&import->line), " \t\r") < import->line.size) {
			*ret_end = false;
			return OK;
		}
	}
	*ret_end = true;
	return OK;
}

/* ---- the requests ---- */

/* At the first request: a file that cannot be read is told of without a node. What is checked is
 * told apart from what others check by a number nobody else draws. */
static enum err connect_once(struct import *import, struct errctx *ctx)
{
	uint8_t random[8];

	if (import->control != NULL)
		return OK;
	TRY(random_bytes(random, sizeof(random)));
	import->trial = get_u64be(random) | 1;
	return daemon_connect(import->cli, &import->control, ctx);
}

static enum err send_lines(struct import *import, bool end, json_t **ret_answer, uint32_t *ret_line,
	struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseAppendRequest append = SAUTI__CASE_APPEND_REQUEST__INIT;

	TRY(connect_once(import, ctx));
	append.lines = codec_binary(buf_bytes(&import->request));
	append.dry_run = import->dry_run;
	append.trial = import->dry_run ? import->trial : 0;
	append.trial_end = import->dry_run && end;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND;
	request.case_append = &append;
	return daemon_call_on(import->control, &request, ret_answer, ret_line, ctx);
}

/* end: of a pass. */
static enum err flush(struct import *import, bool end, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	uint32_t line = 0;
	enum err err;

	if (import->count == 0 && !(end && import->dry_run && import->control != NULL))
		return OK;
	err = send_lines(import, end, &answer, &line, ctx);
	if (err != OK && line >= 1 && line <= import->count)
		return line_error(import, ctx, err, import->numbers[line - 1]);
	if (err != OK)
		return err;
	wait_note(import->cli, answer);
	if (!import->dry_run || import->counts.only_check) {
		import->counts.added += output_number(answer, "added");
		import->counts.known += output_number(answer, "known");
	}
	import->counts.events += import->dry_run ? import->count : 0;
	import->count = 0;
	buf_clear(&import->request);
	return OK;
}

static void show_progress(const struct import *import, bool end)
{
	if (import->cli->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s: %s %llu events%s", import->name,
		import->dry_run ? "checked" : "recorded",
		(unsigned long long)(import->dry_run ? import->counts.events
						     : import->counts.added + import->counts.known),
		end ? "\n" : "");
}

/* The text stays as it was written; a missing case_ref goes in behind the first brace. */
static enum err put_with_case(struct import *import, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *object = NULL;
	struct bytes line = buf_bytes(&import->line);
	const uint8_t *brace = memchr(line.data, '{', line.size);
	const char *ref;

	if (output_parse(line, &object, NULL) != OK || !json_is_object(object) || brace == NULL)
		return err_set(ctx, ERR_MALFORMED, "no JSON object");
	if (json_object_get(object, "case_ref") != NULL) {
		ref = json_string_value(json_object_get(object, "case_ref"));
		if (ref == NULL || strcasecmp(ref, import->case_ref) != 0)
			return err_set(ctx, ERR_INVALID, "case_ref is of another case");
		buf_put(&import->request, line);
		return OK;
	}
	buf_printf(&import->request, "{\"case_ref\":\"%s\"%s", import->case_ref,
		json_object_size(object) == 0 ? "" : ",");
	buf_put(&import->request,
		bytes_make(brace + 1, line.size - (size_t)(brace + 1 - line.data)));
	return OK;
}

static enum err add_line(struct import *import, struct errctx *ctx)
{
	enum err err = OK;

	if (import->count == IMPORT_REQUEST_LINES ||
		import->request.size + import->line.size + 64 > IMPORT_REQUEST_MAX) {
		TRY(flush(import, false, ctx));
		show_progress(import, false);
	}
	if (import->case_ref != NULL)
		err = put_with_case(import, ctx);
	else
		buf_put(&import->request, buf_bytes(&import->line));
	if (err != OK)
		return line_error(import, ctx, err, import->line_number);
	buf_put_u8(&import->request, '\n');
	import->numbers[import->count++] = import->line_number;
	return import->request.err;
}

static enum err pass(struct import *import, bool dry_run, struct errctx *ctx)
{
	bool end = false;

	import->dry_run = dry_run;
	import->line_number = 0;
	for (;;) {
		TRY(next_line(import, &end, ctx));
		if (end)
			break;
		if (dry_run && import->counts.look != NULL)
			import->counts.look(import->counts.arg, buf_bytes(&import->line));
		TRY(add_line(import, ctx));
	}
	TRY(flush(import, true, ctx));
	show_progress(import, true);
	return OK;
}

static enum err rewind_input(struct import *import, struct errctx *ctx)
{
	import->source_at = 0;
	if (import->file != NULL && fseek(import->file, 0, SEEK_SET) != 0)
		return files_errno(ctx, errno, "read again", import->name);
	return OK;
}

static enum err run_passes(struct import *import, struct errctx *ctx)
{
	TRY(pass(import, true, ctx));
	if (import->counts.events == 0)
		return err_set(ctx, ERR_INVALID, "%s: no events in it", import->name);
	if (import->counts.only_check)
		return OK;
	TRY(rewind_input(import, ctx));
	return pass(import, false, ctx);
}

static enum err run(
	struct import *given, const char *path, struct import_counts *ret, struct errctx *ctx)
{
	struct import import = *given;
	enum err err = OK;

	import.counts = *ret;

	buf_init(&import.spool, IMPORT_STREAM_MAX);
	buf_init(&import.line, LIMIT_EVENT_JSON);
	buf_init(&import.request, IMPORT_REQUEST_MAX);
	import.numbers = mem_array(IMPORT_REQUEST_LINES, sizeof(*import.numbers));
	/* Reserved whole: what cases say must leave no copies behind. */
	if (import.numbers == NULL || buf_reserve(&import.line, LIMIT_EVENT_JSON) == NULL ||
		buf_reserve(&import.request, IMPORT_REQUEST_MAX) == NULL)
		err = ERR_NOMEM;
	if (err == OK && import.source == NULL)
		err = open_input(&import, path, ctx);
	if (err == OK)
		err = run_passes(&import, ctx);
	control_close(import.control);
	if (import.file != NULL)
		fclose(import.file);
	mem_free(import.numbers);
	buf_wipe(&import.spool);
	buf_wipe(&import.line);
	buf_wipe(&import.request);
	if (err == OK)
		*ret = import.counts;
	return err;
}

enum err import_events(struct cli *cli, const char *path, const char *case_ref,
	struct import_counts *ret, struct errctx *ctx)
{
	return run(&(struct import){.cli = cli, .case_ref = case_ref}, path, ret, ctx);
}

enum err import_given(struct cli *cli, const struct import_source *source,
	struct import_counts *ret, struct errctx *ctx)
{
	return run(&(struct import){.cli = cli, .name = source->name, .source = source}, NULL, ret,
		ctx);
}

enum err import_line(
	const struct cli *cli, struct bytes line, struct import_counts *ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseAppendRequest append = SAUTI__CASE_APPEND_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	append.lines = codec_binary(line);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND;
	request.case_append = &append;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	ret->events = 1;
	ret->added = output_number(answer, "added");
	ret->known = output_number(answer, "known");
	wait_note(cli, answer);
	return OK;
}
