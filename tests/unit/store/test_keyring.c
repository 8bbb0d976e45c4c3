#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/store/keyring.h"

struct fixture {
	struct place place;
	struct keyring *keyring;
};

static void reopen(struct fixture *f)
{
	struct errctx ctx = {""};

	keyring_close(f->keyring);
	f->keyring = NULL;
	if (keyring_open(f->place.store, &f->keyring, &ctx) != OK)
		fail_msg("%s", ctx.text);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	alloc_fail_after(SIZE_MAX);
	place_make(&f->place);
	reopen(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	keyring_close(f->keyring);
	place_remove(&f->place);
	free(f);
	return 0;
}

static struct keyring_item item_make(uint32_t kid, struct bytes value)
{
	struct keyring_item item = {.value = value};

	put_u32be(item.kid, kid);
	return item;
}

struct seen {
	uint32_t kids[1000];
	size_t count, stop_at;
	size_t value_sizes;
	struct keyring *put_into;
};

static enum err see(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct seen *seen = arg;
	struct keyring_item more;

	assert_true(seen->count < 1000);
	seen->kids[seen->count++] = get_u32be(item->kid);
	seen->value_sizes += item->value.size;
	if (seen->put_into != NULL) {
		/* Before this one: not seen any more. */
		more = item_make(get_u32be(item->kid) - 1, bytes_str("more"));
		TRY(keyring_put(seen->put_into, &more, 1, ctx));
	}
	return seen->count == seen->stop_at ? err_set(ctx, ERR_DECRYPT, "told to") : OK;
}

static void test_put_and_each(void **state)
{
	struct fixture *f = *state;
	struct keyring_item items[3] = {item_make(30, bytes_str("thirty")),
		item_make(10, bytes_str("ten")), item_make(20, bytes_str("twenty"))};
	struct seen seen = {.count = 0};

	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.count, 0);
	assert_ok(keyring_put(f->keyring, items, 3, NULL));
	assert_ok(keyring_put(f->keyring, NULL, 0, NULL));
	reopen(f);
	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(seen.kids[i], 10 * (i + 1));
	assert_int_equal(seen.value_sizes, strlen("thirtytentwenty"));
}

static size_t count_items(struct fixture *f)
{
	struct seen seen = {.count = 0};

	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	return seen.count;
}

static void test_never_overwrites(void **state)
{
	struct fixture *f = *state;
	struct keyring_item items[3] = {item_make(1, bytes_str("a")), item_make(2, bytes_str("b")),
		item_make(1, bytes_str("c"))};
	struct errctx ctx = {""};

	/* Twice in one call: nothing of it is written. */
	assert_int_equal(keyring_put(f->keyring, items, 3, &ctx), ERR_EXISTS);
	assert_non_null(strstr(ctx.text, f->place.store));
	assert_int_equal(count_items(f), 0);
	assert_ok(keyring_put(f->keyring, items, 1, NULL));
	assert_int_equal(keyring_put(f->keyring, items + 1, 2, NULL), ERR_EXISTS);
	assert_int_equal(count_items(f), 1);
}

static void test_update(void **state)
{
	struct fixture *f = *state;
	static const uint8_t large[KEYRING_VALUE_MAX + 1];
	struct keyring_item items[3] = {item_make(1, bytes_str("a")), item_make(2, bytes_str("bb")),
		item_make(3, BYTES_NONE)};
	struct seen seen = {.count = 0};

	assert_ok(keyring_update(f->keyring, items, 3, NULL));
	assert_int_equal(count_items(f), 2);
	items[0].value = bytes_str("aaa"); /* replaced */
	items[1].value = BYTES_NONE;       /* removed */
	items[2].value = bytes_make(large, sizeof(large));
	assert_int_equal(keyring_update(f->keyring, items, 3, NULL), ERR_LIMIT);
	assert_int_equal(count_items(f), 2);
	assert_ok(keyring_update(f->keyring, items, 2, NULL));
	reopen(f);
	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.kids[0], 1);
	assert_int_equal(seen.value_sizes, 3);
}

