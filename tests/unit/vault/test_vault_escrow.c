/* The escrow of the vault's keys: made, kept, acknowledged, brought back; and what it refuses. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cases/keys/escrow.h"
#include "cases/keys/order.h"
#include "cases/keys/trust.h"
#include "cases/seal/row.h"
#include "certs/mail_erase.h"
#include "certs/mail_escrow.h"
#include "server/store/keyring.h"
#include "server/vault/refusal.h"

enum { NODES = 3, KEYS_MANY = 4000 };
static const char *const names[NODES] = {"hq", "kenya", "peru"};
static const uint8_t recovery_key[X25519_KEY_SIZE] = {0x11, 0x22, 0x33};

/* What the test has beside the vault: it is the loop, and all custodians. */
struct office {
	struct fixture *f;
	struct signer *node; /* of the vault's node */
	struct ed25519_public signer;
	struct prekey prekey;
	uint64_t held;            /* of its log by the quorum */
	struct version_keys keys; /* what the custodians were sent */
	size_t letters[NODES];
};

static void node_make(size_t i, struct vault_custodian *ret)
{
	uint8_t seed[X25519_KEY_SIZE] = {(uint8_t)(0x40 + i)};

	*ret = (struct vault_custodian){.prekey = {.number = 3}};
	snprintf(ret->node, sizeof(ret->node), "%s", names[i]);
	ret->key.b[0] = (uint8_t)(i + 1);
	assert_ok(x25519_public(BYTES_ARRAY(seed), &ret->prekey.key));
}

static struct vault_request *request_of(struct office *o, enum vault_type type)
{
	struct vault_request *request = request_new(type);
	struct vault_escrow *io = mem_zalloc(sizeof(*io));

	assert_non_null(io);
	request->escrow = io;
	io->nodes = mem_array(NODES, sizeof(*io->nodes));
	io->node_count = io->wanted_count = NODES;
	for (size_t i = 0; i < NODES; i++) {
		node_make(i, &io->nodes[i]);
		snprintf(io->wanted[i], sizeof(io->wanted[i]), "%s", names[i]);
	}
	io->writable = true;
	io->signers[0] = o->signer;
	io->signer_count = 1;
	io->own_prekey = o->prekey;
	request->held = mem_array(1, sizeof(*request->held));
	snprintf(request->held[0].origin, sizeof(request->held[0].origin), "%s",
		o->f->log.origin.text);
	request->held[0].size = o->held;
	request->held_count = 1;
	return request;
}

/* Unlocks; the node key stays the one of the first time, as after a replacement it would not. */
static void office_unlock(struct office *o)
{
	struct vault_request *request = ask(o->f, unlock_request(PASSPHRASE));

	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	o->prekey = request->keys->prekey;
	if (o->node == NULL) {
		o->node = request->keys->node;
		request->keys->node = NULL;
		o->signer = *signer_public(o->node);
	}
	vault_request_free(request);
}

static struct office office_make(void **state)
{
	struct office o = {.f = *state};

	assert_ok(version_keys_init(&o.keys, LIMIT_ESCROW_MAIL_KEYS));
	office_unlock(&o);
	return o;
}

static void office_release(struct office *o)
{
	signer_free(o->node);
	version_keys_release(&o->keys);
}

/* ---- letters ---- */

static void mail_of(struct office *o, const struct vault_letter *letter, struct arena *arena,
	struct mail_item *ret)
{
	static struct buf packed;

	buf_release(&packed);
	buf_init(&packed, LIMIT_MAIL_ITEM);
	assert_ok(mail_sign(&packed, buf_bytes(&letter->body), o->node));
	assert_ok(mail_unpack(buf_bytes(&packed), NETWORK, arena, ret, NULL));
}

static size_t node_number(const char *name)
{
	size_t i = 0;

	while (strcmp(names[i], name) != 0)
		i++;
	return i;
}

/* Custodians read what they are sent. */
static void letters_read(struct office *o, const struct vault_request *done)
{
	for (const struct vault_letter *l = done->letters; l != NULL; l = l->next) {
		struct mail_content content = {0};
		struct version_keys keys;
		struct arena arena;
		struct mail_item item;
		size_t node;

		arena_init(&arena, LIMIT_ARENA_SIZE);
		mail_of(o, l, &arena, &item);
		node = node_number(item.recipient);
		o->letters[node]++;
		uint8_t seed[X25519_KEY_SIZE] = {(uint8_t)(0x40 + node)};

		assert_ok(mail_open(&item, NETWORK, BYTES_ARRAY(seed), &arena, &content, NULL));
		if (content.kind == MAIL_ESCROW_KEYS) {
			assert_ok(mail_escrow_keys_read(content.body, &arena, &keys, NULL));
			for (size_t i = 0; i < keys.count && node == 0; i++) {
				o->keys.list[o->keys.count++] = keys.list[i];
				keys.list[i].key = (struct secret){0};
			}
			version_keys_release(&keys);
		}
		mail_content_release(&content);
		arena_release(&arena);
	}
}

static bool other_key;

/* A letter to the vault's node. Sealed ones to its prekey. */
static struct vault_request *letter_from(
	struct office *o, size_t from, enum mail_kind kind, struct bytes content)
{
	struct vault_request *request = request_new(VAULT_MAIL_OPEN);
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60};
	struct mail_draft draft = {.network = NETWORK,
		.sender = names[from],
		.recipient = NODE,
		.kind = kind,
		.content = content,
		.made_at = request->now_s};
	struct signer *signer;

	assert_ok(random_bytes(draft.id, sizeof(draft.id)));
	if (!mail_kind_open(kind)) {
		draft.prekey = &o->prekey;
		draft.ephemeral = BYTES_ARRAY(ephemeral);
	}
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(mail_write(&request->mail, &draft, signer));
	signer_free(signer);
	node_make(from, &request->sender);
	request->sender.key.b[1] = other_key;
	request->sender_active = true;
	return ask(o->f, request);
}

