/*
 * The vault over a real store and its writer. The test plays the loop: what the vault seals it has
 * the writer append, and tells the vault how that ended.
 */
#include "tests/unit/store/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cases/event/event.h"
#include "cases/seal/seal.h"
#include "server/officers/lockout.h"
#include "server/store/keyring.h"
#include "server/vault/vault.h"

#define PASSPHRASE "seven herons over the lagoon"
#define REF_1      "00112233445566778899aabbccddee01"
#define REF_2      "00112233445566778899aabbccddee02"
#define ID_1       "01890a5d-ac96-774b-bcce-b302099a8001"
#define ID_2       "01890a5d-ac96-774b-bcce-b302099a8002"
#define ID_3       "01890a5d-ac96-774b-bcce-b302099a8003"
#define ID_4       "01890a5d-ac96-774b-bcce-b302099a8004"
#define OPEN_1                                                                                     \
	"{\"type\":\"CASE_OPENED\",\"event_id\":\"" ID_1 "\",\"case_ref\":\"" REF_1                \
	"\",\"case_code\":\"ZZ-ONE\",\"occurred_on\":\"2026-02-03\"}\n"
#define AGREED_1                                                                                   \
	"{\"type\":\"CONSENT_RECORDED\",\"event_id\":\"" ID_2 "\",\"case_ref\":\"" REF_1           \
	"\",\"occurred_on\":\"2026-02-04\",\"purpose\":\"CASE_MGMT\",\"given_by\":\"VICTIM\","     \
	"\"form\":\"WRITTEN\",\"witness_ref\":\"Marisolwenda\",\"valid_until\":\"2027-02-03\","    \
	"\"note\":\"quillfeather\"}\n"
#define CALL "\"channel\":\"PHONE\",\"direction\":\"OUT\",\"result\":\"REACHED\""
#define CONTACT_1                                                                                  \
	"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\",\"occurred_on\":\"2026-02-05\"," CALL    \
	"}\n"
#define OPEN_2                                                                                     \
	"{\"type\":\"CASE_OPENED\",\"event_id\":\"" ID_3 "\",\"case_ref\":\"" REF_2                \
	"\",\"case_code\":\"ZZ-TWO\",\"occurred_on\":\"2026-03\"}\n"

struct fixture {
	struct bench *bench;
	struct tlog log;
	struct vault *vault;
	int woken;
	struct vault_request *done; /* collected, not asked for yet */
	char keystore[300], keyring[300], drafts[300];
};

/* --- the loop's part --- */

static void on_wake(void *arg)
{
	struct fixture *f = arg;
	uint64_t one = 1;

	if (write(f->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void collect(struct fixture *f)
{
	struct vault_request **last = &f->done;

	while (*last != NULL)
		last = &(*last)->next;
	*last = vault_done(f->vault);
}

static struct vault_request *find_done(struct fixture *f, struct vault_request *request)
{
	for (struct vault_request **at = &f->done; *at != NULL; at = &(*at)->next)
		if (*at == request) {
			*at = request->next;
			return request;
		}
	return NULL;
}

static void wait_for(struct fixture *f, struct vault_request *request)
{
	uint64_t wakes;

	while (find_done(f, request) == NULL) {
		assert_int_equal(read(f->woken, &wakes, sizeof(wakes)), sizeof(wakes));
		collect(f);
	}
}

static struct vault_request *request_new(enum vault_type type)
{
	struct vault_request *request = vault_request_new(type, NULL);
	static uint64_t now_ms = UINT64_C(1790000000123);

	assert_non_null(request);
	now_ms++;
	request->now_s = now_ms / 1000;
	request->now_ms = now_ms;
	if (type != VAULT_UNLOCK) {
		snprintf(request->officer, sizeof(request->officer), "officer one");
		request->roles = ACCOUNT_SUPERVISOR;
	}
	return request;
}

static struct vault_request *submit(struct fixture *f, struct vault_request *request)
{
	vault_submit(f->vault, request);
	return request;
}

static struct vault_request *ask(struct fixture *f, struct vault_request *request)
{
	wait_for(f, submit(f, request));
	return request;
}

/* Asks, frees; the result. */
static enum err ask_simple(struct fixture *f, struct vault_request *request)
{
	enum err err = ask(f, request)->result;

	vault_request_free(request);
	return err;
}

static struct vault_request *unlock_request(const char *passphrase)
{
	struct vault_request *request = request_new(VAULT_UNLOCK);

	assert_ok(secret_copy(&request->passphrase, bytes_str(passphrase)));
	return request;
}

static void unlock(struct fixture *f)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));

	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	vault_request_free(request);
}

static void lock(struct fixture *f)
{
	assert_ok(ask_simple(f, request_new(VAULT_LOCK)));
}

static struct vault_request *seal_request(const char *lines, bool dry_run)
{
	struct vault_request *request = request_new(VAULT_SEAL);

	buf_put_str(&request->lines, lines);
	request->dry_run = dry_run;
	return request;
}

static struct vault_request *seal(struct fixture *f, const char *lines)
{
	struct vault_request *request = ask(f, seal_request(lines, false));

	if (request->result != OK)
		fail_msg("seal: line %u: %s", request->line,
			err_message(&request->ctx, request->result));
	return request;
}

static void end_batch(struct fixture *f, enum vault_type type, uint64_t batch, uint64_t index)
{
	struct vault_request *request = request_new(type);

	request->batch = batch;
	request->index = index;
	assert_ok(ask_simple(f, request));
}

/* Entries -> log; where they went. */
static uint64_t append(struct fixture *f, const struct bytes *entries, size_t count)
{
	uint64_t index = f->log.compact.size;
	enum err err = bench_write(f->bench, tlog_write_entries(&f->log, entries, count));

	if (err != OK)
		fail_msg("append: %s", f->bench->ctx.text);
	return index;
}

/* All the way; frees the request. */
static void append_commit(struct fixture *f, struct vault_request *sealed)
{
	assert_non_null(sealed->entries);
	assert_string_equal(sealed->log_origin, f->log.origin.text);
	end_batch(f, VAULT_COMMITTED, sealed->batch,
		append(f, sealed->entries->entry, sealed->entries->count));
	vault_request_free(sealed);
}

static void record(struct fixture *f, const char *lines)
{
	append_commit(f, seal(f, lines));
}

/* What is wrong with the lines, and where. */
static void check_refused(
	struct fixture *f, const char *lines, enum err err, uint32_t line, const char *says)
{
	struct vault_request *request = ask(f, seal_request(lines, false));

	if (request->result != err || request->line != line)
		fail_msg("line %u: %s", request->line, err_message(&request->ctx, request->result));
	assert_null(request->entries);
	if (strstr(request->ctx.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", request->ctx.text, says);
	vault_request_free(request);
}

static struct vault_request *show(struct fixture *f, const char *name)
{
	struct vault_request *request = request_new(VAULT_SHOW);

	snprintf(request->name, sizeof(request->name), "%s", name);
	return ask(f, request);
}

static json_t *doc_json(const struct vault_doc *doc)
{
	json_t *json = json_loadb((const char *)doc->json.data, doc->json.size, 0, NULL);

	assert_non_null(json);
	return json;
}

/* All documents of a SHOW or LIST behind one another, as text to be freed. */
static char *docs_text(struct vault_request *request)
{
	struct buf all;
	char *text;

	assert_ok(request->result);
	buf_init(&all, 64 * 1024 * 1024);
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next) {
		json_decref(doc_json(doc));
		buf_put(&all, buf_bytes(&doc->json));
		buf_put_u8(&all, '\n');
	}
	text = strdup(buf_cstr(&all));
	buf_release(&all);
	vault_request_free(request);
	return text;
}

static char *book_text(struct fixture *f)
{
	char *list = docs_text(ask(f, request_new(VAULT_LIST)));
	char *one = docs_text(show(f, "ZZ-ONE")), *all = NULL;

	assert_true(asprintf(&all, "%s%s", list, one) > 0);
	free(list);
	free(one);
	return all;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != 0; text++)
		count += *text == '\n';
	return count;
}

/* Every sealed entry of the log has a locator of its own. */
static void check_locators_unique(struct fixture *f)
{
	size_t count = (size_t)f->log.compact.size;
	struct seal_locator *all = calloc(count + 1, sizeof(*all));
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&entry);
		assert_ok(store_entry(f->bench->store, &f->log.origin, i, &entry, NULL));
		assert_ok(seal_entry_locator(buf_bytes(&entry), &all[i]));
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(all[i].b, all[j].b, sizeof(all[i].b));
	}
	buf_release(&entry);
	free(all);
}

/* --- fixture --- */

static void keystore_write(struct fixture *f, const char *origin)
{
	static const uint8_t keyring_key[AEAD_KEY_SIZE] = {7};
	struct scrypt_cost cost = {16, 1, 1};
	struct node_keys keys;
	struct buf file;
	FILE *out;

	assert_ok(node_keys_make(origin, &keys));
	memcpy(keys.keyring_key.data, keyring_key, sizeof(keyring_key)); /* the same every time */
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

static void vault_begin_guarded(struct fixture *f, const char *country, struct guard *guard)
{
	struct errctx ctx = {""};
	struct vault_opts opts = {
		.store = f->bench->store,
		.guard = guard,
		.keystore = f->keystore,
		.keyring = f->keyring,
		.drafts = f->drafts,
		.network = NETWORK,
		.node = NODE,
		.country = country,
		.wake = on_wake,
		.wake_arg = f,
	};

	assert_ok(vault_start(&opts, &f->vault, &ctx));
}

static void vault_begin(struct fixture *f, const char *country)
{
	vault_begin_guarded(f, country, NULL);
}

/* A mirror says that it holds `size` entries with that root. */
static void cosign(struct fixture *f, const char *mirror, uint64_t size, const struct hash *root)
{
	struct store_write *write = store_write_new(&f->log.origin);

	assert_non_null(write);
	snprintf(write->cosigner, sizeof(write->cosigner), "%s", mirror);
	write->cosigned_size = size;
	buf_put(&write->cosignature, hash_bytes(root));
	buf_put_str(&write->cosignature, "line\n");
	assert_ok(bench_write(f->bench, write));
}

static void vault_end(struct fixture *f)
{
	vault_stop(f->vault);
	collect(f);
	while (f->done != NULL) {
		struct vault_request *request = f->done;

		f->done = request->next;
		vault_request_free(request);
	}
	vault_free(f->vault);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *bench;

	assert_non_null(f);
	bench_setup(&bench);
	f->bench = bench;
	tlog_init(&f->log, 1);
	f->woken = eventfd(0, EFD_CLOEXEC);
	assert_true(f->woken >= 0);
	snprintf(f->keystore, sizeof(f->keystore), "%s/keystore", f->bench->place.directory);
	snprintf(f->keyring, sizeof(f->keyring), "%s/keyring", f->bench->place.directory);
	snprintf(f->drafts, sizeof(f->drafts), "%s/drafts", f->bench->place.directory);
	keystore_write(f, f->log.origin.text);
	vault_begin(f, "HTI");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;

	vault_end(f);
	close(f->woken);
	tlog_release(&f->log);
	free(f);
	return bench_teardown(&bench);
}

/* --- tests --- */

static void test_unlock(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, request_new(VAULT_SHOW)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, seal_request(OPEN_1, false)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, seal_request(OPEN_1, true)), ERR_LOCKED);
	lock(f); /* it is: fine */

	request = ask(f, unlock_request("seven herons over the lagoons"));
	assert_int_equal(request->result, ERR_DENIED);
	assert_null(request->keys);
	assert_null(request->passphrase.data);
	vault_request_free(request);
	assert_int_equal(ask_simple(f, request_new(VAULT_UNLOCK)), ERR_INVALID);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);

	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_null(request->passphrase.data);
	assert_non_null(request->keys);
	assert_non_null(request->keys->node);
	assert_non_null(request->keys->log);
	assert_null(request->keys->directory);
	assert_int_equal(request->keys->issuing_key.size, 0);
	assert_string_equal(request->keys->log_origin, f->log.origin.text);
	assert_int_equal(request->cases, 0);
	vault_request_free(request);

	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_null(request->keys);
	vault_request_free(request);
	assert_int_equal(ask_simple(f, unlock_request("no")), ERR_DENIED);
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	lock(f);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
}

