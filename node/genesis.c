#include "node/genesis.h"

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

void genesis_release(struct genesis *genesis)
{
	if (genesis == NULL)
		return;
	buf_release(&genesis->note);
	entries_unref(genesis->entries);
	directory_free(genesis->directory);
	genesis->entries = NULL;
	genesis->directory = NULL;
}

static enum err check_checkpoint(
	const struct genesis_parts *parts, struct genesis *genesis, struct errctx *ctx)
{
	struct origin_parts origin;
	struct note_key key;
	enum err err = origin_parse(bytes_str(parts->origin), &genesis->origin, &origin);

	if (err != OK)
		return err_set(ctx, err, "'%.200s' is no origin", parts->origin);
	if (!bytes_equal_str(origin.network, parts->network) ||
		!bytes_equal_str(origin.node, "directory"))
		return err_set(ctx, ERR_MALFORMED, "'%s' is not the directory of '%s'",
			genesis->origin.text, parts->network);
	TRY(log_note_key(&genesis->origin, parts->key, &key));
	err = checkpoint_open(parts->checkpoint, &key, &genesis->checkpoint, NULL, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "checkpoint of the directory");
	if (strcmp(genesis->checkpoint.origin.text, genesis->origin.text) != 0)
		return err_set(ctx, ERR_MALFORMED, "the checkpoint is of another log: %s",
			genesis->checkpoint.origin.text);
	return OK;
}

/* It was opened: nothing but the directory's own line is kept of it. */
static enum err keep_note(const struct genesis_parts *parts, struct genesis *genesis)
{
	struct note_key key;

	TRY(log_note_key(&genesis->origin, parts->key, &key));
	return checkpoint_strip(parts->checkpoint, &key, &genesis->note, NULL);
}

/* The root is computed on the way at the size that was known before, too. */
static enum err check_entries(
	const struct genesis_parts *parts, struct genesis *genesis, struct errctx *ctx)
{
	const struct checkpoint *checkpoint = &genesis->checkpoint;
	struct compact compact;
	struct hash root;

	if (parts->count != checkpoint->size)
		return err_set(ctx, ERR_PROOF, "the directory has %zu records, its checkpoint %llu",
			parts->count, (unsigned long long)checkpoint->size);
	if (parts->known_size > checkpoint->size)
		return err_set(ctx, ERR_PROOF,
			"the directory has %llu records, and had %llu before",
			(unsigned long long)checkpoint->size,
			(unsigned long long)parts->known_size);
	compact_init(&compact);
	for (size_t i = 0; i < parts->count; i++) {
		compact_append(&compact, &genesis->entries->leaf[i]);
		if (compact.size != parts->known_size)
			continue;
		compact_root(&compact, &root);
		if (!hash_equal(&root, &parts->known_root))
			return err_set(ctx, ERR_PROOF,
				"the first %llu records are not those that were known before",
				(unsigned long long)parts->known_size);
	}
	compact_root(&compact, &root);
	if (!hash_equal(&root, &checkpoint->root))
		return err_set(ctx, ERR_PROOF, "the records do not hash to the checkpoint's root");
	return OK;
}

static enum err fold(const struct genesis_parts *parts, struct genesis *genesis, struct errctx *ctx)
{
	const char *reason = "";
	struct ed25519_public key;
	struct hash root_certificate;
	const char *origin;

	TRY(directory_new(parts->network, &genesis->directory));
	for (size_t i = 0; i < genesis->entries->count; i++) {
		enum err err = directory_apply(genesis->directory, genesis->entries->entry[i]);

		if (err != OK)
			return err_set(ctx, err, "record %zu: %s", i, err_text(err));
	}
	if (!directory_root_certificate(genesis->directory, &root_certificate)) {
		directory_odd(genesis->directory, &reason);
		return err_set(ctx, ERR_MALFORMED, "the directory names no network%s%s",
			reason == NULL || reason[0] == '\0' ? "" : ": ",
			reason == NULL ? "" : reason);
	}
	origin = directory_origin(genesis->directory, &key);
	if (origin == NULL || strcmp(origin, genesis->origin.text) != 0 ||
		memcmp(key.b, genesis->key.b, sizeof(key.b)) != 0)
		return err_set(ctx, ERR_UNTRUSTED,
			"the directory's first record gives another origin or key");
	return OK;
}

