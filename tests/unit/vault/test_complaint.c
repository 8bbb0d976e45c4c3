/*
 * Complaints about staff at both ends, and keys of other nodes: the vault over a real store. The
 * test is the sender, honest or not, and the loop.
 */
#include "tests/unit/store/support.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cases/event/event.h"
#include "cases/seal/seal.h"
#include "certs/account.h"
#include "proto/codec.h"
#include "replication/log/tree.h"
#include "server/vault/vault.h"

#define PASSPHRASE "seven herons over the lagoon"
#define SENDER     "chad"
#define OWN_REF    "00112233445566778899aabbccddee01"
#define OWN_ID     "01890a5d-ac96-774b-bcce-b302099a8001"
#define OPEN_OWN                                                                                   \
	"{\"type\":\"CASE_OPENED\",\"event_id\":\"" OWN_ID "\",\"case_ref\":\"" OWN_REF            \
	"\",\"case_code\":\"ZZ-ONE\",\"occurred_on\":\"2026-02-03\"}\n"

struct fixture {
	struct bench *bench;
	struct tlog own, theirs;
	struct vault *vault;
	int woken;
	char keystore[300], keyring[300], drafts[300];
	struct secret complaint_key;
	struct prekey to_complaint, to_prekey; /* of this node */
};

/* ---- the loop's part ---- */

