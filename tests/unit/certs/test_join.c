#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certs/join.h"
#include "certs/x509.h"
#include "certs_test.h"

static const uint64_t now = 1700000000;
static const uint8_t exporter[JOIN_EXPORTER_SIZE] = {0xee};

/* ---- token ---- */

static struct join_token some_token(void)
{
	struct join_token token = {
		.network = NETWORK,
		.name = "haiti",
		.role = ROLE_OFFICE,
		.country = "HTI",
		.addresses = {"hq.ovra.example:4410", "192.0.2.1:443"},
		.directory_origin = DIRECTORY_ORIGIN,
		.directory_key = public_number(7777),
		.directory_size = 3,
		.directory_root = {{0xd0}},
		.secret = {0x5e, 0xc2},
		.expires_at = now + 72 * 3600,
		.epoch = 16,
	};

	return token;
}

static void token_round_trip(void **state)
{
	struct join_token token = some_token(), read = {0};
	struct buf text, padded;

	buf_init(&text, 2 * LIMIT_JOIN_TOKEN);
	buf_init(&padded, 2 * LIMIT_JOIN_TOKEN);
	assert_int_equal(join_token_write(&token, &text), OK);
	assert_memory_equal(text.data, "sauti-join-1.", 13);
	assert_int_equal(join_token_read(buf_bytes(&text), &read, NULL), OK);
	assert_memory_equal(&read, &token, sizeof(token));
	buf_put_str(&padded, " \t\r\n");
	buf_put(&padded, buf_bytes(&text));
	buf_put_str(&padded, "\r\n ");
	memset(&read, 0, sizeof(read));
	assert_int_equal(join_token_read(buf_bytes(&padded), &read, NULL), OK);
	assert_memory_equal(&read, &token, sizeof(token));
	buf_wipe(&text);
	buf_wipe(&padded);
}

static void token_at_its_largest(void **state)
{
	struct join_token token = some_token(), read = {0};
	struct buf text;

	memset(token.network, 'n', LIMIT_NETWORK_NAME);
	memcpy(token.network + LIMIT_NETWORK_NAME - 8, ".example", 8);
	memset(token.name, 'a', LIMIT_NODE_NAME);
	snprintf(token.directory_origin, sizeof(token.directory_origin),
		"%s/directory/4294967295-0123456789abcdef", token.network);
	for (size_t i = 0; i < 4; i++)
		memset(token.addresses[i], (int)('a' + i), LIMIT_ADDRESS);
	token.directory_size = LIMIT_DIRECTORY_RECORDS;
	token.expires_at = UINT64_MAX;
	token.epoch = UINT32_MAX - 1;
	buf_init(&text, LIMIT_JOIN_TOKEN);
	assert_int_equal(join_token_write(&token, &text), OK);
	assert_int_equal(join_token_read(buf_bytes(&text), &read, NULL), OK);
	assert_memory_equal(&read, &token, sizeof(token));
	token.directory_size++;
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	buf_wipe(&text);
}

static void token_writes_only_what_it_reads(void **state)
{
	const struct join_token good = some_token();
	struct join_token token = good;
	struct buf text;

	buf_init(&text, LIMIT_JOIN_TOKEN);
	strcpy(token.network, "ovra");
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	token.epoch = UINT32_MAX; /* no log could follow */
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	strcpy(token.name, "directory");
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	token.role = ROLE_UNKNOWN;
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	strcpy(token.country, "ht");
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	token.addresses[0][0] = '\0';
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	strcpy(token.addresses[1], "a b");
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	strcpy(token.directory_origin, NETWORK "/hq/1-0123456789abcdef");
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	token.directory_size = 0;
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	token = good;
	token.expires_at = 0;
	assert_int_equal(join_token_write(&token, &text), ERR_INVALID);
	assert_int_equal(text.size, 0);
	buf_wipe(&text);
}

/* A token as wire message, to change; borrows. */
static Sauti__JoinToken token_view(const struct join_token *token, char *addresses[5])
{
	Sauti__JoinToken message = SAUTI__JOIN_TOKEN__INIT;

	addresses[0] = (char *)token->addresses[0];
	message.network = (char *)token->network;
	message.addresses = addresses;
	message.n_addresses = 1;
	message.directory_origin = (char *)token->directory_origin;
	message.directory_key = codec_binary(BYTES_ARRAY(token->directory_key.b));
	message.directory_size = token->directory_size;
	message.directory_root = codec_binary(hash_bytes(&token->directory_root));
	message.secret = codec_binary(BYTES_ARRAY(token->secret));
	message.name = (char *)token->name;
	message.role = (uint32_t)token->role;
	message.country = (char *)token->country;
	message.expires_at = token->expires_at;
	return message;
}

