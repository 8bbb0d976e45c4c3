/*
 * sauti receipt check: what six words prove, by the logs of a source: a node, exported files, a web
 * server. Happy path: the words are read, without an echo; every log is walked and judged as in
 * 'audit log'; one batch has an item that the words open, and the entry it names is there, sealed,
 * with that leaf hash, in a tree that its office's own key has signed and the quorum cosigned.
 */
#include "cli/audit/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cli/audit/audit.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "node/files.h"

/* ---- the words, and whom to believe ---- */

static enum err read_words(
	struct cli *cli, const struct cli_args *args, struct receipt_words *ret, struct errctx *ctx)
{
	struct secret text = {0};
	enum err err = passphrase_words(cli, args, "the six words", &text, ctx);

	if (err == OK)
		err = receipt_words_parse(secret_bytes(&text), ret, ctx);
	secret_release(&text);
	return err;
}

static bool is_node(const char *text)
{
	return strcmp(text, "node") == 0 || strncmp(text, "node:", 5) == 0;
}

/* An office believes its own node: whose keys count is what that says. */
static enum err ask_policy(const struct cli *cli, struct tlog_policy **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LogPolicyRequest policy = SAUTI__LOG_POLICY_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *text;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOG_POLICY;
	request.log_policy = &policy;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	text = json_string_value(json_object_get(answer, "policy"));
	return tlog_policy_parse(bytes_str(text == NULL ? "" : text), ret, ctx);
}

static enum err prepare(struct audit_run *run, struct errctx *ctx)
{
	const struct cli_args *args = run->args;

	run->receipt->any_order = args_flag(args, "any-order");
	run->receipt->progress = !run->cli->json && isatty(STDERR_FILENO) == 1;
	if (args_option(args, "policy") == NULL && args_option(args, "directory") == NULL &&
		is_node(run->source_text))
		TRY(ask_policy(run->cli, &run->policy, ctx));
	return read_words(run->cli, args, &run->receipt->words, ctx);
}

/* ---- what was found ---- */

static const struct audit_log *log_of(const struct audit_run *run, size_t number)
{
	return &run->logs[number];
}

static const struct finding *finding_of(const struct audit_run *run, const struct audit_log *log,
	enum finding_kind only, bool other)
{
	for (size_t i = 0; i < findings_count(run->findings); i++) {
		const struct finding *f = findings_at(run->findings, i);

		if (strcmp(f->origin, log->name.text) == 0 &&
			finding_kind_severity(f->kind) == FINDING_VIOLATION &&
			(f->kind == only) != other)
			return f;
	}
	return NULL;
}

/* Of violations that were not kept nobody knows whose they are. */
static bool left_out(const struct audit_run *run)
{
	uint64_t kept = 0;

	for (size_t i = 0; i < findings_count(run->findings); i++)
		kept += finding_kind_severity(findings_at(run->findings, i)->kind) ==
			FINDING_VIOLATION;
	return kept < findings_of(run->findings, FINDING_VIOLATION);
}

static bool is_confirmed(const struct audit_run *run, const struct receipt_found *found)
{
	return !left_out(run) &&
	       finding_of(run, log_of(run, found->log), FINDING_QUORUM_MISSING, false) == NULL &&
	       finding_of(run, log_of(run, found->record_log), FINDING_QUORUM_MISSING, false) ==
		       NULL;
}

static const struct finding *unsound(const struct audit_run *run, const struct receipt_found *found)
{
	const size_t logs[] = {found->log, found->record_log};
	const struct finding *bad = NULL;

	for (size_t i = 0; i < 2 && bad == NULL; i++)
		if (logs[i] != SIZE_MAX)
			bad = finding_of(run, log_of(run, logs[i]), FINDING_QUORUM_MISSING, true);
	return bad;
}

static unsigned weight(const struct audit_run *run, const struct receipt_found *found)
{
	static const unsigned weights[] = {[RECEIPT_PROVEN] = 5,
		[RECEIPT_FALSE_ENTRY] = 4,
		[RECEIPT_NOT_THERE] = 3,
		[RECEIPT_FALSE_ITEM] = 2,
		[RECEIPT_STRANGE] = 1};
	unsigned sound = unsound(run, found) == NULL;

	if (found->verdict != RECEIPT_PROVEN)
		return weights[found->verdict];
	return weights[RECEIPT_PROVEN] + sound + (sound && is_confirmed(run, found));
}