/* Made at the first unlock, in the keystore before anybody hears of it, and the same ever after. */
static struct prekey prekey_of(struct fixture *f)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));
	struct prekey prekey;

	assert_ok(request->result);
	prekey = request->keys->prekey;
	vault_request_free(request);
	return prekey;
}

static void test_prekey(void **state)
{
	struct fixture *f = *state;
	struct prekey first = prekey_of(f), again;

	assert_int_equal(first.number, 1);
	vault_end(f); /* as by a crash before it was published */
	vault_begin(f, "HTI");
	again = prekey_of(f);
	assert_int_equal(again.number, 1);
	assert_memory_equal(again.key.b, first.key.b, X25519_KEY_SIZE);
	/* A keystore that cannot be replaced has none, and unlocks all the same. */
	vault_end(f);
	keystore_write(f, f->log.origin.text);
	vault_begin(f, "HTI");
	char temporary[400];

	snprintf(temporary, sizeof(temporary), "%s.tmp", f->keystore);
	assert_int_equal(mkdir(temporary, 0700), 0);
	again = prekey_of(f);
	assert_int_equal(again.number, 0);
	assert_int_equal(rmdir(temporary), 0);
	lock(f);
	again = prekey_of(f);
	assert_int_equal(again.number, 1);
	assert_memory_not_equal(again.key.b, first.key.b, X25519_KEY_SIZE);
}

/* A packed Mail to this node, sealed to a prekey. */
static void letter_put(struct buf *out, const struct prekey *prekey, enum mail_class class,
	const char *text, struct hash *ret_item)
{
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60};
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = "hq",
		.recipient = NODE,
		.class = class,
		.kind = MAIL_NOTICE,
		.content = bytes_str(text),
		.prekey = prekey,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct signer *signer;
	struct mail_item item;
	struct arena arena;

	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(mail_write(out, &draft, signer));
	signer_free(signer);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(mail_unpack(buf_bytes(out), NETWORK, &arena, &item, NULL));
	*ret_item = item.item;
	arena_release(&arena);
}

static struct vault_request *mail_request(
	enum vault_type type, const struct hash *item, const struct buf *mail)
{
	struct vault_request *request = request_new(type);

	request->item = *item;
	buf_put(&request->mail, buf_bytes(mail));
	return request;
}

static void test_mail(void **state)
{
	struct fixture *f = *state;
	struct prekey prekey = prekey_of(f), other = prekey;
	struct vault_request *opened, *shown;
	struct hash item, wrong = {{1}};
	struct buf letter;

	buf_init(&letter, LIMIT_MAIL_ITEM);
	letter_put(&letter, &prekey, MAIL_ORDINARY, "come on Thursday", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_PROCESSED);
	assert_null(memmem(opened->mail.data, opened->mail.size, "Thursday", 8));
	shown = ask(f, mail_request(VAULT_MAIL_SHOW, &item, &opened->mail));
	assert_ok(shown->result);
	assert_true(bytes_equal_str(buf_bytes(&shown->mail), "come on Thursday"));
	vault_request_free(shown);
	/* A row under another's name, or changed. */
	assert_int_equal(
		ask_simple(f, mail_request(VAULT_MAIL_SHOW, &wrong, &opened->mail)), ERR_CORRUPT);
	opened->mail.data[opened->mail.size - 1] ^= 1;
	assert_int_equal(
		ask_simple(f, mail_request(VAULT_MAIL_SHOW, &item, &opened->mail)), ERR_CORRUPT);
	vault_request_free(opened);
	/* Sealed to a key that is not here any more, or was never. */
	other.number = 7;
	buf_clear(&letter);
	letter_put(&letter, &other, MAIL_ORDINARY, "text", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_UNOPENABLE);
	assert_int_equal(opened->mail.size, 0);
	vault_request_free(opened);
	/* An erasure waits for no room in the inbox, and so puts nothing there. */
	buf_clear(&letter);
	letter_put(&letter, &prekey, MAIL_ERASURE, "text", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_UNKNOWN_KIND);
	assert_int_equal(opened->mail.size, 0);
	vault_request_free(opened);
	lock(f);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_OPEN, &item, &letter)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_SHOW, &item, &letter)), ERR_LOCKED);
	buf_release(&letter);
}

static void check_unlock(struct fixture *f, enum err err)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));

	assert_int_equal(request->result, err);
	assert_non_null(strstr(request->ctx.text, f->keystore));
	vault_request_free(request);
}

static void test_keystore_file(void **state)
{
	struct fixture *f = *state;
	int file;

	assert_int_equal(chmod(f->keystore, 0640), 0);
	check_unlock(f, ERR_DENIED);
	assert_int_equal(chmod(f->keystore, 0601), 0);
	check_unlock(f, ERR_DENIED);
	assert_int_equal(chmod(f->keystore, 0400), 0);
	unlock(f);
	lock(f);
	assert_int_equal(chmod(f->keystore, 0600), 0);
	assert_int_equal(truncate(f->keystore, LIMIT_KEYSTORE_SIZE), 0);
	check_unlock(f, ERR_CORRUPT);
	assert_int_equal(truncate(f->keystore, LIMIT_KEYSTORE_SIZE + 10), 0);
	check_unlock(f, ERR_LIMIT);
	assert_int_equal(unlink(f->keystore), 0);
	check_unlock(f, ERR_NOTFOUND);
	assert_int_equal(mkdir(f->keystore, 0700), 0);
	check_unlock(f, ERR_INVALID);
	assert_int_equal(rmdir(f->keystore), 0);
	keystore_write(f, "ovra.example/jordan/1-0000000000000001"); /* another node's log */
	file = open(f->keystore, O_RDONLY);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(ask_simple(f, unlock_request(PASSPHRASE)), ERR_CORRUPT);
}

static void test_record_and_show(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct vault_doc *doc;
	const char *ref, *code;
	json_t *json;
	char lines[600];

	unlock(f);
	request = seal(f, "\n{\"type\":\"CASE_OPENED\"}\n  \n");
	assert_int_equal(request->added, 1);
	append_commit(f, request);

	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->cases, 1);
	assert_int_equal(request->events, 1);
	json = doc_json(request->docs);
	assert_null(request->docs->next);
	ref = json_string_value(json_object_get(json, "case_ref"));
	code = json_string_value(json_object_get(json, "code"));
	assert_memory_equal(code, "HTI-", 4);
	assert_string_equal(json_string_value(json_object_get(json, "opened_on")), "");
	assert_string_equal(json_string_value(json_object_get(json, "last_on")), "");
	assert_int_equal(json_integer_value(json_object_get(json, "events")), 1);
	vault_request_free(request);

	snprintf(lines, sizeof(lines),
		"{\"type\":\"CONTACT\",\"case_ref\":\"%s\",\"next_contact_due_on\":\"2026-12-"
		"01\"," CALL "}\n"
		"{\"type\":\"CONTACT\",\"case_ref\":\"%s\",\"office\":\"COD\"," CALL
		",\"recorded_by\":\"B\",\"recorded_at\":\"2020-01-01T00:00:00Z\"}",
		ref, ref);
	request = seal(f, lines);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->entries->count, 2);
	append_commit(f, request);

	request = show(f, ref);
	assert_ok(request->result);
	assert_int_equal(request->events, 3);
	vault_request_free(request);
	request = show(f, code);
	assert_ok(request->result);
	json_decref(json);
	json = doc_json(request->docs);
	assert_int_equal(json_integer_value(json_object_get(json, "events")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 0);
	json_decref(json);
	doc = request->docs->next; /* recorded in 2020 */
	json = doc_json(doc);
	assert_string_equal(json_string_value(json_object_get(json, "office")), "COD");
	json_decref(json);
	json = doc_json(doc->next);
	assert_string_equal(json_string_value(json_object_get(json, "type")), "CASE_OPENED");
	assert_string_equal(json_string_value(json_object_get(json, "office")), "HTI");
	assert_string_equal(json_string_value(json_object_get(json, "recorded_by")), "officer one");
	json_decref(json);
	json = doc_json(doc->next->next);
	assert_string_equal(
		json_string_value(json_object_get(json, "next_contact_due_on")), "2026-12-01");
	json_decref(json);
	assert_null(doc->next->next->next);
	vault_request_free(request);

	request = show(f, "HTI-none\x1b");
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_null(strchr(request->ctx.text, 0x1b));
	vault_request_free(request);
}

/* Under their own name an officer records, a supervisor also what somebody else did. */
static void test_recorded_by(void **state)
{
	static const char other[] = "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1
				    "\",\"recorded_by\":\"somebody else\"}\n";
	static const char own[] = "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1
				  "\",\"recorded_by\":\"officer one\"}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	for (uint32_t roles = 0; roles <= ACCOUNT_ROLES_ALL; roles++) {
		enum err wanted = (roles & ACCOUNT_SUPERVISOR) != 0 ? OK : ERR_DENIED;

		request = seal_request(other, true);
		request->roles = roles;
		assert_int_equal(ask(f, request)->result, wanted);
		assert_int_equal(request->line, wanted == OK ? 0 : 1);
		assert_null(strstr(request->ctx.text, "somebody else"));
		vault_request_free(request);
		request = seal_request(own, true);
		request->roles = roles;
		assert_int_equal(ask_simple(f, request), OK);
	}
}

/* Accounts are the vault's while it is unlocked, and its slots' names always. */
static void test_officers(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = request_new(VAULT_OFFICER_NAMES);

	assert_ok(ask(f, request)->result);
	assert_non_null(strstr((const char *)request->docs->json.data, "{\"officer\":\"test\"}"));
	vault_request_free(request);
	assert_int_equal(ask_simple(f, request_new(VAULT_OFFICER_LIST)), ERR_LOCKED);
	unlock(f);
	request = request_new(VAULT_OFFICER_ADD);
	snprintf(request->name, sizeof(request->name), "amina");
	request->new_roles = ACCOUNT_OFFICER;
	assert_ok(secret_copy(&request->new_passphrase, bytes_str("amina's")));
	assert_ok(ask(f, request)->result);
	assert_null(request->new_passphrase.data);
	vault_request_free(request);
	/* Now a name must be said; and it is hers alone. */
	assert_int_equal(ask_simple(f, unlock_request("amina's")), ERR_INVALID);
	request = unlock_request("amina's");
	snprintf(request->officer, sizeof(request->officer), "amina");
	assert_ok(ask(f, request)->result);
	assert_int_equal(request->roles, ACCOUNT_OFFICER);
	vault_request_free(request);
	request = unlock_request(PASSPHRASE);
	snprintf(request->officer, sizeof(request->officer), "amina");
	assert_int_equal(ask_simple(f, request), ERR_DENIED);
	lock(f);
	request = request_new(VAULT_OFFICER_DISABLE);
	snprintf(request->name, sizeof(request->name), "amina");
	assert_int_equal(ask_simple(f, request), ERR_LOCKED);
}

/* Not tried any more, whoever asks; a lock makes nothing undone. */
static void test_wrong_passphrases(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	for (int i = 0; i < LOCKOUT_FREE; i++)
		assert_int_equal(ask_simple(f, unlock_request("no")), ERR_DENIED);
	lock(f);
	request = ask(f, unlock_request(PASSPHRASE));
	assert_int_equal(request->result, ERR_DENIED);
	assert_int_equal(request->wait_s, 1);
	vault_request_free(request);
	request = unlock_request(PASSPHRASE);
	request->boot_ms = LOCKOUT_FIRST_MS;
	assert_ok(ask(f, request)->result);
	vault_request_free(request);
}