/* The token is read (what NULL), or refused naming `what`. */
static void check_token(const Sauti__JoinToken *message, const char *more, const char *what)
{
	struct join_token read;
	struct errctx ctx = {""};
	struct buf packed, text;
	enum err err;

	buf_init(&packed, LIMIT_JOIN_TOKEN);
	buf_init(&text, 2 * LIMIT_JOIN_TOKEN);
	codec_pack(&packed, message);
	buf_put_str(&packed, more);
	buf_put_str(&text, "sauti-join-1.");
	base64url_encode(&text, buf_bytes(&packed));
	assert_int_equal(text.err, OK);
	err = join_token_read(buf_bytes(&text), &read, &ctx);
	assert_int_equal(err, what == NULL ? OK : ERR_MALFORMED);
	if (what != NULL && strstr(ctx.text, what) == NULL)
		fail_msg("'%s' does not name '%s'", ctx.text, what);
	buf_release(&packed);
	buf_release(&text);
}

static void token_form(void **state)
{
	static const uint8_t zeros[33];
	static char longest[LIMIT_ADDRESS + 2];
	struct join_token token = some_token();
	char *addresses[5];
	const Sauti__JoinToken good = token_view(&token, addresses);
	Sauti__JoinToken message = good;

	memset(longest, 'a', LIMIT_ADDRESS + 1);
	check_token(&message, "", NULL);
	check_token(&message, "\xa8\x06\x01", "join token");
	message.network = "";
	check_token(&message, "", "network");
	message.network = longest;
	check_token(&message, "", "network");
	message = good;
	message.n_addresses = 0;
	check_token(&message, "", "addresses");
	message.n_addresses = 5;
	for (size_t i = 1; i < 5; i++)
		addresses[i] = "hq:1";
	check_token(&message, "", "addresses");
	message.n_addresses = 4;
	check_token(&message, "", NULL);
	addresses[3] = "";
	check_token(&message, "", "address");
	addresses[3] = longest;
	check_token(&message, "", "address");
	addresses[3] = "hq\n:1";
	check_token(&message, "", "address");
	message = good;
	message.directory_origin = "ovra.example/hq/1-0123456789abcdef";
	check_token(&message, "", "directory origin");
	message.directory_origin = "other.example/directory/1-0123456789abcdef";
	check_token(&message, "", "directory origin");
	message.directory_origin = longest;
	check_token(&message, "", "directory origin");
	message = good;
	message.directory_key.len = 31;
	check_token(&message, "", "directory key");
	message = good;
	message.directory_root.len = 0;
	check_token(&message, "", "directory root");
	message = good;
	message.directory_size = 0;
	check_token(&message, "", "directory size");
	message.directory_size = LIMIT_DIRECTORY_RECORDS + 1;
	check_token(&message, "", "directory size");
	message = good;
	message.secret = codec_binary(BYTES_ARRAY(zeros));
	check_token(&message, "", "secret");
	message.secret.len = 31;
	check_token(&message, "", "secret");
	message = good;
	message.name = "Haiti";
	check_token(&message, "", "name");
	message.name = longest;
	check_token(&message, "", "name");
	message = good;
	message.role = 4;
	check_token(&message, "", "role");
	message.role = UINT32_MAX;
	check_token(&message, "", "role");
	message.role = 0;
	check_token(&message, "", "role");
	message = good;
	message.country = "HTIX";
	check_token(&message, "", "country");
	message = good;
	message.expires_at = 0;
	check_token(&message, "", "expiry");
}

