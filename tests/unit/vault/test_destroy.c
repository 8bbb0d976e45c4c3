/*
 * Keys are destroyed, and the process is killed meanwhile: at every call that writes, syncs,
 * renames, opens or cuts a file, and at times of chance; and killed again while the next unlock
 * finishes it. Afterwards either all rows are there or exactly those are gone that were to go,
 * every other one opens and says what it said, and so does every draft.
 */
#include "tests/unit/store/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cases/seal/away.h"
#include "cases/seal/keyring.h"
#include "cases/seal/row.h"
#include "node/files.h"
#include "server/vault/drafts.h"
#include "server/vault/erase/destroy.h"
#include "tests/lib/fault.h"

#define PASSPHRASE "seven herons over the lagoon"
#define OFFICER    "test"
#define ORIGIN     "ovra.example/haiti/1-0011223344556677"
#define KEYRING    "keyring"

enum { KEYS = 40, OTHERS = 2 * ROW_KIND_LAST, ROWS = KEYS + OTHERS, DOOMED = 5, DRAFTS = 3 };
enum { VALUE_MAX = 512 };

/* What was put in, as it must open again. */
struct row {
	struct row_name name;
	bool doomed;
	enum row_kind kind;
	uint8_t plain[64]; /* K of a key */
	struct buf value;  /* as first wrapped */
};

struct fixture {
	struct place place;
	char keystore[300], keyring[300], drafts[300];
	struct vault_opts vault;
	struct row rows[ROWS];
	uint8_t doomed[DOOMED + 1][KEYSTORE_ROW_SIZE];
};

static void write_file(const char *path, struct bytes data)
{
	assert_ok(files_write(path, data, 0600, NULL));
}

static void keystore_make(struct fixture *f, struct node_keys *ret)
{
	struct scrypt_cost cost = {16, 1, 1};
	struct buf file;

	assert_ok(node_keys_make(ORIGIN, ret));
	assert_ok(accounts_add(&ret->accounts, OFFICER, ACCOUNT_ROLES_FIRST, 0, NULL));
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_ok(keystore_seal(ret, OFFICER, bytes_str(PASSPHRASE), cost, &file));
	write_file(f->keystore, buf_bytes(&file));
	buf_wipe(&file);
}

static void key_make(struct bytes keyring_key, unsigned number, struct row *row)
{
	struct keyring_entry entry = {.group = GROUP_CORE, .generation = number};
	struct seal_kid kid;

	strcpy(entry.author, number % 3 == 0 ? "jordan" : "haiti");
	strcpy(entry.origin, ORIGIN);
	assert_ok(secret_random(&entry.key, SEAL_KEY_SIZE));
	memcpy(row->plain, entry.key.data, SEAL_KEY_SIZE);
	row->kind = ROW_KEY;
	assert_ok(keyring_wrap(keyring_key, &entry, &row->value, &kid));
	memcpy(row->name.b, kid.b, sizeof(kid.b));
	keyring_entry_release(&entry);
}

/* Every kind there is, so that one that cannot be wrapped anew is found here. */
static void other_make(struct bytes keyring_key, unsigned number, struct row *row)
{
	struct away away = {.count = 2};

	row->kind = (enum row_kind)(1 + number % ROW_KIND_LAST);
	assert_ok(random_bytes(row->name.b, sizeof(row->name.b)));
	assert_ok(random_bytes(row->plain, sizeof(row->plain)));
	if (row->kind == ROW_KEY) {
		key_make(keyring_key, 1000 + number, row);
	} else if (row->kind == ROW_AWAY) {
		memcpy(away.locators, row->plain, sizeof(away.locators[0]) * 2);
		assert_ok(away_wrap(keyring_key, row->name.b, &away, &row->value));
	} else {
		assert_ok(row_wrap(
			keyring_key, row->kind, &row->name, BYTES_ARRAY(row->plain), &row->value));
	}
}

