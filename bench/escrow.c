/*
 * bench_escrow: what it costs to keep an office's keys where they can be had again, and to have
 * them again.
 *
 *   bench_escrow DIR KEYS
 *
 * So many keys, four to a case, go into the escrow of a vault; then 1,000 more. Three custodians
 * are sent the version keys; what is in the log, records and all, is counted for each key. Then a
 * keystore and a keyring that know none of it get all keys back, with the recovery key and what one
 * custodian gives.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "certs/mail_escrow.h"
#include "fill_keyring.h"
#include "lib.h"
#include "node/files.h"
#include "vault.h"

enum { NODES = 3, MORE = 1000 };
static const char *const names[NODES] = {"hq", "kenya", "peru"};
static const uint8_t recovery_key[X25519_KEY_SIZE] = {0x11, 0x22, 0x33};

struct bench {
	struct rig rig;
	struct rig_identity identity;
	struct bench_vault office, after; /* the same office, after it has lost everything */
	struct ed25519_public signer;     /* its node key before that */
	struct version_keys keys;         /* what one custodian was sent */
	size_t bytes;                     /* in the log */
};

static void no_memory(void)
{
	die("no memory for JSON");
}

/* ---- keys ---- */

static void keys_put(struct bench *bench, size_t first, size_t count)
{
	struct fill_keyring of = {
		secret_bytes(&bench->office.keyring_key), "office", bench->identity.origin.text};
	struct errctx ctx = {""};
	struct keyring *keyring;

	bench_vault_stop(&bench->office);
	check(keyring_open(bench->office.keyring, &keyring, &ctx), &ctx, "open the keyring");
	fill_keyring(keyring, &of, first, count, NULL);
	keyring_close(keyring);
	bench_vault_start(&bench->office);
	bench_unlock(&bench->office);
}

/* ---- custodians ---- */

static void custodian_make(size_t i, struct vault_custodian *ret)
{
	uint8_t private[X25519_KEY_SIZE] = {(uint8_t)(0x40 + i)};

	*ret = (struct vault_custodian){.prekey = {.number = 1}};
	snprintf(ret->node, sizeof(ret->node), "%s", names[i]);
	ret->key.b[0] = (uint8_t)(i + 1);
	check(x25519_public(BYTES_ARRAY(private), &ret->prekey.key), NULL, "make a prekey");
}

/* Of a letter to the first of them: the version keys in it. */
static void letter_read(struct bench *bench, const struct vault_letter *letter)
{
	uint8_t private[X25519_KEY_SIZE] = {0x40};
	struct mail_content content = {0};
	struct version_keys keys;
	struct mail_item item;
	struct arena arena;
	struct buf mail;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&mail, LIMIT_MAIL_ITEM);
	check(mail_sign(&mail, buf_bytes(&letter->body), bench->office.node), NULL, "sign");
	check(mail_unpack(buf_bytes(&mail), "bench.example", &arena, &item, NULL), NULL, "unpack");
	if (strcmp(item.recipient, names[0]) == 0) {
		check(mail_open(
			      &item, "bench.example", BYTES_ARRAY(private), &arena, &content, NULL),
			NULL, "open a letter");
		if (content.kind == MAIL_ESCROW_KEYS) {
			check(mail_escrow_keys_read(content.body, &arena, &keys, NULL), NULL,
				"read a letter");
			for (size_t i = 0; i < keys.count; i++) {
				bench->keys.list[bench->keys.count++] = keys.list[i];
				keys.list[i].key = (struct secret){0};
			}
			version_keys_release(&keys);
		}
		mail_content_release(&content);
	}
	buf_release(&mail);
	arena_release(&arena);
}

static void give_back(struct bench *bench)
{
	struct mail_recovery_answer answer = {.keys = bench->keys};
	struct vault_request *open = bench_request(VAULT_MAIL_OPEN);
	uint8_t ephemeral[X25519_KEY_SIZE] = {0x60};
	struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	check(mail_recovery_answer_write(&content, &answer), NULL, "answer");
	check(mail_write(&open->mail,
		      &(struct mail_draft){.network = "bench.example",
			      .sender = names[0],
			      .recipient = "office",
			      .id = {1},
			      .kind = MAIL_RECOVERY_ANSWER,
			      .content = buf_bytes(&content),
			      .made_at = open->now_s,
			      .prekey = &bench->after.prekey,
			      .ephemeral = BYTES_ARRAY(ephemeral)},
		      bench->identity.node),
		NULL, "write a letter");
	custodian_make(0, &open->sender);
	open->sender_active = true;
	bench_ask_ok(&bench->after, open, "open a letter");
	if (open->refusal != 0)
		die("version keys are refused: %u", open->refusal);
	vault_request_free(open);
	buf_wipe(&content);
}

/* ---- the loop's part ---- */

static struct vault_request *request_of(struct bench *bench, enum vault_type type)
{
	struct vault_request *request = bench_request(type);
	struct vault_escrow *io = mem_zalloc(sizeof(*io));

	request->escrow = io;
	if (io == NULL || (io->nodes = mem_array(NODES, sizeof(*io->nodes))) == NULL)
		die("no memory");
	io->node_count = io->wanted_count = NODES;
	for (size_t i = 0; i < NODES; i++) {
		custodian_make(i, &io->nodes[i]);
		snprintf(io->wanted[i], sizeof(io->wanted[i]), "%s", names[i]);
	}
	io->writable = true;
	io->signers[0] = bench->signer;
	io->signer_count = 1;
	io->own_prekey = bench->after.prekey;
	return request;
}

