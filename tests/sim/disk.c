#include "tests/sim/disk.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"

struct disk_log *disk_find(struct disk *disk, const struct origin *origin)
{
	for (size_t i = 0; i < disk->log_count; i++)
		if (strcmp(disk->logs[i]->origin.text, origin->text) == 0)
			return disk->logs[i];
	return NULL;
}

struct bytes disk_entry(const struct disk_log *log, size_t index)
{
	assert(index < log->size);
	return log->block[index]->entry[log->offset[index]];
}

static struct disk_log *disk_make(struct disk *disk, const struct origin *origin)
{
	struct disk_log *log = disk_find(disk, origin);

	if (log != NULL)
		return log;
	assert(disk->log_count < DISK_LOGS_MAX);
	log = disk->logs[disk->log_count++] = mem_zalloc(sizeof(*log));
	assert(log != NULL);
	log->origin = *origin;
	buf_init(&log->checkpoint, LIMIT_NOTE_SIZE);
	buf_init(&log->pin, LIMIT_NOTE_SIZE);
	buf_init(&log->seen_note, LIMIT_NOTE_SIZE);
	return log;
}

static void add_entry(struct disk_log *log, struct entries *entries, size_t offset)
{
	if (log->size == log->capacity) {
		log->capacity = 2 * log->size + 64;
		log->block = mem_resize(log->block, log->capacity * sizeof(*log->block));
		log->offset = mem_resize(log->offset, log->capacity * sizeof(*log->offset));
		log->leaf = mem_resize(log->leaf, log->capacity * sizeof(*log->leaf));
		assert(log->block != NULL && log->offset != NULL && log->leaf != NULL);
	}
	log->block[log->size] = entries_ref(entries);
	log->offset[log->size] = offset;
	log->leaf[log->size++] = entries->leaf[offset];
}

static void add_entries(struct disk_log *log, struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		add_entry(log, entries, i);
}

/* In the order of names, as the real store has them. */
static struct store_cosignature *cosignature_place(struct disk_log *log, const char *cosigner)
{
	size_t at = 0;

	while (at < log->cosigned_count && strcmp(log->cosigned[at].cosigner, cosigner) < 0)
		at++;
	if (at < log->cosigned_count && strcmp(log->cosigned[at].cosigner, cosigner) == 0)
		return &log->cosigned[at];
	log->cosigned =
		mem_resize(log->cosigned, (log->cosigned_count + 1) * sizeof(log->cosigned[0]));
	assert(log->cosigned != NULL);
	memmove(&log->cosigned[at + 1], &log->cosigned[at],
		(log->cosigned_count - at) * sizeof(log->cosigned[0]));
	log->cosigned_count++;
	log->cosigned[at] = (struct store_cosignature){.size = 0};
	buf_init(&log->cosigned[at].line, LIMIT_NOTE_SIZE);
	snprintf(log->cosigned[at].cosigner, sizeof(log->cosigned[at].cosigner), "%s", cosigner);
	return &log->cosigned[at];
}

static void add_cosignature(struct disk_log *log, const struct store_write *write)
{
	struct store_cosignature *c = cosignature_place(log, write->cosigner);

	c->size = write->cosigned_size;
	buf_clear(&c->line);
	buf_put(&c->line, buf_bytes(&write->cosignature));
}

static enum err checkpoint_check(const struct store_write *write, uint64_t size)
{
	struct checkpoint checkpoint;

	TRY(write->checkpoint.err);
	if (write->checkpoint.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL));
	return checkpoint_is_of(&checkpoint, write->origin.text) && checkpoint.size <= size
		       ? OK
		       : ERR_INVALID;
}

static enum err witness_check(const struct disk_log *log, const struct store_write *write)
{
	struct checkpoint next;

	if (write->witness.size == 0)
		return OK;
	TRY(write->witness.err);
	TRY(checkpoint_peek(buf_bytes(&write->witness), &next, NULL));
	if (strcmp(next.origin.text, write->origin.text) != 0 ||
		(log == NULL && write->entries == NULL))
		return ERR_INVALID;
	if (log == NULL || next.size > log->seen.size)
		return OK;
	return next.size < log->seen.size                ? ERR_STALE
	       : hash_equal(&next.root, &log->seen.root) ? OK
							 : ERR_FORK;
}

static enum err check(struct disk *disk, const struct store_write *write)
{
	const struct disk_log *log = disk_find(disk, &write->origin);
	uint64_t size = log != NULL ? log->size : 0;
	size_t count = write->entries != NULL ? write->entries->count : 0;

