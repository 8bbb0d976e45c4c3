#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

static void *resize_default(void *arg, void *pointer, size_t size)
{
	/* realloc(p, 0) is not the same everywhere. */
	if (size == 0) {
		free(pointer);
		return NULL;
	}
	return realloc(pointer, size);
}

static struct allocator current = {.resize = resize_default};

void mem_set_allocator(const struct allocator *allocator)
{
	current = allocator != NULL ? *allocator : (struct allocator){.resize = resize_default};
}

void *mem_resize(void *pointer, size_t size)
{
	assert(size > 0);
	return current.resize(current.arg, pointer, size);
}

void *mem_alloc(size_t size)
{
	return mem_resize(NULL, size);
}

void *mem_zalloc(size_t size)
{
	void *pointer = mem_alloc(size);

	if (pointer != NULL)
		memset(pointer, 0, size);
	return pointer;
}

void *mem_array(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return mem_zalloc(total);
}

void *mem_dup(const void *data, size_t size)
{
	void *pointer = mem_alloc(size);

	if (pointer != NULL)
		memcpy(pointer, data, size);
	return pointer;
}

char *mem_strdup(const char *text)
{
	return mem_dup(text, strlen(text) + 1);
}

void mem_free(void *pointer)
{
	if (pointer != NULL)
		(void)current.resize(current.arg, pointer, 0);
}

void mem_free_p(void *pointer_to_pointer)
{
	void *pointer;

	/* By memcpy: the variable is a pointer of another type. */
	memcpy(&pointer, pointer_to_pointer, sizeof(pointer));
	mem_free(pointer);
}