/* Events of one day and one request are shown in the order of their lines. */
static void test_order_of_lines(void **state)
{
	struct fixture *f = *state;
	struct vault_doc *doc;
	struct vault_request *request;
	struct buf lines;
	char due[32];
	json_t *json;

	unlock(f);
	buf_init(&lines, 1 << 20);
	buf_put_str(&lines, OPEN_1);
	for (int i = 0; i < 50; i++)
		buf_printf(&lines,
			"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1
			"\",\"occurred_on\":\"2026-04-01\",\"next_contact_due_on\":\"2026-%02d-%"
			"02d\"," CALL "}\n",
			5 + i / 28, 1 + i % 28);
	record(f, buf_cstr(&lines));
	buf_release(&lines);
	request = show(f, REF_1);
	assert_ok(request->result);
	doc = request->docs->next->next;
	for (int i = 0; i < 50; i++, doc = doc->next) {
		json = doc_json(doc);
		snprintf(due, sizeof(due), "2026-%02d-%02d", 5 + i / 28, 1 + i % 28);
		assert_string_equal(
			json_string_value(json_object_get(json, "next_contact_due_on")), due);
		json_decref(json);
	}
	vault_request_free(request);
}

static void test_relock(void **state)
{
	struct fixture *f = *state;
	char *before, *after;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	record(f, CONTACT_1 OPEN_2 CONTACT_1);
	record(f, CONTACT_1);
	before = book_text(f);
	assert_int_equal(count_lines(before), 2 + 1 + 5);
	for (int i = 0; i < 3; i++) {
		lock(f);
		unlock(f);
		after = book_text(f);
		assert_string_equal(before, after);
		free(after);
	}
	record(f, CONTACT_1 CONTACT_1);
	check_locators_unique(f);
	free(before);
	before = book_text(f);

	/* And by another process, so to say. */
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
	after = book_text(f);
	assert_string_equal(before, after);
	record(f, CONTACT_1);
	check_locators_unique(f);
	free(before);
	free(after);
}

static int compare_locators(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seal_locator));
}

static void locators_of(const struct entries *entries, struct seal_locator *ret)
{
	for (size_t i = 0; i < entries->count; i++)
		assert_ok(seal_entry_locator(entries->entry[i], &ret[i]));
	qsort(ret, entries->count, sizeof(*ret), compare_locators);
}

static void test_abort(void **state)
{
	struct seal_locator first[16], second[16];
	struct fixture *f = *state;
	struct vault_request *request;
	size_t count;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1 CONTACT_1);
	count = request->entries->count;
	assert_int_equal(count, 1 + 2 + 1);
	locators_of(request->entries, first);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);

	request = show(f, "ZZ-ONE");
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	/* The case was never opened: still not to be added to. */
	check_refused(f, CONTACT_1, ERR_NOTFOUND, 1, REF_1);

	request = seal(f, OPEN_1 AGREED_1 CONTACT_1);
	assert_int_equal(request->added, 3);
	assert_int_equal(request->entries->count, count);
	locators_of(request->entries, second);
	assert_memory_equal(first, second, count * sizeof(*first)); /* the same keys and numbers */
	append_commit(f, request);
	check_locators_unique(f);
	lock(f);
	unlock(f);
	free(book_text(f));
}

static void test_again(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1 AGREED_1);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->known, 1);
	append_commit(f, request);
	for (int i = 0; i < 2; i++) {
		request = seal(f, OPEN_1 AGREED_1);
		assert_int_equal(request->added, 0);
		assert_int_equal(request->known, 2);
		assert_null(request->entries);
		vault_request_free(request);
		lock(f);
		unlock(f);
	}
	request = seal(f, OPEN_1 OPEN_2 AGREED_1);
	assert_int_equal(request->added, 1);
	assert_int_equal(request->known, 2);
	append_commit(f, request);
	/* Nothing on its way: no end. */
	assert_int_equal(ask_simple(f, request_new(VAULT_COMMITTED)), ERR_INVALID);
	assert_int_equal(ask_simple(f, request_new(VAULT_ABORTED)), ERR_INVALID);
	request = seal(f, "");
	assert_int_equal(request->added, 0);
	vault_request_free(request);
}

static void test_bad_lines(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_refused(f, OPEN_1 AGREED_1 "{\"type\":\"CONTACT\"\n", ERR_MALFORMED, 3, "");
	check_refused(f, "\n\n{\"type\":\"NOPE\"}", ERR_INVALID, 3, "type");
	check_refused(f, AGREED_1 OPEN_1, ERR_NOTFOUND, 1, REF_1);
	check_refused(f, OPEN_1 "\n{\"type\":\"CONTACT\"}", ERR_INVALID, 3, "case_ref");
	check_refused(f, OPEN_1 "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1 "\"}", ERR_EXISTS,
		2, REF_1);
	check_refused(f, OPEN_1 "{\"type\":\"CASE_OPENED\",\"case_code\":\"zz-one\"}", ERR_EXISTS,
		2, "ZZ-ONE");
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_code\":\"a b\"}", ERR_INVALID, 1, "case_code");
	check_refused(f, "{\"type\":\"CASE_OPENED\",\"case_code\":7}", ERR_INVALID, 1, "case_code");
	check_refused(f,
		OPEN_1 OPEN_2 "{\"type\":\"CONTACT\",\"event_id\":\"" ID_1
			      "\",\"case_ref\":\"" REF_2 "\"}",
		ERR_EXISTS, 3, "event_id");
	check_refused(f,
		OPEN_1 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2
		       "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 2, "corrects");
	/* Nobody has consented: a correction brings no note into the case. */
	check_refused(f,
		OPEN_1 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_1
		       "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_CONSENT, 2, "must not be added");
	check_refused(f,
		OPEN_1
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1
		"\",\"corrects\":4,\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 2, "corrects");
	check_refused(f,
		OPEN_1 OPEN_2 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1
			      "\",\"corrects\":\"" ID_3
			      "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 3, "corrects");
	check_refused(f,
		OPEN_1 "{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\"," CALL ",\"note\":1}",
		ERR_INVALID, 2, "note");
	request = seal_request(OPEN_1, false);
	request->officer[0] = 0;
	assert_int_equal(ask(f, request)->result, ERR_INVALID);
	assert_non_null(strstr(request->ctx.text, "recorded_by"));
	vault_request_free(request);

	/* Nothing of all that happened. */
	request = ask(f, request_new(VAULT_LIST));
	assert_null(request->docs);
	assert_int_equal(request->events, 0);
	vault_request_free(request);

	record(f, OPEN_1 AGREED_1);
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1 "\"}", ERR_EXISTS, 1, REF_1);
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_code\":\"ZZ-One\"}", ERR_EXISTS, 1, "ZZ-ONE");
	check_refused(f,
		OPEN_2 "{\"type\":\"CONTACT\",\"event_id\":\"" ID_1 "\",\"case_ref\":\"" REF_2
		       "\"}",
		ERR_EXISTS, 2, "event_id");
}

static void test_no_country(void **state)
{
	struct fixture *f = *state;

	vault_end(f);
	vault_begin(f, "");
	unlock(f);
	check_refused(f, "{\"type\":\"CASE_OPENED\"}", ERR_INVALID, 1, "office");
	record(f, "{\"type\":\"CASE_OPENED\",\"office\":\"LBN\"}");
}

/* --- questions; the day is 2026-09-21 --- */

#define IN_1(type, day, fields)                                                                    \
	"{\"type\":\"" type "\",\"case_ref\":\"" REF_1 "\",\"occurred_on\":\"" day "\"," fields    \
	"}\n"
#define CONSENT_2 "01890a5d-ac96-774b-bcce-b302099a9002"
#define TO_CLINIC                                                                                  \
	IN_1("CONSENT_RECORDED", "2026-02-04",                                                     \
		"\"event_id\":\"" CONSENT_2 "\",\"purpose\":\"REFERRAL\",\"recipients\":["         \
		"\"ZZ-CLINIC\"],\"groups\":[\"health\",\"services\"],\"given_by\":\"VICTIM\","     \
		"\"form\":\"WRITTEN\",\"valid_until\":\"2026-10-01\"")
#define REFERRAL_1                                                                                 \
	IN_1("REFERRAL_MADE", "2026-02-10",                                                        \
		"\"service_code\":\"MED\",\"to_org\":\"ZZ-CLINIC\",\"shared_groups\":["            \
		"\"health\"],\"reply_due_on\":\"2026-09-11\"")
#define THREAT_1                                                                                   \
	IN_1("PROTECTION_CONCERN", "2026-09-19",                                                   \
		"\"concern_id\":\"P-9\",\"kind\":\"THREAT\",\"level\":\"IMMINENT\"")
#define QUESTIONS                                                                                  \
	OPEN_1 AGREED_1 TO_CLINIC IN_1("PERSON_RECORDED", "2026-02-04",                            \
		"\"person_ref\":\"P-1\",\"role\":\"VICTIM\"") REFERRAL_1 IN_1("CONTACT",           \
		"2026-03-01", CALL ",\"next_contact_due_on\":\"2026-09-20\"") THREAT_1

static json_t *answer_json(struct vault_request *request)
{
	json_t *array = json_array();

	if (request->result != OK)
		fail_msg("%s", err_message(&request->ctx, request->result));
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		json_array_append_new(array, doc_json(doc));
	vault_request_free(request);
	return array;
}

static void hold(struct fixture *f, struct vault_request *request, uint64_t size)
{
	request->held = mem_zalloc(sizeof(*request->held));
	snprintf(request->held->origin, sizeof(request->held->origin), "%s", f->log.origin.text);
	request->held->size = size;
	request->held_count = 1;
}

static void check_text(json_t *doc, const char *name, const char *expected)
{
	const char *text = json_string_value(json_object_get(doc, name));

	if (text == NULL || strcmp(text, expected) != 0)
		fail_msg("%s is '%s', not '%s'", name, text == NULL ? "none" : text, expected);
}

static void check_number(json_t *doc, const char *name, json_int_t expected)
{
	assert_true(json_is_integer(json_object_get(doc, name)));
	if (json_integer_value(json_object_get(doc, name)) != expected)
		fail_msg("%s is %lld", name,
			(long long)json_integer_value(json_object_get(doc, name)));
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *one;

	unlock(f);
	record(f, QUESTIONS OPEN_2);
	for (int i = 0; i < 2; i++) {
		docs = answer_json(ask(f, request_new(VAULT_LIST)));
		assert_int_equal(json_array_size(docs), 2);
		one = json_array_get(docs, 0);
		check_text(one, "code", "ZZ-ONE");
		check_text(one, "lead", "officer one");
		check_number(one, "events", 7);
		check_number(one, "unsynced", 7);
		check_text(one, "next_due_on", "2026-09-11");
		check_text(one, "next_due", "reply");
		check_number(one, "open_referrals", 1);
		check_number(one, "unanswered", 1);
		check_number(one, "imminent_concerns", 1);
		check_number(one, "live_consents", 2);
		assert_false(json_boolean_value(json_object_get(one, "contact_only")));
		assert_true(json_boolean_value(
			json_object_get(json_array_get(docs, 1), "contact_only")));
		json_decref(docs);
		lock(f); /* and the same out of the log */
		unlock(f);
	}
	/* What the quorum holds of it. */
	request = request_new(VAULT_LIST);
	hold(f, request, f->log.compact.size);
	docs = answer_json(ask(f, request));
	check_number(json_array_get(docs, 0), "unsynced", 0);
	json_decref(docs);
	docs = answer_json(show(f, "ZZ-ONE"));
	one = json_array_get(docs, 0);
	check_text(json_object_get(one, "summary"), "next_due", "reply");
	assert_true(json_is_false(json_object_get(json_array_get(docs, 1), "synced")));
	json_decref(docs);
	request = request_new(VAULT_SHOW);
	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	hold(f, request, f->log.compact.size);
	docs = answer_json(ask(f, request));
	assert_int_equal(json_array_size(docs), 8);
	assert_true(json_is_true(json_object_get(json_array_get(docs, 7), "synced")));
	json_decref(docs);
}

static size_t found(struct fixture *f, const struct vault_find *find)
{
	struct vault_request *request = request_new(VAULT_FIND);
	size_t count;

	request->find = *find;
	ask(f, request);
	assert_ok(request->result);
	count = (size_t)request->cases;
	vault_request_free(request);
	return count;
}

static void test_find(void **state)
{
	static const struct {
		struct vault_find find;
		size_t count;
	} all[] = {
		{{.code = ""}, 2},
		{{.code = "zz-"}, 2},
		{{.code = "ZZ-O"}, 1},
		{{.code = "ZZ-ONE-MORE"}, 0},
		{{.officer = "officer one"}, 2},
		{{.officer = "officer"}, 0},
		{{.due_before = "2026-09-11"}, 0},
		{{.due_before = "2026-09-12"}, 1},
		{{.open_referrals = true}, 1},
		{{.open_claims = true}, 0},
		{{.imminent = true}, 1},
		{{.imminent = true, .code = "ZZ-T"}, 0},
		{{.stage = "closed"}, 0},
		{{.stage = "introduction", .code = "ZZ-TWO"}, 1},
	};
	struct fixture *f = *state;

	unlock(f);
	record(f, QUESTIONS OPEN_2);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (found(f, &all[i].find) != all[i].count)
			fail_msg("question %zu: %zu cases", i, found(f, &all[i].find));
	assert_true(vault_stage_valid("follow-up"));
	assert_false(vault_stage_valid("FOLLOW"));
	assert_true(vault_day_valid("2026-02-28"));
	assert_false(vault_day_valid("2026-02-30"));
	assert_false(vault_day_valid("2026-02"));
}

static void check_todo(
	json_t *doc, const char *section, const char *why, const char *since, json_int_t days)
{
	check_text(doc, "section", section);
	check_text(doc, "code", "ZZ-ONE");
	check_text(doc, "why", why);
	check_text(doc, "since", since);
	check_number(doc, "days", days);
}

static void test_today(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *last;

	unlock(f);
	record(f, QUESTIONS);
	request = request_new(VAULT_TODAY);
	hold(f, request, f->log.compact.size - 1);
	request->unheld_since_s = 1790000000;
	docs = answer_json(ask(f, request));
	assert_int_equal(json_array_size(docs), 6);
	check_todo(json_array_get(docs, 0), "imminent_concerns", "P-9", "2026-09-19", 2);
	check_todo(json_array_get(docs, 1), "overdue_contacts", "agreed", "2026-09-20", 1);
	check_todo(json_array_get(docs, 2), "unanswered_referrals", "R-1", "2026-09-11", 10);
	check_todo(json_array_get(docs, 3), "expiring_consents", "REFERRAL", "2026-10-01", 10);
	check_text(json_array_get(docs, 4), "section", "unsynced");
	check_text(json_array_get(docs, 4), "why", "1");
	last = json_array_get(docs, 5);
	check_text(last, "on", "2026-09-21");
	check_number(last, "cases", 1);
	check_number(json_object_get(last, "sections"), "overdue_contacts", 1);
	check_number(json_object_get(last, "unsynced"), "events", 1);
	check_text(json_object_get(last, "unsynced"), "since", "2026-09-21T14:13:20Z");
	json_decref(docs);

	/* Another day: nothing is late yet. */
	request = request_new(VAULT_TODAY);
	hold(f, request, f->log.compact.size);
	snprintf(request->today, sizeof(request->today), "2026-08-01");
	docs = answer_json(ask(f, request));
	last = json_array_get(docs, json_array_size(docs) - 1);
	check_number(json_object_get(last, "sections"), "overdue_contacts", 0);
	check_number(json_object_get(last, "sections"), "unanswered_referrals", 0);
	assert_true(json_is_null(json_object_get(json_object_get(last, "unsynced"), "since")));
	json_decref(docs);
}

static void test_form(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *form, *list;

	unlock(f);
	record(f, QUESTIONS);
	request = request_new(VAULT_FORM);
	snprintf(request->name, sizeof(request->name), "zz-one");
	docs = answer_json(ask(f, request));
	form = json_array_get(docs, 0);
	check_text(form, "case_ref", REF_1);
	list = json_object_get(form, "consents");
	assert_int_equal(json_array_size(list), 2);
	check_text(json_array_get(list, 1), "id", "C-2");
	check_text(json_array_get(list, 1), "event_id", CONSENT_2);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "groups")), 2);
	list = json_object_get(form, "referrals");
	assert_int_equal(json_array_size(list), 1);
	check_text(json_array_get(list, 0), "status", "MADE");
	check_text(json_array_get(list, 0), "what", "MED");
	check_text(json_object_get(form, "next_ids"), "C", "C-3");
	check_text(json_object_get(form, "next_ids"), "R", "R-2");
	json_decref(docs);
	request = request_new(VAULT_FORM);
	snprintf(request->name, sizeof(request->name), "ZZ-NONE");
	assert_int_equal(ask_simple(f, request), ERR_NOTFOUND);
}