	if (write->evidence.size > 0)
		return write->evidence.err;
	if (write->dispute.size > 0)
		return write->dispute.err;
	TRY(log_name_parse(bytes_str(write->origin.text), NULL, NULL, NULL));
	if (log == NULL && disk->log_count == DISK_LOGS_MAX)
		return ERR_LIMIT;
	if (count > 0 && write->first != size)
		return ERR_INVALID;
	TRY(checkpoint_check(write, size + count));
	TRY(witness_check(log, write));
	return write->cosignature.err;
}

static void add_evidence(struct disk *disk, const struct hash *id, struct bytes message)
{
	struct disk_evidence *item;

	for (size_t i = 0; i < disk->evidence_count; i++)
		if (hash_equal(&disk->evidence[i].id, id))
			return;
	disk->evidence =
		mem_resize(disk->evidence, (disk->evidence_count + 1) * sizeof(*disk->evidence));
	assert(disk->evidence != NULL);
	item = &disk->evidence[disk->evidence_count++];
	*item = (struct disk_evidence){.id = *id};
	buf_init(&item->message, LIMIT_EVIDENCE_SIZE);
	buf_put(&item->message, message);
}

static void set_seen(struct disk_log *log, uint64_t time_s, struct bytes note)
{
	enum err err = checkpoint_peek(note, &log->seen, NULL);

	assert(err == OK);
	buf_clear(&log->seen_note);
	buf_put(&log->seen_note, note);
	log->seen_s = time_s;
}

static void apply(struct disk *disk, const struct store_write *write)
{
	struct disk_log *log;

	if (disk->witness_losing) {
		disk->witness_lost = true;
		disk->lost_key = disk->losing_key;
	}
	if (write->evidence.size > 0) {
		add_evidence(disk, &write->evidence_id, buf_bytes(&write->evidence));
		return;
	}
	log = disk_make(disk, &write->origin);
	if (write->entries != NULL)
		add_entries(log, write->entries);
	if (write->checkpoint.size > 0) {
		buf_clear(&log->checkpoint);
		buf_put(&log->checkpoint, buf_bytes(&write->checkpoint));
		buf_clear(&log->pin);
	}
	if (write->pin.size > 0) {
		buf_clear(&log->pin);
		buf_put(&log->pin, buf_bytes(&write->pin));
	}
	if (write->cosigner[0] != '\0')
		add_cosignature(log, write);
	if (write->witness.size > 0)
		set_seen(log, write->witness_s, buf_bytes(&write->witness));
}

enum err disk_apply(struct disk *disk, const struct store_write *write)
{
	TRY(check(disk, write));
	apply(disk, write);
	return OK;
}

void disk_submit(struct disk *disk, struct store_write *write)
{
	write->next = NULL;
	if (disk->queue == NULL)
		disk->queue = write;
	else
		disk->queue_last->next = write;
	disk->queue_last = write;
	disk->queued++;
}

static enum err reach(
	struct disk *disk, const struct store_write *write, const struct disk_watch *watch)
{
	TRY(check(disk, write));
	if (watch != NULL)
		watch->durable(watch->arg, write);
	apply(disk, write);
	return OK;
}

struct store_write *disk_sync(struct disk *disk, enum err refused, const struct disk_watch *watch)
{
	struct store_write *list = disk->queue;

	disk->queue = NULL;
	disk->queued = 0;
	for (struct store_write *write = list; write != NULL; write = write->next)
		write->result = refused != OK ? refused : reach(disk, write, watch);
	if (refused == OK && list != NULL)
		disk->commits++;
	return list;
}

static struct store_write *shift(struct disk *disk)
{
	struct store_write *write = disk->queue;

	disk->queue = write->next;
	return write;
}

void disk_lose(struct disk *disk, size_t reached, const struct disk_watch *watch)
{
	disk->queued = 0;
	disk->commits += disk->queue != NULL && reached > 0;
	while (disk->queue != NULL) {
		struct store_write *write = shift(disk);

		if (reached > 0) {
			/* Nobody is left to hear that it was refused. */
			write->result = reach(disk, write, watch);
			reached--;
		}
		store_write_free(write);
	}
}

static enum err leaf_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct disk_log *log = arg;
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&compact, &log->leaf[i]);
	compact_root(&compact, ret);
	return OK;
}

void disk_root(const struct disk_log *log, uint64_t size, struct hash *ret)
{
	struct compact compact;

	assert(size <= log->size);
	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&compact, &log->leaf[i]);
	compact_root(&compact, ret);
}

static void copy_buf(struct buf *to, struct bytes from)
{
	buf_init(to, LIMIT_NOTE_SIZE);
	buf_put(to, from);
	assert(to->err == OK);
}

