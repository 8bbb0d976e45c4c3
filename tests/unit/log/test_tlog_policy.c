/* Policies and proof files by their form: what the specifications allow, what they forbid, caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/text.h"
#include "replication/log/tlog_policy.h"
#include "replication/log/tlog_proof.h"

#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

static struct note_key key_of(const char *name, enum note_type type, unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8)};
	struct signer *signer;
	struct note_key key;

	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	assert_int_equal(note_key_make(name, type, signer_public(signer), &key), OK);
	signer_free(signer);
	return key;
}

/* {L0} to {L9}: keys of logs; {M0} to {M9}: of mirrors. */
static void expand(const char *text, struct buf *out)
{
	for (const char *at = text; *at != '\0'; at++) {
		struct note_key key;

		if (at[0] != '{') {
			buf_put_u8(out, (uint8_t)at[0]);
			continue;
		}
		key = at[1] == 'L'
			      ? key_of(ORIGIN, NOTE_ED25519, (unsigned)at[2])
			      : key_of("ovra.example/mirror/hq", NOTE_COSIGNATURE, (unsigned)at[2]);
		note_key_format(out, &key);
		at += 3;
	}
}

static enum err parse(const char *text)
{
	struct tlog_policy *policy = NULL;
	struct errctx ctx = {""};
	struct buf out;
	enum err err;

	buf_init(&out, 2 * LIMIT_POLICY_SIZE);
	expand(text, &out);
	err = tlog_policy_parse(buf_bytes(&out), &policy, &ctx);
	if (err != OK) {
		assert_null(policy);
		assert_true(ctx.text[0] != '\0');
	}
	tlog_policy_free(policy);
	buf_release(&out);
	return err;
}

