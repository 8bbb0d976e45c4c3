/*
 * Suite 1, DESIGN 8. Happy path of writing: compress if that helps, header and padding, the
 * locator and the salt of the position, P, the keys of this entry, AES-256-GCM, Entry.
 *
 * Opening refuses, in this order: bytes that are no Entry, other suites, lengths that are not
 * exact, another locator, another commitment, a wrong tag, a header that does not fit, padding that
 * is not zero, an unknown compression, too much decompressed.
 */
#include "cases/seal/seal.h"

#include <assert.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"

enum { ZSTD_LEVEL = 3, ZSTD_OVERRUN = 256 };

struct sealer {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	ZSTD_CDict *to_dictionary; /* of dictionary 1, prepared once */
	ZSTD_DDict *from_dictionary;
	uint8_t stored[LIMIT_PART_SIZE]; /* compressed, or decompressed */
	size_t stored_used;              /* of it, while an entry is opened */
	uint8_t plain[LIMIT_PLAINTEXT_SIZE];
	uint8_t body[LIMIT_PLAINTEXT_SIZE + AEAD_TAG_SIZE];
};

/* The three parts of seal_key.secret. */
enum { KEY_AT = 0, LOCATOR_KEY_AT = 32, SALT_KEY_AT = 64, SECRET_SIZE = 96 };

static struct bytes key_part(const struct seal_key *key, size_t at)
{
	return bytes_make(key->secret.data + at, 32);
}

struct bytes seal_key_bytes(const struct seal_key *key)
{
	return key_part(key, KEY_AT);
}

static enum err expand_label(struct bytes key, const char *label, uint8_t *ret, size_t size)
{
	struct bytes info = bytes_str(label);

	return hkdf_expand(key, &info, 1, ret, size);
}

enum err seal_kid_of(struct bytes key, struct seal_kid *ret)
{
	struct seal_kid kid;

	if (key.size != SEAL_KEY_SIZE)
		return ERR_INVALID;
	TRY(expand_label(key, "sauti/1 kid", kid.b, sizeof kid.b));
	*ret = kid;
	return OK;
}

enum err seal_key_init(struct seal_key *key, struct bytes k)
{
	struct seal_key made = {0};
	enum err err;

	TRY(seal_kid_of(k, &made.kid));
	TRY(secret_init(&made.secret, SECRET_SIZE));
	memcpy(made.secret.data + KEY_AT, k.data, SEAL_KEY_SIZE);
	err = expand_label(k, "sauti/1 locator", made.secret.data + LOCATOR_KEY_AT, 32);
	if (err == OK)
		err = expand_label(k, "sauti/1 salt", made.secret.data + SALT_KEY_AT, 32);
	if (err != OK) {
		secret_release(&made.secret);
		return err;
	}
	*key = made;
	return OK;
}

void seal_key_release(struct seal_key *key)
{
	if (key == NULL)
		return;
	secret_release(&key->secret);
	*key = (struct seal_key){0};
}

/* Which dictionary it is, the plaintext's first byte says: no need to say it again in each frame.
 */
static bool compress_set_up(ZSTD_CCtx *context)
{
	return !ZSTD_isError(
		       ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0));
}

enum err sealer_new(struct sealer **ret)
{
	struct bytes dictionary = seal_dictionary_1();
	struct sealer *sealer = mem_zalloc(sizeof *sealer);

	if (sealer == NULL)
		return ERR_NOMEM;
	sealer->compress = ZSTD_createCCtx();
	sealer->decompress = ZSTD_createDCtx();
	sealer->to_dictionary = ZSTD_createCDict(dictionary.data, dictionary.size, ZSTD_LEVEL);
	sealer->from_dictionary = ZSTD_createDDict(dictionary.data, dictionary.size);
	if (sealer->compress == NULL || sealer->decompress == NULL ||
		sealer->to_dictionary == NULL || sealer->from_dictionary == NULL ||
		!compress_set_up(sealer->compress)) {
		sealer_free(sealer);
		return ERR_NOMEM;
	}
	*ret = sealer;
	return OK;
}

