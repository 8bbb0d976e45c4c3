/*
 * A draft's file: magic, version, salt, and sealed behind them with a key of its own: since when,
 * officer, case, type, answers, zeros (docs/FORMAT, Drafts). The directory is read again for every
 * request: at most LIMIT_DRAFTS small files.
 */
#include "server/vault/drafts.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "node/files.h"

#define DRAFT_LABEL "sauti/1 draft"
#define DRAFT_MAGIC "SAUTIDRF"

enum {
	VERSION = 1,
	SALT_SIZE = 16,
	HEAD_SIZE = 8 + 4 + SALT_SIZE,
	STEP = 4096, /* of the padding: how much was answered is nobody's business */
	PLAIN_MAX = LIMIT_DRAFT + 2 * STEP,
	FILE_MAX = HEAD_SIZE + PLAIN_MAX + AEAD_TAG_SIZE,
};

/* Views into `plain`. */
struct draft {
	uint32_t number;
	struct buf plain; /* wiped by draft_release */
	uint64_t since_s;
	struct bytes officer, kase, type, body;
};

static void draft_release(struct draft *draft)
{
	buf_wipe(&draft->plain);
	*draft = (struct draft){0};
}

static enum err draft_path(
	const char *directory, uint32_t number, char ret[PATH_MAX], struct errctx *ctx)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", number);
	return files_join(directory, name, ret, ctx);
}

/* ---- sealing ---- */

static enum err file_key(const struct drafts *drafts, struct bytes salt, struct aead_key *ret)
{
	const struct bytes info = bytes_str(DRAFT_LABEL);
	uint8_t out[AEAD_KEY_SIZE + AEAD_NONCE_SIZE];
	struct hash prk;
	enum err err;

	err = hkdf_extract(salt, drafts->keyring_key, &prk);
	if (err == OK)
		err = hkdf_expand(hash_bytes(&prk), &info, 1, out, sizeof(out));
	if (err == OK) {
		memcpy(ret->key, out, AEAD_KEY_SIZE);
		memcpy(ret->nonce, out + AEAD_KEY_SIZE, AEAD_NONCE_SIZE);
	}
	wipe(&prk, sizeof(prk));
	wipe(out, sizeof(out));
	return err;
}

/* A file under another number is not this draft. */
static void file_aad(uint32_t number, struct bytes head, struct buf *out)
{
	buf_init(out, 128);
	buf_put_str(out, DRAFT_LABEL);
	buf_put_u32be(out, number);
	buf_put(out, head);
}

static void put_plain(const struct draft *draft, struct buf *out)
{
	size_t size;

	buf_put_u64be(out, draft->since_s);
	buf_put_lv16(out, draft->officer);
	buf_put_lv16(out, draft->kase);
	buf_put_lv16(out, draft->type);
	buf_put_u32be(out, (uint32_t)draft->body.size);
	buf_put(out, draft->body);
	size = out->size;
	buf_put_zeros(out, (STEP - size % STEP) % STEP);
}

static enum err seal_file(const struct drafts *drafts, const struct draft *draft, struct buf *out)
{
	CLEANUP(buf_wipe) struct buf plain;
	CLEANUP(buf_release) struct buf aad = {0};
	uint8_t salt[SALT_SIZE];
	struct aead_key key;
	enum err err;

	buf_init(&plain, PLAIN_MAX);
	if (buf_reserve(&plain, PLAIN_MAX) == NULL)
		return plain.err;
	put_plain(draft, &plain);
	TRY(plain.err);
	TRY(random_bytes(salt, sizeof(salt)));
	buf_put_str(out, DRAFT_MAGIC);
	buf_put_u32be(out, VERSION);
	buf_put(out, BYTES_ARRAY(salt));
	file_aad(draft->number, buf_bytes(out), &aad);
	TRY(aad.err);
	if (buf_reserve(out, plain.size + AEAD_TAG_SIZE) == NULL)
		return out->err;
	TRY(file_key(drafts, BYTES_ARRAY(salt), &key));
	err = aead_seal(&key, buf_bytes(&aad), buf_bytes(&plain), out->data + out->size);
	wipe(&key, sizeof(key));
	out->size += plain.size + AEAD_TAG_SIZE;
	return err;
}

static enum err parse_plain(struct draft *draft)
{
	struct cursor in = cursor_make(buf_bytes(&draft->plain));

	draft->since_s = cursor_u64be(&in);
	draft->officer = cursor_lv16(&in);
	draft->kase = cursor_lv16(&in);
	draft->type = cursor_lv16(&in);
	draft->body = cursor_take(&in, cursor_u32be(&in));
	return in.err;
}

static enum err open_file(const struct drafts *drafts, struct bytes file, struct draft *draft)
{
	struct cursor in = cursor_make(file);
	CLEANUP(buf_release) struct buf aad = {0};
	struct bytes salt;
	struct aead_key key;
	enum err err;