/* A commit that fails takes the states of its cases back, and those of all behind it. */
static void test_states_taken_back(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *second;
	struct vault_find imminent = {.imminent = true}, referral = {.open_referrals = true};

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_CLINIC);
	first = seal(f, THREAT_1);
	second = seal(f, REFERRAL_1);
	assert_int_equal(found(f, &imminent), 1);
	assert_int_equal(found(f, &referral), 1);
	end_batch(f, VAULT_ABORTED, first->batch, 0);
	assert_int_equal(found(f, &imminent), 0);
	assert_int_equal(found(f, &referral), 0);
	end_batch(f, VAULT_ABORTED, second->batch, 0);
	vault_request_free(first);
	vault_request_free(second);
	record(f, THREAT_1);
	assert_int_equal(found(f, &imminent), 1);
}

/* An event that was recorded before those that are known moves nothing back, and one behind a batch
 * on its way waits for that one's end. */
static void test_late_event(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *late;
	struct vault_find imminent = {.imminent = true};

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	first = seal(f, THREAT_1);
	late = submit(f, seal_request(IN_1("CONTACT", "2026-09-18",
					      "\"recorded_at\":\"2026-09-18T10:00:00Z\"," CALL),
				 false));
	assert_int_equal(found(f, &imminent), 1); /* others pass it */
	collect(f);
	assert_null(find_done(f, late));
	append_commit(f, first);
	wait_for(f, late);
	assert_ok(late->result);
	append_commit(f, late);
	assert_int_equal(found(f, &imminent), 1);
	lock(f);
	unlock(f);
	assert_int_equal(found(f, &imminent), 1);
}

#define CORRECTION_1                                                                               \
	"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2                 \
	"\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}\n"

static struct vault_request *trial_request(uint64_t client, uint64_t number, const char *lines)
{
	struct vault_request *request = seal_request(lines, true);

	request->client = client;
	request->trial = number;
	return request;
}

static void check_trial(struct fixture *f, uint64_t client, uint64_t number, const char *lines,
	enum err expected, uint64_t added)
{
	struct vault_request *request = ask(f, trial_request(client, number, lines));

	if (request->result != expected)
		fail_msg("'%s': %s", lines, err_message(&request->ctx, request->result));
	if (expected == OK)
		assert_int_equal(request->added, added);
	assert_null(request->entries);
	vault_request_free(request);
}

static void end_trials(struct fixture *f, uint64_t client, uint64_t number)
{
	struct vault_request *request = request_new(VAULT_TRIAL_END);

	request->client = client;
	request->trial = number;
	assert_ok(ask_simple(f, request));
}

/* Later lines see what earlier ones of the same trial would have done, and nobody else does. */
static void test_trial(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_trial(f, 1, 7, OPEN_1, OK, 1);
	check_trial(f, 1, 7, AGREED_1, OK, 1);
	check_trial(f, 1, 7, CORRECTION_1, OK, 1);
	check_trial(f, 1, 7, OPEN_1 AGREED_1, OK, 0); /* known */
	check_trial(f, 1, 7, "{\"type\":\"CONTACT\",\"case\":\"zz-one\"," CALL "}", OK, 1);
	check_trial(f, 1, 8, AGREED_1, ERR_NOTFOUND, 0);
	check_trial(f, 2, 7, AGREED_1, ERR_NOTFOUND, 0);
	check_refused(f, AGREED_1, ERR_NOTFOUND, 1, REF_1);
	/* Another case of that code, by a later request: the line is named, and the trial ends. */
	request = ask(f, trial_request(1, 7,
				 CONTACT_1 "{\"type\":\"CASE_OPENED\",\"case_code\":\"ZZ-ONE\"}"));
	assert_int_equal(request->result, ERR_EXISTS);
	assert_int_equal(request->line, 2);
	vault_request_free(request);
	check_trial(f, 1, 7, AGREED_1, ERR_NOTFOUND, 0);

	/* Its end, by word, by connection, by lock. */
	check_trial(f, 1, 9, OPEN_1, OK, 1);
	request = trial_request(1, 9, AGREED_1);
	request->trial_end = true;
	assert_ok(ask_simple(f, request));
	check_trial(f, 1, 9, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 9, OPEN_1, OK, 1);
	check_trial(f, 1, 10, OPEN_1, OK, 1);
	end_trials(f, 2, 0);
	check_trial(f, 1, 9, CONTACT_1, OK, 1);
	end_trials(f, 1, 9);
	check_trial(f, 1, 9, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 10, CONTACT_1, OK, 1);
	end_trials(f, 1, 0);
	check_trial(f, 1, 10, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 11, OPEN_1, OK, 1);
	lock(f);
	unlock(f);
	check_trial(f, 1, 11, CONTACT_1, ERR_NOTFOUND, 0);
	/* Nothing of all that was recorded. */
	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->cases, 0);
	vault_request_free(request);
}

static void test_trial_bounds(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	for (uint64_t i = 0; i < LIMIT_TRIALS; i++)
		check_trial(f, i, 1, OPEN_1, OK, 1);
	check_trial(f, LIMIT_TRIALS, 1, OPEN_1, ERR_LIMIT, 0);
	end_trials(f, 0, 1);
	check_trial(f, LIMIT_TRIALS, 1, OPEN_1, OK, 1);
	/* Nothing was heard of them for a while: at the limit, and past it. */
	request = trial_request(1, 1, CONTACT_1);
	request->now_ms += LIMIT_TRIAL_IDLE_MS - 1000;
	assert_ok(ask_simple(f, request));
	request = trial_request(9, 1, OPEN_1);
	request->now_ms += LIMIT_TRIAL_IDLE_MS + 60000;
	assert_ok(ask_simple(f, request)); /* there is room again */
	check_trial(f, 2, 1, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 1, CONTACT_1, OK, 1);
}

/* What a correction says stands beside the event, which says what it said. */
static void test_show_changes(void **state)
{
	struct fixture *f = *state;
	json_t *docs, *event, *change;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CORRECTION_1);
	docs = answer_json(show(f, "ZZ-ONE"));
	event = json_array_get(docs, 2);
	check_text(event, "note", "quillfeather");
	change = json_array_get(json_object_get(event, "changes"), 0);
	check_text(change, "field", "note");
	check_text(change, "old", "quillfeather");
	check_text(change, "new", "x");
	assert_null(json_object_get(json_array_get(docs, 1), "changes"));
	json_decref(docs);
}

/* A trial keeps the parts of so many bytes: of a case that it no longer can fold anew it refuses
 * nothing for what the case would say. */
static void test_trial_thins(void **state)
{
	enum { NOTE = 16000, EVENTS = 60, REQUESTS = LIMIT_TRIAL_BYTES / (EVENTS * NOTE) + 1 };
	struct fixture *f = *state;
	struct vault_request *request;
	char note[NOTE + 1];

	memset(note, 'x', NOTE);
	note[NOTE] = '\0';
	unlock(f);
	check_trial(f, 1, 1, OPEN_1 AGREED_1, OK, 2);
	check_trial(f, 1, 1,
		OPEN_2
		"{\"type\":\"CONSENT_RECORDED\",\"case\":\"ZZ-TWO\",\"purpose\":\"CASE_MGMT\","
		"\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\",\"valid_until\":"
		"\"2027-01-01\"}\n",
		OK, 2);
	for (int n = 0; n < REQUESTS; n++) {
		request = trial_request(1, 1, "");
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case\":\"ZZ-TWO\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		assert_ok(ask_simple(f, request));
	}
	/* Those of the last lines are kept, corrected and judged; the other is taken on trust. */
	request = ask(
		f, trial_request(1, 1, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\"")));
	assert_int_equal(request->result, ERR_INVALID); /* nothing was missed so far */
	vault_request_free(request);
	check_trial(f, 1, 1, OPEN_1 AGREED_1, OK, 2); /* that ended it: another begins */
	for (int n = 0; n < REQUESTS; n++) {
		request = trial_request(1, 1, n == 0 ? OPEN_2 : "");
		if (n == 0)
			buf_put_str(&request->lines,
				"{\"type\":\"CONSENT_RECORDED\",\"case\":\"ZZ-TWO\",\"purpose\":"
				"\"CASE_MGMT\",\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\","
				"\"valid_until\":\"2027-01-01\"}\n");
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case\":\"ZZ-TWO\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		assert_ok(ask_simple(f, request));
	}
	check_trial(f, 1, 1, CORRECTION_1, OK, 1);
	check_trial(f, 1, 1, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""), OK, 1);
	end_trials(f, 1, 1);
}

