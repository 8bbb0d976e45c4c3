/*
 * make_export_vectors DIR: writes the export that stands in tests/vectors/export, into DIR: the
 * directory of a network of two nodes, and the log of one of them, with 260 entries; both cosigned.
 * That log is exported twice, at 258 and at 260 entries, so that older partial files are there.
 *
 * Entry 0 is a LogOpened, every 16th of the others is sealed (K and random bytes as in seal.json),
 * the rest are records of a type that no version has.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cases/seal/seal.h"
#include "certs/record.h"
#include "server/export/export.h"
#include "server/store/writer.h"
#include "tests/vectors/record_any.h"
#include "tests/vectors/vectors.h"

#define NETWORK   "ovra.example"
#define DIRECTORY "ovra.example/directory/1-ddddddddddddddaa"

enum { TIME = 1767225600, FIRST = 258, SIZE = 260, SEALED_EVERY = 16 };

static void must(enum err err, const struct errctx *ctx)
{
	if (err == OK)
		return;
	fprintf(stderr, "make_export_vectors: %s\n", err_message(ctx, err));
	exit(1);
}

struct node {
	const char *name, *country;
	enum role role;
	uint8_t key; /* of node; mirror and witness are the next two */
};
static const struct node nodes[] = {{"hq", "", ROLE_HQ, 0x10}, {"haiti", "HTI", ROLE_OFFICE, 0x20}};

/* ---- entries ---- */

struct entry_list {
	struct buf bytes[SIZE];
	size_t count;
};

static struct buf *add(struct entry_list *list)
{
	struct buf *entry = &list->bytes[list->count++];

	buf_init(entry, LIMIT_ENTRY_SIZE);
	return entry;
}

static void add_opened(
	struct entry_list *list, const char *origin, uint8_t log_key, const struct signer *node)
{
	struct signer *log = fixed_signer(log_key);
	struct log_opened opened = {.origin = origin,
		.previous_origin = "",
		.log_key = *signer_public(log),
		.opened_at = TIME};

	must(log_opened_write(add(list), &opened, node), NULL);
	signer_free(log);
}

static void add_admitted(struct entry_list *list, const struct node *n)
{
	struct signer *node = fixed_signer(n->key), *mirror = fixed_signer(n->key + 1);
	struct signer *witness = fixed_signer(n->key + 2);
	struct member member = {.role = n->role, .made_at = TIME};
	struct buf body;

	strcpy(member.name, n->name);
	strcpy(member.country, n->country);
	member.node = *signer_public(node);
	member.mirror = *signer_public(mirror);
	member.witness = *signer_public(witness);
	memset(member.tls_spki.b, n->key + 3, HASH_SIZE);
	memset(member.complaint.b, n->key + 4, X25519_KEY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	must(node_admitted_body(&body, NETWORK, &member), NULL);
	must(record_write(
		     add(list), SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), node),
		NULL);
	buf_release(&body);
	signer_free(node);
	signer_free(mirror);
	signer_free(witness);
}

static void fill_directory(struct entry_list *list)
{
	struct signer *hq = fixed_signer(nodes[0].key);
	struct network_created created = {
		.network = NETWORK, .hq = "hq", .hq_node = *signer_public(hq), .created_at = TIME};

	memset(created.root_certificate.b, 0x5a, HASH_SIZE);
	add_opened(list, DIRECTORY, 0x0d, hq);
	must(network_created_write(add(list), &created, hq), NULL);
	add_admitted(list, &nodes[0]);
	add_admitted(list, &nodes[1]);
	signer_free(hq);
}

static void add_sealed(struct entry_list *list, struct sealer *sealer, uint64_t i)
{
	uint8_t k[32], random[16];
	struct seal_position at = {.index = i};
	struct seal_options options = {random, false};
	struct seal_key key;

	for (size_t b = 0; b < sizeof(k); b++)
		k[b] = (uint8_t)(0x40 + b);
	for (size_t b = 0; b < sizeof(random); b++)
		random[b] = (uint8_t)(0xa0 + i + b);
	sha256(bytes_str(ORIGIN), &at.origin);
	must(seal_key_init(&key, BYTES_ARRAY(k)), NULL);
	must(seal_write(sealer, &key, &at, &options, bytes_str("lorem ipsum"), add(list)), NULL);
	seal_key_release(&key);
}

static void fill_log(struct entry_list *list)
{
	uint8_t body[2];
	struct signer *node = fixed_signer(nodes[1].key);
	struct sealer *sealer;

	must(sealer_new(&sealer), NULL);
	add_opened(list, ORIGIN, 0x03, node);
	for (unsigned i = 1; i < SIZE; i++) {
		put_u16be(body, (uint16_t)i);
		if (i % SEALED_EVERY == 0)
			add_sealed(list, sealer, i / SEALED_EVERY);
		else
			record_any(add(list), 99, BYTES_ARRAY(body));
	}
	sealer_free(sealer);
	signer_free(node);
}

static void list_release(struct entry_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		buf_release(&list->bytes[i]);
	list->count = 0;
}

/* ---- store and export ---- */

