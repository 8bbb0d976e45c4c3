/*
 * sauti audit log: what an outsider finds in the files of logs, with no node, key or database.
 */
#include "cli/audit/log.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event.h"
#include "cli/audit/audit.h"

enum { MMAP_FROM = 1 << 20 };

/* --- what the parts share --- */

enum err audit_tell(struct audit_run *run, const struct audit_tell *tell, const char *format, ...)
{
	CLEANUP(mem_free_p) struct finding *finding = mem_zalloc(sizeof(*finding));
	va_list list;

	if (finding == NULL)
		return ERR_NOMEM;
	finding->kind = tell->kind;
	finding->has_index = tell->has_index;
	finding->index = tell->index;
	if (tell->origin != NULL)
		snprintf(finding->origin, sizeof(finding->origin), "%s", tell->origin);
	va_start(list, format);
	vsnprintf(finding->text, sizeof(finding->text), format, list);
	va_end(list);
	for (size_t i = 0; i < tell->proof_count && i < FINDING_PROOFS; i++)
		finding->proofs[finding->proof_count++] = tell->proofs[i];
	return findings_add(run->findings, finding);
}

struct audit_log *audit_run_log(const struct audit_run *run, const char *name)
{
	for (size_t i = 0; i < run->log_count; i++)
		if (strcmp(run->logs[i].name.text, name) == 0)
			return &run->logs[i];
	return NULL;
}

/* --- which logs --- */

static enum err add_log(void *arg, const char *name)
{
	struct audit_run *run = arg;
	struct audit_log *log, *logs;
	struct origin_parts parts;

	if (audit_run_log(run, name) != NULL)
		return OK;
	if (run->log_count == LIMIT_LOGS)
		return ERR_LIMIT;
	logs = mem_resize(run->logs, (run->log_count + 1) * sizeof(*logs));
	if (logs == NULL)
		return ERR_NOMEM;
	run->logs = logs;
	log = &logs[run->log_count];
	memset(log, 0, sizeof(*log));
	TRY(log_name_parse(bytes_str(name), &log->name, &log->origin, &parts));
	log->directory = bytes_equal_str(parts.node, "directory");
	buf_init(&log->note, LIMIT_NOTE_SIZE + 1);
	buf_init(&log->opened, LIMIT_LOG_OPENED);
	run->log_count++;
	return OK;
}

/* The directory's first, the one of --directory before its others; then by name. */
static int by_name(const void *a, const void *b)
{
	const struct audit_log *x = a, *y = b;

	if (x->directory != y->directory)
		return x->directory ? -1 : 1;
	return strcmp(x->name.text, y->name.text);
}

static void own_first(struct audit_run *run)
{
	for (size_t i = 1; i < run->log_count; i++) {
		struct audit_log log = run->logs[i];

		if (strcmp(log.name.text, run->directory_key.name) != 0)
			continue;
		memmove(&run->logs[1], &run->logs[0], i * sizeof(log));
		run->logs[0] = log;
	}
}

/* Where the source has no list: those of --policy. */
static enum err list_policy(struct audit_run *run)
{
	const struct note_key *key;

	for (size_t i = 0; run->policy != NULL; i++) {
		key = tlog_policy_log_at(run->policy, i);
		if (key == NULL)
			break;
		if (log_name_parse(bytes_str(key->name), NULL, NULL, NULL) == OK)
			TRY(add_log(run, key->name));
	}
	return OK;
}

struct listed {
	struct audit_run *run;
	size_t count;
};

static enum err add_listed(void *arg, const char *name)
{
	struct listed *listed = arg;

	listed->count++;
	return add_log(listed->run, name);
}

/* A source that lists none says nothing of any: a wrong place, or one that gives out none. */
static enum err list_source(struct audit_run *run, struct errctx *ctx)
{
	const struct audit_source *source = &run->source.files;
	struct listed listed = {run, 0};
	enum err err = source->logs(source->arg, add_listed, &listed, ctx);

	run->listed = err == OK;
	if (err == OK && listed.count == 0)
		return err_set(ctx, ERR_NOTFOUND, "there is no log in '%s'", run->source_text);
	return err == ERR_NOTFOUND ? list_policy(run) : err;
}

static void sort_logs(struct audit_run *run)
{
	if (run->log_count > 0)
		qsort(run->logs, run->log_count, sizeof(run->logs[0]), by_name);
	own_first(run);
}

enum err audit_run_add(struct audit_run *run, const char *name)
{
	TRY(add_log(run, name));
	sort_logs(run);
	return OK;
}

