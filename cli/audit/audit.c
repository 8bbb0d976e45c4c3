/*
 * sauti audit: what anybody can check who has files alone: no node, no key, no database.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cases/event/json_memory.h"
#include "cases/schema/schema.h"
#include "cli/args.h"
#include "cli/audit/audit.h"
#include "cli/audit/log.h"
#include "cli/audit/proven.h"
#include "cli/case/types.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/term.h"
#include "node/files.h"

enum { INDENT = 2, TEXT_MAX = 256 * 1024 };

/* --- whom to believe --- */

enum err audit_policy(
	struct cli *cli, const struct cli_args *args, struct tlog_policy **ret, struct errctx *ctx)
{
	const char *vkey = args_option(args, "log"), *path = args_option(args, "policy");
	CLEANUP(buf_release) struct buf text;
	struct note_key key;
	enum err err;

	buf_init(&text, LIMIT_POLICY_SIZE + 1);
	if ((vkey == NULL) == (path == NULL))
		return cli_usage(cli, ctx,
			"say whom to believe: --log with a log's verifier key, or --policy with a "
			"file of logs and cosigners ('sauti log policy' writes one)");
	if (vkey != NULL) {
		if (note_key_parse(bytes_str(vkey), &key) != OK)
			return cli_usage(cli, ctx, "--log is no verifier key");
		return tlog_policy_of_log(&key, ret, ctx);
	}
	TRY(files_read(path, LIMIT_POLICY_SIZE, &text, ctx));
	err = tlog_policy_parse(buf_bytes(&text), ret, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "policy '%s'", path);
}

void audit_time_text(uint64_t time_s, char ret[21])
{
	/* The last second of the year 9999: what is behind it nobody has lived. */
	event_time_text(time_s > UINT64_C(253402300799) ? UINT64_C(253402300799) : time_s, ret);
}

/* --- an opened part, in words --- */

static json_t *part_json(const struct proven *proven)
{
	struct buf text;
	json_t *json;

	buf_init(&text, TEXT_MAX);
	event_write(&proven->event, &text);
	json = json_loadb((const char *)text.data, text.size, 0, NULL);
	buf_wipe(&text);
	return json;
}

static void print_field(
	const struct term *term, const struct schema_type *type, const struct event_field *field)
{
	CLEANUP(buf_wipe) struct buf text;
	const struct schema_field *known =
		type == NULL ? NULL : schema_field_find(type, bytes_str(field->name));
	char label[64];

	buf_init(&text, TEXT_MAX);
	case_types_label(field->name, label);
	buf_printf(&text, "%s: ", label);
	schema_show(known, field->json, &text);
	fprintf(term->file, "%*s", 2 * INDENT, "");
	term_wrap(term, 2 * INDENT, 2 * INDENT, buf_cstr(&text));
}

static void print_part(const struct proven *proven)
{
	const struct event *event = &proven->event;
	const struct schema_type *type = schema_type_get(event->type);
	const struct term term = term_of(stdout);
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1], at[21];

	event_id_text(&event->id, id);
	case_ref_text(&event->case_ref, ref);
	audit_time_text(event->recorded_at, at);
	printf("opened: the part '%s' of one event\n", group_name(proven->info.group));
	printf("  %s", type == NULL ? "of a type that is not known here" : type->title);
	if (event->occurred_on[0] != '\0')
		printf(", %s", event->occurred_on);
	printf(", recorded %s by ", at);
	output_text(stdout, event->recorded_by, false);
	printf("\n  event %s of case %s\n", id, ref);
	for (size_t i = 0; i < event->field_count; i++)
		print_field(&term, type, &event->fields[i]);
	puts("Nothing else is opened: not this event's other parts, not another entry.");
}

/* --- audit proof --- */

static void print_proven(const struct proven *proven)
{
	const struct tlog_verdict *v = &proven->verdict;
	char leaf[2 * HASH_SIZE + 1], at[21];

	hex_encode(hash_bytes(&proven->leaf), leaf);
	puts("PROVEN");
	printf("log     %s\n", v->checkpoint.origin.text);
	printf("entry   %" PRIu64 " of the first %" PRIu64 ", %zu bytes, leaf %s\n", proven->index,
		v->checkpoint.size, proven->entry_size, leaf);
	for (size_t i = 0; i < v->count; i++) {
		audit_time_text(v->cosigners[i].time_s, at);
		printf("%s%s at %s\n", i == 0 ? "by      " : "        ", v->cosigners[i].name, at);
	}
	if (v->count == 0)
		puts("by      the log's own key alone: nobody else says so");
	if (v->unknown > 0)
		printf("        and %zu %s of keys that were not given\n", v->unknown,
			v->unknown == 1 ? "signature" : "signatures");
	if (proven->opened)
		print_part(proven);
	else
		puts(proven->sealed ? "sealed: the entry is not opened"
				    : "not sealed: a record of the log itself, no part of a case");
}

