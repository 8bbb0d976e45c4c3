/*
 * The state of an audit: one way only to write it, every byte of it counts, whoever writes it anew
 * cannot sign; and what is there now against it, for every pair of sizes of two histories.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "replication/audit/remembered.h"
#include "replication/log/evidence.h"
#include "tests/unit/audit/histories.h"
#include "tests/unit/base/failing_alloc.h"
#include "tests/unit/certs/certs_test.h"

#define ORIGIN NETWORK "/haiti/1-0123456789abcdef"

static struct signer *log_signer, *node, *stranger;
static struct histories haiti;
static struct buf opened;
static char vkey[512];

static int setup(void **state)
{
	struct origin directory = {DIRECTORY_ORIGIN};
	struct ed25519_public key;
	struct note_key note_key;
	struct buf text;

	if (crypto_setup(state) != 0)
		return -1;
	log_signer = signer_number(1);
	node = signer_number(2);
	stranger = signer_number(3);
	histories_init(&haiti, ORIGIN, log_signer);
	histories_opened(&haiti, node, &opened);
	key = public_number(7777);
	assert_int_equal(log_note_key(&directory, &key, &note_key), OK);
	buf_init(&text, sizeof(vkey));
	note_key_format(&text, &note_key);
	snprintf(vkey, sizeof(vkey), "%s", buf_cstr(&text));
	buf_release(&text);
	return 0;
}

static int teardown(void **state)
{
	signer_free(log_signer);
	signer_free(node);
	signer_free(stranger);
	buf_release(&opened);
	return crypto_teardown(state);
}

static enum err put_of(struct remembered *r, const struct histories *h, struct bytes entry,
	uint64_t size, bool with_node)
{
	struct remembered_log log = {.opened = entry,
		.node_known = with_node,
		.changed_at = 1700000000,
		.cosigned_at = 1700000005};
	struct compact tree;
	struct buf note;
	enum err err;

	if (with_node)
		log.node = *signer_public(node);
	histories_note(h, 0, size, &note);
	histories_tree(h, 0, size, &tree);
	log.note = buf_bytes(&note);
	log.peaks = tree.peaks;
	err = remembered_put(r, &log, NULL);
	buf_release(&note);
	return err;
}

static struct remembered *state_of(uint64_t size)
{
	struct remembered *r;

	assert_int_equal(remembered_new(NETWORK, vkey, &r), OK);
	remembered_set_visited_at(r, 1700000007);
	assert_int_equal(put_of(r, &haiti, buf_bytes(&opened), size, true), OK);
	return r;
}

static void write_state(const struct remembered *r, struct buf *out)
{
	buf_init(out, LIMIT_AUDIT_STATE);
	assert_int_equal(remembered_write(r, out), OK);
}

/* Two logs, whatever the order in which they are put; and one put again. */
static void test_there_and_back(void **state)
{
	struct histories mali;
	struct remembered *r = state_of(7), *again;
	struct buf mali_opened, file, copy;
	struct compact tree, whole;

	histories_init(&mali, NETWORK "/alpha/1-0123456789abcdef", log_signer);
	histories_opened(&mali, node, &mali_opened);
	assert_int_equal(put_of(r, &mali, buf_bytes(&mali_opened), 4, false), OK);
	assert_int_equal(put_of(r, &haiti, buf_bytes(&opened), 13, true), OK);
	assert_int_equal(remembered_count(r), 2);
	write_state(r, &file);
	assert_int_equal(remembered_parse(buf_bytes(&file), &again, NULL), OK);
	write_state(again, &copy);
	assert_true(bytes_equal(buf_bytes(&file), buf_bytes(&copy)));

	assert_string_equal(remembered_network(again), NETWORK);
	assert_string_equal(remembered_directory(again), vkey);
	assert_int_equal(remembered_visited_at(again), 1700000007);
	assert_string_equal(remembered_at(again, 0)->checkpoint.origin.text, mali.origin.text);
	assert_false(remembered_at(again, 0)->node_known);
	assert_int_equal(remembered_find(again, ORIGIN)->checkpoint.size, 13);
	assert_true(remembered_find(again, ORIGIN)->node_known);
	assert_null(remembered_find(again, NETWORK "/peru/1-0123456789abcdef"));
	remembered_tree(remembered_find(again, ORIGIN), &tree);
	histories_tree(&haiti, 0, 13, &whole);
	assert_int_equal(tree.size, 13);
	assert_memory_equal(tree.peaks, whole.peaks, 3 * sizeof(struct hash));
	assert_int_equal(remembered_verify(again, NETWORK, vkey, NULL), OK);
	buf_release(&file);
	buf_release(&copy);
	buf_release(&mali_opened);
	remembered_free(again);
	remembered_free(r);
}