static void acknowledge(struct office *o, size_t from)
{
	struct mail_escrow_held held = {.held = {0}};
	struct vault_request *done;
	struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	for (size_t i = 0; i < o->keys.count; i++)
		assert_ok(version_ids_add(&held.held, o->keys.list[i].id));
	assert_ok(mail_escrow_held_write(&content, &held));
	done = letter_from(o, from, MAIL_ESCROW_HELD, buf_bytes(&content));
	assert_ok(done->result);
	assert_int_equal(done->outcome, MAIL_PROCESSED);
	vault_request_free(done);
	mail_escrow_held_release(&held);
	buf_release(&content);
}

/* ---- the loop's part ---- */

static size_t chunk_bytes, manifest_bytes;

static uint64_t chunks_append(struct office *o, const struct vault_escrow *io)
{
	struct bytes list[ESCROW_STEP_CHUNKS];
	struct buf entries[ESCROW_STEP_CHUNKS];
	uint64_t index;

	for (size_t i = 0; i < io->chunk_count; i++) {
		buf_init(&entries[i], LIMIT_ENTRY_SIZE);
		assert_ok(escrow_chunk_write(&entries[i], &io->chunks[i], o->node));
		list[i] = buf_bytes(&entries[i]);
		chunk_bytes += entries[i].size;
	}
	index = append(o->f, list, io->chunk_count);
	for (size_t i = 0; i < io->chunk_count; i++)
		buf_release(&entries[i]);
	return index;
}

static uint64_t manifest_append(struct office *o, const struct escrow_manifest *manifest)
{
	struct bytes list;
	struct buf entry;
	uint64_t index;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(escrow_manifest_write(&entry, manifest, o->node));
	list = buf_bytes(&entry);
	manifest_bytes += entry.size;
	index = append(o->f, &list, 1);
	buf_release(&entry);
	return index;
}

static void written(struct office *o, uint64_t ticket, enum err error, uint64_t index)
{
	struct vault_request *request = request_of(o, VAULT_ESCROW_WRITTEN);

	request->escrow->ticket = ticket;
	request->escrow->error = error;
	request->index = index;
	assert_ok(ask_simple(o->f, request));
}

/* Until nothing is left to be written; the last status. */
static json_t *drive(struct office *o)
{
	for (;;) {
		struct vault_request *done = ask(o->f, request_of(o, VAULT_ESCROW));
		uint64_t ticket = done->escrow->ticket, index;
		json_t *status;

		if (done->result != OK)
			fail_msg("escrow: %s", err_message(&done->ctx, done->result));
		letters_read(o, done);
		if (done->escrow->what == VAULT_ESCROW_NOTHING) {
			status = doc_json(done->docs);
			vault_request_free(done);
			return status;
		}
		index = done->escrow->what == VAULT_ESCROW_CHUNKS
				? chunks_append(o, done->escrow)
				: manifest_append(o, &done->escrow->manifest);
		vault_request_free(done);
		written(o, ticket, OK, index);
	}
}

static void check_number(json_t *json, const char *name, json_int_t expected)
{
	json_int_t found = json_integer_value(json_object_get(json, name));

	if (found != expected)
		fail_msg("%s is %lld, not %lld", name, (long long)found, (long long)expected);
}

static void check_status(struct office *o, const char *name, json_int_t expected)
{
	json_t *status = drive(o);

	check_number(status, name, expected);
	json_decref(status);
}

static void setup(struct office *o, const uint8_t key[X25519_KEY_SIZE], bool reshare)
{
	struct vault_request *request = request_of(o, VAULT_ESCROW_SETUP);

	assert_ok(x25519_public(bytes_make(key, X25519_KEY_SIZE), &request->escrow->recovery_key));
	request->escrow->reshare = reshare;
	assert_ok(ask_simple(o->f, request));
}

static enum err shown(struct office *o, const char *name)
{
	struct vault_request *done = show(o->f, name);
	enum err err = done->result;

	vault_request_free(done);
	return err;
}

static uint64_t log_size(const struct office *o)
{
	return o->f->log.compact.size;
}

/* ---- safe ---- */

static void held_by(struct office *o, struct vault_request *request, uint64_t policy)
{
	request->held = mem_array(1, sizeof(*request->held));
	request->held[0] = (struct vault_held){.size = o->held,
		.policy = policy,
		.needed = 2,
		.mirror_count = 2,
		.mirrors = {o->held, o->held}};
	snprintf(request->held[0].origin, sizeof(request->held[0].origin), "%s",
		o->f->log.origin.text);
	request->held_count = 1;
}

/* Every event of the case; and every key of the entries. */
static void check_held(struct office *o, bool safe, uint64_t policy, const char *words)
{
	struct vault_request *request = request_new(VAULT_SHOW);
	json_t *docs, *doc;
	size_t i;

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	held_by(o, request, policy);
	docs = answer_json(ask(o->f, request));
	json_array_foreach(docs, i, doc)
	{
		const char *state = json_string_value(json_object_get(doc, "state"));

		if (i > 0 && (json_is_true(json_object_get(doc, "safe")) != safe ||
				     (words != NULL && strcmp(state, words) != 0)))
			fail_msg("%s", json_dumps(doc, 0));
	}
	json_decref(docs);
}

static void check_safe(struct office *o, bool safe)
{
	check_held(o, safe, UINT64_MAX, safe ? "safe" : NULL);
}

/* Of the keys that entries from `first` on are sealed under. */
static void check_keys(struct office *o, uint64_t first, bool escrow_set, bool all_safe)
{
	struct vault_request *request = request_new(VAULT_KEYS_SAFE), *done;

	held_by(o, request, UINT64_MAX);
	snprintf(request->log_origin, sizeof(request->log_origin), "%s", o->f->log.origin.text);
	request->index = first;
	request->end = log_size(o);
	done = ask(o->f, request);
	assert_ok(done->result);
	assert_int_equal(done->escrow_set, escrow_set);
	assert_true(done->added > 0);
	assert_int_equal(done->known == done->added, all_safe);
	vault_request_free(done);
}

