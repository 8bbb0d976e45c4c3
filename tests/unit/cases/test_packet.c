/* What is in a packet and what never is; sealed files; the letter of a recall. */
#include "case_lines.h"

#include "cases/packet/packet.h"
#include "cases/packet/recall.h"
#include "cases/packet/sealed.h"
#include "cases/schema/schema.h"

/* --- the page --- */

struct line {
	const char *type, *members;
};
static const struct line life[] = {
	{"CASE_OPENED",
		"'case_code':'ZZ-HTI-1','preferred_language':'ht','do_not_contact_windows':['08:00-"
		"12:00']"},
	{"PERSON_RECORDED",
		"'person_ref':'P-1','role':'VICTIM','sex':'F','names':['ZZ-name'],'contacts':['ZZ-"
		"phone'],'documents':['ZZ-passport'],'disability_status':'Y'"},
	{"PERSON_RECORDED", "'person_ref':'P-2','role':'WITNESS','sex':'M','names':['ZZ-witness']"},
	{"NEEDS_ASSESSED",
		"'service_code':['MED','LEGAL','PSY'],'urgency':'72H','risk_level':'HIGH','note':"
		"'zz-note'"},
	{"ALLEGATION_RECORDED",
		"'allegation_ref':'A-1','allegation_type':'SE','incident_country':'HTI','subject_"
		"ref':['P-9'],'subject_nationality':'FRA','subject_entity':'ZZ-entity'"},
	{"PROTECTION_CONCERN",
		"'concern_id':'K-1','kind':'THREAT','level':'HIGH','source':'FAMILY'"},
	{"VICTIM_VIEW", "'subject':'CASE','view':'zz-view'"},
};
enum { LIFE = sizeof life / sizeof life[0] };

static struct timeline *timeline_of_life(const char *author)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (unsigned i = 0; i < LIFE; i++) {
		struct event event = line_event(i + 1, "2024-02-01", life[i].type, life[i].members);

		line_add(timeline, author, &event);
		event_release(&event);
	}
	assert_ok(timeline_finish(timeline));
	return timeline;
}

static char *page(const struct timeline *timeline, group_set groups, const char *services,
	struct packet_holds *ret)
{
	struct packet packet = {.id = line_event_id(77),
		.recipient = "ZZ <Org>",
		.node = "haiti",
		.network = "ovra.example",
		.made_on = "2024-03-01",
		.until = "2024-12-31",
		.purpose = "REFERRAL",
		.groups = groups,
		.services = bytes_str(services)};
	struct packet_holds holds;
	struct buf out;
	char *text;

	buf_init(&out, PACKET_MAX + 1);
	assert_ok(packet_write(&packet, timeline, &out, ret == NULL ? &holds : ret));
	for (size_t step = 256; step != out.size;
		step = (step & (step - 1)) == 0 ? step / 2 * 3 : step / 3 * 4)
		assert_true(step < out.size);
	text = strdup(buf_cstr(&out));
	buf_wipe(&out);
	return text;
}

static void holds(const char *text, const char *words, bool wanted)
{
	if ((strstr(text, words) != NULL) != wanted)
		fail_msg("'%s' %s in %s", words, wanted ? "is not" : "is", text);
}

static void test_groups(void **arg)
{
	struct timeline *timeline = timeline_of_life(NULL);
	struct packet_holds got;
	char *text = page(timeline, GROUP_BIT(GROUP_CONTACT), "", &got);

	holds(text, "ZZ &lt;Org&gt;", true);
	holds(text, "01900000-0000-7000-8000-000000000077", true);
	holds(text, "do not contact windows", true);
	holds(text, "medical", false);
	holds(text, "ZZ-HTI-1", false);
	holds(text, "zz-view", false);
	assert_int_equal(got.events, 1);
	assert_int_equal(got.groups, GROUP_BIT(GROUP_CONTACT));
	free(text);
	/* All that there may be: still no note, document, subject, witness, officer. */
	text = page(timeline, packet_groups(), "", &got);
	for (const char *const *word = (const char *const[]){"ZZ-passport", "ZZ-witness", "zz-note",
		     "P-9", "FRA", "France", "ZZ-entity", "zz-view", "ZZ-hti-1", "ZZ-HTI-1",
		     "family", "HIGH RISK", NULL};
		*word != NULL; word++)
		holds(text, *word, false);
	holds(text, "ZZ-name", true);
	holds(text, "ZZ-phone", true);
	assert_int_equal(got.groups, packet_groups() & (group_set)~GROUP_BIT(GROUP_PATERNITY));
	assert_true(got.field_count > 10);
	free(text);
	timeline_free(timeline);
}

