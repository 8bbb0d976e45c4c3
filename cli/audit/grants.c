/*
 * sauti audit grants: an office's grants, checked against its exported logs by what it has
 * disclosed. Happy path: read the disclosure; fold the directory; for each log of the node hash
 * every entry again and hand it to grants_check; judge every grant; print.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/args.h"
#include "cli/audit/audit.h"
#include "cli/audit/grants_check.h"
#include "cli/audit/source.h"
#include "cli/audit/source_open.h"
#include "cli/output.h"
#include "node/files.h"

struct checking {
	struct source source;
	const struct tlog_policy *policy;
	struct directory *members; /* NULL: none is there */
	struct grants_check *check;
	struct tlog_verdict *verdicts; /* of the disclosure's logs, in its order */
	struct errctx *ctx;
	/* What came out. */
	json_t *grants, *erasures;
	size_t good, open, bad;
	size_t unfinished;   /* erasures */
	struct errctx first; /* the first that is bad */
};

/* --- the logs --- */

static enum err check_log(struct checking *c, size_t i)
{
	const struct grants_log *log = grants_check_log(c->check, i);
	struct source_read read = {
		&c->source.files, log->origin, c->policy, grants_check_entry, c->check};
	bool wanted;
	enum err err;

	TRY(grants_check_begin(c->check, log->origin, &wanted, c->ctx));
	err = source_read(&read, &c->verdicts[i], c->ctx);
	if (err == ERR_NOTFOUND)
		return err_set(c->ctx, err, "log '%s' is not in the export", log->origin);
	TRY(err);
	return grants_check_end(c->check, c->verdicts[i].checkpoint.size, c->ctx);
}

/* A log that is there and was not disclosed may be newer, and nothing else. */
static enum err check_others(const struct checking *c)
{
	struct source_logs *logs = mem_zalloc(sizeof(*logs));
	enum err err;

	if (logs == NULL)
		return ERR_NOMEM;
	err = source_logs(&c->source.files, grants_check_network(c->check),
		grants_check_node(c->check), logs, c->ctx);
	for (size_t i = 0; i < logs->count && err == OK; i++) {
		bool wanted;

		err = grants_check_begin(c->check, logs->origins[i].text, &wanted, c->ctx);
	}
	mem_free(logs);
	return err;
}

/* --- the directory --- */

static enum err on_record(void *arg, uint64_t index, struct bytes entry)
{
	(void)index;
	return directory_apply(arg, entry);
}

/* The newest that the policy knows; without one, what hangs on it stays open. */
static enum err read_directory(struct checking *c)
{
	const char *network = grants_check_network(c->check);
	struct source_logs *logs = mem_zalloc(sizeof(*logs));
	struct tlog_verdict verdict;
	enum err err;

	if (logs == NULL)
		return ERR_NOMEM;
	err = source_logs(&c->source.files, network, "directory", logs, c->ctx);
	while (err == OK && logs->count > 0 && c->members == NULL) {
		const char *origin = logs->origins[--logs->count].text;
		struct source_read read = {&c->source.files, origin, c->policy, on_record, NULL};

		if (tlog_policy_log(c->policy, origin) == NULL)
			continue;
		err = directory_new(network, &c->members);
		read.arg = c->members;
		if (err == OK)
			err = source_read(&read, &verdict, c->ctx);
	}
	mem_free(logs);
	return err;
}

/* --- the grants --- */

static void on_grant(void *arg, const struct audit_finding *f, const char *origin)
{
	struct checking *c = arg;
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1];

	event_id_text(&f->grant, id);
	case_ref_text(&f->case_ref, ref);
	c->good += f->verdict == AUDIT_GOOD;
	c->open += f->verdict == AUDIT_OPEN;
	if (f->verdict == AUDIT_BAD && c->bad++ == 0)
		err_set(&c->first, ERR_PROOF, "grant %s of case %s to '%s', entry %llu: %s", id,
			ref, f->recipient, (unsigned long long)f->at.index, f->why);
	json_array_append_new(c->grants, audit_grant_json(f, origin));
}

static void on_erasure(void *arg, const struct audit_erasure *e, const char *origin)
{
	struct checking *c = arg;

	c->unfinished += audit_erasure_open(e);
	json_array_append_new(c->erasures, audit_erasure_json(e, origin));
}