/* The cap of a case shows in the trial, over several requests, before anything is recorded. */
static void test_trial_case_cap(void **state)
{
	static const char line[] = "{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_trial(f, 1, 1, OPEN_1, OK, 1);
	for (int k = 0; k < 3; k++) {
		request = trial_request(1, 1, "");
		for (int i = 0; i < (k == 0 ? LIMIT_CASE_EVENTS - 2 : 1); i++)
			buf_put_str(&request->lines, line);
		ask(f, request);
		assert_int_equal(request->result, k < 2 ? OK : ERR_LIMIT);
		assert_int_equal(request->line, k < 2 ? 0 : 1);
		vault_request_free(request);
	}
}

/* Schema and rules: the line is named, the field and what is possible, and nothing is recorded. */
static void test_rules(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_refused(f, OPEN_1 IN_1("CONTACT", "2026-02-05", CALL ",\"topics\":[\"WEATHER\"]"),
		ERR_INVALID, 2, "topics");
	check_refused(f, OPEN_1 IN_1("CONTACT", "2026-02-05", CALL ",\"weather\":\"rain\""),
		ERR_INVALID, 2, "weather");
	check_refused(f, OPEN_1 REFERRAL_1, ERR_CONSENT, 2, "REFERRAL");
	check_refused(f, OPEN_1 THREAT_1, ERR_CONSENT, 2, "CASE_MGMT");
	check_refused(f, OPEN_1 AGREED_1 REFERRAL_1, ERR_CONSENT, 3, "REFERRAL");
	/* What lines before it in the request do counts, and what is on its way. */
	request = seal(f, OPEN_1 AGREED_1 TO_CLINIC);
	check_refused(f, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""), ERR_INVALID, 1,
		"referral");
	append_commit(f, request);
	record(f, REFERRAL_1 IN_1("REFERRAL_ANSWERED", "2026-02-12", "\"answer\":\"ACCEPTED\"")
			  IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""));
	check_refused(f,
		IN_1("REFERRAL_ANSWERED", "2026-03-02",
			"\"referral_id\":\"R-1\",\"answer\":\"PARTIAL\""),
		ERR_INVALID, 1, "R-1");
	/* What the node fills in is there. */
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 6);
	json_t *event = doc_json(request->docs->next->next->next->next);

	check_text(event, "type", "REFERRAL_MADE");
	check_text(event, "referral_id", "R-1");
	check_text(event, "consent_ref", CONSENT_2);
	assert_int_equal(json_array_size(json_object_get(event, "parents")), 1);
	json_decref(event);
	vault_request_free(request);
}

static struct vault_request *as(struct vault_request *request, const char *officer, uint32_t roles)
{
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	request->roles = roles;
	return request;
}

static struct vault_request *named(enum vault_type type, const char *name)
{
	struct vault_request *request = request_new(type);

	snprintf(request->name, sizeof(request->name), "%s", name);
	return request;
}

static size_t cases_of(struct fixture *f, enum vault_type type, const char *officer, uint32_t roles)
{
	struct vault_request *request = ask(f, as(request_new(type), officer, roles));
	size_t count = (size_t)request->cases;

	assert_ok(request->result);
	vault_request_free(request);
	return count;
}

/* An officer sees the cases that are theirs, a supervisor all of them, anybody else none. */
static void test_who_sees_what(void **state)
{
	static const enum vault_type lists[] = {VAULT_LIST, VAULT_FIND, VAULT_TODAY};
	static const enum vault_type ones[] = {VAULT_SHOW, VAULT_FORM};
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	append_commit(f, ask(f, as(seal_request(OPEN_1, false), "marie", ACCOUNT_OFFICER)));
	append_commit(f, ask(f, as(seal_request(OPEN_2, false), "jean", ACCOUNT_OFFICER)));
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		assert_int_equal(cases_of(f, lists[i], "marie", ACCOUNT_OFFICER), 1);
		assert_int_equal(cases_of(f, lists[i], "jean", ACCOUNT_OFFICER), 1);
		assert_int_equal(cases_of(f, lists[i], "paul", ACCOUNT_OFFICER), 0);
		assert_int_equal(cases_of(f, lists[i], "paul", ACCOUNT_SUPERVISOR), 2);
		assert_int_equal(cases_of(f, lists[i], "marie", ACCOUNT_OPERATOR), 0);
		assert_int_equal(cases_of(f, lists[i], "marie", 0), 0);
	}
	for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
		request = as(named(ones[i], "ZZ-ONE"), "marie", ACCOUNT_OFFICER);
		assert_ok(ask_simple(f, request));
		request = ask(f, as(named(ones[i], "ZZ-TWO"), "marie", ACCOUNT_OFFICER));
		assert_int_equal(request->result, ERR_NOTFOUND);
		assert_string_equal(request->ctx.text, "no case 'ZZ-TWO' is known here");
		assert_null(request->docs);
		vault_request_free(request);
	}
	/* The same words as for a case that is not there. */
	request = ask(f, as(seal_request(CONTACT_1, false), "jean", ACCOUNT_OFFICER));
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_string_equal(request->ctx.text, "case_ref: no case " REF_1 " is known here");
	vault_request_free(request);
	request =
		ask(f, as(seal_request("{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}", true),
			       "jean", ACCOUNT_OFFICER));
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_string_equal(request->ctx.text, "case: no case ZZ-ONE is known here");
	vault_request_free(request);
	/* Who is assigned sees it, and the lead of before does not. */
	record(f, IN_1("OFFICER_ASSIGNED", "2026-02-06",
			  "\"officer_key\":\"jean\",\"role\":\"LEAD\",\"from\":\"2026-02-06\""));
	assert_int_equal(cases_of(f, VAULT_LIST, "jean", ACCOUNT_OFFICER), 2);
	assert_int_equal(cases_of(f, VAULT_LIST, "marie", ACCOUNT_OFFICER), 0);
}

static void test_dry_run(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct stat before, after;
	char path[320];

	unlock(f);
	snprintf(path, sizeof(path), "%s/data.mdb", f->keyring);
	assert_int_equal(stat(path, &before), 0);
	request = ask(f, seal_request(OPEN_1 AGREED_1 AGREED_1, true));
	assert_ok(request->result);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->known, 1);
	assert_null(request->entries);
	vault_request_free(request);
	/* What is tried alone is forgotten at once. */
	request = ask(f, seal_request(AGREED_1, true));
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	request = ask(f, seal_request(OPEN_1 "{}", true));
	assert_int_equal(request->result, ERR_INVALID);
	assert_int_equal(request->line, 2);
	vault_request_free(request);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	check_refused(f, AGREED_1, ERR_NOTFOUND, 1, REF_1); /* nothing was kept of it */
}

static void test_correction(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2
		"\",\"field\":\"note\",\"new_value\":\"M\",\"reason\":\"ERROR\"}");
	assert_int_equal(request->entries->count, 1 + 2 + 1);
	append_commit(f, request);
	lock(f);
	unlock(f);
	request = seal(f,
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_1
		"\",\"field\":\"intake_channel\",\"new_value\":\"PHONE\",\"reason\":\"ERROR\"}");
	append_commit(f, request);
	request = show(f, "zz-one");
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

/* Waves: what is asked for while a batch is on its way goes out too, until one has ended. */
static void test_wave(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *second, *third, *fourth, *known;
	uint64_t index;

	unlock(f);
	record(f, OPEN_1);
	first = seal(f, OPEN_2);
	second = seal(f, AGREED_1);
	assert_int_equal(first->wave, second->wave);
	assert_int_not_equal(first->batch, second->batch);
	/* All of it is known, and none of it durable: the answer waits. */
	known = submit(f, seal_request(OPEN_2 AGREED_1, false));
	/* All others pass. */
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_ok(ask_simple(f, seal_request(AGREED_1, true)));
	assert_ok(ask_simple(f, unlock_request(PASSPHRASE)));
	third = seal(f, AGREED_1 CONTACT_1); /* one known, one new: behind the others */
	assert_int_equal(third->known, 1);
	assert_int_equal(third->added, 1);
	index = append(f, first->entries->entry, first->entries->count);
	end_batch(f, VAULT_COMMITTED, first->batch, index);
	fourth = submit(f, seal_request(CONTACT_1, false));
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, fourth));
	assert_null(find_done(f, known));
	append_commit(f, second);
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, known));
	append_commit(f, third);
	wait_for(f, known);
	assert_ok(known->result);
	assert_int_equal(known->known, 2);
	wait_for(f, fourth);
	assert_ok(fourth->result);
	assert_int_not_equal(fourth->wave, first->wave);
	append_commit(f, fourth);
	vault_request_free(first);
	vault_request_free(known);
	check_locators_unique(f);
}

static void test_wave_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed[VAULT_WAVE_MAX], *more;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < VAULT_WAVE_MAX; i++)
		sealed[i] = seal(f, CONTACT_1);
	more = submit(f, seal_request(CONTACT_1, false));
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, more));
	for (size_t i = 0; i < VAULT_WAVE_MAX; i++)
		append_commit(f, sealed[i]);
	wait_for(f, more);
	append_commit(f, more);
	check_locators_unique(f);
}

/* Ends in any order, as a lock or a fork makes them: each aborted one takes those behind it along.
 */
static void test_wave_fails(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed[3], *request;
	char *text;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < 3; i++)
		sealed[i] = seal(f, CONTACT_1);
	/* The first is being written while the others are refused. */
	end_batch(f, VAULT_ABORTED, sealed[1]->batch, 0);
	end_batch(f, VAULT_ABORTED, sealed[2]->batch, 0);
	append_commit(f, sealed[0]);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 2);
	vault_request_free(request);
	vault_request_free(sealed[1]);
	vault_request_free(sealed[2]);

	for (size_t i = 0; i < 3; i++)
		sealed[i] = seal(f, CONTACT_1);
	for (size_t i = 0; i < 3; i++) {
		end_batch(f, VAULT_ABORTED, sealed[i]->batch, 0);
		vault_request_free(sealed[i]);
	}
	/* One that cannot be sealed leaves those before it alone. */
	sealed[0] = seal(f, CONTACT_1);
	check_refused(f, OPEN_2 OPEN_2 "{\"type\":\"CONTACT\"}", ERR_INVALID, 3, "case_ref");
	sealed[1] = seal(f, OPEN_2);
	append_commit(f, sealed[0]);
	append_commit(f, sealed[1]);
	record(f, CONTACT_1);
	check_locators_unique(f);
	text = book_text(f);
	lock(f);
	unlock(f);
	free(text);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

