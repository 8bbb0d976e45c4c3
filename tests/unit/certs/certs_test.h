/*
 * certs_test: nodes with keys from a number, and the records they sign, for the tests of certs/.
 */
#ifndef TESTS_UNIT_CERTS_CERTS_TEST_H
#define TESTS_UNIT_CERTS_CERTS_TEST_H

#include <stdio.h>

#include "base/text.h"
#include "certs/record.h"

#define NETWORK          "ovra.example"
#define DIRECTORY_ORIGIN NETWORK "/directory/1-0123456789abcdef"

struct actor {
	struct signer *node;
	struct member member;
};

static inline struct signer *signer_number(unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {0};
	struct signer *signer;

	put_u32be(seed, number);
	seed[31] = 0x5a;
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

static inline struct ed25519_public public_number(unsigned number)
{
	struct signer *signer = signer_number(number);
	struct ed25519_public public = *signer_public(signer);

	signer_free(signer);
	return public;
}

/* Keys 10 * number and following. */
static inline struct actor actor_make(
	const char *name, enum role role, const char *country, unsigned number)
{
	struct actor actor = {.node = signer_number(10 * number)};

	snprintf(actor.member.name, sizeof(actor.member.name), "%s", name);
	snprintf(actor.member.country, sizeof(actor.member.country), "%s", country);
	actor.member.role = role;
	actor.member.active = true;
	actor.member.node = *signer_public(actor.node);
	actor.member.mirror = public_number(10 * number + 1);
	actor.member.witness = public_number(10 * number + 2);
	memset(actor.member.complaint.b, 0xc0, X25519_KEY_SIZE);
	put_u32be(actor.member.complaint.b, number);
	memset(actor.member.tls_spki.b, 0x70, HASH_SIZE);
	put_u32be(actor.member.tls_spki.b, number);
	actor.member.made_at = 1700000000 + number;
	return actor;
}

static inline void actor_release(struct actor *actor)
{
	signer_free(actor->node);
}

/* A NodeAdmitted as wire message: change what you like, then pack. Borrows the member. */
static inline Sauti__NodeAdmitted admitted_view(const struct member *member)
{
	Sauti__NodeAdmitted message = SAUTI__NODE_ADMITTED__INIT;

	message.network = NETWORK;
	message.name = (char *)member->name;
	message.role = (Sauti__Role)member->role;
	message.country = (char *)member->country;
	message.tls_spki_sha256 = codec_binary(hash_bytes(&member->tls_spki));
	message.node_key = codec_binary(BYTES_ARRAY(member->node.b));
	message.mirror_key = codec_binary(BYTES_ARRAY(member->mirror.b));
	message.witness_key = codec_binary(BYTES_ARRAY(member->witness.b));
	message.complaint_key = codec_binary(BYTES_ARRAY(member->complaint.b));
	message.made_at = member->made_at;
	return message;
}

/* Packs any message as a signed record; the caller releases out. */
static inline void entry_of(
	struct buf *out, Sauti__RecordType type, const void *message, const struct signer *signer)
{
	struct buf body;

	buf_init(&body, 2 * LIMIT_ENTRY_SIZE);
	codec_pack(&body, message);
	assert_int_equal(body.err, OK);
	buf_init(out, 2 * LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(out, type, buf_bytes(&body), signer), OK);
	buf_release(&body);
}

static inline void entry_admitted(struct buf *out, const struct actor *actor)
{
	Sauti__NodeAdmitted message = admitted_view(&actor->member);

	entry_of(out, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, &message, actor->node);
}

static inline struct log_opened directory_opened(void)
{
	return (struct log_opened){
		.origin = DIRECTORY_ORIGIN,
		.previous_origin = "",
		.log_key = public_number(7777),
		.opened_at = 1700000000,
	};
}

static inline struct network_created network_created(const struct actor *hq)
{
	return (struct network_created){
		.network = NETWORK,
		.hq = hq->member.name,
		.hq_node = hq->member.node,
		.root_certificate = {{0xce, 0x47}},
		.created_at = 1700000001,
	};
}

static inline int crypto_setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static inline int crypto_teardown(void **state)
{
	crypto_release();
	return 0;
}

#endif
