/*
 * Mail from anybody: items, ends, and what is inside. A fuzzer forges no signatures and seals
 * nothing, so the target does both for it. The first byte says what the rest is:
 *
 *   0  a packed Mail, as it comes
 *   1  the body of an item, signed here
 *   2  what is sealed in an item, with its length and padding
 *   3  a MailContent, sealed and padded here
 *   4  a packed MailEnd, as it comes
 *   5  the body of an end, signed here
 *   6  a MailAddresses
 *   7  an entry that may be a prekey
 *   8  a MailComplaint
 *   9  a MailContent, sealed and padded here as a complaint
 *  10  a MailGrant
 */
#include <assert.h>

#include "base/hpke.h"
#include "base/text.h"
#include "certs/mail_approval.h"
#include "certs/mail_grant.h"
#include "proto/mail.pb-c.h"

#define NETWORK "ovra.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signer *hq, *haiti;
static struct directory *directory;
static const uint8_t private_key[X25519_KEY_SIZE] = {0x71};
static const uint8_t ephemeral[X25519_KEY_SIZE] = {0x82};
static struct x25519_public public_key;

static void admit(const char *name, enum role role, const char *country, const struct signer *node)
{
	struct member member = {.role = role, .active = true, .made_at = 1};
	struct buf body, entry;
	enum err err;

	memcpy(member.name, name, strlen(name));
	memcpy(member.country, country, strlen(country));
	member.node = *signer_public(node);
	member.mirror.b[0] = (uint8_t)(0x11 + role);
	member.witness.b[0] = (uint8_t)(0x21 + role);
	member.complaint.b[0] = (uint8_t)(0x31 + role);
	member.tls_spki.b[0] = (uint8_t)(0x41 + role);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = node_admitted_body(&body, NETWORK, &member);
	assert(err == OK);
	err = record_write(
		&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), node);
	assert(err == OK);
	err = directory_apply(directory, buf_bytes(&entry));
	assert(err == OK);
	buf_release(&body);
	buf_release(&entry);
}

static void start(void)
{
	const struct log_opened opened = {
		.origin = NETWORK "/directory/1-0123456789abcdef", .log_key = {{0x15}}};
	struct network_created created = {.network = NETWORK, .hq = "hq"};
	uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct buf entry;
	enum err err;

	if (directory != NULL)
		return;
	err = crypto_init();
	assert(err == OK);
	err = signer_new(BYTES_ARRAY(seed), &hq);
	assert(err == OK);
	seed[0] = 2;
	err = signer_new(BYTES_ARRAY(seed), &haiti);
	assert(err == OK);
	err = x25519_public(BYTES_ARRAY(private_key), &public_key);
	assert(err == OK);
	err = directory_new(NETWORK, &directory);
	assert(err == OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = log_opened_write(&entry, &opened, hq);
	assert(err == OK);
	err = directory_apply(directory, buf_bytes(&entry));
	assert(err == OK);
	buf_clear(&entry);
	created.hq_node = *signer_public(hq);
	err = network_created_write(&entry, &created, hq);
	assert(err == OK);
	err = directory_apply(directory, buf_bytes(&entry));
	assert(err == OK);
	buf_release(&entry);
	admit("hq", ROLE_HQ, "", hq);
	admit("haiti", ROLE_OFFICE, "HTI", haiti);
	assert(directory_find(directory, bytes_str("haiti")) != NULL);
}

static void complaint(struct bytes in, struct arena *arena)
{
	struct mail_complaint read, again;
	struct buf packed;
	enum err err;

	if (mail_complaint_read(in, arena, &read, NULL) != OK)
		return;
	assert(read.key_count > 0 && read.key_count <= MAIL_COMPLAINT_KEYS);
	assert(strlen(read.origin) <= LIMIT_ORIGIN);
	buf_init(&packed, 1024);
	err = mail_complaint_write(&packed, &read);
	assert(err == OK);
	err = mail_complaint_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && again.key_count == read.key_count);
	mail_complaint_release(&read);
	mail_complaint_release(&again);
	buf_wipe(&packed);
}

