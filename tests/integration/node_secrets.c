/*
 * node_secrets KEYSTORE PASSPHRASE-FILE: the keys of a node of a test, in hex, each on a line
 * behind its name: so that a test can look for them where they must not be.
 */
#include <stdio.h>
#include <string.h>

#include "certs/keystore.h"
#include "node/files.h"

static void print(const char *name, const struct secret *key)
{
	if (key->size == 0)
		return;
	printf("%s ", name);
	for (size_t i = 0; i < key->size; i++)
		printf("%02x", key->data[i]);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct buf file, passphrase;
	struct node_keys keys = {0};
	struct errctx ctx = {""};
	enum err err;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	buf_init(&passphrase, LIMIT_PASSPHRASE + 2);
	err = argc == 3 ? crypto_init() : ERR_INVALID;
	if (err == OK)
		err = files_read(argv[1], LIMIT_KEYSTORE_SIZE, &file, &ctx);
	if (err == OK)
		err = files_read(argv[2], LIMIT_PASSPHRASE + 1, &passphrase, &ctx);
	if (err == OK)
		err = keystore_open(buf_bytes(&file),
			bytes_make(passphrase.data, strcspn(buf_cstr(&passphrase), "\n")), &keys,
			&ctx);
	if (err != OK) {
		fprintf(stderr, "node_secrets: %s\n", err_message(&ctx, err));
		return 1;
	}
	print("node", &keys.node_seed);
	print("log", &keys.log_seed);
	print("keyring", &keys.keyring_key);
	print("complaint", &keys.complaint_key);
	print("directory", &keys.directory_seed);
	for (size_t i = 0; i < keys.prekey_count; i++)
		print("prekey", &keys.prekeys[i].key);
	node_keys_release(&keys);
	buf_wipe(&file);
	buf_wipe(&passphrase);
	return 0;
}