struct made {
	struct store *store;
	struct writer *writer;
	int woken;
	struct checkpoint checkpoint;
	struct buf note;
};

static void on_wake(void *arg)
{
	const struct made *made = arg;
	uint64_t one = 1;
	ssize_t size = write(made->woken, &one, sizeof(one));

	assert(size == sizeof(one));
}

static void append(struct made *made, const char *origin, uint8_t log_key,
	const struct entry_list *list, size_t from, size_t to)
{
	struct origin o = {{0}};
	struct signer *signer = fixed_signer(log_key);
	struct bytes views[SIZE];
	struct compact compact;
	struct store_write *write;
	struct errctx ctx = {""};
	uint64_t wakes;
	ssize_t size;

	strcpy(o.text, origin);
	write = store_write_new(&o);
	assert(write != NULL);
	compact_init(&compact);
	for (size_t i = 0; i < to; i++) {
		struct hash leaf;

		views[i] = buf_bytes(&list->bytes[i]);
		tree_leaf(views[i], &leaf);
		compact_append(&compact, &leaf);
	}
	made->checkpoint = (struct checkpoint){.origin = o, .size = to};
	compact_root(&compact, &made->checkpoint.root);
	buf_init(&made->note, LIMIT_NOTE_SIZE);
	must(checkpoint_sign(&made->note, &made->checkpoint, signer), NULL);
	write->first = from;
	must(entries_make(views + from, to - from, &write->entries), NULL);
	buf_put(&write->checkpoint, buf_bytes(&made->note));
	writer_submit(made->writer, write);
	size = read(made->woken, &wakes, sizeof(wakes));
	assert(size == sizeof(wakes));
	write = writer_done(made->writer, &ctx);
	assert(write != NULL);
	must(write->result, &ctx);
	store_write_free(write);
	signer_free(signer);
}

static void export(
	struct made *made, const char *directory, uint8_t log_key, const struct node *mirror)
{
	struct signer *log = fixed_signer(log_key), *signer = fixed_signer(mirror->key + 1);
	struct export_opts opts = {.store = made->store, .origin = made->checkpoint.origin};
	struct export_cosignature cosignature;
	struct export_result result;
	struct errctx ctx = {""};
	struct buf text, line;

	buf_init(&text, LIMIT_NOTE_SIZE);
	buf_init(&line, LIMIT_NOTE_SIZE);
	must(log_note_key(&opts.origin, signer_public(log), &opts.key), NULL);
	must(mirror_note_key(bytes_str(NETWORK), bytes_str(mirror->name), signer_public(signer),
		     &cosignature.key),
		NULL);
	checkpoint_format(&text, &made->checkpoint);
	must(cosignature_sign(&line, buf_bytes(&text), TIME + made->checkpoint.size,
		     cosignature.key.name, signer),
		NULL);
	cosignature.line = buf_bytes(&line);
	opts.note = buf_bytes(&made->note);
	opts.cosignatures = &cosignature;
	opts.cosignature_count = 1;
	must(destination_open(directory, "/nonexistent", &opts.destination, &ctx), &ctx);
	must(export_log(&opts, &result, &ctx), &ctx);
	destination_close(opts.destination);
	buf_release(&made->note);
	buf_release(&text);
	buf_release(&line);
	signer_free(log);
	signer_free(signer);
}

static void make_all(struct made *made, const char *directory)
{
	static struct entry_list list;

	fill_directory(&list);
	append(made, DIRECTORY, 0x0d, &list, 0, list.count);
	export(made, directory, 0x0d, &nodes[1]);
	list_release(&list);
	fill_log(&list);
	append(made, ORIGIN, 0x03, &list, 0, FIRST);
	export(made, directory, 0x03, &nodes[0]);
	append(made, ORIGIN, 0x03, &list, FIRST, SIZE);
	export(made, directory, 0x03, &nodes[0]);
	list_release(&list);
}

int main(int argc, char **argv)
{
	char scratch[] = "/tmp/sauti-vectors-XXXXXX", store[64], file[80];
	struct store_opts opts = {
		.path = store, .network = NETWORK, .node = "haiti", .map_size = 1 << 24};
	struct made made = {0};
	struct errctx ctx = {""};

	if (argc != 2 || mkdtemp(scratch) == NULL) {
		fputs("usage: make_export_vectors DIR\n", stderr);
		return 2;
	}
	snprintf(store, sizeof(store), "%s/store", scratch);
	must(crypto_init(), NULL);
	must(store_open(&opts, &made.store, &ctx), &ctx);
	made.woken = eventfd(0, EFD_CLOEXEC);
	must(writer_start(
		     &(struct writer_opts){made.store, NULL, on_wake, &made}, &made.writer, &ctx),
		&ctx);
	make_all(&made, argv[1]);
	writer_stop(made.writer);
	writer_free(made.writer);
	store_close(made.store);
	close(made.woken);
	for (const char *const *name = (const char *const[]){"data.mdb", "lock.mdb", "lock", NULL};
		*name != NULL; name++) {
		snprintf(file, sizeof(file), "%s/%s", store, *name);
		unlink(file);
	}
	rmdir(store);
	rmdir(scratch);
	crypto_release();
	return 0;
}