static void rows_make(struct fixture *f, struct bytes keyring_key)
{
	struct keyring_item items[ROWS];
	struct keyring *keyring;

	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &f->rows[i];

		buf_init(&row->value, VALUE_MAX);
		if (i < KEYS)
			key_make(keyring_key, i, row);
		else
			other_make(keyring_key, i, row);
		memcpy(items[i].kid, row->name.b, sizeof(row->name.b));
		items[i].value = buf_bytes(&row->value);
	}
	for (unsigned i = 0; i < DOOMED; i++) {
		f->rows[7 * i].doomed = true;
		memcpy(f->doomed[i], f->rows[7 * i].name.b, KEYSTORE_ROW_SIZE);
	}
	memcpy(f->doomed[DOOMED], f->doomed[0], KEYSTORE_ROW_SIZE); /* twice is once */
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_put(keyring, items, ROWS, NULL));
	keyring_close(keyring);
}

static void draft_put(struct fixture *f, struct bytes keyring_key, unsigned number)
{
	struct drafts drafts = {f->drafts, keyring_key};
	struct vault_request *request = vault_request_new(VAULT_DRAFT_PUT, NULL);

	snprintf(request->officer, sizeof(request->officer), OFFICER);
	snprintf(request->name, sizeof(request->name), "ZZ-%u", number);
	buf_printf(&request->lines, "draft %u", number);
	assert_ok(drafts_put(&drafts, request));
	vault_request_free(request);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct node_keys keys;

	assert_non_null(f);
	alloc_fail_after(SIZE_MAX);
	assert_ok(crypto_init());
	place_make(&f->place);
	snprintf(f->keystore, sizeof(f->keystore), "%s/keystore", f->place.directory);
	snprintf(f->keyring, sizeof(f->keyring), "%s/" KEYRING, f->place.directory);
	snprintf(f->drafts, sizeof(f->drafts), "%s/drafts", f->place.directory);
	f->vault = (struct vault_opts){.keystore = f->keystore, .drafts = f->drafts};
	keystore_make(f, &keys);
	rows_make(f, secret_bytes(&keys.keyring_key));
	for (unsigned i = 1; i <= DRAFTS; i++)
		draft_put(f, secret_bytes(&keys.keyring_key), i);
	node_keys_release(&keys);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ROWS; i++)
		buf_wipe(&f->rows[i].value);
	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

/* ---- an unlock ---- */

struct opened {
	struct node_keys keys;
	struct secret master;
	struct keyring *keyring;
	struct destroy_opts opts;
};

static void opened_release(struct opened *o)
{
	node_keys_release(&o->keys);
	secret_release(&o->master);
	keyring_close(o->keyring);
}

static enum err unlock_try(struct fixture *f, struct opened *o, struct errctx *ctx)
{
	struct buf file;
	enum err err;

	*o = (struct opened){.keyring = NULL};
	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(f->keystore, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK)
		err = keystore_open_slot(buf_bytes(&file), OFFICER, bytes_str(PASSPHRASE), &o->keys,
			&o->master, ctx);
	buf_wipe(&file);
	if (err == OK)
		err = keyring_open(f->keyring, &o->keyring, ctx);
	o->opts = (struct destroy_opts){&f->vault, &o->master, o->keyring};
	if (err == OK)
		err = destroy_settle(&o->opts, &o->keys, ctx);
	return err;
}

static void unlock(struct fixture *f, struct opened *o)
{
	struct errctx ctx = {""};

	if (unlock_try(f, o, &ctx) != OK)
		fail_msg("unlock: %s", ctx.text);
	assert_int_equal(o->keys.erasure.count, 0);
	assert_int_equal(o->keys.erasure.keyring_next.size, 0);
}

static enum err destroy(struct fixture *f, struct opened *o, bool *unfinished, struct errctx *ctx)
{
	struct destroy_rows rows = {f->doomed, DOOMED + 1};

	return destroy_rows(&o->opts, &rows, &o->keys.keyring_key, unfinished, ctx);
}

/* ---- what there must be ---- */

struct checking {
	struct fixture *f;
	struct bytes keyring_key;
	size_t seen, doomed;
};