void sealer_free(struct sealer *sealer)
{
	if (sealer == NULL)
		return;
	ZSTD_freeCCtx(sealer->compress);
	ZSTD_freeDCtx(sealer->decompress);
	ZSTD_freeCDict(sealer->to_dictionary);
	ZSTD_freeDDict(sealer->from_dictionary);
	mem_free(sealer);
}

size_t seal_padded_size(size_t stored)
{
	if (stored > LIMIT_PLAINTEXT_SIZE - SEAL_HEADER_SIZE)
		return 0;
	for (size_t step = 256; step <= 32768; step *= 2) {
		if (stored + SEAL_HEADER_SIZE <= step)
			return step;
		if (stored + SEAL_HEADER_SIZE <= step / 2 * 3)
			return step / 2 * 3;
	}
	return LIMIT_PLAINTEXT_SIZE;
}

static bool is_padded_size(size_t size)
{
	return size > SEAL_HEADER_SIZE && seal_padded_size(size - SEAL_HEADER_SIZE) == size;
}

/* --- key schedule --- */

static enum err make_locator(
	struct bytes locator_key, const struct seal_position *at, struct seal_locator *ret)
{
	uint8_t index[8];
	struct bytes parts[] = {hash_bytes(&at->origin), BYTES_ARRAY(index)};
	struct hash mac;

	put_u64be(index, at->index);
	TRY(hmac_sha256(locator_key, parts, 2, &mac));
	memcpy(ret->b, mac.b, sizeof ret->b);
	return OK;
}

enum err seal_locator(
	const struct seal_key *key, const struct seal_position *at, struct seal_locator *ret)
{
	return make_locator(key_part(key, LOCATOR_KEY_AT), at, ret);
}

void seal_locator_key(const struct seal_key *key, struct seal_locator_key *ret)
{
	memcpy(ret->b, key_part(key, LOCATOR_KEY_AT).data, sizeof ret->b);
}

enum err seal_locator_by(const struct seal_locator_key *key, const struct seal_position *at,
	struct seal_locator *ret)
{
	return make_locator(BYTES_ARRAY(key->b), at, ret);
}

static enum err make_salt(const struct seal_key *key, const struct seal_position *at,
	const uint8_t *random, struct bytes plaintext, uint8_t ret[SEAL_SALT_SIZE])
{
	struct hash digest, mac;
	uint8_t index[8];
	struct bytes parts[] = {
		bytes_make(random, SEAL_RANDOM_SIZE),
		hash_bytes(&at->origin),
		BYTES_ARRAY(index),
		hash_bytes(&digest),
	};

	put_u64be(index, at->index);
	sha256(plaintext, &digest);
	TRY(hmac_sha256(key_part(key, SALT_KEY_AT), parts, 4, &mac));
	memcpy(ret, mac.b, SEAL_SALT_SIZE);
	return OK;
}

/* commitment || key || nonce, as they come out of HKDF. */
struct entry_keys {
	uint8_t commitment[SEAL_COMMITMENT_SIZE];
	struct aead_key aead;
};
_Static_assert(sizeof(struct entry_keys) == 32 + 32 + 12, "no holes: filled as one");

static enum err derive_keys(const struct seal_reveal *p, const struct hash *origin,
	struct bytes locator, struct entry_keys *ret)
{
	struct bytes info[] = {bytes_str("sauti/1 entry"), hash_bytes(origin), locator};

	return hkdf_expand(BYTES_ARRAY(p->b), info, 3, (uint8_t *)ret, sizeof *ret);
}

static enum err derive_p(const struct seal_key *key, struct bytes salt, struct seal_reveal *ret)
{
	struct hash prk;

	TRY(hkdf_extract(salt, seal_key_bytes(key), &prk));
	memcpy(ret->b, prk.b, sizeof ret->b);
	wipe(&prk, sizeof prk);
	return OK;
}

enum { AAD_SIZE = 4 + HASH_SIZE + SEAL_LOCATOR_SIZE + SEAL_SALT_SIZE + SEAL_COMMITMENT_SIZE };

static void make_aad(const struct hash *origin, struct bytes locator, struct bytes salt,
	struct bytes commitment, uint8_t ret[AAD_SIZE])
{
	struct bytes parts[] = {hash_bytes(origin), locator, salt, commitment};

