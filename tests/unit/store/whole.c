#include "whole.h"

#include <stdlib.h>

#include "tests/unit/certs/certs_test.h"

enum { OFFICE_LOG_KEY = 8888, DIRECTORY_KEY = 7777 };

static void no_wake(void *arg) {}

static void write_now(struct store *store, struct store_write *write)
{
	struct errctx ctx = {""};
	struct writer *writer;

	assert_ok(writer_start(
		&(struct writer_opts){.store = store, .wake = no_wake}, &writer, &ctx));
	writer_submit(writer, write);
	writer_stop(writer);
	assert_ptr_equal(writer_done(writer, &ctx), write);
	if (write->result != OK)
		fail_msg("%s", ctx.text);
	store_write_free(write);
	writer_free(writer);
}

/* Entries, or none, and the checkpoint over `covered` of them. */
static void log_write(struct store *store, const struct origin *origin, struct compact *tree,
	const struct bytes *entries, size_t count, size_t covered, unsigned key)
{
	struct store_write *write = store_write_new(origin);
	struct checkpoint checkpoint = {.origin = *origin};
	struct signer *signer = signer_number(key);

	assert_non_null(write);
	write->first = tree->size;
	assert_ok(entries_make(entries, count, &write->entries));
	for (size_t i = 0; i < count; i++) {
		compact_append(tree, &write->entries->leaf[i]);
		if (i + 1 != covered)
			continue;
		checkpoint.size = tree->size;
		compact_root(tree, &checkpoint.root);
		assert_ok(checkpoint_sign(&write->checkpoint, &checkpoint, signer));
	}
	signer_free(signer);
	write_now(store, write);
}

static void cosign(struct store *store, const struct origin *origin, const struct actor *mirror,
	unsigned number, uint64_t size, const struct hash *root)
{
	struct store_write *write = store_write_new(origin);
	struct checkpoint checkpoint = {*origin, size, *root};
	struct signer *signer = signer_number(10 * number + 1);
	char name[128];
	struct buf text;

	assert_non_null(write);
	snprintf(write->cosigner, sizeof(write->cosigner), "%s", mirror->member.name);
	snprintf(name, sizeof(name), "%s/mirror/%s", NETWORK, mirror->member.name);
	write->cosigned_size = size;
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	buf_put(&write->cosignature, hash_bytes(root));
	assert_ok(
		cosignature_sign(&write->cosignature, buf_bytes(&text), 1700000000, name, signer));
	buf_release(&text);
	signer_free(signer);
	write_now(store, write);
}

static void directory_write(struct whole *whole, struct store *store, const struct actor *hq,
	const struct actor *office)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(hq);
	struct buf entries[4];
	struct bytes views[4];
	struct compact tree;
	struct hash root;

	buf_init(&entries[0], LIMIT_ENTRY_SIZE);
	buf_init(&entries[1], LIMIT_ENTRY_SIZE);
	assert_ok(log_opened_write(&entries[0], &opened, hq->node));
	assert_ok(network_created_write(&entries[1], &created, hq->node));
	entry_admitted(&entries[2], hq);
	entry_admitted(&entries[3], office);
	assert_ok(directory_new(NETWORK, &whole->members));
	for (size_t i = 0; i < 4; i++) {
		views[i] = buf_bytes(&entries[i]);
		assert_ok(directory_apply(whole->members, views[i]));
	}
	assert_int_equal(directory_odd(whole->members, NULL), 0);
	compact_init(&tree);
	log_write(store, &whole->origin[WHOLE_DIRECTORY], &tree, views, 4, 4, DIRECTORY_KEY);
	compact_root(&tree, &root);
	cosign(store, &whole->origin[WHOLE_DIRECTORY], office, 2, 4, &root);
	whole->size[WHOLE_DIRECTORY] = 4;
	for (size_t i = 0; i < 4; i++)
		buf_release(&entries[i]);
}

/* In two commits, so that pages are freed and tiles are written over. */
static void office_write(struct whole *whole, struct store *store, const struct actor *hq,
	const struct actor *office, size_t count, size_t tail)
{
	struct origin *origin = &whole->origin[WHOLE_OFFICE];
	struct log_opened opened = {.origin = origin->text,
		.previous_origin = "",
		.log_key = public_number(OFFICE_LOG_KEY),
		.opened_at = 1700000000};
	struct buf *entries = calloc(count, sizeof(*entries));
	struct bytes *views = calloc(count, sizeof(*views));
	size_t half = (count - tail) / 2;
	struct compact tree;
	struct hash root;

	assert_true(entries != NULL && views != NULL && half > 0);
	for (size_t i = 0; i < count; i++) {
		buf_init(&entries[i], LIMIT_ENTRY_SIZE);
		if (i == 0)
			assert_ok(log_opened_write(&entries[i], &opened, office->node));
		else
			entry_make(&entries[i], 1, i);
		views[i] = buf_bytes(&entries[i]);
	}
	compact_init(&tree);
	log_write(store, origin, &tree, views, half, half, OFFICE_LOG_KEY);
	compact_root(&tree, &root);
	cosign(store, origin, hq, 1, half, &root);
	log_write(store, origin, &tree, views + half, count - half, count - half - tail,
		OFFICE_LOG_KEY);
	whole->size[WHOLE_OFFICE] = count;
	for (size_t i = 0; i < count; i++)
		buf_release(&entries[i]);
	free(entries);
	free(views);
}

void whole_make(struct whole *whole, const char *path, size_t entries, size_t tail)
{
	struct store_opts opts = {.path = path, .network = NETWORK, .node = NODE};
	struct actor hq = actor_make("hq", ROLE_HQ, "", 1);
	struct actor office = actor_make(NODE, ROLE_OFFICE, "HTI", 2);
	uint8_t random[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct errctx ctx = {""};
	struct store *store;

	*whole = (struct whole){.directory_key = public_number(DIRECTORY_KEY)};
	assert_ok(origin_parse(bytes_str(DIRECTORY_ORIGIN), &whole->origin[WHOLE_DIRECTORY], NULL));
	assert_ok(origin_make(
		bytes_str(NETWORK), bytes_str(NODE), 1, random, &whole->origin[WHOLE_OFFICE]));
	if (store_open(&opts, &store, &ctx) != OK)
		fail_msg("%s", ctx.text);
	directory_write(whole, store, &hq, &office);
	office_write(whole, store, &hq, &office, entries, tail);
	assert_ok(store_invite_put(store, "kenya", bytes_str("an invitation"), &ctx));
	store_close(store);
	actor_release(&hq);
	actor_release(&office);
}

void whole_release(struct whole *whole)
{
	directory_free(whole->members);
	whole->members = NULL;
}

struct fsck_opts whole_fsck(const struct whole *whole, const char *path, bool headquarters)
{
	return (struct fsck_opts){
		.path = path,
		.network = NETWORK,
		.node = headquarters ? "hq" : NODE,
		.directory = whole->origin[WHOLE_DIRECTORY],
		.directory_key = whole->directory_key,
		.members = whole->members,
		.headquarters = headquarters,
	};
}
