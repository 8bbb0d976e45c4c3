/*
 * Happy path: the state is locked, read and verified; of each log the walk goes on from what is
 * remembered (--incremental) or gives the root at that size; the directory's entries make the
 * history of keys; in the end every log is judged against state and history, what is missing and
 * what proofs of forks the source holds is told; page and state are written last, and of a log with
 * a violation of its tree what was remembered stays.
 */
#include "cli/audit/visit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/record.h"
#include "cli/audit/audit.h"
#include "cli/audit/ledger.h"
#include "cli/audit/page.h"
#include "cli/audit/state.h"
#include "cli/audit/tiles.h"
#include "cli/output.h"
#include "node/files.h"
#include "replication/log/evidence.h"

struct audit_visit {
	char network[LIMIT_NETWORK_NAME + 1]; /* "": of no log */
	char vkey[NOTE_KEY_NAME_MAX + 128];   /* the directory's; "" */
	bool incremental;
	struct audit_state state;
	struct compact from; /* of the walk that is under way */
	struct key_history *history;
	bool known;           /* the history is whole, and of entries that were signed */
	struct findings *odd; /* in it: told once that is known */
	struct audit_ledger *ledger;
	bool *consistent; /* of each log of the run: it goes on from what was */
};

static bool is_own(const struct audit_run *run, const struct audit_log *log)
{
	return strcmp(log->name.text, run->directory_key.name) == 0;
}

static bool is_branch(const struct audit_log *log)
{
	return strcmp(log->name.text, log->origin.text) != 0;
}

static const struct remembered_log *then_of(
	const struct audit_run *run, const struct audit_log *log)
{
	const struct remembered *state = run->visit->state.state;

	return state == NULL || is_branch(log) ? NULL : remembered_find(state, log->name.text);
}

/* --- before anything is read --- */

/* All logs of a run that remembers are of one network. */
static enum err find_network(struct audit_run *run, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;

	for (size_t i = 0; i < run->log_count; i++) {
		struct origin_parts parts;

		TRY(origin_parse(bytes_str(run->logs[i].origin.text), NULL, &parts));
		if (visit->network[0] == '\0')
			snprintf(visit->network, sizeof(visit->network), "%.*s",
				BYTES_FMT(parts.network));
		else if (!bytes_equal_str(parts.network, visit->network) &&
			 args_option(run->args, "state") != NULL)
			return err_set(ctx, ERR_INVALID,
				"there are logs of '%s' and of others: a state is of one network; "
				"name the logs",
				visit->network);
	}
	return OK;
}

static enum err refused(const struct audit_run *run, struct errctx *ctx)
{
	return err_wrap(ctx, ERR_UNTRUSTED, "state '%s' is refused", run->visit->state.path);
}

/* Of the logs whose keys are given: what is remembered was signed by these. */
static enum err check_given(struct audit_run *run, struct errctx *ctx)
{
	const struct remembered *state = run->visit->state.state;

	for (size_t i = 0; i < remembered_count(state); i++) {
		const struct remembered_log *log = remembered_at(state, i);
		const char *origin = log->checkpoint.origin.text;
		const struct note_key *key =
			run->policy == NULL ? NULL : tlog_policy_log(run->policy, origin);

		if (strcmp(origin, run->directory_key.name) == 0)
			key = &run->directory_key;
		if (key == NULL ||
			bytes_equal(BYTES_ARRAY(key->key.b), BYTES_ARRAY(log->key.key.b)))
			continue;
		err_set(ctx, ERR_UNTRUSTED, "log '%s': its key is not the one that was given",
			origin);
		return refused(run, ctx);
	}
	return OK;
}

