#include "server/heap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

bool heap_wipes(void)
{
	return false;
}

#else

static void (*next_free)(void *pointer);

/* Before main, and so before any thread; earlier still when something is freed earlier. */
__attribute__((constructor)) static void find_next(void)
{
	void *found;

	if (next_free != NULL)
		return;
	found = dlsym(RTLD_NEXT, "free");
	memcpy(&next_free, &found, sizeof(next_free)); /* C has no cast from one to the other */
	if (next_free == NULL)
		abort();
}

void free(void *pointer)
{
	if (pointer == NULL)
		return;
	if (next_free == NULL)
		find_next();
	explicit_bzero(pointer, malloc_usable_size(pointer));
	next_free(pointer);
}

/* In place where the block has room and is not much too large; else as three steps, so that the old
 * block is wiped. */
void *realloc(void *pointer, size_t size)
{
	size_t room;
	void *grown;

	if (pointer == NULL)
		return malloc(size);
	if (size == 0) {
		free(pointer);
		return NULL;
	}
	room = malloc_usable_size(pointer);
	if (size <= room && size >= room / 2)
		return pointer;
	grown = malloc(size);
	if (grown == NULL)
		return NULL;
	memcpy(grown, pointer, size < room ? size : room);
	free(pointer);
	return grown;
}

bool heap_wipes(void)
{
	return true;
}

#endif