static enum err list_logs(struct audit_run *run, struct errctx *ctx)
{
	const char *name;
	enum err err = OK;

	if (run->directory_key.name[0] != '\0')
		TRY(add_log(run, run->directory_key.name));
	for (size_t i = 1; (name = args_at(run->args, i)) != NULL; i++) {
		if (log_name_parse(bytes_str(name), NULL, NULL, NULL) != OK)
			return cli_usage(run->cli, ctx, "'%s' is no name of a log", name);
		TRY(add_log(run, name));
	}
	if (args_at(run->args, 1) == NULL)
		err = list_source(run, ctx);
	if (err == ERR_LIMIT)
		return err_wrap(
			ctx, err, "'%s' has more than %d logs", run->source_text, LIMIT_LOGS);
	TRY(err);
	sort_logs(run);
	return run->log_count > 0
		       ? OK
		       : err_set(ctx, ERR_NOTFOUND, "there is no log in '%s'", run->source_text);
}

/* Those of --policy that a source with a list does not have. */
static enum err tell_unlisted(struct audit_run *run)
{
	const struct note_key *key;

	for (size_t i = 0; run->listed && run->policy != NULL &&
			   (key = tlog_policy_log_at(run->policy, i)) != NULL;
		i++) {
		const struct audit_tell tell = {FINDING_UNFINISHED, key->name, false, 0, NULL, 0};

		if (log_name_parse(bytes_str(key->name), NULL, NULL, NULL) == OK &&
			audit_run_log(run, key->name) == NULL)
			TRY(audit_tell(
				run, &tell, "the policy lists it, and it is not in this source"));
	}
	return OK;
}

bool audit_run_blind(const struct audit_run *run)
{
	return !run->listed && run->log_count == 1 && args_at(run->args, 1) == NULL &&
	       strcmp(run->logs[0].name.text, run->directory_key.name) == 0;
}

/* --- one log --- */

struct looking {
	struct audit_run *run;
	struct audit_log *log;
	struct directory *folding; /* NULL: it is not the directory's */
	size_t number;
	bool progress;
};

static enum err on_entry(void *arg, uint64_t index, struct bytes entry)
{
	struct looking *l = arg;

	if (l->folding != NULL)
		TRY(directory_apply(l->folding, entry));
	for (size_t i = 0; audit_hooks[i] != NULL; i++)
		if (audit_hooks[i]->entry != NULL)
			TRY(audit_hooks[i]->entry(l->run, l->log, index, entry));
	return OK;
}

static void on_progress(void *arg, uint64_t hashed)
{
	const struct looking *l = arg;

	if (l->progress)
		fprintf(stderr, "\rlog %zu of %zu: %llu of %llu entries  ", l->number + 1,
			l->run->log_count, (unsigned long long)hashed,
			(unsigned long long)l->log->checkpoint.size);
}

static void end_progress(const struct looking *l)
{
	if (l->progress)
		fputs("\r\033[K", stderr);
}

static enum err tell_log(struct audit_run *run, const struct audit_log *log, enum finding_kind kind,
	const char *text)
{
	const struct audit_tell tell = {kind, log->name.text, false, 0, NULL, 0};

	return audit_tell(run, &tell, "%s", text);
}

static enum err walk_log(struct looking *l, struct errctx *ctx)
{
	struct audit_log *log = l->log;
	struct audit_jobs jobs = {l->run->jobs, on_progress, l};
	struct walk_opts opts = {.source = &l->run->source.files,
		.origin = log->name.text,
		.checkpoint = &log->checkpoint,
		.note = buf_bytes(&log->note),
		.findings = l->run->findings,
		.each = on_entry,
		.arg = l};
	enum err err;

	for (size_t i = 0; audit_hooks[i] != NULL; i++)
		if (audit_hooks[i]->before != NULL)
			TRY(audit_hooks[i]->before(l->run, log, &opts, ctx));
	err = audit_jobs_run(&opts, &jobs, &log->result, ctx);
	end_progress(l);
	TRY(err);
	log->walked = true;
	return l->run->source.files.tiles
		       ? OK
		       : tell_log(l->run, log, FINDING_UNFINISHED,
				 "its tiles could not be compared: the source has none");
}

/* The directory of --directory, once its entries are known to be the signed ones. */
static enum err fold_log(struct looking *l, struct errctx *ctx)
{
	struct origin_parts parts;
	char network[LIMIT_NETWORK_NAME + 1];
	enum err err;