static void check_row(const struct checking *c, const struct row *row, struct bytes value)
{
	struct keyring_entry entry = {0};
	struct seal_kid kid;
	struct away away;
	struct buf plain;

	if (row->kind == ROW_KEY) {
		memcpy(kid.b, row->name.b, sizeof(kid.b));
		assert_ok(keyring_unwrap(c->keyring_key, &kid, value, &entry));
		assert_memory_equal(entry.key.data, row->plain, SEAL_KEY_SIZE);
		keyring_entry_release(&entry);
		return;
	}
	if (row->kind == ROW_AWAY) {
		assert_ok(away_unwrap(c->keyring_key, row->name.b, value, &away));
		assert_memory_equal(away.locators, row->plain, 2 * SEAL_LOCATOR_SIZE);
		return;
	}
	buf_init(&plain, VALUE_MAX);
	assert_ok(row_unwrap(c->keyring_key, row->kind, &row->name, value, &plain));
	assert_int_equal(plain.size, sizeof(row->plain));
	assert_memory_equal(plain.data, row->plain, sizeof(row->plain));
	buf_wipe(&plain);
}

static enum err check_item(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct checking *c = arg;

	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *row = &c->f->rows[i];

		if (memcmp(row->name.b, item->kid, sizeof(row->name.b)) != 0)
			continue;
		check_row(c, row, item->value);
		c->seen++;
		c->doomed += row->doomed;
		return OK;
	}
	fail_msg("a row that nobody put there");
	return OK;
}

static void check_drafts(struct fixture *f, struct bytes keyring_key)
{
	struct drafts drafts = {f->drafts, keyring_key};

	for (unsigned i = 1; i <= DRAFTS; i++) {
		struct vault_request *request = vault_request_new(VAULT_DRAFT_SHOW, NULL);
		char text[32];

		request->index = i;
		snprintf(request->officer, sizeof(request->officer), OFFICER);
		assert_ok(drafts_show(&drafts, request));
		snprintf(text, sizeof(text), "draft %u", i);
		assert_non_null(strstr(buf_cstr(&request->docs->json), text));
		vault_request_free(request);
	}
}

static void read_all(const char *path, struct buf *out)
{
	buf_clear(out);
	assert_ok(files_read(path, 64 * 1024 * 1024, out, NULL));
}

/* Nothing in the keyring's directory has the bytes of a destroyed row, under whatever name. */
static void check_no_copy(struct fixture *f)
{
	DIR *directory = opendir(f->keyring);
	struct dirent *entry;
	struct buf file;

	assert_non_null(directory);
	buf_init(&file, 64 * 1024 * 1024 + 1);
	while ((entry = readdir(directory)) != NULL) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", f->keyring, entry->d_name);
		assert_string_not_equal(entry->d_name, "next");
		if (entry->d_name[0] == '.')
			continue;
		read_all(path, &file);
		for (unsigned i = 0; i < ROWS; i++)
			if (f->rows[i].doomed && file.size > 0)
				assert_null(memmem(file.data, file.size, f->rows[i].value.data + 13,
					f->rows[i].value.size - 13));
	}
	closedir(directory);
	buf_release(&file);
}

/* Done, or not done; which. */
static bool check_all(struct fixture *f)
{
	struct checking c = {.f = f};
	struct opened o;

	unlock(f, &o);
	c.keyring_key = secret_bytes(&o.keys.keyring_key);
	assert_ok(keyring_each(o.keyring, check_item, &c, NULL));
	assert_true(c.doomed == 0 || c.doomed == DOOMED);
	assert_int_equal(c.seen, ROWS - DOOMED + c.doomed);
	check_drafts(f, c.keyring_key);
	opened_release(&o);
	if (c.doomed == 0)
		check_no_copy(f);
	return c.doomed == 0;
}

/* ---- kills ---- */

enum { UNARMED = FAULT_CLASSES };

static void arm(struct fixture *f, unsigned class, uint64_t k)
{
	struct fault_state *state = fault_state();

	state->class = class;
	state->error = FAULT_KILL;
	state->forever = 0;
	state->k = k;
	state->count = 0;
	snprintf(state->prefix, sizeof(state->prefix), "%.200s/", f->place.directory);
	__atomic_store_n(&state->armed, class != UNARMED, __ATOMIC_RELEASE);
}