/* Held by the quorum, and its keys in an acknowledged escrow; looked at each time. */
static void becomes_safe(void **state)
{
	struct office o = office_make(state);
	json_t *status;

	record(o.f, OPEN_1 AGREED_1 CONTACT_1);
	o.held = log_size(&o);
	check_safe(&o, true); /* no recovery key: there is nothing to wait for */
	check_held(&o, false, 0, "held by 2 of 2, not by the policy");
	o.held = 0;
	check_held(&o, false, UINT64_MAX, "durable here");
	check_keys(&o, 0, false, false);
	check_status(&o, "set_up", 0);
	check_status(&o, "chunks", 0);
	setup(&o, recovery_key, false);
	status = drive(&o);
	check_number(status, "chunks", 1);
	check_number(status, "pending", 0);
	check_number(status, "safe", 0);
	json_decref(status);
	for (size_t i = 0; i < NODES; i++)
		assert_int_equal(o.letters[i], 1);
	assert_int_equal(o.keys.count, 1);
	o.held = log_size(&o);
	check_safe(&o, false);
	acknowledge(&o, 0);
	check_safe(&o, false); /* one custodian is no quorum of three */
	acknowledge(&o, 0);
	check_safe(&o, false);
	check_held(&o, false, UINT64_MAX, "held by 2 of 2, keys not in escrow yet");
	check_keys(&o, 0, true, false);
	acknowledge(&o, 1);
	check_safe(&o, true);
	check_keys(&o, 0, true, true);
	o.held--; /* the manifest is not held */
	check_safe(&o, false);
	o.held++;
	status = drive(&o);
	assert_int_equal(json_integer_value(json_object_get(status, "safe")),
		json_integer_value(json_object_get(status, "keys")));
	json_decref(status);
	/* Nothing is sent or written twice; after a restart neither. */
	assert_int_equal(o.letters[0] + o.letters[1], 2);
	vault_end(o.f);
	vault_begin(o.f, "HTI");
	office_unlock(&o);
	check_safe(&o, true);
	check_status(&o, "chunks", 1);
	assert_int_equal(log_size(&o), o.held);
	/* A key more: the chunk grows, and what was safe stays so meanwhile. */
	record(o.f, OPEN_2);
	check_safe(&o, true);
	check_keys(&o, o.held, true, false);
	status = drive(&o);
	check_number(status, "chunks", 1);
	check_number(status, "pending", 0);
	json_decref(status);
	check_safe(&o, true);
	assert_int_equal(o.keys.count, 1); /* under the version key that custodians have */
	office_release(&o);
}

/* Who acknowledges with another key than it was sent to, or what it was never sent, does not count.
 */
static void acknowledgements_of_others(void **state)
{
	struct mail_escrow_held held = {.held = {0}};
	struct office o = office_make(state);
	const uint8_t made_up[ESCROW_ID_SIZE] = {1, 2, 3};
	struct vault_request *request;
	struct buf content, letter;
	json_t *status;

	record(o.f, OPEN_1);
	setup(&o, recovery_key, false);
	json_decref(drive(&o));
	acknowledge(&o, 0);
	buf_init(&content, LIMIT_MAIL_CONTENT);
	buf_init(&letter, LIMIT_MAIL_ITEM);
	assert_ok(version_ids_add(&held.held, made_up));
	assert_ok(mail_escrow_held_write(&content, &held));
	vault_request_free(letter_from(&o, 1, MAIL_ESCROW_HELD, buf_bytes(&content)));
	check_status(&o, "acknowledged", 0);
	buf_clear(&content);
	assert_ok(version_ids_add(&held.held, o.keys.list[0].id));
	assert_ok(mail_escrow_held_write(&content, &held));
	/* Kenya's letter, and kenya has another key now. */
	other_key = true;
	vault_request_free(letter_from(&o, 1, MAIL_ESCROW_HELD, buf_bytes(&content)));
	other_key = false;
	check_status(&o, "acknowledged", 0);
	request = letter_from(&o, 1, MAIL_ESCROW_HELD, buf_bytes(&content));
	assert_int_equal(request->outcome, MAIL_PROCESSED);
	vault_request_free(request);
	status = drive(&o);
	check_number(status, "acknowledged", 1);
	json_decref(status);
	mail_escrow_held_release(&held);
	buf_release(&content);
	buf_release(&letter);
	office_release(&o);
}

/* A custodian that is no member any more: all of it anew, under other version keys. */
static void a_lost_custodian(void **state)
{
	struct office o = office_make(state);
	struct vault_request *request;
	struct version_key first;
	json_t *status;

	record(o.f, OPEN_1);
	setup(&o, recovery_key, false);
	json_decref(drive(&o));
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	check_safe(&o, true);
	memcpy(first.id, o.keys.list[0].id, sizeof(first.id));
	request = request_of(&o, VAULT_ESCROW);
	request->escrow->node_count = request->escrow->wanted_count = 2; /* without peru */
	request->escrow->writable = false;
	assert_ok(ask_simple(o.f, request));
	check_safe(&o, false);
	status = drive(&o); /* peru is back: a custodian once more */
	check_number(status, "chunks", 1);
	check_number(status, "retired", 1);
	json_decref(status);
	assert_int_equal(o.keys.count, 2);
	assert_memory_not_equal(o.keys.list[1].id, first.id, sizeof(first.id));
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	check_safe(&o, true);
	office_release(&o);
}

