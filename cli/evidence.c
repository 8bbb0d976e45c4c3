/* sauti log evidence */
#include "cli/evidence.h"

#include <errno.h>
#include <stdio.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "node/files.h"
#include "replication/log/evidence.h"

/* ---- what the node holds ---- */

static void print_checkpoint(const json_t *item, const char *name)
{
	const json_t *checkpoint = json_object_get(item, name);
	struct output_buffer size, root;

	printf("  size %s, root ", output_member(checkpoint, "size", &size));
	output_text(stdout, output_member(checkpoint, "root", &root), false);
	putchar('\n');
}

static void print_evidence(const json_t *item)
{
	struct output_buffer buffer;

	printf("FORK  ");
	output_text(stdout, output_member(item, "origin", &buffer), false);
	putchar('\n');
	if (output_true(item, "keys")) {
		puts("  two keys, both given by its node");
	} else {
		print_checkpoint(item, "smaller");
		print_checkpoint(item, "larger");
	}
	printf("  id ");
	output_text(stdout, output_member(item, "id", &buffer), false);
	printf("\n  key of the log ");
	output_text(stdout, output_member(item, "vkey", &buffer), false);
	putchar('\n');
}

/* Each as u32be length || message. */
static enum err export_all(const json_t *list, const char *path, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf out, message;
	json_t *item;
	size_t i;

	buf_init(&out, LIMIT_EVIDENCE_FILE);
	buf_init(&message, LIMIT_EVIDENCE_SIZE);
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(json_object_get(item, "message"));

		buf_clear(&message);
		if (text == NULL || base64_decode(bytes_str(text), &message) != OK)
			return err_set(ctx, ERR_MALFORMED, "the node's answer is not readable");
		evidence_frame(buf_bytes(&message), &out);
	}
	TRY(out.err);
	return files_write(path, buf_bytes(&out), 0644, ctx);
}

static enum err list_held(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogEvidenceRequest ask = SAUTI__LOG_EVIDENCE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *list = NULL;
	const char *file = args_option(args, "export");
	json_t *item;
	size_t i;

	ask.origin = (char *)(args_at(args, 0) == NULL ? "" : args_at(args, 0));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_EVIDENCE;
	request.log_evidence = &ask;
	TRY(daemon_list(cli, &request, &list, ctx));
	if (cli->json)
		output_json(list);
	json_array_foreach(list, i, item) if (!cli->json) print_evidence(item);
	if (json_array_size(list) == 0) {
		cli_note(cli, "no evidence of a fork is held%s",
			file == NULL ? "" : ": nothing was written");
		return OK;
	}
	if (file != NULL) {
		TRY(export_all(list, file, ctx));
		cli_note(cli, "written to '%s'", file);
	}
	return err_set(ctx, ERR_FORK, "%zu evidences of forks are held", json_array_size(list));
}

/* ---- what is in a file ---- */

struct verifying {
	const struct note_key *key;        /* --vkey */
	const struct ed25519_public *node; /* --node-key */
};

static enum err verify_one(struct bytes data, const struct verifying *v, struct arena *arena,
	struct evidence *ret, struct errctx *ctx)
{
	struct note_key key;

	TRY(evidence_parse(data, arena, ret, ctx));
	if (v->key != NULL)
		return evidence_verify(ret, v->key, ctx);
	if (ret->other.size > 0)
		return evidence_verify_keys(ret, v->node, ctx);
	TRY(evidence_key(ret, v->node, &key, ctx));
	return evidence_verify(ret, &key, ctx);
}

static json_t *verified_json(const struct evidence *e)
{
	struct hash id;
	char hex[2 * HASH_SIZE + 1];

	evidence_id(e, &id);
	hex_encode(hash_bytes(&id), hex);
	return json_pack("{s:s,s:s,s:I,s:I,s:b,s:b}", "id", hex, "origin", e->smaller.origin.text,
		"smaller_size", (json_int_t)e->smaller.size, "larger_size",
		(json_int_t)e->larger.size, "keys", e->other.size > 0, "ok", 1);
}

static enum err verify_all(
	struct bytes file, const struct verifying *v, json_t *list, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(file);
	struct arena arena;
	enum err err = OK;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (size_t n = 1; err == OK && cursor.rest.size > 0; n++) {
		struct bytes data = cursor_take(&cursor, cursor_u32be(&cursor));
		struct evidence e;

		arena_clear(&arena);
		if (cursor.err != OK)
			err = err_set(ctx, ERR_MALFORMED, "the file is cut in number %zu", n);
		if (err == OK) {
			err = verify_one(data, v, &arena, &e, ctx);
			if (err != OK)
				err_wrap(ctx, err, "number %zu", n);
		}
		if (err == OK && json_array_append_new(list, verified_json(&e)) != 0)
			err = ERR_NOMEM;
	}
	arena_release(&arena);
	return err;
}

static void print_verified(const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		struct output_buffer buffer;

		printf("FORK  ");
		output_text(stdout, output_member(item, "origin", &buffer), false);
		if (output_true(item, "keys"))
			puts("  two keys, both given by its node: verified");
		else
			printf("  sizes %llu and %llu, both signed: verified\n",
				(unsigned long long)output_number(item, "smaller_size"),
				(unsigned long long)output_number(item, "larger_size"));
	}
}

static enum err verify_file(
	struct cli *cli, const struct cli_args *args, const char *path, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *list = json_array();
	CLEANUP(buf_release) struct buf file, hex;
	const char *vkey = args_option(args, "vkey"), *node = args_option(args, "node-key");
	struct ed25519_public node_key;
	struct note_key key;
	struct verifying v = {NULL, NULL};

	buf_init(&file, LIMIT_EVIDENCE_FILE + 1);
	buf_init(&hex, ED25519_PUBLIC_SIZE);
	if ((vkey == NULL) == (node == NULL))
		return cli_usage(cli, ctx, "--verify needs --vkey or --node-key");
	if (vkey != NULL) {
		if (note_key_parse(bytes_str(vkey), &key) != OK)
			return cli_usage(cli, ctx, "--vkey is no verifier key");
		v.key = &key;
	} else {
		if (base64_decode(bytes_str(node), &hex) != OK || hex.size != sizeof(node_key.b))
			return cli_usage(cli, ctx, "--node-key is 32 bytes in base64");
		memcpy(node_key.b, hex.data, hex.size);
		v.node = &node_key;
	}
	if (list == NULL)
		return ERR_NOMEM;
	TRY(files_read(path, LIMIT_EVIDENCE_FILE, &file, ctx));
	enum err err = verify_all(buf_bytes(&file), &v, list, ctx);

	if (cli->json)
		output_json(list);
	else
		print_verified(list);
	if (err != OK)
		return err_wrap(ctx, err == ERR_MALFORMED ? ERR_PROOF : err, "'%s'", path);
	return json_array_size(list) == 0
		       ? err_set(ctx, ERR_MALFORMED, "'%s' has no evidence in it", path)
		       : err_set(ctx, ERR_FORK, "%zu evidences of forks verify",
				 json_array_size(list));
}

enum err run_evidence(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const char *file = args_option(args, "verify");

	return file == NULL ? list_held(cli, args, ctx) : verify_file(cli, args, file, ctx);
}
