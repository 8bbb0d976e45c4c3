/*
 * A disk that keeps exactly what it was told is durable. What was submitted and not yet applied is
 * the world's to apply or to lose.
 */
#include <assert.h>

#include "base/alloc.h"
#include "tests/sim/world.h"

struct disk_log *disk_find(struct disk *disk, const struct origin *origin)
{
	for (size_t i = 0; i < disk->log_count; i++)
		if (strcmp(disk->logs[i].origin.text, origin->text) == 0)
			return &disk->logs[i];
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
	assert(disk->log_count < LOGS_MAX);
	log = &disk->logs[disk->log_count++];
	*log = (struct disk_log){.origin = *origin};
	buf_init(&log->checkpoint, LIMIT_NOTE_SIZE);
	return log;
}

static void add_entries(struct disk_log *log, struct entries *entries)
{
	if (log->size + entries->count > log->capacity) {
		log->capacity = 2 * (log->size + entries->count);
		log->block = mem_resize(log->block, log->capacity * sizeof(*log->block));
		log->offset = mem_resize(log->offset, log->capacity * sizeof(*log->offset));
		log->leaf = mem_resize(log->leaf, log->capacity * sizeof(*log->leaf));
		assert(log->block != NULL && log->offset != NULL && log->leaf != NULL);
	}
	for (size_t i = 0; i < entries->count; i++) {
		log->block[log->size] = entries_ref(entries);
		log->offset[log->size] = i;
		log->leaf[log->size++] = entries->leaf[i];
	}
}

static void add_cosignature(struct disk_log *log, const struct store_write *write)
{
	struct store_cosignature *c = NULL;

	for (size_t i = 0; i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, write->cosigner) == 0)
			c = &log->cosigned[i];
	if (c == NULL) {
		assert(log->cosigned_count < NODES_MAX);
		c = &log->cosigned[log->cosigned_count++];
		buf_init(&c->line, LIMIT_NOTE_SIZE);
		snprintf(c->cosigner, sizeof(c->cosigner), "%s", write->cosigner);
	}
	c->size = write->cosigned_size;
	buf_clear(&c->line);
	buf_put(&c->line, buf_bytes(&write->cosignature));
}

void disk_apply(struct disk *disk, const struct store_write *write)
{
	struct disk_log *log = disk_make(disk, &write->origin);

	if (write->entries != NULL) {
		assert(write->first == log->size);
		add_entries(log, write->entries);
	}
	if (write->checkpoint.size > 0) {
		buf_clear(&log->checkpoint);
		buf_put(&log->checkpoint, buf_bytes(&write->checkpoint));
	}
	if (write->cosigner[0] != '\0')
		add_cosignature(log, write);
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

void disk_read(struct disk *disk, const struct store_read *read, struct store_batch *ret)
{
	struct disk_log *log = disk_find(disk, &read->origin);
	struct bytes list[LIMIT_BATCH_ENTRIES];
	size_t count = 0, size = 0;

	assert(log != NULL && read->first < read->target && read->target <= log->size);
	while (read->first + count < read->target && count < read->count_max) {
		struct bytes entry = disk_entry(log, read->first + count);

		if (count > 0 && size + entry.size > read->size_max)
			break;
		list[count++] = entry;
		size += entry.size;
	}
	enum err err = entries_make(list, count, &ret->entries);

	assert(err == OK);
	struct tree_source source = {leaf_node, log};

	err = tree_prove_consistency(&source, read->first + count, read->target, &ret->proof);
	assert(err == OK);
}

void disk_release(struct disk *disk)
{
	for (size_t i = 0; i < disk->log_count; i++) {
		struct disk_log *log = &disk->logs[i];

		for (size_t k = 0; k < log->size; k++)
			entries_unref(log->block[k]);
		mem_free(log->block);
		mem_free(log->offset);
		mem_free(log->leaf);
		buf_release(&log->checkpoint);
		for (size_t k = 0; k < log->cosigned_count; k++)
			buf_release(&log->cosigned[k].line);
	}
	disk->log_count = 0;
}