static enum err open_state(struct audit_run *run, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;
	const char *path = args_option(run->args, "state");
	struct buf vkey;
	enum err err;

	if (path == NULL)
		return visit->incremental
			       ? cli_usage(run->cli, ctx, "--incremental goes on from a --state")
			       : OK;
	if (run->directory_key.name[0] != '\0') {
		buf_init(&vkey, sizeof(visit->vkey));
		note_key_format(&vkey, &run->directory_key);
		snprintf(visit->vkey, sizeof(visit->vkey), "%s", buf_cstr(&vkey));
		buf_release(&vkey);
	}
	TRY(audit_state_open(path, &visit->state, ctx));
	if (visit->state.state == NULL)
		return OK;
	err = remembered_verify(visit->state.state, visit->network, visit->vkey, ctx);
	if (err == ERR_UNTRUSTED)
		return refused(run, ctx);
	TRY(err);
	return check_given(run, ctx);
}

/* Told before the work, which may be of hours. */
static enum err check_page_place(const struct audit_run *run, struct errctx *ctx)
{
	const char *path = args_option(run->args, "html"), *slash;
	char place[PATH_MAX];

	if (path == NULL)
		return OK;
	slash = strrchr(path, '/');
	if (slash == NULL)
		snprintf(place, sizeof(place), ".");
	else
		snprintf(place, sizeof(place), "%.*s", (int)(slash - path + 1), path);
	return access(place, W_OK | X_OK) == 0 ? OK : files_errno(ctx, errno, "write", path);
}

static enum err open_ledger(struct audit_run *run, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;
	const char *path = args_option(run->args, "opened");

	if (path == NULL)
		return OK;
	TRY(audit_ledger_new(path, &visit->ledger, ctx));
	return strcmp(audit_ledger_network(visit->ledger), visit->network) == 0
		       ? OK
		       : err_set(ctx, ERR_INVALID, "'%s' was disclosed in another network", path);
}

/* A web server chooses whether it has a list: without one it is asked for what was there. */
static enum err add_remembered(struct audit_run *run, struct errctx *ctx)
{
	const struct remembered *state = run->visit->state.state;
	enum err err = OK;

	if (state == NULL || run->listed || args_at(run->args, 1) != NULL ||
		run->source.files.starts != NULL)
		return OK;
	for (size_t i = 0; err == OK && i < remembered_count(state); i++)
		err = audit_run_add(run, remembered_at(state, i)->checkpoint.origin.text);
	return err == ERR_LIMIT ? err_set(ctx, err, "more than %d logs", LIMIT_LOGS) : err;
}

static enum err begin(struct audit_run *run, struct errctx *ctx)
{
	struct audit_visit *visit = mem_zalloc(sizeof(*visit));

	if (visit == NULL)
		return ERR_NOMEM;
	visit->state.lock = -1;
	visit->incremental = args_flag(run->args, "incremental");
	run->visit = visit;
	TRY(check_page_place(run, ctx));
	TRY(find_network(run, ctx));
	TRY(open_state(run, ctx));
	TRY(add_remembered(run, ctx));
	visit->consistent = mem_array(run->log_count + 1, sizeof(bool));
	if (visit->consistent == NULL)
		return ERR_NOMEM;
	if (visit->network[0] != '\0' && run->directory_key.name[0] != '\0')
		TRY(key_history_new(visit->network, &visit->history));
	TRY(findings_new(&visit->odd));
	return open_ledger(run, ctx);
}

/* --- one log --- */

/* Of a log whose beginning is not in the source. */
static enum err opened(struct audit_run *run, struct audit_log *log)
{
	const struct remembered_log *then = then_of(run, log);

	buf_clear(&log->opened);
	if (then != NULL)
		buf_put(&log->opened, then->opened);
	return log->opened.err;
}

/* Where the author's cutting off was recorded, if that is so. */
static uint64_t recorded_size(const struct audit_run *run, const struct audit_log *log)
{
	const struct revoked_log *last;
	bool closed;

	if (!run->visit->known || is_branch(log))
		return 0;
	last = directory_last(
		key_history_directory(run->visit->history), log->origin.text, &closed);
	return last == NULL ? 0 : last->size;
}

static void set_marks(struct walk_opts *walk, uint64_t a, uint64_t b)
{
	walk->marks[0] = a < b ? a : b;
	walk->marks[1] = a < b ? b : a;
	if (walk->marks[0] == 0 || walk->marks[0] == walk->marks[1]) {
		walk->marks[0] = walk->marks[1];
		walk->marks[1] = 0;
	}
}

