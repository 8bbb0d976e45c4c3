#include "cases/keys/escrow.h"

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hpke.h"
#include "base/text.h"

enum { FORM = 1, NAME_MAX = 256, HEAD_MAX = 2 + LIMIT_ESCROW_ORIGINS * (2 + LIMIT_ORIGIN) + 4 };
enum { INNER_MAX = HEAD_MAX + LIMIT_ESCROW_CHUNK_KEYS * ESCROW_RECORD_SIZE };
_Static_assert(
	4 + LIMIT_ESCROW_CHUNK_KEYS * ESCROW_TAG_SIZE + HPKE_OVERHEAD + INNER_MAX + AEAD_TAG_SIZE <=
		LIMIT_ESCROW_CHUNK,
	"the fullest chunk fits");

/* ---- names ---- */

enum err escrow_id_of(struct bytes version_key, struct escrow_id *ret)
{
	struct seal_kid kid;

	TRY(seal_kid_of(version_key, &kid));
	memcpy(ret->b, kid.b, sizeof(ret->b));
	return OK;
}

enum err escrow_tag_of(struct bytes tag_key, const struct seal_kid *kid, struct escrow_tag *ret)
{
	struct bytes part = BYTES_ARRAY(kid->b);
	struct hash mac;

	if (tag_key.size != ESCROW_KEY_SIZE)
		return ERR_INVALID;
	TRY(hmac_sha256(tag_key, &part, 1, &mac));
	memcpy(ret->b, mac.b, sizeof(ret->b));
	return OK;
}

static void put_name(struct buf *out, const char *label, const struct escrow_name *name)
{
	buf_put_str(out, label);
	buf_put_lv16(out, bytes_str(name->network));
	buf_put_lv16(out, bytes_str(name->node));
	buf_put_u32be(out, name->number);
	buf_put_u64be(out, name->version);
	buf_put(out, BYTES_ARRAY(name->version_key.b));
	buf_put(out, BYTES_ARRAY(name->recovery_key.b));
}

static enum err outer_key(const struct escrow_name *name, struct bytes version_key,
	const uint8_t nonce[AEAD_NONCE_SIZE], struct aead_key *ret)
{
	struct bytes label = bytes_str("sauti/1 escrow key");
	struct escrow_id id;

	if (version_key.size != ESCROW_KEY_SIZE)
		return ERR_INVALID;
	TRY(escrow_id_of(version_key, &id));
	if (memcmp(id.b, name->version_key.b, sizeof(id.b)) != 0)
		return ERR_INVALID;
	memcpy(ret->nonce, nonce, AEAD_NONCE_SIZE);
	return hkdf_expand(version_key, &label, 1, ret->key, AEAD_KEY_SIZE);
}

/* ---- packing ---- */

enum err escrow_pack_init(struct escrow_pack *pack)
{
	*pack = (struct escrow_pack){.count = 0};
	buf_init(&pack->records, LIMIT_ESCROW_CHUNK_KEYS * ESCROW_RECORD_SIZE);
	buf_init(&pack->tags, LIMIT_ESCROW_CHUNK_KEYS * ESCROW_TAG_SIZE);
	(void)buf_reserve(&pack->records, LIMIT_ESCROW_CHUNK_KEYS * ESCROW_RECORD_SIZE);
	return pack->records.err;
}

void escrow_pack_release(struct escrow_pack *pack)
{
	if (pack == NULL)
		return;
	buf_wipe(&pack->records);
	buf_release(&pack->tags);
	pack->origin_count = pack->count = 0;
}

void escrow_pack_clear(struct escrow_pack *pack)
{
	if (pack->records.size > 0)
		wipe(pack->records.data, pack->records.size);
	buf_clear(&pack->records);
	buf_clear(&pack->tags);
	pack->origin_count = pack->count = 0;
}

static size_t origin_number(const struct escrow_pack *pack, const char *origin)
{
	size_t i = 0;

	while (i < pack->origin_count && strcmp(pack->origins[i], origin) != 0)
		i++;
	return i;
}

bool escrow_pack_takes(const struct escrow_pack *pack, const char *origin)
{
	return pack->count < LIMIT_ESCROW_CHUNK_KEYS &&
	       origin_number(pack, origin) < LIMIT_ESCROW_ORIGINS;
}

enum err escrow_pack_add(
	struct escrow_pack *pack, const struct keyring_entry *entry, struct bytes tag_key)
{
	size_t origin = origin_number(pack, entry->origin), size = strlen(entry->origin);
	struct escrow_tag tag;
	struct seal_kid kid;

