#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/seal/seal.h"

static void on_wake(void *arg)
{
	struct fixture *f = arg;
	uint64_t one = 1;

	if (write(f->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

void collect(struct fixture *f)
{
	struct vault_request **last = &f->done;

	while (*last != NULL)
		last = &(*last)->next;
	*last = vault_done(f->vault);
}

struct vault_request *find_done(struct fixture *f, struct vault_request *request)
{
	for (struct vault_request **at = &f->done; *at != NULL; at = &(*at)->next)
		if (*at == request) {
			*at = request->next;
			return request;
		}
	return NULL;
}

void wait_for(struct fixture *f, struct vault_request *request)
{
	uint64_t wakes;

	while (find_done(f, request) == NULL) {
		assert_int_equal(read(f->woken, &wakes, sizeof(wakes)), sizeof(wakes));
		collect(f);
	}
}

struct vault_request *request_new(enum vault_type type)
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

struct vault_request *submit(struct fixture *f, struct vault_request *request)
{
	vault_submit(f->vault, request);
	return request;
}

struct vault_request *ask(struct fixture *f, struct vault_request *request)
{
	wait_for(f, submit(f, request));
	return request;
}

enum err ask_simple(struct fixture *f, struct vault_request *request)
{
	enum err err = ask(f, request)->result;

	vault_request_free(request);
	return err;
}

struct vault_request *unlock_request(const char *passphrase)
{
	struct vault_request *request = request_new(VAULT_UNLOCK);

	assert_ok(secret_copy(&request->passphrase, bytes_str(passphrase)));
	return request;
}

void unlock(struct fixture *f)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));

	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	vault_request_free(request);
}

void lock(struct fixture *f)
{
	assert_ok(ask_simple(f, request_new(VAULT_LOCK)));
}

struct vault_request *seal_request(const char *lines, bool dry_run)
{
	struct vault_request *request = request_new(VAULT_SEAL);

	buf_put_str(&request->lines, lines);
	request->dry_run = dry_run;
	return request;
}

struct vault_request *seal(struct fixture *f, const char *lines)
{
	struct vault_request *request = ask(f, seal_request(lines, false));

	if (request->result != OK)
		fail_msg("seal: line %u: %s", request->line,
			err_message(&request->ctx, request->result));
	return request;
}

void end_batch(struct fixture *f, enum vault_type type, uint64_t batch, uint64_t index)
{
	struct vault_request *request = request_new(type);

	request->batch = batch;
	request->index = index;
	assert_ok(ask_simple(f, request));
}

uint64_t append(struct fixture *f, const struct bytes *entries, size_t count)
{
	uint64_t index = f->log.compact.size;
	enum err err = bench_write(f->bench, tlog_write_entries(&f->log, entries, count));

	if (err != OK)
		fail_msg("append: %s", f->bench->ctx.text);
	return index;
}

void append_commit(struct fixture *f, struct vault_request *sealed)
{
	assert_non_null(sealed->entries);
	assert_string_equal(sealed->log_origin, f->log.origin.text);
	end_batch(f, VAULT_COMMITTED, sealed->batch,
		append(f, sealed->entries->entry, sealed->entries->count));
	vault_request_free(sealed);
}

void record(struct fixture *f, const char *lines)
{
	append_commit(f, seal(f, lines));
}

void check_refused(
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

struct vault_request *show(struct fixture *f, const char *name)
{
	struct vault_request *request = request_new(VAULT_SHOW);

	snprintf(request->name, sizeof(request->name), "%s", name);
	return ask(f, request);
}

json_t *doc_json(const struct vault_doc *doc)
{
	json_t *json = json_loadb((const char *)doc->json.data, doc->json.size, 0, NULL);

	assert_non_null(json);
	return json;
}

json_t *answer_json(struct vault_request *request)
{
	json_t *array = json_array();

	if (request->result != OK)
		fail_msg("%s", err_message(&request->ctx, request->result));
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		json_array_append_new(array, doc_json(doc));
	vault_request_free(request);
	return array;
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

char *book_text(struct fixture *f)
{
	char *list = docs_text(ask(f, request_new(VAULT_LIST)));
	char *one = docs_text(show(f, "ZZ-ONE")), *all = NULL;

	assert_true(asprintf(&all, "%s%s", list, one) > 0);
	free(list);
	free(one);
	return all;
}

void check_text(json_t *doc, const char *name, const char *expected)
{
	const char *text = json_string_value(json_object_get(doc, name));

	if (text == NULL || strcmp(text, expected) != 0)
		fail_msg("%s is '%s', not '%s'", name, text == NULL ? "none" : text, expected);
}

void check_locators_unique(struct fixture *f)
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

void keystore_write(struct fixture *f, const char *origin)
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

void vault_begin(struct fixture *f, const char *country)
{
	vault_begin_guarded(f, country, NULL);
}

void vault_end(struct fixture *f)
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

struct guard *guarded(struct fixture *f, enum guard_verdict expected)
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

void unguarded(struct fixture *f, struct guard *guard)
{
	vault_end(f);
	vault_begin(f, "HTI");
	bench_writer(f->bench, NULL);
	guard_close(guard);
}

struct vault_request *renew(struct fixture *f)
{
	struct vault_request *request = unlock_request(PASSPHRASE);

	request->renew = true;
	ask(f, request);
	if (request->result != OK)
		fail_msg("unlock: %s", err_message(&request->ctx, request->result));
	return request;
}

struct vault_request *reseal(struct fixture *f)
{
	struct vault_request *request = ask(f, request_new(VAULT_RESEAL));

	assert_ok(request->result);
	return request;
}

int fixture_setup(void **state)
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

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;

	vault_end(f);
	close(f->woken);
	tlog_release(&f->log);
	free(f);
	return bench_teardown(&bench);
}