static json_t *proven_json(const struct proven *proven)
{
	const struct tlog_verdict *v = &proven->verdict;
	char leaf[2 * HASH_SIZE + 1];
	json_t *by = json_array(), *json;

	hex_encode(hash_bytes(&proven->leaf), leaf);
	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(by, json_pack("{s:s,s:I}", "name", v->cosigners[i].name,
						  "time", (json_int_t)v->cosigners[i].time_s));
	json = json_pack("{s:b,s:s,s:I,s:I,s:s,s:I,s:o,s:I}", "proven", 1, "log",
		v->checkpoint.origin.text, "index", (json_int_t)proven->index, "size",
		(json_int_t)v->checkpoint.size, "leaf_hash", leaf, "bytes",
		(json_int_t)proven->entry_size, "cosigned_by", by, "unknown_signatures",
		(json_int_t)v->unknown);
	if (json != NULL && proven->opened) {
		json_object_set_new(json, "group", json_string(group_name(proven->info.group)));
		json_object_set_new(json, "part", part_json(proven));
	}
	return json;
}

static enum err proof_check(const char *path, const char *entry_path,
	const struct tlog_policy *policy, struct proven *ret, struct errctx *ctx)
{
	struct buf file, entry;
	enum err err = OK;

	buf_init(&file, LIMIT_TLOG_PROOF + 1);
	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	if (entry_path != NULL)
		err = files_read(entry_path, LIMIT_ENTRY_SIZE, &entry, ctx);
	if (err == OK)
		err = files_read(path, LIMIT_TLOG_PROOF, &file, ctx);
	if (err == OK) {
		err = proven_check(buf_bytes(&file), buf_bytes(&entry), policy, ret, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s' proves nothing", path);
	}
	buf_wipe(&file);
	buf_release(&entry);
	return err;
}

static enum err run_proof(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct tlog_policy *policy = NULL;
	struct proven proven = {.index = 0};
	enum err err;

	TRY(audit_policy(cli, args, &policy, ctx));
	err = proof_check(args_at(args, 0), args_option(args, "entry"), policy, &proven, ctx);
	if (err == OK && cli->json) {
		json_t *json = proven_json(&proven);

		if (json != NULL)
			output_json(json);
		else
			err = ERR_NOMEM;
		json_decref(json);
	} else if (err == OK) {
		print_proven(&proven);
	}
	proven_release(&proven);
	tlog_policy_free(policy);
	return err;
}

static const struct cli_option proof_options[] = {
	{"log", "KEY", "the verifier key of the log, NAME+ID+KEY", false},
	{"policy", "FILE", "logs, cosigners and their quorum (C2SP tlog-policy)", false},
	{"entry", "FILE", "the entry's bytes, when the proof does not bring them along", false},
	{0},
};

const struct cli_command audit_commands[] = {
	{"audit", "proof", "FILE", "what a proof of one entry proves",
		"FILE is a .tlog-proof, as 'sauti case prove' writes it. No node is needed, and no "
		"key\n"
		"but those of the log and of who cosigns. Exit code 4 when it does not prove "
		"anything.",
		1, 1, proof_options, run_proof},
	{"audit", "grants", "DIR", "an office's grants, by its log and what it has disclosed",
		"DIR is what 'sauti log export' wrote, with the office's logs and the "
		"directory.\n"
		"Every entry is hashed again; the ledger is whole, or the first number that is "
		"missing\n"
		"is told; each grant cites a consent that stood before it and covered it. No node "
		"is\n"
		"needed. Exit code 4 when something is wrong.",
		1, 1, audit_grants_options, audit_grants_run},
	{"audit", "log", "SOURCE [LOG...]", "whether logs are what was signed, all of them",
		"SOURCE is a directory that 'sauti log export' wrote, a bundle or a directory with "
		"its\n"
		"parts, 'node' or 'node:SOCKET' (one that runs), or "
		"http(s)://HOST[:PORT][/PREFIX].\n"
		"Every entry is hashed again, every tile compared, every signature and the quorum\n"
		"checked. Whom to believe is said by --directory, by --policy, or by both. Exit "
		"code 4\n"
		"when anything is wrong, with the first bad entry; 1 when it could not be looked "
		"at.\n"
		"With --state it is compared with the last visit; with --html there is a page of "
		"it.",
		1, ARGS_MAX, audit_log_options, audit_log_run},
	{0},
};