static enum err before(
	struct audit_run *run, struct audit_log *log, struct walk_opts *walk, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;
	const struct remembered_log *then = then_of(run, log);
	bool lacks = source_starts(&run->source.files, log->name.text) > 0;
	bool whole = is_own(run, log);

	if (visit->ledger != NULL) {
		bool wanted;

		TRY(audit_ledger_before(visit->ledger, log, lacks, &wanted, ctx));
		whole = whole || wanted;
	}
	set_marks(walk, then == NULL ? 0 : then->checkpoint.size, recorded_size(run, log));
	if ((!visit->incremental && !lacks) || whole || then == NULL ||
		then->checkpoint.size > log->checkpoint.size ||
		!bytes_equal(BYTES_ARRAY(then->key.key.b), BYTES_ARRAY(log->key.key.b)))
		return OK;
	remembered_tree(then, &visit->from);
	walk->from = &visit->from;
	walk->from_root = &then->checkpoint.root;
	return OK;
}

static enum err entry(
	struct audit_run *run, const struct audit_log *log, uint64_t index, struct bytes bytes)
{
	struct audit_visit *visit = run->visit;

	if (visit->history != NULL && is_own(run, log))
		TRY(key_history_entry(visit->history, bytes, visit->odd));
	return visit->ledger == NULL ? OK : audit_ledger_entry(visit->ledger, index, bytes);
}

/* What is remembered of other logs was opened by the keys that this directory names for them. */
static enum err check_openers(struct audit_run *run, struct errctx *ctx)
{
	const struct remembered *state = run->visit->state.state;

	for (size_t i = 0; state != NULL && i < remembered_count(state); i++) {
		const struct remembered_log *log = remembered_at(state, i);
		const char *origin = log->checkpoint.origin.text;
		const struct ed25519_public *node =
			directory_opener(key_history_directory(run->visit->history), origin);
		struct log_opened opened;
		struct arena arena;
		enum err err;

		if (node == NULL)
			continue;
		arena_init(&arena, LIMIT_ARENA_SIZE);
		err = log_opened_read(log->opened, node, &arena, &opened, ctx);
		arena_release(&arena);
		if (err == ERR_NOMEM || err == ERR_CRYPTO)
			return err;
		if (err != OK) {
			err_set(ctx, ERR_UNTRUSTED,
				"log '%s': it was not opened by its node, as it remembers it",
				origin);
			return refused(run, ctx);
		}
	}
	return OK;
}

static const struct hash *marked(
	const struct audit_log *log, const struct walk_opts *marks, uint64_t size)
{
	for (size_t i = 0; i < WALK_MARKS; i++)
		if (size > 0 && marks->marks[i] == size && log->result.marked[i])
			return &log->result.mark[i];
	return NULL;
}

/* The root at that size of a walk that came out right; NULL: it is not known. */
static const struct hash *root_then(
	const struct audit_run *run, const struct audit_log *log, uint64_t size)
{
	const struct remembered_log *then = then_of(run, log);
	struct walk_opts marks = {.marks = {0}};

	if (!log->walked || !log->result.rooted)
		return NULL;
	if (then != NULL && log->result.from == size && size == then->checkpoint.size)
		return &then->checkpoint.root; /* it went on from there */
	set_marks(&marks, then == NULL ? 0 : then->checkpoint.size, recorded_size(run, log));
	return marked(log, &marks, size);
}

static enum err judge_size(struct audit_run *run, const struct audit_log *log)
{
	struct tree_source tree;
	struct audit_tiles tiles;
	struct key_history_size size = {.key = &log->key,
		.note = buf_bytes(&log->note),
		.opened = buf_bytes(&log->opened),
		.root_at = root_then(run, log, recorded_size(run, log))};
	enum err err;

	audit_tiles_init(&tiles, &run->source.files, log->name.text, log->checkpoint.size);
	tree = audit_tiles_tree(&tiles);
	size.tree = run->source.files.tiles ? &tree : NULL;
	err = key_history_size(run->visit->history, &size, run->findings);
	audit_tiles_release(&tiles);
	return err;
}

