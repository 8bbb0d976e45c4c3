/*
 * Who had which key when: a directory in which keys come, change, are revoked and replaced, and
 * what is signed with each of them at each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "certs/change.h"
#include "replication/audit/key_history.h"
#include "replication/log/evidence.h"
#include "tests/unit/audit/histories.h"
#include "tests/unit/base/failing_alloc.h"
#include "tests/unit/certs/certs_test.h"

#define EPOCH "-0123456789abcdef"
enum { DAY = 24 * 60 * 60 };

/* Machines: haiti's first, second (rotated) and third (replaced); kenya's, revoked; mali's. */
static struct actor hq, haiti, second, third, kenya, mali, peru;

static int setup(void **state)
{
	if (crypto_setup(state) != 0)
		return -1;
	hq = actor_make("hq", ROLE_HQ, "", 1);
	haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2);
	second = actor_make("haiti", ROLE_OFFICE, "HTI", 3);
	third = actor_make("haiti", ROLE_OFFICE, "HTI", 4);
	kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 5);
	mali = actor_make("mali", ROLE_OFFICE, "MLI", 6);
	peru = actor_make("peru", ROLE_OFFICE, "PER", 7);
	return 0;
}

static int teardown(void **state)
{
	struct actor *all[] = {&hq, &haiti, &second, &third, &kenya, &mali, &peru};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		actor_release(all[i]);
	return crypto_teardown(state);
}

/* --- the directory --- */

static void feed(struct key_history *h, struct buf *entry, struct findings *findings)
{
	assert_int_equal(key_history_entry(h, buf_bytes(entry), findings), OK);
	buf_release(entry);
}

static void found(struct key_history *h, struct findings *findings)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&hq);
	struct actor *actors[] = {&hq, &haiti, &kenya, &mali};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	feed(h, &entry, findings);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(network_created_write(&entry, &created, hq.node), OK);
	feed(h, &entry, findings);
	for (size_t i = 0; i < 4; i++) {
		entry_admitted(&entry, actors[i]);
		feed(h, &entry, findings);
	}
}

static void body_entry(
	struct buf *out, Sauti__RecordType type, struct buf *body, const struct signer *by)
{
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(out, type, buf_bytes(body), by), OK);
	buf_release(body);
}

static void rotated(struct buf *out, const struct actor *fresh, const struct signer *by,
	uint64_t size, uint32_t epoch, uint64_t at)
{
	const struct rotation rotation = {
		.member = fresh->member, .directory_size = size, .epoch = epoch, .made_at = at};
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(rotation_body(&body, NETWORK, &rotation, fresh->node), OK);
	body_entry(out, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, &body, by);
}

static struct revocation closing(
	const char *name, uint64_t at, struct revoked_log *logs, size_t count)
{
	struct revocation r = {.revoked_at = at, .logs = logs, .log_count = count};

	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.reason, sizeof(r.reason), "lorem");
	return r;
}

static void revoked(struct buf *out, const struct revocation *r)
{
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, r), OK);
	body_entry(out, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED, &body, hq.node);
}

static void replaced(
	struct buf *out, const struct actor *fresh, struct revocation r, uint32_t epoch)
{
	struct replacement replacement = {.member = fresh->member, .closing = r, .epoch = epoch};
	struct ed25519_signature signature;
	struct buf admitted, body;

	buf_init(&admitted, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&admitted, NETWORK, &fresh->member), OK);
	assert_int_equal(
		node_sign(fresh->node, PURPOSE_NODE_ADMITTED, buf_bytes(&admitted), &signature),
		OK);
	replacement.admitted = buf_bytes(&admitted);
	replacement.admitted_signature = BYTES_ARRAY(signature.b);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(replacement_body(&body, NETWORK, &replacement), OK);
	body_entry(out, SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED, &body, hq.node);
	buf_release(&admitted);
}

enum {
	ROTATED_AT = 1700000000 + 10 * DAY,
	KENYA_AT = 1700000000 + 20 * DAY,
	REVOKED_AT = 1700000000 + 30 * DAY,
	REPLACED_AT = 1700000000 + 40 * DAY
};