static void on_wake(void *arg)
{
	struct fixture *f = arg;
	uint64_t one = 1;

	if (write(f->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

static struct vault_request *request_new(enum vault_type type)
{
	struct vault_request *request = vault_request_new(type, NULL);
	static uint64_t now_ms = UINT64_C(1790000000123);

	assert_non_null(request);
	now_ms++;
	request->now_s = now_ms / 1000;
	request->now_ms = now_ms;
	snprintf(request->officer, sizeof(request->officer), "officer one");
	request->roles = ACCOUNT_SUPERVISOR;
	return request;
}

/* One at a time. */
static struct vault_request *ask(struct fixture *f, struct vault_request *request)
{
	struct vault_request *done;
	uint64_t wakes;

	vault_submit(f->vault, request);
	while ((done = vault_done(f->vault)) == NULL)
		assert_int_equal(read(f->woken, &wakes, sizeof(wakes)), sizeof(wakes));
	assert_ptr_equal(done, request);
	return done;
}

static uint64_t unlock(struct fixture *f)
{
	struct vault_request *request = request_new(VAULT_UNLOCK);
	uint64_t unread;

	request->officer[0] = '\0'; /* the only slot */
	assert_ok(secret_copy(&request->passphrase, bytes_str(PASSPHRASE)));
	ask(f, request);
	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	if (request->keys != NULL)
		f->to_prekey = request->keys->prekey;
	unread = request->unread;
	vault_request_free(request);
	return unread;
}

static void lock(struct fixture *f)
{
	vault_request_free(ask(f, request_new(VAULT_LOCK)));
}

static struct vault_request *seal(struct fixture *f, const char *lines)
{
	struct vault_request *request = request_new(VAULT_SEAL);

	buf_put_str(&request->lines, lines);
	return ask(f, request);
}

/* Into a log, with a checkpoint or without. */
static void append_to(struct fixture *f, struct tlog *log, const struct bytes *entries,
	size_t count, bool checkpoint)
{
	struct store_write *write = tlog_write_entries(log, entries, count);

	if (!checkpoint)
		buf_clear(&write->checkpoint);
	assert_ok(bench_write(f->bench, write));
}

static void record(struct fixture *f, const char *lines)
{
	struct vault_request *sealed = seal(f, lines), *end;
	uint64_t index = f->own.compact.size;

	if (sealed->result != OK)
		fail_msg("seal: %s", err_message(&sealed->ctx, sealed->result));
	assert_non_null(sealed->entries);
	append_to(f, &f->own, sealed->entries->entry, sealed->entries->count, true);
	end = request_new(VAULT_COMMITTED);
	end->batch = sealed->batch;
	end->index = index;
	ask(f, end);
	assert_ok(end->result);
	vault_request_free(end);
	vault_request_free(sealed);
}

static json_t *docs(struct vault_request *request)
{
	json_t *list = json_array();

	assert_ok(request->result);
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		json_array_append_new(
			list, json_loadb((const char *)doc->json.data, doc->json.size, 0, NULL));
	vault_request_free(request);
	return list;
}

static json_t *show(struct fixture *f, const char *name)
{
	struct vault_request *request = request_new(VAULT_SHOW);

	snprintf(request->name, sizeof(request->name), "%s", name);
	return docs(ask(f, request));
}

static json_t *list(struct fixture *f, uint64_t *ret_awaited)
{
	struct vault_request *request = ask(f, request_new(VAULT_LIST));

	if (ret_awaited != NULL)
		*ret_awaited = request->awaited;
	return docs(request);
}

static size_t cases(struct fixture *f)
{
	json_t *all = list(f, NULL);
	size_t count = json_array_size(all);

	json_decref(all);
	return count;
}

static const char *text_at(const json_t *docs_of, size_t i, const char *name)
{
	return json_string_value(json_object_get(json_array_get(docs_of, i), name));
}

/* ---- fixture ---- */

static void keystore_write(struct fixture *f)
{
	struct scrypt_cost cost = {16, 1, 1};
	struct node_keys keys;
	struct buf file;
	FILE *out;

	assert_ok(node_keys_make(f->own.origin.text, &keys));
	assert_ok(secret_copy(&f->complaint_key, secret_bytes(&keys.complaint_key)));
	assert_ok(x25519_public(secret_bytes(&keys.complaint_key), &f->to_complaint.key));
	f->to_complaint.number = 1;
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_ok(keystore_seal(&keys, "test", bytes_str(PASSPHRASE), cost, &file));
	out = fopen(f->keystore, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(file.data, 1, file.size, out), file.size);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(f->keystore, 0600), 0);
	buf_wipe(&file);
	node_keys_release(&keys);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct vault_opts opts = {
		.network = NETWORK, .node = NODE, .country = "HTI", .wake = on_wake};
	struct errctx ctx = {""};
	void *bench;

	assert_non_null(f);
	bench_setup(&bench);
	f->bench = bench;
	tlog_init(&f->own, 1);
	tlog_init_of(&f->theirs, 2, SENDER);
	f->woken = eventfd(0, EFD_CLOEXEC);
	assert_true(f->woken >= 0);
	snprintf(f->keystore, sizeof(f->keystore), "%s/keystore", f->bench->place.directory);
	snprintf(f->keyring, sizeof(f->keyring), "%s/keyring", f->bench->place.directory);
	snprintf(f->drafts, sizeof(f->drafts), "%s/drafts", f->bench->place.directory);
	keystore_write(f);
	opts.store = f->bench->store;
	opts.keystore = f->keystore;
	opts.keyring = f->keyring;
	opts.drafts = f->drafts;
	opts.wake_arg = f;
	assert_ok(vault_start(&opts, &f->vault, &ctx));
	unlock(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;

	vault_stop(f->vault);
	vault_free(f->vault);
	close(f->woken);
	secret_release(&f->complaint_key);
	tlog_release(&f->own);
	tlog_release(&f->theirs);
	free(f);
	return bench_teardown(&bench);
}

/* ---- the sender's part ---- */

struct sent {
	struct mail_complaint keys;
	struct seal_key core, note;
	struct sealer *sealer;
	struct hash origin;
};

/* Number n of the sender, for a case of its own. */
static void sent_init(struct fixture *f, struct sent *s, uint8_t n)
{
	uint8_t k[2][32] = {{n, 1}, {n, 2}};

	*s = (struct sent){.keys = {.key_count = 2}};
	s->keys.case_ref[0] = 0xc0;
	s->keys.case_ref[1] = n;
	memcpy(s->keys.origin, f->theirs.origin.text, strlen(f->theirs.origin.text) + 1);
	sha256(bytes_str(f->theirs.origin.text), &s->origin);
	assert_ok(seal_key_init(&s->core, BYTES_ARRAY(k[0])));
	assert_ok(seal_key_init(&s->note, BYTES_ARRAY(k[1])));
	for (size_t i = 0; i < 2; i++) {
		struct mail_complaint_key *key = &s->keys.keys[i];

		key->group = i == 0 ? GROUP_CORE : GROUP_NOTE;
		assert_ok(secret_copy(&key->key, BYTES_ARRAY(k[i])));
		memcpy(key->kid, (i == 0 ? s->core : s->note).kid.b, sizeof(key->kid));
	}
	assert_ok(sealer_new(&s->sealer));
}

static void sent_release(struct sent *s)
{
	mail_complaint_release(&s->keys);
	seal_key_release(&s->core);
	seal_key_release(&s->note);
	sealer_free(s->sealer);
}

struct letter {
	enum mail_kind kind;
	enum mail_class class;
	const struct prekey *to;
	uint8_t id;
	struct bytes content;
	const char *sender; /* NULL: the usual one */
};

static struct vault_request *deliver(struct fixture *f, const struct letter *letter)
{
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60, letter->id};
	struct vault_request *request = request_new(VAULT_MAIL_OPEN);
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = letter->sender == NULL ? SENDER : letter->sender,
		.recipient = NODE,
		.id = {letter->id},
		.class = letter->class,
		.kind = letter->kind,
		.content = letter->content,
		.prekey = letter->to,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct signer *node;

	assert_ok(signer_new(BYTES_ARRAY(seed), &node));
	assert_ok(mail_write(&request->mail, &draft, node));
	signer_free(node);
	request->inbox_full = true; /* complaints do not wait for it */
	return ask(f, request);
}

static struct vault_request *send_keys(
	struct fixture *f, const struct mail_complaint *keys, uint8_t id)
{
	struct letter letter = {
		MAIL_COMPLAINT, MAIL_ORDINARY, &f->to_complaint, id, BYTES_NONE, NULL};
	struct vault_request *request;
	struct buf content;

	buf_init(&content, 1024);
	assert_ok(mail_complaint_write(&content, keys));
	letter.content = buf_bytes(&content);
	request = deliver(f, &letter);
	buf_wipe(&content);
	return request;
}

static void taken(struct fixture *f, const struct mail_complaint *keys, uint8_t id)
{
	struct vault_request *request = send_keys(f, keys, id);

	assert_ok(request->result);
	assert_false(request->refused);
	assert_int_equal(request->outcome, MAIL_PROCESSED);
	assert_int_equal(request->mail.size, 0); /* nothing for the inbox */
	vault_request_free(request);
}

static void refused(struct fixture *f, const struct mail_complaint *keys, uint8_t id)
{
	struct vault_request *request = send_keys(f, keys, id);

	assert_ok(request->result);
	assert_true(request->refused);
	assert_int_equal(request->outcome, MAIL_UNKNOWN_KIND);
	vault_request_free(request);
}

/* A part of an event at number i under a key, as an entry. */
static struct buf entry_of(
	struct sent *s, const struct seal_key *key, struct bytes part, uint64_t i)
{
	static uint8_t random[SEAL_RANDOM_SIZE];
	struct seal_position position = {s->origin, i};
	struct seal_options options = {random, false};
	struct buf entry;

	random[0]++;
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(seal_write(s->sealer, key, &position, &options, part, &entry));
	return entry;
}

/* An event of the case, or of another. */
static void event_parts_make(const struct sent *s, const char *type, const char *id,
	const char *more, struct event_parts *ret)
{
	struct event event;
	char line[700], ref[2 * CASE_REF_SIZE + 1];
	struct case_ref r;

	memcpy(r.b, s->keys.case_ref, sizeof(r.b));
	case_ref_text(&r, ref);
	snprintf(line, sizeof(line),
		"{\"type\":\"%s\",\"event_id\":\"%s\",\"case_ref\":\"%s\",\"occurred_on\":"
		"\"2026-02-03\",\"recorded_at\":\"2026-02-03T00:00:00Z\",\"recorded_by\":\"o\","
		"\"office\":\"TCD\"%s}",
		type, id, ref, more);
	assert_ok(event_parse(bytes_str(line), &event, NULL));
	assert_ok(event_split(&event, NULL, ret, NULL));
	event_release(&event);
}

#define ID(n)    "01900000-0000-7000-8000-00000000000" #n
#define RECEIVED ",\"complaint_id\":\"Q-1\",\"about\":\"DELAY\",\"anonymous\":\"N\""

/* The two events of a complaint, three entries. */
static void put_complaint(struct fixture *f, struct sent *s, bool checkpoint)
{
	struct event_parts opened, received;
	struct buf entries[3];
	struct bytes views[3];

	event_parts_make(s, "CASE_OPENED", ID(1), ",\"case_code\":\"ZZ-TCD-1\"", &opened);
	event_parts_make(
		s, "COMPLAINT_RECEIVED", ID(2), RECEIVED ",\"note\":\"quillfeather\"", &received);
	assert_int_equal(received.count, 2);
	entries[0] = entry_of(s, &s->core, buf_bytes(&received.part[0].packed), 1);
	entries[1] = entry_of(s, &s->note, buf_bytes(&received.part[1].packed), 0);
	entries[2] = entry_of(s, &s->core, buf_bytes(&opened.part[0].packed), 0);
	for (size_t i = 0; i < 3; i++)
		views[i] = buf_bytes(&entries[i]);
	append_to(f, &f->theirs, views, 3, checkpoint);
	for (size_t i = 0; i < 3; i++)
		buf_release(&entries[i]);
	event_parts_release(&opened);
	event_parts_release(&received);
}

/* ---- the node it goes to ---- */

static void test_arrives_and_is_answered(void **state)
{
	struct fixture *f = *state;
	uint64_t awaited = 0;
	struct sent s;
	json_t *json;

	sent_init(f, &s, 1);
	taken(f, &s.keys, 1);
	json = list(f, &awaited);
	assert_int_equal(json_array_size(json), 0);
	assert_int_equal(awaited, 1);
	json_decref(json);
	put_complaint(f, &s, true);
	for (int round = 0; round < 2; round++) {
		json = list(f, &awaited);
		assert_int_equal(json_array_size(json), 1);
		assert_int_equal(awaited, 0);
		json_decref(json);
		json = show(f, "zz-tcd-1");
		assert_int_equal(json_array_size(json), 3);
		assert_string_equal(text_at(json, 1, "type"), "CASE_OPENED");
		assert_string_equal(text_at(json, 2, "note"), "quillfeather");
		assert_string_equal(text_at(json, 2, "author"), SENDER);
		json_decref(json);
		lock(f);
		assert_int_equal(unlock(f), 0);
	}
	/* Under this node's own keys, one case. */
	record(f, "{\"type\":\"COMPLAINT_STAGE\",\"case_ref\":\"c0010000000000000000000000000000\","
		  "\"complaint_id\":\"Q-1\",\"stage\":\"ACKNOWLEDGED\",\"occurred_on\":"
		  "\"2026-02-05\"}\n");
	json = show(f, "ZZ-TCD-1");
	assert_int_equal(json_array_size(json), 4);
	assert_string_equal(text_at(json, 3, "type"), "COMPLAINT_STAGE");
	assert_null(text_at(json, 3, "author"));
	json_decref(json);
	assert_int_equal(cases(f), 1);
	sent_release(&s);
}

static void test_not_before_the_checkpoint(void **state)
{
	struct fixture *f = *state;
	struct buf rest;
	struct bytes view;
	struct sent s;

	sent_init(f, &s, 1);
	taken(f, &s.keys, 1);
	put_complaint(f, &s, false);
	assert_int_equal(cases(f), 0); /* part of a commit, for all one can know */
	buf_init(&rest, LIMIT_ENTRY_SIZE);
	entry_make(&rest, 2, 4);
	view = buf_bytes(&rest);
	append_to(f, &f->theirs, &view, 1, true);
	assert_int_equal(cases(f), 1);
	buf_release(&rest);
	sent_release(&s);
}

/* The log it was sealed for ended before it could be appended: it stands in the next one. */
static void test_in_a_newer_log(void **state)
{
	struct fixture *f = *state;
	struct tlog first = f->theirs;
	struct sent s;
	json_t *json;

	sent_init(f, &s, 1);
	taken(f, &s.keys, 1);
	tlog_init_of(&f->theirs, 3, SENDER);
	put_complaint(f, &s, true);
	for (int round = 0; round < 2; round++) {
		json = show(f, "ZZ-TCD-1");
		assert_int_equal(json_array_size(json), 3);
		assert_string_equal(text_at(json, 2, "note"), "quillfeather");
		json_decref(json);
		lock(f);
		unlock(f);
	}
	tlog_release(&first);
	sent_release(&s);
}

static void test_keys_nobody_takes(void **state)
{
	struct fixture *f = *state;
	struct mail_complaint bad;
	struct sent s, other;
	struct case_ref ref;
	uint8_t id = 10;

	record(f, OPEN_OWN);
	sent_init(f, &s, 1);
	sent_init(f, &other, 2);
	taken(f, &s.keys, id++);
	taken(f, &s.keys, id++); /* again: no fault */
	put_complaint(f, &s, true);
	assert_int_equal(cases(f), 2);
	/* into a case of this node's */
	assert_ok(case_ref_parse(bytes_str(OWN_REF), &ref));
	bad = other.keys;
	memcpy(bad.case_ref, ref.b, sizeof(bad.case_ref));
	refused(f, &bad, id++);
	/* into the one that is there, other keys */
	memcpy(bad.case_ref, s.keys.case_ref, sizeof(bad.case_ref));
	refused(f, &bad, id++);
	/* the key of another case */
	bad = s.keys;
	bad.case_ref[1] = 99;
	refused(f, &bad, id++);
	/* of the log of another node, of another network, of none */
	bad = other.keys;
	memcpy(bad.origin, f->own.origin.text, strlen(f->own.origin.text) + 1);
	refused(f, &bad, id++);
	snprintf(bad.origin, sizeof(bad.origin), "other.example/chad/1-0000000000000002");
	refused(f, &bad, id++);
	snprintf(bad.origin, sizeof(bad.origin), "chad");
	refused(f, &bad, id++);
	bad = other.keys;
	bad.keys[0].kid[3] ^= 1;
	refused(f, &bad, id++);
	bad = other.keys;
	bad.keys[1].first = 1;
	refused(f, &bad, id++);
	bad = other.keys;
	bad.keys[0].group = GROUP_HEALTH;
	refused(f, &bad, id++);
	bad = other.keys;
	bad.keys[1].group = GROUP_CORE;
	refused(f, &bad, id++);
	assert_int_equal(cases(f), 2);
	lock(f);
	unlock(f);
	assert_int_equal(cases(f), 2);
	sent_release(&s);
	sent_release(&other);
}

/* Sealed to the wrong key, of the wrong class, or nothing in it. */
static void test_letters_nobody_takes(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct buf content;
	struct sent s;

	sent_init(f, &s, 1);
	buf_init(&content, 1024);
	assert_ok(mail_complaint_write(&content, &s.keys));
	const struct {
		struct letter letter;
		uint32_t outcome;
		bool refused;
	} rows[] = {
		/* a complaint to a prekey: of a kind that does not go there */
		{{MAIL_COMPLAINT, MAIL_ORDINARY, &f->to_prekey, 1, buf_bytes(&content), NULL},
			MAIL_UNOPENABLE, false},
		/* a notice to the complaint key */
		{{MAIL_NOTICE, MAIL_ORDINARY, &f->to_complaint, 2, bytes_str("x"), NULL},
			MAIL_UNOPENABLE, false},
		{{MAIL_COMPLAINT, MAIL_ERASURE, &f->to_complaint, 3, buf_bytes(&content), NULL},
			MAIL_UNKNOWN_KIND, true},
		{{MAIL_COMPLAINT, MAIL_ORDINARY, &f->to_complaint, 4, bytes_str("\x07"), NULL},
			MAIL_UNKNOWN_KIND, true},
		{{MAIL_COMPLAINT, MAIL_ORDINARY, &f->to_complaint, 5, bytes_str(""), NULL},
			MAIL_UNKNOWN_KIND, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		request = deliver(f, &rows[i].letter);
		assert_ok(request->result);
		assert_int_equal(request->outcome, rows[i].outcome);
		assert_int_equal(request->refused, rows[i].refused);
		vault_request_free(request);
	}
	put_complaint(f, &s, true);
	assert_int_equal(cases(f), 0);
	buf_wipe(&content);
	sent_release(&s);
}

/* What the sender's log has under the keys is its own fault, and blocks nobody. */
static void test_bad_entries_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct event_parts parts, foreign;
	struct buf entries[5];
	struct bytes views[5];
	struct sent s, other;
	json_t *json;

	record(f, OPEN_OWN);
	sent_init(f, &s, 1);
	sent_init(f, &other, 2);
	event_parts_make(&other, "COMPLAINT_STAGE", ID(5),
		",\"complaint_id\":\"Q-1\",\"stage\":\"UPHELD\"", &foreign);
	event_parts_make(&s, "COMPLAINT_STAGE", OWN_ID,
		",\"complaint_id\":\"Q-1\",\"stage\":\"UPHELD\"", &parts);
	entries[0] = entry_of(&s, &s.core, bytes_str("no part at all"), 2);
	entries[1] = entry_of(&s, &s.core, buf_bytes(&foreign.part[0].packed), 3);
	/* 4 is missing; 5 claims an id of ours */
	entries[2] = entry_of(&s, &s.core, buf_bytes(&parts.part[0].packed), 5);
	entries[3] = entry_of(&s, &s.core, buf_bytes(&parts.part[0].packed), 6);
	entries[3].data[entries[3].size - 1] ^= 1;
	/* more than the gap behind the last */
	entries[4] = entry_of(&s, &s.core, buf_bytes(&parts.part[0].packed), 6 + LIMIT_LOCATOR_GAP);
	for (size_t i = 0; i < 5; i++)
		views[i] = buf_bytes(&entries[i]);
	taken(f, &s.keys, 1);
	put_complaint(f, &s, true);
	append_to(f, &f->theirs, views, 5, true);
	for (int round = 0; round < 2; round++) {
		json = show(f, "ZZ-TCD-1");
		assert_int_equal(json_array_size(json), 4);
		/* 2, 3 and 6 do not read, 4 is missing */
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(json, 0), "left_out")),
			4);
		json_decref(json);
		json = show(f, "ZZ-ONE");
		assert_int_equal(json_array_size(json), 2);
		assert_null(text_at(json, 1, "author"));
		json_decref(json);
		lock(f);
		assert_int_equal(unlock(f), 0);
	}
	for (size_t i = 0; i < 5; i++)
		buf_release(&entries[i]);
	event_parts_release(&parts);
	event_parts_release(&foreign);
	sent_release(&s);
	sent_release(&other);
}

