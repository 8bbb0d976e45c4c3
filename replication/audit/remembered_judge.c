/*
 * What is there now, against what was there at the last visit. Both checkpoints are signed by the
 * log's key: when they do not go together, the two prove it.
 */
#include <inttypes.h>

#include "replication/audit/remembered.h"
#include "replication/audit/say.h"
#include "replication/log/evidence.h"

struct judging {
	const struct remembered_log *then;
	const struct remembered_now *now;
	struct checkpoint checkpoint; /* of now */
	struct findings *findings;
	struct errctx *ctx;
};

static void prove_both(const struct judging *j, struct finding *finding)
{
	finding_prove(finding, "remembered checkpoint", j->then->note);
	finding_prove(finding, "checkpoint", j->now->note);
}

static bool fatal(enum err err)
{
	return err == ERR_NOMEM || err == ERR_CRYPTO;
}

/* Evidence is made last, and is of no matter when it cannot be had: the notes are there. */
static enum err add_fork(
	const struct judging *j, struct finding *finding, enum err made, const struct buf *evidence)
{
	if (fatal(made))
		return made;
	if (made == OK)
		finding_prove(finding, "evidence", buf_bytes(evidence));
	return findings_add(j->findings, finding);
}

static enum err two_keys(const struct judging *j)
{
	CLEANUP(buf_release) struct buf evidence;
	struct finding finding;
	enum err err = ERR_NOTFOUND;

	buf_init(&evidence, LIMIT_EVIDENCE_SIZE);
	finding_say(&finding, FINDING_FORK, j->checkpoint.origin.text,
		"its first entry gives it another key than at the last visit: one log has two "
		"keys, "
		"and so two histories");
	finding_index(&finding, 0);
	finding_prove(&finding, "remembered LogOpened", j->then->opened);
	finding_prove(&finding, "LogOpened", j->now->opened);
	if (j->now->node != NULL)
		err = evidence_make_keys(
			j->then->opened, j->now->opened, j->now->node, &evidence, j->ctx);
	return add_fork(j, &finding, err, &evidence);
}

static enum err rollback(const struct judging *j)
{
	struct finding finding;

	finding_say(&finding, FINDING_ROLLBACK, j->checkpoint.origin.text,
		"it has %" PRIu64 " entries, and had %" PRIu64
		" at the last visit: what was signed then is not here (a mirror may lag: ask "
		"another)",
		j->checkpoint.size, j->then->checkpoint.size);
	finding_index(&finding, j->checkpoint.size);
	prove_both(j, &finding);
	return findings_add(j->findings, &finding);
}

static enum err same_size(const struct judging *j)
{
	const struct evidence_parts parts = {
		.a = j->then->note, .b = j->now->note, .opened = j->then->opened};
	CLEANUP(buf_release) struct buf evidence;
	struct finding finding;

	buf_init(&evidence, LIMIT_EVIDENCE_SIZE);
	finding_say(&finding, FINDING_FORK, j->checkpoint.origin.text,
		"its key signed two roots of %" PRIu64
		" entries: the one of the last visit and the one that is there now",
		j->checkpoint.size);
	prove_both(j, &finding);
	return add_fork(
		j, &finding, evidence_make(&parts, &j->then->key, &evidence, j->ctx), &evidence);
}

/* The first entry of the first peak that is another now: what is before it is the same. */
static enum err first_other(const struct judging *j, uint64_t *ret)
{
	uint64_t size = j->then->checkpoint.size, start = 0;
	size_t peak = 0;

	for (unsigned level = 64; level-- > 0;) {
		struct hash hash;

		if ((size >> level & 1) == 0)
			continue;
		TRY(j->now->tree->node(j->now->tree->arg, level, start >> level, &hash));
		if (!hash_equal(&hash, &j->then->peaks[peak++]))
			break;
		start += UINT64_C(1) << level;
	}
	*ret = start;
	return OK;
}

/* What the tree says of the remembered size, and its proof against the signed root: nothing else of
 * it is believed. */
static enum err root_by_tree(
	const struct judging *j, struct hash *ret_root, struct proof *ret_proof)
{
	uint64_t size = j->then->checkpoint.size;

	if (j->now->tree == NULL)
		return ERR_NOTFOUND;
	TRY(tree_root(j->now->tree, size, ret_root));
	TRY(tree_prove_consistency(j->now->tree, size, j->checkpoint.size, ret_proof));
	return proof_consistency_ok(
		       ret_proof, size, ret_root, j->checkpoint.size, &j->checkpoint.root)
		       ? OK
		       : ERR_PROOF;
}

