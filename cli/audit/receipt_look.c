#include "cli/audit/receipt.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cases/seal/opened.h"
#include "certs/record_receipt.h"
#include "replication/log/tlog_proof.h"

/* ---- keys ---- */

static void keys_drop(struct receipt_check *check)
{
	if (check->keys != NULL)
		wipe(check->keys, check->key_count * sizeof(*check->keys));
	mem_free(check->keys);
	check->keys = NULL;
	check->key_count = 0;
}

void receipt_check_release(struct receipt_check *check)
{
	keys_drop(check);
	wipe(check, sizeof(*check));
}

/* The n-th order of six words (n < 720): Lehmer's code. */
static void order(const struct receipt_words *words, unsigned n, struct receipt_words *ret)
{
	struct receipt_words left = *words;
	unsigned radix = RECEIPT_ORDERS;

	for (unsigned i = 0; i < RECEIPT_WORDS; i++) {
		unsigned at;

		radix /= RECEIPT_WORDS - i;
		at = n / radix;
		n %= radix;
		ret->number[i] = left.number[at];
		memmove(&left.number[at], &left.number[at + 1],
			(RECEIPT_WORDS - 1 - at) * sizeof(left.number[0]));
	}
	wipe(&left, sizeof(left));
}

/* Of orders that are the same, since a word is there twice, the first. */
static bool is_new(const struct receipt_words *words, unsigned n, const struct receipt_words *one)
{
	struct receipt_words other;
	bool same = false;

	for (unsigned i = 0; i < n && !same; i++) {
		order(words, i, &other);
		same = memcmp(&other, one, sizeof(other)) == 0;
	}
	wipe(&other, sizeof(other));
	return !same;
}

static enum err derive(struct receipt_check *check)
{
	unsigned count = check->any_order ? RECEIPT_ORDERS : 1;
	struct receipt_words words;
	enum err err = OK;

	check->keys = mem_zalloc(count * sizeof(*check->keys));
	if (check->keys == NULL)
		return ERR_NOMEM;
	for (unsigned n = 0; err == OK && n < count; n++) {
		if (check->progress && count > 1)
			fprintf(stderr, "\rorder %u of %u  ", n + 1, count);
		order(&check->words, n, &words);
		if (is_new(&check->words, n, &words))
			err = receipt_keys_derive(
				&words, check->network, &check->keys[check->key_count++]);
	}
	if (check->progress && count > 1)
		fputs("\r\033[K", stderr);
	wipe(&words, sizeof(words));
	return err;
}

/* The words mean something within one network. */
static enum err before(
	struct audit_run *run, struct audit_log *log, struct walk_opts *walk, struct errctx *ctx)
{
	struct receipt_check *check = run->receipt;
	struct origin_parts parts;

	(void)walk;
	if (check == NULL)
		return OK;
	TRY(origin_parse(bytes_str(log->origin.text), NULL, &parts));
	if (bytes_equal_str(parts.network, check->network))
		return OK;
	if (check->network[0] != '\0')
		return err_set(ctx, ERR_INVALID,
			"the source has logs of more than one network: say which logs' policy "
			"counts");
	snprintf(check->network, sizeof(check->network), "%.*s", BYTES_FMT(parts.network));
	return derive(check);
}

/* ---- batches ---- */

static bool same_node(const struct audit_log *a, const struct audit_log *b)
{
	struct origin_parts x, y;

	return origin_parse(bytes_str(a->origin.text), NULL, &x) == OK &&
	       origin_parse(bytes_str(b->origin.text), NULL, &y) == OK &&
	       bytes_equal(x.node, y.node);
}

/* Whose record does it name? Anybody can copy what stands in a batch. */
static unsigned whose(
	const struct audit_run *run, const struct audit_log *log, const struct hash *origin)
{
	struct hash hash;

	for (size_t i = 0; i < run->log_count; i++) {
		sha256(bytes_str(run->logs[i].origin.text), &hash);
		if (hash_equal(&hash, origin))
			return same_node(log, &run->logs[i]) ? 3 : 1;
	}
	return 2;
}

/* Another place for it; NULL: what there is says more, or the same. */
static struct receipt_found *place_for(
	struct receipt_check *check, const struct receipt_found *found)
{
	struct receipt_found *least = &check->found[0];