json_t *audit_grant_json(const struct audit_finding *f, const char *origin)
{
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1];

	event_id_text(&f->grant, id);
	case_ref_text(&f->case_ref, ref);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:s}", "grant", id, "verdict",
		grants_verdict_name(f->verdict), "case", ref, "recipient", f->recipient, "basis",
		f->basis, "log", origin, "index", (json_int_t)f->at.index, "why", f->why);
}

bool audit_erasure_open(const struct audit_erasure *e)
{
	return !(e->by[0] == '\0' ? e->complete : e->obeyed);
}

const char *audit_erasure_stage(const struct audit_erasure *e)
{
	return e->complete ? "complete" : e->obeyed ? "obeyed" : "ordered";
}

json_t *audit_erasure_json(const struct audit_erasure *e, const char *origin)
{
	char ref[2 * CASE_REF_SIZE + 1];

	case_ref_text(&e->case_ref, ref);
	return json_pack("{s:s,s:s,s:b,s:s,s:s,s:I,s:I,s:I,s:I,s:s,s:I}", "order", e->order,
		"stage", audit_erasure_stage(e), "open", audit_erasure_open(e), "case", ref, "by",
		e->by, "keys", (json_int_t)e->keys, "receipts", (json_int_t)e->confirmed, "begun",
		(json_int_t)e->begun_s, "newest", (json_int_t)e->ended_s, "log", origin, "index",
		(json_int_t)e->at.index);
}

/* --- what is printed --- */

static json_t *log_json(const struct checking *c, size_t i)
{
	const struct grants_log *log = grants_check_log(c->check, i);
	const struct tlog_verdict *v = &c->verdicts[i];
	json_t *by = json_array();

	for (size_t n = 0; n < v->count; n++)
		json_array_append_new(by, json_pack("{s:s,s:I}", "name", v->cosigners[n].name,
						  "time", (json_int_t)v->cosigners[n].time_s));
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:o}", "log", log->origin, "size",
		(json_int_t)v->checkpoint.size, "disclosed_size", (json_int_t)log->disclosed_size,
		"opened", (json_int_t)log->opened, "newer", (json_int_t)log->newer, "cosigned_by",
		by);
}

static json_t *report_json(const struct checking *c)
{
	json_t *logs = json_array();

	for (size_t i = 0; i < grants_check_log_count(c->check); i++)
		json_array_append_new(logs, log_json(c, i));
	return json_pack("{s:s,s:I,s:o,s:I,s:I,s:I,s:b,s:O,s:O}", "node",
		grants_check_node(c->check), "disclosed_at",
		(json_int_t)grants_check_made_s(c->check), "logs", logs, "good",
		(json_int_t)c->good, "open", (json_int_t)c->open, "bad", (json_int_t)c->bad,
		"directory", c->members != NULL, "grants", c->grants, "erasures", c->erasures);
}

static void print_log(const struct checking *c, size_t i)
{
	const struct grants_log *log = grants_check_log(c->check, i);
	const struct tlog_verdict *v = &c->verdicts[i];
	char at[21];

	printf("log     %s: %" PRIu64 " entries hashed again, %" PRIu64 " opened", log->origin,
		v->checkpoint.size, log->opened);
	for (size_t n = 0; n < v->count; n++) {
		audit_time_text(v->cosigners[n].time_s, at);
		printf("\n        %s at %s", v->cosigners[n].name, at);
	}
	putchar('\n');
	if (log->newer > 0)
		printf("        %" PRIu64 " came after the disclosure, and are not judged\n",
			log->newer);
}

void audit_grants_print(const json_t *grants)
{
	const json_t *item;
	size_t i;

	json_array_foreach(grants, i, item)
	{
		struct output_buffer b[4];

		if (strcmp(output_member(item, "verdict", &b[0]), "good") == 0)
			continue;
		printf("%-6s  %s to ", output_member(item, "verdict", &b[0]),
			output_member(item, "grant", &b[1]));
		output_text(stdout, output_member(item, "recipient", &b[2]), false);
		printf(", entry %llu: ", (unsigned long long)output_number(item, "index"));
		output_text(stdout, output_member(item, "why", &b[3]), false);
		putchar('\n');
	}
}