static void token_texts(void **state)
{
	static char large[LIMIT_JOIN_TOKEN + 2];
	static const char *const bad[] = {"", " ", "sauti-join-1", "sauti-join-1.",
		"sauti-join-2.AAAA", "SAUTI-JOIN-1.AAAA", "sauti-join-1.A",
		"sauti-join-1.AA=", "sauti-join-1.AA AA", "sauti-join-1.A+/A"};
	struct join_token token = some_token(), read;
	struct errctx ctx;
	struct buf text;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(join_token_read(bytes_str(bad[i]), &read, &ctx), ERR_MALFORMED);
		assert_non_null(strstr(ctx.text, "join token"));
	}
	memset(large, 'A', LIMIT_JOIN_TOKEN + 1);
	memcpy(large, "sauti-join-1.", 13);
	assert_int_equal(join_token_read(bytes_str(large), &read, &ctx), ERR_MALFORMED);
	assert_non_null(strstr(ctx.text, "longer"));
	large[LIMIT_JOIN_TOKEN] = '\0';
	assert_int_equal(join_token_read(bytes_str(large), &read, &ctx), ERR_MALFORMED);
	assert_null(strstr(ctx.text, "longer"));

	buf_init(&text, LIMIT_JOIN_TOKEN);
	assert_int_equal(join_token_write(&token, &text), OK);
	for (size_t size = 0; size < text.size; size++)
		assert_int_equal(
			join_token_read(bytes_make(text.data, size), &read, NULL), ERR_MALFORMED);
	buf_wipe(&text);
}

/* ---- welcome ---- */

static void apply(struct directory *directory, struct buf *entry)
{
	assert_int_equal(directory_apply(directory, buf_bytes(entry)), OK);
	buf_release(entry);
}

static struct directory *make_directory(const struct actor *hq, const struct actor *office)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(hq);
	struct directory *directory;
	struct buf entry;

	assert_int_equal(directory_new(NETWORK, &directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq->node), OK);
	apply(directory, &entry);
	assert_int_equal(network_created_write(&entry, &created, hq->node), OK);
	apply(directory, &entry);
	entry_admitted(&entry, hq);
	apply(directory, &entry);
	entry_admitted(&entry, office);
	apply(directory, &entry);
	assert_int_equal(directory_odd(directory, NULL), 0);
	return directory;
}

static void welcome(void **state)
{
	struct actor hq = actor_make("hq", ROLE_HQ, "", 1);
	struct actor kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 2);
	struct actor nobody = actor_make("mali", ROLE_OFFICE, "MLI", 3);
	struct directory *directory = make_directory(&hq, &kenya), *none;
	const struct join_token good = some_token();
	const struct hash *spki = &hq.member.tls_spki;
	struct join_token token = good;
	struct errctx ctx;

	assert_int_equal(join_welcome_check(&token, directory, spki, NULL), OK);
	assert_int_equal(
		join_welcome_check(&token, directory, &kenya.member.tls_spki, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "not headquarters"));
	assert_int_equal(join_welcome_check(&token, directory, &nobody.member.tls_spki, &ctx),
		ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "active member"));
	token.directory_size = 4;
	assert_int_equal(join_welcome_check(&token, directory, spki, NULL), OK);
	token.directory_size = 5;
	assert_int_equal(join_welcome_check(&token, directory, spki, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "older"));
	token = good;
	token.directory_key.b[0] ^= 1;
	assert_int_equal(join_welcome_check(&token, directory, spki, NULL), ERR_UNTRUSTED);
	token = good;
	token.directory_origin[strlen(token.directory_origin) - 1] = '0';
	assert_int_equal(join_welcome_check(&token, directory, spki, NULL), ERR_UNTRUSTED);
	token = good;
	strcpy(token.network, "other.example");
	assert_int_equal(join_welcome_check(&token, directory, spki, NULL), ERR_UNTRUSTED);
	assert_int_equal(directory_new(NETWORK, &none), OK);
	assert_int_equal(join_welcome_check(&good, none, spki, NULL), ERR_UNTRUSTED);
	directory_free(none);
	directory_free(directory);
	actor_release(&hq);
	actor_release(&kenya);
	actor_release(&nobody);
}

/* ---- proof ---- */

/* The documented bytes, put together by hand. */
static void proof_bytes(void **state)
{
	static const uint8_t secret[JOIN_SECRET_SIZE] = {1};
	struct hash spki, body, expected, proof;
	struct bytes key = BYTES_ARRAY(secret);
	struct buf text;

	sha256(bytes_str("spki"), &spki);
	sha256(bytes_str("body"), &body);
	buf_init(&text, 1024);
	buf_put_str(&text, "sauti/1 join");
	buf_put(&text, bytes_make("\x00\x0c", 2));
	buf_put_str(&text, NETWORK);
	buf_put(&text, bytes_make("\x00\x05", 2));
	buf_put_str(&text, "haiti");
	buf_put(&text, hash_bytes(&spki));
	buf_put(&text, hash_bytes(&body));
	buf_put(&text, BYTES_ARRAY(exporter));
	struct bytes whole = buf_bytes(&text);

	assert_int_equal(hmac_sha256(key, &whole, 1, &expected), OK);
	assert_int_equal(join_proof(secret, NETWORK, "haiti", bytes_str("spki"), bytes_str("body"),
				 exporter, &proof),
		OK);
	assert_true(hash_equal(&proof, &expected));
	buf_release(&text);
}

