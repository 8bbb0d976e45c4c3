/* A sealed packet out of somebody's hands: nothing of it is taken but whole. Costs that the format
 * allows are turned down to the least, so that this goes on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cases/packet/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct buf text;
	enum err err;

	if (copy == NULL || crypto_init() != OK)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	if (size > 17 && copy[15] > 14 && copy[15] <= 17 && copy[17] >= 1 && copy[17] <= 4) {
		copy[15] = 14;
		copy[17] = 1;
	}
	buf_init(&text, SEALED_FILE_MAX);
	err = sealed_read(bytes_str("x"), bytes_make(copy, size), &text);
	assert(err == OK || text.size == 0);
	assert(err != OK || (sealed_is(bytes_make(copy, size)) && text.size <= size));
	buf_wipe(&text);
	free(copy);
	crypto_release();
	return 0;
}