	if (!cursor_skip(&in, bytes_str(DRAFT_MAGIC)) || cursor_u32be(&in) != VERSION)
		return ERR_CORRUPT;
	salt = cursor_take(&in, SALT_SIZE);
	if (in.err != OK || in.rest.size < AEAD_TAG_SIZE)
		return ERR_CORRUPT;
	file_aad(draft->number, bytes_make(file.data, HEAD_SIZE), &aad);
	TRY(aad.err);
	if (buf_reserve(&draft->plain, in.rest.size) == NULL)
		return draft->plain.err;
	TRY(file_key(drafts, salt, &key));
	err = aead_open(&key, buf_bytes(&aad), in.rest, draft->plain.data);
	wipe(&key, sizeof(key));
	if (err == ERR_DECRYPT)
		return ERR_CORRUPT;
	TRY(err);
	draft->plain.size = in.rest.size - AEAD_TAG_SIZE;
	return parse_plain(draft) == OK ? OK : ERR_CORRUPT;
}

/* ERR_NOTFOUND, ERR_CORRUPT (of another keyring, or damaged), and those of reading. */
static enum err draft_read(
	const struct drafts *drafts, uint32_t number, struct draft *ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;
	struct draft draft = {.number = number};
	char path[PATH_MAX];
	enum err err;

	buf_init(&file, FILE_MAX + 1);
	buf_init(&draft.plain, FILE_MAX);
	TRY(draft_path(drafts->directory, number, path, ctx));
	TRY(files_read_private(path, FILE_MAX, &file, ctx));
	err = open_file(drafts, buf_bytes(&file), &draft);
	if (err != OK) {
		draft_release(&draft);
		return err == ERR_CORRUPT ? err_set(ctx, err, "draft %u cannot be read", number)
					  : err;
	}
	*ret = draft;
	return OK;
}

/* ---- requests ---- */

static bool is_own(const struct draft *draft, const struct vault_request *request)
{
	return bytes_equal(draft->officer, bytes_str(request->officer));
}

/* Another officer's is as good as none. */
static enum err read_own(
	const struct drafts *drafts, struct vault_request *request, struct draft *ret)
{
	uint32_t number = request->index > LIMIT_DRAFTS ? 0 : (uint32_t)request->index;
	enum err err = number == 0 ? ERR_NOTFOUND : draft_read(drafts, number, ret, &request->ctx);

	if (err == OK && !is_own(ret, request)) {
		draft_release(ret);
		err = ERR_NOTFOUND;
	}
	if (err == ERR_NOTFOUND)
		return err_set(&request->ctx, err,
			"you have no draft of that number: see 'sauti case drafts'");
	return err;
}

static enum err dump_doc(json_t *json, struct buf *ret)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return ERR_NOMEM;
	(void)buf_reserve(ret, strlen(text));
	buf_put_str(ret, text);
	wipe(text, strlen(text));
	json_text_free(text);
	return ret->err;
}

/* Takes the reference. */
static enum err add_doc(struct vault_doc ***last, json_t *json)
{
	struct vault_doc *doc = mem_zalloc(sizeof(*doc));
	enum err err;

	if (doc == NULL) {
		json_decref(json);
		return ERR_NOMEM;
	}
	buf_init(&doc->json, LIMIT_CONTROL_RESPONSE - 1024);
	err = dump_doc(json, &doc->json);
	if (err != OK) {
		buf_wipe(&doc->json);
		mem_free(doc);
		return err;
	}
	**last = doc;
	*last = &doc->next;
	return OK;
}

static json_t *head_json(const struct draft *draft)
{
	return json_pack("{s:I,s:s%,s:s%,s:I}", "draft", (json_int_t)draft->number, "case",
		draft->kase.data, draft->kase.size, "type", draft->type.data, draft->type.size,
		"since", (json_int_t)draft->since_s);
}

/* A number that no file has, and whether one more is allowed. */
static enum err new_number(
	const struct drafts *drafts, struct vault_request *request, uint32_t *ret)
{
	uint32_t free = 0, own = 0;

	for (uint32_t number = 1; number <= LIMIT_DRAFTS; number++) {
		struct draft draft;
		enum err err = draft_read(drafts, number, &draft, &request->ctx);

		if (err == ERR_NOTFOUND)
			free = free == 0 ? number : free;
		else if (err != OK && err != ERR_CORRUPT)
			return err;
		if (err != OK)
			continue;
		own += is_own(&draft, request);
		draft_release(&draft);
	}
	if (own >= LIMIT_DRAFTS_OFFICER)
		return err_set(&request->ctx, ERR_LIMIT,
			"you have %u drafts already: finish or discard some ('sauti case drafts')",
			own);
	if (free == 0)
		return err_set(&request->ctx, ERR_LIMIT,
			"this node keeps %d drafts and has as many: finish or discard some",
			LIMIT_DRAFTS);
	*ret = free;
	return OK;
}

static enum err check_put(struct vault_request *request)
{
	struct bytes body = buf_bytes(&request->lines);

