/*
 * A bundle as a source: one file, or a directory with the parts of a set. The files of each log are
 * put together again from its frames (replication/bundle/index.h): they have no tiles, so that what
 * is wrong with a log is found, but not always at which entry.
 *
 * Opening reads all of it once. What a bundle does not bring cannot be looked at, and the error
 * says what is missing: a part that was left out is no proof of anything. What is damaged is told
 * with its place; its frames count as far as they can be read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cli/audit/source_open.h"
#include "node/bundle_file.h"
#include "node/files.h"
#include "proto/frame.h"
#include "replication/bundle/index.h"
#include "replication/log/evidence.h"

enum { DAMAGES_MAX = 50, DAMAGE_SIZE = PATH_MAX + 256 };

struct part {
	char path[PATH_MAX];
	struct bundle_file file;
	bool open;
};

struct bundle_source_set {
	const char *text; /* borrowed */
	struct part *parts;
	size_t part_count;
	struct bundle_index *index;
	char (*damages)[DAMAGE_SIZE]; /* the first ones */
	size_t damage_count;          /* of all */
	struct buf evidence;          /* u32be length || message, each */
	struct buf frame;             /* the one that was read last */
	const struct bundle_index_batch *of;
	struct arena arena;
};

/* ---- reading it all once ---- */

static void say_damage(struct bundle_source_set *set, const struct part *part,
	const struct bundle_item *item, const char *what)
{
	if (set->damage_count++ < DAMAGES_MAX)
		snprintf(set->damages[set->damage_count - 1], DAMAGE_SIZE,
			"'%.*s' from byte %llu, %llu bytes: %.180s", PATH_MAX - 1, part->path,
			(unsigned long long)item->offset, (unsigned long long)item->size, what);
}

static void keep_evidence(struct bundle_source_set *set, struct bytes frame)
{
	struct bytes message = bundle_index_evidence(frame);

	if (message.size == 0 || set->evidence.size + 4 + message.size > set->evidence.max)
		return;
	evidence_frame(message, &set->evidence);
}

static enum err take_frame(struct bundle_source_set *set, const struct part *part,
	const struct bundle_item *item, struct errctx *ctx)
{
	struct bundle_index_place place = {(uint16_t)(part - set->parts), item->offset};
	struct errctx why = {""};
	enum err err = bundle_index_frame(set->index, item->frame, &place, &why);

	if (err == ERR_LIMIT)
		return err_set(ctx, err, "'%s': %s", part->path, err_message(&why, err));
	if (err == ERR_NOMEM)
		return err;
	if (err != OK)
		say_damage(set, part, item, err_message(&why, err));
	keep_evidence(set, item->frame);
	return set->evidence.err;
}

static enum err take_names(struct bundle_source_set *set, const struct part *part,
	const struct bundle_manifest *manifest, struct errctx *ctx)
{
	for (size_t i = 0; manifest != NULL && i < manifest->log_count; i++) {
		enum err err = bundle_index_name(set->index, manifest->logs[i].origin.text, ctx);

		if (err != OK)
			return err_wrap(ctx, err, "'%s'", part->path);
	}
	return OK;
}

static enum err take_part(struct bundle_source_set *set, struct part *part, struct errctx *ctx)
{
	struct bundle_item item = {.found = BUNDLE_FRAME};
	struct bundle_reader *reader = NULL;
	enum err err = bundle_file_open(part->path, &part->file, ctx);

	if (err != OK)
		return err;
	part->open = true;
	err = bundle_reader_open(&part->file.source, &reader, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "'%s'", part->path);
	err = take_names(set, part, bundle_reader_manifest(reader, NULL), ctx);
	while (err == OK && item.found != BUNDLE_END) {
		err = bundle_reader_next(reader, &item);
		if (err == OK && item.found == BUNDLE_DAMAGE)
			say_damage(set, part, &item, item.what);
		else if (err == OK && item.found == BUNDLE_FRAME)
			err = take_frame(set, part, &item, ctx);
	}
	bundle_reader_close(reader);
	return err;
}

/* ---- giving out ---- */

static enum err frame_read(
	struct bundle_source_set *set, const struct bundle_index_batch *batch, struct errctx *ctx)
{
	const struct part *part = &set->parts[batch->file];
	uint8_t *room;
	size_t n = 0;
	enum err err;

	if (set->of == batch)
		return OK;
	set->of = NULL;
	buf_clear(&set->frame);
	room = buf_reserve(&set->frame, batch->size);
	if (room == NULL)
		return ERR_NOMEM;
	err = part->file.source.read(part->file.source.arg, batch->offset + FRAME_HEADER_SIZE, room,
		batch->size, &n, ctx);
	if (err == OK && n < batch->size)
		err = err_set(ctx, ERR_IO, "it has become shorter");
	if (err != OK)
		return err_wrap(ctx, err, "'%s'", part->path);
	set->frame.size = n;
	set->of = batch;
	return OK;
}