	put_u32be(ret, SEAL_SUITE_1);
	ret += 4;
	for (size_t i = 0; i < 4; i++) {
		memcpy(ret, parts[i].data, parts[i].size);
		ret += parts[i].size;
	}
}

/* --- writing --- */

/* Into sealer->stored; 0 when it does not shrink: too small a target is no error. */
static size_t try_compress(
	struct sealer *sealer, struct bytes part, enum seal_compression compression)
{
	const ZSTD_CDict *dictionary =
		compression == SEAL_ZSTD_DICTIONARY_1 ? sealer->to_dictionary : NULL;
	size_t size;

	/* After a target that was too small it would go on with that frame. */
	if (ZSTD_isError(ZSTD_CCtx_reset(sealer->compress, ZSTD_reset_session_only)) ||
		ZSTD_isError(ZSTD_CCtx_refCDict(sealer->compress, dictionary)))
		return 0;
	size = ZSTD_compress2(
		sealer->compress, sealer->stored, part.size - 1, part.data, part.size);
	return ZSTD_isError(size) ? 0 : size;
}

/* The plaintext into sealer->plain. */
static enum err make_plaintext(
	struct sealer *sealer, struct bytes part, enum seal_compression wanted, size_t *ret_size)
{
	enum seal_compression compression = SEAL_PLAIN;
	struct bytes stored = part;
	size_t size = 0;

	if (part.size > LIMIT_PART_SIZE)
		return ERR_LIMIT;
	if (wanted != SEAL_PLAIN && part.size > 0)
		size = try_compress(sealer, part, wanted);
	if (size > 0) {
		compression = wanted;
		stored = bytes_make(sealer->stored, size);
	}
	size = seal_padded_size(stored.size);
	if (size == 0)
		return ERR_LIMIT;
	memset(sealer->plain, 0, size);
	sealer->plain[0] = (uint8_t)compression;
	put_u32be(sealer->plain + 1, (uint32_t)stored.size);
	if (stored.size > 0)
		memcpy(sealer->plain + SEAL_HEADER_SIZE, stored.data, stored.size);
	*ret_size = size;
	return OK;
}

static enum err write_entry(const Sauti__Sealed *sealed, struct buf *out)
{
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	struct buf packed;
	enum err err;

	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = (Sauti__Sealed *)sealed;
	buf_init(&packed, LIMIT_ENTRY_SIZE);
	codec_pack(&packed, &entry);
	err = packed.err;
	if (err == OK) {
		size_t before = out->size;

		buf_put(out, buf_bytes(&packed));
		err = out->err;
		if (err != OK)
			out->size = before;
	}
	buf_release(&packed);
	return err;
}

static enum err seal_plaintext(struct sealer *sealer, const struct seal_key *key,
	const struct seal_position *at, const uint8_t *random, struct bytes plain, struct buf *out)
{
	uint8_t aad[AAD_SIZE], salt[SEAL_SALT_SIZE];
	struct seal_locator locator;
	struct entry_keys keys;
	struct seal_reveal p;
	Sauti__Sealed sealed = SAUTI__SEALED__INIT;
	enum err err;

	TRY(seal_locator(key, at, &locator));
	TRY(make_salt(key, at, random, plain, salt));
	err = derive_p(key, BYTES_ARRAY(salt), &p);
	if (err == OK)
		err = derive_keys(&p, &at->origin, BYTES_ARRAY(locator.b), &keys);
	if (err == OK) {
		make_aad(&at->origin, BYTES_ARRAY(locator.b), BYTES_ARRAY(salt),
			BYTES_ARRAY(keys.commitment), aad);
		err = aead_seal(&keys.aead, BYTES_ARRAY(aad), plain, sealer->body);
	}
	if (err == OK) {
		sealed.suite = SEAL_SUITE_1;
		sealed.salt = codec_binary(BYTES_ARRAY(salt));
		sealed.locator = codec_binary(BYTES_ARRAY(locator.b));
		sealed.commitment = codec_binary(BYTES_ARRAY(keys.commitment));
		sealed.body = codec_binary(bytes_make(sealer->body, plain.size + AEAD_TAG_SIZE));
		err = write_entry(&sealed, out);
	}
	wipe(&keys, sizeof keys);
	wipe(&p, sizeof p);
	return err;
}

