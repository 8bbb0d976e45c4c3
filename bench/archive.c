/*
 * bench_archive: an export (docs/FORMAT, "Export") of a small network, fast: the directory's log
 * and its members', real keys, real signatures, entries that are pseudo-random.
 *
 *   bench_archive DIR COUNT ENTRY-BYTES [FROM]
 *
 * DIR/ovra.example/: a directory of three members (hq, haiti, mali), and haiti's log of COUNT
 * entries, the first its LogOpened; the others' logs have theirs alone. Whoever is not the author
 * cosigns as a mirror, which is one more than the quorum, and haiti's log as a witness, too. The
 * same arguments make the same files, but for the time of the cosignatures. With FROM only what a
 * tree of FROM entries has not is written: the archive grows. Prints the directory's verifier key,
 * haiti's log, and the bytes of its entries as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "certs/record.h"
#include "lib.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tlog_path.h"

#define NETWORK   "ovra.example"
#define DIRECTORY NETWORK "/directory/1-0123456789abcdef"
#define OFFICE    NETWORK "/haiti/1-00000000000000a1"

enum { ENTRY_MIN = 8, FILE_MAX = TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE) };
enum { HQ, HAITI, MALI, MEMBERS };
static const char *const names[MEMBERS] = {"hq", "haiti", "mali"};
static const char *const countries[MEMBERS] = {"", "HTI", "MLI"};

struct actor {
	struct signer *node, *mirror, *witness;
	struct member member;
};

struct writer {
	char directory[2048];
	const char *origin;
	uint64_t from; /* files of a tree of this size are there */
	uint64_t size, bytes;
	struct buf entries; /* of the file that is being filled */
	struct hash hash[TILE_LEVELS][TILE_WIDTH];
	struct compact tree;
};

/* --- keys and records --- */

static struct signer *key(unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {0xa7};
	struct signer *signer;

	put_u32be(seed + 4, number);
	check(signer_new(BYTES_ARRAY(seed), &signer), NULL, "key");
	return signer;
}

static void actor_init(struct actor *actor, unsigned n)
{
	struct member *m = &actor->member;

	*actor =
		(struct actor){key(10 * n + 1), key(10 * n + 2), key(10 * n + 3), {.active = true}};
	snprintf(m->name, sizeof(m->name), "%s", names[n]);
	snprintf(m->country, sizeof(m->country), "%s", countries[n]);
	m->role = n == HQ ? ROLE_HQ : ROLE_OFFICE;
	m->node = *signer_public(actor->node);
	m->mirror = *signer_public(actor->mirror);
	m->witness = *signer_public(actor->witness);
	memset(m->complaint.b, 0xc0, sizeof(m->complaint.b));
	put_u32be(m->complaint.b, n);
	memset(m->tls_spki.b, 0x70, HASH_SIZE);
	put_u32be(m->tls_spki.b, n);
	m->made_at = 1700000000 + n;
}

static void actor_release(struct actor *actor)
{
	signer_free(actor->node);
	signer_free(actor->mirror);
	signer_free(actor->witness);
}

/* --- files --- */

static void make_parents(char *path)
{
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
}

static void write_file(const struct writer *w, const char *name, struct bytes data)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", w->directory, w->origin, name);
	file = fopen(path, "wb");
	if (file == NULL) {
		make_parents(path);
		file = fopen(path, "wb");
	}
	if (file == NULL || fwrite(data.data, 1, data.size, file) != data.size || fclose(file) != 0)
		die("cannot write '%s'", path);
}

/* Unless a tree of `from` entries has it already. */
static void put_file(const struct writer *w, enum tlog_kind kind, unsigned level, unsigned width,
	struct bytes data)
{
	uint64_t hashes = w->size >> (8 * level);
	struct tlog_file file = {kind, {level, (hashes - width) / TILE_WIDTH}, width};
	char path[TLOG_PATH_SIZE];

	if (tile_width(file.id, w->from) == width)
		return;
	tlog_path_format(&file, path);
	write_file(w, path, data);
}