	TRY(origin_parse(bytes_str(l->log->origin.text), NULL, &parts));
	snprintf(network, sizeof(network), "%.*s", BYTES_FMT(parts.network));
	TRY(directory_new(network, &l->folding));
	err = walk_log(l, ctx);
	if (err == OK && l->log->result.rooted && directory_origin(l->folding, NULL) == NULL)
		err = tell_log(l->run, l->log, FINDING_OPENED_BAD,
			"it does not begin as the directory of a network");
	else if (err == OK && l->log->result.rooted) {
		l->run->directory = l->folding;
		l->folding = NULL;
	}
	directory_free(l->folding);
	l->folding = NULL;
	return err;
}

static enum err read_note(
	struct audit_run *run, struct audit_log *log, bool *ret_there, struct errctx *ctx)
{
	const struct audit_source *source = &run->source.files;
	enum err err = source->read(
		source->arg, log->name.text, "checkpoint", LIMIT_NOTE_SIZE, &log->note, ctx);

	*ret_there = err == OK;
	if (err == ERR_NOTFOUND)
		return tell_log(run, log, FINDING_FILE_MISSING, "its checkpoint is not there");
	if (err == ERR_LIMIT || err == ERR_INVALID)
		return tell_log(run, log, FINDING_CHECKPOINT_BAD,
			err == ERR_LIMIT ? "its checkpoint is larger than it can be"
					 : "its checkpoint is no regular file");
	return err;
}

static enum err look(struct looking *l, struct errctx *ctx)
{
	struct audit_log *log = l->log;
	struct audit_run *run = l->run;
	bool own = strcmp(log->name.text, run->directory_key.name) == 0, there;

	TRY(read_note(run, log, &there, ctx));
	if (!there)
		return OK;
	TRY(audit_trust_form(run, log));
	if (!log->formed)
		return OK;
	TRY(audit_trust_key(run, log, ctx));
	if (!log->has_key)
		return OK;
	TRY(audit_trust_note(run, log));
	if (!log->trusted)
		return OK;
	TRY(own ? fold_log(l, ctx) : walk_log(l, ctx));
	return audit_trust_quorum(run, log, ctx);
}

/* What could not be looked at ends this log, not the run. */
static enum err look_at(struct audit_run *run, size_t number, struct errctx *ctx)
{
	struct looking l = {.run = run, .log = &run->logs[number], .number = number};

	l.progress = !run->cli->json && isatty(STDERR_FILENO) == 1;
	l.log->err = look(&l, &l.log->why);
	if (l.log->err == ERR_NOMEM || l.log->err == ERR_CRYPTO)
		return err_set(ctx, l.log->err, "%s", err_message(&l.log->why, l.log->err));
	for (size_t i = 0; audit_hooks[i] != NULL; i++)
		if (audit_hooks[i]->after != NULL)
			TRY(audit_hooks[i]->after(run, l.log, ctx));
	/* Its finding has it: many large ones that nobody signed are not kept. */
	if (!l.log->trusted)
		buf_release(&l.log->note);
	return OK;
}

/* --- the run --- */

static enum err call_hooks(struct audit_run *run, size_t offset, struct errctx *ctx)
{
	for (size_t i = 0; audit_hooks[i] != NULL; i++) {
		enum err (*const *hook)(struct audit_run *, struct errctx *) =
			(const void *)((const char *)audit_hooks[i] + offset);

		if (*hook != NULL)
			TRY((*hook)(run, ctx));
	}
	return OK;
}
#define CALL_HOOKS(name) call_hooks(run, offsetof(struct audit_hook, name), ctx)

static enum err read_options(struct audit_run *run, struct errctx *ctx)
{
	const char *now = args_option(run->args, "now"), *jobs = args_option(run->args, "jobs");
	uint64_t count = 1;

	if (now == NULL)
		run->now_s = (uint64_t)time(NULL);
	else if (event_time_parse(bytes_str(now), &run->now_s) != OK)
		return cli_usage(run->cli, ctx, "--now is no time as 2026-01-31T12:00:00Z");
	if (jobs != NULL &&
		(decimal_parse(bytes_str(jobs), AUDIT_JOBS_MAX, &count) != OK || count == 0))
		return cli_usage(run->cli, ctx, "--jobs is 1 to %d", AUDIT_JOBS_MAX);
	run->jobs = (unsigned)count;
	run->cli->ca = args_option(run->args, "ca");
	return run->policy != NULL ? OK : audit_trust_options(run, ctx);
}