/* Locked while a batch is on its way; then unlocked, before its end is known. */
static void lock_under_way(struct fixture *f, bool commit)
{
	struct vault_request *sealed = seal(f, CONTACT_1), *behind = seal(f, CONTACT_1);
	struct vault_request *opened, *list;
	struct entries *entries = entries_ref(sealed->entries);
	uint64_t index = 0;

	/* What waits in the engine is refused at once. */
	end_batch(f, VAULT_ABORTED, behind->batch, 0);
	vault_request_free(behind);
	lock(f);
	assert_int_equal(ask_simple(f, seal_request(CONTACT_1, false)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
	opened = submit(f, unlock_request(PASSPHRASE));
	list = submit(f, request_new(VAULT_LIST));
	if (commit)
		index = append(f, entries->entry, entries->count);
	collect(f);
	assert_null(find_done(f, opened));
	assert_null(find_done(f, list));
	end_batch(f, commit ? VAULT_COMMITTED : VAULT_ABORTED, sealed->batch, index);
	vault_request_free(sealed);
	wait_for(f, opened);
	assert_ok(opened->result);
	assert_non_null(opened->keys);
	vault_request_free(opened);
	wait_for(f, list);
	assert_ok(list->result);
	vault_request_free(list);
	entries_unref(entries);
}

static void test_lock_under_way(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1);
	lock_under_way(f, true);
	lock_under_way(f, false);
	record(f, CONTACT_1);
	check_locators_unique(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 3);
	vault_request_free(request);
}

/* What was submitted before it ends at once, also what waits for the end of a batch. */
static void test_lock_now(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed, *waiting[3], *now, *again;
	struct entries *entries;
	uint64_t index;

	unlock(f);
	record(f, OPEN_1);
	sealed = seal(f, CONTACT_1);
	entries = sealed->entries;
	sealed->entries = NULL;
	lock(f);
	waiting[0] = submit(f, unlock_request(PASSPHRASE)); /* until the batch has ended */
	waiting[1] = submit(f, request_new(VAULT_LIST));
	waiting[2] = submit(f, seal_request(OPEN_2, false));
	now = request_new(VAULT_LOCK);
	vault_lock_now(f->vault, now);
	again = submit(f, unlock_request(PASSPHRASE)); /* after it: not overtaken */
	for (size_t i = 0; i < 3; i++) {
		wait_for(f, waiting[i]);
		assert_int_equal(waiting[i]->result, ERR_LOCKED);
		assert_non_null(strstr(waiting[i]->ctx.text, "locked meanwhile"));
		assert_null(waiting[i]->passphrase.data);
		assert_null(waiting[i]->keys);
		assert_null(waiting[i]->docs);
		assert_int_equal(waiting[i]->lines.size, 0);
		vault_request_free(waiting[i]);
	}
	wait_for(f, now);
	assert_ok(now->result);
	vault_request_free(now);
	index = append(f, entries->entry, entries->count);
	end_batch(f, VAULT_COMMITTED, sealed->batch, index);
	vault_request_free(sealed);
	entries_unref(entries);
	wait_for(f, again);
	assert_ok(again->result);
	assert_int_equal(again->events, 2);
	vault_request_free(again);
}

/* Answers that nobody was told yet are dropped; entries on their way are not. */
static void test_overtake(void **state)
{
	struct fixture *f = *state;
	struct vault_request *opened, *shown, *sealed, *now;

	opened = ask(f, unlock_request(PASSPHRASE));
	assert_non_null(opened->keys);
	record(f, OPEN_1);
	shown = show(f, REF_1);
	assert_non_null(shown->docs);
	sealed = seal(f, CONTACT_1);
	vault_overtake(f->vault, shown); /* nothing has */
	assert_ok(shown->result);
	now = request_new(VAULT_LOCK);
	vault_lock_now(f->vault, now);
	wait_for(f, now);
	vault_overtake(f->vault, now);
	assert_ok(now->result);
	vault_request_free(now);
	vault_overtake(f->vault, opened);
	vault_overtake(f->vault, shown);
	vault_overtake(f->vault, sealed);
	assert_int_equal(opened->result, ERR_LOCKED);
	assert_null(opened->keys);
	assert_int_equal(shown->result, ERR_LOCKED);
	assert_null(shown->docs);
	assert_ok(sealed->result);
	assert_non_null(sealed->entries);
	end_batch(f, VAULT_ABORTED, sealed->batch, 0);
	vault_request_free(opened);
	vault_request_free(shown);
	vault_request_free(sealed);
	unlock(f);
	record(f, CONTACT_1);
	check_locators_unique(f);
}

/* Long work ends in the middle, whenever that is; what comes after the next unlock is as if it had
 * never begun, or as if it had ended. */
static void test_lock_now_under_way(void **state)
{
	struct fixture *f = *state;
	struct vault_request *work, *now;
	struct buf lines;
	unsigned given_up = 0;

	buf_init(&lines, LIMIT_CONTROL_REQUEST);
	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < 4000; i++)
		buf_put_str(&lines, CONTACT_1);
	for (int round = 0; round < 12; round++) {
		work = submit(f, seal_request(buf_cstr(&lines), false));
		usleep((useconds_t)(1000 * round * round));
		now = request_new(VAULT_LOCK);
		vault_lock_now(f->vault, now);
		wait_for(f, now);
		assert_ok(now->result);
		vault_request_free(now);
		wait_for(f, work);
		given_up += work->result == ERR_LOCKED;
		if (work->result == OK)
			end_batch(f, VAULT_ABORTED, work->batch, 0);
		else
			assert_int_equal(work->result, ERR_LOCKED);
		vault_request_free(work);
		unlock(f);
	}
	assert_true(given_up > 0);
	record(f, CONTACT_1);
	check_locators_unique(f);
	work = show(f, REF_1);
	assert_int_equal(work->events, 2);
	vault_request_free(work);
	buf_release(&lines);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed, *queued, *late;

	unlock(f);
	sealed = seal(f, OPEN_1);
	queued = submit(f, request_new(VAULT_RESEAL)); /* waits for the end of what is sealed */
	vault_stop(f->vault);
	late = submit(f, request_new(VAULT_LIST));
	collect(f);
	assert_non_null(find_done(f, queued));
	assert_int_equal(queued->result, ERR_CANCELED);
	assert_int_equal(queued->lines.size, 0);
	assert_non_null(find_done(f, late));
	assert_int_equal(late->result, ERR_CANCELED);
	vault_request_free(sealed);
	vault_request_free(queued);
	vault_request_free(late);
	vault_stop(f->vault); /* again: fine */
}

/* A damaged entry is left out of what is shown, and its number is not used again. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct bytes damaged;
	uint8_t *copy;

	unlock(f);
	record(f, OPEN_1);
	request = seal(f, CONTACT_1);
	assert_int_equal(request->entries->count, 1);
	damaged = request->entries->entry[0];
	copy = malloc(damaged.size);
	memcpy(copy, damaged.data, damaged.size);
	copy[damaged.size - 1] ^= 1; /* of the sealed body */
	damaged.data = copy;
	end_batch(f, VAULT_COMMITTED, request->batch, append(f, &damaged, 1));
	vault_request_free(request);
	free(copy);
	for (int i = 0; i < 2; i++) {
		json_t *json;

		request = show(f, REF_1);
		assert_ok(request->result);
		assert_int_equal(request->events, 1);
		json = doc_json(request->docs);
		assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 1 - i);
		json_decref(json);
		vault_request_free(request);
		lock(f);
		unlock(f);
	}
	record(f, CONTACT_1);
	check_locators_unique(f);
	lock(f);
	unlock(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 2);
	vault_request_free(request);
}

/* A new epoch: the old log is read, the new one is written, each with its own numbers. */
static void test_new_epoch(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct tlog old = f->log;
	char *before, *after;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	old = f->log;
	lock(f);
	tlog_init(&f->log, 2);
	keystore_write(f, f->log.origin.text);
	unlock(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 2);
	vault_request_free(request);
	record(f, CONTACT_1 OPEN_2);
	record(f, CONTACT_1);
	check_locators_unique(f);
	before = book_text(f);
	lock(f);
	unlock(f);
	after = book_text(f);
	assert_string_equal(before, after);
	free(before);
	free(after);
	tlog_release(&old);
}

/* --- a log that is never signed again --- */

/* Vault and writer under a guard, as after a start. */
static struct guard *guarded(struct fixture *f, enum guard_verdict expected)
{
	char path[300];
	struct guard_opts opts = {.path = path, .network = NETWORK, .node = NODE, .directory = ""};
	struct errctx ctx = {""}, why = {""};
	enum guard_verdict verdict = GUARD_NEW;
	struct guard *guard;

	snprintf(path, sizeof(path), "%s/guard", f->bench->place.directory);
	if (guard_open(&opts, &guard, &ctx) != OK ||
		guard_check(guard, f->bench->store, &verdict, &why, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(verdict, expected);
	bench_writer(f->bench, guard);
	vault_end(f);
	vault_begin_guarded(f, "HTI", guard);
	return guard;
}

static void unguarded(struct fixture *f, struct guard *guard)
{
	vault_end(f);
	vault_begin(f, "HTI");
	bench_writer(f->bench, NULL);
	guard_close(guard);
}

static struct vault_request *renew(struct fixture *f)
{
	struct vault_request *request = unlock_request(PASSPHRASE);

	request->renew = true;
	ask(f, request);
	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	return request;
}

static struct vault_request *reseal(struct fixture *f)
{
	struct vault_request *request = ask(f, request_new(VAULT_RESEAL));

	assert_ok(request->result);
	return request;
}

static void test_renew(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old = f->log;
	struct guard_record now;
	char *before, *after;
	size_t parts;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	record(f, CONTACT_1);
	before = book_text(f);
	old = f->log;
	parts = (size_t)old.compact.size;
	lock(f);

	request = renew(f);
	assert_string_equal(request->keys->previous_origin, old.origin.text);
	assert_string_not_equal(request->keys->log_origin, old.origin.text);
	assert_int_equal(request->cases, 1);
	assert_true(guard_opens(guard, request->keys->log_origin));
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);

	/* Whoever is interrupted here goes on with the same log and the same key. */
	lock(f);
	request = renew(f);
	assert_string_equal(request->keys->log_origin, f->log.origin.text);
	assert_string_equal(request->keys->previous_origin, old.origin.text);
	vault_request_free(request);

	/* A commit that fails changes nothing; then all of it, once. */
	request = reseal(f);
	assert_int_equal(request->entries->count, parts);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);
	request = reseal(f);
	assert_int_equal(request->added, parts);
	append_commit(f, request);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	check_locators_unique(f);
	after = book_text(f);
	assert_string_equal(before, after);
	free(after);
	guard_get(guard, &now);
	assert_string_equal(guard_record_own(&now)->origin.text, f->log.origin.text);

	/* Another unlock finds all of it in both logs, and nothing to do. */
	lock(f);
	unlock(f);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	after = book_text(f);
	assert_string_equal(before, after);
	free(after);
	record(f, OPEN_2);
	check_locators_unique(f);
	free(before);
	unguarded(f, guard);
	tlog_release(&old);
}

/* What a mirror is known to hold is not sealed again; a cosignature over something else is none. */
static void test_reseal_what_nobody_holds(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old;
	size_t held, parts;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	held = (size_t)f->log.compact.size;
	record(f, CONTACT_1);
	parts = (size_t)f->log.compact.size;
	cosign(f, "hq", held, &f->log.roots[held]);
	cosign(f, "congo", parts, &f->log.roots[held]);
	cosign(f, NODE, parts, &f->log.roots[parts]);
	old = f->log;
	lock(f);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	request = reseal(f);
	assert_int_equal(request->added, parts - held);
	append_commit(f, request);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	unguarded(f, guard);
	tlog_release(&old);
}

/* A keystore of before: its log's key is lost, a third log takes the place of the second. */
static void test_older_keystore(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	char first[LIMIT_ORIGIN + 1], copy[400], command[1000];
	struct vault_request *request;
	struct tlog old;

	unlock(f);
	record(f, OPEN_1);
	record(f, AGREED_1);
	old = f->log;
	strcpy(first, f->log.origin.text);
	lock(f);
	snprintf(copy, sizeof(copy), "%s.copy", f->keystore);
	snprintf(command, sizeof(command), "cp -p %s %s", f->keystore, copy);
	assert_int_equal(system(command), 0);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	append_commit(f, reseal(f));
	lock(f);
	assert_int_equal(rename(copy, f->keystore), 0);
	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_string_equal(request->keys->previous_origin, f->log.origin.text);
	assert_string_not_equal(request->keys->log_origin, f->log.origin.text);
	assert_string_not_equal(request->keys->log_origin, first);
	assert_non_null(strstr(request->keys->log_origin, "/3-"));
	vault_request_free(request);
	unguarded(f, guard);
	tlog_release(&old);
}

/* --- nothing in clear on the disk --- */

static const char *needle;
static size_t needles_found, files_looked_at;