/* The tile of a level as far as it is filled, and at level 0 its entries. */
static void put_level(struct writer *w, unsigned level, unsigned width)
{
	put_file(w, TLOG_TILE, level, width, bytes_make(w->hash[level], width * HASH_SIZE));
	if (level == 0)
		put_file(w, TLOG_ENTRIES, 0, width, buf_bytes(&w->entries));
}

static void full(struct writer *w)
{
	for (unsigned level = 0; level < TILE_LEVELS - 1; level++) {
		struct compact tile;

		if ((w->size >> (8 * level)) % TILE_WIDTH != 0)
			return;
		put_level(w, level, TILE_WIDTH);
		compact_init(&tile);
		for (unsigned i = 0; i < TILE_WIDTH; i++)
			compact_append(&tile, &w->hash[level][i]);
		w->hash[level + 1][((w->size >> (8 * (level + 1))) - 1) % TILE_WIDTH] =
			tile.peaks[0];
		if (level == 0)
			buf_clear(&w->entries);
		if ((w->size >> (8 * (level + 1))) % TILE_WIDTH != 0)
			return;
	}
}

static void put_entry(struct writer *w, struct bytes entry)
{
	struct hash *leaf = &w->hash[0][w->size % TILE_WIDTH];

	tree_leaf(entry, leaf);
	compact_append(&w->tree, leaf);
	buf_put_lv16(&w->entries, entry);
	check(w->entries.err, NULL, "entries");
	w->size++;
	w->bytes += entry.size;
	if (w->size % TILE_WIDTH == 0)
		full(w);
}

static void cosign(struct buf *note, struct bytes text, const struct actor *actor, bool as_witness)
{
	uint64_t now = (uint64_t)time(NULL);
	struct note_key mirror, witness;

	check(mirror_note_key(bytes_str(NETWORK), bytes_str(actor->member.name),
		      &actor->member.mirror, &mirror),
		NULL, "key");
	check(witness_note_key(bytes_str(NETWORK), bytes_str(actor->member.name),
		      &actor->member.witness, &witness),
		NULL, "key");
	check(cosignature_sign(note, text, now, mirror.name, actor->mirror), NULL, "cosign");
	if (as_witness)
		check(cosignature_sign(note, text, now, witness.name, actor->witness), NULL,
			"cosign");
}

static void finish(
	struct writer *w, const struct signer *log, const struct actor *actors, int author)
{
	struct checkpoint checkpoint = {.size = w->size};
	struct buf note, text;

	for (unsigned level = 0; level < TILE_LEVELS; level++)
		if ((w->size >> (8 * level)) % TILE_WIDTH != 0)
			put_level(w, level, (unsigned)((w->size >> (8 * level)) % TILE_WIDTH));
	snprintf(checkpoint.origin.text, sizeof(checkpoint.origin.text), "%s", w->origin);
	compact_root(&w->tree, &checkpoint.root);
	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	check(checkpoint_sign(&note, &checkpoint, log), NULL, "sign");
	for (int i = 0; i < MEMBERS; i++)
		if (i != author)
			cosign(&note, buf_bytes(&text), &actors[i], author == HAITI);
	write_file(w, "checkpoint", buf_bytes(&note));
	buf_release(&note);
	buf_release(&text);
	buf_release(&w->entries);
}

/* --- the two logs --- */

static void put_opened(struct writer *w, const struct signer *log, const struct actor *author)
{
	const struct log_opened opened = {w->origin, "", *signer_public(log), 1700000000};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	check(log_opened_write(&entry, &opened, author->node), NULL, "LogOpened");
	put_entry(w, buf_bytes(&entry));
	buf_release(&entry);
}

