/*
 * unhex: test vectors from hex into blocks of their exact size, so that a sanitizer sees a byte
 * read past the end. They live until unhex_free.
 */
#ifndef TESTS_UNIT_BASE_UNHEX_H
#define TESTS_UNIT_BASE_UNHEX_H

#include "base/alloc.h"
#include "base/text.h"

enum { UNHEX_MAX = 16 };
static void *unhex_blocks[UNHEX_MAX];
static size_t unhex_count;

/* `size` zeroed bytes of the same life; NULL for none. */
static inline uint8_t *unhex_room(size_t size)
{
	if (size == 0)
		return NULL;
	assert_true(unhex_count < UNHEX_MAX);
	unhex_blocks[unhex_count] = mem_zalloc(size);
	assert_non_null(unhex_blocks[unhex_count]);
	return unhex_blocks[unhex_count++];
}

static inline struct bytes unhex(const char *text)
{
	size_t size = strlen(text) / 2;
	uint8_t *data = unhex_room(size);

	assert_int_equal(hex_decode(bytes_str(text), data, size), OK);
	return bytes_make(data, size);
}

static inline void unhex_free(void)
{
	while (unhex_count > 0)
		mem_free(unhex_blocks[--unhex_count]);
}

#endif