static enum err missing(const struct bundle_source_set *set, const struct bundle_index_log *log,
	uint64_t entry, struct errctx *ctx)
{
	if (log->count == 0)
		return err_set(ctx, ERR_UNREACHABLE,
			"the bundle brings a checkpoint of this log and none of its entries");
	return err_set(ctx, ERR_UNREACHABLE,
		"its entry %llu is not in '%s'%s: name the directory that has all parts of the set",
		(unsigned long long)entry, set->text,
		set->damage_count > 0 ? ", which is damaged" : "");
}

static enum err entries_read(struct bundle_source_set *set, const struct bundle_index_log *log,
	const struct tlog_file *file, struct buf *out, struct errctx *ctx)
{
	uint64_t at = file->id.index * TILE_WIDTH, end = at + file->width;
	uint64_t starts = log->count == 0 ? 0 : log->batches[0].first;

	if (at >= log->newest.size)
		return ERR_NOTFOUND;
	if (at < starts && starts < end)
		at = starts;
	while (at < end) {
		const struct bundle_index_batch *batch = bundle_index_batch(log, at);
		uint64_t to;

		if (batch == NULL)
			return missing(set, log, at, ctx);
		to = batch->first + batch->count;
		to = to < end ? to : end;
		TRY(frame_read(set, batch, ctx));
		TRY(bundle_index_entries(batch, buf_bytes(&set->frame), at, to, &set->arena, out));
		at = to;
	}
	return OK;
}

/* A log that is named and not there was lost with the medium, or is in another part. */
static enum err checkpoint_read(const struct bundle_source_set *set,
	const struct bundle_index_log *log, struct buf *out, struct errctx *ctx)
{
	enum err err = bundle_index_checkpoint(log, out);

	if (err != ERR_NOTFOUND)
		return err;
	return err_set(ctx, ERR_UNREACHABLE,
		"the head of '%s' names this log, and no frame of it can be read", set->text);
}

static enum err bundle_source_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	struct bundle_source_set *set = arg;
	const struct bundle_index_log *log = bundle_index_find(set->index, origin);
	size_t before = out->size;
	struct tlog_file file;
	enum err err = ERR_NOTFOUND;

	if (log == NULL) /* a bundle promises no log */
		err = err_set(ctx, ERR_UNREACHABLE, "'%s' brings nothing of this log", set->text);
	else if (strcmp(path, "checkpoint") == 0)
		err = checkpoint_read(set, log, out, ctx);
	else if (tlog_path_parse(bytes_str(path), &file) == OK && file.kind == TLOG_ENTRIES)
		err = entries_read(set, log, &file, out, ctx);
	if (err == OK && out->size - before > max)
		err = err_set(
			ctx, ERR_LIMIT, "'%s': %s is larger than %zu bytes", set->text, path, max);
	if (err == ERR_NOTFOUND)
		err_set(ctx, err, "'%s' has no %s of %s", set->text, path, origin);
	if (err != OK)
		out->size = before;
	return err;
}

static uint64_t bundle_source_starts(void *arg, const char *origin)
{
	const struct bundle_source_set *set = arg;
	const struct bundle_index_log *log = bundle_index_find(set->index, origin);

	return log == NULL || log->count == 0 ? 0 : log->batches[0].first;
}

static enum err bundle_source_logs(void *arg, enum err (*each)(void *each_arg, const char *origin),
	void *each_arg, struct errctx *ctx)
{
	const struct bundle_source_set *set = arg;

	(void)ctx;
	for (size_t i = 0; i < bundle_index_count(set->index); i++)
		TRY(each(each_arg, bundle_index_at(set->index, i)->origin.text));
	return OK;
}

static enum err bundle_source_evidence(void *arg,
	enum err (*each)(void *each_arg, struct bytes message), void *each_arg, struct errctx *ctx)
{
	const struct bundle_source_set *set = arg;

	return evidence_frames(buf_bytes(&set->evidence), each, each_arg, ctx);
}

static enum err bundle_source_damage(void *arg, enum err (*each)(void *each_arg, const char *text),
	void *each_arg, struct errctx *ctx)
{
	const struct bundle_source_set *set = arg;
	char more[80];

	(void)ctx;
	for (size_t i = 0; i < set->damage_count && i < DAMAGES_MAX; i++)
		TRY(each(each_arg, set->damages[i]));
	if (set->damage_count <= DAMAGES_MAX)
		return OK;
	snprintf(more, sizeof(more), ".. and %zu more places", set->damage_count - DAMAGES_MAX);
	return each(each_arg, more);
}