static void directory_log(struct writer *w, const struct signer *log, const struct actor *actors)
{
	const struct network_created created = {
		NETWORK, names[HQ], actors[HQ].member.node, {{0xce, 0x47}}, 1700000001};
	struct buf entry, body;

	put_opened(w, log, &actors[HQ]);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	check(network_created_write(&entry, &created, actors[HQ].node), NULL, "NetworkCreated");
	put_entry(w, buf_bytes(&entry));
	for (int i = 0; i < MEMBERS; i++) {
		buf_clear(&entry);
		buf_clear(&body);
		check(node_admitted_body(&body, NETWORK, &actors[i].member), NULL, "NodeAdmitted");
		check(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
			      buf_bytes(&body), actors[i].node),
			NULL, "NodeAdmitted");
		put_entry(w, buf_bytes(&entry));
	}
	buf_release(&entry);
	buf_release(&body);
	finish(w, log, actors, HQ);
}

static void office_log(struct writer *w, const struct signer *log, const struct actor *actors,
	uint64_t count, size_t size)
{
	uint8_t *entry = malloc(size);
	uint64_t state = 1;

	if (entry == NULL)
		die("out of memory");
	put_opened(w, log, &actors[HAITI]);
	while (w->size < count) {
		put_u64be(entry, w->size);
		for (size_t i = ENTRY_MIN; i < size; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
			entry[i] = (uint8_t)(state >> 56);
		}
		put_entry(w, bytes_make(entry, size));
	}
	free(entry);
	finish(w, log, actors, HAITI);
}

/* Of a member who has recorded nothing. */
static void small_log(struct writer *w, const struct signer *log, const struct actor *actors, int n)
{
	put_opened(w, log, &actors[n]);
	finish(w, log, actors, n);
}

static void writer_init(struct writer *w, const char *directory, const char *origin, uint64_t from)
{
	memset(w, 0, sizeof(*w));
	snprintf(w->directory, sizeof(w->directory), "%s", directory);
	w->origin = origin;
	w->from = from;
	buf_init(&w->entries, FILE_MAX);
	compact_init(&w->tree);
}

int main(int argc, char **argv)
{
	static struct writer writer;
	struct actor actors[MEMBERS];
	struct signer *directory, *office, *hq, *mali;
	struct note_key vkey;
	struct buf text;

	if (argc != 4 && argc != 5)
		die("usage: bench_archive DIR COUNT ENTRY-BYTES [FROM]");
	if (number_of(argv[3]) < ENTRY_MIN || number_of(argv[3]) > LIMIT_ENTRY_SIZE)
		die("entries have %d to %d bytes", ENTRY_MIN, LIMIT_ENTRY_SIZE);
	check(crypto_init(), NULL, "crypto");
	for (unsigned i = 0; i < MEMBERS; i++)
		actor_init(&actors[i], i);
	directory = key(7777);
	office = key(8888);
	hq = key(8889);
	mali = key(8890);
	writer_init(&writer, argv[1], DIRECTORY, 0);
	directory_log(&writer, directory, actors);
	writer_init(&writer, argv[1], NETWORK "/hq/1-00000000000000a0", 0);
	small_log(&writer, hq, actors, HQ);
	writer_init(&writer, argv[1], NETWORK "/mali/1-00000000000000a2", 0);
	small_log(&writer, mali, actors, MALI);
	writer_init(&writer, argv[1], OFFICE, argc == 5 ? number_of(argv[4]) : 0);
	office_log(&writer, office, actors, number_of(argv[2]), (size_t)number_of(argv[3]));
	check(note_key_make(DIRECTORY, NOTE_ED25519, signer_public(directory), &vkey), NULL, "key");
	buf_init(&text, LIMIT_NOTE_SIZE);
	note_key_format(&text, &vkey);
	printf("{\"directory\": \"%s\", \"log\": \"%s\", \"bytes\": %llu}\n", buf_cstr(&text),
		OFFICE, (unsigned long long)writer.bytes);
	buf_release(&text);
	for (unsigned i = 0; i < MEMBERS; i++)
		actor_release(&actors[i]);
	signer_free(directory);
	signer_free(office);
	signer_free(hq);
	signer_free(mali);
	crypto_release();
	return 0;
}