static enum err judge_keys(struct audit_run *run, const struct audit_log *log)
{
	struct key_history *history = run->visit->history;
	struct key_history_note note;
	enum err err;

	if (!is_branch(log)) {
		err = key_history_opened(
			history, log->name.text, buf_bytes(&log->opened), run->findings);
		if (err != ERR_LIMIT)
			TRY(err);
	}
	if (!log->trusted)
		return OK;
	TRY(key_history_note(history, log->name.text, buf_bytes(&log->note), &note, run->findings));
	return is_branch(log) ? OK : judge_size(run, log);
}

/* --- against the last visit --- */

/* <network>/mirror/<node>, <network>/witness/<node>: of who writes this log? */
static bool is_author(
	const struct audit_run *run, const struct audit_log *log, const char *cosigner)
{
	const char *node = strrchr(cosigner, '/');
	const struct member *member;
	struct origin_parts parts;

	if (node == NULL || origin_parse(bytes_str(log->origin.text), NULL, &parts) != OK)
		return false;
	if (!log->directory)
		return bytes_equal_str(parts.node, node + 1);
	member =
		run->directory == NULL ? NULL : directory_find(run->directory, bytes_str(node + 1));
	return member != NULL && member->role == ROLE_HQ;
}

/* The newest cosignature; none of its author, who can make an old copy look fresh, and none from
 * the future, which would be fresh for ever. */
static uint64_t cosigned_at(const struct audit_run *run, const struct audit_log *log)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < log->cosigner_count; i++) {
		uint64_t time_s = log->cosigners[i].time_s;

		if (time_s > newest && time_s <= run->now_s + HISTORY_SLACK_S &&
			!is_author(run, log, log->cosigners[i].name))
			newest = time_s;
	}
	return newest;
}

static enum err judge_then(struct audit_run *run, const struct audit_log *log,
	const struct remembered_log *then, bool *ret_consistent, struct errctx *ctx)
{
	const struct audit_visit *visit = run->visit;
	struct tree_source tree;
	struct audit_tiles tiles;
	struct remembered_now now = {.note = buf_bytes(&log->note),
		.opened = buf_bytes(&log->opened),
		.key = &log->key,
		.node = log->has_node ? &log->node : NULL,
		.root_then = root_then(run, log, then->checkpoint.size),
		.cosigned_at = cosigned_at(run, log),
		.ended = visit->known && key_history_ended(visit->history, log->name.text) &&
			 !log->directory,
		.now_s = run->now_s};
	enum err err;

	audit_tiles_init(&tiles, &run->source.files, log->name.text, log->checkpoint.size);
	tree = audit_tiles_tree(&tiles);
	/* A walk that went on from what was remembered needs no other proof. */
	now.tree = run->source.files.tiles && !(now.root_then != NULL && log->result.from > 0)
			   ? &tree
			   : NULL;
	err = remembered_judge(then, &now, run->findings, ret_consistent, ctx);
	audit_tiles_release(&tiles);
	return err;
}

static enum err judge_log(struct audit_run *run, const struct audit_log *log, struct errctx *ctx)
{
	const struct remembered_log *then = then_of(run, log);
	bool *consistent = &run->visit->consistent[log - run->logs];

	*consistent = then == NULL;
	return then == NULL || !log->trusted ? OK : judge_then(run, log, then, consistent, ctx);
}

static enum err after(struct audit_run *run, struct audit_log *log, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;

	if (is_own(run, log))
		TRY(judge_log(run, log, ctx));
	if (is_own(run, log) && log->walked && log->result.rooted && run->directory != NULL) {
		TRY(key_history_close(visit->history));
		visit->known = true;
		for (size_t i = 0; i < findings_count(visit->odd); i++)
			TRY(findings_add(run->findings, findings_at(visit->odd, i)));
		/* Another directory than at the last visit may name others. */
		if (visit->consistent[log - run->logs])
			TRY(check_openers(run, ctx));
	}
	if (visit->known)
		TRY(judge_keys(run, log));
	return visit->ledger == NULL ? OK : audit_ledger_after(visit->ledger, log, ctx);
}