/* ---- request ---- */

/* A joiner called haiti, its packed request, and the invite at headquarters. */
struct joining {
	struct join_token token;
	struct boot_keys boot;
	struct node_keys keys;
	struct buf packed;
	struct arena arena;
	Sauti__JoinRequest *request;
	struct join_invite invite;
};

static void joining_unpack(struct joining *j)
{
	arena_clear(&j->arena);
	assert_int_equal(CODEC_UNPACK(join_request, buf_bytes(&j->packed), &scan_limits_strict,
				 &j->arena, &j->request, NULL),
		OK);
}

static struct joining *joining_new(void)
{
	static struct joining j;

	memset(&j, 0, sizeof(j));
	j.token = some_token();
	assert_int_equal(boot_keys_make(NETWORK, "haiti", &j.boot), OK);
	assert_int_equal(node_keys_make(NETWORK "/haiti/1-0123456789abcdef", &j.keys), OK);
	buf_init(&j.packed, LIMIT_FRAME_SIZE);
	assert_int_equal(
		join_request_write(&j.token, &j.boot, &j.keys, exporter, now, &j.packed), OK);
	arena_init(&j.arena, LIMIT_ARENA_SIZE);
	joining_unpack(&j);
	strcpy(j.invite.name, "haiti");
	j.invite.role = ROLE_OFFICE;
	strcpy(j.invite.country, "HTI");
	memcpy(j.invite.secret, j.token.secret, JOIN_SECRET_SIZE);
	j.invite.expires_at = now + 1;
	return &j;
}

static void joining_free(struct joining *j)
{
	arena_release(&j->arena);
	buf_release(&j->packed);
	boot_keys_release(&j->boot);
	node_keys_release(&j->keys);
}

/* Denied for a reason with these words (NULL: accepted). */
static void check_request(struct joining *j, const char *reason)
{
	struct member member = {.name = "untouched"};
	struct errctx ctx = {""};
	enum err err =
		join_request_check(j->request, NETWORK, &j->invite, exporter, now, &member, &ctx);

	assert_int_equal(err, reason == NULL ? OK : ERR_DENIED);
	assert_string_equal(member.name, reason == NULL ? "haiti" : "untouched");
	if (reason != NULL && strstr(ctx.text, reason) == NULL)
		fail_msg("denied for '%s', expected '%s'", ctx.text, reason);
}

static void request_is_accepted(void **state)
{
	struct joining *j = joining_new();
	struct member member;
	struct signer *signer;
	struct hash spki;
	struct buf key;

	check_request(j, NULL);
	assert_int_equal(
		join_request_check(j->request, NETWORK, &j->invite, exporter, now, &member, NULL),
		OK);
	assert_int_equal(member.role, ROLE_OFFICE);
	assert_string_equal(member.country, "HTI");
	assert_int_equal(member.made_at, now);
	buf_init(&key, 1024);
	assert_int_equal(tls_key_spki(secret_bytes(&j->boot.tls_key), &key, &spki), OK);
	assert_true(hash_equal(&spki, &member.tls_spki));
	assert_true(bytes_equal(buf_bytes(&key), codec_bytes(j->request->tls_public)));
	assert_int_equal(signer_new(secret_bytes(&j->boot.mirror_seed), &signer), OK);
	assert_memory_equal(signer_public(signer)->b, member.mirror.b, ED25519_PUBLIC_SIZE);
	signer_free(signer);
	buf_release(&key);
	joining_free(j);
}

/* The signed body goes into the directory as it came. */
static void request_becomes_a_member(void **state)
{
	struct joining *j = joining_new();
	struct actor hq = actor_make("hq", ROLE_HQ, "", 1);
	struct actor kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 2);
	struct directory *directory = make_directory(&hq, &kenya);
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write_signed(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
				 codec_bytes(j->request->admitted_body),
				 codec_bytes(j->request->admitted_signature)),
		OK);
	apply(directory, &entry);
	assert_int_equal(directory_odd(directory, NULL), 0);
	assert_non_null(directory_find(directory, bytes_str("haiti")));
	directory_free(directory);
	actor_release(&hq);
	actor_release(&kenya);
	joining_free(j);
}