enum err audit_run_look(struct audit_run *run, struct errctx *ctx)
{
	TRY(findings_new(&run->findings));
	TRY(read_options(run, ctx));
	TRY(source_open(run->cli, run->source_text, &run->source, ctx));
	TRY(list_logs(run, ctx));
	TRY(tell_unlisted(run));
	TRY(CALL_HOOKS(begin));
	for (size_t i = 0; i < run->log_count; i++)
		TRY(look_at(run, i, ctx));
	return CALL_HOOKS(end);
}

static enum err audit_all(struct audit_run *run, struct errctx *ctx)
{
	TRY(audit_run_look(run, ctx));
	TRY(audit_report(run, ctx));
	return CALL_HOOKS(finish);
}

static const struct finding *first_violation(const struct audit_run *run)
{
	for (size_t i = 0; i < findings_count(run->findings); i++) {
		const struct finding *f = findings_at(run->findings, i);

		if (finding_kind_severity(f->kind) == FINDING_VIOLATION)
			return f;
	}
	return NULL;
}

/* 4 for a violation; else 1 for what could not be looked at, all of it or a log. */
static enum err verdict(const struct audit_run *run, struct errctx *ctx)
{
	const struct finding *bad = first_violation(run);
	uint64_t count = findings_of(run->findings, FINDING_VIOLATION);
	size_t walked = 0;

	if (bad != NULL)
		return err_set(ctx, ERR_PROOF, "%llu %s: %s%s%s", (unsigned long long)count,
			count == 1 ? "violation" : "violations; the first", bad->origin,
			bad->origin[0] == '\0' ? "" : ": ", bad->text);
	for (size_t i = 0; i < run->log_count; i++) {
		const struct audit_log *log = &run->logs[i];

		walked += log->walked;
		if (log->err != OK)
			return err_set(ctx, ERR_IO, "log '%s' could not be looked at: %s",
				log->name.text, err_message(&log->why, log->err));
	}
	if (audit_run_blind(run))
		return err_set(ctx, ERR_NOTFOUND,
			"'%s' does not say which logs it has, so the directory's alone was looked "
			"at: name the others",
			run->source_text);
	if (run->evidence_unread)
		return err_set(ctx, ERR_IO,
			"the proofs of forks that '%s' holds could not all be looked at",
			run->source_text);
	return walked > 0 ? OK
			  : err_set(ctx, ERR_NOTFOUND,
				    "none of the logs in '%s' is one whose key is known",
				    run->source_text);
}

/* Whatever kept it from looking is exit code 1, also what is a code of its own elsewhere. */
static enum err could_not_look(enum err err)
{
	return err == ERR_NOMEM || err == ERR_CRYPTO || err == ERR_INVALID ? err : ERR_IO;
}

void audit_run_release(struct audit_run *run)
{
	for (size_t i = 0; audit_hooks[i] != NULL; i++)
		if (audit_hooks[i]->release != NULL)
			audit_hooks[i]->release(run);
	for (size_t i = 0; i < run->log_count; i++) {
		buf_release(&run->logs[i].note);
		buf_release(&run->logs[i].opened);
		mem_free(run->logs[i].cosigners);
	}
	mem_free(run->logs);
	directory_free(run->directory);
	tlog_policy_free(run->policy);
	findings_free(run->findings);
	source_close(&run->source);
}

enum err audit_log_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct audit_run run = {.cli = cli, .args = args, .source_text = args_at(args, 0)};
	enum err err;

	/* Files of entries can have 16 MiB. What is freed of them goes back at once; the allocator
	 * would learn to keep it, in each thread. */
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
	err = audit_all(&run, ctx);
	err = err == OK ? verdict(&run, ctx)
			: err_set(ctx, could_not_look(err), "%s", err_message(ctx, err));
	audit_run_release(&run);
	return err;
}

const struct cli_option audit_log_options[] = {
	{"directory", "KEY", "the verifier key of the network's directory: all else follows",
		false},
	{"policy", "FILE", "logs, cosigners and their quorum (C2SP tlog-policy)", false},
	{"ca", "FILE", "PEM certificates to verify https with, in place of the system's", false},
	{"jobs", "N", "threads that hash (1 to 16; default 1)", false},
	{"state", "FILE", "what the last visit knew; written anew after the run", false},
	{"incremental", NULL, "of what the state knows hash only what is new", false},
	{"opened", "FILE", "an office's ledger, too ('sauti ledger disclose')", false},
	{"html", "FILE", "write the report as one page that can be printed", false},
	{"now", "TIME", "judge as of then, 2026-01-31T12:00:00Z", false},
	{0},
};