/* More assignments than the state of a case has room for: nothing that is here suffers from it, and
 * the complaint is dealt with. */
static void test_flood(void **state)
{
	enum { COUNT = LIMIT_CASE_OFFICERS + 1 };
	static struct buf entries[COUNT];
	static struct bytes views[COUNT];
	struct fixture *f = *state;
	struct sent s;
	json_t *json;

	record(f, OPEN_OWN);
	sent_init(f, &s, 1);
	taken(f, &s.keys, 1);
	put_complaint(f, &s, true);
	for (unsigned i = 0; i < COUNT; i++) {
		struct event_parts parts;
		char id[EVENT_ID_TEXT + 1];

		snprintf(id, sizeof(id), "01900000-0000-7000-8000-%012u", 100 + i);
		event_parts_make(&s, "OFFICER_ASSIGNED", id,
			",\"officer_key\":\"x\",\"role\":\"LEAD\"", &parts);
		entries[i] = entry_of(&s, &s.core, buf_bytes(&parts.part[0].packed), 2 + i);
		views[i] = buf_bytes(&entries[i]);
		event_parts_release(&parts);
	}
	for (unsigned i = 0; i < COUNT; i += 100)
		append_to(f, &f->theirs, views + i, COUNT - i < 100 ? COUNT - i : 100, true);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(cases(f), 2);
		json = show(f, "ZZ-TCD-1");
		assert_int_equal(json_array_size(json), 1 + 2 + COUNT);
		json_decref(json);
		lock(f);
		assert_int_equal(unlock(f), 0);
	}
	for (unsigned i = 0; i < COUNT; i++)
		buf_release(&entries[i]);
	sent_release(&s);
}

