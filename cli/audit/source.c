#include "cli/audit/source.h"

#include <stdlib.h>

/* What is wrong first. */
static enum err refuse(
	const struct source_read *read, const struct findings *findings, struct errctx *ctx)
{
	for (size_t i = 0; i < findings_count(findings); i++) {
		const struct finding *f = findings_at(findings, i);

		if (finding_kind_severity(f->kind) == FINDING_VIOLATION)
			return err_set(ctx, ERR_PROOF, "log '%s': %s", read->origin, f->text);
	}
	return err_set(ctx, ERR_PROOF, "log '%s' is not what was signed", read->origin);
}

static enum err walk_all(const struct source_read *read, const struct checkpoint *checkpoint,
	struct bytes note, struct errctx *ctx)
{
	struct walk_opts opts = {.source = read->source,
		.origin = read->origin,
		.checkpoint = checkpoint,
		.note = note,
		.each = read->each,
		.arg = read->arg};
	struct walk_result result;
	enum err err;

	TRY(findings_new(&opts.findings));
	err = walk_run(&opts, &result, ctx);
	if (err == OK && !result.sound)
		err = refuse(read, opts.findings, ctx);
	findings_free(opts.findings);
	return err;
}

static enum err read_signed(const struct source_read *read, struct bytes note,
	struct tlog_verdict *ret, struct errctx *ctx)
{
	enum err err = tlog_policy_check(read->policy, note, ret, ctx);

	if (err == ERR_MALFORMED || err == ERR_LIMIT)
		return err_wrap(ctx, ERR_PROOF, "checkpoint of '%s'", read->origin);
	TRY(err);
	if (strcmp(ret->checkpoint.origin.text, read->origin) != 0)
		return err_set(
			ctx, ERR_PROOF, "the checkpoint of '%s' is of another log", read->origin);
	return walk_all(read, &ret->checkpoint, note, ctx);
}

enum err source_read(
	const struct source_read *read, struct tlog_verdict *ret_verdict, struct errctx *ctx)
{
	struct tlog_verdict verdict;
	struct buf note;
	enum err err;

	buf_init(&note, LIMIT_NOTE_SIZE + 1);
	err = read->source->read(
		read->source->arg, read->origin, "checkpoint", LIMIT_NOTE_SIZE, &note, ctx);
	if (err == ERR_LIMIT || err == ERR_INVALID)
		err = err_wrap(ctx, ERR_PROOF, "checkpoint of '%s'", read->origin);
	if (err == OK)
		err = read_signed(read, buf_bytes(&note), &verdict, ctx);
	buf_release(&note);
	if (err == OK)
		*ret_verdict = verdict;
	return err;
}

/* --- which logs there are --- */

static uint32_t epoch_of(const struct origin *origin)
{
	struct origin_parts parts = {.counter = 0};

	return origin_parse(bytes_str(origin->text), NULL, &parts) == OK ? parts.counter : 0;
}

static int by_epoch(const void *a, const void *b)
{
	const struct origin *x = a, *y = b;
	uint32_t m = epoch_of(x), n = epoch_of(y);

	return m != n ? (m > n) - (m < n) : strcmp(x->text, y->text);
}

struct wanted {
	const char *network, *node;
	struct source_logs *logs;
};

static enum err on_log(void *arg, const char *name)
{
	struct wanted *wanted = arg;
	struct origin_parts parts;
	struct origin origin;

	if (origin_parse(bytes_str(name), &origin, &parts) != OK ||
		!bytes_equal_str(parts.network, wanted->network) ||
		!bytes_equal_str(parts.node, wanted->node))
		return OK;
	if (wanted->logs->count == SOURCE_LOGS_MAX)
		return ERR_LIMIT;
	wanted->logs->origins[wanted->logs->count++] = origin;
	return OK;
}

enum err source_logs(const struct audit_source *source, const char *network, const char *node,
	struct source_logs *ret, struct errctx *ctx)
{
	struct wanted wanted = {network, node, ret};
	enum err err;

	ret->count = 0;
	err = source->logs(source->arg, on_log, &wanted, ctx);
	if (err == ERR_LIMIT)
		return err_wrap(ctx, err, "'%s', node '%s': more than %d logs", source->name, node,
			SOURCE_LOGS_MAX);
	TRY(err);
	qsort(ret->origins, ret->count, sizeof(ret->origins[0]), by_epoch);
	return OK;
}