/* --- all of them --- */

/* A bundle brings what its receiver lacks, and a web server may have no list: what is not there
 * then nobody has to explain. */
static bool all_wanted(const struct audit_run *run)
{
	return run->listed && run->source.files.starts == NULL;
}

static enum err judge_state(struct audit_run *run, struct errctx *ctx)
{
	const struct remembered *state = run->visit->state.state;

	for (size_t i = 0; i < run->log_count; i++)
		if (!is_own(run, &run->logs[i]))
			TRY(judge_log(run, &run->logs[i], ctx));
	for (size_t i = 0; state != NULL && all_wanted(run) && i < remembered_count(state); i++) {
		const struct remembered_log *then = remembered_at(state, i);

		if (audit_run_log(run, then->checkpoint.origin.text) == NULL)
			TRY(remembered_gone(then, run->findings));
	}
	return OK;
}

/* The key of the log that evidence is of, where no directory says whose it is. */
static const struct note_key *key_of_evidence(const struct audit_run *run, struct bytes message)
{
	const struct audit_log *log = NULL;
	struct evidence evidence;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (evidence_parse(message, &arena, &evidence, NULL) == OK)
		log = audit_run_log(run, evidence.smaller.origin.text);
	arena_release(&arena);
	return log == NULL || !log->has_key ? NULL : &log->key;
}

static enum err on_evidence(void *arg, struct bytes message)
{
	struct audit_run *run = arg;
	const struct audit_visit *visit = run->visit;

	return key_history_evidence(visit->known ? visit->history : NULL,
		visit->known ? NULL : key_of_evidence(run, message), message, run->findings);
}

/* A file that is no evidence, or that does not come, does not undo what else was found: whoever
 * gives the files out would only have to spoil one. */
static enum err look_at_evidence(struct audit_run *run)
{
	const struct audit_source *source = &run->source.files;
	struct errctx said = {""};
	enum err err = source->evidence == NULL
			       ? OK
			       : source->evidence(source->arg, on_evidence, run, &said);
	bool bad = err == ERR_MALFORMED || err == ERR_INVALID || err == ERR_LIMIT;
	const struct audit_tell tell = {.kind = bad ? FINDING_EVIDENCE_BAD : FINDING_UNFINISHED};

	if (err == OK || err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	run->evidence_unread = true;
	return audit_tell(run, &tell,
		"not all the proofs of forks that it holds were looked at: %s",
		err_message(&said, err));
}

/* --- branches --- */

/* The root of the larger's tree at the smaller's size, and its proof. *ret: they go together, or
 * that cannot be told. */
static enum err goes_together(const struct audit_run *run, const struct audit_log *smaller,
	const struct audit_log *larger, struct hash *ret_root, struct proof *ret_proof, bool *ret)
{
	const struct checkpoint *m = &smaller->checkpoint, *n = &larger->checkpoint;
	struct audit_tiles tiles;
	struct tree_source tree;
	enum err err;

	*ret = hash_equal(&m->root, &n->root);
	if (m->size == n->size)
		return OK;
	audit_tiles_init(&tiles, &run->source.files, larger->name.text, n->size);
	tree = audit_tiles_tree(&tiles);
	err = run->source.files.tiles ? tree_root(&tree, m->size, ret_root) : ERR_NOTFOUND;
	if (err == OK)
		err = tree_prove_consistency(&tree, m->size, n->size, ret_proof);
	*ret = err != OK ||
	       !proof_consistency_ok(ret_proof, m->size, ret_root, n->size, &n->root) ||
	       hash_equal(ret_root, &m->root);
	audit_tiles_release(&tiles);
	return err == ERR_NOMEM || err == ERR_CRYPTO ? err : OK;
}

static enum err tell_branch(struct audit_run *run, const struct audit_log *branch,
	const struct audit_log *log, const struct evidence_parts *parts)
{
	const struct audit_log *larger =
		branch->checkpoint.size > log->checkpoint.size ? branch : log;
	CLEANUP(buf_release) struct buf evidence;
	struct audit_tell tell = {.kind = FINDING_FORK, .origin = log->name.text};
	struct finding_proof proofs[] = {{"checkpoint", buf_bytes(&log->note), false},
		{"checkpoint of the branch", buf_bytes(&branch->note), false},
		{"evidence", BYTES_NONE, false}};
	enum err err;

	buf_init(&evidence, LIMIT_EVIDENCE_SIZE);
	err = evidence_make(parts, &log->key, &evidence, NULL);
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	proofs[2].data = buf_bytes(&evidence);
	tell.proofs = proofs;
	tell.proof_count = err == OK ? 3 : 2;
	return audit_tell(run, &tell,
		"its key signed two histories, and both are here: one of %" PRIu64
		" entries, and the branch '%s'; %s",
		log->checkpoint.size, branch->name.text,
		larger == log ? "the log does not go on from the branch"
			      : "the branch does not go on from the log");
}

/* What contradicts the log of the same key, in plain sight. */
static enum err judge_branch(struct audit_run *run, const struct audit_log *branch)
{
	const struct audit_log *log = audit_run_log(run, branch->origin.text), *smaller, *larger;
	struct evidence_parts parts = {.a = buf_bytes(&branch->note)};
	struct proof proof = {.count = 0};
	struct hash root;
	bool together;