static void test_none_and_empty(void **state)
{
	struct remembered *r;
	struct buf file;

	assert_int_equal(remembered_new("nonsense", "", &r), ERR_INVALID);
	assert_int_equal(remembered_new(NETWORK, "nonsense", &r), ERR_INVALID);
	assert_int_equal(remembered_new(NETWORK, "", &r), OK);
	write_state(r, &file);
	remembered_free(r);
	assert_int_equal(remembered_parse(buf_bytes(&file), &r, NULL), OK);
	assert_int_equal(remembered_count(r), 0);
	assert_string_equal(remembered_directory(r), "");
	/* A state of before the directory was known goes on with one. */
	assert_int_equal(remembered_verify(r, NETWORK, vkey, NULL), OK);
	assert_int_equal(remembered_verify(r, NETWORK, "", NULL), OK);
	remembered_free(r);
	buf_release(&file);
}

static void test_every_byte_counts(void **state)
{
	struct remembered *r = state_of(7), *again;
	struct buf file;

	write_state(r, &file);
	for (size_t at = 0; at < file.size; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			enum err err;

			file.data[at] ^= (uint8_t)(1U << bit);
			err = remembered_parse(buf_bytes(&file), &again, NULL);
			file.data[at] ^= (uint8_t)(1U << bit);
			assert_true(
				err == ERR_MALFORMED || err == ERR_CORRUPT || err == ERR_VERSION);
		}
	for (size_t size = 0; size < file.size; size++)
		assert_int_equal(
			remembered_parse(bytes_make(file.data, size), &again, NULL), ERR_MALFORMED);
	buf_put_str(&file, "\n");
	assert_int_equal(remembered_parse(buf_bytes(&file), &again, NULL), ERR_MALFORMED);
	buf_release(&file);
	remembered_free(r);
}

/* The hash over what somebody wrote. */
static void seal(struct buf *file)
{
	char hex[2 * HASH_SIZE + 1];
	struct hash hash;

	sha256(buf_bytes(file), &hash);
	hex_encode(hash_bytes(&hash), hex);
	buf_printf(file, "sha256 %s\n", hex);
}

static enum err parse_with(const char *from, const char *to)
{
	struct remembered *r = state_of(7), *again;
	struct buf file, other;
	const char *at, *end;
	enum err err;

	write_state(r, &file);
	at = strstr(buf_cstr(&file), from);
	end = strstr(buf_cstr(&file), "sha256 ");
	assert_non_null(at);
	buf_init(&other, LIMIT_AUDIT_STATE);
	buf_put(&other, bytes_make(file.data, (size_t)(at - (char *)file.data)));
	buf_put_str(&other, to);
	at += strlen(from);
	buf_put(&other, bytes_make(at, (size_t)(end - at)));
	seal(&other);
	err = remembered_parse(buf_bytes(&other), &again, NULL);
	if (err == OK)
		remembered_free(again);
	buf_release(&file);
	buf_release(&other);
	remembered_free(r);
	return err;
}

