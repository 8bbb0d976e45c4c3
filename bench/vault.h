/*
 * What programs that measure the vault share: a vault over a rig's store, with a keystore whose
 * passphrase costs next to nothing to check. The program is the loop: what the vault seals it has
 * the rig append, and tells the vault how that ended. Dies at the first failure.
 */
#ifndef BENCH_VAULT_H
#define BENCH_VAULT_H

#include <limits.h>

#include "rig.h"
#include "server/vault/vault.h"

struct bench_vault {
	struct rig *rig; /* borrowed */
	struct vault *vault;
	char keystore[PATH_MAX], keyring[PATH_MAX], drafts[PATH_MAX];
	const char *name; /* of the node; borrowed */
	int woken;        /* eventfd */
	/* Of what was recorded, and of the last unlock. */
	uint64_t added, cases, view_bytes;
	struct prekey prekey; /* the newest, its public half */
	struct secret keyring_key;
	struct signer *node;
};

/* directory: of keystore and keyring. origin: of the log that this vault would write; node: whose.
 */
void bench_vault_begin(struct bench_vault *vault, struct rig *rig, const char *directory,
	const char *node, const char *origin);
void bench_vault_end(struct bench_vault *vault);
/* Its thread alone, as if the node was stopped and started: what is open is closed meanwhile. */
void bench_vault_stop(struct bench_vault *vault);
void bench_vault_start(struct bench_vault *vault);

/* Of a supervisor, now. */
struct vault_request *bench_request(enum vault_type type);
/* Submits and waits; nothing else is asked meanwhile. Seconds. */
double bench_ask(struct bench_vault *vault, struct vault_request *request);
/* The same; dies unless all went well. */
double bench_ask_ok(struct bench_vault *vault, struct vault_request *request, const char *what);

double bench_unlock(struct bench_vault *vault); /* seconds */
void bench_lock(struct bench_vault *vault);
/* What was sealed goes into the log. */
void bench_commit(struct bench_vault *vault, const struct vault_request *sealed);
/* Lines of events, all the way. */
void bench_record(struct bench_vault *vault, const struct buf *lines);

#endif
