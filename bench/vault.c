#include "vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "node/files.h"

#define PASSPHRASE "a passphrase that guards nothing"

static void on_wake(void *arg)
{
	const struct bench_vault *vault = arg;
	uint64_t one = 1;

	if (write(vault->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void keystore_write(struct bench_vault *vault, const char *origin)
{
	struct scrypt_cost cost = {16, 1, 1};
	struct prekey_look look = {.now_s = (uint64_t)time(NULL)};
	struct errctx ctx = {""};
	struct node_keys keys;
	bool changed, full;
	struct buf file;

	check(node_keys_make(origin, &keys), NULL, "make keys");
	check(node_keys_step_prekeys(&keys, &look, &changed, &full), NULL, "make a prekey");
	vault->prekey.number = keys.prekeys[0].is.number;
	check(x25519_public(secret_bytes(&keys.prekeys[0].key), &vault->prekey.key), NULL,
		"make a prekey");
	check(secret_copy(&vault->keyring_key, secret_bytes(&keys.keyring_key)), NULL, "copy");
	check(signer_new(secret_bytes(&keys.node_seed), &vault->node), NULL, "make a signer");
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	check(keystore_seal(&keys, "bench", bytes_str(PASSPHRASE), cost, &file), NULL, "seal keys");
	check(files_write(vault->keystore, buf_bytes(&file), 0600, &ctx), &ctx, "write keys");
	buf_wipe(&file);
	node_keys_release(&keys);
}

void bench_vault_start(struct bench_vault *vault)
{
	struct errctx ctx = {""};
	struct vault_opts opts = {
		.store = vault->rig->store,
		.keystore = vault->keystore,
		.keyring = vault->keyring,
		.drafts = vault->drafts,
		.network = "bench.example",
		.node = vault->name,
		.country = "ZZB",
		.compression = true,
		.wake = on_wake,
		.wake_arg = vault,
	};

	check(vault_start(&opts, &vault->vault, &ctx), &ctx, "start the vault");
}

void bench_vault_stop(struct bench_vault *vault)
{
	vault_stop(vault->vault);
	vault_free(vault->vault);
	vault->vault = NULL;
}

void bench_vault_begin(struct bench_vault *vault, struct rig *rig, const char *directory,
	const char *node, const char *origin)
{
	*vault = (struct bench_vault){.rig = rig, .name = node};
	check(files_join(directory, "keystore", vault->keystore, NULL), NULL, "make a path");
	check(files_join(directory, "drafts", vault->drafts, NULL), NULL, "make a path");
	check(files_join(directory, "keyring", vault->keyring, NULL), NULL, "make a path");
	vault->woken = eventfd(0, EFD_CLOEXEC);
	keystore_write(vault, origin);
	bench_vault_start(vault);
}

void bench_vault_end(struct bench_vault *vault)
{
	bench_vault_stop(vault);
	secret_release(&vault->keyring_key);
	signer_free(vault->node);
	close(vault->woken);
}

struct vault_request *bench_request(enum vault_type type)
{
	struct vault_request *request = vault_request_new(type, NULL);

	check(request == NULL ? ERR_NOMEM : OK, NULL, "ask the vault");
	request->now_s = (uint64_t)time(NULL);
	request->now_ms = request->now_s * 1000;
	snprintf(request->officer, sizeof(request->officer), "bench");
	request->roles = ACCOUNT_SUPERVISOR;
	return request;
}

double bench_ask(struct bench_vault *vault, struct vault_request *request)
{
	double start = now_s();
	uint64_t wakes;

	vault_submit(vault->vault, request);
	while (vault_done(vault->vault) != request)
		if (read(vault->woken, &wakes, sizeof(wakes)) != sizeof(wakes))
			die("wait for the vault");
	return now_s() - start;
}

double bench_ask_ok(struct bench_vault *vault, struct vault_request *request, const char *what)
{
	double seconds = bench_ask(vault, request);

	if (request->result != OK && request->line > 0)
		die("%s: line %u: %s", what, request->line,
			err_message(&request->ctx, request->result));
	check(request->result, &request->ctx, what);
	return seconds;
}

double bench_unlock(struct bench_vault *vault)
{
	struct vault_request *request = bench_request(VAULT_UNLOCK);
	double seconds;

	check(secret_copy(&request->passphrase, bytes_str(PASSPHRASE)), NULL, "copy");
	seconds = bench_ask_ok(vault, request, "unlock");
	vault->cases = request->cases;
	vault->view_bytes = request->view_bytes;
	vault_request_free(request);
	return seconds;
}

void bench_lock(struct bench_vault *vault)
{
	struct vault_request *request = bench_request(VAULT_LOCK);

	bench_ask(vault, request);
	vault_request_free(request);
}

void bench_commit(struct bench_vault *vault, const struct vault_request *sealed)
{
	struct vault_request *end = bench_request(VAULT_COMMITTED);

	end->batch = sealed->batch;
	end->index = vault->rig->size;
	rig_append(vault->rig, entries_ref(sealed->entries));
	rig_wait(vault->rig, 0);
	bench_ask_ok(vault, end, "commit");
	vault_request_free(end);
}

void bench_record(struct bench_vault *vault, const struct buf *lines)
{
	struct vault_request *request = bench_request(VAULT_SEAL);

	buf_put(&request->lines, buf_bytes(lines));
	bench_ask_ok(vault, request, "record");
	vault->added += request->added;
	if (request->entries != NULL)
		bench_commit(vault, request);
	vault_request_free(request);
}