/* Read, written and read again it is the same. */
static void grant(struct bytes in, struct arena *arena)
{
	struct mail_grant read, again;
	struct buf packed;
	enum err err;

	if (mail_grant_read(in, arena, &read, NULL) != OK)
		return;
	assert(read.key_count > 0 && read.key_count <= LIMIT_GRANT_KEYS);
	buf_init(&packed, 2 * LIMIT_MAIL_PLAIN);
	err = mail_grant_write(&packed, &read);
	assert(err == OK);
	err = mail_grant_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && again.key_count == read.key_count);
	mail_grant_release(&read);
	mail_grant_release(&again);
	buf_wipe(&packed);
}

/* A question for a second officer, and the answer. */
static void approval(struct bytes in, struct arena *arena)
{
	struct mail_approval_asked asked, again;
	struct mail_approval answer;
	struct buf packed;
	enum err err;

	if (mail_approval_read(in, arena, &answer, NULL) == OK)
		assert(answer.officer[0] != '\0' && strchr(answer.officer, '@') == NULL);
	if (mail_approval_asked_read(in, arena, &asked, NULL) != OK)
		return;
	assert(asked.reason[0] != '\0' && strlen(asked.reason) <= LIMIT_PURPOSE);
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	err = mail_approval_asked_write(&packed, &asked);
	assert(err == OK);
	err = mail_approval_asked_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && strcmp(again.officer, asked.officer) == 0);
	buf_wipe(&packed);
}

/* What was read as an item is one, and its content can be asked for. */
static void look(const struct mail_item *item, struct arena *arena)
{
	struct mail_addresses addresses;
	struct mail_content content;
	struct hash hash;

	sha256(item->body, &hash);
	assert(hash_equal(&hash, &item->item));
	assert(node_name_valid(bytes_str(item->sender)));
	assert(node_name_valid(bytes_str(item->recipient)));
	assert(strcmp(item->sender, item->recipient) != 0);
	assert(item->class <= MAIL_ERASURE);
	(void)!mail_check(directory, item, NULL);
	if (mail_open(item, NETWORK, BYTES_ARRAY(private_key), arena, &content, NULL) != OK)
		return;
	assert(content.body.size <= item->content.size);
	complaint(content.body, arena);
	if (mail_addresses_read(content.body, arena, &addresses, NULL) == OK)
		assert(addresses.count <= LIMIT_MAIL_ADDRESSES);
	mail_content_release(&content);
}

static void packed_item(struct bytes in, struct arena *arena)
{
	struct mail_item item;

	if (mail_unpack(in, NETWORK, arena, &item, NULL) == OK)
		look(&item, arena);
}

static void signed_body(struct bytes in, struct arena *arena)
{
	struct ed25519_signature signature;
	struct mail_item item;

	if (node_sign(haiti, PURPOSE_MAIL, in, &signature) == OK &&
		mail_read(in, BYTES_ARRAY(signature.b), NETWORK, arena, &item, NULL) == OK)
		look(&item, arena);
}

/* The info of an item of haiti's for headquarters with an id of zeros. */
static void sealed_plain(struct bytes in, struct arena *arena)
{
	static const char info[] = "sauti/1 mail\0\x0c" NETWORK "\0\x05haiti\0\x02hq\0\x10"
				   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static uint8_t sealed[LIMIT_MAIL_PLAIN + HPKE_OVERHEAD];
	struct mail_item item = {.sender = "haiti", .recipient = "hq", .prekey = 1};
	struct mail_content content;
	enum err err;

	if (in.size == 0 || in.size > LIMIT_MAIL_PLAIN)
		return;
	err = hpke_seal(
		&public_key, BYTES_ARRAY(info), BYTES_NONE, in, BYTES_ARRAY(ephemeral), sealed);
	assert(err == OK);
	item.content = bytes_make(sealed, in.size + HPKE_OVERHEAD);
	err = mail_open(&item, NETWORK, BYTES_ARRAY(private_key), arena, &content, NULL);
	assert(err != ERR_DECRYPT);
	if (err == OK) {
		assert(content.body.size < in.size);
		mail_content_release(&content);
	}
}