/* The other node was first with an id, and with a code: this node's lines are recorded all the
 * same. */
static void test_ours_is_not_known_through_them(void **state)
{
	struct fixture *f = *state;
	struct event_parts parts;
	struct bytes view;
	struct buf entry;
	struct sent s;
	json_t *json;

	sent_init(f, &s, 1);
	taken(f, &s.keys, 1);
	event_parts_make(&s, "CASE_OPENED", OWN_ID, ",\"case_code\":\"ZZ-ONE\"", &parts);
	entry = entry_of(&s, &s.core, buf_bytes(&parts.part[0].packed), 0);
	view = buf_bytes(&entry);
	append_to(f, &f->theirs, &view, 1, true);
	assert_int_equal(cases(f), 1);
	record(f, OPEN_OWN);
	json = show(f, "ZZ-ONE");
	assert_string_equal(text_at(json, 0, "case_ref"), OWN_REF);
	assert_null(text_at(json, 1, "author"));
	json_decref(json);
	struct vault_request *again = seal(f, OPEN_OWN);

	assert_ok(again->result);
	assert_null(again->entries);
	assert_int_equal(again->known, 1);
	vault_request_free(again);
	buf_release(&entry);
	event_parts_release(&parts);
	sent_release(&s);
}

static void test_complaints_of_one_sender_are_capped(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct sent s;

	for (unsigned n = 0; n <= LIMIT_COMPLAINTS_SENDER; n++) {
		uint8_t k[32] = {9, (uint8_t)n, (uint8_t)(n >> 8)};
		struct seal_kid kid;

		sent_init(f, &s, 1);
		s.keys.key_count = 1;
		memcpy(s.keys.keys[0].key.data, k, sizeof(k));
		assert_ok(seal_kid_of(BYTES_ARRAY(k), &kid));
		memcpy(s.keys.keys[0].kid, kid.b, sizeof(kid.b));
		put_u32be(s.keys.case_ref + 12, n + 1);
		if (n < LIMIT_COMPLAINTS_SENDER) {
			taken(f, &s.keys, (uint8_t)n);
		} else { /* it waits with its sender */
			request = send_keys(f, &s.keys, (uint8_t)n);
			assert_int_equal(request->result, ERR_FULL);
			vault_request_free(request);
		}
		sent_release(&s);
	}
}

