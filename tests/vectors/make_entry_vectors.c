/*
 * Writes tests/vectors/entry.json to standard output: the bytes of entries of every kind that this
 * version writes, and of some that it must refuse or skip. Sealed ones have vectors of their own.
 */
#include "certs/record.h"
#include "tests/vectors/record_any.h"
#include "tests/vectors/vectors.h"

static struct signer *node, *other;

static void good(const char *name, const struct buf *entry, const struct signer *by, uint32_t type,
	struct bytes body)
{
	json_open(name);
	json_hex("entry", buf_bytes(entry));
	json_number("type", type);
	json_hex("body", body);
	if (by != NULL)
		json_hex("node", BYTES_ARRAY(signer_public(by)->b));
	json_close();
}

static struct log_opened opened_make(void)
{
	struct signer *log = fixed_signer(3);
	struct log_opened opened = {.origin = ORIGIN,
		.previous_origin = "",
		.log_key = *signer_public(log),
		.opened_at = 1767225600};

	signer_free(log);
	return opened;
}

/* The record of an entry, which borrows from the arena. */
static struct record record_of(struct buf *entry, struct arena *arena)
{
	struct record record;
	enum err err;

	arena_init(arena, LIMIT_ARENA_SIZE);
	err = record_read(buf_bytes(entry), arena, &record, NULL);
	assert(err == OK);
	return record;
}

static void put_good(const char *name, struct buf *entry, const struct signer *by)
{
	struct arena arena;
	struct record record = record_of(entry, &arena);

	good(name, entry, by, record.type, record.body);
	arena_release(&arena);
	buf_clear(entry);
}

static void put_opened(struct buf *entry)
{
	struct log_opened opened = opened_make();
	enum err err = log_opened_write(entry, &opened, node);

	assert(err == OK);
	put_good("LogOpened", entry, node);
	opened.previous_origin = "ovra.example/haiti/1-ffeeddccbbaa9988";
	opened.origin = "ovra.example/haiti/2-0000000000000001";
	err = log_opened_write(entry, &opened, node);
	assert(err == OK);
	put_good("LogOpened of a second epoch", entry, node);
}

static void put_network(struct buf *entry)
{
	struct network_created created = {.network = "ovra.example",
		.hq = "hq",
		.hq_node = *signer_public(node),
		.created_at = 1767225600};
	enum err err;

	memset(created.root_certificate.b, 0x5a, HASH_SIZE);
	err = network_created_write(entry, &created, node);
	assert(err == OK);
	put_good("NetworkCreated", entry, node);
}

static void put_admitted(struct buf *entry)
{
	struct member member = {
		.name = "haiti", .country = "HTI", .role = ROLE_OFFICE, .made_at = 1767225600};
	struct signer *mirror = fixed_signer(4), *witness = fixed_signer(5);
	struct buf body;
	enum err err;

	member.node = *signer_public(node);
	member.mirror = *signer_public(mirror);
	member.witness = *signer_public(witness);
	memset(member.tls_spki.b, 0x7f, HASH_SIZE);
	memset(member.complaint.b, 9, X25519_KEY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	err = node_admitted_body(&body, "ovra.example", &member);
	assert(err == OK);
	err = record_write(entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), node);
	assert(err == OK);
	put_good("NodeAdmitted", entry, node);
	buf_release(&body);
	signer_free(mirror);
	signer_free(witness);
}

/* A type of a later version: kept, and skipped. */
static void put_unknown(struct buf *entry)
{
	record_any(entry, 99, bytes_str("later"));
	put_good("a record of an unknown type", entry, NULL);
}

static void bad(const char *name, struct bytes entry)
{
	json_open(name);
	json_hex("entry", entry);
	json_hex("node", BYTES_ARRAY(signer_public(node)->b));
	json_close();
}

static void put_bad(struct buf *entry)
{
	struct log_opened opened = opened_make();
	uint8_t signature[ED25519_SIGNATURE_SIZE] = {0};
	enum err err = log_opened_write(entry, &opened, node);

	assert(err == OK);
	bad("cut short", bytes_make(entry->data, entry->size - 1));
	entry->data[entry->size - 1] ^= 1;
	bad("signature changed", buf_bytes(entry));
	entry->data[entry->size - 1] ^= 1;
	entry->data[20] ^= 1;
	bad("body changed", buf_bytes(entry));
	buf_clear(entry);
	err = log_opened_write(entry, &opened, other);
	assert(err == OK);
	bad("signed by another node", buf_bytes(entry));
	buf_clear(entry);
	err = record_write_signed(entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, bytes_str("x"),
		BYTES_ARRAY(signature));
	assert(err == OK);
	bad("signature of zeros", buf_bytes(entry));
	buf_clear(entry);
}

int main(void)
{
	struct buf entry;
	enum err err = crypto_init();

	assert(err == OK);
	node = fixed_signer(1);
	other = fixed_signer(2);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	printf("{\n\"version\": 1,\n\"good\": [");
	json_list();
	put_opened(&entry);
	put_network(&entry);
	put_admitted(&entry);
	put_unknown(&entry);
	printf("\n],\n\"bad\": [");
	json_list();
	put_bad(&entry);
	printf("\n]\n}\n");
	buf_release(&entry);
	signer_free(node);
	signer_free(other);
	crypto_release();
	return 0;
}
