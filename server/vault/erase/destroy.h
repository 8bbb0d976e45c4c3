/*
 * destroy: keys of the keyring are destroyed so that nothing that is left on the disk, with every
 * passphrase there is, opens them (DESIGN 9):
 *
 *	1. keystore: the names of the rows to be destroyed, and the keyring key that comes next
 *beside the one there is, synced
 *	2. every other row is wrapped under the next key, into a new file beside the keyring, synced
 *	3. the new file takes the old one's place, the directory is synced; then the drafts, which
 *hang on the keyring key too, are sealed anew one by one
 *	4. keystore: the next key alone, synced
 *
 * Nothing else writes to the keyring between 1 and 4: it is one call, on the vault's thread. What
 *was interrupted is finished by the next unlock, before any row is read: which of the two keys the
 *rows open with says whether 3 has happened. Until then nothing is lost: where 2 fails (a full
 *disk) 1 is taken back, and the rows are as they were.
 *
 * A kill at any point ends as done or not done, never with another row lost.
 */
#ifndef SERVER_VAULT_DESTROY_H
#define SERVER_VAULT_DESTROY_H

#include "server/store/keyring.h"
#include "server/vault/vault.h"

struct destroy_opts {
	const struct vault_opts *vault; /* keystore, drafts */
	const struct secret *master;    /* of the keystore */
	struct keyring *keyring;
};

struct destroy_rows {
	uint8_t (*name)[KEYSTORE_ROW_SIZE]; /* in any order, put in order here */
	size_t count;                       /* 0: nothing is done */
};

/* On OK the rows are gone, and *keyring_key is the next one. When it fails and *ret_unfinished is
 * false all is as it was. When that is true it may have happened or not, and the next unlock
 * settles it: until then the keyring must not be used. ERR_LIMIT past LIMIT_ERASE_ROWS; errors of
 * the keystore, of the keyring, of drafts. */
enum err destroy_rows(const struct destroy_opts *opts, const struct destroy_rows *rows,
	struct secret *keyring_key, bool *ret_unfinished, struct errctx *ctx) MUST_USE;

/* At unlock: finishes what was interrupted, if anything was. `keys` is of the keystore as read, and
 * is as it is then: keyring_key is the one that the rows are under. */
enum err destroy_settle(
	const struct destroy_opts *opts, struct node_keys *keys, struct errctx *ctx) MUST_USE;

#endif
