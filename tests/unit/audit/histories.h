/*
 * histories: a log with two histories that share their first leaves, its checkpoints and its
 * LogOpened, for the tests of replication/audit.
 */
#ifndef TESTS_UNIT_AUDIT_HISTORIES_H
#define TESTS_UNIT_AUDIT_HISTORIES_H

#include "certs/record.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"

enum { LEAVES = 20, COMMON = 5 };

struct histories {
	struct origin origin;
	const struct signer *log; /* borrowed */
	struct hash leaf[2][LEAVES];
};

static inline void histories_init(struct histories *h, const char *origin, const struct signer *log)
{
	*h = (struct histories){.log = log};
	assert_int_equal(origin_parse(bytes_str(origin), &h->origin, NULL), OK);
	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < LEAVES; i++) {
			uint8_t text[2] = {(uint8_t)(i < COMMON ? 0 : b), (uint8_t)i};

			tree_leaf(BYTES_ARRAY(text), &h->leaf[b][i]);
		}
}

static inline void histories_tree(
	const struct histories *h, unsigned branch, uint64_t size, struct compact *ret)
{
	compact_init(ret);
	for (uint64_t i = 0; i < size; i++)
		compact_append(ret, &h->leaf[branch][i]);
}

/* The signed note. */
static inline void histories_note(
	const struct histories *h, unsigned branch, uint64_t size, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = h->origin, .size = size};
	struct compact tree;

	histories_tree(h, branch, size, &tree);
	compact_root(&tree, &checkpoint.root);
	buf_init(ret, LIMIT_NOTE_SIZE);
	assert_int_equal(checkpoint_sign(ret, &checkpoint, h->log), OK);
}

struct histories_branch {
	const struct histories *h;
	unsigned branch;
};

static inline enum err histories_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct histories_branch *b = arg;
	struct compact tree;

	compact_init(&tree);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&tree, &b->h->leaf[b->branch][i]);
	compact_root(&tree, ret);
	return OK;
}

static inline struct tree_source histories_source(struct histories_branch *branch)
{
	return (struct tree_source){histories_node, branch};
}

static inline void histories_opened(
	const struct histories *h, const struct signer *node, struct buf *ret)
{
	const struct log_opened opened = {.origin = h->origin.text,
		.previous_origin = "",
		.log_key = *signer_public(h->log),
		.opened_at = 1700000000};

	buf_init(ret, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(ret, &opened, node), OK);
}

#endif