static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char *data;
	FILE *file;

	if (type != FTW_F || st->st_size == 0)
		return 0;
	file = fopen(path, "r");
	data = malloc((size_t)st->st_size);
	assert_non_null(file);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)st->st_size, file), st->st_size);
	fclose(file);
	needles_found += memmem(data, (size_t)st->st_size, needle, strlen(needle)) != NULL;
	files_looked_at++;
	free(data);
	return 0;
}

static size_t find_on_disk(struct fixture *f, const char *text)
{
	needle = text;
	needles_found = files_looked_at = 0;
	assert_int_equal(nftw(f->bench->place.directory, look, 16, FTW_PHYS), 0);
	assert_true(files_looked_at >= 3); /* store, keyring, keystore */
	return needles_found;
}

static void test_no_plaintext(void **state)
{
	static const char *const words[] = {"Marisolwenda", "quillfeather", "ZZ-ONE", "witness",
		"PHONE", "officer one", "2026-02-0", "case_code", "CASE_MGMT"};
	struct fixture *f = *state;
	char text[CASE_REF_SIZE + 1] = "";
	struct case_ref ref;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1);
	free(book_text(f));
	lock(f);
	unlock(f);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (find_on_disk(f, words[i]) != 0)
			fail_msg("'%s' stands on the disk", words[i]);
	assert_ok(case_ref_parse(bytes_str(REF_1), &ref));
	memcpy(text, ref.b + 1, CASE_REF_SIZE - 1); /* the first byte is zero */
	assert_int_equal(find_on_disk(f, text), 0);
	assert_int_equal(find_on_disk(f, f->log.origin.text), 1); /* the search does find */
}

/* --- limits and failures --- */

static void test_caps(void **state)
{
	static const char line[] = "{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	/* The request's size: at the cap and past it. */
	request = seal_request(OPEN_1, true);
	while (request->lines.size < LIMIT_CONTROL_REQUEST)
		buf_put_u8(&request->lines, ' ');
	assert_ok(ask_simple(f, request));
	request = seal_request(OPEN_1, true);
	while (request->lines.size < LIMIT_CONTROL_REQUEST)
		buf_put_u8(&request->lines, ' ');
	buf_put_u8(&request->lines, ' ');
	assert_int_equal(ask_simple(f, request), ERR_LIMIT);

	/* The events of a case. */
	record(f, OPEN_1);
	request = seal_request("", false);
	for (int i = 0; i < LIMIT_CASE_EVENTS; i++)
		buf_put_str(&request->lines, line);
	assert_ok(request->lines.err);
	ask(f, request);
	assert_int_equal(request->result, ERR_LIMIT);
	assert_int_equal(request->line, LIMIT_CASE_EVENTS);
	vault_request_free(request);
	request = seal_request("", false);
	for (int i = 0; i < LIMIT_CASE_EVENTS - 1; i++)
		buf_put_str(&request->lines, line);
	ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->added, LIMIT_CASE_EVENTS - 1);
	append_commit(f, request);
	check_refused(f, line, ERR_LIMIT, 1, "events");
	lock(f);
	unlock(f);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, LIMIT_CASE_EVENTS);
	vault_request_free(request);
}

/* Memory runs out at every point of an unlock and of a seal: an error, and nothing half-done. */
static void test_torture(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	lock(f);
	for (size_t n = 0; err != OK; n++) {
		request = unlock_request(PASSPHRASE);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err == OK)
			assert_non_null(request->keys);
		else
			assert_null(request->keys);
		vault_request_free(request);
		assert_true(n < 100000);
	}
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = seal_request(CONTACT_1 OPEN_2, false);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err == OK) {
			assert_int_equal(request->added, 2);
			append_commit(f, request);
			break;
		}
		assert_null(request->entries);
		vault_request_free(request);
		assert_true(n < 100000);
	}
	check_locators_unique(f);
	lock(f);
	unlock(f);
	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

static void test_torture_show(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_SHOW);
		snprintf(request->name, sizeof(request->name), REF_1);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK)
			assert_null(request->docs);
		else
			assert_int_equal(request->events, 2);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

/* --- the ledger --- */

#define EXPORT                                                                                     \
	"{\"type\":\"EXPORT_MADE\",\"who\":\"officer one\",\"format\":\"CSV\",\"case_count\":1,"   \
	"\"groups\":[\"core\"],\"purpose\":\"lorem\","                                             \
	"\"file_hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"

static struct vault_request *ledger_request(const char *lines)
{
	struct vault_request *request = request_new(VAULT_LEDGER);

	buf_put_str(&request->lines, lines);
	return request;
}

static void ledger_write(struct fixture *f, const char *lines)
{
	struct vault_request *request = ask(f, ledger_request(lines));

	if (request->result != OK)
		fail_msg("ledger: %s", err_message(&request->ctx, request->result));
	append_commit(f, request);
}

static json_t *ledger_events(struct fixture *f, bool with_views, uint64_t since_s)
{
	struct vault_request *request = request_new(VAULT_LEDGER_LIST);
	json_t *list = json_array();

	request->with_views = with_views;
	request->since_s = since_s;
	ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->unread, 0);
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		json_array_append_new(list, doc_json(doc));
	assert_int_equal(json_array_size(list), request->events);
	vault_request_free(request);
	return list;
}

static const char *member(const json_t *list, size_t i, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(list, i), name));

	assert_non_null(text);
	return text;
}

/* How many events it has, all of them of one case, whose reference this is. */
static size_t check_ledger(struct fixture *f, char ret_ref[33])
{
	json_t *list = ledger_events(f, true, 0);
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++)
		assert_string_equal(member(list, i, "case_ref"), member(list, 0, "case_ref"));
	if (count > 0 && ret_ref != NULL)
		snprintf(ret_ref, 33, "%s", member(list, 0, "case_ref"));
	json_decref(list);
	return count;
}

static void check_ledger_refused(
	struct fixture *f, const char *lines, enum err err, const char *says)
{
	struct vault_request *request = ask(f, ledger_request(lines));

	assert_int_equal(request->result, err);
	assert_null(request->entries);
	if (strstr(request->ctx.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", request->ctx.text, says);
	vault_request_free(request);
}

/* It is a case like all others in the log, and in nothing that a person is shown of cases. */
static void test_ledger(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	char ref[33] = "", again[33] = "", line[300];
	json_t *list;

	unlock(f);
	check_ledger_refused(f, "", ERR_INVALID, "no event");
	check_ledger_refused(f, "{\"type\":\"CONTACT\"}", ERR_INVALID, "ledger");
	check_ledger_refused(f, "{\"type\":\"EXPORT_MADE\",\"event_id\":\"" ID_1 "\"}", ERR_INVALID,
		"by the node");
	check_ledger_refused(
		f, "{\"type\":\"EXPORT_MADE\",\"recorded_by\":\"x\"}", ERR_INVALID, "by the node");
	check_ledger_refused(
		f, "{\"type\":\"EXPORT_MADE\",\"names\":[\"x\"]}", ERR_INVALID, "names");
	check_ledger_refused(f, "{\"type\":\"EXPORT_MADE\",\"who\":\"x\"}", ERR_INVALID, "missing");
	assert_int_equal(check_ledger(f, NULL), 0);

	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, ref), 1);
	list = ledger_events(f, false, 0);
	assert_string_equal(member(list, 0, "type"), "EXPORT_MADE");
	assert_string_equal(member(list, 0, "recorded_by"), "officer one");
	assert_string_equal(member(list, 0, "log"), f->log.origin.text);
	assert_string_equal(member(list, 0, "occurred_on"), "2026-09-21");
	json_decref(list);
	for (int i = 0; i < 2; i++) {
		request = ask(f, request_new(VAULT_LIST));
		assert_ok(request->result);
		assert_int_equal(request->cases, 0);
		assert_int_equal(request->events, 0);
		assert_null(request->docs);
		vault_request_free(request);
		request = show(f, ref);
		assert_int_equal(request->result, ERR_NOTFOUND);
		vault_request_free(request);
		snprintf(line, sizeof(line), "{\"type\":\"CONTACT\",\"case_ref\":\"%s\"}", ref);
		check_refused(f, line, ERR_INVALID, 1, "ledger");
		snprintf(line, sizeof(line), "{\"type\":\"CASE_OPENED\",\"case_ref\":\"%s\"}", ref);
		check_refused(f, line, ERR_INVALID, 1, "ledger");
		check_refused(f, EXPORT, ERR_INVALID, 1, "ledger");
		lock(f);
		request = ask(f, unlock_request(PASSPHRASE));
		assert_int_equal(request->cases, 0);
		assert_int_equal(request->events, 0);
		assert_int_equal(request->unread, 0);
		vault_request_free(request);
	}
	ledger_write(f, EXPORT "\n" EXPORT);
	assert_int_equal(check_ledger(f, again), 3);
	assert_string_equal(ref, again);
	check_locators_unique(f);
	list = ledger_events(f, false, UINT64_C(1790000000) + 1000);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static enum err count_key(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	*(size_t *)arg += 1;
	return OK;
}

static struct vault_request *show_by(
	struct fixture *f, const char *officer, uint64_t day, const char *purpose)
{
	struct vault_request *request = request_new(VAULT_SHOW);

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	snprintf(request->purpose, sizeof(request->purpose), "%s", purpose);
	request->now_ms += day * 24 * 60 * 60 * 1000;
	request->now_s = request->now_ms / 1000;
	ask(f, request);
	assert_ok(request->result);
	return request;
}

/* The case is seen; how many views wait then. */
static uint64_t look_at(struct fixture *f, const char *officer, uint64_t day)
{
	struct vault_request *request = show_by(f, officer, day, "");
	uint64_t waiting = request->views_waiting;

	vault_request_free(request);
	return waiting;
}

static struct vault_request *views(struct fixture *f)
{
	struct vault_request *request = ask(f, request_new(VAULT_VIEWS));

	assert_ok(request->result);
	return request;
}

/* One ledger for ever, whatever ends the process between its keys and its first entry. */
static void test_ledger_once(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct errctx ctx = {""};
	struct keyring *keyring;
	size_t keys = 0;

	unlock(f);
	record(f, OPEN_1);
	request = ask(f, ledger_request(EXPORT));
	assert_ok(request->result);
	end_batch(f, VAULT_ABORTED, request->batch, 0); /* the disk was full, say */
	vault_request_free(request);
	assert_int_equal(check_ledger(f, NULL), 0);
	request = ask(f, ledger_request(EXPORT));
	assert_ok(request->result);
	vault_request_free(request);
	vault_end(f); /* the entries are lost; their key is in the keyring */
	vault_begin(f, "HTI");

	unlock(f);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, NULL), 2);
	check_locators_unique(f);
	vault_end(f);
	assert_ok(keyring_open(f->keyring, &keyring, &ctx));
	assert_ok(keyring_each(keyring, count_key, &keys, &ctx));
	keyring_close(keyring);
	assert_int_equal(keys, 3); /* core of the case, audit, views */
	vault_begin(f, "HTI");
}

/* The ledger goes on in a new log; what no mirror holds is sealed again, and shown once. */
static void test_ledger_renewed(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old;

	unlock(f);
	record(f, OPEN_1);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	ledger_write(f, EXPORT);
	old = f->log;
	lock(f);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 0); /* today's is known from the old log */
	request = reseal(f);
	assert_int_equal(request->added, 3);
	append_commit(f, request);
	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, NULL), 3);
	lock(f);
	unlock(f);
	assert_int_equal(check_ledger(f, NULL), 3);
	check_locators_unique(f);
	unguarded(f, guard);
	tlog_release(&old);
}

static void check_view(const json_t *list, size_t i, const char *officer, const char *groups)
{
	const json_t *event = json_array_get(list, i);
	char *text = json_dumps(json_object_get(event, "groups"), JSON_COMPACT);

	assert_string_equal(member(list, i, "type"), "RECORD_VIEWED");
	assert_string_equal(member(list, i, "who"), officer);
	assert_string_equal(member(list, i, "recorded_by"), officer);
	assert_string_equal(member(list, i, "case"), REF_1);
	assert_string_equal(text, groups);
	free(text);
}