void audit_erasures_print(const json_t *erasures)
{
	const json_t *item;
	size_t i;

	json_array_foreach(erasures, i, item)
	{
		struct output_buffer b[5];

		printf("erased  %s, %s, %llu keys, entry %llu: ",
			output_member(item, "order", &b[0]), output_member(item, "stage", &b[1]),
			(unsigned long long)output_number(item, "keys"),
			(unsigned long long)output_number(item, "index"));
		if (output_member(item, "by", &b[2])[0] != '\0')
			printf("an order of '%s', since %s\n", output_member(item, "by", &b[2]),
				output_time(item, "begun", &b[3]));
		else
			printf("its own order, of %s, receipts of %llu nodes\n",
				output_time(item, "begun", &b[3]),
				(unsigned long long)output_number(item, "receipts"));
	}
}

static void print_report(const struct checking *c)
{
	char at[21];

	audit_time_text(grants_check_made_s(c->check), at);
	printf("node    %s, disclosed %s\n", grants_check_node(c->check), at);
	for (size_t i = 0; i < grants_check_log_count(c->check); i++)
		print_log(c, i);
	printf("grants  %zu good, %zu open, %zu bad\n", c->good, c->open, c->bad);
	audit_grants_print(c->grants);
	printf("erased  %zu orders, %zu not complete\n", json_array_size(c->erasures),
		c->unfinished);
	audit_erasures_print(c->erasures);
}

/* --- the command --- */

static enum err check_all(struct checking *c)
{
	const struct grants_judge judge = {c->members, on_grant, on_erasure, c};

	for (size_t i = 0; i < grants_check_log_count(c->check); i++)
		TRY(check_log(c, i));
	TRY(check_others(c));
	return grants_check_judge(c->check, &judge, c->ctx);
}

static enum err checking_init(struct checking *c, struct bytes file, const char *path)
{
	enum err err = grants_check_new(file, &c->check, c->ctx);

	if (err == ERR_PROOF)
		return err_wrap(c->ctx, err, "'%s'", path);
	TRY(err);
	c->grants = json_array();
	c->erasures = json_array();
	c->verdicts = mem_array(grants_check_log_count(c->check) + 1, sizeof(struct tlog_verdict));
	return c->grants == NULL || c->erasures == NULL || c->verdicts == NULL ? ERR_NOMEM : OK;
}

static void checking_release(struct checking *c)
{
	grants_check_free(c->check);
	directory_free(c->members);
	source_close(&c->source);
	mem_free(c->verdicts);
	json_decref(c->grants);
	json_decref(c->erasures);
}

static enum err judge_file(struct cli *cli, struct checking *c)
{
	enum err err = read_directory(c);

	if (err == OK)
		err = check_all(c);
	if (err == ERR_UNTRUSTED)
		err = err_wrap(c->ctx, ERR_PROOF, "the export");
	if (err != OK)
		return err;
	if (cli->json) {
		json_t *json = report_json(c);

		if (json == NULL)
			return ERR_NOMEM;
		output_json(json);
		json_decref(json);
	} else {
		print_report(c);
	}
	return c->bad == 0 ? OK
			   : err_set(c->ctx, ERR_PROOF, "%zu of %zu grants are bad; the first: %s",
				     c->bad, c->good + c->open + c->bad, c->first.text);
}

enum err audit_grants_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const char *path = args_option(args, "opened");
	struct tlog_policy *policy = NULL;
	struct checking c = {.ctx = ctx};
	struct buf file;
	enum err err;

	if (path == NULL)
		return cli_usage(
			cli, ctx, "--opened is needed: what 'sauti ledger disclose' wrote");
	TRY(audit_policy(cli, args, &policy, ctx));
	c.policy = policy;
	buf_init(&file, LIMIT_DISCLOSURE + 1);
	err = source_open(cli, args_at(args, 0), &c.source, ctx);
	if (err == OK)
		err = files_read(path, LIMIT_DISCLOSURE, &file, ctx);
	if (err == OK)
		err = checking_init(&c, buf_bytes(&file), path);
	if (err == OK)
		err = judge_file(cli, &c);
	checking_release(&c);
	buf_wipe(&file);
	tlog_policy_free(policy);
	return err;
}

const struct cli_option audit_grants_options[] = {
	{"opened", "FILE", "what the office has disclosed ('sauti ledger disclose')", false},
	{"policy", "FILE", "logs, cosigners and their quorum (C2SP tlog-policy)", false},
	{"log", "KEY", "in place of a policy: the verifier key of the node's only log", false},
	{0},
};
