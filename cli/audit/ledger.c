#include "cli/audit/ledger.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cli/audit/audit.h"
#include "cli/audit/grants_check.h"
#include "node/files.h"

struct audit_ledger {
	struct buf file; /* the check has views of it */
	struct grants_check *check;
	bool wanted; /* the log that is read */
	bool failed; /* no more of it: why says what */
	bool open;   /* .. and that is not its fault */
	struct errctx why;
	json_t *json, *grants, *erasures;
	size_t verdicts[AUDIT_BAD + 1];
	/* While it is judged. */
	struct audit_run *run;
	enum err err;
};

enum err audit_ledger_new(const char *path, struct audit_ledger **ret, struct errctx *ctx)
{
	struct audit_ledger *ledger = mem_zalloc(sizeof(*ledger));
	enum err err;

	if (ledger == NULL)
		return ERR_NOMEM;
	buf_init(&ledger->file, LIMIT_DISCLOSURE + 1);
	err = files_read(path, LIMIT_DISCLOSURE, &ledger->file, ctx);
	if (err == OK)
		err = grants_check_new(buf_bytes(&ledger->file), &ledger->check, ctx);
	if (err == ERR_PROOF)
		err_wrap(ctx, err, "'%s'", path);
	if (err == OK)
		*ret = ledger;
	else
		audit_ledger_free(ledger);
	return err;
}

void audit_ledger_free(struct audit_ledger *ledger)
{
	if (ledger == NULL)
		return;
	grants_check_free(ledger->check);
	buf_wipe(&ledger->file);
	json_decref(ledger->json);
	json_decref(ledger->grants);
	json_decref(ledger->erasures);
	mem_free(ledger);
}

const char *audit_ledger_network(const struct audit_ledger *ledger)
{
	return grants_check_network(ledger->check);
}

const json_t *audit_ledger_json(const struct audit_ledger *ledger)
{
	return ledger->json;
}

/* Short of memory the run ends; of anything else this ledger, whose first trouble counts. */
static enum err take(struct audit_ledger *ledger, enum err err, const struct errctx *why)
{
	if (err == OK || err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (!ledger->failed) {
		err_set(&ledger->why, err, "%s", err_message(why, err));
		ledger->open = err == ERR_STALE || err == ERR_UNREACHABLE;
	}
	ledger->failed = true;
	return OK;
}

enum err audit_ledger_before(struct audit_ledger *ledger, const struct audit_log *log, bool lacks,
	bool *ret, struct errctx *ctx)
{
	struct errctx why = {""};

	(void)ctx;
	ledger->wanted = *ret = false;
	/* A branch is another history of a log: what counts stands in the log. */
	if (strcmp(log->name.text, log->origin.text) != 0)
		return OK;
	TRY(take(ledger, grants_check_begin(ledger->check, log->name.text, &ledger->wanted, &why),
		&why));
	if (ledger->wanted && lacks) {
		ledger->wanted = false;
		err_set(&why, ERR_UNREACHABLE, "the beginning of log '%s' is not in the source",
			log->name.text);
		return take(ledger, ERR_UNREACHABLE, &why);
	}
	*ret = ledger->wanted;
	return OK;
}

enum err audit_ledger_entry(struct audit_ledger *ledger, uint64_t index, struct bytes entry)
{
	return ledger->wanted && !ledger->failed
		       ? take(ledger, grants_check_entry(ledger->check, index, entry), NULL)
		       : OK;
}

enum err audit_ledger_after(
	struct audit_ledger *ledger, const struct audit_log *log, struct errctx *ctx)
{
	struct errctx why = {""};

	(void)ctx;
	if (!ledger->wanted)
		return OK;
	ledger->wanted = false;
	if (!log->walked || !log->result.rooted) {
		err_set(&why, ERR_PROOF, "log '%s' is not what was signed", log->name.text);
		return take(ledger, ERR_PROOF, &why);
	}
	return take(ledger, grants_check_end(ledger->check, log->checkpoint.size, &why), &why);
}

/* --- judging --- */

/* The first error stays. */
static void keep(struct audit_ledger *ledger, enum err err)
{
	if (ledger->err == OK)
		ledger->err = err;
}

static void on_grant(void *arg, const struct audit_finding *f, const char *origin)
{
	struct audit_ledger *ledger = arg;
	const struct audit_tell tell = {
		f->verdict == AUDIT_BAD ? FINDING_LEDGER_BAD : FINDING_LEDGER_OPEN, origin, true,
		f->at.index, NULL, 0};
	char id[EVENT_ID_TEXT + 1];

	ledger->verdicts[f->verdict]++;
	json_array_append_new(ledger->grants, audit_grant_json(f, origin));
	event_id_text(&f->grant, id);
	if (f->verdict != AUDIT_GOOD)
		keep(ledger, audit_tell(ledger->run, &tell, "the grant %s to '%s' %s: %s", id,
				     f->recipient,
				     f->verdict == AUDIT_BAD ? "was against the rules"
							     : "cannot be judged from here",
				     f->why));
}

static void on_erasure(void *arg, const struct audit_erasure *e, const char *origin)
{
	struct audit_ledger *ledger = arg;
	struct audit_tell tell = {FINDING_ERASURE_OPEN, origin, true, e->at.index, NULL, 0};

	json_array_append_new(ledger->erasures, audit_erasure_json(e, origin));
	if (e->complete && !e->ordered && e->by[0] == '\0') {
		tell.kind = FINDING_LEDGER_BAD;
		keep(ledger,
			audit_tell(ledger->run, &tell,
				"the erasure %s is complete, and was never ordered", e->order));
	} else if (audit_erasure_open(e)) {
		keep(ledger, audit_tell(ledger->run, &tell,
				     "the erasure %s of %zu keys is ordered, and not every holder "
				     "has said yet that it is done",
				     e->order, e->keys));
	}
}

static enum err make_json(struct audit_ledger *ledger)
{
	ledger->json = json_pack("{s:s,s:I,s:b,s:I,s:I,s:I,s:O,s:O}", "node",
		grants_check_node(ledger->check), "disclosed_at",
		(json_int_t)grants_check_made_s(ledger->check), "judged", !ledger->failed, "good",
		(json_int_t)ledger->verdicts[AUDIT_GOOD], "open",
		(json_int_t)ledger->verdicts[AUDIT_OPEN], "bad",
		(json_int_t)ledger->verdicts[AUDIT_BAD], "grants", ledger->grants, "erasures",
		ledger->erasures);
	return ledger->json == NULL ? ERR_NOMEM : OK;
}

enum err audit_ledger_end(struct audit_ledger *ledger, struct audit_run *run, struct errctx *ctx)
{
	const struct grants_judge judge = {run->directory, on_grant, on_erasure, ledger};
	struct audit_tell tell = {FINDING_LEDGER_BAD, NULL, false, 0, NULL, 0};
	struct errctx why = {""};

	(void)ctx;
	ledger->run = run;
	ledger->grants = json_array();
	ledger->erasures = json_array();
	if (ledger->grants == NULL || ledger->erasures == NULL)
		return ERR_NOMEM;
	if (!ledger->failed)
		TRY(take(ledger, grants_check_judge(ledger->check, &judge, &why), &why));
	TRY(ledger->err);
	if (ledger->open)
		tell.kind = FINDING_LEDGER_OPEN;
	if (ledger->failed)
		TRY(audit_tell(run, &tell, "the ledger of '%s' cannot be judged: %s",
			grants_check_node(ledger->check), ledger->why.text));
	return make_json(ledger);
}
