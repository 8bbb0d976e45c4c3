/*
 * log_tool: our proofs, and our verifiers, for a test that has others' too. A line in, a line out:
 *
 *	prove-inclusion LOG INDEX SIZE           ok LEAF ROOT PROOF
 *	prove-consistency LOG SIZE1 SIZE2        ok ROOT1 ROOT2 PROOF
 *	inclusion INDEX SIZE LEAF ROOT PROOF     ok
 *	consistency SIZE1 SIZE2 ROOT1 ROOT2 PROOF
 *	note VKEY NOTE                           a signed checkpoint by that key, or one cosigned by
 *it
 *
 * or "no" and why. LOG is the directory of one exported log, from whose tile files proofs are made
 * without a look at anything else. Hashes are hex, a proof is hashes joined by commas or "-", NOTE
 *is base64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tlog_path.h"

enum { LINE = 1 << 20, WORDS = 6 };

struct log_files {
	const char *directory;
	uint64_t total; /* how many entries its files are of */
	uint8_t tile[TILE_SIZE];
};

static size_t read_file(const struct log_files *log, const char *name, uint8_t *out, size_t max)
{
	char path[1024];
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "%s/%s", log->directory, name);
	file = fopen(path, "rb");
	if (file == NULL)
		return 0;
	got = fread(out, 1, max, file);
	fclose(file);
	return got;
}

static enum err read_tile(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct log_files *log = arg;
	struct tlog_file file = {TLOG_TILE, id, tile_width(id, log->total)};
	char name[TLOG_PATH_SIZE];

	if (file.width < width)
		return ERR_NOTFOUND;
	tlog_path_format(&file, name);
	if (read_file(log, name, log->tile, TILE_SIZE) < width * HASH_SIZE)
		return ERR_CORRUPT;
	*ret = bytes_make(log->tile, width * HASH_SIZE);
	return OK;
}

static enum err open_files(struct log_files *log, const char *directory)
{
	uint8_t note[8192];
	struct checkpoint checkpoint;
	enum err err;

	log->directory = directory;
	err = checkpoint_peek(bytes_make(note, read_file(log, "checkpoint", note, sizeof(note))),
		&checkpoint, NULL);
	if (err == OK)
		log->total = checkpoint.size;
	return err;
}

/* ---- words ---- */

static enum err number_of(const char *text, uint64_t *ret)
{
	return decimal_parse(bytes_str(text), LIMIT_LOG_SIZE, ret);
}

static enum err hash_of(const char *text, struct hash *ret)
{
	return hex_decode(bytes_str(text), ret->b, HASH_SIZE);
}

static enum err proof_of(char *text, struct proof *ret)
{
	char *save = NULL;

	ret->count = 0;
	if (strcmp(text, "-") == 0)
		return OK;
	for (char *hash = strtok_r(text, ",", &save); hash != NULL;
		hash = strtok_r(NULL, ",", &save)) {
		if (ret->count == LIMIT_PROOF_HASHES)
			return ERR_LIMIT;
		TRY(hash_of(hash, &ret->hashes[ret->count++]));
	}
	return OK;
}

static void print_hash(const struct hash *hash, const char *before)
{
	char hex[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(hash), hex);
	printf("%s%s", before, hex);
}

static void print_proof(
	const struct hash *first, const struct hash *second, const struct proof *proof)
{
	printf("ok");
	print_hash(first, " ");
	print_hash(second, " ");
	printf("%s", proof->count == 0 ? " -" : "");
	for (size_t i = 0; i < proof->count; i++)
		print_hash(&proof->hashes[i], i == 0 ? " " : ",");
	putchar('\n');
}

/* ---- what can be asked ---- */

static enum err prove_inclusion(char **words)
{
	struct log_files log;
	struct tile_reader reader = {{read_tile, &log}, 0};
	struct tree_source tree;
	struct hash leaf, root;
	struct proof proof;
	uint64_t index;