static struct key_history *world(struct findings **ret_findings)
{
	struct revoked_log last = {NETWORK "/kenya/1" EPOCH, 7, {{7}}, {{0x77}}};
	struct revocation r;
	struct key_history *h;
	struct buf entry;

	assert_int_equal(findings_new(ret_findings), OK);
	assert_int_equal(key_history_new(NETWORK, &h), OK);
	found(h, *ret_findings);                                /* 0 to 5 */
	rotated(&entry, &second, haiti.node, 6, 2, ROTATED_AT); /* 6 */
	feed(h, &entry, *ret_findings);
	r = closing("kenya", KENYA_AT, &last, 1); /* 7 */
	revoked(&entry, &r);
	feed(h, &entry, *ret_findings);
	r = closing("haiti", REVOKED_AT, NULL, 0); /* 8 */
	revoked(&entry, &r);
	feed(h, &entry, *ret_findings);
	r = closing("haiti", REPLACED_AT, NULL, 0); /* 9 */
	replaced(&entry, &third, r, 4);
	feed(h, &entry, *ret_findings);
	assert_int_equal(findings_count(*ret_findings), 0);
	assert_int_equal(key_history_close(h), OK);
	return h;
}

static void test_keys(void **state)
{
	const struct {
		const struct actor *actor;
		uint64_t came, came_at;
		enum key_history_end end;
		uint64_t ended, ended_at;
		uint32_t epoch;
	} rows[] = {
		{&hq, 2, 1700000001, HISTORY_LIVE, 0, 0, 0},
		{&haiti, 3, 1700000002, HISTORY_ROTATED, 6, ROTATED_AT, 2},
		{&second, 6, ROTATED_AT, HISTORY_REVOKED, 8, REVOKED_AT, 4},
		{&third, 9, REPLACED_AT, HISTORY_LIVE, 0, 0, 0},
		{&kenya, 4, 1700000005, HISTORY_REVOKED, 7, KENYA_AT, 0},
		{&mali, 5, 1700000006, HISTORY_LIVE, 0, 0, 0},
	};
	struct findings *findings;
	struct key_history *h = world(&findings);
	size_t seen = 0;

	assert_int_equal(key_history_count(h), 3 * sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < key_history_count(h); i++) {
		const struct key_history_key *key = key_history_at(h, i);

		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			const struct member *m = &rows[k].actor->member;
			const struct ed25519_public *keys[] = {&m->node, &m->mirror, &m->witness};

			if (memcmp(key->key.b, keys[key->use]->b, 32) != 0)
				continue;
			seen++;
			assert_string_equal(key->node, m->name);
			assert_int_equal(key->came_index, rows[k].came);
			assert_int_equal(key->came_at, rows[k].came_at);
			assert_int_equal(key->end, rows[k].end);
			assert_int_equal(key->ended_index, rows[k].ended);
			assert_int_equal(key->ended_at, rows[k].ended_at);
			assert_int_equal(key->epoch, rows[k].epoch);
		}
	}
	assert_int_equal(seen, key_history_count(h));
	key_history_free(h);
	findings_free(findings);
}

static void test_odd(void **state)
{
	struct findings *findings;
	struct key_history *h;
	struct buf entry;

	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(key_history_new(NETWORK, &h), OK);
	found(h, findings);
	entry_admitted(&entry, &haiti); /* once more */
	feed(h, &entry, findings);
	entry_admitted(&entry, &peru);
	feed(h, &entry, findings);
	assert_int_equal(findings_count(findings), 1);
	assert_int_equal(findings_at(findings, 0)->kind, FINDING_DIRECTORY_ODD);
	assert_int_equal(findings_at(findings, 0)->index, 6);
	assert_string_equal(findings_at(findings, 0)->origin, DIRECTORY_ORIGIN);
	assert_non_null(strstr(findings_at(findings, 0)->text, "admitted already"));
	assert_int_equal(findings_at(findings, 0)->proof_count, 1);
	key_history_free(h);
	findings_free(findings);
}

/* --- cosignatures --- */

static const char *const malis = NETWORK "/mali/1" EPOCH;