static void test_authors_are_capped(void **state)
{
	struct fixture *f = *state;
	struct buf content;
	struct sent s;

	for (unsigned n = 0; n <= LIMIT_FOREIGN_AUTHORS; n++) {
		uint8_t k[32] = {8, (uint8_t)n, (uint8_t)(n >> 8)};
		struct letter letter = {
			MAIL_COMPLAINT, MAIL_ORDINARY, &f->to_complaint, 1, BYTES_NONE, NULL};
		struct vault_request *request;
		struct seal_kid kid;
		char sender[16];

		snprintf(sender, sizeof(sender), "n%u", n);
		sent_init(f, &s, 1);
		s.keys.key_count = 1;
		snprintf(
			s.keys.origin, sizeof(s.keys.origin), NETWORK "/n%u/1-00112233445566aa", n);
		memcpy(s.keys.keys[0].key.data, k, sizeof(k));
		assert_ok(seal_kid_of(BYTES_ARRAY(k), &kid));
		memcpy(s.keys.keys[0].kid, kid.b, sizeof(kid.b));
		put_u32be(s.keys.case_ref + 12, n + 1);
		buf_init(&content, 1024);
		assert_ok(mail_complaint_write(&content, &s.keys));
		letter.content = buf_bytes(&content);
		letter.sender = sender;
		request = deliver(f, &letter);
		assert_int_equal(request->result, n < LIMIT_FOREIGN_AUTHORS ? OK : ERR_FULL);
		assert_false(request->refused);
		vault_request_free(request);
		buf_wipe(&content);
		sent_release(&s);
	}
	lock(f);
	unlock(f);
}