/* With a good hash over it. */
static void test_one_form(void **state)
{
	assert_int_equal(parse_with("visited 1700000007", "visited 1700000008"), OK);
	assert_int_equal(parse_with("state 1\n", "state 2\n"), ERR_VERSION);
	assert_int_equal(parse_with("state 1\n", "state 01\n"), ERR_VERSION);
	assert_int_equal(parse_with("visited 17", "visited 017"), ERR_MALFORMED);
	assert_int_equal(parse_with("visited 17", "visited -7"), ERR_MALFORMED);
	assert_int_equal(parse_with("visited 17", "visited  17"), ERR_MALFORMED);
	assert_int_equal(parse_with("network ovra", "network ov/ra"), ERR_MALFORMED);
	assert_int_equal(parse_with("directory ", "directory x"), ERR_MALFORMED);
	assert_int_equal(
		parse_with("log ovra.example/haiti", "log ovra.example/mali"), ERR_MALFORMED);
	assert_int_equal(parse_with("changed", "log"), ERR_MALFORMED);
	assert_int_equal(parse_with("node ", "node  "), ERR_MALFORMED);
	assert_int_equal(parse_with("opened ", "opened AAAA"), ERR_MALFORMED);
	assert_int_equal(parse_with("peaks ", "peaks AAAA"), ERR_MALFORMED);
	assert_int_equal(parse_with("note ", "note AAAA"), ERR_MALFORMED);
	assert_int_equal(parse_with("note ", "note"), ERR_MALFORMED);
	assert_int_equal(parse_with("log ", "log \xff"), ERR_MALFORMED);
}

/* Logs in order, each once. */
static void test_logs_in_order(void **state)
{
	struct remembered *r = state_of(7), *again;
	const char *first, *end;
	struct buf file;

	write_state(r, &file);
	first = strstr(buf_cstr(&file), "log ");
	end = strstr(buf_cstr(&file), "sha256 ");
	struct buf twice;

	buf_init(&twice, LIMIT_AUDIT_STATE);
	buf_put(&twice, bytes_make(file.data, (size_t)(end - (char *)file.data)));
	buf_put(&twice, bytes_make(first, (size_t)(end - first)));
	seal(&twice);
	assert_int_equal(remembered_parse(buf_bytes(&twice), &again, NULL), ERR_MALFORMED);
	buf_release(&twice);
	buf_release(&file);
	remembered_free(r);
}

/* Parts that do not belong together never get in. */
static void test_put_refuses(void **state)
{
	struct remembered *r = state_of(7);
	struct remembered_log log = *remembered_find(r, ORIGIN);
	struct histories other;
	struct buf note, foreign;
	struct compact tree;

	histories_tree(&haiti, 1, 7, &tree);
	log.peaks = tree.peaks;
	assert_int_equal(remembered_put(r, &log, NULL), ERR_INVALID);
	log = *remembered_find(r, ORIGIN);
	histories_init(&other, NETWORK "/mali/1-0123456789abcdef", log_signer);
	histories_opened(&other, node, &foreign);
	log.opened = buf_bytes(&foreign);
	assert_int_equal(remembered_put(r, &log, NULL), ERR_INVALID);
	log.opened = bytes_str("no entry");
	assert_int_equal(remembered_put(r, &log, NULL), ERR_INVALID);
	log = *remembered_find(r, ORIGIN);
	histories_note(&haiti, 0, 0, &note);
	log.note = buf_bytes(&note);
	assert_int_equal(remembered_put(r, &log, NULL), ERR_INVALID);
	log.note = bytes_str("no note");
	assert_int_equal(remembered_put(r, &log, NULL), ERR_INVALID);
	assert_int_equal(remembered_find(r, ORIGIN)->checkpoint.size, 7);
	buf_release(&note);
	buf_release(&foreign);
	remembered_free(r);
}

static void test_whose(void **state)
{
	struct origin origin = {DIRECTORY_ORIGIN};
	struct ed25519_public key = public_number(8888);
	struct remembered *r = state_of(7);
	struct note_key other;
	struct buf text;

	assert_int_equal(remembered_verify(r, NETWORK, vkey, NULL), OK);
	assert_int_equal(remembered_verify(r, "other.example", vkey, NULL), ERR_UNTRUSTED);
	assert_int_equal(log_note_key(&origin, &key, &other), OK);
	buf_init(&text, 512);
	note_key_format(&text, &other);
	assert_int_equal(remembered_verify(r, NETWORK, buf_cstr(&text), NULL), ERR_UNTRUSTED);
	buf_release(&text);
	remembered_free(r);
}

