/*
 * identity: what init and join have in common: the checks on a node's new certificates, and the
 * files they are written to.
 */
#ifndef CLI_IDENTITY_H
#define CLI_IDENTITY_H

#include "certs/keystore.h"
#include "node/config.h"
#include "node/genesis.h"
#include "proto/codec.h"

/* DER views. */
struct identity_certificates {
	struct bytes node, issuing, root;
};

/* The root is the one the directory names; the node's certificate is for this network, name and
 * key; and the three make a chain that both sides of a TLS connection accept (tried in memory).
 * ERR_UNTRUSTED naming what does not fit. */
enum err identity_check(const struct boot_keys *boot, const struct genesis *genesis,
	const struct identity_certificates *certificates, struct errctx *ctx) MUST_USE;

/* The directory lists exactly these keys under our name, with that role and country. */
enum err identity_check_member(const struct boot_keys *boot, const struct node_keys *keys,
	const struct genesis *genesis, enum role role, const char *country,
	struct errctx *ctx) MUST_USE;

/* A directory as headquarters sent it, judged with what is known of it: errors of genesis_make. */
struct identity_directory {
	const char *network, *origin;
	const struct ed25519_public *key;
	ProtobufCBinaryData *entries;
	size_t count;
	struct bytes checkpoint;
	uint64_t known_size;
	struct hash known_root;
};
enum err identity_take_directory(
	const struct identity_directory *sent, struct genesis *ret, struct errctx *ctx) MUST_USE;

/* certs/node.pem and certs/root.pem */
enum err identity_write_certificates(const struct node_paths *paths,
	const struct identity_certificates *certificates, struct errctx *ctx) MUST_USE;
/* keys/boot */
enum err identity_write_boot(
	const struct node_paths *paths, const struct boot_keys *boot, struct errctx *ctx) MUST_USE;
/* The node's first account, a supervisor and operator: `name`, or when that is NULL the node's name
 * where it can be an officer's. Errors of accounts_add. */
enum err identity_first_officer(struct node_keys *keys, const char *name, const char *node,
	uint64_t now, struct errctx *ctx) MUST_USE;
/* A keystore file at that path, one slot. */
enum err identity_write_keystore(const char *path, const struct node_keys *keys, const char *label,
	struct bytes passphrase, struct errctx *ctx) MUST_USE;
/* sauti.conf, where config->file says; last of all files: with it the node is there. */
enum err identity_write_config(const struct node_config *config, struct errctx *ctx) MUST_USE;

/* The directories below: keys, certs, run. */
enum err identity_make_directories(const struct node_paths *paths, struct errctx *ctx) MUST_USE;

/* The member's public keys, from the private ones. name and so on are the caller's. */
enum err identity_member_keys(
	const struct boot_keys *boot, const struct node_keys *keys, struct member *ret) MUST_USE;

#endif