/* ---- opening ---- */

static bool has_magic(const char *path)
{
	char start[BUNDLE_MAGIC_SIZE];
	struct bundle_file file;
	struct errctx ctx = {""};
	size_t n = 0;
	bool is;

	if (bundle_file_open(path, &file, &ctx) != OK)
		return false;
	is = file.source.read(&file, 0, start, sizeof(start), &n, &ctx) == OK &&
	     n == sizeof(start) && memcmp(start, BUNDLE_MAGIC, sizeof(start)) == 0;
	bundle_file_close(&file);
	return is;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Each file of the directory that begins as a bundle does; OK when there is none. */
static enum err each_part(const char *directory,
	enum err (*each)(void *arg, const char *path, struct errctx *ctx), void *arg,
	struct errctx *ctx)
{
	DIR *dir = opendir(directory);
	char path[PATH_MAX];
	enum err err = OK;
	struct dirent *item;

	if (dir == NULL)
		return files_errno(ctx, errno, "open directory", directory);
	while (err == OK && (item = readdir(dir)) != NULL) {
		if (item->d_name[0] == '.' ||
			(item->d_type != DT_REG && item->d_type != DT_UNKNOWN) ||
			files_join(directory, item->d_name, path, NULL) != OK || !has_magic(path))
			continue;
		err = each(arg, path, ctx);
	}
	closedir(dir);
	return err;
}

static enum err found_one(void *arg, const char *path, struct errctx *ctx)
{
	(void)path;
	(void)ctx;
	*(bool *)arg = true;
	return ERR_EXISTS; /* enough */
}

static bool is_bundle(const char *text)
{
	bool found = false;

	if (!is_directory(text))
		return has_magic(text);
	return each_part(text, found_one, &found, NULL) != OK && found;
}

static enum err add_part(void *arg, const char *path, struct errctx *ctx)
{
	struct bundle_source_set *set = arg;

	if (set->part_count == LIMIT_BUNDLE_FILES)
		return err_set(ctx, ERR_LIMIT, "'%s' has more than %d bundles", set->text,
			LIMIT_BUNDLE_FILES);
	if (strlen(path) >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	strcpy(set->parts[set->part_count++].path, path);
	return OK;
}

static int by_path(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void bundle_source_close(void *arg)
{
	struct bundle_source_set *set = arg;

	for (size_t i = 0; i < set->part_count; i++)
		if (set->parts[i].open)
			bundle_file_close(&set->parts[i].file);
	mem_free(set->parts);
	mem_free(set->damages);
	bundle_index_free(set->index);
	buf_release(&set->evidence);
	buf_release(&set->frame);
	arena_release(&set->arena);
	mem_free(set);
}

static enum err set_fill(struct bundle_source_set *set, struct errctx *ctx)
{
	set->parts = mem_array(LIMIT_BUNDLE_FILES, sizeof(*set->parts));
	set->damages = mem_array(DAMAGES_MAX, sizeof(*set->damages));
	if (set->parts == NULL || set->damages == NULL)
		return ERR_NOMEM;
	memset(set->parts, 0, LIMIT_BUNDLE_FILES * sizeof(*set->parts));
	TRY(bundle_index_new(&set->index));
	if (is_directory(set->text))
		TRY(each_part(set->text, add_part, set, ctx));
	else
		TRY(add_part(set, set->text, ctx));
	qsort(set->parts, set->part_count, sizeof(*set->parts), by_path);
	for (size_t i = 0; i < set->part_count; i++)
		TRY(take_part(set, &set->parts[i], ctx));
	bundle_index_end(set->index);
	return OK;
}

static enum err bundle_source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	struct bundle_source_set *set = mem_zalloc(sizeof(*set));
	enum err err;

	(void)cli;
	if (set == NULL)
		return ERR_NOMEM;
	set->text = text;
	buf_init(&set->evidence, LIMIT_EVIDENCE_FILE);
	buf_init(&set->frame, LIMIT_FRAME_SIZE);
	arena_init(&set->arena, LIMIT_ARENA_SIZE);
	err = set_fill(set, ctx);
	if (err != OK) {
		bundle_source_close(set);
		return err;
	}
	*ret = (struct source){{.read = bundle_source_read,
				       .logs = bundle_source_logs,
				       .evidence = bundle_source_evidence,
				       .starts = bundle_source_starts,
				       .damage = bundle_source_damage,
				       .arg = set,
				       .name = text},
		bundle_source_close};
	return OK;
}

const struct source_kind source_kind_bundle = {is_bundle, bundle_source_open};
