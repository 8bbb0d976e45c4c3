/*
 * bench_destroy: what it costs to destroy the keys of one case among many.
 *
 *   bench_destroy DIRECTORY KEYS ROUNDS
 *
 * A keyring of so many wrapped keys, four to a case; each round destroys four of them: keystore,
 * keyring written anew, keystore, all of it synced.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "fill_keyring.h"
#include "lib.h"
#include "node/files.h"
#include "server/vault/erase/destroy.h"

#define PASSPHRASE "seven herons over the lagoon"
#define ORIGIN     "ovra.example/haiti/1-0011223344556677"

struct place {
	char keystore[600], keyring[600], drafts[600];
	struct vault_opts vault;
	struct node_keys keys;
	struct secret master;
	struct keyring *ring;
	uint8_t (*names)[16];
};

static void keystore_make(struct place *p)
{
	struct scrypt_cost cost = {16, 1, 1};
	struct node_keys keys = {0};
	struct errctx ctx = {""};
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	check(node_keys_make(ORIGIN, &keys), NULL, "make keys");
	check(keystore_seal(&keys, "bench", bytes_str(PASSPHRASE), cost, &file), NULL, "seal");
	check(files_write(p->keystore, buf_bytes(&file), 0600, &ctx), &ctx, "write the keystore");
	check(keystore_open_slot(
		      buf_bytes(&file), "bench", bytes_str(PASSPHRASE), &p->keys, &p->master, &ctx),
		&ctx, "open the keystore");
	node_keys_release(&keys);
	buf_wipe(&file);
}

static void place_make(struct place *p, const char *directory, size_t keys)
{
	struct errctx ctx = {""};

	directory_fresh(directory);
	snprintf(p->keystore, sizeof(p->keystore), "%s/keystore", directory);
	snprintf(p->keyring, sizeof(p->keyring), "%s/keyring", directory);
	snprintf(p->drafts, sizeof(p->drafts), "%s/drafts", directory);
	p->vault = (struct vault_opts){.keystore = p->keystore, .drafts = p->drafts};
	p->names = mem_array(keys, sizeof(*p->names));
	if (p->names == NULL)
		die("no memory");
	keystore_make(p);
	check(keyring_open(p->keyring, &p->ring, &ctx), &ctx, "open the keyring");
	fill_keyring(p->ring,
		&(struct fill_keyring){secret_bytes(&p->keys.keyring_key), "haiti", ORIGIN}, 0,
		keys, p->names);
}

int main(int argc, char **argv)
{
	struct samples samples = {0};
	struct place place = {.ring = NULL};
	size_t keys, rounds;

	if (argc != 4)
		die("usage: bench_destroy DIRECTORY KEYS ROUNDS");
	keys = number_of(argv[2]);
	rounds = number_of(argv[3]);
	if (keys < rounds * KEYS_A_CASE)
		die("fewer keys than are to be destroyed");
	check(crypto_init(), NULL, "crypto");
	place_make(&place, argv[1], keys);
	for (size_t i = 0; i < rounds; i++) {
		struct destroy_opts opts = {&place.vault, &place.master, place.ring};
		struct destroy_rows rows = {place.names + i * KEYS_A_CASE, KEYS_A_CASE};
		struct errctx ctx = {""};
		bool unfinished;
		double start = now_s();

		check(destroy_rows(&opts, &rows, &place.keys.keyring_key, &unfinished, &ctx), &ctx,
			"destroy");
		samples_add(&samples, now_s() - start);
	}
	printf("{");
	samples_print("destroy_s", &samples, true);
	printf("}\n");
	keyring_close(place.ring);
	node_keys_release(&place.keys);
	secret_release(&place.master);
	mem_free(place.names);
	samples_release(&samples);
	directory_remove(argv[1]);
	crypto_release();
	return 0;
}
