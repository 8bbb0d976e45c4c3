/* Writes tests/vectors/receipt.json to standard output: receipts, their items, and the record of a
 * batch (docs/FORMAT). */
#include "tests/vectors/vectors.h"

#include "cases/receipt/receipt_batch.h"
#include "certs/record_receipt.h"

static const struct {
	const char *name, *network, *words;
	uint64_t index;
} receipts[] = {
	{"six words", "ovra.example", "zoo lend weasel beach abandon ocean", 7},
	{"one word six times", "ovra.example", "abandon abandon abandon abandon abandon abandon",
		0},
	{"the longest words", "a.network-with-a-longer-name.example",
		"abstract accident acoustic announce artefact attitude", UINT64_MAX},
};
enum { RECEIPTS = sizeof receipts / sizeof *receipts };
static struct receipt_item items[RECEIPTS];

static void vector(size_t i)
{
	struct receipt_words words;
	struct receipt_keys keys;
	struct receipt_box box = {.index = receipts[i].index}, again;
	enum err err = receipt_words_parse(bytes_str(receipts[i].words), &words, NULL);

	assert(err == OK);
	sha256(bytes_str(ORIGIN), &box.origin);
	sha256(bytes_str(receipts[i].name), &box.leaf);
	err = receipt_keys_derive(&words, receipts[i].network, &keys);
	assert(err == OK);
	err = receipt_item_make(&keys, &box, &items[i]);
	assert(err == OK);
	err = receipt_item_open(&keys, &items[i], &again);
	assert(err == OK && again.index == box.index);
	json_open(receipts[i].name);
	json_text("network", bytes_str(receipts[i].network));
	json_text("words", bytes_str(receipts[i].words));
	json_hex("tag", BYTES_ARRAY(keys.tag));
	json_hex("commitment", BYTES_ARRAY(keys.commitment));
	json_hex("key", BYTES_ARRAY(keys.box.key));
	json_hex("nonce", BYTES_ARRAY(keys.box.nonce));
	json_text("origin", bytes_str(ORIGIN));
	/* As text: 2^64 - 1 is no number everywhere. */
	char number[24];

	snprintf(number, sizeof number, "%llu", (unsigned long long)receipts[i].index);
	json_text("index", bytes_str(number));
	json_hex("leaf", hash_bytes(&box.leaf));
	json_hex("item", BYTES_ARRAY(items[i].b));
	json_close();
}

/* What fills a batch up, the same every time. */
static enum err filler(void *arg, uint8_t *ret, size_t size)
{
	struct hash hash;
	uint8_t *count = arg;

	for (size_t at = 0; at < size; at += HASH_SIZE) {
		sha256(bytes_make(count, 1), &hash);
		(*count)++;
		memcpy(ret + at, hash.b, size - at < HASH_SIZE ? size - at : HASH_SIZE);
	}
	return OK;
}

static void batch(const char *name, size_t count)
{
	struct signer *node = fixed_signer(0x11);
	struct buf made, body, entry;
	uint8_t from = 0;
	size_t taken;
	enum err err;

	buf_init(&made, LIMIT_RECEIPTS_BATCH * LIMIT_RECEIPT_ITEM);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	random_set(filler, &from);
	err = receipt_batch_make(items, count, &made, &taken);
	random_set(NULL, NULL);
	assert(err == OK && taken == count);
	err = receipt_tags_body(&body, buf_bytes(&made));
	assert(err == OK);
	err = receipt_tags_write(&entry, buf_bytes(&body), node);
	assert(err == OK);
	json_open(name);
	json_number("receipts", count);
	json_hex("node_key", BYTES_ARRAY(signer_public(node)->b));
	json_hex("entry", buf_bytes(&entry));
	json_close();
	buf_release(&made);
	buf_release(&body);
	buf_release(&entry);
	signer_free(node);
}

int main(void)
{
	enum err err = crypto_init();

	assert(err == OK);
	printf("{\n\"receipts\": [");
	for (size_t i = 0; i < RECEIPTS; i++)
		vector(i);
	printf("\n],\n\"batches\": [");
	json_list();
	batch("nobody waits", 0);
	batch("three wait", RECEIPTS);
	printf("\n]\n}\n");
	crypto_release();
	return 0;
}
