/*
 * Proof files: what is right is told as it is, and nothing else passes: every byte changed, P or
 * bytes of another entry, another log, a root that was not signed, a quorum that has not cosigned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/crypto.h"
#include "base/text.h"
#include "cli/audit/proven.h"

#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"
#define OTHER  "ovra.example/haiti/2-0123456789abcdef"
#define TIME_S UINT64_C(1764201600)

enum { ENTRIES = 7, MINE = 3 };

static struct sealer *sealer;
static struct seal_key key;
static struct buf entries[ENTRIES];
static struct signer *log_signer, *other_signer, *mirrors[2];
static const char *const mirror_names[] = {"ovra.example/mirror/hq", "ovra.example/mirror/mali"};

static struct signer *signer_of(uint8_t number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {number};
	struct signer *signer;

	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

/* The parts of an event that is one part: a consent. */
static void seal_entry(unsigned i)
{
	struct seal_options options = {(const uint8_t[SEAL_RANDOM_SIZE]){1}, SEAL_PLAIN};
	struct seal_position at = {.index = i};
	struct event_parts parts;
	struct event event;
	char line[512];

	sha256(bytes_str(ORIGIN), &at.origin);
	snprintf(line, sizeof(line),
		"{\"type\":\"CONSENT_WITHDRAWN\",\"event_id\":\"01900000-0000-7000-8000-%012u\","
		"\"case_ref\":\"00112233445566778899aabbccddeeff\",\"occurred_on\":\"2024-02-29\","
		"\"recorded_at\":\"2024-03-01T08:09:10Z\",\"recorded_by\":\"ZZ-officer\","
		"\"office\":\"HTI\",\"effective_at\":\"2024-03-01\"}",
		i);
	assert_int_equal(event_parse(bytes_str(line), &event, NULL), OK);
	assert_int_equal(event_split(&event, NULL, &parts, NULL), OK);
	assert_int_equal(parts.count, 1);
	buf_init(&entries[i], LIMIT_ENTRY_SIZE);
	assert_int_equal(seal_write(sealer, &key, &at, &options, buf_bytes(&parts.part[0].packed),
				 &entries[i]),
		OK);
	event_parts_release(&parts);
	event_release(&event);
}

static int setup(void **state)
{
	static const uint8_t k[SEAL_KEY_SIZE] = {9};

	if (crypto_init() != OK || sealer_new(&sealer) != OK ||
		seal_key_init(&key, BYTES_ARRAY(k)) != OK)
		return -1;
	for (unsigned i = 0; i < ENTRIES; i++)
		seal_entry(i);
	log_signer = signer_of(1);
	other_signer = signer_of(2);
	mirrors[0] = signer_of(3);
	mirrors[1] = signer_of(4);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		buf_release(&entries[i]);
	signer_free(log_signer);
	signer_free(other_signer);
	signer_free(mirrors[0]);
	signer_free(mirrors[1]);
	seal_key_release(&key);
	sealer_free(sealer);
	crypto_release();
	return 0;
}

static enum err node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	struct hash left, right;

	if (level == 0) {
		tree_leaf(buf_bytes(&entries[index]), ret);
		return OK;
	}
	TRY(node(arg, level - 1, 2 * index, &left));
	TRY(node(arg, level - 1, 2 * index + 1, &right));
	tree_node(&left, &right, ret);
	return OK;
}
static const struct tree_source tree = {node, NULL};

static struct note_key log_key(const char *origin, const struct signer *signer)
{
	struct note_key ret;

	assert_int_equal(note_key_make(origin, NOTE_ED25519, signer_public(signer), &ret), OK);
	return ret;
}

/* A policy of this log and both mirrors. */
static struct tlog_policy *make_policy(const char *quorum)
{
	struct buf text;
	struct note_key keys[3] = {log_key(ORIGIN, log_signer)};
	struct tlog_policy *policy = NULL;
	struct errctx ctx = {""};

