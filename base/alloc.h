/*
 * The one heap. Every allocation of Sauti's own code goes through it, so that tests can count,
 * fail the n-th and find leaks. The default is malloc. Thread-safe as long as the installed
 * allocator is; install it before the first thread starts.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

struct allocator {
	/* As realloc(3): pointer NULL allocates, size 0 frees and returns NULL. */
	void *(*resize)(void *arg, void *pointer, size_t size);
	void *arg;
};

/* Installs an allocator (copied); NULL brings the default back. */
void mem_set_allocator(const struct allocator *allocator);

/* All return NULL when out of memory. Sizes must be > 0. */
void *mem_alloc(size_t size) MUST_USE;
void *mem_zalloc(size_t size) MUST_USE;                /* zeroed */
void *mem_array(size_t count, size_t size) MUST_USE;   /* zeroed, checks the product */
void *mem_resize(void *pointer, size_t size) MUST_USE; /* size > 0; old stays on NULL */
void *mem_dup(const void *data, size_t size) MUST_USE; /* size > 0 */
char *mem_strdup(const char *text) MUST_USE;
void mem_free(void *pointer); /* NULL is fine */

/* CLEANUP(mem_free_p) char *x: frees what the variable points to. */
void mem_free_p(void *pointer_to_pointer);

#endif