/* A commit that fails: the keys are planned again. */
static void a_failed_commit(void **state)
{
	struct office o = office_make(state);
	struct vault_request *done;

	record(o.f, OPEN_1);
	setup(&o, recovery_key, false);
	done = ask(o.f, request_of(&o, VAULT_ESCROW));
	assert_int_equal(done->escrow->what, VAULT_ESCROW_CHUNKS);
	written(&o, done->escrow->ticket ^ 1, OK, 77); /* of before a lock: nothing */
	written(&o, done->escrow->ticket, ERR_FULL, 0);
	letters_read(&o, done);
	vault_request_free(done);
	check_status(&o, "chunks", 1);
	check_status(&o, "pending", 0);
	/* Perhaps it stands in the log all the same: its version key is erased with the next keys.
	 */
	check_status(&o, "retired", 1);
	office_release(&o);
}

/* ---- erasures ---- */

static struct vault_request *erase_new(enum vault_type type, const char *name)
{
	struct vault_request *request = request_new(type);

	request->erase = mem_zalloc(sizeof(*request->erase));
	assert_non_null(request->erase);
	snprintf(request->name, sizeof(request->name), "%s", name);
	return request;
}

static struct vault_request *next_is(struct office *o, uint32_t todo)
{
	struct vault_request *request = ask(o->f, erase_new(VAULT_ERASE_NEXT, ""));

	if (request->result != OK)
		fail_msg("next: %s", err_message(&request->ctx, request->result));
	if (request->erase->todo != todo)
		fail_msg("to do is %u, not %u", request->erase->todo, todo);
	return request;
}

static void did(struct office *o, struct vault_request *next)
{
	struct vault_request *request = erase_new(VAULT_ERASE_DID, "");

	*request->erase = *next->erase;
	assert_ok(ask_simple(o->f, request));
	vault_request_free(next);
}

static void waits(struct office *o, bool expected)
{
	struct vault_request *next = next_is(o, ERASE_TODO_NOTHING);

	assert_int_equal(next->erase->waits, expected);
	vault_request_free(next);
}

static void erase_begin(struct office *o, const char *name)
{
	struct vault_request *request = erase_new(VAULT_ERASE_BEGIN, name), *next;

	request->erase->scope = 1;
	assert_ok(ask_simple(o->f, request));
	next = next_is(o, ERASE_TODO_ORDERED);
	request = request_new(VAULT_LEDGER);
	buf_put(&request->lines, buf_bytes(&next->mail));
	ask(o->f, request);
	assert_ok(request->result);
	append_commit(o->f, request);
	did(o, next);
}

/* Each custodian is ordered to destroy this version key, and the prekey that it was sealed to. */
static void ordered(struct office *o, const uint8_t id[ESCROW_ID_SIZE])
{
	struct vault_request *next = next_is(o, ERASE_TODO_ORDER);
	struct mail_erase_order order;
	struct arena arena;
	bool found = false;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(mail_erase_order_read(buf_bytes(&next->mail), &arena, &order, NULL));
	for (size_t i = 0; i < order.kids.count; i++)
		found |= memcmp(order.kids.kid[i], id, ESCROW_ID_SIZE) == 0;
	assert_true(found);
	assert_true(order.prekeys.count > 0); /* of a former machine's letters: the last ones */
	assert_int_equal(order.prekeys.number[order.prekeys.count - 1], 3);
	(void)node_number(next->erase->to);
	arena_release(&arena);
	did(o, next);
}

/* ---- recovery ---- */

static void recover_key(struct vault_request *request, const uint8_t *key)
{
	assert_ok(secret_copy(&request->passphrase, bytes_make(key, X25519_KEY_SIZE)));
}

/* The machine burns: keys and keyring are gone, another takes its place. */
static void burn(struct office *o)
{
	char command[700];

	vault_end(o->f);
	snprintf(command, sizeof(command), "rm -rf '%s'", o->f->keyring);
	assert_int_equal(system(command), 0);
	keystore_write(o->f, o->f->log.origin.text);
	vault_begin(o->f, "HTI");
	office_unlock(o);
}

static json_t *look(struct office *o, bool ask_them, bool drill)
{
	struct vault_request *request = request_of(o, VAULT_RECOVER_LOOK);
	json_t *docs, *doc;

	request->escrow->ask = ask_them;
	request->escrow->drill = drill;
	docs = answer_json(ask(o->f, request));
	doc = json_incref(json_array_get(docs, 0));
	json_decref(docs);
	return doc;
}

static void give_back(struct office *o, size_t from, bool wrong)
{
	struct mail_recovery_answer answer = {.drill = false};
	struct vault_request *done;
	struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	answer.keys = o->keys;
	if (wrong)
		answer.keys.list[0].key.data[3] ^= 1;
	assert_ok(mail_recovery_answer_write(&content, &answer));
	if (wrong)
		answer.keys.list[0].key.data[3] ^= 1;
	done = letter_from(o, from, MAIL_RECOVERY_ANSWER, buf_bytes(&content));
	assert_ok(done->result);
	assert_int_equal(done->refusal, wrong ? REFUSED_KEYS : REFUSED_NOT);
	vault_request_free(done);
	buf_wipe(&content);
}

static json_t *recover(struct office *o, bool drill)
{
	struct vault_request *request = request_of(o, VAULT_RECOVER);
	json_t *docs, *doc;

	request->escrow->drill = drill;
	recover_key(request, recovery_key);
	docs = answer_json(ask(o->f, request));
	doc = json_incref(json_array_get(docs, 0));
	json_decref(docs);
	return doc;
}