/* Of mali's log: its own line, and one of this key at that time. */
static void cosigned(unsigned key, const char *name, uint64_t time_s, struct buf *ret)
{
	struct signer *log = signer_number(900), *signer = signer_number(key);
	struct histories h;
	struct buf line;
	struct note note;

	histories_init(&h, malis, log);
	histories_note(&h, 0, 9, ret);
	assert_int_equal(note_parse(buf_bytes(ret), &note, NULL), OK);
	buf_init(&line, LIMIT_NOTE_SIZE);
	assert_int_equal(cosignature_sign(&line, note.text, time_s, name, signer), OK);
	buf_put(ret, buf_bytes(&line));
	assert_int_equal(ret->err, OK);
	buf_release(&line);
	signer_free(log);
	signer_free(signer);
}

static void test_cosigners(void **state)
{
	const struct {
		unsigned key;
		const char *name;
		uint64_t time_s;
		int kind; /* -1: fine; -2: nobody is known */
	} rows[] = {
		{11, "/mirror/hq", 1700000001, -1},
		{12, "/witness/hq", 1700000001, -1},
		{11, "/mirror/hq", UINT32_MAX, -1},
		{11, "/mirror/hq", 1700000001 - DAY, -1},
		{11, "/mirror/hq", 1700000000 - DAY, FINDING_BEFORE_ADMISSION},
		{11, "/mirror/hq", 0, FINDING_BEFORE_ADMISSION},
		{12, "/witness/hq", 1, FINDING_BEFORE_ADMISSION},
		/* Another use, another name, nobody. */
		{12, "/mirror/hq", 1700000001, -2},
		{11, "/witness/hq", 1700000001, -2},
		{11, "/mirror/mali", 1700000001, -2},
		{11, "/node/hq", 1700000001, -2},
		{71, "/mirror/peru", 1700000001, -2},
		/* Rotated: the first key, the second. */
		{21, "/mirror/haiti", ROTATED_AT + DAY, -1},
		{21, "/mirror/haiti", ROTATED_AT + DAY + 1, FINDING_KEY_REVOKED},
		{31, "/mirror/haiti", ROTATED_AT - DAY, -1},
		{31, "/mirror/haiti", ROTATED_AT - DAY - 1, FINDING_BEFORE_ADMISSION},
		/* Revoked, and replaced later: from the revocation on. */
		{31, "/mirror/haiti", REVOKED_AT + DAY, -1},
		{32, "/witness/haiti", REVOKED_AT + DAY + 1, FINDING_KEY_REVOKED},
		{41, "/mirror/haiti", REPLACED_AT, -1},
		{41, "/mirror/haiti", REVOKED_AT, FINDING_BEFORE_ADMISSION},
		{51, "/mirror/kenya", KENYA_AT + DAY, -1},
		{51, "/mirror/kenya", KENYA_AT + DAY + 1, FINDING_KEY_REVOKED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *findings;
		struct key_history *h = world(&findings);
		struct key_history_note said;
		char name[256];
		struct buf note;

		snprintf(name, sizeof(name), NETWORK "%s", rows[i].name);
		cosigned(rows[i].key, name, rows[i].time_s, &note);
		assert_int_equal(key_history_note(h, malis, buf_bytes(&note), &said, findings), OK);
		assert_int_equal(said.count, rows[i].kind != -2);
		assert_int_equal(findings_count(findings), rows[i].kind >= 0);
		assert_int_equal(said.newest_s, rows[i].kind == -1 ? rows[i].time_s : 0);
		if (rows[i].kind >= 0) {
			assert_int_equal(findings_at(findings, 0)->kind, rows[i].kind);
			assert_string_equal(findings_at(findings, 0)->origin, malis);
			assert_true(bytes_equal(
				findings_at(findings, 0)->proofs[0].data, buf_bytes(&note)));
		}
		key_history_free(h);
		findings_free(findings);
		buf_release(&note);
	}
}

/* A line that does not verify counts for nothing here, nor does what is no note. */
static void test_bad_lines(void **state)
{
	struct findings *findings;
	struct key_history *h = world(&findings);
	struct key_history_note said;
	struct buf note;

	cosigned(11, NETWORK "/mirror/hq", 1, &note);
	for (size_t at = 0; at < note.size; at++) {
		note.data[at] ^= 1;
		assert_int_equal(key_history_note(h, malis, buf_bytes(&note), &said, findings), OK);
		note.data[at] ^= 1;
		/* The log's own line is not looked at. */
		if (said.count != 0)
			findings_free(findings), assert_int_equal(findings_new(&findings), OK);
		assert_true(said.newest_s == 0);
		assert_int_equal(findings_count(findings), 0);
	}
	buf_release(&note);
	key_history_free(h);
	findings_free(findings);
}

/* --- how logs were opened --- */

static void opened_by(const char *origin, const char *previous, const struct signer *node,
	uint64_t at, struct buf *ret)
{
	const struct log_opened opened = {.origin = origin,
		.previous_origin = previous,
		.log_key = public_number(900),
		.opened_at = at};

	buf_init(ret, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(ret, &opened, node), OK);
}

static void test_opened(void **state)
{
	const struct {
		const char *origin;
		const struct actor *by;
		uint64_t at;
		int kind;
	} rows[] = {
		{"/mali/1", &mali, 1700000006, -1},
		{"/mali/1", &mali, 1700000005 - DAY, FINDING_BEFORE_ADMISSION},
		{"/mali/1", &hq, 1700000006, FINDING_KEY_NOT_ADMITTED},
		{"/peru/1", &peru, 1700000006, -1},
		{"/haiti/1", &haiti, 1700000006, -1},
		{"/haiti/2", &haiti, ROTATED_AT, -1},
		{"/haiti/2", &haiti, ROTATED_AT + DAY + 1, FINDING_KEY_REVOKED},
		{"/haiti/2", &second, ROTATED_AT, FINDING_BEFORE_ADMISSION},
		{"/haiti/3", &haiti, 1700000006, FINDING_KEY_REVOKED},
		{"/haiti/3", &second, ROTATED_AT, -1},
		{"/haiti/5", &second, REPLACED_AT, FINDING_KEY_REVOKED},
		{"/haiti/5", &third, REPLACED_AT, -1},
		{"/haiti/4", &third, REPLACED_AT, FINDING_BEFORE_ADMISSION},
		{"/kenya/2", &kenya, KENYA_AT + DAY + 1, FINDING_KEY_REVOKED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *findings;
		struct key_history *h = world(&findings);
		char origin[LIMIT_ORIGIN + 1];
		struct buf entry;

		snprintf(origin, sizeof(origin), NETWORK "%s" EPOCH, rows[i].origin);
		opened_by(origin, "", rows[i].by->node, rows[i].at, &entry);
		assert_int_equal(key_history_opened(h, origin, buf_bytes(&entry), findings), OK);
		assert_int_equal(findings_count(findings), rows[i].kind >= 0);
		if (rows[i].kind >= 0) {
			assert_int_equal(findings_at(findings, 0)->kind, rows[i].kind);
			assert_int_equal(findings_at(findings, 0)->index, 0);
			assert_true(findings_at(findings, 0)->has_index);
		}
		buf_release(&entry);
		key_history_free(h);
		findings_free(findings);
	}
}

/* --- which logs there must be --- */

static void see(struct key_history *h, const char *name, const char *previous,
	const struct actor *by, uint64_t at, struct findings *findings)
{
	char origin[LIMIT_ORIGIN + 1], before[LIMIT_ORIGIN + 1] = "";
	struct buf entry;

	snprintf(origin, sizeof(origin), NETWORK "/%s" EPOCH, name);
	if (previous != NULL)
		snprintf(before, sizeof(before), NETWORK "/%s" EPOCH, previous);
	opened_by(origin, before, by->node, at, &entry);
	assert_int_equal(key_history_opened(h, origin, buf_bytes(&entry), findings), OK);
	buf_release(&entry);
}

static size_t count_of(const struct findings *findings, enum finding_kind kind, const char *text)
{
	size_t count = 0;

	for (size_t i = 0; i < findings_count(findings); i++)
		count += findings_at(findings, i)->kind == kind &&
			 (strstr(findings_at(findings, i)->text, text) != NULL ||
				 strstr(findings_at(findings, i)->origin, text) != NULL);
	return count;
}

static void test_all_there(void **state)
{
	struct findings *findings;
	struct key_history *h = world(&findings);

	see(h, "hq/1", NULL, &hq, 1700000006, findings);
	see(h, "mali/2", "mali/1", &mali, 1700000007, findings);
	see(h, "mali/1", NULL, &mali, 1700000006, findings);
	see(h, "haiti/5", NULL, &third, REPLACED_AT, findings);
	/* Those of machines that are gone may be there or not. */
	see(h, "haiti/1", NULL, &haiti, 1700000006, findings);
	assert_int_equal(key_history_missing(h, findings), OK);
	assert_int_equal(findings_count(findings), 0);
	assert_true(key_history_ended(h, NETWORK "/mali/1" EPOCH));
	assert_false(key_history_ended(h, NETWORK "/mali/2" EPOCH));
	assert_true(key_history_ended(h, NETWORK "/haiti/1" EPOCH));
	assert_false(key_history_ended(h, NETWORK "/haiti/5" EPOCH));
	assert_true(key_history_ended(h, NETWORK "/kenya/1" EPOCH));
	key_history_free(h);
	findings_free(findings);
}

static void test_missing(void **state)
{
	struct findings *findings;
	struct key_history *h = world(&findings);

	see(h, "mali/2", "mali/1", &mali, 1700000007, findings);
	see(h, "haiti/1", NULL, &haiti, 1700000006, findings);
	see(h, "haiti/6", NULL, &third, REPLACED_AT, findings);
	assert_int_equal(findings_count(findings), 0);
	assert_int_equal(key_history_missing(h, findings), OK);
	assert_int_equal(count_of(findings, FINDING_LOG_MISSING, "'hq'"), 1);
	assert_int_equal(count_of(findings, FINDING_EPOCH_GAP, "mali/1"), 1);
	assert_int_equal(count_of(findings, FINDING_EPOCH_GAP, "haiti/6"), 1);
	assert_int_equal(findings_count(findings), 3);
	key_history_free(h);
	findings_free(findings);
	/* The one between is neither here nor named; and it is here, and not named. */
	h = world(&findings);
	see(h, "hq/1", NULL, &hq, 1700000006, findings);
	see(h, "mali/1", NULL, &mali, 1700000006, findings);
	see(h, "mali/3", "mali/1", &mali, 1700000008, findings);
	see(h, "haiti/5", NULL, &third, REPLACED_AT, findings);
	assert_int_equal(key_history_missing(h, findings), OK);
	assert_int_equal(count_of(findings, FINDING_EPOCH_GAP, "mali/3"), 1);
	assert_int_equal(findings_count(findings), 1);
	see(h, "mali/2", "mali/1", &mali, 1700000007, findings);
	assert_int_equal(key_history_missing(h, findings), OK);
	assert_int_equal(findings_count(findings), 1);
	key_history_free(h);
	findings_free(findings);
	/* A log of the machine before does not stand for the present one's. */
	h = world(&findings);
	see(h, "haiti/3", NULL, &second, ROTATED_AT, findings);
	assert_int_equal(key_history_missing(h, findings), OK);
	assert_int_equal(count_of(findings, FINDING_LOG_MISSING, "'haiti'"), 1);
	assert_int_equal(count_of(findings, FINDING_LOG_MISSING, "'kenya'"), 0);
	key_history_free(h);
	findings_free(findings);
}

static void test_cap_of_logs(void **state)
{
	struct findings *findings;
	struct key_history *h = world(&findings);

	for (unsigned i = 0; i <= LIMIT_LOGS; i++) {
		char origin[LIMIT_ORIGIN + 1];

		snprintf(origin, sizeof(origin), NETWORK "/mali/%u" EPOCH, i + 1);
		assert_int_equal(key_history_opened(h, origin, BYTES_NONE, findings),
			i < LIMIT_LOGS ? OK : ERR_LIMIT);
	}
	key_history_free(h);
	findings_free(findings);
}

/* --- beyond a revocation --- */

struct cut {
	uint64_t recorded; /* size in the revocation; 0: it records no log */
	unsigned branch;   /* .. of which history */
	uint64_t size;     /* of what is there now, of history 0 */
	bool tree;
};

static struct findings *judge_cut(const struct cut *cut)
{
	struct signer *log = signer_number(900);
	struct histories kenyas;
	struct histories_branch branch = {&kenyas, 0};
	struct tree_source source = histories_source(&branch);
	struct revoked_log last = {NETWORK "/kenya/1" EPOCH, cut->recorded, {{0}}, {{0}}};
	struct revocation r = closing("kenya", KENYA_AT, &last, cut->recorded > 0);
	struct findings *findings;
	struct note_key key;
	struct key_history *h;
	struct buf entry, recorded, note, opened;
	struct note parsed;

	histories_init(&kenyas, last.origin, log);
	assert_int_equal(log_note_key(&kenyas.origin, signer_public(log), &key), OK);
	if (cut->recorded > 0) {
		struct checkpoint checkpoint;

		histories_note(&kenyas, cut->branch, cut->recorded, &recorded);
		assert_int_equal(checkpoint_peek(buf_bytes(&recorded), &checkpoint, NULL), OK);
		last.root = checkpoint.root;
		assert_int_equal(note_parse(buf_bytes(&recorded), &parsed, NULL), OK);
		memcpy(last.signature.b, parsed.lines[0].blob, ED25519_SIGNATURE_SIZE);
		buf_release(&recorded);
	}
	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(key_history_new(NETWORK, &h), OK);
	found(h, findings);
	revoked(&entry, &r);
	feed(h, &entry, findings);
	assert_int_equal(key_history_close(h), OK);
	assert_int_equal(findings_count(findings), 0);
	histories_note(&kenyas, 0, cut->size, &note);
	histories_opened(&kenyas, kenya.node, &opened);

	const struct key_history_size size = {.key = &key,
		.note = buf_bytes(&note),
		.opened = buf_bytes(&opened),
		.tree = cut->tree ? &source : NULL};

	assert_int_equal(key_history_size(h, &size, findings), OK);
	buf_release(&note);
	buf_release(&opened);
	key_history_free(h);
	signer_free(log);
	return findings;
}

static void check_fork(const struct finding *f)
{
	struct signer *log = signer_number(900);
	struct origin origin = {NETWORK "/kenya/1" EPOCH};
	struct evidence evidence;
	struct note_key key;
	struct arena arena;

	assert_int_equal(f->kind, FINDING_FORK);
	assert_int_equal(f->proof_count, 3);
	assert_string_equal(f->proofs[2].name, "evidence");
	assert_int_equal(log_note_key(&origin, signer_public(log), &key), OK);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(evidence_parse(f->proofs[2].data, &arena, &evidence, NULL), OK);
	assert_int_equal(evidence_verify(&evidence, &key, NULL), OK);
	arena_release(&arena);
	signer_free(log);
}

static void test_cut_off(void **state)
{
	const struct {
		struct cut cut;
		bool beyond;
		uint64_t index;
		bool fork;
	} rows[] = {
		{{7, 0, 7, true}, false, 0, false},
		{{7, 0, 6, true}, false, 0, false},
		{{7, 0, 9, true}, true, 7, false},
		{{7, 0, 9, false}, true, 7, false},
		{{0, 0, 3, true}, true, 0, false},
		{{7, 1, 7, false}, false, 0, true},
		{{7, 1, 9, true}, true, 7, true},
		{{7, 1, 9, false}, true, 7, false},
		{{COMMON, 1, 9, true}, true, COMMON, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *findings = judge_cut(&rows[i].cut);

		assert_int_equal(findings_count(findings), rows[i].beyond + rows[i].fork);
		if (rows[i].beyond) {
			assert_int_equal(findings_at(findings, 0)->kind, FINDING_BEYOND_REVOCATION);
			assert_int_equal(findings_at(findings, 0)->index, rows[i].index);
		}
		if (rows[i].fork)
			check_fork(findings_at(findings, rows[i].beyond));
		findings_free(findings);
	}
}

/* --- evidence --- */

static void fork_of(const char *origin, const struct actor *node, struct buf *ret)
{
	struct signer *log = signer_number(7777);
	struct histories h;
	struct buf a, b, opened;
	struct note_key key;

	histories_init(&h, origin, log);
	histories_note(&h, 0, 9, &a);
	histories_note(&h, 1, 9, &b);
	histories_opened(&h, node->node, &opened);

	const struct evidence_parts parts = {
		.a = buf_bytes(&a), .b = buf_bytes(&b), .opened = buf_bytes(&opened)};

	assert_int_equal(log_note_key(&h.origin, signer_public(log), &key), OK);
	buf_init(ret, LIMIT_EVIDENCE_SIZE);
	assert_int_equal(evidence_make(&parts, &key, ret, NULL), OK);
	buf_release(&a);
	buf_release(&b);
	buf_release(&opened);
	signer_free(log);
}

static void test_evidence(void **state)
{
	const struct {
		const char *origin;
		const struct actor *node;
		bool held;
	} rows[] = {
		{"/mali/1", &mali, true},
		{"/mali/1", &hq, false},
		{"/peru/1", &peru, false},
		{"/directory/1", &hq, true},
		{"/haiti/1", &haiti, true},
		{"/haiti/3", &haiti, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *findings;
		struct key_history *h = world(&findings);
		char origin[LIMIT_ORIGIN + 1];
		const struct finding *f;
		struct buf message;

		snprintf(origin, sizeof(origin), NETWORK "%s" EPOCH, rows[i].origin);
		fork_of(origin, rows[i].node, &message);
		assert_int_equal(key_history_evidence(h, NULL, buf_bytes(&message), findings), OK);
		f = findings_at(findings, 0);
		assert_int_equal(
			f->kind, rows[i].held ? FINDING_EVIDENCE_HELD : FINDING_EVIDENCE_BAD);
		assert_string_equal(f->origin, origin);
		assert_true(bytes_equal(f->proofs[0].data, buf_bytes(&message)));
		buf_release(&message);
		key_history_free(h);
		findings_free(findings);
	}
}

/* Without a directory: by the log's key, given otherwise. */
static void test_evidence_by_key(void **state)
{
	struct signer *log = signer_number(7777);
	struct origin origin = {NETWORK "/mali/1" EPOCH};
	struct findings *findings;
	struct note_key key;
	struct buf message;

	assert_int_equal(log_note_key(&origin, signer_public(log), &key), OK);
	assert_int_equal(findings_new(&findings), OK);
	fork_of(origin.text, &mali, &message);
	assert_int_equal(key_history_evidence(NULL, &key, buf_bytes(&message), findings), OK);
	assert_int_equal(findings_at(findings, 0)->kind, FINDING_EVIDENCE_HELD);
	assert_int_equal(key_history_evidence(NULL, NULL, buf_bytes(&message), findings), OK);
	assert_int_equal(findings_at(findings, 1)->kind, FINDING_EVIDENCE_BAD);
	for (size_t at = 0; at < message.size; at++) {
		message.data[at] ^= 4;
		assert_int_equal(
			key_history_evidence(NULL, &key, buf_bytes(&message), findings), OK);
		message.data[at] ^= 4;
	}
	/* A change of the LogOpened does not matter to whoever has the key. */
	assert_true(findings_of(findings, FINDING_VIOLATION) < message.size);
	assert_int_equal(key_history_evidence(NULL, &key, BYTES_NONE, findings), OK);
	findings_free(findings);
	buf_release(&message);
	signer_free(log);
}

static void test_out_of_memory(void **state)
{
	struct failing_alloc alloc;
	enum err err = ERR_NOMEM;
	struct buf note, evidence;

	cosigned(11, NETWORK "/mirror/hq", 1, &note);
	fork_of(NETWORK "/mali/1" EPOCH, &mali, &evidence);
	for (size_t n = 1; err == ERR_NOMEM; n++) {
		struct findings *findings;
		struct key_history *h = world(&findings);
		struct key_history_note said;
		size_t before = 0;

		/* What grows here was made there: leaks are counted by the sanitizer. */
		alloc = (struct failing_alloc){.fail_at = n};
		const struct allocator allocator = {failing_alloc_resize, &alloc};

		mem_set_allocator(&allocator);
		err = key_history_note(h, malis, buf_bytes(&note), &said, findings);
		if (err == OK)
			err = key_history_evidence(h, NULL, buf_bytes(&evidence), findings);
		if (err == OK)
			err = key_history_missing(h, findings);
		mem_set_allocator(NULL);
		before = findings_count(findings);
		assert_true(err != OK || before >= 2);
		key_history_free(h);
		findings_free(findings);
	}
	assert_int_equal(err, OK);
	buf_release(&note);
	buf_release(&evidence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_cosigners),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_opened),
		cmocka_unit_test(test_all_there),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_cap_of_logs),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_evidence_by_key),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
