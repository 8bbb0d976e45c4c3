/*
 * rogue: what an attacker would have, for tests: certificates that the network's own issuing CA
 * made for keys that the directory does not list, and the boot keys of a stolen node.
 *
 *   rogue issue NODE-DIR PASSPHRASE-FILE NAME OUT.pem   a new key and a good chain for NAME
 *   rogue stolen NODE-DIR OUT.pem                       the node's own key and chain
 *
 * OUT.pem holds the private key (PKCS#8) and the chain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "certs/keystore.h"
#include "certs/x509.h"
#include "node/genesis.h"

static void must(enum err err, const struct errctx *ctx, const char *what)
{
	if (err == OK)
		return;
	fprintf(stderr, "rogue: %s: %s\n", what, err_message(ctx, err));
	exit(1);
}

static void put_key(struct buf *out, struct bytes der)
{
	struct buf text;

	buf_init(&text, LIMIT_KEYSTORE_SIZE);
	base64_encode(&text, der);
	buf_put_str(out, "-----BEGIN PRIVATE KEY-----\n");
	for (size_t i = 0; i < text.size; i += 64) {
		size_t n = text.size - i < 64 ? text.size - i : 64;

		buf_put(out, bytes_make(text.data + i, n));
		buf_put_str(out, "\n");
	}
	buf_put_str(out, "-----END PRIVATE KEY-----\n");
	buf_release(&text);
}

static void read_chain(const struct node_paths *paths, struct buf *out)
{
	struct errctx ctx = {""};

	must(files_read(paths->chain, 2 * LIMIT_CERTIFICATE_SIZE, out, &ctx), &ctx, "chain");
}

static void stolen(const struct node_paths *paths, struct buf *out)
{
	struct errctx ctx = {""};
	struct boot_keys boot;
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	must(files_read(paths->boot, LIMIT_KEYSTORE_SIZE, &file, &ctx), &ctx, "boot keys");
	must(boot_keys_read(buf_bytes(&file), &boot, &ctx), &ctx, "boot keys");
	put_key(out, secret_bytes(&boot.tls_key));
	read_chain(paths, out);
	boot_keys_release(&boot);
	buf_release(&file);
}

static void read_keystore(
	const struct node_paths *paths, const char *passphrase_file, struct node_keys *ret)
{
	struct errctx ctx = {""};
	struct buf file, passphrase;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	buf_init(&passphrase, LIMIT_PASSPHRASE + 1);
	must(files_read(passphrase_file, LIMIT_PASSPHRASE, &passphrase, &ctx), &ctx, "passphrase");
	while (passphrase.size > 0 && passphrase.data[passphrase.size - 1] == '\n')
		passphrase.size--;
	must(files_read(paths->keystore, LIMIT_KEYSTORE_SIZE, &file, &ctx), &ctx, "keystore");
	must(keystore_open(buf_bytes(&file), buf_bytes(&passphrase), ret, &ctx), &ctx, "keystore");
	buf_wipe(&passphrase);
	buf_release(&file);
}

static void issue(const struct node_paths *paths, const char *passphrase_file, const char *name,
	struct buf *out)
{
	struct errctx ctx = {""};
	struct node_keys keys;
	struct secret key;
	struct buf pem, issuing, spki, made;
	struct hash ignored;
	struct genesis genesis;

	buf_init(&pem, 2 * LIMIT_CERTIFICATE_SIZE + 1);
	buf_init(&issuing, LIMIT_CERTIFICATE_SIZE);
	buf_init(&spki, LIMIT_CERTIFICATE_SIZE);
	buf_init(&made, LIMIT_CERTIFICATE_SIZE);
	read_keystore(paths, passphrase_file, &keys);
	must(genesis_load(paths->genesis, &genesis, &ctx), &ctx, "genesis");
	read_chain(paths, &pem);
	must(certificate_from_pem(buf_bytes(&pem), 1, &issuing, &ctx), &ctx, "issuing");
	must(tls_key_new(&key), NULL, "key");
	must(tls_key_spki(secret_bytes(&key), &spki, &ignored), NULL, "spki");
	must(node_certificate_make(genesis.network, name, buf_bytes(&spki),
		     secret_bytes(&keys.issuing_key), buf_bytes(&issuing), (uint64_t)time(NULL),
		     &made),
		NULL, "certificate");
	put_key(out, secret_bytes(&key));
	must(certificate_pem(buf_bytes(&made), out), NULL, "pem");
	must(certificate_pem(buf_bytes(&issuing), out), NULL, "pem");
	genesis_release(&genesis);
	node_keys_release(&keys);
	secret_release(&key);
	buf_release(&pem);
	buf_release(&issuing);
	buf_release(&spki);
	buf_release(&made);
}

int main(int argc, char **argv)
{
	struct node_paths paths;
	struct errctx ctx = {""};
	struct buf out;
	const char *file = argv[argc - 1];

	must(crypto_init(), NULL, "crypto");
	buf_init(&out, 4 * LIMIT_CERTIFICATE_SIZE);
	if (argc < 4)
		return 2;
	must(files_paths(argv[2], &paths, &ctx), &ctx, "paths");
	if (argc == 6 && strcmp(argv[1], "issue") == 0)
		issue(&paths, argv[3], argv[4], &out);
	else if (argc == 4 && strcmp(argv[1], "stolen") == 0)
		stolen(&paths, &out);
	else
		return 2;
	must(files_write(file, buf_bytes(&out), 0600, &ctx), &ctx, "write");
	buf_wipe(&out);
	crypto_release();
	return 0;
}