static void request_needs_all_keys(void **state)
{
	struct joining *j = joining_new();
	struct buf out;
	size_t size;

	buf_init(&out, LIMIT_FRAME_SIZE);
	strcpy(j->boot.node, "mali");
	assert_int_equal(join_request_write(&j->token, &j->boot, &j->keys, exporter, now, &out),
		ERR_INVALID);
	strcpy(j->boot.node, "haiti");
	strcpy(j->boot.network, "other.example");
	assert_int_equal(join_request_write(&j->token, &j->boot, &j->keys, exporter, now, &out),
		ERR_INVALID);
	strcpy(j->boot.network, NETWORK);
	struct secret *keys[] = {&j->boot.tls_key, &j->boot.mirror_seed, &j->boot.witness_seed,
		&j->keys.node_seed, &j->keys.complaint_key};

	for (size_t i = 0; i < 5; i++) {
		size = keys[i]->size;
		keys[i]->size = 0;
		assert_int_equal(
			join_request_write(&j->token, &j->boot, &j->keys, exporter, now, &out),
			ERR_INVALID);
		keys[i]->size = size;
	}
	assert_int_equal(out.size, 0);
	buf_release(&out);
	joining_free(j);
}

static void request_proof(void **state)
{
	struct joining *j = joining_new();
	uint8_t other[JOIN_EXPORTER_SIZE] = {0xef};
	struct member member;

	assert_int_equal(
		join_request_check(j->request, NETWORK, &j->invite, other, now, &member, NULL),
		ERR_DENIED); /* another connection */
	assert_int_equal(join_request_check(j->request, "other.example", &j->invite, exporter, now,
				 &member, NULL),
		ERR_DENIED);
	j->invite.secret[31] ^= 1;
	check_request(j, "proof");
	j->invite.secret[31] ^= 1;
	for (size_t i = 0; i < HASH_SIZE; i++) {
		j->request->proof.data[i] ^= 0x80;
		check_request(j, "proof");
		j->request->proof.data[i] ^= 0x80;
	}
	j->request->proof.len = 31;
	check_request(j, "proof of 31");
	j->request->proof.len = 0;
	check_request(j, "proof of 0");
	j->request->proof.len = 32;
	j->request->admitted_body.len--;
	check_request(j, "proof");
	j->request->admitted_body.len++;
	j->request->tls_public.data[90] ^= 1;
	check_request(j, "proof");
	j->request->tls_public.data[90] ^= 1;
	check_request(j, NULL);
	joining_free(j);
}

static void request_expiry(void **state)
{
	struct joining *j = joining_new();

	j->invite.expires_at = now;
	check_request(j, "expired");
	j->invite.expires_at = 0;
	check_request(j, "expired");
	j->invite.expires_at = now + 1;
	check_request(j, NULL);
	joining_free(j);
}

static void request_sizes(void **state)
{
	static uint8_t large[4096];
	struct joining *j = joining_new();

	j->request->tls_public = codec_binary(bytes_make(large, 257));
	check_request(j, "too long");
	joining_unpack(j);
	j->request->admitted_body = codec_binary(bytes_make(large, 2049));
	check_request(j, "too long");
	joining_free(j);
}

static void request_is_bound_to_the_invite(void **state)
{
	struct joining *j = joining_new();

	strcpy(j->invite.name, "mali");
	check_request(j, "invited name");
	strcpy(j->invite.name, "haiti");
	j->invite.role = ROLE_AUDITOR;
	check_request(j, "role");
	j->invite.role = ROLE_OFFICE;
	strcpy(j->invite.country, "MLI");
	check_request(j, "country");
	strcpy(j->invite.country, "HTI");
	check_request(j, NULL);
	joining_free(j);
}

/* Whoever holds the token may prove anything: then the contents must still be right. */
static void prove_again(struct joining *j)
{
	struct hash proof;

	assert_int_equal(join_proof(j->invite.secret, NETWORK, j->invite.name,
				 codec_bytes(j->request->tls_public),
				 codec_bytes(j->request->admitted_body), exporter, &proof),
		OK);
	memcpy(j->request->proof.data, proof.b, HASH_SIZE);
}

static void check_body(struct joining *j, const Sauti__NodeAdmitted *message,
	const struct signer *signer, const char *reason)
{
	struct ed25519_signature signature;
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	codec_pack(&body, message);
	assert_int_equal(
		node_sign(signer, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature), OK);
	joining_unpack(j);
	j->request->admitted_body = codec_binary(buf_bytes(&body));
	j->request->admitted_signature = codec_binary(BYTES_ARRAY(signature.b));
	prove_again(j);
	check_request(j, reason);
	buf_release(&body);
}