	if (log == NULL || !log->trusted || !branch->trusted ||
		!bytes_equal(BYTES_ARRAY(log->key.key.b), BYTES_ARRAY(branch->key.key.b)))
		return OK;
	smaller = branch->checkpoint.size < log->checkpoint.size ? branch : log;
	larger = smaller == log ? branch : log;
	TRY(goes_together(run, smaller, larger, &root, &proof, &together));
	if (together)
		return OK;
	parts.b = buf_bytes(&log->note);
	parts.opened = buf_bytes(&log->opened);
	if (smaller->checkpoint.size < larger->checkpoint.size) {
		parts.root = &root;
		parts.proof = &proof;
	}
	return tell_branch(run, branch, log, &parts);
}

static enum err judge_branches(struct audit_run *run)
{
	for (size_t i = 0; i < run->log_count; i++)
		if (is_branch(&run->logs[i]))
			TRY(judge_branch(run, &run->logs[i]));
	return OK;
}

static enum err end(struct audit_run *run, struct errctx *ctx)
{
	struct audit_visit *visit = run->visit;
	const struct audit_tell unfinished = {.kind = FINDING_UNFINISHED};

	TRY(judge_state(run, ctx));
	TRY(judge_branches(run));
	if (visit->known && all_wanted(run))
		TRY(key_history_missing(visit->history, run->findings));
	else if (visit->known && args_at(run->args, 1) == NULL)
		TRY(audit_tell(run, &unfinished,
			"which logs are missing was not looked at: this source does not say that "
			"it has all"));
	else if (run->directory_key.name[0] == '\0' && args_at(run->args, 1) == NULL)
		TRY(audit_tell(run, &unfinished,
			"which logs are missing, and which key was used when, was not looked at: "
			"that takes the directory (--directory)"));
	TRY(look_at_evidence(run));
	return visit->ledger == NULL ? OK : audit_ledger_end(visit->ledger, run, ctx);
}

/* --- what is remembered of this visit --- */

/* Violations that say nothing against the tree that the log's key has signed: to go on remembering
 * an older one would only help whoever wants it forgotten, and some of them stay for ever (a record
 * of the directory), or can be put there by whoever passes files on (a bad line) or cosigns (with
 * any time that it likes; of a LogOpened it says that it is entry 0). */
static bool tree_is_good(const struct finding *finding)
{
	enum finding_kind kind = finding->kind;

	if (kind == FINDING_BEFORE_ADMISSION || kind == FINDING_KEY_REVOKED)
		return !finding->has_index;
	return kind == FINDING_DIRECTORY_ODD || kind == FINDING_COSIGNATURE_BAD ||
	       kind == FINDING_QUORUM_MISSING || kind == FINDING_LEDGER_BAD ||
	       kind == FINDING_EPOCH_GAP;
}

static bool has_violation(const struct audit_run *run, const char *origin)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < findings_count(run->findings); i++) {
		const struct finding *f = findings_at(run->findings, i);

		if (finding_kind_severity(f->kind) != FINDING_VIOLATION)
			continue;
		seen++;
		if (strcmp(f->origin, origin) == 0 && !tree_is_good(f))
			return true;
	}
	/* Of those that were left out nobody knows whose they are. */
	return seen < findings_of(run->findings, FINDING_VIOLATION);
}