static void takes_what_is_allowed(void **state)
{
	static const char *const good[] = {
		"quorum none\n",
		"  # a remark\n\n \t\nquorum\tnone \n",
		"log {L0}\nlog {L1} https://ovra.example/\nquorum none\n",
		"witness a {M0}\nquorum a\n",
		"witness a {M0} https://ovra.example/w\nwitness b {M1}\ngroup g any a b\nquorum "
		"g\n",
		"witness a {M0}\nwitness b {M1}\nwitness c {M2}\ngroup g 2 a b\n"
		"group h all g c\nquorum h\n",
		"witness \xe2\x84\xaa {M0}\nwitness K {M1}\nquorum K\n",
		"witness a {M0}\nquorum a\nwitness b {M1}\n",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (parse(good[i]) != OK)
			fail_msg("%s", good[i]);
}

static void refuses_what_is_forbidden(void **state)
{
	static const char *const bad[] = {
		"",
		"log {L0}\n",
		"quorum none",
		"quorum none\nquorum none\n",
		"quorum a\nwitness a {M0}\n",
		"quorum\n",
		"quorum none none\n",
		"loog {L0}\nquorum none\n",
		"log\nquorum none\n",
		"log {L0} a b\nquorum none\n",
		"log {M0}\nquorum none\n",
		"log {L0}\nlog {L0}\nquorum none\n",
		"log {L0}x\nquorum none\n",
		"witness a {L0}\nquorum none\n",
		"witness a\nquorum none\n",
		"witness a {M0} b c\nquorum none\n",
		"witness none {M0}\nquorum none\n",
		"witness a {M0}\nwitness a {M1}\nquorum none\n",
		"witness a {M0}\nwitness b {M0}\nquorum none\n",
		"witness a {M0}\ngroup a any a\nquorum none\n",
		"witness a {M0}\ngroup g any\nquorum none\n",
		"witness a {M0}\ngroup g 0 a\nquorum none\n",
		"witness a {M0}\ngroup g 2 a\nquorum none\n",
		"witness a {M0}\ngroup g 01 a\nquorum none\n",
		"witness a {M0}\ngroup g some a\nquorum none\n",
		"witness a {M0}\ngroup g any b\nquorum none\n",
		"witness a {M0}\ngroup g any g\nquorum none\n",
		"witness a {M0}\ngroup g any a none\nquorum none\n",
		"witness a {M0}\ngroup g 1 a a\nquorum none\n",
		"witness a {M0}\ngroup g any a\ngroup h any a\nquorum none\n",
		"quorum none\r\n",
		"quorum none\x7f\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != ERR_MALFORMED)
			fail_msg("%s", bad[i]);
}

static void holds_its_caps(void **state)
{
	for (unsigned over = 0; over < 2; over++) {
		struct tlog_policy *policy = NULL;
		struct buf text;

		buf_init(&text, 2 * LIMIT_POLICY_SIZE);
		for (unsigned i = 0; i < LIMIT_POLICY_ITEMS + over; i++) {
			struct note_key key = key_of("w", NOTE_COSIGNATURE, i + 1);

			buf_printf(&text, "witness w%u ", i);
			note_key_format(&text, &key);
			buf_put_u8(&text, '\n');
		}
		buf_put_str(&text, "group g all");
		for (unsigned i = 0; i < LIMIT_POLICY_ITEMS; i++)
			buf_printf(&text, " w%u", i);
		buf_put_str(&text, "\nquorum g\n");
		assert_int_equal(
			tlog_policy_parse(buf_bytes(&text), &policy, NULL), over ? ERR_LIMIT : OK);
		tlog_policy_free(policy);
		buf_release(&text);
	}
	for (unsigned over = 0; over < 2; over++) {
		struct tlog_policy *policy = NULL;
		struct buf text;

		buf_init(&text, 2 * LIMIT_POLICY_SIZE);
		buf_put_str(&text, "quorum none\n#");
		while (text.size < LIMIT_POLICY_SIZE - 1 + over)
			buf_put_u8(&text, 'x');
		buf_put_u8(&text, '\n');
		assert_int_equal(
			tlog_policy_parse(buf_bytes(&text), &policy, NULL), over ? ERR_LIMIT : OK);
		tlog_policy_free(policy);
		buf_release(&text);
	}
}

/* Logs, and groups in each other, as deep as there may be any. */
static void holds_its_caps_on_logs_and_groups(void **state)
{
	for (unsigned over = 0; over < 2; over++) {
		struct tlog_policy *policy = NULL;
		struct tlog_tally tally = {{0}};
		struct note_key key = key_of("w", NOTE_COSIGNATURE, 1);
		struct buf text;

		buf_init(&text, 2 * LIMIT_POLICY_SIZE);
		for (unsigned i = 0; i < LIMIT_POLICY_ITEMS + over; i++) {
			struct note_key log = key_of(ORIGIN, NOTE_ED25519, i + 1);

			buf_put_str(&text, "log ");
			note_key_format(&text, &log);
			buf_put_u8(&text, '\n');
		}
		buf_put_str(&text, "quorum none\n");
		assert_int_equal(
			tlog_policy_parse(buf_bytes(&text), &policy, NULL), over ? ERR_LIMIT : OK);
		tlog_policy_free(policy);
		policy = NULL;
		buf_clear(&text);
		buf_put_str(&text, "witness g0 ");
		note_key_format(&text, &key);
		for (unsigned i = 1; i <= LIMIT_POLICY_ITEMS + over; i++)
			buf_printf(&text, "\ngroup g%u all g%u", i, i - 1);
		buf_printf(&text, "\nquorum g%u\n", LIMIT_POLICY_ITEMS + over);
		assert_int_equal(
			tlog_policy_parse(buf_bytes(&text), &policy, NULL), over ? ERR_LIMIT : OK);
		if (!over) {
			assert_true(tlog_tally_add(policy, &tally, &key, 7));
			assert_int_equal(tlog_policy_reach(policy, &tally), 7);
		}
		tlog_policy_free(policy);
		buf_release(&text);
	}
}

/* --- the specification's own example, and what it asks of whoever reads one --- */

static struct tlog_policy *parsed(const char *text)
{
	struct tlog_policy *policy = NULL;
	struct errctx ctx = {""};
	struct buf out;

	buf_init(&out, 2 * LIMIT_POLICY_SIZE);
	expand(text, &out);
	if (tlog_policy_parse(buf_bytes(&out), &policy, &ctx) != OK)
		fail_msg("%s: %s", text, ctx.text);
	buf_release(&out);
	return policy;
}

/* sizes[i]: what the mirror {M<i>} has cosigned; 0: nothing. */
static uint64_t reach(const struct tlog_policy *policy, const uint64_t *sizes, size_t count)
{
	struct tlog_tally tally = {{0}};

	for (size_t i = 0; i < count; i++) {
		struct note_key key =
			key_of("ovra.example/mirror/hq", NOTE_COSIGNATURE, (unsigned)('0' + i));

		if (sizes[i] > 0)
			assert_true(tlog_tally_add(policy, &tally, &key, sizes[i]));
	}
	return tlog_policy_reach(policy, &tally);
}

#define EXAMPLE                                                                                    \
	"log {L0}\n\nwitness X1 {M0}\nwitness X2 {M1}\nwitness X3 {M2}\n"                          \
	"group X-witnesses 2 X1 X2 X3\n\nwitness Y1 {M3}\nwitness Y2 {M4}\nwitness Y3 {M5}\n"      \
	"group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\n"

static void reaches_as_the_example_says(void **state)
{
	static const struct {
		const char *quorum;
		uint64_t sizes[6], reach;
	} cases[] = {
		{"quorum X-and-Y\n", {0}, 0},
		{"quorum X-and-Y\n", {9, 9, 9, 0, 0, 0}, 0},
		{"quorum X-and-Y\n", {0, 0, 9, 9, 9, 9}, 0},
		{"quorum X-and-Y\n", {9, 0, 9, 0, 9, 0}, 9},
		{"quorum X-and-Y\n", {9, 5, 2, 0, 7, 0}, 5},
		{"quorum X-and-Y\n", {9, 5, 2, 4, 3, 0}, 4},
		{"quorum X-and-Y\n", {1, 1, 1, 1, 1, 1}, 1},
		{"quorum X-witnesses\n", {9, 5, 2, 0, 0, 0}, 5},
		{"quorum Y-witnesses\n", {0, 0, 0, 3, 8, 0}, 8},
		{"quorum Y3\n", {9, 9, 9, 9, 9, 0}, 0},
		{"quorum Y3\n", {0, 0, 0, 0, 0, 6}, 6},
		{"quorum none\n", {0}, UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2000];
		struct tlog_policy *policy;

		snprintf(text, sizeof(text), EXAMPLE "%s", cases[i].quorum);
		policy = parsed(text);
		if (reach(policy, cases[i].sizes, 6) != cases[i].reach)
			fail_msg("case %zu", i);
		tlog_policy_free(policy);
	}
}

/* One key under another name, type or id is nobody's; of one that comes twice the larger counts. */
static void tally_knows_its_keys(void **state)
{
	struct tlog_policy *policy = parsed("witness a {M0}\nwitness b {M1}\nquorum a\n");
	struct note_key key = key_of("ovra.example/mirror/hq", NOTE_COSIGNATURE, '0'), other;
	struct tlog_tally tally = {{0}};
	bool counts = false;

	other = key;
	other.id++;
	assert_false(tlog_tally_add(policy, &tally, &other, 5));
	other = key_of("ovra.example/mirror/hq", NOTE_COSIGNATURE, '7');
	assert_false(tlog_tally_add(policy, &tally, &other, 5));
	other.id = key.id;
	assert_false(tlog_tally_add(policy, &tally, &other, 5));
	other = key_of("ovra.example/mirror/hr", NOTE_COSIGNATURE, '0');
	assert_false(tlog_tally_add(policy, &tally, &other, 5));
	other = key_of("ovra.example/mirror/hq", NOTE_ED25519, '0');
	assert_false(tlog_tally_add(policy, &tally, &other, 5));
	assert_int_equal(tlog_policy_reach(policy, &tally), 0);
	assert_true(tlog_tally_add(policy, &tally, &key, 5));
	assert_true(tlog_tally_add(policy, &tally, &key, 3));
	assert_int_equal(tlog_policy_reach(policy, &tally), 5);
	assert_non_null(tlog_policy_cosigner(policy, 0, &counts));
	assert_true(counts);
	assert_non_null(tlog_policy_cosigner(policy, 1, &counts));
	assert_false(counts);
	assert_null(tlog_policy_cosigner(policy, 2, &counts));
	tlog_policy_free(policy);
}

/* --- against brute force --- */

static uint32_t random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % below;
}

enum { WITNESSES = 8, GROUPS = 6 };

/* A random forest of groups, as text and for the checker: who is in which group. */
struct forest {
	struct buf text;
	unsigned groups, needed[GROUPS], members[GROUPS][WITNESSES + GROUPS], counts[GROUPS];
	bool taken[WITNESSES + GROUPS]; /* groups behind the witnesses */
	unsigned quorum;
};

static void plant_group(struct forest *f, unsigned g)
{
	unsigned count = 0;

	for (unsigned i = 0; i < WITNESSES + g; i++)
		if (!f->taken[i] && draw(3) == 0)
			f->members[g][count++] = i;
	for (unsigned i = 0; count == 0 && i < WITNESSES + g; i++)
		if (!f->taken[i])
			f->members[g][count++] = i;
	if (count == 0)
		return;
	f->counts[g] = count;
	f->needed[g] = 1 + draw(count);
	f->groups = g + 1;
	buf_printf(&f->text, "group g%u ", g);
	if (f->needed[g] == count && draw(2) == 0)
		buf_put_str(&f->text, "all");
	else if (f->needed[g] == 1 && draw(2) == 0)
		buf_put_str(&f->text, "any");
	else
		buf_printf(&f->text, "%u", f->needed[g]);
	for (unsigned i = 0; i < count; i++) {
		unsigned m = f->members[g][i];

		f->taken[m] = true;
		buf_printf(&f->text, m < WITNESSES ? " w%u" : " g%u",
			m < WITNESSES ? m : m - WITNESSES);
	}
	buf_put_u8(&f->text, '\n');
}

static void plant(struct forest *f)
{
	*f = (struct forest){.groups = 0};
	buf_init(&f->text, LIMIT_POLICY_SIZE);
	for (unsigned i = 0; i < WITNESSES; i++)
		buf_printf(&f->text, "witness w%u {M%u}\n", i, i);
	for (unsigned g = 0; g < GROUPS; g++)
		plant_group(f, g);
	f->quorum = draw(WITNESSES + f->groups);
	buf_printf(&f->text, f->quorum < WITNESSES ? "quorum w%u\n" : "quorum g%u\n",
		f->quorum < WITNESSES ? f->quorum : f->quorum - WITNESSES);
}

static bool met(const struct forest *f, unsigned who, uint64_t size, const uint64_t *sizes)
{
	unsigned yes = 0, g = who - WITNESSES;

	if (who < WITNESSES)
		return sizes[who] >= size;
	for (unsigned i = 0; i < f->counts[g]; i++)
		yes += met(f, f->members[g][i], size, sizes);
	return yes >= f->needed[g];
}

/* For each size it is asked again whether those who cosigned at least as much make up the quorum.
 */
static void reaches_as_brute_force_says(void **state)
{
	for (random_state = 1; random_state < 400; random_state++) {
		uint32_t seed = random_state;
		struct tlog_policy *policy;
		struct forest f;

		plant(&f);
		policy = parsed(buf_cstr(&f.text));
		for (unsigned turn = 0; turn < 10; turn++) {
			uint64_t sizes[WITNESSES], most = 0;

			for (unsigned i = 0; i < WITNESSES; i++)
				sizes[i] = draw(7);
			for (uint64_t size = 1; size < 8; size++)
				if (met(&f, f.quorum, size, sizes))
					most = size;
			if (reach(policy, sizes, WITNESSES) != most)
				fail_msg("seed %u, turn %u: %s", seed, turn, buf_cstr(&f.text));
		}
		tlog_policy_free(policy);
		buf_release(&f.text);
		random_state = seed;
	}
}

/* --- proof files --- */

#define HASH64 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

static enum err parse_proof(const char *text)
{
	struct tlog_proof proof;
	struct errctx ctx = {""};
	struct buf extra, again;
	enum err err;

	buf_init(&extra, LIMIT_TLOG_EXTRA + 2);
	err = tlog_proof_parse(bytes_str(text), &extra, &proof, &ctx);
	if (err == OK) {
		buf_init(&again, LIMIT_TLOG_PROOF);
		tlog_proof_write(&again, &proof);
		assert_true(bytes_equal_str(buf_bytes(&again), text));
		buf_release(&again);
	} else {
		assert_true(ctx.text[0] != '\0');
	}
	buf_release(&extra);
	return err;
}

#define V "c2sp.org/tlog-proof@v1\n"

static void proof_files_have_one_form(void **state)
{
	static const char *const good[] = {
		V "index 0\n\nx",
		V "extra YQ==\nindex 12\n" HASH64 "\n" HASH64 "\n\nx\n\ny",
	};
	static const char *const bad[] = {
		"",
		V,
		"c2sp.org/tlog-proof@v2\nindex 0\n\nx",
		V "\nx",
		V "index 01\n\nx",
		V "index -1\n\nx",
		V "index\n\nx",
		V "index 0\n\n",
		V "index 0\nx",
		V "index 0\n" HASH64 "x",
		V "index 0\n" HASH64 "\nMDEy\n\nx",
		V "index 0\nMDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDF=\n\nx",
		V "extra \nindex 0\n\nx",
		V "extra YQ=\nindex 0\n\nx",
		V "index 0\nextra YQ==\n\nx",
		V "extra YQ==\nextra YQ==\nindex 0\n\nx",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(parse_proof(good[i]), OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_proof(bad[i]) != ERR_MALFORMED)
			fail_msg("%s", bad[i]);
	assert_int_equal(parse_proof(V "index 281474976710655\n\nx"), OK);
	assert_int_equal(parse_proof(V "index 281474976710656\n\nx"), ERR_LIMIT);
}

static void proof_files_hold_their_caps(void **state)
{
	static char text[2 * LIMIT_TLOG_PROOF];

	for (unsigned over = 0; over < 2; over++) {
		size_t at = (size_t)sprintf(text, V "index 0\n");

		for (unsigned i = 0; i < LIMIT_PROOF_HASHES + over; i++)
			at += (size_t)sprintf(text + at, HASH64 "\n");
		sprintf(text + at, "\nx");
		assert_int_equal(parse_proof(text), over ? ERR_LIMIT : OK);
	}
	for (unsigned over = 0; over < 2; over++) {
		struct buf out;
		struct tlog_proof proof = {.has_extra = true, .checkpoint = bytes_str("x")};
		static uint8_t extra[LIMIT_TLOG_EXTRA + 1];

		buf_init(&out, sizeof(text) - 1);
		proof.extra = bytes_make(extra, LIMIT_TLOG_EXTRA + over);
		tlog_proof_write(&out, &proof);
		snprintf(text, sizeof(text), "%s", buf_cstr(&out));
		buf_release(&out);
		assert_int_equal(parse_proof(text), over ? ERR_LIMIT : OK);
	}
	for (unsigned over = 0; over < 2; over++) {
		size_t at = (size_t)sprintf(text, V "index 0\n\n");

		memset(text + at, 'x', LIMIT_TLOG_PROOF + over - at);
		text[LIMIT_TLOG_PROOF + over] = '\0';
		assert_int_equal(parse_proof(text), over ? ERR_LIMIT : OK);
	}
}

/* --- a checkpoint under a policy --- */

static struct signer *signer_of(unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8)};
	struct signer *signer;

	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

/* Signed by the log (key 1), cosigned by mirrors a, b, c (keys 2 to 4), as many as are asked for;
 * of the last one a byte of the signature is changed if `spoilt`. */
static void make_note(struct buf *out, unsigned cosigners, bool spoilt)
{
	static const char *const names[] = {
		"ovra.example/mirror/a", "ovra.example/mirror/b", "ovra.example/mirror/c"};
	struct checkpoint checkpoint = {{ORIGIN}, 5, {{7}}};
	struct signer *signer = signer_of(1);
	struct buf text;

	buf_init(out, LIMIT_NOTE_SIZE);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	assert_int_equal(checkpoint_sign(out, &checkpoint, signer), OK);
	signer_free(signer);
	for (unsigned i = 0; i < cosigners; i++) {
		signer = signer_of(2 + i);
		assert_int_equal(
			cosignature_sign(out, buf_bytes(&text), 1000 + i, names[i], signer), OK);
		signer_free(signer);
	}
	if (spoilt)
		out->data[out->size - 30] = out->data[out->size - 30] == 'A' ? 'B' : 'A';
	buf_release(&text);
}

static struct tlog_policy *policy_of_three(const char *quorum)
{
	struct tlog_policy *policy;
	struct buf text;

	buf_init(&text, LIMIT_POLICY_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		char name[] = "ovra.example/mirror/a";
		struct note_key key;

		name[sizeof(name) - 2] = (char)('a' + i);
		key = key_of(name, NOTE_COSIGNATURE, 2 + i);
		buf_printf(&text, "witness %c ", 'a' + i);
		note_key_format(&text, &key);
		buf_put_u8(&text, '\n');
	}
	buf_put_str(&text, quorum);
	assert_int_equal(tlog_policy_parse(buf_bytes(&text), &policy, NULL), OK);
	buf_release(&text);
	return policy;
}

/* What is wrong with the cosignatures is told one by one, and the key may be known from elsewhere.
 */
static void judges_a_checkpoint(void **state)
{
	struct tlog_policy *policy = policy_of_three("group g 2 a b c\nquorum g\n");
	struct note_key key = key_of(ORIGIN, NOTE_ED25519, 1),
			other = key_of(ORIGIN, NOTE_ED25519, 9);
	struct tlog_judgement j;
	struct tlog_verdict verdict;
	struct buf note;

	(void)state;
	for (unsigned cosigners = 0; cosigners <= 3; cosigners++) {
		for (int spoilt = 0; spoilt <= (cosigners > 0); spoilt++) {
			make_note(&note, cosigners, spoilt);
			assert_int_equal(
				tlog_policy_judge(policy, &key, buf_bytes(&note), &j, NULL), OK);
			assert_int_equal(j.bad, spoilt);
			assert_int_equal(j.verdict.count, cosigners - (unsigned)spoilt);
			assert_int_equal(j.verdict.unknown, 0);
			assert_true(j.quorum == (cosigners - (unsigned)spoilt >= 2));
			assert_true((j.first_bad != NULL) == spoilt);
			assert_int_equal(
				tlog_policy_judge(policy, &other, buf_bytes(&note), &j, NULL),
				ERR_UNTRUSTED);
			/* The policy lists no log, so that none is known to it. */
			assert_int_equal(
				tlog_policy_judge(policy, NULL, buf_bytes(&note), &j, NULL),
				ERR_UNTRUSTED);
			assert_int_equal(
				tlog_policy_check(policy, buf_bytes(&note), &verdict, NULL),
				ERR_UNTRUSTED);
			buf_release(&note);
		}
	}
	tlog_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_allowed),
		cmocka_unit_test(refuses_what_is_forbidden),
		cmocka_unit_test(holds_its_caps),
		cmocka_unit_test(holds_its_caps_on_logs_and_groups),
		cmocka_unit_test(reaches_as_the_example_says),
		cmocka_unit_test(tally_knows_its_keys),
		cmocka_unit_test(reaches_as_brute_force_says),
		cmocka_unit_test(proof_files_have_one_form),
		cmocka_unit_test(proof_files_hold_their_caps),
		cmocka_unit_test(judges_a_checkpoint),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