/* ---- the node that takes it ---- */

static struct vault_request *complain(
	struct fixture *f, const char *fields, const char *to, const char *about_node)
{
	struct vault_request *request = request_new(VAULT_COMPLAIN);
	static const char *const nodes[] = {"hq", NODE, SENDER};

	request->complaint = mem_zalloc(sizeof(*request->complaint));
	for (size_t i = 0; i < 3; i++) {
		struct vault_destination *d = &request->complaint->destinations[i];

		snprintf(d->node, sizeof(d->node), "%s", nodes[i]);
		d->headquarters = i == 0;
		d->key = f->to_complaint.key;
		d->prekey = 4;
	}
	request->complaint->destination_count = 3;
	snprintf(request->complaint->to, sizeof(request->complaint->to), "%s", to);
	snprintf(request->complaint->about_node, sizeof(request->complaint->about_node), "%s",
		about_node);
	buf_printf(
		&request->lines, "{\"type\":\"COMPLAINT_RECEIVED\",\"about\":\"DELAY\"%s}", fields);
	return ask(f, request);
}

static void goes_to(struct fixture *f, const char *fields, const char *to, const char *about_node,
	const char *expected)
{
	struct vault_request *request = complain(f, fields, to, about_node);

	if (expected != NULL) {
		assert_ok(request->result);
		assert_string_equal(request->complaint->to, expected);
	} else {
		assert_int_equal(request->result, ERR_DENIED);
		assert_null(request->entries);
		assert_int_equal(request->mail.size, 0);
	}
	vault_request_free(request);
}