/* root and proof: NULL, they cannot be had. */
static enum err does_not_follow(
	const struct judging *j, const struct hash *root, const struct proof *proof)
{
	const struct evidence_parts parts = {.a = j->then->note,
		.b = j->now->note,
		.root = root,
		.proof = proof,
		.opened = j->then->opened};
	CLEANUP(buf_release) struct buf evidence;
	struct finding finding;
	uint64_t first = 0;
	enum err err = root == NULL ? ERR_NOTFOUND : first_other(j, &first);

	if (fatal(err))
		return err;
	buf_init(&evidence, LIMIT_EVIDENCE_SIZE);
	finding_say(&finding, FINDING_FORK, j->checkpoint.origin.text,
		"its %" PRIu64 " entries do not go on from the %" PRIu64
		" that its key had signed at the last visit; the first that differs is entry "
		"%" PRIu64 " or one behind it",
		j->checkpoint.size, j->then->checkpoint.size, first);
	finding_index(&finding, first);
	prove_both(j, &finding);
	if (root != NULL)
		err = evidence_make(&parts, &j->then->key, &evidence, j->ctx);
	return add_fork(j, &finding, err, &evidence);
}

static enum err larger(const struct judging *j, bool *ret_consistent)
{
	const struct hash *signed_then = &j->then->checkpoint.root;
	struct proof proof;
	struct hash root;
	enum err err = root_by_tree(j, &root, &proof);

	if (fatal(err))
		return err;
	if (err == OK && !hash_equal(&root, signed_then))
		return does_not_follow(j, &root, &proof);
	if (err != OK && j->now->root_then == NULL)
		return OK;
	if (err != OK && !hash_equal(j->now->root_then, signed_then))
		return does_not_follow(j, NULL, NULL);
	*ret_consistent = true;
	return OK;
}

static enum err same_head(const struct judging *j)
{
	uint64_t newest = j->now->cosigned_at;
	struct finding finding;

	if (j->then->cosigned_at > newest)
		newest = j->then->cosigned_at;
	if (newest == 0)
		newest = j->then->changed_at;
	if (j->now->ended || j->now->now_s <= newest ||
		j->now->now_s - newest <= REMEMBERED_FROZEN_S)
		return OK;
	finding_say(&finding, FINDING_FROZEN, j->checkpoint.origin.text,
		"the same %" PRIu64 " entries as at the last visit, and for %" PRIu64
		" days nobody has cosigned them anew: this may be an old copy that is shown again",
		j->checkpoint.size, (j->now->now_s - newest) / (24 * 60 * 60));
	prove_both(j, &finding);
	return findings_add(j->findings, &finding);
}

enum err remembered_judge(const struct remembered_log *then, const struct remembered_now *now,
	struct findings *findings, bool *ret_consistent, struct errctx *ctx)
{
	struct judging j = {.then = then, .now = now, .findings = findings, .ctx = ctx};
	enum err err = checkpoint_peek(now->note, &j.checkpoint, ctx);

	*ret_consistent = false;
	if (fatal(err))
		return err;
	if (err != OK || strcmp(j.checkpoint.origin.text, then->checkpoint.origin.text) != 0)
		return OK; /* the walk has said so */
	if (!bytes_equal(BYTES_ARRAY(now->key->key.b), BYTES_ARRAY(then->key.key.b)))
		return two_keys(&j);
	if (j.checkpoint.size < then->checkpoint.size)
		return rollback(&j);
	if (j.checkpoint.size == then->checkpoint.size) {
		if (!hash_equal(&j.checkpoint.root, &then->checkpoint.root))
			return same_size(&j);
		*ret_consistent = true;
		return same_head(&j);
	}
	return larger(&j, ret_consistent);
}

enum err remembered_gone(const struct remembered_log *then, struct findings *findings)
{
	struct finding finding;

	finding_say(&finding, FINDING_LOG_MISSING, then->checkpoint.origin.text,
		"it was there at the last visit, with %" PRIu64 " entries, and is not there now",
		then->checkpoint.size);
	finding_prove(&finding, "remembered checkpoint", then->note);
	return findings_add(findings, &finding);
}