/* The best of several: what is proven. */
static const struct receipt_found *best(const struct audit_run *run)
{
	const struct receipt_check *check = run->receipt;
	const struct receipt_found *ret = NULL;

	for (size_t i = 0; i < check->found_count; i++)
		if (ret == NULL || weight(run, &check->found[i]) > weight(run, ret))
			ret = &check->found[i];
	return ret;
}

static json_t *cosigners_json(const struct audit_log *log)
{
	json_t *list = json_array();

	for (size_t i = 0; i < log->cosigner_count; i++)
		json_array_append_new(list, json_pack("{s:s,s:I}", "name", log->cosigners[i].name,
						    "time", (json_int_t)log->cosigners[i].time_s));
	return list;
}

static const char *const verdicts[] = {[RECEIPT_PROVEN] = "proven",
	[RECEIPT_FALSE_ITEM] = "false-item",
	[RECEIPT_FALSE_ENTRY] = "false-entry",
	[RECEIPT_STRANGE] = "of-another-node",
	[RECEIPT_NOT_THERE] = "record-not-in-source"};

static json_t *found_json(const struct audit_run *run, const struct receipt_found *f)
{
	const struct audit_log *log = log_of(run, f->log);
	char leaf[2 * HASH_SIZE + 1];
	json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:o}", "verdict", verdicts[f->verdict], "log",
		log->name.text, "batch", (json_int_t)f->index, "size",
		(json_int_t)log->checkpoint.size, "cosigned_by", cosigners_json(log));

	if (json == NULL || f->verdict == RECEIPT_FALSE_ITEM)
		return json;
	hex_encode(hash_bytes(&f->box.leaf), leaf);
	json_object_set_new(json, "record", json_integer((json_int_t)f->box.index));
	json_object_set_new(json, "leaf_hash", json_string(leaf));
	if (f->record_log == SIZE_MAX)
		return json;
	json_object_set_new(json, "record_log", json_string(log_of(run, f->record_log)->name.text));
	json_object_set_new(json, "record_bytes", json_integer((json_int_t)f->record_size));
	json_object_set_new(json, "confirmed", json_boolean(is_confirmed(run, f)));
	return json;
}

/* A log that is not what was signed proves nothing. */
static bool is_proven(const struct audit_run *run, const struct receipt_found *f)
{
	return f != NULL && f->verdict == RECEIPT_PROVEN && unsound(run, f) == NULL &&
	       !left_out(run);
}

static enum err report_json(const struct audit_run *run)
{
	const struct receipt_check *check = run->receipt;
	const struct receipt_found *f = best(run);
	json_t *list = json_array(), *json;

	for (size_t i = 0; i < check->found_count; i++)
		json_array_append_new(list, found_json(run, &check->found[i]));
	json = json_pack("{s:b,s:I,s:I,s:I,s:o}", "proven", is_proven(run, f), "batches",
		(json_int_t)check->batches, "malformed", (json_int_t)check->malformed, "found_in",
		(json_int_t)check->found_all, "found", list);
	if (json == NULL)
		return ERR_NOMEM;
	output_json(json);
	json_decref(json);
	return OK;
}

static void print_cosigners(const struct audit_log *log)
{
	char at[21];

	for (size_t i = 0; i < log->cosigner_count; i++) {
		audit_time_text(log->cosigners[i].time_s, at);
		printf("%s%s at %s\n", i == 0 ? "by      " : "        ", log->cosigners[i].name,
			at);
	}
	if (log->cosigner_count == 0)
		puts("by      the log's own key alone: nobody else says so yet");
}