static void test_never_to_the_officer(void **state)
{
	struct fixture *f = *state;

	goes_to(f, "", "", "", "hq");
	goes_to(f, ",\"subject_officer\":\"amina\"", "", "", "hq");
	goes_to(f, ",\"subject_officer\":\"amina\"", NODE, "", NULL);
	goes_to(f, "", NODE, "", NULL);
	goes_to(f, ",\"subject_officer\":\"bo@hq\"", "", "", NULL);
	goes_to(f, ",\"subject_officer\":\"bo@hq\"", "hq", "", NULL);
	goes_to(f, ",\"subject_officer\":\"bo@hq\"", SENDER, "", SENDER);
	goes_to(f, "", SENDER, SENDER, NULL);
	goes_to(f, "", "", "hq", NULL);
	goes_to(f, "", "nowhere", "", NULL);
	assert_int_equal(cases(f), 0);
}

static void test_lines_nobody_takes(void **state)
{
	static const struct {
		const char *fields;
		enum err err;
		const char *says;
	} rows[] = {
		{",\"event_id\":\"" OWN_ID "\"", ERR_INVALID, "of its own"},
		{",\"case_ref\":\"" OWN_REF "\"", ERR_INVALID, "of its own"},
		{",\"subject_officer\":\"a\",\"handled_by\":\"a\"", ERR_INVALID, "handled_by"},
		{",\"subject_officer\":\"a\",\"handled_by\":\"a@" NODE "\"", ERR_INVALID,
			"handled_by"},
		{",\"channel\":\"SMOKE\"", ERR_INVALID, "channel"},
		{",\"unheard\":\"x\"", ERR_INVALID, "unheard"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vault_request *request = complain(f, rows[i].fields, "", "");

		assert_int_equal(request->result, rows[i].err);
		if (strstr(request->ctx.text, rows[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", request->ctx.text, rows[i].says);
		assert_null(request->entries);
		vault_request_free(request);
	}
	/* A plain event would be read by everybody here. */
	record(f, OPEN_OWN);
	struct vault_request *plain = seal(f,
		"{\"type\":\"COMPLAINT_RECEIVED\",\"case_ref\":\"" OWN_REF
		"\",\"complaint_id\":\"Q-1\",\"about\":\"DELAY\",\"subject_officer\":\"amina\"}\n");

	assert_int_equal(plain->result, ERR_DENIED);
	assert_non_null(strstr(plain->ctx.text, "case complain"));
	vault_request_free(plain);
}

/* What the destination gets out of mail and log; and the node itself, nothing. */
static void test_only_the_destination_reads_it(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = complain(f,
		",\"anonymous\":\"Y\",\"subject_officer\":\"amina\",\"note\":\"quillfeather\"", "",
		"");
	uint8_t seed[ED25519_SEED_SIZE] = {5};
	struct mail_content content;
	struct mail_complaint keys;
	struct mail_item item;
	struct signer *node;
	struct arena arena;
	struct sealer *sealer;
	struct hash origin, leaf;
	size_t opened = 0, named = 0;
	struct buf mail, part;

	assert_ok(request->result);
	assert_int_equal(request->entries->count, 3);
	tree_leaf(request->entries->entry[request->complaint->position], &leaf);
	assert_true(hash_equal(&leaf, &request->complaint->leaf));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&mail, LIMIT_MAIL_ITEM);
	buf_init(&part, LIMIT_PART_SIZE);
	assert_ok(signer_new(BYTES_ARRAY(seed), &node));
	assert_ok(mail_sign(&mail, buf_bytes(&request->mail), node));
	signer_free(node);
	assert_ok(mail_unpack(buf_bytes(&mail), NETWORK, &arena, &item, NULL));
	assert_string_equal(item.recipient, "hq");
	assert_int_equal(item.prekey, 4); /* as a notice to its newest prekey */
	assert_ok(mail_open_complaint(
		&item, NETWORK, secret_bytes(&f->complaint_key), &arena, &content, NULL));
	assert_ok(mail_complaint_read(content.body, &arena, &keys, NULL));
	assert_int_equal(keys.key_count, 2);
	assert_string_equal(keys.origin, f->own.origin.text);
	sha256(bytes_str(keys.origin), &origin);
	assert_ok(sealer_new(&sealer));
	for (size_t e = 0; e < 3; e++)
		for (size_t k = 0; k < 2; k++)
			for (uint64_t i = 0; i < 2; i++) {
				struct seal_position at = {origin, i};
				struct seal_key key;

				assert_ok(seal_key_init(&key, secret_bytes(&keys.keys[k].key)));
				buf_clear(&part);
				if (seal_open(sealer, &key, &at, request->entries->entry[e],
					    &part) == OK) {
					opened++;
					named += memmem(part.data, part.size, "anonymous", 9) !=
						 NULL;
					assert_null(
						memmem(part.data, part.size, "officer one", 11));
				}
				seal_key_release(&key);
			}
	assert_int_equal(opened, 3);
	assert_int_equal(named, 3);
	/* In the log, and nothing here knows what it is; nor is it taken for lost. */
	append_to(f, &f->own, request->entries->entry, request->entries->count, true);
	assert_int_equal(cases(f), 0);
	lock(f);
	assert_int_equal(unlock(f), 0);
	assert_int_equal(cases(f), 0);
	sealer_free(sealer);
	mail_complaint_release(&keys);
	mail_content_release(&content);
	arena_release(&arena);
	buf_wipe(&part);
	buf_release(&mail);
	vault_request_free(request);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_arrives_and_is_answered),
		T(test_not_before_the_checkpoint),
		T(test_in_a_newer_log),
		T(test_keys_nobody_takes),
		T(test_letters_nobody_takes),
		T(test_bad_entries_are_left_out),
		T(test_flood),
		T(test_ours_is_not_known_through_them),
		T(test_complaints_of_one_sender_are_capped),
		T(test_authors_are_capped),
		T(test_never_to_the_officer),
		T(test_lines_nobody_takes),
		T(test_only_the_destination_reads_it),
	};
#undef T

	if (crypto_init() != OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
