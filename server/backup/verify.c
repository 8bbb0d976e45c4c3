/*
 * backup_verify, the happy path:
 *
 *	1. BACKUP is read; each file has the size and the hash that it says
 *	2. genesis verifies itself: it gives the directory's origin and key
 *	3. the store, opened read-only, is of that node and network, marked, of that commit
 *	4. the directory's entries hash to its tiles and to its checkpoint's root, which is
 *	   signed by the key in genesis; folded, they give every member's node key
 *	5. each other log: the same; its LogOpened is signed by its node's key, its checkpoint by
 *	   the key in there. Sizes and roots are the manifest's
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/record.h"
#include "node/genesis.h"
#include "server/backup/internal.h"
#include "server/store/copy.h"

enum err backup_manifest(
	const char *directory, struct buf *text, struct manifest *ret, struct errctx *ctx)
{
	char path[PATH_MAX];
	enum err err;

	TRY(files_join(directory, MANIFEST_NAME, path, ctx));
	err = files_read(path, LIMIT_BACKUP_MANIFEST, text, ctx);
	if (err == ERR_NOTFOUND)
		return err_set(
			ctx, err, "'%s' is no backup: it holds no file " MANIFEST_NAME, directory);
	if (err == OK)
		err = manifest_parse(buf_bytes(text), ret, ctx);
	else
		return err;
	if (err == ERR_MALFORMED || err == ERR_LIMIT)
		err = ERR_CORRUPT;
	return err == OK ? OK : err_wrap(ctx, err, "'%s'", path);
}

void backup_mark(const struct manifest *manifest, char *ret, size_t size)
{
	char created[MANIFEST_TIME_SIZE];

	manifest_time(manifest->created_s, created);
	snprintf(ret, size, "%s at %s", manifest->node, created);
}

struct verify {
	const char *directory;
	const struct backup_watch *watch;
	const struct manifest *manifest;
	struct genesis genesis;
	struct store *store;
	struct log_head *heads;
	size_t head_count;
	struct directory *members;
	uint64_t done, total; /* entries */
};

static void verify_release(struct verify *verify)
{
	for (size_t i = 0; i < verify->head_count; i++)
		log_head_release(&verify->heads[i]);
	mem_free(verify->heads);
	directory_free(verify->members);
	store_close(verify->store);
	genesis_release(&verify->genesis);
}

/* Whatever is wrong with a file that the manifest names, the backup is damaged. */
static enum err file_verify(
	const struct verify *verify, enum manifest_file_id id, struct errctx *ctx)
{
	const struct manifest_file *expected = &verify->manifest->files[id];
	struct file_source source = {verify->directory, manifest_path(id), manifest_size_max(id)};
	struct manifest_file found;
	enum err err = file_read(&source, verify->watch, NULL, NULL, &found, ctx);

	if (err == ERR_NOTFOUND)
		return err_set(
			ctx, ERR_CORRUPT, "'%s/%s' is missing", source.directory, source.path);
	if (err == ERR_INVALID || err == ERR_LIMIT)
		return ERR_CORRUPT;
	if (err != OK)
		return err;
	if (found.size != expected->size)
		return err_set(ctx, ERR_CORRUPT,
			"'%s/%s' has %" PRIu64 " bytes, the manifest says %" PRIu64,
			source.directory, source.path, found.size, expected->size);
	if (!file_equal(&found, expected))
		return err_set(ctx, ERR_CORRUPT,
			"'%s/%s' does not have the SHA-256 of the manifest: changed or damaged",
			source.directory, source.path);
	return OK;
}

static enum err store_check(struct verify *verify, struct errctx *ctx)
{
	const struct manifest *manifest = verify->manifest;
	char expected[STORE_MARK_MAX + 1];
	struct store_usage usage;
	struct buf mark;
	enum err err;