	buf_init(&text, LIMIT_POLICY_SIZE);
	buf_put_str(&text, "log ");
	note_key_format(&text, &keys[0]);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(note_key_make(mirror_names[i], NOTE_COSIGNATURE,
					 signer_public(mirrors[i]), &keys[i + 1]),
			OK);
		buf_printf(&text, "\nwitness m%u ", i);
		note_key_format(&text, &keys[i + 1]);
	}
	buf_printf(&text, "\n%s\n", quorum);
	if (tlog_policy_parse(buf_bytes(&text), &policy, &ctx) != OK)
		fail_msg("%s", ctx.text);
	buf_release(&text);
	return policy;
}

/* What goes into a file; changed by whoever wants it wrong. */
struct made {
	unsigned index, entry; /* where it is said to stand, and which it is */
	bool open;
	unsigned p_of;
	unsigned cosigned; /* by so many */
	const char *origin;
	struct signer *signer;
	bool wrong_root;
};
static const struct made right = {MINE, MINE, true, MINE, 2, ORIGIN, NULL, false};

static void make_note(const struct made *made, struct buf *out)
{
	struct checkpoint checkpoint = {.size = ENTRIES};
	struct buf text;

	snprintf(checkpoint.origin.text, sizeof(checkpoint.origin.text), "%s", made->origin);
	assert_int_equal(tree_root(&tree, ENTRIES, &checkpoint.root), OK);
	checkpoint.root.b[5] ^= made->wrong_root;
	assert_int_equal(
		checkpoint_sign(out, &checkpoint, made->signer == NULL ? log_signer : made->signer),
		OK);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	for (unsigned i = 0; i < made->cosigned; i++)
		assert_int_equal(cosignature_sign(out, buf_bytes(&text), TIME_S + i,
					 mirror_names[i], mirrors[i]),
			OK);
	buf_release(&text);
}

static struct buf make(const struct made *made)
{
	struct opened opened = {.entry = buf_bytes(&entries[made->entry]), .has_p = made->open};
	struct tlog_proof proof = {.has_extra = true, .index = made->index};
	struct buf note, extra, out;

	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_init(&extra, LIMIT_TLOG_EXTRA);
	buf_init(&out, LIMIT_TLOG_PROOF);
	make_note(made, &note);
	if (made->open)
		assert_int_equal(seal_reveal(&key, buf_bytes(&entries[made->p_of]), &opened.p), OK);
	opened_write(&extra, &opened);
	proof.extra = buf_bytes(&extra);
	proof.checkpoint = buf_bytes(&note);
	assert_int_equal(tree_prove_inclusion(&tree, made->index, ENTRIES, &proof.path), OK);
	tlog_proof_write(&out, &proof);
	assert_int_equal(out.err, OK);
	buf_release(&note);
	buf_release(&extra);
	return out;
}

static enum err judge(struct bytes file, const struct tlog_policy *policy)
{
	struct errctx ctx = {""};
	struct proven proven = {0};
	enum err err = proven_check(file, BYTES_NONE, policy, &proven, &ctx);

	if (err != OK)
		assert_true(ctx.text[0] != '\0');
	proven_release(&proven);
	return err;
}

static enum err judge_made(const struct made *made, const char *quorum)
{
	struct tlog_policy *policy = make_policy(quorum);
	struct buf file = make(made);
	enum err err = judge(buf_bytes(&file), policy);

	buf_release(&file);
	tlog_policy_free(policy);
	return err;
}

#define ALL "group g all m0 m1\nquorum g"

/* --- tests --- */