enum err genesis_make(const struct genesis_parts *parts, struct genesis *ret, struct errctx *ctx)
{
	struct genesis genesis = {.key = *parts->key};
	enum err err;

	buf_init(&genesis.note, LIMIT_NOTE_SIZE);
	if (strlen(parts->network) > LIMIT_NETWORK_NAME)
		return err_set(ctx, ERR_MALFORMED, "the network's name is too long");
	strcpy(genesis.network, parts->network);
	err = check_checkpoint(parts, &genesis, ctx);
	if (err == OK)
		err = entries_make(parts->entries, parts->count, &genesis.entries);
	if (err == OK)
		err = check_entries(parts, &genesis, ctx);
	if (err == OK)
		err = fold(parts, &genesis, ctx);
	if (err == OK)
		err = keep_note(parts, &genesis);
	if (err != OK) {
		genesis_release(&genesis);
		return err;
	}
	*ret = genesis;
	return OK;
}

enum err genesis_pack(const struct genesis *genesis, struct buf *out)
{
	Sauti__Genesis message = SAUTI__GENESIS__INIT;
	ProtobufCBinaryData *entries = mem_array(genesis->entries->count, sizeof(*entries));

	if (entries == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < genesis->entries->count; i++)
		entries[i] = codec_binary(genesis->entries->entry[i]);
	message.version = GENESIS_VERSION;
	message.network = (char *)genesis->network;
	message.directory_origin = (char *)genesis->origin.text;
	message.directory_key = codec_binary(BYTES_ARRAY(genesis->key.b));
	message.n_entries = genesis->entries->count;
	message.entries = entries;
	message.checkpoint = codec_binary(buf_bytes(&genesis->note));
	codec_pack(out, &message);
	mem_free(entries);
	return out->err;
}

static enum err unpack(const Sauti__Genesis *message, struct genesis *ret, struct errctx *ctx)
{
	struct ed25519_public key;
	struct genesis_parts parts = {
		.network = message->network,
		.origin = message->directory_origin,
		.key = &key,
		.checkpoint = codec_bytes(message->checkpoint),
		.count = message->n_entries,
	};
	struct bytes *entries;
	enum err err;

	if (message->version != GENESIS_VERSION)
		return err_set(ctx, ERR_VERSION, "version %u, known is %d", message->version,
			GENESIS_VERSION);
	if (message->directory_key.len != sizeof(key.b))
		return err_set(ctx, ERR_MALFORMED, "the directory's key has %zu bytes",
			message->directory_key.len);
	memcpy(key.b, message->directory_key.data, sizeof(key.b));
	if (message->n_entries == 0)
		return err_set(ctx, ERR_MALFORMED, "no directory in it");
	entries = mem_array(message->n_entries, sizeof(*entries));
	if (entries == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < message->n_entries; i++)
		entries[i] = codec_bytes(message->entries[i]);
	parts.entries = entries;
	err = genesis_make(&parts, ret, ctx);
	mem_free(entries);
	return err;
}

enum err genesis_unpack(struct bytes file, struct genesis *ret, struct errctx *ctx)
{
	Sauti__Genesis *message;
	struct arena arena;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = CODEC_UNPACK(genesis, file, &scan_limits_strict, &arena, &message, ctx);
	if (err == OK)
		err = unpack(message, ret, ctx);
	arena_release(&arena);
	return err;
}

enum err genesis_save(const struct genesis *genesis, const char *path, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, GENESIS_SIZE_MAX);
	err = genesis_pack(genesis, &file);
	if (err != OK)
		err_set(ctx, err, "'%s': %s", path, err_text(err));
	else
		err = files_write(path, buf_bytes(&file), 0600, ctx);
	buf_release(&file);
	return err;
}

/* What does not verify was right once: the file is damaged, or somebody was at it. */
static bool is_damage(enum err err)
{
	return err == ERR_MALFORMED || err == ERR_PROOF || err == ERR_UNTRUSTED || err == ERR_LIMIT;
}

enum err genesis_load(const char *path, struct genesis *ret, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	buf_init(&file, GENESIS_SIZE_MAX + 1);
	err = files_read(path, GENESIS_SIZE_MAX, &file, ctx);
	if (err == OK) {
		err = genesis_unpack(buf_bytes(&file), ret, ctx);
		if (err != OK)
			err = err_wrap(ctx, is_damage(err) ? ERR_CORRUPT : err, "'%s'", path);
	}
	buf_release(&file);
	return err;
}