static uint64_t records_append(struct bench *bench, const struct vault_escrow *io)
{
	size_t count = io->what == VAULT_ESCROW_CHUNKS ? io->chunk_count : 1;
	struct buf records[ESCROW_STEP_CHUNKS];
	struct bytes list[ESCROW_STEP_CHUNKS] = {{NULL, 0}};
	uint64_t index = bench->rig.size;
	struct entries *entries = NULL;

	for (size_t i = 0; i < count; i++) {
		buf_init(&records[i], LIMIT_ENTRY_SIZE);
		if (io->what == VAULT_ESCROW_CHUNKS)
			check(escrow_chunk_write(&records[i], &io->chunks[i], bench->office.node),
				NULL, "write a chunk");
		else
			check(escrow_manifest_write(&records[i], &io->manifest, bench->office.node),
				NULL, "write a manifest");
		list[i] = buf_bytes(&records[i]);
		bench->bytes += list[i].size;
	}
	check(entries_make(list, count, &entries), NULL, "make entries");
	rig_append(&bench->rig, entries);
	rig_wait(&bench->rig, 0);
	for (size_t i = 0; i < count; i++)
		buf_release(&records[i]);
	return index;
}

/* Until nothing is left to be written; bytes in the log. */
static size_t drive(struct bench *bench)
{
	bool more = true;

	bench->bytes = 0;
	while (more) {
		struct vault_request *step = request_of(bench, VAULT_ESCROW), *written;

		bench_ask_ok(&bench->office, step, "escrow");
		for (const struct vault_letter *l = step->letters; l != NULL; l = l->next)
			letter_read(bench, l);
		more = step->escrow->what != VAULT_ESCROW_NOTHING;
		if (more) {
			written = request_of(bench, VAULT_ESCROW_WRITTEN);
			written->escrow->ticket = step->escrow->ticket;
			written->index = records_append(bench, step->escrow);
			bench_ask_ok(&bench->office, written, "written");
			vault_request_free(written);
		}
		vault_request_free(step);
	}
	return bench->bytes;
}

static json_int_t number_in(const struct vault_request *done, const char *name)
{
	json_t *doc = done->docs == NULL ? NULL
					 : json_loadb((const char *)done->docs->json.data,
						   done->docs->json.size, 0, NULL);
	json_int_t number = json_integer_value(json_object_get(doc, name));

	json_decref(doc);
	return number;
}

/* Seconds. */
static double recover(struct bench *bench, size_t keys)
{
	struct vault_request *look = request_of(bench, VAULT_RECOVER_LOOK), *request;
	double seconds;

	look->escrow->ask = true;
	bench_ask_ok(&bench->after, look, "look");
	vault_request_free(look);
	give_back(bench);
	request = request_of(bench, VAULT_RECOVER);
	check(secret_copy(&request->passphrase, BYTES_ARRAY(recovery_key)), NULL, "copy");
	seconds = bench_ask_ok(&bench->after, request, "recover");
	if (number_in(request, "added") != (json_int_t)keys)
		die("%lld keys are back, of %zu", (long long)number_in(request, "added"), keys);
	vault_request_free(request);
	return seconds;
}

int main(int argc, char **argv)
{
	char store[PATH_MAX], after[PATH_MAX];
	struct bench bench = {.bytes = 0};
	struct vault_request *setup;
	struct rig_opts opts;
	double start, make_s;
	size_t keys, all, more;

	if (argc != 3)
		die("usage: bench_escrow DIR KEYS");
	keys = (size_t)number_of(argv[2]);
	check(crypto_init(), NULL, "start OpenSSL");
	json_memory_init(no_memory);
	check(files_join(argv[1], "store", store, NULL), NULL, "make a path");
	check(files_join(argv[1], "after", after, NULL), NULL, "make a path");
	directory_fresh(after);
	check(version_keys_init(&bench.keys, LIMIT_ESCROW_MAIL_KEYS), NULL, "make room");
	rig_identity_init(&bench.identity, &opts, store);
	rig_open(&bench.rig, &opts);
	bench_vault_begin(&bench.office, &bench.rig, argv[1], opts.node, opts.origin);
	bench_unlock(&bench.office);
	bench.signer = *signer_public(bench.office.node);
	keys_put(&bench, 0, keys);
	setup = request_of(&bench, VAULT_ESCROW_SETUP);
	check(x25519_public(BYTES_ARRAY(recovery_key), &setup->escrow->recovery_key), NULL,
		"make a recovery key");
	bench_ask_ok(&bench.office, setup, "set up");
	vault_request_free(setup);
	start = now_s();
	all = drive(&bench);
	make_s = now_s() - start;
	keys_put(&bench, keys, MORE);
	more = drive(&bench);
	bench_vault_end(&bench.office);
	bench_vault_begin(&bench.after, &bench.rig, after, opts.node, opts.origin);
	bench_unlock(&bench.after);
	printf("{\"make_s\": %.9g, \"bytes_per_key\": %.9g, \"more_bytes_per_key\": %.9g, "
	       "\"recover_s\": %.9g}\n",
		make_s, (double)all / (double)keys, (double)more / MORE,
		recover(&bench, keys + MORE));
	bench_vault_end(&bench.after);
	version_keys_release(&bench.keys);
	rig_close(&bench.rig);
	rig_identity_release(&bench.identity);
	crypto_release();
	return 0;
}
