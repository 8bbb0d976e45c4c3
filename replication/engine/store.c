#include "replication/engine/store.h"

#include "base/alloc.h"

struct store_write *store_write_new(const struct origin *origin)
{
	struct store_write *write = mem_zalloc(sizeof(*write));

	if (write == NULL)
		return NULL;
	write->origin = *origin;
	buf_init(&write->checkpoint, LIMIT_NOTE_SIZE);
	buf_init(&write->cosignature, LIMIT_NOTE_SIZE);
	buf_init(&write->pin, LIMIT_NOTE_SIZE);
	buf_init(&write->evidence, LIMIT_EVIDENCE_SIZE);
	buf_init(&write->dispute, LIMIT_DISPUTE_SIZE);
	buf_init(&write->witness, LIMIT_NOTE_SIZE);
	return write;
}

void store_write_free(struct store_write *write)
{
	if (write == NULL)
		return;
	entries_unref(write->entries);
	buf_release(&write->checkpoint);
	buf_release(&write->cosignature);
	buf_release(&write->pin);
	buf_release(&write->evidence);
	buf_release(&write->dispute);
	buf_release(&write->witness);
	mem_free(write);
}

void log_head_release(struct log_head *head)
{
	if (head == NULL)
		return;
	for (size_t i = 0; i < head->cosignature_count; i++)
		buf_release(&head->cosignatures[i].line);
	mem_free(head->cosignatures);
	buf_release(&head->checkpoint);
	buf_release(&head->first_entry);
	buf_release(&head->pin);
	buf_release(&head->witness);
	*head = (struct log_head){0};
}
