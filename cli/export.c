/* The file has its name (cli/target.h) once it is compared with the hash that the ledger has. */
#include "cli/export.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/target.h"
#include "node/control.h"

struct exported {
	struct target target;
	struct sha256_stream *hash;
	uint64_t size;
};

static enum err exported_put(struct exported *e, struct bytes data, struct errctx *ctx)
{
	sha256_stream_put(e->hash, data);
	e->size += data.size;
	return target_put(&e->target, data, ctx);
}

static enum err exported_finish(struct exported *e, const json_t *head, struct errctx *ctx)
{
	char hex[2 * HASH_SIZE + 1];
	struct output_buffer b;
	struct hash hash;

	sha256_stream_finish(e->hash, &hash);
	hex_encode(hash_bytes(&hash), hex);
	if (strcmp(hex, output_member(head, "file_hash", &b)) != 0 ||
		e->size != output_number(head, "bytes"))
		return err_set(ctx, ERR_CORRUPT,
			"what arrived is not what the ledger says: nothing was written");
	return target_commit(&e->target, ctx);
}

/* --- the answer --- */

static enum err receive(
	struct control *control, struct exported *e, json_t **head, struct errctx *ctx)
{
	struct control_response response = {0};

	while (!response.last) {
		TRY(control_next(control, &response, ctx));
		if (response.json.size > 0 && *head == NULL)
			TRY(output_parse(response.json, head, ctx));
		if (response.data.size > 0)
			TRY(exported_put(e, response.data, ctx));
	}
	return *head == NULL ? err_set(ctx, ERR_MALFORMED, "the node's answer is empty")
			     : exported_finish(e, *head, ctx);
}

static enum err ask(const struct cli *cli, const Sauti__ControlRequest *request, struct exported *e,
	json_t **head, struct errctx *ctx)
{
	struct node_config config;
	struct control *control = NULL;
	enum err err;

	TRY(daemon_config(cli, &config, ctx));
	err = control_connect(config.socket, &control, ctx);
	config_release(&config);
	if (err == OK)
		err = sha256_stream_new(&e->hash);
	if (err == OK)
		err = target_open(&e->target, ctx);
	if (err == OK)
		err = control_send(control, request, ctx);
	if (err == OK)
		err = receive(control, e, head, ctx);
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
	struct exported e = {.target = {.path = path, .fd = -1}};
	json_t *head = NULL;
	enum err err = ask(cli, request, &e, &head, ctx);

	target_release(&e.target);
	sha256_stream_free(e.hash);
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