	TRY(open_files(&log, words[1]));
	TRY(number_of(words[2], &index));
	TRY(number_of(words[3], &reader.size));
	tree = tile_reader_tree(&reader);
	TRY(tree.node(tree.arg, 0, index, &leaf));
	TRY(tree_root(&tree, reader.size, &root));
	TRY(tree_prove_inclusion(&tree, index, reader.size, &proof));
	print_proof(&leaf, &root, &proof);
	return OK;
}

static enum err prove_consistency(char **words)
{
	struct log_files log;
	struct tile_reader reader = {{read_tile, &log}, 0};
	struct tree_source tree;
	struct hash first, second;
	struct proof proof;
	uint64_t size;

	TRY(open_files(&log, words[1]));
	TRY(number_of(words[2], &size));
	TRY(number_of(words[3], &reader.size));
	tree = tile_reader_tree(&reader);
	TRY(tree_root(&tree, reader.size, &second));
	TRY(tree_prove_consistency(&tree, size, reader.size, &proof));
	TRY(tree_root(&tree, size, &first));
	print_proof(&first, &second, &proof);
	return OK;
}

static enum err check_proof(char **words, bool inclusion)
{
	struct hash first, second;
	struct proof proof;
	uint64_t a, b;
	bool right;

	TRY(number_of(words[1], &a));
	TRY(number_of(words[2], &b));
	TRY(hash_of(words[3], &first));
	TRY(hash_of(words[4], &second));
	TRY(proof_of(words[5], &proof));
	right = inclusion ? proof_inclusion_ok(&proof, a, &first, b, &second)
			  : proof_consistency_ok(&proof, a, &first, b, &second);
	if (!right)
		return ERR_PROOF;
	puts("ok");
	return OK;
}

/* Of a cosignature: the line of that name and id verifies over the text. */
static enum err check_cosigned(struct bytes data, const struct note_key *key)
{
	struct checkpoint checkpoint;
	struct note note;

	TRY(note_parse(data, &note, NULL));
	TRY(checkpoint_parse(note.text, &checkpoint, NULL));
	for (size_t i = 0; i < note.count; i++) {
		if (note.lines[i].id == key->id && bytes_equal_str(note.lines[i].name, key->name))
			return cosignature_verify(&note.lines[i], note.text, key, NULL);
	}
	return ERR_UNTRUSTED;
}

static enum err check_note(char **words)
{
	static struct buf data;
	struct checkpoint checkpoint;
	struct note_key key;
	enum err err;

	TRY(note_key_parse(bytes_str(words[1]), &key));
	buf_init(&data, LINE);
	err = base64_decode(bytes_str(words[2]), &data);
	if (err == OK && key.type == NOTE_ED25519)
		err = checkpoint_open(buf_bytes(&data), &key, &checkpoint, NULL, NULL);
	else if (err == OK)
		err = check_cosigned(buf_bytes(&data), &key);
	buf_release(&data);
	if (err == OK)
		puts("ok");
	return err;
}

static enum err answer(char **words, size_t count)
{
	if (count == 4 && strcmp(words[0], "prove-inclusion") == 0)
		return prove_inclusion(words);
	if (count == 4 && strcmp(words[0], "prove-consistency") == 0)
		return prove_consistency(words);
	if (count == 6 && strcmp(words[0], "inclusion") == 0)
		return check_proof(words, true);
	if (count == 6 && strcmp(words[0], "consistency") == 0)
		return check_proof(words, false);
	if (count == 3 && strcmp(words[0], "note") == 0)
		return check_note(words);
	fprintf(stderr, "log_tool: what is '%s' with %zu words?\n", count == 0 ? "" : words[0],
		count);
	exit(2);
}

int main(void)
{
	static char line[LINE];
	char *words[WORDS], *save = NULL;
	enum err err = crypto_init();

	while (err == OK && fgets(line, sizeof(line), stdin) != NULL) {
		size_t count = 0;

		for (char *word = strtok_r(line, " \n", &save); word != NULL && count < WORDS;
			word = strtok_r(NULL, " \n", &save))
			words[count++] = word;
		err = answer(words, count);
		if (err != OK)
			printf("no: %s\n", err_text(err));
		err = fflush(stdout) == 0 ? OK : ERR_IO;
	}
	crypto_release();
	return err == OK ? 0 : 1;
}
