#include "cli/audit/proven.h"

#include "base/alloc.h"
#include "base/limits.h"

enum { TAG_SEALED = 1 << 3 | 2 }; /* the first byte of such an entry: Entry.sealed */

void proven_release(struct proven *proven)
{
	event_release(&proven->event);
	wipe(proven, sizeof(*proven));
}

/* Of the machine, and not of the file. */
static bool own_trouble(enum err err)
{
	return err == ERR_NOMEM || err == ERR_CRYPTO;
}

static enum err not_proven(struct errctx *ctx, enum err err, const char *what)
{
	return own_trouble(err) ? err : err_wrap(ctx, ERR_PROOF, "%s", what);
}

/* The entry that the file brings along, and what opens it. */
static enum err read_opened(
	const struct tlog_proof *proof, struct bytes given, struct opened *ret, struct errctx *ctx)
{
	enum err err = ERR_MALFORMED;

	if (given.size > 0) {
		*ret = (struct opened){.entry = given};
		return OK;
	}
	if (!proof->has_extra)
		return err_set(ctx, ERR_INVALID,
			"the proof does not bring the entry's bytes along: give them with --entry");
	err = opened_parse(proof->extra, ret);
	return err == OK ? OK
			 : err_set(ctx, ERR_PROOF, "extra: not an entry as Sauti puts it there");
}

/* The P must be this entry's, in this log; what it opens must be a part. */
static enum err open_part(
	const struct opened *opened, const char *origin, struct proven *ret, struct errctx *ctx)
{
	struct sealer *sealer = NULL;
	struct buf part;
	struct bytes packed;
	struct hash o;
	enum err err;

	TRY(sealer_new(&sealer));
	buf_init(&part, LIMIT_PART_SIZE);
	sha256(bytes_str(origin), &o);
	err = buf_reserve(&part, LIMIT_PART_SIZE) == NULL
		      ? ERR_NOMEM
		      : seal_open_revealed(sealer, &opened->p, &o, opened->entry, &part);
	if (err != OK && !own_trouble(err))
		err = err_set(ctx, err, "what is to open the entry does not: it is of another one");
	packed = buf_bytes(&part);
	if (err == OK)
		err = part_info_read(packed, &ret->info, ctx);
	if (err == OK)
		err = event_merge(&packed, 1, &ret->event, ctx);
	buf_wipe(&part);
	sealer_free(sealer);
	ret->opened = err == OK;
	return err;
}

static enum err check(const struct tlog_proof *proof, const struct opened *opened,
	const struct tlog_policy *policy, struct proven *ret, struct errctx *ctx)
{
	const struct checkpoint *checkpoint = &ret->verdict.checkpoint;
	enum err err = tlog_policy_check(policy, proof->checkpoint, &ret->verdict, ctx);

	if (err != OK)
		return not_proven(ctx, err, "the checkpoint");
	ret->index = proof->index;
	ret->entry_size = opened->entry.size;
	ret->sealed = opened->entry.size > 0 && opened->entry.data[0] == TAG_SEALED;
	tree_leaf(opened->entry, &ret->leaf);
	if (!proof_inclusion_ok(
		    &proof->path, proof->index, &ret->leaf, checkpoint->size, &checkpoint->root))
		return err_set(ctx, ERR_PROOF,
			"the entry does not stand at that index of the tree that was signed");
	if (!opened->has_p)
		return OK;
	err = open_part(opened, checkpoint->origin.text, ret, ctx);
	return err == OK ? OK : not_proven(ctx, err, "the opened part");
}

enum err proven_check(struct bytes file, struct bytes entry, const struct tlog_policy *policy,
	struct proven *ret, struct errctx *ctx)
{
	struct opened opened = {.has_p = false};
	struct proven proven = {.index = 0};
	struct tlog_proof proof;
	struct buf extra;
	enum err err;

	buf_init(&extra, LIMIT_TLOG_EXTRA + 2);
	if (buf_reserve(&extra, LIMIT_TLOG_EXTRA + 2) == NULL)
		return ERR_NOMEM;
	err = tlog_proof_parse(file, &extra, &proof, ctx);
	if (err != OK)
		err = not_proven(ctx, err, "no proof");
	if (err == OK)
		err = read_opened(&proof, entry, &opened, ctx);
	if (err == OK)
		err = check(&proof, &opened, policy, &proven, ctx);
	wipe(&opened.p, sizeof(opened.p));
	buf_wipe(&extra);
	if (err != OK) {
		proven_release(&proven);
		return err;
	}
	*ret = proven;
	return OK;
}