static void the_office_burns_down(void **state)
{
	static const uint8_t another[X25519_KEY_SIZE] = {9};
	struct office o = office_make(state);
	struct vault_request *request;
	char *before, *after;
	struct version_key first;
	json_int_t keys;
	json_t *json;

	record(o.f, OPEN_1 AGREED_1 CONTACT_1);
	setup(&o, recovery_key, false);
	json_decref(drive(&o));
	record(o.f, OPEN_2);
	json = drive(&o);
	keys = json_integer_value(json_object_get(json, "keys"));
	json_decref(json);
	before = book_text(o.f);
	memcpy(first.id, o.keys.list[0].id, sizeof(first.id));
	burn(&o);
	assert_int_equal(shown(&o, "ZZ-ONE"), ERR_NOTFOUND);
	json = look(&o, true, false);
	check_number(json, "missing", 1);
	check_number(json, "keys", keys);
	assert_int_equal(json_array_size(json_object_get(json, "asked")), NODES);
	json_decref(json);
	/* Nothing is read without version keys. */
	json = recover(&o, false);
	check_number(json, "opened", 0);
	check_number(json, "added", 0);
	json_decref(json);
	/* A custodian that lies. */
	give_back(&o, 2, true);
	json = look(&o, false, false);
	check_number(json, "missing", 1);
	check_number(json_object_get(json, "recovery"), "refused", 1);
	json_decref(json);
	give_back(&o, 1, false);
	/* Another recovery key. */
	request = request_of(&o, VAULT_RECOVER);
	recover_key(request, another);
	assert_int_equal(ask_simple(o.f, request), ERR_UNTRUSTED);
	/* A drill reads all and changes nothing. */
	json = recover(&o, true);
	check_number(json, "read", keys);
	check_number(json, "known", 0);
	check_number(json, "added", 0);
	json_decref(json);
	json = recover(&o, false);
	check_number(json, "opened", 1);
	check_number(json, "unreadable", 0);
	check_number(json, "added", keys);
	json_decref(json);
	after = book_text(o.f);
	assert_string_equal(before, after);
	free(after);
	/* Again: all is known. The escrow goes on with the same recovery key, in other chunks. */
	json = recover(&o, false);
	check_number(json, "added", 0);
	check_number(json, "known", keys);
	json_decref(json);
	json = drive(&o);
	check_number(json, "pending", 0);
	check_number(json, "chunks", 1);
	check_number(json, "retired", 1);
	json_decref(json);
	vault_end(o.f);
	vault_begin(o.f, "HTI");
	office_unlock(&o);
	after = book_text(o.f);
	assert_string_equal(before, after);
	free(before);
	free(after);
	/* What is erased on this machine is ordered of those who kept it for the former one. */
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	json_decref(drive(&o));
	erase_begin(&o, "ZZ-ONE");
	waits(&o, true);
	json_decref(drive(&o));
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	json_decref(drive(&o));
	for (size_t i = 0; i < NODES; i++)
		ordered(&o, first.id);
	office_release(&o);
}

/* Answers for which nobody asked, of anybody: more than there is room for. */
static void flood(struct office *o, size_t from)
{
	for (uint32_t sent = 0; sent < 3 * LIMIT_ESCROW_CHUNKS; sent += LIMIT_ESCROW_MAIL_KEYS) {
		struct mail_recovery_answer answer = {.drill = false};
		struct vault_request *done;
		struct buf content;

		buf_init(&content, LIMIT_MAIL_CONTENT);
		assert_ok(version_keys_init(&answer.keys, LIMIT_ESCROW_MAIL_KEYS));
		for (; answer.keys.count < LIMIT_ESCROW_MAIL_KEYS; answer.keys.count++) {
			struct version_key *key = &answer.keys.list[answer.keys.count];
			struct escrow_id id;

			assert_ok(secret_init(&key->key, ESCROW_KEY_SIZE));
			put_u32be(key->key.data, sent + (uint32_t)answer.keys.count);
			key->key.data[9] = (uint8_t)(1 + from);
			assert_ok(escrow_id_of(secret_bytes(&key->key), &id));
			memcpy(key->id, id.b, sizeof(key->id));
		}
		assert_ok(mail_recovery_answer_write(&content, &answer));
		done = letter_from(o, from, MAIL_RECOVERY_ANSWER, buf_bytes(&content));
		assert_ok(done->result);
		vault_request_free(done);
		buf_wipe(&content);
		version_keys_release(&answer.keys);
	}
}

/* A member floods the machine that takes the burnt one's place with version keys of its own making:
 * what was asked for has room, and erasures name none of them. */
static void keys_that_nobody_asked_for(void **state)
{
	struct office o = office_make(state);
	json_t *json;

	record(o.f, OPEN_1 AGREED_1 OPEN_2);
	setup(&o, recovery_key, false);
	json_decref(drive(&o));
	burn(&o);
	flood(&o, 2);
	json_decref(look(&o, true, false));
	give_back(&o, 1, false);
	json = look(&o, false, false);
	check_number(json, "missing", 0);
	json_decref(json);
	json = recover(&o, false);
	check_number(json, "opened", 1);
	json_decref(json);
	json = drive(&o);
	check_number(json, "retired", 1);
	json_decref(json);
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	json_decref(drive(&o));
	erase_begin(&o, "ZZ-ONE");
	waits(&o, true);
	json_decref(drive(&o));
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	json_decref(drive(&o));
	vault_request_free(next_is(&o, ERASE_TODO_ORDER));
	office_release(&o);
}

/* What another node key has signed is no manifest: a headquarters that makes one up gives nobody a
 * key. An older manifest does not count beside a newer one; chunks that changed places are none. */
