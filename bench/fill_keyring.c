#include "fill_keyring.h"

#include <stdio.h>
#include <string.h>

#include "cases/seal/keyring.h"
#include "lib.h"

enum { SLICE = 4096 }; /* in one transaction */

static void slice_put(struct keyring *keyring, const struct fill_keyring *of, size_t first,
	size_t count, uint8_t (*names)[16])
{
	static struct keyring_item items[SLICE];
	static size_t ends[SLICE + 1];
	struct errctx ctx = {""};
	struct buf values;

	buf_init(&values, SLICE * 1024);
	for (size_t i = 0; i < count; i++) {
		struct keyring_entry entry = {.group = GROUP_CORE, .generation = 1};
		struct seal_kid kid;

		put_u64be(entry.case_ref.b, (first + i) / KEYS_A_CASE + 1);
		snprintf(entry.author, sizeof(entry.author), "%s", of->author);
		snprintf(entry.origin, sizeof(entry.origin), "%s", of->origin);
		check(secret_random(&entry.key, SEAL_KEY_SIZE), NULL, "make a key");
		check(keyring_wrap(of->keyring_key, &entry, &values, &kid), NULL, "wrap");
		keyring_entry_release(&entry);
		memcpy(items[i].kid, kid.b, sizeof(kid.b));
		if (names != NULL)
			memcpy(names[i], kid.b, sizeof(kid.b));
		ends[i + 1] = values.size;
	}
	for (size_t i = 0; i < count; i++)
		items[i].value = bytes_make(values.data + ends[i], ends[i + 1] - ends[i]);
	check(keyring_put(keyring, items, count, &ctx), &ctx, "put");
	buf_wipe(&values);
}

void fill_keyring(struct keyring *keyring, const struct fill_keyring *of, size_t first,
	size_t count, uint8_t (*names)[16])
{
	for (size_t at = 0; at < count; at += SLICE)
		slice_put(keyring, of, first + at, count - at < SLICE ? count - at : SLICE,
			names == NULL ? NULL : names + at);
}