/* Of services those that are consented to, and of the group that is. */
static void test_services(void **arg)
{
	struct timeline *timeline = timeline_of_life(NULL);
	struct packet_holds got;
	char *text = page(timeline, GROUP_BIT(GROUP_SERVICES), "", &got);

	holds(text, "legal", true);
	holds(text, "medical", false);
	holds(text, "urgency", true);
	assert_int_equal(got.groups, GROUP_BIT(GROUP_SERVICES));
	free(text);
	text = page(
		timeline, GROUP_BIT(GROUP_SERVICES) | GROUP_BIT(GROUP_HEALTH), "[\"PSY\"]", &got);
	holds(text, "psycho", true);
	holds(text, "legal", false);
	holds(text, "medical", false);
	assert_int_equal(got.groups, GROUP_BIT(GROUP_HEALTH));
	free(text);
	/* Nothing is left of it: not even that there was a need. */
	text = page(timeline, GROUP_BIT(GROUP_SERVICES), "[\"PSY\"]", &got);
	holds(text, "urgency", false);
	holds(text, "Needs", false);
	holds(text, "nothing to tell", true);
	assert_int_equal(got.events, 0);
	free(text);
	timeline_free(timeline);
}

/* What another node shared with this office is not this office's to give. */
static void test_foreign(void **arg)
{
	struct timeline *timeline = timeline_of_life("rdc");
	struct packet_holds got;
	char *text = page(timeline, packet_groups(), "", &got);

	assert_int_equal(got.events, 0);
	free(text);
	timeline_free(timeline);
}

/* The table names real fields, with the group they are sealed in. */
static void test_table(void **arg)
{
	const char *name;
	uint32_t number;

	for (size_t n = 0; packet_field_at(n, &number, &name); n++) {
		const struct schema_type *type = schema_type_get(number);
		const struct schema_field *field = schema_field_find(type, bytes_str(name));
		enum group group = packet_field_group(number, bytes_str(name));

		assert_non_null(field);
		assert_true(field->kind != FIELD_NOTE && field->kind != FIELD_TEXT);
		if (schema_field_group(type, field) != GROUP_NONE)
			assert_int_equal(group, schema_field_group(type, field));
		else
			assert_int_equal(group, GROUP_SERVICES);
	}
	assert_int_equal(packet_field_group(EVENT_CONTACT, bytes_str("note")), GROUP_NONE);
	assert_int_equal(packet_groups() & GROUP_BIT(GROUP_NOTE), 0);
	assert_int_equal(packet_groups() & GROUP_BIT(GROUP_CONSENT), 0);
}

/* --- sealed --- */

static const struct scrypt_cost cheap = {.n = 1 << 14, .r = 8, .p = 1};

static void seal(struct bytes text, struct buf *ret)
{
	uint8_t salt[SEALED_SALT_SIZE] = {7};

	buf_init(ret, SEALED_FILE_MAX);
	assert_ok(sealed_write(bytes_str("zz-pass"), salt, cheap, text, ret));
}

static enum err unseal(struct bytes file, const char *passphrase, struct buf *ret)
{
	buf_init(ret, SEALED_FILE_MAX);
	return sealed_read(bytes_str(passphrase), file, ret);
}

static void fails(struct bytes file, const char *passphrase, enum err err)
{
	struct buf text;

	assert_int_equal(unseal(file, passphrase, &text), err);
	assert_int_equal(text.size, 0);
	buf_wipe(&text);
}