	if (entry->key.size != SEAL_KEY_SIZE || entry->group == GROUP_NONE ||
		(int)entry->group > GROUP_LAST || size > LIMIT_ORIGIN)
		return ERR_INVALID;
	if (!escrow_pack_takes(pack, entry->origin))
		return ERR_LIMIT;
	TRY(seal_kid_of(secret_bytes(&entry->key), &kid));
	TRY(escrow_tag_of(tag_key, &kid, &tag));
	if (origin == pack->origin_count)
		memcpy(pack->origins[pack->origin_count++], entry->origin, size + 1);
	buf_put(&pack->records, secret_bytes(&entry->key));
	buf_put(&pack->records, BYTES_ARRAY(entry->case_ref.b));
	buf_put_u8(&pack->records, (uint8_t)entry->group);
	buf_put_u32be(&pack->records, entry->generation);
	buf_put_u8(&pack->records, (uint8_t)origin);
	buf_put(&pack->tags, BYTES_ARRAY(tag.b));
	pack->count++;
	return pack->records.err != OK ? pack->records.err : pack->tags.err;
}

static void put_keys(const struct escrow_pack *pack, struct buf *out)
{
	buf_put_u8(out, FORM);
	buf_put_u8(out, (uint8_t)pack->origin_count);
	for (size_t i = 0; i < pack->origin_count; i++)
		buf_put_lv16(out, bytes_str(pack->origins[i]));
	buf_put_u32be(out, (uint32_t)pack->count);
	buf_put(out, buf_bytes(&pack->records));
}

/* ---- sealing ---- */

static enum err seal_inner(const struct escrow_pack *pack, const struct escrow_name *name,
	struct bytes ephemeral, struct buf *out)
{
	CLEANUP(buf_release) struct buf info;
	struct buf plain;
	uint8_t *to;
	enum err err;

	buf_init(&info, NAME_MAX);
	put_name(&info, "sauti/1 escrow keys", name);
	TRY(info.err);
	buf_init(&plain, INNER_MAX);
	(void)buf_reserve(&plain, INNER_MAX);
	put_keys(pack, &plain);
	to = buf_reserve(out, plain.size + HPKE_OVERHEAD);
	err = plain.err != OK ? plain.err : out->err;
	if (err == OK)
		err = hpke_seal(&name->recovery_key, buf_bytes(&info), BYTES_NONE,
			buf_bytes(&plain), ephemeral, to);
	if (err == OK)
		out->size += plain.size + HPKE_OVERHEAD;
	buf_wipe(&plain);
	return err;
}

enum err escrow_seal(const struct escrow_pack *pack, const struct escrow_name *name,
	struct bytes version_key, const uint8_t nonce[AEAD_NONCE_SIZE], struct bytes ephemeral,
	struct buf *out)
{
	CLEANUP(buf_release) struct buf outer, aad;
	struct aead_key key;
	uint8_t *to;
	enum err err;

	buf_init(&outer, LIMIT_ESCROW_CHUNK);
	buf_init(&aad, NAME_MAX);
	if (pack->count == 0)
		return ERR_INVALID;
	buf_put_u32be(&outer, (uint32_t)pack->count);
	buf_put(&outer, buf_bytes(&pack->tags));
	TRY(seal_inner(pack, name, ephemeral, &outer));
	put_name(&aad, "sauti/1 escrow chunk", name);
	TRY(outer.err);
	TRY(aad.err);
	TRY(outer_key(name, version_key, nonce, &key));
	to = buf_reserve(out, outer.size + AEAD_TAG_SIZE);
	err = to == NULL ? out->err : aead_seal(&key, buf_bytes(&aad), buf_bytes(&outer), to);
	wipe(&key, sizeof(key));
	if (err == OK)
		out->size += outer.size + AEAD_TAG_SIZE;
	return err;
}

/* ---- opening ---- */

enum err escrow_open_outer(const struct escrow_name *name, struct bytes version_key,
	const uint8_t nonce[AEAD_NONCE_SIZE], struct bytes sealed, struct buf *out,
	struct escrow_outer *ret)
{
	CLEANUP(buf_release) struct buf aad;
	struct escrow_outer outer;
	struct cursor cursor;
	struct aead_key key;
	enum err err;