static void manifests_that_do_not_count(void **state)
{
	struct office o = office_make(state);
	struct vault_request *request;
	struct escrow_manifest manifest = {.network = NETWORK, .node = NODE, .made_at = 1};
	struct escrow_place places[1];
	uint8_t seed[ED25519_SEED_SIZE] = {0x66};
	struct signer *hacked, *own;
	json_t *json;

	record(o.f, OPEN_1);
	setup(&o, recovery_key, false);
	json_decref(drive(&o)); /* chunk at n, manifest behind it */
	record(o.f, OPEN_2);
	json_decref(drive(&o));
	assert_ok(signer_new(BYTES_ARRAY(seed), &hacked));
	own = o.node;
	places[0] = (struct escrow_place){.number = 1, .version = 9, .index = 1, .keys = 1};
	memcpy(places[0].version_key, o.keys.list[0].id, sizeof(places[0].version_key));
	manifest.chunks = places;
	manifest.chunk_count = 1;
	manifest.sequence = 99;
	assert_ok(x25519_public(BYTES_ARRAY(recovery_key), &manifest.recovery_key));
	o.node = hacked;
	manifest_append(&o, &manifest);
	o.node = own;
	json = look(&o, false, false);
	check_number(json, "sequence", 2);
	json_decref(json);
	/* With the right key, an old number. */
	manifest.sequence = 1;
	manifest_append(&o, &manifest);
	burn(&o);
	json = look(&o, false, false); /* the newest that stands in the log comes from its end */
	json_decref(json);
	/* One that names another chunk than stands there. */
	manifest.sequence = 100;
	manifest_append(&o, &manifest);
	json_decref(look(&o, true, false));
	give_back(&o, 0, false);
	json = recover(&o, false);
	check_number(json, "sequence", 100);
	check_number(json, "opened", 0);
	check_number(json, "unreadable", 1);
	check_number(json, "added", 0);
	json_decref(json);
	/* No key of this node's. */
	request = request_of(&o, VAULT_RECOVER_LOOK);
	request->escrow->signers[0] = *signer_public(hacked);
	request->escrow->signer_count = 0;
	assert_int_equal(ask_simple(o.f, request), ERR_NOTFOUND);
	signer_free(hacked);
	office_release(&o);
}

/* Nothing is destroyed before other chunks without its keys are acknowledged and held; then its
 * version keys go the way its keys go, and no recovery brings it back. */
static void an_erased_case_leaves_the_escrow(void **state)
{
	struct office o = office_make(state);
	struct version_key first;
	json_t *json;

	record(o.f, OPEN_1 AGREED_1 OPEN_2);
	setup(&o, recovery_key, false);
	json_decref(drive(&o));
	memcpy(first.id, o.keys.list[0].id, sizeof(first.id));
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	o.held = log_size(&o);
	json_decref(drive(&o));
	erase_begin(&o, "ZZ-ONE");
	waits(&o, true);
	assert_ok(shown(&o, "ZZ-TWO"));
	json = drive(&o);
	check_number(json, "retired", 1);
	check_number(json, "chunks", 1);
	json_decref(json);
	assert_int_equal(o.keys.count, 2);
	waits(&o, true); /* nobody has acknowledged what took its place */
	acknowledge(&o, 0);
	acknowledge(&o, 1);
	json_decref(drive(&o));
	waits(&o, true); /* nor is it held */
	o.held = log_size(&o);
	json_decref(drive(&o));
	for (size_t i = 0; i < NODES; i++)
		ordered(&o, first.id);
	waits(&o, false);
	check_status(&o, "retired", 0);
	burn(&o);
	json_decref(look(&o, true, false));
	give_back(&o, 0, false); /* custodians that have destroyed nothing */
	json = recover(&o, false);
	check_number(json, "unreadable", 0);
	json_decref(json);
	assert_int_equal(shown(&o, "ZZ-ONE"), ERR_NOTFOUND);
	assert_ok(shown(&o, "ZZ-TWO"));
	office_release(&o);
}

/* ---- for others ---- */

static struct vault_request *take(struct office *o, size_t from, struct version_keys *keys)
{
	struct vault_request *done;
	struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	assert_ok(mail_escrow_keys_write(&content, keys));
	done = letter_from(o, from, MAIL_ESCROW_KEYS, buf_bytes(&content));
	assert_ok(done->result);
	buf_wipe(&content);
	return done;
}

/* What the vault answers: so many held, so many refused. */
static void check_told(struct office *o, struct vault_request *done, size_t held, size_t refused)
{
	struct mail_content content = {0};
	struct mail_escrow_held told;
	struct mail_item item;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_non_null(done->letters);
	assert_int_equal(done->refusal, refused > 0 ? REFUSED_KEYS : REFUSED_NOT);
	mail_of(o, done->letters, &arena, &item);
	assert_ok(mail_open(&item, NETWORK, BYTES_NONE, &arena, &content, NULL));
	assert_int_equal(content.kind, MAIL_ESCROW_HELD);
	assert_ok(mail_escrow_held_read(content.body, &arena, &told, NULL));
	assert_int_equal(told.held.count, held);
	assert_int_equal(told.refused.count, refused);
	mail_escrow_held_release(&told);
	mail_content_release(&content);
	arena_release(&arena);
	vault_request_free(done);
}

static void confirm(struct office *o, const char *node, const struct ed25519_public *key)
{
	static const uint8_t keyring_key[AEAD_KEY_SIZE] = {7};
	struct trust_row row = {.key = *key, .officer = "one", .confirmed_at = 1};
	struct keyring_item item;
	struct keyring *keyring;
	struct row_name name;
	struct errctx ctx;
	struct buf plain, value;

	snprintf(row.node, sizeof(row.node), "%s", node);
	buf_init(&plain, 4096);
	buf_init(&value, 8192);
	assert_ok(trust_row_write(&row, &plain));
	trust_row_name(node, &name);
	assert_ok(row_wrap(
		BYTES_ARRAY(keyring_key), ROW_CONFIRMED, &name, buf_bytes(&plain), &value));
	memcpy(item.kid, name.b, sizeof(item.kid));
	item.value = buf_bytes(&value);
	vault_end(o->f);
	assert_ok(keyring_open(o->f->keyring, &keyring, &ctx));
	assert_ok(keyring_update(keyring, &item, 1, &ctx));
	keyring_close(keyring);
	vault_begin(o->f, "HTI");
	office_unlock(o);
	buf_release(&plain);
	buf_release(&value);
}