	for (size_t i = 0; i < check->found_count; i++) {
		struct receipt_found *f = &check->found[i];

		if (f->log == found->log && f->key == found->key &&
			((f->own == 0 && found->own == 0) ||
				memcmp(&f->item, &found->item, sizeof(f->item)) == 0))
			return NULL;
		if (f->own < least->own)
			least = f;
	}
	if (check->found_count < RECEIPT_FOUND_MAX)
		return &check->found[check->found_count++];
	return least->own < found->own ? least : NULL;
}

/* Whoever writes a log can put tags of others into as many batches as they like: that must not
 * crowd out the true one. */
static enum err take(struct audit_run *run, struct receipt_found *found)
{
	struct receipt_check *check = run->receipt;
	enum err err = receipt_item_open(&check->keys[found->key], &found->item, &found->box);
	struct receipt_found *place;

	if (err == OK)
		found->own = whose(run, &run->logs[found->log], &found->box.origin);
	else if (err != ERR_DECRYPT && err != ERR_VERSION)
		return err;
	found->verdict = err == OK ? RECEIPT_NOT_THERE : RECEIPT_FALSE_ITEM;
	check->found_all++;
	place = place_for(check, found);
	if (place != NULL)
		*place = *found;
	return OK;
}

static enum err look_at(struct audit_run *run, size_t log, uint64_t index, struct bytes items)
{
	const struct receipt_check *check = run->receipt;

	for (size_t k = 0; k < check->key_count; k++) {
		size_t at = receipt_batch_find(items, check->keys[k].tag);
		struct receipt_found found = {
			.log = log, .index = index, .key = k, .record_log = SIZE_MAX};

		if (at == SIZE_MAX)
			continue;
		receipt_batch_at(items, at, &found.item);
		TRY(take(run, &found));
	}
	return OK;
}

static enum err look(
	struct audit_run *run, const struct audit_log *log, uint64_t index, struct bytes bytes)
{
	CLEANUP(arena_release) struct arena arena;
	struct receipt_check *check = run->receipt;
	struct receipt_tags tags;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = receipt_tags_read(bytes, NULL, &arena, &tags, NULL);
	if (err == ERR_NOMEM)
		return err;
	check->batches++;
	if (err == OK)
		return look_at(run, (size_t)(log - run->logs), index, tags.items);
	if (check->malformed++ == 0) {
		check->malformed_log = (size_t)(log - run->logs);
		check->malformed_index = index;
	}
	return OK;
}

static enum err entry(
	struct audit_run *run, const struct audit_log *log, uint64_t index, struct bytes bytes)
{
	return run->receipt == NULL || !receipt_tags_looks_like(bytes)
		       ? OK
		       : look(run, log, index, bytes);
}

const struct audit_hook receipt_hook = {.before = before, .entry = entry};

/* ---- an entry, and its proof ---- */

/* On the way of one more walk. */
struct taking {
	uint64_t index;
	struct buf entry;
	struct hash *leaves; /* NULL: not wanted */
};

static enum err take_entry(void *arg, uint64_t index, struct bytes bytes)
{
	struct taking *t = arg;

	if (t->leaves != NULL)
		tree_leaf(bytes, &t->leaves[index]);
	if (index == t->index)
		buf_put(&t->entry, bytes);
	return t->entry.err;
}

/* Once more from the beginning to the signed root: what is given out is what was signed. */
static enum err take_from(const struct audit_run *run, const struct audit_log *log,
	struct taking *t, struct errctx *ctx)
{
	struct walk_opts opts = {.source = &run->source.files,
		.origin = log->name.text,
		.checkpoint = &log->checkpoint,
		.note = buf_bytes(&log->note),
		.each = take_entry,
		.arg = t};
	struct walk_result result = {.rooted = false};
	struct findings *findings = NULL;
	enum err err;

	TRY(findings_new(&findings));
	opts.findings = findings;
	err = walk_run(&opts, &result, ctx);
	findings_free(findings);
	if (err == OK && (!result.rooted || t->entry.size == 0))
		err = err_set(
			ctx, ERR_PROOF, "log '%s' is not what it was a moment ago", log->name.text);
	return err;
}

/* The root of a perfect subtree, out of the leaves: of a proof's, each is asked for once. */
static enum err node_of(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct hash *leaves = arg;
	struct compact tree;

	compact_init(&tree);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&tree, &leaves[i]);
	compact_root(&tree, ret);
	return OK;
}

