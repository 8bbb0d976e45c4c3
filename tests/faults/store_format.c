/* Writes the format version of a store or keyring, and prints the one before: for tests. */
#include <stdio.h>
#include <stdlib.h>

#include "server/store/env.h"

enum { SLOT_META };

int main(int argc, char **argv)
{
	struct errctx ctx = {""};
	struct bytes before;
	uint8_t format[4];
	struct env *env;
	struct txn txn;

	if (argc != 3)
		return 2;
	put_u32be(format, (uint32_t)strtoul(argv[2], NULL, 10));
	if (env_open(&(struct env_opts){.path = argv[1], .map_size = (size_t)1 << 30}, &env,
		    &ctx) != OK) {
		fprintf(stderr, "%s\n", ctx.text);
		return 1;
	}
	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, SLOT_META, "meta");
	if (txn_get(&txn, SLOT_META, bytes_str("format"), &before) && before.size == 4)
		printf("%u\n", (unsigned)get_u32be(before.data));
	txn_put(&txn, SLOT_META, bytes_str("format"), BYTES_ARRAY(format));
	if (txn_finish(&txn, &ctx) != OK) {
		fprintf(stderr, "%s\n", ctx.text);
		return 1;
	}
	env_close(env);
	return 0;
}