/* Whoever writes the file has no key of a log, nor of a node. */
static void test_tampered(void **state)
{
	struct histories forged;
	struct remembered *r = state_of(7);
	struct remembered_log log;
	struct errctx ctx = {""};
	struct compact tree;
	struct buf note, entry;

	/* Another history, that the log's key did not sign. */
	histories_init(&forged, ORIGIN, stranger);
	histories_note(&forged, 1, 9, &note);
	histories_tree(&forged, 1, 9, &tree);
	log = *remembered_find(r, ORIGIN);
	log.note = buf_bytes(&note);
	log.peaks = tree.peaks;
	assert_int_equal(remembered_put(r, &log, NULL), OK);
	assert_int_equal(remembered_verify(r, NETWORK, vkey, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, ORIGIN));
	/* .. with a LogOpened to it, that the node did not sign. */
	histories_opened(&forged, stranger, &entry);
	log.opened = buf_bytes(&entry);
	log.node = *signer_public(node);
	assert_int_equal(remembered_put(r, &log, NULL), OK);
	assert_int_equal(remembered_verify(r, NETWORK, vkey, NULL), ERR_UNTRUSTED);
	buf_release(&note);
	buf_release(&entry);
	remembered_free(r);
}

static void test_caps(void **state)
{
	struct remembered *r;
	uint8_t *large = mem_zalloc(LIMIT_AUDIT_STATE + 1);

	assert_non_null(large);
	assert_int_equal(
		remembered_parse(bytes_make(large, LIMIT_AUDIT_STATE), &r, NULL), ERR_MALFORMED);
	assert_int_equal(
		remembered_parse(bytes_make(large, LIMIT_AUDIT_STATE + 1), &r, NULL), ERR_LIMIT);
	mem_free(large);
	assert_int_equal(remembered_new(NETWORK, "", &r), OK);
	for (unsigned i = 0; i <= LIMIT_LOGS; i++) {
		char origin[LIMIT_ORIGIN + 1];
		struct histories h;
		struct buf entry;

		snprintf(origin, sizeof(origin), NETWORK "/n%u/1-0123456789abcdef", i);
		histories_init(&h, origin, log_signer);
		histories_opened(&h, node, &entry);
		assert_int_equal(put_of(r, &h, buf_bytes(&entry), 1, false),
			i < LIMIT_LOGS ? OK : ERR_LIMIT);
		buf_release(&entry);
	}
	/* One that is there already may change. */
	struct buf entry;

	histories_opened(&haiti, node, &entry);
	assert_int_equal(put_of(r, &haiti, buf_bytes(&entry), 1, false), ERR_LIMIT);
	buf_release(&entry);
	assert_int_equal(remembered_count(r), LIMIT_LOGS);
	remembered_free(r);
}

static void test_out_of_memory(void **state)
{
	struct remembered *r = state_of(7), *again;
	struct failing_alloc alloc;
	struct buf file;
	enum err err = ERR_NOMEM;

	write_state(r, &file);
	for (size_t n = 1; err == ERR_NOMEM; n++) {
		failing_alloc_begin(&alloc, n);
		err = remembered_parse(buf_bytes(&file), &again, NULL);
		if (err == OK)
			remembered_free(again);
		failing_alloc_end(&alloc);
	}
	assert_int_equal(err, OK);
	buf_release(&file);
	remembered_free(r);
}

/* --- against what is there now --- */

static const struct finding_proof *proof_named(const struct finding *finding, const char *name)
{
	for (size_t i = 0; i < finding->proof_count; i++)
		if (strcmp(finding->proofs[i].name, name) == 0)
			return &finding->proofs[i];
	return NULL;
}

