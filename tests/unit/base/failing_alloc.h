/*
 * failing_alloc: counts what goes through base/alloc.h, fails the n-th allocation, and looks at
 * what is freed. Torture: run once for each n from 1 until nothing fails any more.
 */
#ifndef TESTS_UNIT_BASE_FAILING_ALLOC_H
#define TESTS_UNIT_BASE_FAILING_ALLOC_H

#include <malloc.h>
#include <stdlib.h>

#include "base/alloc.h"

struct failing_alloc {
	size_t fail_at;   /* the first is 1; 0: never */
	size_t count;     /* allocations and growths asked for */
	size_t live;      /* blocks not freed yet */
	bool freed_dirty; /* a block was freed that was not all zeros (rounded up by malloc) */
};

static inline void *failing_alloc_resize(void *arg, void *pointer, size_t size)
{
	struct failing_alloc *f = arg;
	void *fresh;

	if (size == 0) {
		const uint8_t *old = pointer;

		for (size_t i = 0; i < malloc_usable_size(pointer); i++)
			f->freed_dirty = f->freed_dirty || old[i] != 0;
		free(pointer);
		f->live--;
		return NULL;
	}
	if (++f->count == f->fail_at)
		return NULL;
	/* Zeroed, so that only what the code wrote counts as dirty. */
	fresh = pointer == NULL ? calloc(1, size) : realloc(pointer, size);
	if (pointer == NULL && fresh != NULL)
		f->live++;
	return fresh;
}

/* Zeroes f and installs it; failing_alloc_end checks for leaks and brings malloc back. */
static inline void failing_alloc_begin(struct failing_alloc *f, size_t fail_at)
{
	const struct allocator allocator = {failing_alloc_resize, f};

	*f = (struct failing_alloc){.fail_at = fail_at};
	mem_set_allocator(&allocator);
}

static inline void failing_alloc_end(const struct failing_alloc *f)
{
	mem_set_allocator(NULL);
	assert_int_equal(f->live, 0);
}

#endif
