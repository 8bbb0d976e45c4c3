/* What an audit says: for people the verdict first, for programs all of it, with the bytes that
 * prove each finding. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/audit/audit.h"
#include "cli/audit/log.h"
#include "cli/audit/visit.h"
#include "cli/output.h"
#include "cli/term.h"

enum { INDENT = 8, TEXT_MAX = 1024 };

static const char *severity_name(enum finding_severity severity)
{
	return severity == FINDING_VIOLATION ? "violation"
	       : severity == FINDING_WARNING ? "warning"
					     : "note";
}

static bool all_looked_at(const struct audit_run *run)
{
	for (size_t i = 0; i < run->log_count; i++)
		if (!run->logs[i].walked || run->logs[i].err != OK)
			return false;
	return !audit_run_blind(run) && !run->evidence_unread;
}

const char *audit_report_verdict(const struct audit_run *run)
{
	return findings_of(run->findings, FINDING_VIOLATION) > 0 ? "violated"
	       : all_looked_at(run)                              ? "sound"
								 : "unfinished";
}

/* --- JSON --- */

static json_t *bytes_json(struct bytes data)
{
	struct buf text;
	json_t *json;

	buf_init(&text, 2 * LIMIT_FINDING_PROOF);
	base64_encode(&text, data);
	json = json_stringn((const char *)text.data, text.size);
	buf_release(&text);
	return json;
}