/* It verifies for anybody who has the log's key. */
static void check_evidence(const struct finding *finding, const struct note_key *key)
{
	const struct finding_proof *proof = proof_named(finding, "evidence");
	struct evidence evidence;
	struct arena arena;

	assert_non_null(proof);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(evidence_parse(proof->data, &arena, &evidence, NULL), OK);
	assert_int_equal(evidence_verify(&evidence, key, NULL), OK);
	arena_release(&arena);
}

struct visit {
	uint64_t then, now;
	unsigned branch;
	bool tree, walk;
	bool ended;
	uint64_t cosigned_at, now_s;
};

/* What the second of two visits finds; NULL: nothing. The caller frees findings. */
static const struct finding *visit(
	const struct visit *v, struct findings **ret_findings, bool *ret_consistent)
{
	struct histories_branch branch = {&haiti, v->branch};
	struct tree_source source = histories_source(&branch);
	struct remembered *r = state_of(v->then);
	const struct remembered_log *then = remembered_find(r, ORIGIN);
	struct compact tree;
	struct hash root;
	struct buf note;
	struct remembered_now now = {.opened = buf_bytes(&opened),
		.key = &then->key,
		.node = signer_public(node),
		.tree = v->tree ? &source : NULL,
		.cosigned_at = v->cosigned_at,
		.ended = v->ended,
		.now_s = v->now_s};

	histories_note(&haiti, v->branch, v->now, &note);
	now.note = buf_bytes(&note);
	if (v->walk && v->now >= v->then) {
		histories_tree(&haiti, v->branch, v->then, &tree);
		compact_root(&tree, &root);
		now.root_then = &root;
	}
	assert_int_equal(findings_new(ret_findings), OK);
	assert_int_equal(remembered_judge(then, &now, *ret_findings, ret_consistent, NULL), OK);
	buf_release(&note);
	remembered_free(r);
	assert_true(findings_count(*ret_findings) <= 1);
	return findings_count(*ret_findings) == 0 ? NULL : findings_at(*ret_findings, 0);
}

static void test_every_pair(void **state)
{
	struct note_key key;

	assert_int_equal(log_note_key(&haiti.origin, signer_public(log_signer), &key), OK);
	for (unsigned i = 0; i < 4 * 2 * LEAVES * LEAVES; i++) {
		struct visit v = {.then = 1 + i % LEAVES,
			.now = 1 + i / LEAVES % LEAVES,
			.branch = i / LEAVES / LEAVES % 2,
			.tree = i / LEAVES / LEAVES / 2 % 2 == 1,
			.walk = i / LEAVES / LEAVES / 4 % 2 == 1};
		bool same = v.branch == 0 || v.then <= COMMON;
		bool known = v.tree || v.walk || v.now == v.then;
		struct findings *findings;
		bool consistent;
		const struct finding *f = visit(&v, &findings, &consistent);

		assert_int_equal(consistent, same && known && v.now >= v.then);
		if (v.now < v.then) {
			assert_int_equal(f->kind, FINDING_ROLLBACK);
			assert_int_equal(f->index, v.now);
			assert_non_null(proof_named(f, "remembered checkpoint"));
			assert_non_null(proof_named(f, "checkpoint"));
		} else if (same || !known) {
			assert_null(f);
		} else {
			assert_int_equal(f->kind, FINDING_FORK);
			assert_true(!f->has_index || f->index <= COMMON);
			assert_non_null(proof_named(f, "remembered checkpoint"));
			if (v.tree || v.now == v.then)
				check_evidence(f, &key);
			else
				assert_null(proof_named(f, "evidence"));
		}
		findings_free(findings);
	}
}

/* A tree that lies proves nothing; what the walk says counts then. */
static enum err lying_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	memset(ret->b, (int)(level + index), HASH_SIZE);
	return OK;
}