static void request_with_a_proven_wrong_body(void **state)
{
	struct joining *j = joining_new();
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 5);
	struct actor other = actor_make("haiti", ROLE_OFFICE, "HTI", 6);

	sha256(codec_bytes(j->request->tls_public), &haiti.member.tls_spki);
	const Sauti__NodeAdmitted good = admitted_view(&haiti.member);
	Sauti__NodeAdmitted message = good;

	check_body(j, &message, haiti.node, NULL);
	check_body(j, &message, other.node, "not signed");
	message.name = "mali";
	check_body(j, &message, haiti.node, "invited name");
	message = good;
	message.role = SAUTI__ROLE__ROLE_AUDITOR;
	check_body(j, &message, haiti.node, "role");
	message = good;
	message.role = SAUTI__ROLE__ROLE_HQ;
	message.country = "";
	check_body(j, &message, haiti.node, "role");
	message = good;
	message.country = "MLI";
	check_body(j, &message, haiti.node, "country");
	message = good;
	message.network = "other.example";
	check_body(j, &message, haiti.node, "another network");
	message = good;
	message.mirror_key = message.node_key;
	check_body(j, &message, haiti.node, "two roles");
	message = good;
	message.tls_spki_sha256 = codec_binary(hash_bytes(&other.member.tls_spki));
	check_body(j, &message, haiti.node, "not the one in NodeAdmitted");

	joining_unpack(j);
	j->request->admitted_signature.len = 63;
	check_request(j, "not signed");
	j->request->admitted_signature.len = 64;
	j->request->admitted_signature.data[0] ^= 1;
	check_request(j, "not signed");
	actor_release(&haiti);
	actor_release(&other);
	joining_free(j);
}

/* TLS keys that no certificate of the network may hold, proven and signed for. */
static void check_tls_public(struct joining *j, struct bytes spki, const char *reason)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 5);
	struct ed25519_signature signature;
	struct buf body;

	sha256(spki, &haiti.member.tls_spki);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&body, NETWORK, &haiti.member), OK);
	assert_int_equal(
		node_sign(haiti.node, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature), OK);
	joining_unpack(j);
	j->request->tls_public = codec_binary(spki);
	j->request->admitted_body = codec_binary(buf_bytes(&body));
	j->request->admitted_signature = codec_binary(BYTES_ARRAY(signature.b));
	prove_again(j);
	check_request(j, reason);
	buf_release(&body);
	actor_release(&haiti);
}

static void check_key_of(struct joining *j, EVP_PKEY *key, const char *reason)
{
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key, &der);

	assert_true(size > 0);
	check_tls_public(j, bytes_make(der, (size_t)size), reason);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void request_tls_keys(void **state)
{
	struct joining *j = joining_new();
	uint8_t spki[92] = {0};

	assert_int_equal(j->request->tls_public.len, 91);
	memcpy(spki, j->request->tls_public.data, 91);
	check_tls_public(j, bytes_make(spki, 91), NULL);
	check_tls_public(j, bytes_make(spki, 92), "P-256");
	check_tls_public(j, bytes_make(spki, 90), "P-256");
	check_tls_public(j, BYTES_NONE, "P-256");
	spki[90] ^= 1; /* not on the curve */
	check_tls_public(j, bytes_make(spki, 91), "P-256");
	check_key_of(j, EVP_EC_gen("P-256"), NULL);
	check_key_of(j, EVP_EC_gen("P-384"), "P-256");
	check_key_of(j, EVP_EC_gen("secp256k1"), "P-256");
	check_key_of(j, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "P-256");
	joining_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_round_trip),
		cmocka_unit_test(token_at_its_largest),
		cmocka_unit_test(token_writes_only_what_it_reads),
		cmocka_unit_test(token_form),
		cmocka_unit_test(token_texts),
		cmocka_unit_test(welcome),
		cmocka_unit_test(proof_bytes),
		cmocka_unit_test(request_is_accepted),
		cmocka_unit_test(request_becomes_a_member),
		cmocka_unit_test(request_needs_all_keys),
		cmocka_unit_test(request_proof),
		cmocka_unit_test(request_expiry),
		cmocka_unit_test(request_sizes),
		cmocka_unit_test(request_is_bound_to_the_invite),
		cmocka_unit_test(request_with_a_proven_wrong_body),
		cmocka_unit_test(request_tls_keys),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