	if (body.size > LIMIT_DRAFT)
		return err_set(
			&request->ctx, ERR_LIMIT, "a draft is at most %d bytes", LIMIT_DRAFT);
	if (!utf8_valid(body) ||
		memchr(body.data == NULL ? "" : (const void *)body.data, 0, body.size) != NULL)
		return err_set(&request->ctx, ERR_INVALID, "a draft is UTF-8");
	return OK;
}

enum err drafts_put(const struct drafts *drafts, struct vault_request *request)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(draft_release) struct draft old = {0};
	struct vault_doc **last = &request->docs;
	struct draft draft = {.since_s = request->now_s};
	char path[PATH_MAX];

	TRY(check_put(request));
	TRY(files_mkdir(drafts->directory, &request->ctx));
	if (request->index == 0) {
		TRY(new_number(drafts, request, &draft.number));
	} else {
		TRY(read_own(drafts, request, &old));
		draft.number = old.number;
		draft.since_s = old.since_s;
	}
	draft.officer = bytes_str(request->officer);
	draft.kase = bytes_str(request->name);
	draft.type = bytes_str(request->draft_type);
	draft.body = buf_bytes(&request->lines);
	buf_init(&file, FILE_MAX);
	TRY(seal_file(drafts, &draft, &file));
	TRY(draft_path(drafts->directory, draft.number, path, &request->ctx));
	TRY(files_write(path, buf_bytes(&file), 0600, &request->ctx));
	return add_doc(&last, head_json(&draft));
}

enum err drafts_list(const struct drafts *drafts, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;

	for (uint32_t number = 1; number <= LIMIT_DRAFTS; number++) {
		struct draft draft;
		enum err err = draft_read(drafts, number, &draft, &request->ctx);

		if (err == ERR_NOTFOUND || err == ERR_CORRUPT)
			continue;
		TRY(err);
		if (is_own(&draft, request))
			err = add_doc(&last, head_json(&draft));
		draft_release(&draft);
		TRY(err);
	}
	return OK;
}

enum err drafts_show(const struct drafts *drafts, struct vault_request *request)
{
	CLEANUP(draft_release) struct draft draft = {0};
	struct vault_doc **last = &request->docs;
	json_t *json;

	TRY(read_own(drafts, request, &draft));
	json = head_json(&draft);
	if (json_object_set_new(json, "body",
		    json_stringn((const char *)draft.body.data, draft.body.size)) != 0) {
		json_decref(json);
		return ERR_NOMEM;
	}
	return add_doc(&last, json);
}

enum err drafts_remove(const struct drafts *drafts, struct vault_request *request)
{
	CLEANUP(draft_release) struct draft draft = {0};
	struct vault_doc **last = &request->docs;
	char path[PATH_MAX];

	TRY(read_own(drafts, request, &draft));
	TRY(draft_path(drafts->directory, draft.number, path, &request->ctx));
	TRY(files_remove(path, &request->ctx));
	return add_doc(&last, head_json(&draft));
}

/* ---- when keys are destroyed ---- */

static enum err draft_write(
	const struct drafts *drafts, const struct draft *draft, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;
	char path[PATH_MAX];

	buf_init(&file, FILE_MAX);
	TRY(seal_file(drafts, draft, &file));
	TRY(draft_path(drafts->directory, draft->number, path, ctx));
	return files_write(path, buf_bytes(&file), 0600, ctx);
}

enum err drafts_rewrap(const struct drafts *drafts, struct bytes next_key, struct errctx *ctx)
{
	const struct drafts next = {drafts->directory, next_key};

	for (uint32_t number = 1; number <= LIMIT_DRAFTS; number++) {
		struct draft draft;
		enum err err = draft_read(drafts, number, &draft, ctx);

		if (err == ERR_NOTFOUND || err == ERR_CORRUPT)
			continue;
		TRY(err);
		err = draft_write(&next, &draft, ctx);
		draft_release(&draft);
		TRY(err);
	}
	return OK;
}

static bool same_name(struct bytes typed, struct bytes name)
{
	return name.size > 0 && typed.size == name.size &&
	       strncasecmp((const char *)typed.data, (const char *)name.data, name.size) == 0;
}

enum err drafts_drop_case(
	const struct drafts *drafts, struct bytes code, struct bytes ref, struct errctx *ctx)
{
	for (uint32_t number = 1; number <= LIMIT_DRAFTS; number++) {
		char path[PATH_MAX];
		struct draft draft;
		bool drop;
		enum err err = draft_read(drafts, number, &draft, ctx);

		if (err == ERR_NOTFOUND || err == ERR_CORRUPT)
			continue;
		TRY(err);
		drop = same_name(draft.kase, code) || same_name(draft.kase, ref);
		draft_release(&draft);
		if (!drop)
			continue;
		TRY(draft_path(drafts->directory, number, path, ctx));
		TRY(files_remove(path, ctx));
	}
	return OK;
}