	buf_init(&aad, NAME_MAX);
	if (sealed.size < AEAD_TAG_SIZE || sealed.size > LIMIT_ESCROW_CHUNK)
		return ERR_DECRYPT;
	put_name(&aad, "sauti/1 escrow chunk", name);
	TRY(aad.err);
	buf_clear(out);
	if (buf_reserve(out, sealed.size) == NULL)
		return out->err;
	TRY(outer_key(name, version_key, nonce, &key));
	err = aead_open(&key, buf_bytes(&aad), sealed, out->data);
	wipe(&key, sizeof(key));
	TRY(err);
	out->size = sealed.size - AEAD_TAG_SIZE;
	cursor = cursor_make(buf_bytes(out));
	outer.count = cursor_u32be(&cursor);
	if (outer.count == 0 || outer.count > LIMIT_ESCROW_CHUNK_KEYS)
		return ERR_MALFORMED;
	outer.tags = cursor_take(&cursor, outer.count * ESCROW_TAG_SIZE);
	outer.inner = cursor.rest;
	TRY(cursor.err);
	*ret = outer;
	return OK;
}

struct unpacking {
	struct bytes origins[LIMIT_ESCROW_ORIGINS];
	size_t origin_count, count;
	const char *author;
};

static enum err read_head(struct cursor *cursor, struct unpacking *u)
{
	if (cursor_u8(cursor) != FORM)
		return cursor->err == OK ? ERR_VERSION : ERR_MALFORMED;
	u->origin_count = cursor_u8(cursor);
	if (u->origin_count > LIMIT_ESCROW_ORIGINS)
		return ERR_MALFORMED;
	for (size_t i = 0; i < u->origin_count; i++) {
		u->origins[i] = cursor_lv16(cursor);
		if (u->origins[i].size > LIMIT_ORIGIN)
			return ERR_MALFORMED;
	}
	u->count = cursor_u32be(cursor);
	return cursor->err;
}

static enum err read_key(
	struct cursor *cursor, const struct unpacking *u, struct keyring_entry *ret)
{
	struct bytes key = cursor_take(cursor, SEAL_KEY_SIZE);
	unsigned group, origin;

	cursor_copy(cursor, ret->case_ref.b, CASE_REF_SIZE);
	group = cursor_u8(cursor);
	ret->generation = cursor_u32be(cursor);
	origin = cursor_u8(cursor);
	TRY(cursor->err);
	if (group == GROUP_NONE || group > GROUP_LAST || origin >= u->origin_count)
		return ERR_MALFORMED;
	ret->group = (enum group)group;
	memcpy(ret->author, u->author, strlen(u->author) + 1);
	memcpy(ret->origin, u->origins[origin].data, u->origins[origin].size);
	ret->origin[u->origins[origin].size] = '\0';
	return secret_copy(&ret->key, key);
}

static enum err read_keys(struct bytes plain, const char *author, size_t count,
	enum err (*each)(void *arg, const struct keyring_entry *entry), void *arg)
{
	struct cursor cursor = cursor_make(plain);
	struct unpacking u = {.author = author};

	TRY(read_head(&cursor, &u));
	if (u.count != count || cursor.rest.size != count * ESCROW_RECORD_SIZE)
		return ERR_MALFORMED;
	for (size_t i = 0; i < count; i++) {
		struct keyring_entry entry = {.generation = 0};
		enum err err = read_key(&cursor, &u, &entry);

		if (err == OK)
			err = each(arg, &entry);
		keyring_entry_release(&entry);
		TRY(err);
	}
	return cursor_finish(&cursor);
}

enum err escrow_open_inner(const struct escrow_name *name, struct bytes private_key,
	const struct escrow_outer *outer,
	enum err (*each)(void *arg, const struct keyring_entry *entry), void *arg)
{
	CLEANUP(buf_release) struct buf info;
	struct buf plain;
	enum err err;

	buf_init(&info, NAME_MAX);
	buf_init(&plain, INNER_MAX);
	if (outer->inner.size < HPKE_OVERHEAD || outer->inner.size > INNER_MAX + HPKE_OVERHEAD ||
		!node_name_valid(bytes_str(name->node)))
		return ERR_DECRYPT;
	put_name(&info, "sauti/1 escrow keys", name);
	TRY(info.err);
	if (buf_reserve(&plain, INNER_MAX) == NULL)
		return plain.err;
	err = hpke_open(private_key, buf_bytes(&info), BYTES_NONE, outer->inner, plain.data);
	plain.size = INNER_MAX; /* wiped whole */
	if (err == OK)
		err = read_keys(bytes_make(plain.data, outer->inner.size - HPKE_OVERHEAD),
			name->node, outer->count, each, arg);
	buf_wipe(&plain);
	return err;
}