enum err seal_write(struct sealer *sealer, const struct seal_key *key,
	const struct seal_position *at, const struct seal_options *options, struct bytes part,
	struct buf *out)
{
	size_t size = 0;
	enum err err;

	err = make_plaintext(sealer, part, options->compression, &size);
	if (err == OK)
		err = seal_plaintext(
			sealer, key, at, options->random, bytes_make(sealer->plain, size), out);
	wipe(sealer->plain, size);
	wipe(sealer->stored, part.size < sizeof sealer->stored ? part.size : sizeof sealer->stored);
	return err;
}

/* --- opening --- */

static enum err read_entry(struct bytes bytes, struct arena *arena, const Sauti__Sealed **ret)
{
	Sauti__Entry *entry;
	const Sauti__Sealed *sealed;

	if (bytes.size > LIMIT_ENTRY_SIZE)
		return ERR_MALFORMED;
	TRY(CODEC_UNPACK(entry, bytes, &scan_limits_strict, arena, &entry, NULL));
	if (entry->body_case != SAUTI__ENTRY__BODY_SEALED)
		return ERR_MALFORMED;
	sealed = entry->sealed;
	if (sealed->suite != SEAL_SUITE_1)
		return ERR_UNSUPPORTED;
	if (sealed->salt.len != SEAL_SALT_SIZE || sealed->locator.len != SEAL_LOCATOR_SIZE ||
		sealed->commitment.len != SEAL_COMMITMENT_SIZE ||
		sealed->body.len < AEAD_TAG_SIZE ||
		!is_padded_size(sealed->body.len - AEAD_TAG_SIZE))
		return ERR_MALFORMED;
	*ret = sealed;
	return OK;
}

static void entry_arena_init(struct arena *arena)
{
	arena_init(arena, 4 * LIMIT_ENTRY_SIZE);
}

/* One zstd frame into sealer->stored. dictionary: NULL for none. */
static enum err decompress(
	struct sealer *sealer, struct bytes frame, const ZSTD_DDict *dictionary, size_t *ret_size)
{
	unsigned long long announced = ZSTD_getFrameContentSize(frame.data, frame.size);
	size_t size;

	/* One frame and nothing behind it: not all readers go on to a second. */
	if (announced == ZSTD_CONTENTSIZE_ERROR ||
		ZSTD_findFrameCompressedSize(frame.data, frame.size) != frame.size)
		return ERR_MALFORMED;
	if (announced != ZSTD_CONTENTSIZE_UNKNOWN && announced > sizeof sealer->stored)
		return ERR_LIMIT;
	sealer->stored_used = sizeof sealer->stored;
	size = ZSTD_decompress_usingDDict(sealer->decompress, sealer->stored, sizeof sealer->stored,
		frame.data, frame.size, dictionary);
	if (ZSTD_isError(size))
		return ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall ? ERR_LIMIT
									      : ERR_MALFORMED;
	/* It copies in steps, a little past the end. */
	if (size + ZSTD_OVERRUN < sizeof sealer->stored)
		sealer->stored_used = size + ZSTD_OVERRUN;
	*ret_size = size;
	return OK;
}

/* From a decrypted plaintext to the part. */
static enum err unpad(struct sealer *sealer, struct bytes plain, struct buf *out)
{
	uint32_t stored = get_u32be(plain.data + 1);
	struct bytes part = bytes_make(plain.data + SEAL_HEADER_SIZE, stored);
	uint8_t rest = 0;
	size_t before = out->size;

