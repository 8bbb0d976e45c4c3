/* What the tests of this floor share: cmocka, short hands, an allocator that fails the n-th time.
 */
#ifndef TESTS_CASES_TEST_H
#define TESTS_CASES_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"

#define assert_ok(expr) assert_int_equal((expr), OK)

struct failing {
	size_t calls, fail_at; /* 1-based; 0: never */
	long live;
};
static struct failing failing __attribute__((unused));

static inline bool failing_now(void)
{
	return ++failing.calls == failing.fail_at;
}

static inline void *failing_resize(void *arg, void *pointer, size_t size)
{
	void *moved;

	if (size == 0) {
		failing.live -= pointer != NULL;
		free(pointer);
		return NULL;
	}
	if (failing_now())
		return NULL;
	moved = realloc(pointer, size);
	failing.live += pointer == NULL;
	return moved;
}

/* Counts, and never fails: Jansson 2.14 ignores a failed growth of its token buffer (lex_save in
 * load.c) and then writes behind it. A program stops rather than let that happen. */
static inline void *failing_json_malloc(size_t size)
{
	failing.live++;
	return malloc(size);
}

static inline void failing_json_free(void *pointer)
{
	failing.live -= pointer != NULL;
	free(pointer);
}

/* Runs fn, which returns OK when all went well, with the 1st, 2nd, .. allocation failing, until it
 * goes through. Nothing may stay allocated by a run. */
static inline void torture(enum err (*fn)(void *arg), void *arg)
{
	struct allocator allocator = {.resize = failing_resize};
	enum err err = ERR_NOMEM;

	mem_set_allocator(&allocator);
	json_set_alloc_funcs(failing_json_malloc, failing_json_free);
	for (size_t n = 1; err != OK; n++) {
		assert_true(n < 100000);
		failing = (struct failing){.fail_at = n};
		err = fn(arg);
		assert_int_equal(failing.live, 0);
		if (err == OK)
			assert_true(failing.calls < n);
	}
	mem_set_allocator(NULL);
	json_set_alloc_funcs(malloc, free);
}

static inline int setup_crypto(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static inline int teardown_crypto(void **state)
{
	crypto_release();
	return 0;
}

#endif