static void print_proven(const struct audit_run *run, const struct receipt_found *f)
{
	const struct audit_log *log = log_of(run, f->log), *record = log_of(run, f->record_log);
	char leaf[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(&f->box.leaf), leaf);
	puts(is_confirmed(run, f) ? "PROVEN" : "IN THE LOG, NOT CONFIRMED");
	printf("batch   entry %" PRIu64 " of log %s\n", f->index, log->name.text);
	printf("record  entry %" PRIu64 " of log %s, %zu bytes, sealed, leaf %s\n", f->box.index,
		record->name.text, f->record_size, leaf);
	print_cosigners(log);
	puts("The record of a first contact that whoever gave these words was told of exists in\n"
	     "that log, and stood there when the batch was written. What it says is not shown.");
}

static void print_batches(const struct audit_run *run)
{
	const struct receipt_check *check = run->receipt;

	if (check->found_all > 1)
		cli_note(run->cli,
			"the tag stands in %" PRIu64
			" batches: of one log once is right; a log that was begun anew may repeat "
			"it",
			check->found_all);
	if (check->malformed > 0)
		cli_note(run->cli,
			"%" PRIu64 " batches are not of the shape they must have; the first: entry "
			"%" PRIu64 " of log %s",
			check->malformed, check->malformed_index,
			log_of(run, check->malformed_log)->name.text);
}

static enum err report(const struct audit_run *run)
{
	const struct receipt_found *f = best(run);

	if (run->cli->json)
		return report_json(run);
	if (is_proven(run, f))
		print_proven(run, f);
	print_batches(run);
	return OK;
}

/* ---- proofs as files ---- */

static enum err write_proof(const struct audit_run *run, const char *dir, const char *name,
	size_t log, uint64_t index, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf proof;
	char path[PATH_MAX];

	buf_init(&proof, LIMIT_TLOG_PROOF);
	TRY(files_join(dir, name, path, ctx));
	if (access(path, F_OK) == 0)
		return err_set(ctx, ERR_EXISTS, "'%s' is there already", path);
	TRY(receipt_prove(run, log, index, &proof, ctx));
	TRY(files_write(path, buf_bytes(&proof), 0600, ctx));
	if (!run->cli->json)
		printf("proof   %s\n", path);
	return OK;
}

static enum err write_proofs(const struct audit_run *run, struct errctx *ctx)
{
	const char *dir = args_option(run->args, "proof");
	const struct receipt_found *f = best(run);

	if (dir == NULL || f == NULL || f->verdict == RECEIPT_FALSE_ITEM)
		return OK;
	if (mkdir(dir, 0700) != 0 && access(dir, W_OK) != 0)
		return err_set(
			ctx, ERR_IO, "--proof: '%s' is no directory that can be written", dir);
	TRY(write_proof(run, dir, "batch.tlog-proof", f->log, f->index, ctx));
	return f->record_size == 0 ? OK
				   : write_proof(run, dir, "record.tlog-proof", f->record_log,
					     f->box.index, ctx);
}

/* ---- the verdict ---- */

/* A log that is not what was signed proves nothing, whatever is in it. */
static enum err logs_verdict(
	const struct audit_run *run, const struct receipt_found *f, struct errctx *ctx)
{
	const struct finding *bad = unsound(run, f);

	if (bad == NULL && left_out(run))
		return err_set(ctx, ERR_PROOF,
			"there are %" PRIu64
			" violations in this source, too many to say of which logs: name a "
			"source that has fewer, or put a copy of the office's logs by itself",
			findings_of(run->findings, FINDING_VIOLATION));
	return bad == NULL ? OK : err_set(ctx, ERR_PROOF, "%s: %s", bad->origin, bad->text);
}

static enum err not_found(const struct audit_run *run, struct errctx *ctx)
{
	size_t walked = 0;

	for (size_t i = 0; i < run->log_count; i++) {
		const struct audit_log *log = &run->logs[i];

		walked += log->walked;
		if (log->err != OK)
			return err_set(ctx, ERR_IO, "log '%s' could not be looked at: %s",
				log->name.text, err_message(&log->why, log->err));
	}
	return walked == 0 ? err_set(ctx, ERR_NOTFOUND,
				     "no log of this source is one whose key is known")
			   : err_set(ctx, ERR_NOTFOUND,
				     "none of the %" PRIu64
				     " batches in %zu logs has these words: they may "
				     "be remembered wrongly or in another order (--any-order); "
				     "younger than "
				     "the daily batch; of another network; or never logged by who "
				     "gave them",
				     run->receipt->batches, walked);
}

