/*
 * make_log DIR SIZE: writes an export (docs/FORMAT) of a network of two nodes into DIR: the
 * directory, headquarters' log, and the office's, which has SIZE entries; each cosigned by the
 * other node's mirror, the office's by headquarters' witness, too. Prints every key as a line
 * "vkey".
 *
 * All by the code that nodes run, but for the store: a log of three levels has over 65,536 entries.
 * Keys and times are fixed, so that the same arguments make the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/record.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tlog_path.h"
#include "tests/vectors/record_any.h"
#include "tests/vectors/vectors.h"

#define NETWORK   "ovra.example"
#define DIRECTORY "ovra.example/directory/1-ddddddddddddddaa"
#define HQ_LOG    "ovra.example/hq/1-00000000000000bb"

enum { TIME = 1767225600, SIZE_MAX_MADE = 1 << 20, BODY = 32 };

struct node {
	const char *name, *country;
	enum role role;
	uint8_t key; /* of node; mirror, witness, and the rest are the next ones */
};
static const struct node hq = {"hq", "", ROLE_HQ, 0x10},
			 office = {"haiti", "HTI", ROLE_OFFICE, 0x20};

struct made_log {
	const char *directory, *origin; /* below which to write, and under which name */
	uint8_t key;
	struct buf bundle; /* the entries of the file that is being filled */
	struct hash *leaves;
	uint64_t size, size_max;
};

static void must(enum err err, const char *what)
{
	if (err == OK)
		return;
	fprintf(stderr, "make_log: %s: %s\n", what, err_text(err));
	exit(1);
}

/* ---- files ---- */

static void put_file(const struct made_log *log, const char *name, struct bytes data)
{
	char path[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", log->directory, log->origin, name);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			must(ERR_IO, path);
		*slash = '/';
	}
	file = fopen(path, "wb");
	if (file == NULL || fwrite(data.data, 1, data.size, file) != data.size || fclose(file) != 0)
		must(ERR_IO, path);
}

static void put_tlog_file(const struct made_log *log, enum tlog_kind kind, struct tile_id id,
	size_t width, struct bytes data)
{
	struct tlog_file file = {kind, id, (unsigned)width};
	char name[TLOG_PATH_SIZE];

	tlog_path_format(&file, name);
	put_file(log, name, data);
}

static enum err put_tile(void *arg, struct tile_id id, struct bytes hashes)
{
	put_tlog_file(arg, TLOG_TILE, id, hashes.size / HASH_SIZE, hashes);
	return OK;
}

/* ---- one log ---- */

static void log_begin(struct made_log *log, const char *directory, const char *origin, uint8_t key,
	uint64_t size_max)
{
	*log = (struct made_log){directory, origin, key, .size_max = size_max};
	buf_init(&log->bundle, TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE));
	log->leaves = calloc(size_max, sizeof(*log->leaves));
	must(log->leaves == NULL ? ERR_NOMEM : OK, origin);
}

static void log_add(struct made_log *log, struct buf *entry)
{
	assert(log->size < log->size_max);
	must(entry->err, "entry");
	tree_leaf(buf_bytes(entry), &log->leaves[log->size++]);
	buf_put_u16be(&log->bundle, (uint16_t)entry->size);
	buf_put(&log->bundle, buf_bytes(entry));
	must(log->bundle.err, "bundle");
	if (log->size % TILE_WIDTH == 0 || log->size == log->size_max) {
		put_tlog_file(log, TLOG_ENTRIES, (struct tile_id){0, (log->size - 1) / TILE_WIDTH},
			(log->size - 1) % TILE_WIDTH + 1, buf_bytes(&log->bundle));
		buf_clear(&log->bundle);
	}
	buf_clear(entry);
}

static enum err no_tile(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	(void)arg, (void)id, (void)width, (void)ret;
	return ERR_NOTFOUND;
}

static void print_key(const struct note_key *key)
{
	struct buf text;

	buf_init(&text, LIMIT_NOTE_SIZE);
	note_key_format(&text, key);
	puts(buf_cstr(&text));
	buf_release(&text);
}

static void cosign(struct buf *note, struct bytes text, const struct node *by, bool witness)
{
	struct signer *signer = fixed_signer((uint8_t)(by->key + (witness ? 2 : 1)));
	struct note_key key;

	must((witness ? witness_note_key : mirror_note_key)(
		     bytes_str(NETWORK), bytes_str(by->name), signer_public(signer), &key),
		by->name);
	must(cosignature_sign(note, text, TIME + 600, key.name, signer), by->name);
	print_key(&key);
	signer_free(signer);
}