/* In a child: unlocks, and destroys unless it only finishes. Killed at the k-th call of a class (0:
 * never), or after so long. True: it lived. */
static bool child(struct fixture *f, bool begin, unsigned class, uint64_t k, long kill_ns)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct errctx ctx = {""};
		bool unfinished;
		struct opened o;

		arm(f, class, k);
		if (unlock_try(f, &o, &ctx) != OK ||
			(begin && destroy(f, &o, &unfinished, &ctx) != OK)) {
			fprintf(stderr, "%s\n", ctx.text);
			_exit(1);
		}
		_exit(0);
	}
	if (kill_ns > 0) {
		struct timespec wait = {0, kill_ns};

		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}

static void again(struct fixture **f)
{
	void *state = *f;

	teardown(&state);
	setup(&state);
	*f = state;
}

static void killed_at_every_call(void **state)
{
	static const enum fault_class classes[] = {
		FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_OPEN, FAULT_TRUNCATE};
	struct fixture *f = *state;
	unsigned kills = 0, done = 0;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (uint64_t k = 1;; k++) {
			if (child(f, true, classes[c], k, 0))
				break;
			kills++;
			/* The next start is killed too, somewhere. */
			kills += !child(f, false, classes[k % 3], 1 + k % 7, 0);
			done += check_all(f);
			again(&f);
		}
	assert_true(check_all(f)); /* it lived */
	*state = f;
	print_message("%u kills, %u of them done afterwards\n", kills, done);
	assert_true(kills >= 60 && done > 10 && done < kills);
}

static void killed_at_times_of_chance(void **state)
{
	struct fixture *f = *state;
	unsigned kills = 0;

	srandom(7);
	for (unsigned i = 0; i < 60; i++) {
		kills += !child(f, true, UNARMED, 0, 1 + random() % 30000000);
		(void)check_all(f);
		again(&f);
	}
	*state = f;
	print_message("%u kills\n", kills);
	assert_true(kills > 10);
}

/* ---- what fails without a kill ---- */

static void fails_at_every_call(void **state)
{
	static const enum fault_class classes[] = {
		FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_OPEN, FAULT_TRUNCATE};
	struct fixture *f = *state;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (uint64_t k = 1;; k++) {
			struct errctx ctx = {""};
			bool unfinished, done;
			struct opened o;
			enum err err;

			unlock(f, &o);
			arm(f, classes[c], k);
			fault_state()->error = 28 /* ENOSPC */;
			err = destroy(f, &o, &unfinished, &ctx);
			arm(f, UNARMED, 0);
			opened_release(&o);
			done = check_all(f);
			if (err == OK)
				assert_true(done);
			else if (!unfinished)
				assert_false(done);
			again(&f);
			if (fault_state()->count < k)
				break;
		}
	*state = f;
}

static void more_than_a_destruction_takes(void **state)
{
	struct fixture *f = *state;
	static uint8_t names[LIMIT_ERASE_ROWS + 1][KEYSTORE_ROW_SIZE];
	struct destroy_rows rows = {names, LIMIT_ERASE_ROWS + 1};
	struct errctx ctx = {""};
	bool unfinished = true;
	struct opened o;

	for (size_t i = 0; i <= LIMIT_ERASE_ROWS; i++)
		put_u32be(names[i], (uint32_t)(LIMIT_ERASE_ROWS - i));
	unlock(f, &o);
	assert_int_equal(
		destroy_rows(&o.opts, &rows, &o.keys.keyring_key, &unfinished, &ctx), ERR_LIMIT);
	assert_false(unfinished);
	rows.count--;
	assert_ok(destroy_rows(&o.opts, &rows, &o.keys.keyring_key, &unfinished, &ctx));
	opened_release(&o);
	assert_false(check_all(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_at_every_call, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_at_times_of_chance, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_at_every_call, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_a_destruction_takes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