static void test_value_cap(void **state)
{
	struct fixture *f = *state;
	static const uint8_t large[KEYRING_VALUE_MAX + 1];
	struct keyring_item items[2] = {item_make(1, bytes_make(large, KEYRING_VALUE_MAX)),
		item_make(2, bytes_make(large, KEYRING_VALUE_MAX + 1))};
	struct seen seen = {.count = 0};

	assert_int_equal(keyring_put(f->keyring, items, 2, NULL), ERR_LIMIT);
	assert_int_equal(count_items(f), 0);
	assert_ok(keyring_put(f->keyring, items, 1, NULL));
	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.value_sizes, KEYRING_VALUE_MAX);
}

/* More than one slice of the walk, also a whole number of slices. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	struct keyring_item items[300];
	struct seen seen = {.count = 0};

	for (uint32_t i = 0; i < 300; i++)
		items[i] = item_make(2 * i + 1, bytes_str("value"));
	assert_ok(keyring_put(f->keyring, items, 256, NULL));
	assert_int_equal(count_items(f), 256);
	assert_ok(keyring_put(f->keyring, items + 256, 44, NULL));
	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.count, 300);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(seen.kids[i], 2 * i + 1);
	/* The callback may write: no transaction is open. */
	seen = (struct seen){.put_into = f->keyring};
	assert_ok(keyring_each(f->keyring, see, &seen, NULL));
	assert_int_equal(seen.count, 300);
	assert_int_equal(count_items(f), 600);
}

static void test_each_stops(void **state)
{
	struct fixture *f = *state;
	struct keyring_item items[3] = {item_make(1, bytes_str("a")), item_make(2, bytes_str("b")),
		item_make(3, bytes_str("c"))};
	struct seen seen = {.stop_at = 2};
	struct errctx ctx = {""};

	assert_ok(keyring_put(f->keyring, items, 3, NULL));
	assert_int_equal(keyring_each(f->keyring, see, &seen, &ctx), ERR_DECRYPT);
	assert_string_equal(ctx.text, "told to");
	assert_int_equal(seen.count, 2);
}

static void test_busy(void **state)
{
	struct fixture *f = *state;
	struct keyring *second = NULL;
	struct errctx ctx = {""};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(keyring_open(f->place.store, &second, &ctx) == ERR_BUSY ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(keyring_open(f->place.store, &second, &ctx), ERR_BUSY);
	assert_non_null(strstr(ctx.text, f->place.store));
	assert_null(second);
}

static void test_newer_version(void **state)
{
	struct fixture *f = *state;
	struct env_opts opts = {.path = f->place.store, .map_size = 1 << 20};
	uint8_t newer[4] = {0, 0, 0, ENV_FORMAT + 1};
	struct errctx ctx = {""};
	struct env *env;
	struct txn txn;

	keyring_close(f->keyring);
	f->keyring = NULL;
	assert_ok(env_open(&opts, &env, &ctx));
	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, 0, "meta");
	txn_put(&txn, 0, bytes_str("format"), BYTES_ARRAY(newer));
	assert_ok(txn_finish(&txn, NULL));
	env_close(env);
	assert_int_equal(keyring_open(f->place.store, &f->keyring, &ctx), ERR_VERSION);
	assert_non_null(strstr(ctx.text, "newer Sauti"));
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;
	struct keyring_item item = item_make(1, bytes_str("a"));
	struct seen seen = {.count = 0};
	enum err err;

	assert_ok(keyring_put(f->keyring, &item, 1, NULL));
	alloc_fail_after(0);
	err = keyring_each(f->keyring, see, &seen, NULL);
	alloc_fail_after(SIZE_MAX);
	assert_int_equal(err, ERR_NOMEM);
	keyring_close(f->keyring);
	f->keyring = NULL;
	for (size_t n = 0;; n++) {
		alloc_fail_after(n);
		err = keyring_open(f->place.store, &f->keyring, NULL);
		if (!alloc_failed())
			break;
		assert_int_equal(err, ERR_NOMEM);
		assert_null(f->keyring);
	}
	alloc_fail_after(SIZE_MAX);
	assert_ok(err);
	assert_int_equal(count_items(f), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_put_and_each),
		T(test_never_overwrites),
		T(test_update),
		T(test_value_cap),
		T(test_many),
		T(test_each_stops),
		T(test_busy),
		T(test_newer_version),
		T(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