	if (stored > plain.size - SEAL_HEADER_SIZE)
		return ERR_MALFORMED;
	for (size_t i = SEAL_HEADER_SIZE + stored; i < plain.size; i++)
		rest |= plain.data[i];
	if (rest != 0)
		return ERR_MALFORMED;
	if (plain.data[0] == SEAL_ZSTD || plain.data[0] == SEAL_ZSTD_DICTIONARY_1) {
		TRY(decompress(sealer, part,
			plain.data[0] == SEAL_ZSTD ? NULL : sealer->from_dictionary, &part.size));
		part.data = sealer->stored;
	} else if (plain.data[0] != SEAL_PLAIN) {
		return ERR_UNSUPPORTED;
	}
	(void)buf_reserve(out, part.size); /* so that growing leaves no copy behind */
	buf_put(out, part);
	if (out->err != OK)
		out->size = before;
	return out->err;
}

static enum err open_sealed(struct sealer *sealer, const struct seal_reveal *p,
	const struct hash *origin, const Sauti__Sealed *sealed, struct buf *out)
{
	struct bytes locator = codec_bytes(sealed->locator);
	struct bytes salt = codec_bytes(sealed->salt);
	struct bytes commitment = codec_bytes(sealed->commitment);
	struct bytes body = codec_bytes(sealed->body);
	size_t size = body.size - AEAD_TAG_SIZE;
	uint8_t aad[AAD_SIZE];
	struct entry_keys keys;
	enum err err;

	TRY(derive_keys(p, origin, locator, &keys));
	if (!equal_secret(BYTES_ARRAY(keys.commitment), commitment)) {
		err = ERR_DECRYPT;
	} else {
		make_aad(origin, locator, salt, commitment, aad);
		err = aead_open(&keys.aead, BYTES_ARRAY(aad), body, sealer->plain);
	}
	wipe(&keys, sizeof keys);
	if (err == OK)
		err = unpad(sealer, bytes_make(sealer->plain, size), out);
	wipe(sealer->stored, sealer->stored_used);
	sealer->stored_used = 0;
	wipe(sealer->plain, size);
	return err;
}

/* Only the locator of this position will do: an entry under K at another i is not this one. */
static enum err check_locator(
	const struct seal_key *key, const struct seal_position *at, const Sauti__Sealed *sealed)
{
	struct seal_locator locator;

	TRY(seal_locator(key, at, &locator));
	return equal_secret(BYTES_ARRAY(locator.b), codec_bytes(sealed->locator)) ? OK
										  : ERR_DECRYPT;
}

enum err seal_open(struct sealer *sealer, const struct seal_key *key,
	const struct seal_position *at, struct bytes entry, struct buf *out)
{
	const Sauti__Sealed *sealed;
	struct seal_reveal p = {{0}};
	struct arena arena;
	enum err err;

	entry_arena_init(&arena);
	err = read_entry(entry, &arena, &sealed);
	if (err == OK)
		err = check_locator(key, at, sealed);
	if (err == OK)
		err = derive_p(key, codec_bytes(sealed->salt), &p);
	if (err == OK)
		err = open_sealed(sealer, &p, &at->origin, sealed, out);
	wipe(&p, sizeof p);
	arena_release(&arena);
	return err;
}

enum err seal_reveal(const struct seal_key *key, struct bytes entry, struct seal_reveal *ret)
{
	const Sauti__Sealed *sealed;
	struct arena arena;
	enum err err;

	entry_arena_init(&arena);
	err = read_entry(entry, &arena, &sealed);
	if (err == OK)
		err = derive_p(key, codec_bytes(sealed->salt), ret);
	arena_release(&arena);
	return err;
}

enum err seal_open_revealed(struct sealer *sealer, const struct seal_reveal *p,
	const struct hash *origin, struct bytes entry, struct buf *out)
{
	const Sauti__Sealed *sealed;
	struct arena arena;
	enum err err;

	entry_arena_init(&arena);
	err = read_entry(entry, &arena, &sealed);
	if (err == OK)
		err = open_sealed(sealer, p, origin, sealed, out);
	arena_release(&arena);
	return err;
}

enum err seal_entry_locator(struct bytes entry, struct seal_locator *ret)
{
	const Sauti__Sealed *sealed;
	struct arena arena;
	enum err err;

	entry_arena_init(&arena);
	err = read_entry(entry, &arena, &sealed);
	if (err == OK)
		memcpy(ret->b, sealed->locator.data, sizeof ret->b);
	arena_release(&arena);
	return err;
}