static bool may_replace(const struct audit_run *run, size_t i)
{
	const struct audit_log *log = &run->logs[i];

	return log->err == OK && log->trusted && log->walked && log->result.sound &&
	       !is_branch(log) && log->opened.size > 0 && run->visit->consistent[i] &&
	       !has_violation(run, log->name.text);
}

enum { NOTE_WHOLE = 4096 };

/* With its cosignatures, unless somebody made it long: then what its key signed, so that nobody who
 * passes files on makes the state too large. Room is for what is made. */
static enum err note_to_keep(
	const struct audit_log *log, struct buf *room, struct bytes *ret, struct errctx *ctx)
{
	*ret = buf_bytes(&log->note);
	if (ret->size <= NOTE_WHOLE)
		return OK;
	TRY(checkpoint_strip(*ret, &log->key, room, ctx));
	*ret = buf_bytes(room);
	return OK;
}

static enum err put_log(
	struct audit_run *run, size_t i, struct remembered *next, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf room;
	const struct audit_log *log = &run->logs[i];
	const struct remembered_log *then = then_of(run, log);
	struct remembered_log fresh = {.opened = buf_bytes(&log->opened),
		.node_known = log->has_node,
		.node = log->node,
		.peaks = log->result.tree.peaks,
		.changed_at = run->now_s,
		.cosigned_at = cosigned_at(run, log)};

	buf_init(&room, LIMIT_NOTE_SIZE);
	TRY(note_to_keep(log, &room, &fresh.note, ctx));
	if (then != NULL && then->checkpoint.size == log->checkpoint.size) {
		fresh.changed_at = then->changed_at;
		if (then->cosigned_at > fresh.cosigned_at)
			fresh.cosigned_at = then->cosigned_at;
	}
	return remembered_put(next, &fresh, ctx);
}

static enum err make_next(struct audit_run *run, struct remembered **ret, struct errctx *ctx)
{
	const struct remembered *state = run->visit->state.state;
	const char *vkey = run->visit->vkey;
	struct remembered *next;
	enum err err = OK;

	if (vkey[0] == '\0' && state != NULL)
		vkey = remembered_directory(state);
	TRY(remembered_new(run->visit->network, vkey, &next));
	remembered_set_visited_at(next, run->now_s);
	for (size_t i = 0; err == OK && state != NULL && i < remembered_count(state); i++)
		err = remembered_put(next, remembered_at(state, i), ctx);
	for (size_t i = 0; err == OK && i < run->log_count; i++)
		if (may_replace(run, i))
			err = put_log(run, i, next, ctx);
	if (err == OK)
		*ret = next;
	else
		remembered_free(next);
	return err;
}

static enum err write_state(struct audit_run *run, struct errctx *ctx)
{
	struct remembered *next;
	enum err err;

	if (run->visit->state.path == NULL || run->visit->network[0] == '\0')
		return OK;
	TRY(make_next(run, &next, ctx));
	err = audit_state_write(&run->visit->state, next, ctx);
	remembered_free(next);
	return err;
}

static enum err finish(struct audit_run *run, struct errctx *ctx)
{
	const char *page = args_option(run->args, "html");

	if (page != NULL)
		TRY(audit_page_write(run, page, ctx));
	return write_state(run, ctx);
}

static void release(struct audit_run *run)
{
	struct audit_visit *visit = run->visit;

	if (visit == NULL)
		return;
	audit_state_close(&visit->state);
	key_history_free(visit->history);
	findings_free(visit->odd);
	audit_ledger_free(visit->ledger);
	mem_free(visit->consistent);
	mem_free(visit);
	run->visit = NULL;
}

