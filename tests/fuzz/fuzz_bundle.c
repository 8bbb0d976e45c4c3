/*
 * Bundles, from the file to the store. A fuzzer forges no signatures and no hashes, so most inputs
 * are changes to a bundle that is well made: the directory, and one log of 40 entries in batches of
 * 8 with a cosignature.
 *
 *   first byte even   the rest is the file, as it is
 *   odd               edits, 6 bytes each: u8 what, u24be where (modulo the size), u16be how much
 *                     0 xor a byte   1 cut   2 repeat   3 end the file   4 write two bytes
 *
 * Whatever the file: reading ends, each frame is answered once, what an index of it names is there,
 * nothing is written but what the authors signed; afterwards the bundle as it was made brings all
 * that is missing.
 */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "proto/frame.h"
#include "replication/bundle/check.h"
#include "replication/bundle/frames.h"
#include "replication/bundle/index.h"
#include "replication/bundle/reader.h"
#include "replication/engine/engine.h"

#define NETWORK "ovra.example"
enum { ENTRIES = 40, BATCH = 8, FILE_MAX = 1 << 20, DIRECTORY = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct chain {
	struct origin origin;
	struct signer *key;
	struct buf entry[ENTRIES];
	struct hash leaf[ENTRIES];
	size_t count;
	struct buf note;
};

static struct chain directory, office;
static struct signer *node_key, *mirror_key;
static struct buf bundle; /* as it was made */

static void chain_add(struct chain *chain, struct bytes entry)
{
	struct buf *to = &chain->entry[chain->count];

	buf_init(to, LIMIT_ENTRY_SIZE);
	buf_put(to, entry);
	tree_leaf(entry, &chain->leaf[chain->count++]);
}

static void compact_of(const struct chain *chain, size_t size, struct compact *ret)
{
	compact_init(ret);
	for (size_t i = 0; i < size; i++)
		compact_append(ret, &chain->leaf[i]);
}

static enum err subtree(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct chain *chain = arg;
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&compact, &chain->leaf[i]);
	compact_root(&compact, ret);
	return OK;
}

static void chain_begin(struct chain *chain, const char *node, unsigned number)
{
	const uint8_t random[8] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)number};
	uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)number, 0x77};
	struct log_opened opened = {.previous_origin = "", .opened_at = 1};
	struct buf entry;
	enum err err = origin_make(bytes_str(NETWORK), bytes_str(node), 1, random, &chain->origin);

	assert(err == OK);
	err = signer_new(BYTES_ARRAY(seed), &chain->key);
	assert(err == OK);
	opened.origin = chain->origin.text;
	opened.log_key = *signer_public(chain->key);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = log_opened_write(&entry, &opened, node_key);
	assert(err == OK);
	chain_add(chain, buf_bytes(&entry));
	buf_release(&entry);
}

static void chain_end(struct chain *chain)
{
	struct checkpoint checkpoint = {.origin = chain->origin, .size = chain->count};
	struct compact compact;
	enum err err;

	compact_of(chain, chain->count, &compact);
	compact_root(&compact, &checkpoint.root);
	buf_init(&chain->note, LIMIT_NOTE_SIZE);
	err = checkpoint_sign(&chain->note, &checkpoint, chain->key);
	assert(err == OK);
}

/* Headquarters, and that is all: the office's log is headquarters' own too. */
static void make_directory(void)
{
	struct network_created created = {.network = NETWORK, .hq = "hq"};
	struct member hq = {.name = "hq", .role = ROLE_HQ, .active = true, .made_at = 1};
	struct ed25519_signature signature;
	struct buf entry, body;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	chain_begin(&directory, "directory", 1);
	created.hq_node = hq.node = *signer_public(node_key);
	err = network_created_write(&entry, &created, node_key);
	assert(err == OK);
	chain_add(&directory, buf_bytes(&entry));
	hq.mirror = *signer_public(mirror_key);
	hq.witness.b[0] = 0x12;
	hq.complaint.b[0] = 0x13;
	hq.tls_spki.b[0] = 0x14;
	err = node_admitted_body(&body, NETWORK, &hq);
	assert(err == OK);
	err = node_sign(node_key, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature);
	assert(err == OK);
	buf_clear(&entry);
	err = record_write_signed(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
		buf_bytes(&body), BYTES_ARRAY(signature.b));
	assert(err == OK);
	chain_add(&directory, buf_bytes(&entry));
	chain_add(&directory, bytes_str("malformed, and skipped"));
	buf_release(&entry);
	buf_release(&body);
	chain_end(&directory);
}

