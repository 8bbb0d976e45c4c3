#include "server/bundle/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "certs/keystore.h"
#include "node/files.h"
#include "proto/frame.h"

enum {
	PART_BUFFER = 4 * 1024 * 1024,
	SEGMENT_MIN = 64 * 1024,
	SEGMENTS_AIM = 1024,
	ROOM_LEAST = 16 * 1024,        /* less is not worth a batch */
	BATCH_OVERHEAD = 8 * 1024,     /* proof, note, names, lengths of a batch's frame */
	SYNC_EVERY = 32 * 1024 * 1024, /* a slow stick must not fill the memory with what waits */
	HEAD_SPARE = 16,               /* of a head that is written again with another count */
};

struct part {
	int fd; /* -1: nothing of it is on the disk yet */
	char path[PATH_MAX];
	size_t head;   /* the place kept for it; 0: not known yet */
	uint64_t body; /* bytes of frames */
	uint64_t unsynced;
	size_t frames;
	struct buf buffer; /* what is not written yet, of a small one */
	struct bundle_segments segments;
	struct bundle_log *logs;
	size_t log_count;
};

struct bundle_write {
	struct bundle_write_opts opts;
	struct boot_keys keys;
	struct bundle_manifest manifest; /* what all parts share */
	uint32_t segment_min;
	struct part part;    /* the one being written */
	uint32_t part_count; /* begun, that one included */
	size_t *heads;       /* of each finished part */
	uint64_t bytes;
	struct buf frame;
};

/* ---- names ---- */