static enum err write_proof(
	const struct audit_log *log, const struct taking *t, struct buf *out, struct errctx *ctx)
{
	struct opened opened = {.entry = buf_bytes(&t->entry)};
	struct tlog_proof proof = {.has_extra = true, .index = t->index};
	const struct tree_source tree = {node_of, t->leaves};
	CLEANUP(buf_release) struct buf extra;
	struct hash leaf;

	buf_init(&extra, LIMIT_TLOG_EXTRA);
	opened_write(&extra, &opened);
	TRY(extra.err);
	TRY(tree_prove_inclusion(&tree, t->index, log->checkpoint.size, &proof.path));
	tree_leaf(buf_bytes(&t->entry), &leaf);
	if (!proof_inclusion_ok(
		    &proof.path, t->index, &leaf, log->checkpoint.size, &log->checkpoint.root))
		return err_set(ctx, ERR_PROOF, "log '%s': entry %llu is not under its root",
			log->name.text, (unsigned long long)t->index);
	proof.extra = buf_bytes(&extra);
	proof.checkpoint = buf_bytes(&log->note);
	tlog_proof_write(out, &proof);
	return out->err;
}

enum err receipt_prove(const struct audit_run *run, size_t number, uint64_t index, struct buf *out,
	struct errctx *ctx)
{
	const struct audit_log *log = &run->logs[number];
	struct taking t = {.index = index};
	enum err err;

	buf_init(&t.entry, LIMIT_ENTRY_SIZE);
	t.leaves = log->checkpoint.size > SIZE_MAX / sizeof(*t.leaves)
			   ? NULL
			   : mem_array((size_t)log->checkpoint.size, sizeof(*t.leaves));
	err = t.leaves == NULL ? ERR_NOMEM : take_from(run, log, &t, ctx);
	if (err == OK)
		err = write_proof(log, &t, out, ctx);
	mem_free(t.leaves);
	buf_release(&t.entry);
	return err;
}

/* ---- what an item says ---- */

static bool is_sealed(struct bytes entry)
{
	enum { TAG_SEALED = 1 << 3 | 2 };

	return entry.size > 0 && entry.data[0] == TAG_SEALED;
}

/* The log whose name has that hash, believed and walked to its root. */
static size_t find_log(const struct audit_run *run, const struct hash *origin)
{
	struct hash hash;

	for (size_t i = 0; i < run->log_count; i++) {
		const struct audit_log *log = &run->logs[i];

		sha256(bytes_str(log->origin.text), &hash);
		if (hash_equal(&hash, origin) && log->trusted && log->walked && log->result.rooted)
			return i;
	}
	return SIZE_MAX;
}

static enum err judge_entry(
	const struct audit_run *run, struct receipt_found *found, struct errctx *ctx)
{
	const struct audit_log *log = &run->logs[found->record_log];
	struct taking t = {.index = found->box.index};
	struct hash leaf;
	enum err err;

	/* It was there before the receipt was given. */
	if (found->record_log == found->log && found->box.index >= found->index) {
		found->verdict = RECEIPT_FALSE_ENTRY;
		return OK;
	}
	if (found->box.index >= log->checkpoint.size)
		return OK;
	buf_init(&t.entry, LIMIT_ENTRY_SIZE);
	err = take_from(run, log, &t, ctx);
	if (err == OK) {
		tree_leaf(buf_bytes(&t.entry), &leaf);
		found->record_size = t.entry.size;
		found->verdict =
			hash_equal(&leaf, &found->box.leaf) && is_sealed(buf_bytes(&t.entry))
				? RECEIPT_PROVEN
				: RECEIPT_FALSE_ENTRY;
	}
	buf_release(&t.entry);
	return err;
}

static enum err judge(const struct audit_run *run, struct receipt_found *found, struct errctx *ctx)
{
	if (found->verdict == RECEIPT_FALSE_ITEM)
		return OK;
	found->record_log = find_log(run, &found->box.origin);
	if (found->own == 1) {
		found->verdict = RECEIPT_STRANGE;
		return OK;
	}
	return found->record_log == SIZE_MAX ? OK : judge_entry(run, found, ctx);
}

enum err receipt_judge(struct audit_run *run, struct errctx *ctx)
{
	struct receipt_check *check = run->receipt;

	for (size_t i = 0; i < check->found_count; i++)
		TRY(judge(run, &check->found[i], ctx));
	return OK;
}