/* Tiles and checkpoint. */
static void log_end(struct made_log *log, const struct node *mirror, const struct node *witness)
{
	struct signer *signer = fixed_signer(log->key);
	struct tile_source source = {no_tile, NULL};
	struct tile_sink sink = {put_tile, log};
	struct checkpoint checkpoint = {.size = log->size};
	struct compact compact;
	struct buf note, text;
	struct note_key key;

	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_init(&text, LIMIT_NOTE_SIZE);
	must(tiles_extend(&source, 0, log->leaves, log->size, &sink), "tiles");
	compact_init(&compact);
	for (uint64_t i = 0; i < log->size; i++)
		compact_append(&compact, &log->leaves[i]);
	compact_root(&compact, &checkpoint.root);
	strcpy(checkpoint.origin.text, log->origin);
	must(log_note_key(&checkpoint.origin, signer_public(signer), &key), log->origin);
	must(checkpoint_sign(&note, &checkpoint, signer), log->origin);
	print_key(&key);
	checkpoint_format(&text, &checkpoint);
	cosign(&note, buf_bytes(&text), mirror, false);
	if (witness != NULL)
		cosign(&note, buf_bytes(&text), witness, true);
	put_file(log, "checkpoint", buf_bytes(&note));
	signer_free(signer);
	buf_release(&note);
	buf_release(&text);
	buf_release(&log->bundle);
	free(log->leaves);
}

/* ---- entries ---- */

static void add_opened(struct made_log *log, const struct node *node, struct buf *entry)
{
	struct signer *key = fixed_signer(log->key), *by = fixed_signer(node->key);
	struct log_opened opened = {.origin = log->origin,
		.previous_origin = "",
		.log_key = *signer_public(key),
		.opened_at = TIME};

	must(log_opened_write(entry, &opened, by), log->origin);
	log_add(log, entry);
	signer_free(key);
	signer_free(by);
}

static void add_admitted(struct made_log *log, const struct node *n, struct buf *entry)
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
	must(node_admitted_body(&body, NETWORK, &member), n->name);
	must(record_write(entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), node),
		n->name);
	log_add(log, entry);
	buf_release(&body);
	signer_free(node);
	signer_free(mirror);
	signer_free(witness);
}

static void make_directory(const char *directory, struct buf *entry)
{
	struct signer *by = fixed_signer(hq.key);
	struct network_created created = {
		.network = NETWORK, .hq = "hq", .hq_node = *signer_public(by), .created_at = TIME};
	struct made_log log;

	memset(created.root_certificate.b, 0x5a, HASH_SIZE);
	log_begin(&log, directory, DIRECTORY, 0x0d, 4);
	add_opened(&log, &hq, entry);
	must(network_created_write(entry, &created, by), DIRECTORY);
	log_add(&log, entry);
	add_admitted(&log, &hq, entry);
	add_admitted(&log, &office, entry);
	log_end(&log, &office, NULL);
	signer_free(by);
}

/* Records of a type that no version has: readers keep and skip them. */
static void make_log(const char *directory, const char *origin, const struct node *node,
	const struct node *mirror, uint64_t size, struct buf *entry)
{
	struct made_log log;
	char body[BODY];

	log_begin(&log, directory, origin, (uint8_t)(node->key + 5), size);
	add_opened(&log, node, entry);
	for (uint64_t i = 1; i < size; i++) {
		snprintf(body, sizeof(body), "entry %llu", (unsigned long long)i);
		record_any(entry, 99, bytes_str(body));
		log_add(&log, entry);
	}
	log_end(&log, mirror, node == &office ? mirror : NULL);
}

int main(int argc, char **argv)
{
	struct made_log root = {.directory = argc > 1 ? argv[1] : "", .origin = "."};
	struct buf entry;
	uint64_t size = 0;

	if (argc != 3 || decimal_parse(bytes_str(argv[2]), SIZE_MAX_MADE, &size) != OK ||
		size < 2) {
		fputs("usage: make_log DIR SIZE\n", stderr);
		return 2;
	}
	must(crypto_init(), "crypto");
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	put_file(&root, ".sauti-export", bytes_str("sauti export 1\n"));
	make_directory(argv[1], &entry);
	make_log(argv[1], HQ_LOG, &hq, &office, 3, &entry);
	make_log(argv[1], ORIGIN, &office, &hq, size, &entry);
	buf_release(&entry);
	crypto_release();
	return 0;
}
