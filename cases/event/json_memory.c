#include "cases/event/json_memory.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/secret.h"

/* Before each block, so that it can be wiped whole; keeps the alignment of malloc. */
struct head {
	_Alignas(max_align_t) size_t size;
};

static void (*json_exhausted)(void);

static void *json_alloc(size_t size)
{
	struct head *head =
		size > SIZE_MAX - sizeof(*head) ? NULL : mem_alloc(sizeof(*head) + size);

	if (head == NULL) {
		json_exhausted();
		abort(); /* it does not return */
	}
	head->size = size;
	return head + 1;
}

static void json_wipe(void *pointer)
{
	struct head *head = pointer;

	if (head == NULL)
		return;
	head--;
	wipe(pointer, head->size);
	mem_free(head);
}

void json_memory_init(void (*exhausted)(void))
{
	json_exhausted = exhausted;
	json_set_alloc_funcs(json_alloc, json_wipe);
}

void json_text_free(char *text)
{
	json_free_t release;

	json_get_alloc_funcs(NULL, &release);
	release(text);
}