static enum err verdict(const struct audit_run *run, struct errctx *ctx)
{
	const struct receipt_found *f = best(run);

	if (f == NULL)
		return not_found(run, ctx);
	TRY(logs_verdict(run, f, ctx));
	switch (f->verdict) {
	case RECEIPT_FALSE_ITEM:
		return err_set(ctx, ERR_PROOF,
			"entry %" PRIu64
			" of log %s has the tag of these words, and what stands with it was not "
			"made with them: whoever wrote that log has put it there",
			f->index, log_of(run, f->log)->name.text);
	case RECEIPT_FALSE_ENTRY:
		return err_set(ctx, ERR_PROOF,
			"the receipt in entry %" PRIu64 " of log %s names entry %" PRIu64
			", which is not the sealed one that it says: two things that one key has "
			"signed contradict each other",
			f->index, log_of(run, f->log)->name.text, f->box.index);
	case RECEIPT_STRANGE:
		return err_set(ctx, ERR_PROOF,
			"the receipt in entry %" PRIu64 " of log %s names entry %" PRIu64
			" of a log of another node: whoever wrote that batch has no such record",
			f->index, log_of(run, f->log)->name.text, f->box.index);
	case RECEIPT_NOT_THERE:
		return err_set(ctx, ERR_NOTFOUND,
			"the receipt is in entry %" PRIu64 " of log %s; the record that it names, "
			"entry %" PRIu64 ", is in a log that this source does not have, or not so "
			"far",
			f->index, log_of(run, f->log)->name.text, f->box.index);
	case RECEIPT_PROVEN:
		break;
	}
	return is_confirmed(run, f)
		       ? OK
		       : err_set(ctx, ERR_NOTFOUND,
				 "the receipt is in the log, and not confirmed: too few have "
				 "cosigned it. Ask again when the office has met its peers");
}

static enum err check(struct audit_run *run, struct errctx *ctx)
{
	TRY(prepare(run, ctx));
	TRY(audit_run_look(run, ctx));
	TRY(receipt_judge(run, ctx));
	TRY(report(run));
	TRY(write_proofs(run, ctx));
	return verdict(run, ctx);
}

static enum err run_check(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct receipt_check *looked = mem_zalloc(sizeof(*looked));
	struct audit_run run = {.cli = cli, .args = args, .receipt = looked};
	enum err err;

	if (looked == NULL)
		return ERR_NOMEM;
	run.source_text = args_at(args, 0) == NULL ? "node" : args_at(args, 0);
	err = check(&run, ctx);
	audit_run_release(&run);
	receipt_check_release(looked);
	mem_free(looked);
	return err;
}

static const struct cli_option check_options[] = {
	{"directory", "KEY", "the verifier key of the network's directory: all else follows",
		false},
	{"policy", "FILE", "logs, cosigners and their quorum (C2SP tlog-policy)", false},
	{"words-file", "FILE", "read the words from a file's first line ('-': stdin)", false},
	{"any-order", NULL, "try all 720 orders of the words: takes minutes", false},
	{"proof", "DIR", "write the proofs of batch and record there", false},
	{"jobs", "N", "threads that hash (1 to 16; default 1)", false},
	{"ca", "FILE", "PEM certificates to verify https with, in place of the system's", false},
	{"now", "TIME", "judge as of then, 2026-01-31T12:00:00Z", false},
	{0},
};

const struct cli_command receipt_commands[] = {
	{"receipt", "check", "[SOURCE]", "what the six words of a victim's receipt prove",
		"SOURCE is 'node' (when it is not said: this office's own), a directory with "
		"exports, a\nbundle, or a URL, as for 'audit log'. The words are typed without an "
		"echo. Every log is\nread whole: nobody learns which receipt was looked for. Exit "
		"code 4 when the log says\nsomething else than the receipt, 1 when no log has it.",
		0, 1, check_options, run_check},
	{0},
};
