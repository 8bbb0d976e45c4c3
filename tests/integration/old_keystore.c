/*
 * old_keystore FILE PASSPHRASEFILE: makes a keystore what it was before there were accounts:
 * version 1, without a table. The same keys, one slot.
 */
#include <stdio.h>
#include <stdlib.h>

#include "certs/keystore.h"
#include "node/files.h"

static void must(enum err err, const struct errctx *ctx)
{
	if (err == OK)
		return;
	fprintf(stderr, "old_keystore: %s\n", err_message(ctx, err));
	exit(1);
}

int main(int argc, char **argv)
{
	struct buf file, phrase, out;
	struct keystore_labels labels;
	struct node_keys keys;
	struct errctx ctx = {""};

	if (argc != 3)
		return 2;
	must(crypto_init(), &ctx);
	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	buf_init(&phrase, LIMIT_PASSPHRASE + 2);
	buf_init(&out, LIMIT_KEYSTORE_SIZE);
	must(files_read_private(argv[1], LIMIT_KEYSTORE_SIZE, &file, &ctx), &ctx);
	must(files_read(argv[2], LIMIT_PASSPHRASE + 1, &phrase, &ctx), &ctx);

	struct bytes passphrase = bytes_make(phrase.data, phrase.size - 1); /* its line feed */

	must(keystore_labels(buf_bytes(&file), &labels, &ctx), &ctx);
	must(keystore_open(buf_bytes(&file), passphrase, &keys, &ctx), &ctx);
	keys.accounts.count = 0;
	must(keystore_seal(&keys, labels.label[0], passphrase, keystore_cost, &out), &ctx);
	must(files_write(argv[1], buf_bytes(&out), 0600, &ctx), &ctx);
	node_keys_release(&keys);
	buf_wipe(&file);
	buf_wipe(&phrase);
	buf_wipe(&out);
	crypto_release();
	return 0;
}