static void test_lying_tree(void **state)
{
	struct tree_source source = {lying_node, NULL};
	struct remembered *r = state_of(7);
	const struct remembered_log *then = remembered_find(r, ORIGIN);
	struct findings *findings;
	struct buf note;
	bool consistent;
	struct remembered_now now = {
		.opened = buf_bytes(&opened), .key = &then->key, .tree = &source};

	histories_note(&haiti, 0, 13, &note);
	now.note = buf_bytes(&note);
	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(remembered_judge(then, &now, findings, &consistent, NULL), OK);
	assert_false(consistent);
	assert_int_equal(findings_count(findings), 0);
	now.root_then = &then->checkpoint.root;
	assert_int_equal(remembered_judge(then, &now, findings, &consistent, NULL), OK);
	assert_true(consistent);
	assert_int_equal(findings_count(findings), 0);
	findings_free(findings);
	buf_release(&note);
	remembered_free(r);
}

static void test_frozen(void **state)
{
	/* changed 1700000000, cosigned 1700000005 */
	const uint64_t limit = 1700000005 + REMEMBERED_FROZEN_S;
	const struct {
		struct visit visit;
		bool frozen;
	} rows[] = {
		{{.then = 7, .now = 7, .now_s = limit}, false},
		{{.then = 7, .now = 7, .now_s = limit + 1}, true},
		{{.then = 7, .now = 7, .now_s = limit + 1, .cosigned_at = 1700000006}, false},
		{{.then = 7, .now = 7, .now_s = limit + 2, .cosigned_at = 1700000006}, true},
		{{.then = 7, .now = 7, .now_s = limit + 1, .ended = true}, false},
		{{.then = 7, .now = 8, .now_s = limit + 1, .walk = true}, false},
		{{.then = 7, .now = 7, .now_s = 5}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *findings;
		bool consistent;
		const struct finding *f = visit(&rows[i].visit, &findings, &consistent);

		assert_true(consistent);
		assert_int_equal(f != NULL, rows[i].frozen);
		if (f != NULL)
			assert_int_equal(f->kind, FINDING_FROZEN);
		findings_free(findings);
	}
}

/* One log, opened twice. */
static void test_two_keys(void **state)
{
	struct remembered *r = state_of(7);
	const struct remembered_log *then = remembered_find(r, ORIGIN);
	struct histories other;
	struct findings *findings;
	struct evidence evidence;
	struct note_key key;
	struct arena arena;
	struct buf note, entry;
	bool consistent;
	struct remembered_now now = {.key = &key, .node = signer_public(node)};

	histories_init(&other, ORIGIN, stranger);
	histories_note(&other, 0, 9, &note);
	histories_opened(&other, node, &entry);
	assert_int_equal(log_note_key(&other.origin, signer_public(stranger), &key), OK);
	now.note = buf_bytes(&note);
	now.opened = buf_bytes(&entry);
	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(remembered_judge(then, &now, findings, &consistent, NULL), OK);
	assert_false(consistent);
	assert_int_equal(findings_at(findings, 0)->kind, FINDING_FORK);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(evidence_parse(proof_named(findings_at(findings, 0), "evidence")->data,
				 &arena, &evidence, NULL),
		OK);
	assert_int_equal(evidence_verify_keys(&evidence, signer_public(node), NULL), OK);
	arena_release(&arena);
	/* Without a node key it is told all the same. */
	now.node = NULL;
	assert_int_equal(remembered_judge(then, &now, findings, &consistent, NULL), OK);
	assert_int_equal(findings_at(findings, 1)->kind, FINDING_FORK);
	assert_null(proof_named(findings_at(findings, 1), "evidence"));
	findings_free(findings);
	buf_release(&note);
	buf_release(&entry);
	remembered_free(r);
}

static void test_gone(void **state)
{
	struct remembered *r = state_of(7);
	struct findings *findings;

	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(remembered_gone(remembered_find(r, ORIGIN), findings), OK);
	assert_int_equal(findings_at(findings, 0)->kind, FINDING_LOG_MISSING);
	assert_string_equal(findings_at(findings, 0)->origin, ORIGIN);
	assert_non_null(proof_named(findings_at(findings, 0), "remembered checkpoint"));
	findings_free(findings);
	remembered_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_none_and_empty),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_one_form),
		cmocka_unit_test(test_logs_in_order),
		cmocka_unit_test(test_put_refuses),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_every_pair),
		cmocka_unit_test(test_lying_tree),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