static void says_what_is_proven(void **state)
{
	struct tlog_policy *policy = make_policy(ALL);
	struct proven proven = {0};
	struct buf file = make(&right);
	char id[EVENT_ID_TEXT + 1];
	struct hash leaf;

	assert_int_equal(proven_check(buf_bytes(&file), BYTES_NONE, policy, &proven, NULL), OK);
	tree_leaf(buf_bytes(&entries[MINE]), &leaf);
	assert_int_equal(proven.index, MINE);
	assert_true(hash_equal(&proven.leaf, &leaf));
	assert_string_equal(proven.verdict.checkpoint.origin.text, ORIGIN);
	assert_int_equal(proven.verdict.checkpoint.size, ENTRIES);
	assert_int_equal(proven.verdict.count, 2);
	assert_string_equal(proven.verdict.cosigners[1].name, mirror_names[1]);
	assert_int_equal(proven.verdict.cosigners[1].time_s, TIME_S + 1);
	assert_true(proven.opened);
	assert_int_equal(proven.info.group, GROUP_CONSENT);
	assert_int_equal(proven.event.type, EVENT_CONSENT_WITHDRAWN);
	event_id_text(&proven.event.id, id);
	assert_string_equal(id, "01900000-0000-7000-8000-000000000003");
	assert_string_equal(event_field_json(&proven.event, "effective_at"), "\"2024-03-01\"");
	proven_release(&proven);
	buf_release(&file);
	tlog_policy_free(policy);
}

static void opens_nothing_without_p(void **state)
{
	struct made made = right;
	struct tlog_policy *policy = make_policy(ALL);
	struct proven proven = {0};
	struct buf file;

	made.open = false;
	file = make(&made);
	assert_int_equal(proven_check(buf_bytes(&file), BYTES_NONE, policy, &proven, NULL), OK);
	assert_false(proven.opened);
	assert_int_equal(proven.event.field_count, 0);
	proven_release(&proven);
	buf_release(&file);
	tlog_policy_free(policy);
}

/* Each byte, each of its bits. */
static void no_byte_can_be_changed(void **state)
{
	struct tlog_policy *policy = make_policy(ALL);

	for (unsigned open = 0; open < 2; open++) {
		struct made made = right;
		struct buf file;

		made.open = open != 0;
		file = make(&made);
		assert_int_equal(judge(buf_bytes(&file), policy), OK);
		for (size_t i = 0; i < file.size; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				file.data[i] ^= (uint8_t)(1 << bit);
				if (judge(buf_bytes(&file), policy) != ERR_PROOF)
					fail_msg("byte %zu, bit %u", i, bit);
				file.data[i] ^= (uint8_t)(1 << bit);
			}
		for (size_t size = 0; size < file.size; size++)
			assert_int_equal(judge(bytes_make(file.data, size), policy), ERR_PROOF);
		buf_put_u8(&file, '\n');
		assert_int_equal(judge(buf_bytes(&file), policy), ERR_PROOF);
		buf_release(&file);
	}
	tlog_policy_free(policy);
}

/* ---- what may be changed, and why it says nothing ---- */

struct facts {
	uint64_t index, size;
	struct hash leaf;
	char log[LIMIT_LOG_NAME + 1];
	size_t by;
	uint64_t times[2];
	bool opened;
};

static enum err facts_of(
	struct bytes file, struct bytes entry, const struct tlog_policy *policy, struct facts *ret)
{
	struct proven proven = {0};
	enum err err = proven_check(file, entry, policy, &proven, NULL);

	*ret = (struct facts){.index = 0};
	if (err == OK) {
		ret->index = proven.index;
		ret->size = proven.verdict.checkpoint.size;
		ret->leaf = proven.leaf;
		snprintf(ret->log, sizeof(ret->log), "%s", proven.verdict.checkpoint.origin.text);
		ret->by = proven.verdict.count;
		for (size_t i = 0; i < ret->by; i++)
			ret->times[i] = proven.verdict.cosigners[i].time_s;
		ret->opened = proven.opened;
	}
	proven_release(&proven);
	return err;
}

/* Every bit of the file: refused, or all that is proven stays as it is. Returns how many bits stay;
 * `first` and `end`: from where to where they may stand. */
static unsigned changes_that_pass(struct buf *file, struct bytes entry,
	const struct tlog_policy *policy, size_t first, size_t end)
{
	struct facts right_facts, facts;
	unsigned passed = 0;

	assert_int_equal(facts_of(buf_bytes(file), entry, policy, &right_facts), OK);
	for (size_t i = 0; i < file->size; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			file->data[i] ^= (uint8_t)(1 << bit);
			if (facts_of(buf_bytes(file), entry, policy, &facts) == OK) {
				if (i < first || i >= end)
					fail_msg("byte %zu, bit %u passes", i, bit);
				assert_memory_equal(&facts, &right_facts, sizeof(facts));
				passed++;
			}
			file->data[i] ^= (uint8_t)(1 << bit);
		}
	return passed;
}