static void put_chain(struct buf *out, const struct chain *chain)
{
	struct tree_source source = {subtree, (void *)chain};
	struct bytes list[BATCH];

	for (size_t first = 0; first < chain->count; first += BATCH) {
		struct store_batch batch = {0};
		size_t count = chain->count - first < BATCH ? chain->count - first : BATCH;
		enum err err;

		for (size_t i = 0; i < count; i++)
			list[i] = buf_bytes(&chain->entry[first + i]);
		err = entries_make(list, count, &batch.entries);
		assert(err == OK);
		err = tree_prove_consistency(&source, first + count, chain->count, &batch.proof);
		assert(err == OK);
		bundle_batch_write(out, &chain->origin, first, &batch, buf_bytes(&chain->note));
		entries_unref(batch.entries);
	}
}

static void put_have(struct buf *out, const struct chain *chain)
{
	struct bundle_cosigned cosigned = {.size = chain->count};
	struct checkpoint checkpoint = {.origin = chain->origin, .size = chain->count};
	struct compact compact;
	struct buf text, line;
	enum err err;

	compact_of(chain, chain->count, &compact);
	compact_root(&compact, &checkpoint.root);
	cosigned.root = checkpoint.root;
	buf_init(&text, LIMIT_NOTE_SIZE);
	buf_init(&line, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	err = cosignature_sign(&line, buf_bytes(&text), 1, NETWORK "/mirror/hq", mirror_key);
	assert(err == OK);
	cosigned.line = buf_bytes(&line);
	bundle_have_write(out, &chain->origin, chain->count, buf_bytes(&chain->note), &cosigned, 1);
	buf_release(&text);
	buf_release(&line);
}

/* One segment for each frame. */
static void make_bundle(void)
{
	struct bundle_manifest manifest = {.network = NETWORK, .node = "hq", .part = 1, .parts = 1};
	struct bundle_log logs[2] = {{.origin = directory.origin}, {.origin = office.origin}};
	struct bundle_segments segments;
	struct secret key;
	struct buf body;
	enum err err;

	buf_init(&body, FILE_MAX);
	buf_init(&bundle, FILE_MAX);
	put_chain(&body, &directory);
	put_chain(&body, &office);
	put_have(&body, &office);
	err = bundle_segments_init(&segments, 1);
	assert(err == OK);
	for (size_t at = 0; at < body.size;) {
		size_t size = FRAME_HEADER_SIZE + get_u32be(body.data + at);

		err = bundle_segments_put(&segments, bytes_make(body.data + at, size));
		assert(err == OK);
		at += size;
	}
	logs[0].key = *signer_public(directory.key);
	logs[0].to = logs[0].size = directory.count;
	logs[1].key = *signer_public(office.key);
	logs[1].to = logs[1].size = office.count;
	manifest.logs = logs;
	manifest.log_count = 2;
	manifest.segments = segments.list;
	manifest.segment_count = segments.count;
	err = tls_key_new(&key);
	assert(err == OK);
	err = bundle_manifest_write(&bundle, &manifest, secret_bytes(&key), 0);
	assert(err == OK);
	buf_put(&bundle, buf_bytes(&body));
	assert(bundle.err == OK);
	secret_release(&key);
	bundle_segments_release(&segments);
	buf_release(&body);
}

static void make_world(void)
{
	const uint8_t node[ED25519_SEED_SIZE] = {1}, mirror[ED25519_SEED_SIZE] = {2};
	char text[64];
	enum err err = crypto_init();

	assert(err == OK);
	err = signer_new(BYTES_ARRAY(node), &node_key);
	assert(err == OK);
	err = signer_new(BYTES_ARRAY(mirror), &mirror_key);
	assert(err == OK);
	make_directory();
	chain_begin(&office, "hq", 2);
	for (int i = 1; i < ENTRIES; i++) {
		snprintf(text, sizeof(text), "entry %d", i);
		chain_add(&office, bytes_str(text));
	}
	chain_end(&office);
	make_bundle();
}

/* ---- the node ---- */

struct node {
	struct engine *engine;
	struct store_write *first, **last;
	size_t answers;
};

static const struct chain *chain_of(const char *origin)
{
	if (strcmp(origin, directory.origin.text) == 0)
		return &directory;
	return strcmp(origin, office.origin.text) == 0 ? &office : NULL;
}

/* Only what its author has made, at its place. */
static void write_check(const struct store_write *write)
{
	const struct chain *chain = chain_of(write->origin.text);

	if (write->entries == NULL)
		return;
	assert(chain != NULL && write->first + write->entries->count <= chain->count);
	for (size_t i = 0; i < write->entries->count; i++)
		assert(hash_equal(&write->entries->leaf[i], &chain->leaf[write->first + i]));
	if (write->checkpoint.size > 0)
		assert(write->first + write->entries->count == chain->count);
}

static void step(struct node *node, struct event *event);

static void perform(struct node *node, struct effect *effect)
{
	if (effect->type == EFFECT_IMPORTED) {
		node->answers++;
	} else if (effect->type == EFFECT_WRITE) {
		write_check(effect->write);
		*node->last = effect->write;
		node->last = &effect->write->next;
		effect->write = NULL;
	} else if (effect->type == EFFECT_COSIGN) {
		step(node, &(struct event){.type = EVENT_COSIGNED,
				   .origin = &effect->origin,
				   .witness = effect->witness,
				   .error = ERR_LOCKED});
	} else if (effect->type == EFFECT_READ) {
		step(node, &(struct event){.type = EVENT_READ,
				   .ticket = effect->read.ticket,
				   .error = ERR_IO});
	}
}

static void step(struct node *node, struct event *event)
{
	struct effects effects = {0};
	enum err err = engine_step(node->engine, event, &effects);

	assert(err == OK);
	for (size_t i = 0; i < effects.count; i++)
		perform(node, &effects.list[i]);
	effects_release(&effects);
}

static void written(struct node *node)
{
	while (node->first != NULL) {
		struct store_write *write = node->first;

		node->first = write->next;
		if (node->first == NULL)
			node->last = &node->first;
		write->next = NULL;
		write->result = OK;
		step(node, &(struct event){.type = EVENT_WRITTEN, .write = write});
	}
}

static void node_begin(struct node *node)
{
	struct engine_opts opts = {
		.network = NETWORK,
		.node = "ben",
		.directory = directory.origin,
		.directory_key = *signer_public(directory.key),
		.timing = engine_timing_default,
	};
	enum err err;

	*node = (struct node){.last = &node->first};
	err = engine_new(&opts, &node->engine);
	assert(err == OK);
	step(node, &(struct event){.type = EVENT_START});
}

/* ---- the file ---- */

static enum err file_read(
	void *arg, uint64_t offset, void *data, size_t size, size_t *ret_size, struct errctx *ctx)
{
	const struct buf *file = arg;
	size_t left = offset < file->size ? file->size - (size_t)offset : 0;

	*ret_size = size < left ? size : left;
	if (*ret_size > 0)
		memcpy(data, file->data + offset, *ret_size);
	return OK;
}

static void check_frame(struct bundle_check *check, struct bytes frame)
{
	struct errctx ctx = {""};
	enum err err = bundle_check_frame(check, frame, &ctx);

	assert(err != ERR_NOMEM);
}

static void import_frames(
	struct node *node, struct bundle_reader *reader, struct bundle_check *check, size_t size)
{
	struct bundle_item item = {.found = BUNDLE_DAMAGE};

	for (size_t steps = 0; item.found != BUNDLE_END; steps++) {
		enum err err = bundle_reader_next(reader, &item);

		assert(err == OK && steps <= size + 2 * LIMIT_BUNDLE_SEGMENTS + 8);
		if (item.found != BUNDLE_FRAME)
			continue;
		check_frame(check, item.frame);
		node->answers = 0;
		step(node,
			&(struct event){
				.type = EVENT_IMPORT_FRAME, .session = {7}, .frame = item.frame});
		written(node);
		assert(node->answers == 1);
	}
}

static void import(struct node *node, struct buf *file)
{
	struct bundle_source source = {file_read, file};
	const struct bundle_manifest *manifest;
	struct bundle_reader *reader;
	struct bundle_check *check;
	enum err err;

	if (bundle_reader_open(&source, &reader, NULL) != OK)
		return;
	err = bundle_check_new(&check);
	assert(err == OK);
	manifest = bundle_reader_manifest(reader, NULL);
	if (manifest != NULL)
		err = bundle_check_manifest(check, manifest);
	assert(err == OK);
	step(node, &(struct event){.type = EVENT_IMPORT, .session = {7}, .peer = ""});
	import_frames(node, reader, check, file->size);
	step(node, &(struct event){.type = EVENT_IMPORT_END, .session = {7}});
	bundle_check_free(check);
	bundle_reader_close(reader);
}

/* ---- read as the files of logs ---- */

static void index_file(struct bundle_index *index, struct bundle_reader *reader)
{
	struct bundle_item item = {.found = BUNDLE_DAMAGE};

	while (item.found != BUNDLE_END) {
		enum err err = bundle_reader_next(reader, &item);

		assert(err == OK);
		if (item.found != BUNDLE_FRAME)
			continue;
		err = bundle_index_frame(
			index, item.frame, &(struct bundle_index_place){0, item.offset}, NULL);
		assert(err != ERR_NOMEM);
		struct bytes message = bundle_index_evidence(item.frame);

		assert(message.size == 0 ||
			(message.data > item.frame.data &&
				message.data + message.size == item.frame.data + item.frame.size));
	}
	bundle_index_end(index);
}

/* Every entry that the index names is there, in the one batch that it names. */
static void check_log(const struct bundle_index_log *log, struct bytes file, struct arena *arena)
{
	struct buf out;

	buf_init(&out, FILE_MAX);
	for (size_t i = 0; i < log->count; i++) {
		const struct bundle_index_batch *batch = &log->batches[i];
		uint64_t end = batch->first + batch->count;

		assert(batch->count > 0 && batch->offset + 4 + batch->size <= file.size);
		assert(i == 0 ||
			(batch->first >= log->batches[i - 1].first &&
				end > log->batches[i - 1].first + log->batches[i - 1].count));
		for (uint64_t entry = batch->first; entry < end; entry++) {
			const struct bundle_index_batch *of = bundle_index_batch(log, entry);

			assert(of != NULL && entry >= of->first && entry < of->first + of->count);
		}
		assert(bundle_index_batch(log, bundle_index_gap(log, end)) == NULL);
		buf_clear(&out);
		enum err err = bundle_index_entries(batch,
			bytes_make(file.data + batch->offset + 4, batch->size), batch->first, end,
			arena, &out);

		assert(err == OK && out.size >= (size_t)batch->count * 3);
	}
	buf_clear(&out);
	enum err err = bundle_index_checkpoint(log, &out);

	assert(err == (log->newest.size == 0 ? ERR_NOTFOUND : OK));
	buf_release(&out);
}

static void read_again(struct buf *file)
{
	struct bundle_source source = {file_read, file};
	struct bundle_reader *reader;
	struct bundle_index *index;
	struct arena arena;
	enum err err;

	if (bundle_reader_open(&source, &reader, NULL) != OK)
		return;
	err = bundle_index_new(&index);
	assert(err == OK);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	index_file(index, reader);
	for (size_t i = 0; i < bundle_index_count(index); i++)
		check_log(bundle_index_at(index, i), buf_bytes(file), &arena);
	arena_release(&arena);
	bundle_index_free(index);
	bundle_reader_close(reader);
}

/* ---- the input ---- */

static void edit(struct buf *file, const uint8_t *how)
{
	size_t at = ((size_t)how[1] << 16 | get_u16be(how + 2)) % (file->size + 1);
	size_t size = get_u16be(how + 4), left = file->size - at;
	struct buf rest;

	size = size < left ? size : left;
	switch (how[0] % 5) {
	case 0:
		if (left > 0)
			file->data[at] ^= how[5];
		break;
	case 1:
		if (size > 0)
			memmove(file->data + at, file->data + at + size, left - size);
		file->size -= size;
		break;
	case 2:
		buf_init(&rest, FILE_MAX);
		buf_put(&rest, bytes_make(file->data + at, left));
		file->size = at + size;
		buf_put(file, buf_bytes(&rest));
		buf_release(&rest);
		break;
	case 3:
		file->size = at;
		break;
	default:
		if (left >= 2)
			memcpy(file->data + at, how + 4, 2);
		break;
	}
}

static void make_file(struct buf *file, const uint8_t *data, size_t size)
{
	buf_init(file, FILE_MAX);
	if (size > 0 && data[0] % 2 == 0) {
		buf_put(file, bytes_make(data + 1, size - 1));
		return;
	}
	buf_put(file, buf_bytes(&bundle));
	for (size_t at = 1; at + 6 <= size && file->err == OK && file->size > 0; at += 6)
		edit(file, data + at);
}

static void whole(const struct node *node, const struct chain *chain)
{
	struct engine_log log;
	size_t position;
	bool found = engine_log_find(node->engine, bytes_str(chain->origin.text), &log, &position);

	assert(found && !log.frozen && log.checkpoint_size == chain->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node node;
	struct buf file;

	if (bundle.size == 0)
		make_world();
	node_begin(&node);
	make_file(&file, data, size);
	if (file.err == OK) {
		read_again(&file);
		import(&node, &file);
	}
	import(&node, &bundle);
	whole(&node, &directory);
	whole(&node, &office);
	engine_free(node.engine);
	buf_release(&file);
	return 0;
}