enum err bundle_part_name(
	const char *to, uint32_t part, uint32_t parts, char ret[PATH_MAX], struct errctx *ctx)
{
	int digits = parts < 100 ? 2 : parts < 1000 ? 3 : 4;
	int n = parts == 1 ? snprintf(ret, PATH_MAX, "%s", to)
			   : snprintf(ret, PATH_MAX, "%s-%0*u-of-%0*u", to, digits, part, digits,
				     parts);

	if (n < 0 || n >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", to);
	return OK;
}

static enum err partial_name(
	const struct bundle_write *write, uint32_t part, char ret[PATH_MAX], struct errctx *ctx)
{
	int n = snprintf(ret, PATH_MAX, "%s.partial-%u", write->opts.to, part);

	if (n < 0 || n >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", write->opts.to);
	return OK;
}

static enum err is_free(const char *path, struct errctx *ctx)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return err_set(ctx, ERR_EXISTS, "'%s' is there already", path);
	return errno == ENOENT ? OK : files_errno(ctx, errno, "look for", path);
}

static enum err sync_parent(const char *path, struct errctx *ctx)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	enum err err = OK;
	int fd;

	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return files_errno(ctx, errno, "open directory", parent);
	if (fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync directory", parent);
	close(fd);
	return err;
}

/* ---- one part ---- */

static void part_release(struct part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	buf_release(&part->buffer);
	bundle_segments_release(&part->segments);
	mem_free(part->logs);
	*part = (struct part){.fd = -1};
}

static enum err part_begin(struct bundle_write *write, struct errctx *ctx)
{
	struct part *part = &write->part;

	*part = (struct part){.fd = -1};
	if (write->part_count == LIMIT_BUNDLE_PARTS)
		return err_set(ctx, ERR_LIMIT, "more than %d parts: take a larger --max-size",
			LIMIT_BUNDLE_PARTS);
	buf_init(&part->buffer, PART_BUFFER + LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	part->logs = mem_array(write->opts.log_count + 1, sizeof(*part->logs));
	if (part->logs == NULL)
		return ERR_NOMEM;
	TRY(bundle_segments_init(&part->segments, write->segment_min));
	write->part_count++;
	return partial_name(write, write->part_count, part->path, ctx);
}

static enum err part_create(struct part *part, struct errctx *ctx)
{
	/* What an interrupted export left. Never followed, never shared: just removed. */
	if (unlink(part->path) != 0 && errno != ENOENT)
		return files_errno(ctx, errno, "remove", part->path);
	part->fd = open(part->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return part->fd >= 0 ? OK : files_errno(ctx, errno, "create", part->path);
}

static enum err put_at(
	int fd, const char *path, uint64_t offset, struct bytes data, struct errctx *ctx)
{
	while (data.size > 0) {
		ssize_t n = pwrite(fd, data.data, data.size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "write", path);
		data = bytes_make(data.data + n, data.size - (size_t)n);
		offset += (uint64_t)n;
	}
	return OK;
}

/* Moves what is in memory behind the place of the head. */
static enum err part_flush(struct part *part, struct errctx *ctx)
{
	uint64_t at = part->head + part->body - part->buffer.size;

	TRY(put_at(part->fd, part->path, at, buf_bytes(&part->buffer), ctx));
	part->unsynced += part->buffer.size;
	buf_clear(&part->buffer);
	if (part->unsynced < SYNC_EVERY)
		return OK;
	part->unsynced = 0;
	return fdatasync(part->fd) == 0 ? OK : files_errno(ctx, errno, "sync", part->path);
}

static size_t head_max(const struct bundle_write *write, const struct part *part, uint64_t more)
{
	return bundle_manifest_size_max(part->log_count + 1,
		       part->segments.count + 2 + (size_t)(more / write->segment_min)) +
	       HEAD_SPARE;
}

/* Bytes that one more frame may have. */
static uint64_t part_room(const struct bundle_write *write)
{
	const struct part *part = &write->part;
	uint64_t head = part->head > 0 ? part->head : head_max(write, part, LIMIT_FRAME_SIZE);
	uint64_t used = head + part->body;

	if (part->frames == LIMIT_BUNDLE_FRAMES ||
		part->segments.count >= LIMIT_BUNDLE_SEGMENTS - 2)
		return 0;
	return used < write->opts.part_max ? write->opts.part_max - used : 0;
}

static enum err head_write(struct bundle_write *write, const struct part *part, uint32_t number,
	uint32_t parts, size_t size, struct buf *out)
{
	struct bundle_manifest manifest = write->manifest;

	manifest.part = number;
	manifest.parts = parts;
	manifest.logs = part->logs;
	manifest.log_count = part->log_count;
	manifest.segments = part->segments.list;
	manifest.segment_count = part->segments.count;
	return bundle_manifest_write(out, &manifest, secret_bytes(&write->keys.tls_key), size);
}

/* The head goes in front; the file is durable. `last`: it is the only part, and small. */
static enum err part_end(struct bundle_write *write, bool only, struct errctx *ctx)
{
	struct part *part = &write->part;
	struct buf head;
	size_t *heads;
	enum err err;

	TRY(bundle_segments_end(&part->segments));
	buf_init(&head, LIMIT_BUNDLE_HEADER + 64);
	if (part->fd < 0) {
		err = part_create(part, ctx);
		if (err == OK)
			err = head_write(write, part, write->part_count,
				only ? 1 : LIMIT_BUNDLE_PARTS, 0, &head);
		part->head = head.size + (only ? 0 : HEAD_SPARE);
		buf_clear(&head);
		if (err == OK)
			err = part_flush(part, ctx);
	} else {
		err = part_flush(part, ctx);
	}
	if (err == OK)
		err = head_write(write, part, write->part_count, only ? 1 : LIMIT_BUNDLE_PARTS,
			part->head, &head);
	if (err == OK)
		err = put_at(part->fd, part->path, 0, buf_bytes(&head), ctx);
	if (err == OK && fsync(part->fd) != 0)
		err = files_errno(ctx, errno, "sync", part->path);
	buf_release(&head);
	TRY(err);
	heads = mem_resize(write->heads, write->part_count * sizeof(*heads));
	if (heads == NULL)
		return ERR_NOMEM;
	write->heads = heads;
	heads[write->part_count - 1] = part->head;
	write->bytes += part->head + part->body;
	part_release(part);
	return OK;
}

/* The part grows past what memory takes: the head's place is fixed now. */
static enum err part_spill(struct bundle_write *write, struct errctx *ctx)
{
	struct part *part = &write->part;
	size_t logs = write->opts.log_count < LIMIT_LOGS ? write->opts.log_count : LIMIT_LOGS;
	size_t segments = (size_t)(write->opts.part_max / write->segment_min) + 2;

	TRY(part_create(part, ctx));
	part->head = bundle_manifest_size_max(logs,
			     segments < LIMIT_BUNDLE_SEGMENTS ? segments : LIMIT_BUNDLE_SEGMENTS) +
		     HEAD_SPARE;
	return part_flush(part, ctx);
}

/* What the part says of the log whose frame comes. */
static void part_log(
	struct part *part, const struct bundle_write_log *log, uint64_t from, uint64_t to)
{
	struct bundle_log *last = part->log_count == 0 ? NULL : &part->logs[part->log_count - 1];

	if (last == NULL || strcmp(last->origin.text, log->origin.text) != 0) {
		last = &part->logs[part->log_count++];
		*last = (struct bundle_log){
			.origin = log->origin, .key = log->key, .from = from, .size = log->size};
	}
	last->to = to;
}

/* The next part, when the frame in write->frame does not fit this one any more. */
static enum err part_turn(struct bundle_write *write, struct errctx *ctx)
{
	TRY(write->frame.err);
	if (write->part.body == 0 || write->frame.size <= part_room(write))
		return OK;
	TRY(part_end(write, false, ctx));
	return part_begin(write, ctx);
}

static enum err part_put(struct bundle_write *write, struct errctx *ctx)
{
	struct part *part = &write->part;

	TRY(bundle_segments_put(&part->segments, buf_bytes(&write->frame)));
	buf_put(&part->buffer, buf_bytes(&write->frame));
	TRY(part->buffer.err);
	part->body += write->frame.size;
	part->frames++;
	buf_clear(&write->frame);
	if (part->fd >= 0)
		return part_flush(part, ctx);
	return part->buffer.size > PART_BUFFER ? part_spill(write, ctx) : OK;
}

enum err bundle_write_message(
	struct bundle_write *write, unsigned field, struct bytes message, struct errctx *ctx)
{
	bundle_message_write(&write->frame, field, message);
	TRY(part_turn(write, ctx));
	return part_put(write, ctx);
}

enum err bundle_write_mail_end(struct bundle_write *write, struct bytes end, struct errctx *ctx)
{
	bundle_mail_end_write(&write->frame, end);
	TRY(part_turn(write, ctx));
	return part_put(write, ctx);
}

/* ---- logs ---- */

/* How many bytes of entries the next batch may have. A part that is nearly full is ended first. */
static enum err batch_room(struct bundle_write *write, size_t *ret, struct errctx *ctx)
{
	uint64_t room = part_room(write);

	if (write->part.body > 0 && room < ROOM_LEAST + BATCH_OVERHEAD) {
		TRY(part_end(write, false, ctx));
		TRY(part_begin(write, ctx));
		room = part_room(write);
	}
	room = room > BATCH_OVERHEAD ? room - BATCH_OVERHEAD : 1;
	/* Each entry has its tag and length besides. */
	room -= room / 16;
	*ret = room < LIMIT_BATCH_SIZE ? (size_t)room : LIMIT_BATCH_SIZE;
	return OK;
}

static enum err write_batch(struct bundle_write *write, struct store *store,
	const struct bundle_write_log *log, uint64_t *first, struct errctx *ctx)
{
	struct store_read read = {.origin = log->origin,
		.first = *first,
		.target = log->size,
		.count_max = LIMIT_BATCH_ENTRIES};
	struct store_batch batch;
	size_t count;
	enum err err;

	TRY(batch_room(write, &read.size_max, ctx));
	TRY(store_read_batch(store, &read, &batch, ctx));
	count = batch.entries->count;
	bundle_batch_write(&write->frame, &log->origin, *first, &batch, log->note);
	entries_unref(batch.entries);
	err = part_turn(write, ctx);
	if (err == OK) {
		part_log(&write->part, log, *first, *first + count);
		err = part_put(write, ctx);
	}
	*first += count;
	return err;
}

static bool stopped(const struct bundle_write *write)
{
	return write->opts.stop != NULL && __atomic_load_n(write->opts.stop, __ATOMIC_RELAXED);
}

enum err bundle_write_log(struct bundle_write *write, struct store *store,
	const struct bundle_write_log *log, uint64_t *done, uint64_t *ret_bad, struct errctx *ctx)
{
	uint64_t next = log->from;

	while (next < log->size) {
		uint64_t before = next;
		enum err err =
			stopped(write) ? ERR_CANCELED : write_batch(write, store, log, &next, ctx);

		if (err == ERR_CORRUPT)
			*ret_bad = before;
		TRY(err);
		__atomic_add_fetch(done, next - before, __ATOMIC_RELAXED);
	}
	bundle_have_write(&write->frame, &log->origin, log->size, log->note, log->cosigned,
		log->cosigned_count);
	TRY(part_turn(write, ctx));
	part_log(&write->part, log, log->size, log->size);
	return part_put(write, ctx);
}

/* ---- the whole ---- */

static enum err keys_load(struct bundle_write *write, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(write->opts.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK)
		err = boot_keys_read(buf_bytes(&file), &write->keys, ctx);
	buf_wipe(&file);
	return err;
}

static enum err opts_check(const struct bundle_write_opts *opts, struct errctx *ctx)
{
	size_t size = strlen(opts->inside);
	char path[PATH_MAX];

	if (opts->to[0] != '/' || opts->to[strlen(opts->to) - 1] == '/')
		return err_set(ctx, ERR_INVALID, "'%s' is no file's absolute name", opts->to);
	if (strncmp(opts->to, opts->inside, size) == 0 && opts->to[size] == '/')
		return err_set(
			ctx, ERR_INVALID, "'%s' is inside the node's own directory", opts->to);
	if (opts->part_max < LIMIT_BUNDLE_PART_MIN || opts->part_max > LIMIT_BUNDLE_PART)
		return err_set(ctx, ERR_INVALID, "a part has from %d kB to 1 TB",
			LIMIT_BUNDLE_PART_MIN / 1024);
	TRY(bundle_part_name(opts->to, 1, LIMIT_BUNDLE_PARTS, path, ctx));
	return is_free(opts->to, ctx);
}

enum err bundle_write_new(
	const struct bundle_write_opts *opts, struct bundle_write **ret, struct errctx *ctx)
{
	struct bundle_write *write;
	enum err err;

	TRY(opts_check(opts, ctx));
	write = mem_zalloc(sizeof(*write));
	if (write == NULL)
		return ERR_NOMEM;
	write->opts = *opts;
	write->part.fd = -1;
	buf_init(&write->frame, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	write->segment_min = (uint32_t)(opts->part_max / SEGMENTS_AIM);
	if (write->segment_min < SEGMENT_MIN)
		write->segment_min = SEGMENT_MIN;
	err = keys_load(write, ctx);
	if (err == OK) {
		struct bundle_manifest *m = &write->manifest;

		snprintf(m->network, sizeof(m->network), "%s", write->keys.network);
		snprintf(m->node, sizeof(m->node), "%s", write->keys.node);
		snprintf(m->for_node, sizeof(m->for_node), "%s", opts->for_node);
		m->made_at = opts->made_at;
		err = random_bytes(m->set, sizeof(m->set));
	}
	if (err == OK)
		err = part_begin(write, ctx);
	if (err != OK) {
		bundle_write_free(write);
		return err;
	}
	*ret = write;
	return OK;
}

/* Only the count of parts changes. */
static enum err head_count(
	struct bundle_write *write, const char *path, uint32_t number, struct errctx *ctx)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	size_t size = write->heads[number - 1];
	struct bundle_manifest manifest = {0};
	struct buf head;
	uint8_t *room;
	ssize_t n;
	enum err err = OK;

	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	buf_init(&head, LIMIT_BUNDLE_HEADER + 64);
	room = buf_reserve(&head, size);
	n = room == NULL ? -1 : pread(fd, room, size, 0);
	if (room == NULL)
		err = ERR_NOMEM;
	else if (n != (ssize_t)size)
		err = files_errno(ctx, n < 0 ? errno : EIO, "read", path);
	if (err == OK) {
		size_t skip = BUNDLE_MAGIC_SIZE + FRAME_HEADER_SIZE;

		err = bundle_manifest_read(bytes_make(room + skip, size - skip), &manifest, ctx);
	}
	if (err == OK) {
		manifest.parts = write->part_count;
		err = bundle_manifest_write(
			&head, &manifest, secret_bytes(&write->keys.tls_key), size);
	}
	if (err == OK)
		err = put_at(fd, path, 0, buf_bytes(&head), ctx);
	if (err == OK && fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync", path);
	bundle_manifest_release(&manifest);
	buf_release(&head);
	close(fd);
	return err;
}

enum err bundle_write_finish(
	struct bundle_write *write, struct bundle_written *ret, struct errctx *ctx)
{
	bool only = write->part_count == 1;
	char from[PATH_MAX], to[PATH_MAX];

	TRY(part_end(write, only, ctx));
	for (uint32_t i = 1; !only && i <= write->part_count; i++) {
		TRY(bundle_part_name(write->opts.to, i, write->part_count, to, ctx));
		TRY(is_free(to, ctx));
		TRY(partial_name(write, i, from, ctx));
		TRY(head_count(write, from, i, ctx));
	}
	for (uint32_t i = 1; i <= write->part_count; i++) {
		TRY(bundle_part_name(write->opts.to, i, write->part_count, to, ctx));
		TRY(partial_name(write, i, from, ctx));
		if (rename(from, to) != 0)
			return files_errno(ctx, errno, "rename", from);
	}
	TRY(sync_parent(write->opts.to, ctx));
	*ret = (struct bundle_written){write->part_count, write->bytes};
	write->part_count = 0;
	return OK;
}

void bundle_write_free(struct bundle_write *write)
{
	char path[PATH_MAX];

	if (write == NULL)
		return;
	part_release(&write->part);
	for (uint32_t i = 1; i <= write->part_count; i++)
		if (partial_name(write, i, path, NULL) == OK)
			unlink(path);
	boot_keys_release(&write->keys);
	mem_free(write->heads);
	buf_release(&write->frame);
	mem_free(write);
}