	buf_init(&mark, STORE_MARK_MAX);
	err = store_backup_text(verify->store, &mark, ctx);
	backup_mark(manifest, expected, sizeof(expected));
	if (err == ERR_NOTFOUND || (err == OK && strcmp(buf_cstr(&mark), expected) != 0))
		err = err_set(ctx, ERR_CORRUPT, "its store is not marked as the backup of '%s'",
			expected);
	buf_release(&mark);
	TRY(err);
	TRY(store_usage(verify->store, &usage));
	if (usage.format != manifest->store_format || usage.commits != manifest->commits)
		return err_set(ctx, ERR_CORRUPT,
			"its store is of format %u and commit %" PRIu64
			", the manifest says %u and %" PRIu64,
			(unsigned)usage.format, usage.commits, (unsigned)manifest->store_format,
			manifest->commits);
	if (usage.invites > 0)
		return err_set(ctx, ERR_CORRUPT, "its store holds invitations");
	return OK;
}

static const struct log_head *head_find(const struct verify *verify, const char *origin)
{
	for (size_t i = 0; i < verify->head_count; i++)
		if (strcmp(verify->heads[i].origin.text, origin) == 0)
			return &verify->heads[i];
	return NULL;
}

/* Who is a member, as the directory in the backup says: newer than the genesis file. */
static enum err members_fold(struct verify *verify, struct errctx *ctx)
{
	const struct origin *origin = &verify->genesis.origin;
	const struct log_head *head = head_find(verify, origin->text);
	struct buf entry;
	enum err err;

	if (head == NULL)
		return err_set(ctx, ERR_CORRUPT, "its store does not hold the directory '%s'",
			origin->text);
	TRY(directory_new(verify->genesis.network, &verify->members));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = OK;
	for (uint64_t i = 0; i < head->size && err == OK; i++) {
		buf_clear(&entry);
		err = store_entry(verify->store, origin, i, &entry, ctx);
		if (err == OK)
			err = directory_apply(verify->members, buf_bytes(&entry));
	}
	buf_release(&entry);
	return err;
}

/* The key that signs a log's checkpoints: the directory's is the one that genesis was trusted for,
 * any other stands in the log's LogOpened. */
static enum err key_find(const struct verify *verify, const struct log_head *head,
	struct note_key *ret, struct errctx *ctx)
{
	struct origin_parts parts;
	struct origin origin;
	const struct ed25519_public *node;
	struct log_opened opened;
	struct arena arena;
	enum err err;

	if (strcmp(head->origin.text, verify->genesis.origin.text) == 0)
		return log_note_key(&head->origin, &verify->genesis.key, ret);
	if (log_name_parse(bytes_str(head->origin.text), NULL, &origin, &parts) != OK)
		return err_set(ctx, ERR_CORRUPT, "not the name of a log");
	node = directory_opener(verify->members, origin.text);
	if (node == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "'%.*s' is not in the directory",
			BYTES_FMT(parts.node));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(buf_bytes(&head->first_entry), node, &arena, &opened, ctx);
	if (err == OK && strcmp(opened.origin, origin.text) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "its LogOpened names another origin");
	if (err == OK)
		err = log_note_key(&origin, &opened.log_key, ret);
	arena_release(&arena);
	return err;
}

/* What was hashed again, against the signature over it and against the manifest. */
static enum err log_judge(const struct verify *verify, const struct log_head *head,
	const struct store_verify *found, const struct manifest_log *expected, struct errctx *ctx)
{
	struct checkpoint checkpoint = {.size = 0};
	struct note_key key;

	if (found->checkpoint.size > 0) {
		TRY(key_find(verify, head, &key, ctx));
		TRY(checkpoint_open(buf_bytes(&found->checkpoint), &key, &checkpoint, NULL, ctx));
		if (!hash_equal(&checkpoint.root, &found->checkpoint_root))
			return err_set(ctx, ERR_CORRUPT,
				"its entries do not hash to the signed root at %" PRIu64,
				checkpoint.size);
	}
	if (found->size != expected->size || checkpoint.size != expected->checkpoint_size ||
		!hash_equal(&checkpoint.root, &expected->root))
		return err_set(ctx, ERR_CORRUPT,
			"its size, or its checkpoint, is not what the manifest says");
	return OK;
}