static void wish(struct office *o, size_t from, const struct version_keys *keys)
{
	struct mail_recovery_ask wish = {.prekey = {.number = 8}};
	uint8_t seed[X25519_KEY_SIZE] = {0x77};
	struct vault_request *done;
	struct buf content;

	assert_ok(x25519_public(BYTES_ARRAY(seed), &wish.prekey.key));
	for (size_t i = 0; i < keys->count; i++)
		assert_ok(version_ids_add(&wish.ids, keys->list[i].id));
	buf_init(&content, LIMIT_MAIL_CONTENT);
	assert_ok(mail_recovery_ask_write(&content, &wish));
	done = letter_from(o, from, MAIL_RECOVERY_ASK, buf_bytes(&content));
	assert_ok(done->result);
	assert_int_equal(done->outcome, MAIL_PROCESSED);
	vault_request_free(done);
	mail_recovery_ask_release(&wish);
	buf_release(&content);
}

/* How many version keys a step gives back to kenya; -1: no letter. */
static long given(struct office *o)
{
	struct vault_request *done = ask(o->f, request_of(o, VAULT_ESCROW));
	uint8_t seed[X25519_KEY_SIZE] = {0x77};
	struct mail_recovery_answer answer;
	struct mail_content content = {0};
	struct mail_item item;
	struct arena arena;
	long count = -1;

	assert_ok(done->result);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (done->letters != NULL) {
		mail_of(o, done->letters, &arena, &item);
		assert_string_equal(item.recipient, "kenya");
		assert_int_equal(item.prekey, 8);
		assert_ok(mail_open(&item, NETWORK, BYTES_ARRAY(seed), &arena, &content, NULL));
		assert_int_equal(content.kind, MAIL_RECOVERY_ANSWER);
		assert_ok(mail_recovery_answer_read(content.body, &arena, &answer, NULL));
		count = (long)answer.keys.count;
		mail_recovery_answer_release(&answer);
		mail_content_release(&content);
	}
	arena_release(&arena);
	vault_request_free(done);
	return count;
}

static void version_key_make(struct version_keys *keys, uint8_t value)
{
	struct version_key *key = &keys->list[keys->count++];
	struct escrow_id id;

	assert_ok(secret_init(&key->key, ESCROW_KEY_SIZE));
	key->key.data[0] = value;
	assert_ok(escrow_id_of(secret_bytes(&key->key), &id));
	memcpy(key->id, id.b, sizeof(key->id));
}

/* What is malformed, or of a node that has been revoked, is refused and recorded. */
static void letters_of_nobody(void **state)
{
	static const enum mail_kind kinds[] = {
		MAIL_ESCROW_KEYS, MAIL_ESCROW_HELD, MAIL_RECOVERY_ASK, MAIL_RECOVERY_ANSWER};
	static const uint8_t junk[] = {0x0a, 0x03, 1, 2, 3};
	struct office o = office_make(state);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct vault_request *done = letter_from(&o, 1, kinds[i], BYTES_ARRAY(junk));

		assert_ok(done->result);
		assert_int_equal(done->outcome, MAIL_REFUSED);
		assert_int_equal(done->refusal, REFUSED_FORM);
		assert_int_equal(done->mail_kind, kinds[i]);
		assert_null(done->letters);
		vault_request_free(done);
	}
	office_release(&o);
}

static void keeps_for_others(void **state)
{
	struct office o = office_make(state);
	struct version_keys keys, false_key;
	struct ed25519_public other = {{0xee}};
	struct vault_custodian kenya;

	assert_ok(version_keys_init(&keys, 4));
	assert_ok(version_keys_init(&false_key, 4));
	version_key_make(&keys, 1);
	version_key_make(&keys, 2);
	check_told(&o, take(&o, 1, &keys), 2, 0);
	check_told(&o, take(&o, 1, &keys), 2, 0); /* again is no fault */
	check_told(&o, take(&o, 2, &keys), 0, 2); /* another's */
	version_key_make(&false_key, 3);
	false_key.list[0].id[0] ^= 1; /* an id that is not the key's */
	check_told(&o, take(&o, 1, &false_key), 0, 1);
	/* Nobody here has confirmed kenya's key: it waits. So it does with another key's. */
	wish(&o, 1, &keys);
	assert_int_equal(given(&o), -1);
	confirm(&o, "kenya", &other);
	assert_int_equal(given(&o), -1);
	node_make(1, &kenya);
	confirm(&o, "kenya", &kenya.key);
	assert_int_equal(given(&o), 2);
	assert_int_equal(given(&o), -1); /* once */
	wish(&o, 1, &false_key);         /* what is not here; and what else there is of it */
	assert_int_equal(given(&o), 2);
	/* Another member asks for them in its own name. */
	node_make(2, &kenya);
	confirm(&o, "peru", &kenya.key);
	wish(&o, 2, &keys);
	struct vault_request *done = ask(o.f, request_of(&o, VAULT_ESCROW));

	assert_non_null(done->letters);
	vault_request_free(done);
	version_keys_release(&keys);
	version_keys_release(&false_key);
	office_release(&o);
}

static uint32_t order(struct office *o, size_t from, const struct version_keys *keys)
{
	struct vault_request *request = erase_new(VAULT_ERASE_TAKE, "");
	struct mail_erase_order order = {.order_id = {(uint8_t)(from + 1)}, .at = 1};
	struct vault_custodian sender;
	uint32_t verdict;

	node_make(from, &sender);
	snprintf(request->erase->sender, sizeof(request->erase->sender), "%s", names[from]);
	sha256(BYTES_ARRAY(sender.key.b), &request->erase->sender_key);
	request->erase->kind = MAIL_ERASE_ORDER;
	order.kids.count = 1;
	memcpy(order.kids.kid[0], keys->list[0].id, SEAL_KID_SIZE);
	assert_ok(mail_erase_order_write(&request->mail, &order));
	ask(o->f, request);
	if (request->result != OK)
		fail_msg("%s", err_message(&request->ctx, request->result));
	verdict = request->erase->verdict;
	vault_request_free(request);
	return verdict;
}