static size_t find(const struct buf *file, const char *what)
{
	const uint8_t *at = memmem(file->data, file->size, what, strlen(what));

	assert_non_null(at);
	return (size_t)(at - file->data);
}

/* A line of nobody whose key was given is signed over by nothing: it may be anything of that form,
 * and is told as the signature of a key that was not given. */
static void a_line_of_nobody_may_be_anything(void **state)
{
	struct note_key log = log_key(ORIGIN, log_signer);
	struct tlog_policy *policy;
	struct buf file = make(&right);

	assert_int_equal(tlog_policy_of_log(&log, &policy, NULL), OK);
	assert_true(changes_that_pass(&file, BYTES_NONE, policy,
			    find(&file, "\xe2\x80\x94 ovra.example/mirror/hq"), file.size) > 0);
	buf_release(&file);
	tlog_policy_free(policy);
}

/* The extra line is authenticated by nothing: with the entry given beside it, it is not looked at.
 */
static void the_extra_line_says_nothing(void **state)
{
	struct tlog_policy *policy = make_policy(ALL);
	struct buf file = make(&right);

	assert_true(changes_that_pass(&file, buf_bytes(&entries[MINE]), policy,
			    find(&file, "extra "), find(&file, "index ")) > 0);
	buf_release(&file);
	tlog_policy_free(policy);
}

/* A byte more or less, anywhere. */
static void no_byte_comes_or_goes(void **state)
{
	struct tlog_policy *policy = make_policy(ALL);
	struct buf file = make(&right), other;

	for (size_t i = 0; i < file.size; i++) {
		static const uint8_t added[] = {'\n', ' ', 'A', '0', '=', 0, 0xff};

		buf_init(&other, LIMIT_TLOG_PROOF);
		buf_put(&other, bytes_make(file.data, i));
		buf_put(&other, bytes_make(file.data + i + 1, file.size - i - 1));
		if (judge(buf_bytes(&other), policy) != ERR_PROOF)
			fail_msg("byte %zu away", i);
		buf_release(&other);
		for (size_t k = 0; k < sizeof(added); k++) {
			buf_init(&other, LIMIT_TLOG_PROOF);
			buf_put(&other, bytes_make(file.data, i));
			buf_put_u8(&other, added[k]);
			buf_put(&other, bytes_make(file.data + i, file.size - i));
			if (judge(buf_bytes(&other), policy) != ERR_PROOF)
				fail_msg("a byte %u before %zu", added[k], i);
			buf_release(&other);
		}
	}
	buf_release(&file);
	tlog_policy_free(policy);
}

/* A known cosigner twice counts once; a bad one beside a good one refuses all of it. */
static void lines_that_come_twice(void **state)
{
	struct tlog_policy *policy = make_policy("group g 2 m0 m1\nquorum g");
	struct made made = right;
	struct buf file, line;
	struct note_line parsed;

	made.cosigned = 1;
	file = make(&made);
	buf_init(&line, LIMIT_NOTE_SIZE);
	buf_put(&line, bytes_make(file.data + find(&file, "\xe2\x80\x94 ovra.example/mirror/hq"),
			       file.size - find(&file, "\xe2\x80\x94 ovra.example/mirror/hq")));
	assert_int_equal(note_line_parse(buf_bytes(&line), &parsed, NULL), OK);
	buf_put(&file, buf_bytes(&line));
	assert_int_equal(judge(buf_bytes(&file), policy), ERR_PROOF);
	tlog_policy_free(policy);
	policy = make_policy("quorum m0");
	assert_int_equal(judge(buf_bytes(&file), policy), OK);
	buf_init(&line, LIMIT_NOTE_SIZE);
	assert_int_equal(cosignature_sign(&line, bytes_str("another text\n"), TIME_S,
				 mirror_names[0], mirrors[0]),
		OK);
	buf_put(&file, buf_bytes(&line));
	assert_int_equal(judge(buf_bytes(&file), policy), ERR_PROOF);
	buf_release(&line);
	buf_release(&file);
	tlog_policy_free(policy);
}