static void test_sealed(void **arg)
{
	static const size_t sizes[] = {0, 1, 252, 253, 380, 381, 100000};
	static uint8_t text[100000];
	size_t before = 0;

	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf file, back;

		seal(bytes_make(text, sizes[i]), &file);
		assert_true(sealed_is(buf_bytes(&file)));
		assert_true(file.size >= before);
		before = file.size;
		assert_ok(unseal(buf_bytes(&file), "zz-pass", &back));
		assert_true(bytes_equal(buf_bytes(&back), bytes_make(text, sizes[i])));
		buf_wipe(&back);
		buf_release(&file);
	}
}

static void test_sealed_tampered(void **arg)
{
	struct buf file;

	seal(bytes_str("lorem ipsum"), &file);
	fails(buf_bytes(&file), "zz-pas", ERR_DENIED);
	fails(buf_bytes(&file), "", ERR_DENIED);
	for (size_t i = 0; i < file.size; i += i < SEALED_HEAD_SIZE ? 1 : 37) {
		struct buf back;
		enum err err;

		file.data[i] ^= 1;
		err = unseal(buf_bytes(&file), "zz-pass", &back);
		assert_true(err == ERR_MALFORMED || err == ERR_VERSION || err == ERR_DENIED ||
			    err == ERR_DECRYPT);
		assert_int_equal(back.size, 0);
		buf_wipe(&back);
		file.data[i] ^= 1;
	}
	for (size_t cut = 1; cut < file.size; cut += 41)
		fails(bytes_make(file.data, file.size - cut), "zz-pass",
			file.size - cut < 14                                       ? ERR_MALFORMED
			: file.size - cut < SEALED_HEAD_SIZE + 256 + AEAD_TAG_SIZE ? ERR_MALFORMED
										   : ERR_DECRYPT);
	/* A cost that would take all memory is not tried. */
	file.data[15] = 30;
	fails(buf_bytes(&file), "zz-pass", ERR_VERSION);
	file.data[15] = 14;
	file.data[17] = 200;
	fails(buf_bytes(&file), "zz-pass", ERR_VERSION);
	buf_release(&file);
}

static void test_sealed_limits(void **arg)
{
	uint8_t salt[SEALED_SALT_SIZE] = {7}, *text = calloc(1, SEALED_TEXT_MAX + 1);
	struct scrypt_cost costly = {.n = 1 << 18, .r = 8, .p = 1};
	struct buf file;

	buf_init(&file, SEALED_FILE_MAX);
	assert_int_equal(sealed_write(BYTES_NONE, salt, cheap, BYTES_NONE, &file), ERR_INVALID);
	assert_int_equal(
		sealed_write(bytes_str("x"), salt, costly, BYTES_NONE, &file), ERR_INVALID);
	assert_int_equal(sealed_write(bytes_str("x"), salt, cheap,
				 bytes_make(text, SEALED_TEXT_MAX + 1), &file),
		ERR_LIMIT);
	assert_ok(sealed_write(
		bytes_str("x"), salt, cheap, bytes_make(text, SEALED_TEXT_MAX), &file));
	buf_release(&file);
	free(text);
}

/* --- recall --- */

static void test_recall(void **arg)
{
	const struct recall_packet packets[] = {
		{"01900000-0000-7000-8000-000000000001", "2024-01-01", true},
		{"01900000-0000-7000-8000-000000000002", "2024-01-02", false}};
	struct recall recall = {"ZZ <b>", "haiti", "ovra.example", "2024-03-01", packets, 2};
	struct buf out;

	buf_init(&out, 64 * 1024);
	recall_write(&recall, &out);
	holds(buf_cstr(&out), "ZZ &lt;b&gt;", true);
	holds(buf_cstr(&out), "000000000002</td><td>2024-01-02</td><td>encrypted file", true);
	holds(buf_cstr(&out), "<td>paper</td>", true);
	buf_release(&out);
}

static int start(void **arg)
{
	return crypto_init() != OK;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_sealed_tampered),
		cmocka_unit_test(test_sealed_limits),
		cmocka_unit_test(test_recall),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