static enum err log_verify(
	struct verify *verify, const struct manifest_log *expected, struct errctx *ctx)
{
	const struct log_head *head = head_find(verify, expected->origin.text);
	struct store_verify found = {0};
	enum err err;

	if (head == NULL)
		return err_set(
			ctx, ERR_CORRUPT, "log '%s' is not in its store", expected->origin.text);
	TRY(watch_poll(verify->watch, ctx));
	TRY(store_verify(verify->store, &head->origin, verify->watch->stop, &found, ctx));
	err = log_judge(verify, head, &found, expected, ctx);
	buf_release(&found.checkpoint);
	if (err != OK)
		return err_wrap(ctx, err, "log '%s'", expected->origin.text);
	verify->done += expected->size;
	watch_tell(verify->watch, "verify", verify->done, verify->total);
	return OK;
}

/* The directory, or all others. */
static enum err logs_verify(struct verify *verify, bool directory, struct errctx *ctx)
{
	for (size_t i = 0; i < verify->manifest->log_count; i++) {
		const struct manifest_log *log = &verify->manifest->logs[i];

		if (directory == (strcmp(log->origin.text, verify->genesis.origin.text) == 0))
			TRY(log_verify(verify, log, ctx));
	}
	return OK;
}

static enum err contents_verify(struct verify *verify, struct errctx *ctx)
{
	const struct manifest *manifest = verify->manifest;
	char genesis[PATH_MAX], path[PATH_MAX];
	struct store_opts store = {.path = path,
		.network = manifest->network,
		.node = manifest->node,
		.read_only = true};

	TRY(files_join(verify->directory, manifest_path(MANIFEST_GENESIS), genesis, ctx));
	TRY(files_join(verify->directory, "store", path, ctx));
	TRY(genesis_load(genesis, &verify->genesis, ctx));
	if (strcmp(verify->genesis.network, manifest->network) != 0)
		return err_set(ctx, ERR_CORRUPT, "'%s' is of network '%s', the manifest of '%s'",
			genesis, verify->genesis.network, manifest->network);
	TRY(store_open(&store, &verify->store, ctx));
	TRY(store_check(verify, ctx));
	TRY(store_heads(verify->store, &verify->heads, &verify->head_count, ctx));
	if (verify->head_count != manifest->log_count)
		return err_set(ctx, ERR_CORRUPT, "its store holds %zu logs, the manifest says %zu",
			verify->head_count, manifest->log_count);
	for (size_t i = 0; i < manifest->log_count; i++)
		verify->total += manifest->logs[i].size;
	/* Damage of the directory would look like strangers in the others. */
	TRY(logs_verify(verify, true, ctx));
	TRY(members_fold(verify, ctx));
	return logs_verify(verify, false, ctx);
}

enum err backup_verify(const char *directory, const struct backup_watch *watch,
	struct manifest *ret, struct errctx *ctx)
{
	struct verify verify = {.directory = directory, .watch = watch};
	struct manifest manifest = {0};
	struct buf text;
	enum err err;

	buf_init(&text, LIMIT_BACKUP_MANIFEST + 1);
	err = backup_manifest(directory, &text, &manifest, ctx);
	buf_release(&text);
	TRY(err);
	verify.manifest = &manifest;
	for (unsigned id = 0; id < MANIFEST_FILES && err == OK; id++)
		err = file_verify(&verify, (enum manifest_file_id)id, ctx);
	if (err == OK)
		err = contents_verify(&verify, ctx);
	verify_release(&verify);
	if (err == OK) {
		*ret = manifest;
		return OK;
	}
	manifest_release(&manifest);
	/* Whatever it is that it is not: what was written is not there any more, or never was. */
	switch (err) {
	case ERR_INVALID:
	case ERR_MALFORMED:
	case ERR_LIMIT:
	case ERR_NOTFOUND:
	case ERR_UNTRUSTED:
	case ERR_PROOF:
		return ERR_CORRUPT;
	default:
		return err;
	}
}