/* Once a day per officer and case, and again when they see more of it. */
/* A purpose that the ledger would refuse: nothing is shown for it, and no view stands in the way of
 * the others. */
static void test_views_purpose(void **state)
{
	static const char *const unfit[] = {"\x01", "a\x7f", "a\x1b[2J"};
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < sizeof(unfit) / sizeof(*unfit); i++) {
		request = request_new(VAULT_SHOW);
		strcpy(request->name, "ZZ-ONE");
		strcpy(request->officer, "officer one");
		strcpy(request->purpose, unfit[i]);
		ask(f, request);
		assert_int_equal(request->result, ERR_INVALID);
		assert_null(request->docs);
		assert_int_equal(request->views_waiting, 0);
		assert_non_null(strstr(request->ctx.text, "purpose"));
		vault_request_free(request);
	}
	request = show_by(f, "officer one", 0, "visit \"2\"\n\\ \xc3\xa9");
	assert_int_equal(request->views_waiting, 1);
	vault_request_free(request);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer two", 0), 1);
	append_commit(f, views(f));
	assert_int_equal(check_ledger(f, NULL), 2);
}

static void test_views(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *list;

	unlock(f);
	record(f, OPEN_1);
	assert_int_equal(look_at(f, "", 0), 0); /* nobody */
	request = show_by(f, "officer one", 0, "visit");
	assert_int_equal(request->views_waiting, 1);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	assert_int_equal(look_at(f, "officer two", 0), 2);
	assert_int_equal(check_ledger(f, NULL), 0);

	/* A commit that fails keeps them; while they are on their way nothing goes out twice. */
	request = views(f);
	assert_int_equal(request->added, 2);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 2);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer two", 0), 0);
	request = views(f);
	assert_null(request->entries);
	vault_request_free(request);

	/* The ledger itself says it after the next unlock. */
	lock(f);
	unlock(f);
	assert_int_equal(look_at(f, "officer one", 0), 0);
	record(f, AGREED_1);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer one", 0), 0);
	assert_int_equal(look_at(f, "officer one", 1), 1);
	append_commit(f, views(f));
	list = ledger_events(f, true, 0);
	assert_int_equal(json_array_size(list), 4);
	check_view(list, 0, "officer one", "[\"core\"]");
	assert_string_equal(member(list, 0, "purpose"), "visit");
	check_view(list, 1, "officer two", "[\"core\"]");
	assert_null(json_object_get(json_array_get(list, 1), "purpose"));
	assert_string_equal(member(list, 2, "occurred_on"), "2026-09-21");
	check_view(list, 2, "officer one", "[\"consent\",\"core\",\"note\"]");
	check_view(list, 3, "officer one", "[\"consent\",\"core\",\"note\"]");
	assert_string_equal(member(list, 3, "occurred_on"), "2026-09-22");
	json_decref(list);
	list = ledger_events(f, false, 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	check_locators_unique(f);
}

/* Nothing waits without a bound, and what is lost is counted. */
static void test_views_bound(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request, *unlocked;
	char officer[40];

	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < LIMIT_VIEWS_PENDING; i++) {
		snprintf(officer, sizeof(officer), "officer %d", i);
		assert_int_equal(look_at(f, officer, 0), i + 1);
	}
	request = show_by(f, "one more", 0, "");
	assert_int_equal(request->views_waiting, LIMIT_VIEWS_PENDING);
	assert_int_equal(request->views_lost, 1);
	vault_request_free(request);
	request = views(f); /* as many as fit into one batch: the others follow */
	assert_true(request->added > 0 && request->added < LIMIT_VIEWS_PENDING);
	lock(f); /* what is on its way is not lost */
	end_batch(f, VAULT_COMMITTED, request->batch,
		append(f, request->entries->entry, request->entries->count));
	unlocked = ask(f, unlock_request(PASSPHRASE));
	assert_int_equal(unlocked->views_lost, 1 + LIMIT_VIEWS_PENDING - request->added);
	assert_int_equal(unlocked->views_waiting, 0);
	vault_request_free(unlocked);
	assert_int_equal(check_ledger(f, NULL), request->added);
	vault_request_free(request);
}

static void test_ledger_torture(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = NULL;
	enum err err = ERR_NOMEM;
	size_t fail_at = 0;

	unlock(f);
	record(f, OPEN_1);
	for (size_t n = 0; err != OK; n++) {
		request = ledger_request(EXPORT);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK) {
			assert_null(request->entries);
			vault_request_free(request);
		}
		assert_true(n < 100000);
	}
	append_commit(f, request);
	/* A view is written or counted as lost; the case is shown in any case where it can be. */
	for (bool written = false; !written; fail_at++) {
		request = request_new(VAULT_SHOW);
		snprintf(request->name, sizeof(request->name), REF_1);
		alloc_fail_after(fail_at);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		written = err == OK && request->views_waiting > 0;
		assert_true(err != OK || written || request->views_lost > 0);
		vault_request_free(request);
		assert_true(fail_at < 100000);
	}
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_VIEWS);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK)
			vault_request_free(request);
		assert_true(n < 100000);
	}
	append_commit(f, request);
	assert_int_equal(check_ledger(f, NULL), 2);
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_LEDGER_LIST);
		request->with_views = true;
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || request->docs == NULL);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

/* 65,536 pairs of officer and case are remembered on a day; one more is written at each look. */
static void test_views_day(void **state)
{
	struct fixture *f = *state;
	char officer[40];

	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < LIMIT_VIEWS_DAY; i++) {
		snprintf(officer, sizeof(officer), "officer %d", i);
		if (look_at(f, officer, 0) == 256)
			append_commit(f, views(f));
	}
	assert_int_equal(look_at(f, "officer 0", 0), 0);
	assert_int_equal(look_at(f, "one more", 0), 1);
	assert_int_equal(look_at(f, "one more", 0), 2);
	append_commit(f, views(f));
	lock(f);
	unlock(f);
	assert_int_equal(look_at(f, "officer 0", 0), 0);
}

static void test_ledger_list_cap(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *list;

	unlock(f);
	for (int left = LIMIT_LEDGER_LIST; left > 0; left -= 2000) {
		request = ledger_request(EXPORT);
		for (int i = 1; i < 2000; i++)
			buf_put_str(&request->lines, "\n" EXPORT);
		append_commit(f, ask(f, request));
	}
	list = ledger_events(f, false, 0);
	assert_int_equal(json_array_size(list), LIMIT_LEDGER_LIST);
	json_decref(list);
	ledger_write(f, EXPORT);
	request = ask(f, request_new(VAULT_LEDGER_LIST));
	assert_int_equal(request->result, ERR_LIMIT);
	assert_non_null(strstr(request->ctx.text, "since"));
	assert_null(request->docs);
	vault_request_free(request);
}

static struct vault_request *export_request(const char *names, const char *format)
{
	struct vault_request *request = request_new(VAULT_CASE_EXPORT);

	buf_put_str(&request->lines, names);
	snprintf(request->format, sizeof(request->format), "%s", format);
	return request;
}

static void check_export(
	struct fixture *f, const char *names, const char *format, uint64_t cases, const char *says)
{
	struct vault_request *request = ask(f, export_request(names, format));
	struct hash hash;

	assert_ok(request->result);
	assert_int_equal(request->cases, cases);
	assert_int_equal(request->refs.size, cases * VAULT_REF_SIZE);
	sha256(buf_bytes(&request->file), &hash);
	assert_memory_equal(hash.b, request->file_hash.b, HASH_SIZE);
	if (strstr(buf_cstr(&request->file), says) == NULL)
		fail_msg("the export does not say '%s'", says);
	assert_null(strstr(buf_cstr(&request->file), "EXPORT_MADE"));
	vault_request_free(request);
}

static void check_not_exported(
	struct fixture *f, const char *names, const char *format, enum err err)
{
	struct vault_request *request = ask(f, export_request(names, format));

	assert_int_equal(request->result, err);
	assert_int_equal(request->file.size, 0);
	vault_request_free(request);
}

static void test_export(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	check_not_exported(f, "", "JSONL", ERR_LOCKED);
	unlock(f);
	check_not_exported(f, "", "JSONL", ERR_NOTFOUND);
	record(f, OPEN_1 AGREED_1 OPEN_2);
	ledger_write(f, EXPORT);
	check_export(f, "", "JSONL", 2, "Marisolwenda");
	check_export(f, "", "CSV", 2, "Marisolwenda");
	check_export(f, "", "HANDOVER", 2, "Marisolwenda");
	check_export(f, "zz-two\n" REF_2 "\nZZ-TWO", "CSV", 1, "ZZ-TWO");
	check_not_exported(f, "ZZ-ONE\nZZ-NONE\n", "JSONL", ERR_NOTFOUND);
	check_not_exported(f, "", "PDF", ERR_UNSUPPORTED);
	request = ask(f, export_request(REF_1 "\n", "JSONL"));
	assert_int_equal(request->events, 2);
	assert_int_equal(request->groups,
		GROUP_BIT(GROUP_CORE) | GROUP_BIT(GROUP_CONSENT) | GROUP_BIT(GROUP_NOTE));
	assert_memory_equal(request->refs.data, "\x00\x11\x22\x33", 4);
	vault_request_free(request);
	for (size_t n = 0; err != OK; n++) {
		request = export_request("", "JSONL");
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || request->file.size == 0);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

/* 64 MiB: what fits is given, what does not is refused with what to do. */
static void test_export_cap(void **state)
{
	enum { NOTE = 16000, EVENTS = 64, REQUESTS = LIMIT_EXPORT_BYTES / (EVENTS * (NOTE + 500)) };
	struct fixture *f = *state;
	struct vault_request *request;
	char note[NOTE + 1];

	memset(note, 'x', NOTE);
	note[NOTE] = '\0';
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	for (int n = 0; n < REQUESTS + 2; n++) {
		if (n == REQUESTS) {
			request = ask(f, export_request("", "JSONL"));
			assert_ok(request->result);
			assert_true(request->file.size > LIMIT_EXPORT_BYTES - 4 * 1024 * 1024);
			vault_request_free(request);
		}
		request = seal_request("", false);
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		append_commit(f, ask(f, request));
	}
	request = ask(f, export_request("", "JSONL"));
	assert_int_equal(request->result, ERR_LIMIT);
	assert_non_null(strstr(request->ctx.text, "fewer"));
	assert_int_equal(request->file.size, 0);
	vault_request_free(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unlock),
		TEST(test_prekey),
		TEST(test_mail),
		TEST(test_keystore_file),
		TEST(test_record_and_show),
		TEST(test_recorded_by),
		TEST(test_officers),
		TEST(test_wrong_passphrases),
		TEST(test_order_of_lines),
		TEST(test_relock),
		TEST(test_abort),
		TEST(test_again),
		TEST(test_bad_lines),
		TEST(test_no_country),
		TEST(test_dry_run),
		TEST(test_rules),
		TEST(test_who_sees_what),
		TEST(test_list),
		TEST(test_find),
		TEST(test_today),
		TEST(test_form),
		TEST(test_states_taken_back),
		TEST(test_late_event),
		TEST(test_trial),
		TEST(test_trial_bounds),
		TEST(test_show_changes),
		TEST(test_trial_thins),
		TEST(test_trial_case_cap),
		TEST(test_correction),
		TEST(test_wave),
		TEST(test_wave_is_bounded),
		TEST(test_wave_fails),
		TEST(test_lock_under_way),
		TEST(test_lock_now),
		TEST(test_overtake),
		TEST(test_lock_now_under_way),
		TEST(test_stop),
		TEST(test_damaged),
		TEST(test_new_epoch),
		TEST(test_renew),
		TEST(test_reseal_what_nobody_holds),
		TEST(test_older_keystore),
		TEST(test_no_plaintext),
		TEST(test_caps),
		TEST(test_torture),
		TEST(test_torture_show),
		TEST(test_ledger),
		TEST(test_ledger_once),
		TEST(test_ledger_renewed),
		TEST(test_views),
		TEST(test_views_bound),
		TEST(test_views_purpose),
		TEST(test_ledger_torture),
		TEST(test_views_day),
		TEST(test_ledger_list_cap),
		TEST(test_export),
		TEST(test_export_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