/* By an order of its owner alone; and what was destroyed is never kept again. */
static void destroys_what_it_keeps(void **state)
{
	struct office o = office_make(state);
	struct vault_custodian kenya;
	struct version_keys keys;

	assert_ok(version_keys_init(&keys, 4));
	version_key_make(&keys, 1);
	node_make(1, &kenya);
	confirm(&o, "kenya", &kenya.key);
	check_told(&o, take(&o, 1, &keys), 1, 0);
	assert_int_not_equal(order(&o, 2, &keys), ORDER_GOOD);
	wish(&o, 1, &keys);
	assert_int_equal(given(&o), 1);
	assert_int_equal(order(&o, 1, &keys), ORDER_GOOD);
	wish(&o, 1, &keys);
	assert_int_equal(given(&o), 0);
	check_told(&o, take(&o, 1, &keys), 0, 1);
	vault_end(o.f);
	vault_begin(o.f, "HTI");
	office_unlock(&o);
	check_told(&o, take(&o, 1, &keys), 0, 1);
	version_keys_release(&keys);
	office_release(&o);
}

/* As many of one owner as there may be, and one more. */
static void caps_of_custody(void **state)
{
	struct office o = office_make(state);
	uint32_t made = 0;

	while (made < LIMIT_CUSTODY_OWNER) {
		struct version_keys keys;

		assert_ok(version_keys_init(&keys, LIMIT_ESCROW_MAIL_KEYS));
		for (size_t i = 0; i < LIMIT_ESCROW_MAIL_KEYS; i++, made++) {
			struct version_key *key = &keys.list[keys.count++];
			struct escrow_id id;

			assert_ok(secret_init(&key->key, ESCROW_KEY_SIZE));
			put_u32be(key->key.data, made + 1);
			assert_ok(escrow_id_of(secret_bytes(&key->key), &id));
			memcpy(key->id, id.b, sizeof(key->id));
		}
		check_told(&o, take(&o, 1, &keys), LIMIT_ESCROW_MAIL_KEYS, 0);
		version_keys_release(&keys);
	}
	struct version_keys more;

	assert_ok(version_keys_init(&more, 1));
	version_key_make(&more, 0xff);
	check_told(&o, take(&o, 1, &more), 0, 1);
	check_told(&o, take(&o, 2, &more), 1, 0); /* another owner has room of its own */
	version_keys_release(&more);
	office_release(&o);
}

/* ---- sizes ---- */

/* Keys without entries: what the escrow costs hangs on nothing else. $SAUTI_ESCROW_KEYS: how many.
 */
static void keys_put(struct office *o, uint32_t first, uint32_t count)
{
	static const uint8_t keyring_key[AEAD_KEY_SIZE] = {7};
	struct keyring_item *items = mem_array(count, sizeof(*items));
	size_t *ends = mem_array(count + 1, sizeof(*ends));
	struct keyring *keyring;
	struct errctx ctx;
	struct buf values;

	buf_init(&values, (size_t)count * 512);
	ends[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct keyring_entry entry = {.group = GROUP_CORE, .generation = 1, .author = NODE};
		struct seal_kid kid;

		put_u32be(entry.case_ref.b, (first + i) / 4 + 1);
		snprintf(entry.origin, sizeof(entry.origin), "%.*s", LIMIT_ORIGIN,
			o->f->log.origin.text);
		assert_ok(secret_random(&entry.key, SEAL_KEY_SIZE));
		assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &values, &kid));
		keyring_entry_release(&entry);
		memcpy(items[i].kid, kid.b, sizeof(kid.b));
		ends[i + 1] = values.size;
	}
	for (uint32_t i = 0; i < count; i++)
		items[i].value = bytes_make(values.data + ends[i], ends[i + 1] - ends[i]);
	vault_end(o->f);
	assert_ok(keyring_open(o->f->keyring, &keyring, &ctx));
	assert_ok(keyring_put(keyring, items, count, &ctx));
	keyring_close(keyring);
	vault_begin(o->f, "HTI");
	office_unlock(o);
	buf_release(&values);
	mem_free(items);
	mem_free(ends);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check_bytes(struct office *o, size_t keys, const char *what)
{
	json_t *status;

	chunk_bytes = manifest_bytes = 0;
	status = drive(o);
	check_number(status, "pending", 0);
	json_decref(status);
	print_message("%s: %.1f bytes a key\n", what,
		(double)(chunk_bytes + manifest_bytes) / (double)keys);
	assert_true(chunk_bytes + manifest_bytes <= 100 * keys);
}

/* At most 100 bytes a key, also when a thousand more are added; and all of them back. */
static void many_keys(void **state)
{
	const char *wanted = getenv("SAUTI_ESCROW_KEYS");
	uint32_t count = wanted == NULL ? KEYS_MANY : (uint32_t)strtoul(wanted, NULL, 10);
	struct office o = office_make(state);
	double began;
	json_t *json;

	keys_put(&o, 0, count);
	setup(&o, recovery_key, false);
	began = seconds();
	check_bytes(&o, count, "all");
	print_message("made in %.1f s\n", seconds() - began);
	keys_put(&o, count, 1000);
	check_bytes(&o, 1000, "1000 more");
	burn(&o);
	while (json = look(&o, true, false),
		json_integer_value(json_object_get(json, "missing")) > 0) {
		json_decref(json);
		give_back(&o, 0, false);
	}
	json_decref(json);
	began = seconds();
	json = recover(&o, false);
	print_message("recovered in %.1f s\n", seconds() - began);
	check_number(json, "added", count + 1000);
	json_decref(json);
	office_release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(becomes_safe),
		TEST(acknowledgements_of_others),
		TEST(a_lost_custodian),
		TEST(a_failed_commit),
		TEST(the_office_burns_down),
		TEST(keys_that_nobody_asked_for),
		TEST(manifests_that_do_not_count),
		TEST(an_erased_case_leaves_the_escrow),
		TEST(destroys_what_it_keeps),
		TEST(letters_of_nobody),
		TEST(keeps_for_others),
		TEST(caps_of_custody),
		TEST(many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