void disk_head(const struct disk_log *log, struct log_head *ret)
{
	*ret = (struct log_head){.origin = log->origin, .size = log->size};
	compact_init(&ret->compact);
	for (size_t i = 0; i < log->size; i++)
		compact_append(&ret->compact, &log->leaf[i]);
	copy_buf(&ret->checkpoint, buf_bytes(&log->checkpoint));
	copy_buf(&ret->pin, buf_bytes(&log->pin));
	if (log->seen.size > 0) {
		copy_buf(&ret->witness, buf_bytes(&log->seen_note));
		ret->witness_s = log->seen_s;
	}
	buf_init(&ret->first_entry, LIMIT_ENTRY_SIZE);
	if (log->size > 0)
		buf_put(&ret->first_entry, disk_entry(log, 0));
	ret->cosignatures = mem_array(log->cosigned_count + 1, sizeof(*ret->cosignatures));
	assert(ret->cosignatures != NULL);
	for (size_t i = 0; i < log->cosigned_count; i++) {
		struct store_cosignature *c = &ret->cosignatures[ret->cosignature_count++];

		*c = log->cosigned[i];
		copy_buf(&c->line, buf_bytes(&log->cosigned[i].line));
	}
}

static enum err read_proof(
	struct disk_log *log, const struct store_read *read, struct store_batch *ret)
{
	struct tree_source source = {leaf_node, log};

	if (read->first == 0 || read->first > read->target || read->target > log->size)
		return ERR_INVALID;
	disk_root(log, read->first, &ret->root);
	return tree_prove_consistency(&source, read->first, read->target, &ret->proof);
}

enum err disk_read(struct disk *disk, const struct store_read *read, struct store_batch *ret)
{
	size_t count = 0, size = 0, count_max = read->count_max > 0 ? read->count_max : 1;
	struct disk_log *log = disk_find(disk, &read->origin);
	struct tree_source source = {leaf_node, log};
	struct bytes *list;
	enum err err;

	if (log == NULL)
		return ERR_NOTFOUND;
	if (read->kind == READ_PROOF)
		return read_proof(log, read, ret);
	if (read->first >= read->target || read->target > log->size)
		return ERR_INVALID;
	if (count_max > read->target - read->first)
		count_max = (size_t)(read->target - read->first);
	list = mem_array(count_max, sizeof(*list));
	assert(list != NULL);
	while (count < count_max) {
		struct bytes entry = disk_entry(log, read->first + count);

		if (count > 0 && (size > read->size_max || entry.size > read->size_max - size))
			break;
		list[count++] = entry;
		size += entry.size;
	}
	err = entries_make(list, count, &ret->entries);
	assert(err == OK);
	mem_free(list);
	err = tree_prove_consistency(&source, read->first + count, read->target, &ret->proof);
	assert(err == OK);
	return OK;
}

void disk_copy(const struct disk *disk, struct disk *ret)
{
	*ret = (struct disk){.commits = disk->commits,
		.witness_lost = disk->witness_lost,
		.lost_key = disk->lost_key};
	for (size_t i = 0; i < disk->evidence_count; i++)
		add_evidence(ret, &disk->evidence[i].id, buf_bytes(&disk->evidence[i].message));
	for (size_t i = 0; i < disk->log_count; i++) {
		const struct disk_log *from = disk->logs[i];
		struct disk_log *to = disk_make(ret, &from->origin);

		for (size_t k = 0; k < from->size; k++)
			add_entry(to, from->block[k], from->offset[k]);
		buf_put(&to->checkpoint, buf_bytes(&from->checkpoint));
		buf_put(&to->pin, buf_bytes(&from->pin));
		if (from->seen.size > 0)
			set_seen(to, from->seen_s, buf_bytes(&from->seen_note));
		for (size_t k = 0; k < from->cosigned_count; k++) {
			struct store_cosignature *c =
				cosignature_place(to, from->cosigned[k].cosigner);

			c->size = from->cosigned[k].size;
			buf_put(&c->line, buf_bytes(&from->cosigned[k].line));
		}
	}
}

static void log_release(struct disk_log *log)
{
	for (size_t i = 0; i < log->size; i++)
		entries_unref(log->block[i]);
	mem_free(log->block);
	mem_free(log->offset);
	mem_free(log->leaf);
	buf_release(&log->checkpoint);
	buf_release(&log->pin);
	buf_release(&log->seen_note);
	for (size_t i = 0; i < log->cosigned_count; i++)
		buf_release(&log->cosigned[i].line);
	mem_free(log->cosigned);
	mem_free(log);
}

void disk_release(struct disk *disk)
{
	disk_lose(disk, 0, NULL);
	for (size_t i = 0; i < disk->log_count; i++)
		log_release(disk->logs[i]);
	for (size_t i = 0; i < disk->evidence_count; i++)
		buf_release(&disk->evidence[i].message);
	mem_free(disk->evidence);
	*disk = (struct disk){0};
}