const struct audit_hook audit_visit_hook = {.begin = begin,
	.before = before,
	.entry = entry,
	.after = after,
	.opened = opened,
	.end = end,
	.finish = finish,
	.release = release};

/* --- for the report --- */

const struct remembered *audit_visit_before(const struct audit_run *run)
{
	return run->visit == NULL ? NULL : run->visit->state.state;
}

const struct key_history *audit_visit_history(const struct audit_run *run)
{
	return run->visit == NULL || !run->visit->known ? NULL : run->visit->history;
}

const json_t *audit_visit_ledger(const struct audit_run *run)
{
	return run->visit == NULL || run->visit->ledger == NULL
		       ? NULL
		       : audit_ledger_json(run->visit->ledger);
}

static json_t *key_json(const struct key_history_key *key)
{
	struct buf text;
	json_t *json;

	buf_init(&text, 64);
	base64_encode(&text, BYTES_ARRAY(key->key.b));
	json = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "node", key->node, "use",
		key_history_use_name(key->use), "key", buf_cstr(&text), "since_record",
		(json_int_t)key->came_index, "since", (json_int_t)key->came_at, "state",
		key_history_end_name(key->end));
	buf_release(&text);
	if (json != NULL && key->end != HISTORY_LIVE) {
		json_object_set_new(
			json, "ended_record", json_integer((json_int_t)key->ended_index));
		json_object_set_new(json, "ended", json_integer((json_int_t)key->ended_at));
	}
	return json;
}

void audit_visit_json(const struct audit_run *run, json_t *report)
{
	const struct remembered *before_ = audit_visit_before(run);
	const struct key_history *history = audit_visit_history(run);
	const json_t *ledger = audit_visit_ledger(run);

	if (run->visit->state.path != NULL)
		json_object_set_new(report, "state",
			json_pack("{s:s,s:b,s:I}", "file", run->visit->state.path, "first_visit",
				before_ == NULL, "last_visit",
				(json_int_t)(before_ == NULL ? 0
							     : remembered_visited_at(before_))));
	if (history != NULL) {
		json_t *keys = json_array();

		for (size_t i = 0; i < key_history_count(history); i++)
			json_array_append_new(keys, key_json(key_history_at(history, i)));
		json_object_set_new(report, "keys", keys);
	}
	if (ledger != NULL)
		json_object_set(report, "ledger", (json_t *)ledger);
}

enum err audit_visit_log_json(
	const struct audit_run *run, const struct audit_log *log, json_t *json)
{
	const struct remembered_log *then = then_of(run, log);

	if (then == NULL)
		return OK;
	return json_object_set_new(json, "remembered",
		       json_pack("{s:I,s:I,s:I}", "size", (json_int_t)then->checkpoint.size,
			       "since", (json_int_t)then->changed_at, "cosigned",
			       (json_int_t)then->cosigned_at)) == 0
		       ? OK
		       : ERR_NOMEM;
}

void audit_visit_print_log(const struct audit_run *run, const struct audit_log *log)
{
	const struct remembered_log *then = then_of(run, log);

	if (then != NULL)
		printf("        %" PRIu64 " of them at the last visit\n", then->checkpoint.size);
}

void audit_visit_print(const struct audit_run *run)
{
	const struct remembered *before_ = audit_visit_before(run);
	const json_t *ledger = audit_visit_ledger(run);
	struct output_buffer b;
	char at[21];

	if (before_ != NULL) {
		audit_time_text(remembered_visited_at(before_), at);
		printf("visited %s, %zu logs remembered\n", at, remembered_count(before_));
	} else if (run->visit->state.path != NULL) {
		puts("visited for the first time: what was before nobody remembers");
	}
	if (ledger == NULL)
		return;
	printf("ledger  of %s, grants: %" PRIu64 " good, %" PRIu64 " open, %" PRIu64 " bad\n",
		output_member(ledger, "node", &b), output_number(ledger, "good"),
		output_number(ledger, "open"), output_number(ledger, "bad"));
	audit_grants_print(json_object_get(ledger, "grants"));
	audit_erasures_print(json_object_get(ledger, "erasures"));
}
