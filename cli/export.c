/*
 * The file appears under its name when it is whole: written beside it under another name, 0600,
 * compared with the hash that the ledger has, synced, then named. What is there is never replaced.
 */
#include "cli/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "node/control.h"
#include "node/files.h"

struct target {
	const char *path; /* NULL: standard output */
	char partial[PATH_MAX];
	int fd; /* -1: none */
	struct sha256_stream *hash;
	uint64_t size;
};

/* --- the file --- */

static enum err target_open(struct target *target, struct errctx *ctx)
{
	struct stat st;
	int n;

	TRY(sha256_stream_new(&target->hash));
	if (target->path == NULL) {
		target->fd = STDOUT_FILENO;
		return OK;
	}
	if (lstat(target->path, &st) == 0)
		return err_set(
			ctx, ERR_EXISTS, "'%.200s' is there: nothing is replaced", target->path);
	n = snprintf(target->partial, sizeof(target->partial), "%s.XXXXXX", target->path);
	if (n < 0 || (size_t)n >= sizeof(target->partial)) {
		target->partial[0] = '\0';
		return err_set(ctx, ERR_LIMIT, "the file's path is too long");
	}
	target->fd = mkostemp(target->partial, O_CLOEXEC); /* mode 0600 */
	if (target->fd < 0) {
		target->partial[0] = '\0';
		return files_errno(ctx, errno, "write", target->path);
	}
	return OK;
}

static enum err target_put(struct target *target, struct bytes data, struct errctx *ctx)
{
	sha256_stream_put(target->hash, data);
	target->size += data.size;
	while (data.size > 0) {
		ssize_t n = write(target->fd, data.data, data.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "write",
				target->path == NULL ? "standard output" : target->path);
		data = bytes_make(data.data + n, data.size - (size_t)n);
	}
	return OK;
}

/* Without replacing anything that came meanwhile. File systems of sticks may lack the call. */
static int name_it(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (access(to, F_OK) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

static enum err sync_parent(const char *path, struct errctx *ctx)
{
	char parent[PATH_MAX];
	enum err err = OK;
	char *slash;
	int fd;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync", parent);
	if (fd >= 0)
		close(fd);
	return err;
}

static enum err target_finish(struct target *target, const json_t *head, struct errctx *ctx)
{
	char hex[2 * HASH_SIZE + 1];
	struct output_buffer b;
	struct hash hash;

	sha256_stream_finish(target->hash, &hash);
	hex_encode(hash_bytes(&hash), hex);
	if (strcmp(hex, output_member(head, "file_hash", &b)) != 0 ||
		target->size != output_number(head, "bytes"))
		return err_set(ctx, ERR_CORRUPT,
			"what arrived is not what the ledger says: nothing was written");
	if (target->path == NULL)
		return OK;
	if (fsync(target->fd) != 0 || name_it(target->partial, target->path) != 0)
		return files_errno(ctx, errno, "write", target->path);
	target->partial[0] = '\0';
	return sync_parent(target->path, ctx);
}

static void target_release(struct target *target)
{
	sha256_stream_free(target->hash);
	if (target->path != NULL && target->fd >= 0)
		close(target->fd);
	if (target->partial[0] != '\0')
		unlink(target->partial);
}

/* --- the answer --- */

static enum err receive(
	struct control *control, struct target *target, json_t **head, struct errctx *ctx)
{
	struct control_response response = {0};

	while (!response.last) {
		TRY(control_next(control, &response, ctx));
		if (response.json.size > 0 && *head == NULL)
			TRY(output_parse(response.json, head, ctx));
		if (response.data.size > 0)
			TRY(target_put(target, response.data, ctx));
	}
	return *head == NULL ? err_set(ctx, ERR_MALFORMED, "the node's answer is empty")
			     : target_finish(target, *head, ctx);
}

static enum err ask(const struct cli *cli, const Sauti__ControlRequest *request,
	struct target *target, json_t **head, struct errctx *ctx)
{
	struct node_config config;
	struct control *control = NULL;
	enum err err;

	TRY(daemon_config(cli, &config, ctx));
	err = control_connect(config.socket, &control, ctx);
	config_release(&config);
	if (err == OK)
		err = target_open(target, ctx);
	if (err == OK)
		err = control_send(control, request, ctx);
	if (err == OK)
		err = receive(control, target, head, ctx);
	control_close(control);
	return err;
}

static void report(const struct cli *cli, const char *path, const json_t *head)
{
	struct output_buffer hash, log;

	if (path == NULL) {
		cli_note(cli, "%llu cases, sha256 %s, ledger %s at %llu",
			(unsigned long long)output_number(head, "cases"),
			output_member(head, "file_hash", &hash), output_member(head, "log", &log),
			(unsigned long long)output_number(head, "index"));
	} else if (cli->json) {
		output_json(head);
	} else {
		printf("exported: %llu cases, %llu events, %llu bytes\nsha256  %s\nledger  %s at "
		       "%llu\n",
			(unsigned long long)output_number(head, "cases"),
			(unsigned long long)output_number(head, "events"),
			(unsigned long long)output_number(head, "bytes"),
			output_member(head, "file_hash", &hash), output_member(head, "log", &log),
			(unsigned long long)output_number(head, "index"));
	}
}

enum err export_fetch(const struct cli *cli, const Sauti__ControlRequest *request, const char *path,
	json_t **ret_head, struct errctx *ctx)
{
	struct target target = {.path = path, .fd = -1};
	json_t *head = NULL;
	enum err err = ask(cli, request, &target, &head, ctx);

	target_release(&target);
	if (err != OK) {
		json_decref(head);
		return err;
	}
	*ret_head = head;
	return OK;
}

enum err export_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseExportRequest export = SAUTI__CASE_EXPORT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *head = NULL;
	const char *to = args_option(args, "to"), *purpose = args_option(args, "purpose");
	const char *format = args_option(args, "format");
	const char *path;

	if (to == NULL || purpose == NULL || purpose[0] == '\0')
		return cli_usage(cli, ctx, "--to and --purpose are needed");
	if (strlen(purpose) > LIMIT_PURPOSE)
		return cli_usage(cli, ctx, "--purpose has at most %d bytes", LIMIT_PURPOSE);
	path = strcmp(to, "-") == 0 ? NULL : to;
	export.cases = (char **)args->positional;
	export.n_cases = args->count;
	export.format = (char *)(format == NULL ? "jsonl" : format);
	export.purpose = (char *)purpose;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_EXPORT;
	request.case_export = &export;
	TRY(export_fetch(cli, &request, path, &head, ctx));
	report(cli, path, head);
	return OK;
}

const struct cli_option export_options[] = {
	{"to", "FILE", "the file, which is not there yet; '-': standard output", false},
	{"purpose", "TEXT", "what for; stands in the ledger, so name nobody", false},
	{"format", "FORMAT",
		"jsonl (default; can be imported again), csv, or handover: a page to print", false},
	{0},
};