static json_t *log_json(const struct audit_run *run, const struct audit_log *log)
{
	const struct walk_result *result = &log->result;
	json_t *by = json_array(), *json;

	for (size_t i = 0; i < log->cosigner_count; i++)
		json_array_append_new(by, json_pack("{s:s,s:I}", "name", log->cosigners[i].name,
						  "time", (json_int_t)log->cosigners[i].time_s));
	json = json_pack("{s:s,s:b,s:b,s:I,s:o,s:o,s:I,s:b,s:b}", "log", log->name.text,
		"directory", log->directory, "trusted", log->trusted, "size",
		(json_int_t)log->checkpoint.size, "root",
		log->formed ? bytes_json(hash_bytes(&log->checkpoint.root)) : json_null(),
		"cosigned_by", by, "unknown_signatures", (json_int_t)log->unknown, "walked",
		log->walked, "sound", log->walked && result->sound);
	if (json != NULL && log->walked) {
		json_object_set_new(json, "from", json_integer((json_int_t)result->from));
		json_object_set_new(
			json, "hashed", json_integer((json_int_t)(result->size - result->from)));
		json_object_set_new(json, "bytes", json_integer((json_int_t)result->bytes));
		if (result->has_bad)
			json_object_set_new(
				json, "first_bad", json_integer((json_int_t)result->bad));
	}
	if (json != NULL && log->err != OK)
		json_object_set_new(json, "error", json_string(err_message(&log->why, log->err)));
	if (json != NULL && audit_visit_log_json(run, log, json) != OK) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *finding_json(const struct finding *f)
{
	char name[FINDING_NAME_SIZE];
	json_t *proofs = json_array(), *json;

	finding_kind_name(f->kind, name);
	for (size_t i = 0; i < f->proof_count; i++)
		json_array_append_new(
			proofs, json_pack("{s:s,s:o,s:b}", "name", f->proofs[i].name, "base64",
					bytes_json(f->proofs[i].data), "cut", f->proofs[i].cut));
	json = json_pack("{s:s,s:s,s:s,s:s,s:o}", "kind", name, "severity",
		severity_name(finding_kind_severity(f->kind)), "log", f->origin, "text", f->text,
		"proofs", proofs);
	if (json != NULL && f->has_index)
		json_object_set_new(json, "index", json_integer((json_int_t)f->index));
	return json;
}

static json_t *run_json(const struct audit_run *run)
{
	json_t *logs = json_array(), *findings = json_array();

	for (size_t i = 0; i < run->log_count; i++)
		json_array_append_new(logs, log_json(run, &run->logs[i]));
	for (size_t i = 0; i < findings_count(run->findings); i++)
		json_array_append_new(findings, finding_json(findings_at(run->findings, i)));
	return json_pack("{s:s,s:s,s:I,s:o,s:o,s:I,s:I,s:I}", "verdict", audit_report_verdict(run),
		"source", run->source_text, "now", (json_int_t)run->now_s, "logs", logs, "findings",
		findings, "violations", (json_int_t)findings_of(run->findings, FINDING_VIOLATION),
		"warnings", (json_int_t)findings_of(run->findings, FINDING_WARNING), "notes",
		(json_int_t)findings_of(run->findings, FINDING_NOTE));
}

/* --- text --- */

static void print_log(const struct audit_run *run, const struct audit_log *log)
{
	const struct walk_result *result = &log->result;
	CLEANUP(buf_release) struct buf root;
	char at[21];

	buf_init(&root, 2 * HASH_SIZE);
	printf("log     %s\n", log->name.text);
	if (log->err != OK) {
		printf("        could not be looked at: ");
		output_text(stdout, err_message(&log->why, log->err), false);
		putchar('\n');
	}
	if (!log->trusted)
		return;
	base64_encode(&root, hash_bytes(&log->checkpoint.root));
	printf("        %" PRIu64 " entries, root %s\n", log->checkpoint.size, buf_cstr(&root));
	audit_visit_print_log(run, log);
	if (log->walked && result->sound)
		printf("        %" PRIu64 " hashed again: what was signed\n",
			result->size - result->from);
	else if (log->walked && result->has_bad)
		printf("        NOT what was signed: the first of which something is wrong is "
		       "entry %" PRIu64 "\n",
			result->bad);
	else if (log->walked)
		printf("        NOT what was signed\n");
	for (size_t i = 0; i < log->cosigner_count; i++) {
		audit_time_text(log->cosigners[i].time_s, at);
		printf("        cosigned by %s at %s\n", log->cosigners[i].name, at);
	}
	if (log->cosigner_count == 0)
		puts("        cosigned by nobody who is known");
}

static void print_finding(const struct finding *f)
{
	const struct term term = term_of(stdout);
	char name[FINDING_NAME_SIZE], text[TEXT_MAX];

	finding_kind_name(f->kind, name);
	printf("\n%s %s\n", severity_name(finding_kind_severity(f->kind)), name);
	if (f->origin[0] != '\0')
		printf("        %s", f->origin);
	if (f->origin[0] != '\0' && f->has_index)
		printf(", entry %" PRIu64, f->index);
	if (f->origin[0] != '\0')
		putchar('\n');
	snprintf(text, sizeof(text), "%s", f->text);
	printf("%*s", INDENT, "");
	term_wrap(&term, INDENT, INDENT, text);
}

static void print_run(const struct audit_run *run)
{
	uint64_t violations = findings_of(run->findings, FINDING_VIOLATION);
	uint64_t kept = findings_count(run->findings), all = violations;
	char at[21];

	audit_time_text(run->now_s, at);
	if (violations > 0)
		printf("VIOLATED: %" PRIu64 " %s\n", violations,
			violations == 1 ? "violation" : "violations");
	else if (all_looked_at(run))
		printf("SOUND: every entry is the one that was signed%s\n",
			run->source.files.tiles ? ", every tile fits" : "");
	else
		puts("UNFINISHED: nothing wrong was found, but not all could be looked at");
	printf("source  ");
	output_text(stdout, run->source_text, false);
	printf(", %s\n", at);
	audit_visit_print(run);
	for (size_t i = 0; i < run->log_count; i++)
		print_log(run, &run->logs[i]);
	for (size_t i = 0; i < kept; i++)
		print_finding(findings_at(run->findings, i));
	all += findings_of(run->findings, FINDING_WARNING) +
	       findings_of(run->findings, FINDING_NOTE);
	if (all > kept)
		printf("\n.. and %" PRIu64 " more findings\n", all - kept);
}

enum err audit_report(const struct audit_run *run, struct errctx *ctx)
{
	json_t *json;

	(void)ctx;
	if (!run->cli->json) {
		print_run(run);
		return OK;
	}
	json = run_json(run);
	if (json == NULL)
		return ERR_NOMEM;
	audit_visit_json(run, json);
	output_json(json);
	json_decref(json);
	return OK;
}