static void padded_content(struct bytes in, struct arena *arena)
{
	static uint8_t plain[LIMIT_MAIL_PLAIN];

	if (in.size > sizeof(plain) - 4)
		return;
	memset(plain, 0, sizeof(plain));
	put_u32be(plain, (uint32_t)in.size);
	if (in.size > 0)
		memcpy(plain + 4, in.data, in.size);
	sealed_plain(bytes_make(plain, in.size + 4 < 256 ? 256 : in.size + 4), arena);
}

/* Of that kind, or it is not taken. */
static void sealed_complaint(struct bytes in, struct arena *arena)
{
	static const char info[] =
		"sauti/1 complaint mail\0\x0c" NETWORK "\0\x05haiti\0\x02hq\0\x10"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static uint8_t plain[4096], sealed[sizeof(plain) + HPKE_OVERHEAD];
	struct mail_item item = {.sender = "haiti", .recipient = "hq", .prekey = 1};
	struct mail_content content;
	enum err err;

	if (in.size > sizeof(plain) - 4)
		return;
	memset(plain, 0, sizeof(plain));
	put_u32be(plain, (uint32_t)in.size);
	if (in.size > 0)
		memcpy(plain + 4, in.data, in.size);
	err = hpke_seal(&public_key, BYTES_ARRAY(info), BYTES_NONE, BYTES_ARRAY(plain),
		BYTES_ARRAY(ephemeral), sealed);
	assert(err == OK);
	item.content = BYTES_ARRAY(sealed);
	err = mail_open(&item, NETWORK, BYTES_ARRAY(private_key), arena, &content, NULL);
	assert(err == ERR_DECRYPT);
	err = mail_open_complaint(&item, NETWORK, BYTES_ARRAY(private_key), arena, &content, NULL);
	assert(err != ERR_DECRYPT);
	if (err != OK)
		return;
	assert(content.kind == MAIL_COMPLAINT);
	complaint(content.body, arena);
	mail_content_release(&content);
}

static void packed_end(struct bytes in, struct arena *arena)
{
	struct mail_end end;
	Sauti__MailEnd *message;

	if (CODEC_UNPACK(mail_end, in, &scan_limits_default, arena, &message, NULL) == OK)
		(void)!mail_end_read(codec_bytes(message->body), codec_bytes(message->signature),
			NETWORK, directory, arena, &end, NULL);
}

static void signed_end(struct bytes in, struct arena *arena)
{
	struct ed25519_signature signature;
	struct mail_end end;

	if (node_sign(hq, PURPOSE_MAIL_END, in, &signature) != OK ||
		mail_end_read(
			in, BYTES_ARRAY(signature.b), NETWORK, directory, arena, &end, NULL) != OK)
		return;
	assert(strcmp(end.recipient, "hq") == 0 && strcmp(end.sender, "hq") != 0);
}

static void addresses(struct bytes in, struct arena *arena)
{
	struct mail_addresses list, again;
	struct buf packed;
	enum err err;

	if (mail_addresses_read(in, arena, &list, NULL) != OK)
		return;
	buf_init(&packed, LIMIT_MAIL_ITEM);
	err = mail_addresses_write(&packed, &list);
	assert(err == OK);
	err = mail_addresses_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && again.count == list.count);
	buf_release(&packed);
}

static void prekey_entry(struct bytes in, struct arena *arena)
{
	struct prekey prekey;

	if (prekey_read(in, signer_public(haiti), arena, &prekey, NULL) == OK)
		assert(prekey.number > 0 && prekey_looks_like(in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(struct bytes in, struct arena * arena) = {packed_item,
		signed_body, sealed_plain, padded_content, packed_end, signed_end, addresses,
		prekey_entry, complaint, sealed_complaint, grant, approval};
	struct arena arena;

	start();
	if (size == 0 || data[0] >= sizeof(readers) / sizeof(readers[0]))
		return 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	readers[data[0]](bytes_make(data + 1, size - 1), &arena);
	arena_release(&arena);
	return 0;
}
