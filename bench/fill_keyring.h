/* Keys in a keyring, four to a case, of cases that have no events. */
#ifndef BENCH_FILL_KEYRING_H
#define BENCH_FILL_KEYRING_H

#include "base/bytes.h"
#include "server/store/keyring.h"

enum { KEYS_A_CASE = 4 };

struct fill_keyring {
	struct bytes keyring_key;
	const char *author, *origin;
};
/* The keys [first, first + count); names: their kids, NULL: not wanted. Dies on failure. */
void fill_keyring(struct keyring *keyring, const struct fill_keyring *of, size_t first,
	size_t count, uint8_t (*names)[16]);

#endif
