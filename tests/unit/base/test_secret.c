#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/crypto.h"
#include "base/secret.h"
#include "tests/unit/base/failing_alloc.h"

static enum err random_sevens(void *arg, uint8_t *ret, size_t size)
{
	memset(ret, 7, size);
	return OK;
}

static enum err random_none(void *arg, uint8_t *ret, size_t size)
{
	return ERR_CRYPTO;
}

static void test_life(void **state)
{
	struct secret a, b;

	assert_int_equal(secret_init(&a, 32), OK);
	assert_int_equal(a.size, 32);
	for (size_t i = 0; i < a.size; i++)
		assert_int_equal(a.data[i], 0);
	a.data[31] = 9;
	assert_int_equal(secret_copy(&b, secret_bytes(&a)), OK);
	assert_ptr_not_equal(a.data, b.data);
	assert_true(equal_secret(secret_bytes(&a), secret_bytes(&b)));
	secret_release(&a);
	assert_null(a.data);
	assert_int_equal(b.data[31], 9);
	secret_release(&a);
	secret_release(&b);
	secret_release(NULL);
	secret_release(&(struct secret){NULL, 0});
}

static void test_random(void **state)
{
	struct secret a = {NULL, 0}, b;

	random_set(random_none, NULL);
	assert_int_equal(secret_random(&a, 16), ERR_CRYPTO);
	assert_null(a.data);
	random_set(random_sevens, NULL);
	assert_int_equal(secret_random(&a, 16), OK);
	assert_int_equal(a.data[0], 7);
	assert_int_equal(a.data[15], 7);
	random_set(NULL, NULL);
	assert_int_equal(secret_random(&b, 16), OK);
	assert_false(equal_secret(secret_bytes(&a), secret_bytes(&b)));
	secret_release(&a);
	secret_release(&b);
}

static void test_equal(void **state)
{
	uint8_t a[33], b[33];

	memset(a, 3, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(equal_secret(BYTES_NONE, BYTES_NONE));
	assert_true(equal_secret(BYTES_ARRAY(a), BYTES_ARRAY(b)));
	assert_false(equal_secret(BYTES_ARRAY(a), bytes_make(b, 32)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= 0x80;
		assert_false(equal_secret(BYTES_ARRAY(a), BYTES_ARRAY(b)));
		b[i] ^= 0x80;
	}
}

static void test_wipe(void **state)
{
	uint8_t a[4] = {1, 2, 3, 4};

	wipe(a + 1, 2);
	assert_memory_equal(a, "\1\0\0\4", 4);
	wipe(a, 0);
	wipe(NULL, 0);
}

enum { LEFT_SIZE = 4096, MARK = 0xa5 };

/* Leaves its mark behind, and where: as a number, since nothing lives there any more. */
static __attribute__((noinline)) uintptr_t leave(unsigned deep)
{
	volatile uint8_t left[LEFT_SIZE];

	if (deep > 0)
		return leave(deep - 1) + (left[0] = 0);
	for (size_t i = 0; i < LEFT_SIZE; i++)
		left[i] = MARK;
	return (uintptr_t)left;
}

static __attribute__((noinline)) size_t count_left(uintptr_t at)
{
	const volatile uint8_t *left = (const volatile uint8_t *)at;
	size_t count = 0;

	for (size_t i = 0; i < LEFT_SIZE / 2; i++) /* this call stands on a little of it */
		count += left[i] == MARK;
	return count;
}

static void test_wipe_stack(void **state)
{
	for (unsigned deep = 1; deep <= 48; deep *= 4) {
		uintptr_t at = leave(deep);

		assert_int_equal(count_left(at), LEFT_SIZE / 2);
		wipe_stack();
		assert_int_equal(count_left(at), 0);
	}
}

/* Before crypto_init: ordinary memory, through our allocator, wiped before it is freed. */
static void test_without_secure_heap(void **state)
{
	struct failing_alloc f;
	struct secret secret = {NULL, 0};

	failing_alloc_begin(&f, 0);
	assert_int_equal(secret_init(&secret, 40), OK);
	assert_int_equal(f.count, 1);
	memset(secret.data, 0xaa, 40);
	secret_release(&secret);
	assert_false(f.freed_dirty);
	failing_alloc_end(&f);

	failing_alloc_begin(&f, 1);
	assert_int_equal(secret_copy(&secret, bytes_str("x")), ERR_NOMEM);
	assert_null(secret.data);
	failing_alloc_end(&f);
}

static void *draw(void *arg)
{
	uint8_t byte;

	*(enum err *)arg = random_bytes(&byte, 1);
	return NULL;
}

/* More secrets than the secure heap holds: the first are in it, the rest in ordinary memory, and
 * OpenSSL still finds room for the DRBG of a new thread. */
static void test_secure_heap_full(void **state)
{
	enum { COUNT = CRYPTO_SECURE_HEAP_SIZE / 32 + 100 };
	static struct secret secrets[COUNT];
	struct failing_alloc f;
	enum err drawn = ERR_CANCELED;
	pthread_t thread;

	failing_alloc_begin(&f, 0);
	assert_int_equal(secret_init(&secrets[0], 32), OK);
	assert_int_equal(f.count, 0);
	for (size_t i = 1; i < COUNT; i++) {
		assert_int_equal(secret_init(&secrets[i], 32), OK);
		secrets[i].data[31] = (uint8_t)i;
	}
	assert_true(f.count >= 100 && f.count < COUNT);
	assert_int_equal(pthread_create(&thread, NULL, draw, &drawn), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(drawn, OK);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(secrets[i].data[31], (uint8_t)i);
		secret_release(&secrets[i]);
	}
	assert_false(f.freed_dirty);
	/* Larger than all of it. */
	assert_int_equal(secret_init(&secrets[0], 2 * CRYPTO_SECURE_HEAP_SIZE), OK);
	secret_release(&secrets[0]);
	failing_alloc_end(&f);
}

static int start_crypto(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int stop_crypto(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(test_without_secure_heap),
		cmocka_unit_test(test_life),
	};
	const struct CMUnitTest after[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_wipe_stack),
		cmocka_unit_test(test_secure_heap_full),
	};
	int failed = cmocka_run_group_tests_name("before crypto_init", before, NULL, NULL);

	return failed + cmocka_run_group_tests_name("after", after, start_crypto, stop_crypto);
}