static void refuses_what_is_of_another(void **state)
{
	struct made made = right;

	made.p_of = MINE + 1; /* its own P alone opens an entry */
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	made = right;
	made.entry = made.p_of = MINE + 1; /* another entry stands there */
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	made = right;
	made.index = MINE + 1;
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	made = right;
	made.origin = OTHER; /* of a log that is not meant */
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	made = right;
	made.signer = other_signer;
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	made = right;
	made.wrong_root = true;
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
}

/* The same entries in another log of the same key: what is sealed is bound to its origin. */
static void an_entry_opens_in_its_own_log_alone(void **state)
{
	struct note_key other = log_key(OTHER, log_signer);
	struct made made = right;
	struct tlog_policy *policy;
	struct buf file;

	made.origin = OTHER;
	assert_int_equal(tlog_policy_of_log(&other, &policy, NULL), OK);
	file = make(&made);
	assert_int_equal(judge(buf_bytes(&file), policy), ERR_PROOF);
	buf_release(&file);
	made.open = false; /* .. that it stands there is true all the same */
	file = make(&made);
	assert_int_equal(judge(buf_bytes(&file), policy), OK);
	buf_release(&file);
	tlog_policy_free(policy);
}

static void the_quorum_must_have_cosigned(void **state)
{
	struct made made = right;

	made.cosigned = 1;
	assert_int_equal(judge_made(&made, ALL), ERR_PROOF);
	assert_int_equal(judge_made(&made, "group g 2 m0 m1\nquorum g"), ERR_PROOF);
	assert_int_equal(judge_made(&made, "group g any m0 m1\nquorum g"), OK);
	assert_int_equal(judge_made(&made, "quorum m0"), OK);
	assert_int_equal(judge_made(&made, "quorum m1"), ERR_PROOF);
	made.cosigned = 0;
	assert_int_equal(judge_made(&made, "quorum m0"), ERR_PROOF);
	assert_int_equal(judge_made(&made, "quorum none"), OK);
}

static void an_entry_may_come_beside_it(void **state)
{
	struct made made = right;
	struct tlog_policy *policy = make_policy(ALL);
	struct proven proven = {0};
	struct tlog_proof proof;
	struct buf file, bare, extra;

	buf_init(&extra, LIMIT_TLOG_EXTRA + 2);
	buf_init(&bare, LIMIT_TLOG_PROOF);
	file = make(&made);
	assert_int_equal(tlog_proof_parse(buf_bytes(&file), &extra, &proof, NULL), OK);
	proof.has_extra = false;
	tlog_proof_write(&bare, &proof);
	assert_int_equal(judge(buf_bytes(&bare), policy), ERR_INVALID);
	assert_int_equal(
		proven_check(buf_bytes(&bare), buf_bytes(&entries[MINE]), policy, &proven, NULL),
		OK);
	assert_false(proven.opened);
	proven_release(&proven);
	assert_int_equal(proven_check(buf_bytes(&bare), buf_bytes(&entries[MINE + 1]), policy,
				 &proven, NULL),
		ERR_PROOF);
	buf_release(&extra);
	buf_release(&bare);
	buf_release(&file);
	tlog_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_proven),
		cmocka_unit_test(opens_nothing_without_p),
		cmocka_unit_test(no_byte_can_be_changed),
		cmocka_unit_test(a_line_of_nobody_may_be_anything),
		cmocka_unit_test(the_extra_line_says_nothing),
		cmocka_unit_test(no_byte_comes_or_goes),
		cmocka_unit_test(lines_that_come_twice),
		cmocka_unit_test(refuses_what_is_of_another),
		cmocka_unit_test(an_entry_opens_in_its_own_log_alone),
		cmocka_unit_test(the_quorum_must_have_cosigned),
		cmocka_unit_test(an_entry_may_come_beside_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
