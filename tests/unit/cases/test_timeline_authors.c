/* A case of several nodes: what one says cannot change what another said. */
#include "case_lines.h"

#include "cases/fold/timeline.h"

#define REF "\"case_ref\":\"00112233445566778899aabbccddeeff\""

static struct event_parts make_parts(unsigned n, unsigned day, const char *says)
{
	struct event_parts parts;
	struct event event;
	char line[500];

	snprintf(line, sizeof(line),
		"{\"type\":\"CONTACT\",\"event_id\":\"01900000-0000-7000-8000-%012u\"," REF
		",\"occurred_on\":\"2024-02-%02u\",\"recorded_at\":\"2024-03-01T00:00:00Z\","
		"\"recorded_by\":\"o\",\"office\":\"ZZZ\",\"says\":\"%s\",\"note\":\"%s\"}",
		n, day, says, says);
	assert_ok(event_parse(bytes_str(line), &event, NULL));
	assert_ok(event_split(&event, NULL, &parts, NULL));
	assert_int_equal(parts.count, 2);
	event_release(&event);
	return parts;
}

static void add(
	struct timeline *timeline, const char *author, unsigned n, const char *says, size_t part)
{
	struct event_parts parts = make_parts(n, n % 28 + 1, says);

	assert_ok(timeline_add_of(timeline, author, buf_bytes(&parts.part[part].packed), NULL));
	event_parts_release(&parts);
}

static void says_is(const struct timeline *timeline, size_t i, const char *author, bool contested,
	const char *says)
{
	char *text = NULL;

	assert_string_equal(timeline_author(timeline, i), author);
	assert_int_equal(timeline_contested(timeline, i), contested);
	assert_ok(event_field_string(timeline_event(timeline, i), "says", &text));
	assert_string_equal(text, says);
	free(text);
}

static void nobody_speaks_for_another(void **state)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	/* the forged part is the smaller one: it would win within one author */
	add(timeline, "caf", 1, "a", 0);
	add(timeline, "caf", 1, "a", 1);
	add(timeline, NULL, 1, "bbbbbb", 0);
	add(timeline, NULL, 1, "bbbbbb", 1);
	add(timeline, NULL, 2, "alone", 0);
	add(timeline, "caf", 2, "slipped under it", 1); /* a note to our event */
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 4);
	says_is(timeline, 0, "", true, "bbbbbb");
	says_is(timeline, 1, "caf", true, "a");
	says_is(timeline, 2, "", true, "alone");
	assert_null(event_field_json(timeline_event(timeline, 2), "note"));
	assert_string_equal(timeline_author(timeline, 3), "caf");
	assert_true(timeline_event(timeline, 3)->partial);
	timeline_free(timeline);
}

/* A case that was handed over stands in the logs of both. */
static void the_same_twice_is_once(void **state)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (size_t part = 0; part < 2; part++) {
		add(timeline, "cod", 1, "same", part);
		add(timeline, NULL, 1, "same", part);
		add(timeline, "caf", 1, "same", part);
		add(timeline, "cod", 2, "theirs", part);
		add(timeline, "caf", 2, "theirs", part);
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 2);
	says_is(timeline, 0, "", false, "same");
	says_is(timeline, 1, "caf", false, "theirs");
	timeline_free(timeline);
}

static void assigned_is(const char *author, const char *officer, const char *expected)
{
	struct event_parts parts;
	struct timeline *timeline;
	char line[500], *text = NULL;
	struct event event;

	snprintf(line, sizeof(line),
		"{\"type\":\"OFFICER_ASSIGNED\",\"event_id\":\"01900000-0000-7000-8000-"
		"000000000009\"," REF ",\"recorded_at\":\"2024-03-01T00:00:00Z\",\"recorded_by\":"
		"\"%s\",\"office\":\"ZZZ\","
		"\"officer_key\":\"%s\",\"role\":\"LEAD\"}",
		officer, officer);
	assert_ok(event_parse(bytes_str(line), &event, NULL));
	assert_ok(event_split(&event, NULL, &parts, NULL));
	event_release(&event);
	assert_ok(timeline_new(&timeline));
	assert_ok(timeline_add_of(timeline, author, buf_bytes(&parts.part[0].packed), NULL));
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 1);
	assert_string_equal(timeline_event(timeline, 0)->recorded_by, expected);
	assert_ok(event_field_string(timeline_event(timeline, 0), "officer_key", &text));
	assert_string_equal(text, expected);
	free(text);
	timeline_free(timeline);
	event_parts_release(&parts);
}

/* Nobody elsewhere makes an officer of this node. */
static void officers_are_of_their_node(void **state)
{
	static const char longest[] =
		"oooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo";

	assigned_is(NULL, "amina", "amina");
	assigned_is("caf", "amina", "amina@caf");
	assigned_is("caf", "amina@hq", "amina@hq@caf");
	assert_int_equal(strlen(longest), EVENT_OFFICER_MAX);
	assigned_is(NULL, longest, longest);
	assigned_is(
		"caf", longest, "oooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo@caf");
}

enum { EVENTS = 12, STEPS = 2 * 2 * EVENTS };

/* Step by step what two nodes wrote, some of it about one id; each node's in its own order. */
static char *interleaved(unsigned seed)
{
	unsigned at[2] = {0, 0};
	struct timeline *timeline;
	struct buf buf;
	char *text;

	srand(seed);
	assert_ok(timeline_new(&timeline));
	while (at[0] + at[1] < STEPS) {
		unsigned node = (unsigned)rand() % 2, k;

		if (at[node] == STEPS / 2)
			node = 1 - node;
		k = at[node]++;
		add(timeline, node == 0 ? NULL : "caf", node == 0 ? k / 2 : k / 2 + EVENTS / 2,
			node == 0 ? "one" : "other", k % 2);
		if (rand() % 4 == 0) /* again, out of another epoch */
			at[node] = k;
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 2 * EVENTS);
	buf_init(&buf, 100000);
	timeline_json(timeline, &buf);
	text = strdup(buf_cstr(&buf));
	for (size_t i = 0; i < timeline_count(timeline); i++)
		text[i] = timeline_author(timeline, i)[0] == 0 ? 'o' : 'c';
	buf_release(&buf);
	timeline_free(timeline);
	return text;
}

static void any_interleaving_is_one_timeline(void **state)
{
	char *expected = interleaved(1);

	for (unsigned seed = 2; seed < 200; seed++) {
		char *text = interleaved(seed);

		assert_string_equal(text, expected);
		free(text);
	}
	free(expected);
}

static void authors_are_capped(void **state)
{
	struct event_parts parts = make_parts(1, 1, "x");
	struct bytes part = buf_bytes(&parts.part[0].packed);
	struct timeline *timeline;
	char name[16];

	assert_ok(timeline_new(&timeline));
	for (unsigned i = 1; i < TIMELINE_AUTHORS_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_ok(timeline_add_of(timeline, name, part, NULL));
	}
	assert_int_equal(timeline_add_of(timeline, "more", part, NULL), ERR_LIMIT);
	assert_ok(timeline_add_of(timeline, "n3", part, NULL));
	assert_ok(timeline_add(timeline, part, NULL)); /* this node is one of them from the start */
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 1);
	says_is(timeline, 0, "", false, "x");
	event_parts_release(&parts);
	timeline_free(timeline);
}

static void say(struct timeline *timeline, const char *author, unsigned n, const char *type,
	const char *members)
{
	struct event event = line_event(n, "2024-01-01", type, members);

	line_add(timeline, author, &event);
	event_release(&event);
}

/* Whoever assigns a thousand officers, or invents ids, hides nothing that was recorded here. */
static void nobody_takes_the_room(void **unused)
{
	static const struct {
		unsigned count;
		const char *type, *before, *behind; /* around a number */
	} floods[] = {
		{LIMIT_CASE_OFFICERS + 1, "OFFICER_ASSIGNED", "'officer_key':'x",
			"','role':'LEAD'"},
		{LIMIT_CASE_CONSENTS + 1, "CONSENT_RECORDED", "'consent_id':'X-",
			"','purpose':'REFERRAL','given_by':'VICTIM','form':'WRITTEN',"
			"'valid_until':'2024-02-01'"},
		{1500, "PERSON_RECORDED",
			"'person_ref':'0123456789012345678901234567890123456789012345678901234",
			"','role':'WITNESS'"},
		{3, "OFFICER_ASSIGNED", "'officer_key':'x", "','role':'BACKUP'"},
	};

	for (size_t f = 0; f < sizeof(floods) / sizeof(*floods); f++) {
		bool fits = floods[f].count == 3;
		struct case_summary summary;
		struct case_state *state;
		struct timeline *timeline;
		char members[300];

		assert_ok(timeline_new(&timeline));
		say(timeline, NULL, 1, "CASE_OPENED", "'case_code':'ZZ-HTI-1'");
		for (unsigned i = 0; i < floods[f].count; i++) {
			snprintf(members, sizeof(members), "%s%u%s", floods[f].before, 10000 + i,
				floods[f].behind);
			say(timeline, "caf", 2 + i, floods[f].type, members);
		}
		say(timeline, NULL, 9000, "OFFICER_ASSIGNED", "'officer_key':'ada','role':'LEAD'");
		assert_ok(timeline_finish(timeline));
		assert_int_equal(timeline_count(timeline), floods[f].count + 2);
		assert_ok(timeline_state(timeline, &state));
		case_state_summary(state, "2024-06-01", &summary);
		assert_string_equal(summary.lead, "ada");
		assert_true(case_state_officer_in(state, "ada", "2024-06-01"));
		assert_int_equal(summary.backups, fits ? 3 : 0);
		assert_int_equal(summary.irregular, fits ? 0 : floods[f].count);
		case_state_free(state);
		timeline_free(timeline);
	}
}

/* Another node's word about its own officers, of any day, takes a case from nobody here. */
static void nobody_takes_the_lead(void **unused)
{
	for (unsigned assigned = 0; assigned < 2; assigned++) {
		struct case_summary summary;
		struct case_state *state;
		struct timeline *timeline;

		assert_ok(timeline_new(&timeline));
		say(timeline, NULL, 1, "CASE_OPENED", "'case_code':'ZZ-HTI-1'");
		if (assigned)
			say(timeline, NULL, 2, "OFFICER_ASSIGNED",
				"'officer_key':'ada','role':'LEAD'");
		say(timeline, "caf", 9000, "OFFICER_ASSIGNED", "'officer_key':'x','role':'LEAD'");
		assert_ok(timeline_finish(timeline));
		assert_ok(timeline_state(timeline, &state));
		case_state_summary(state, "2024-06-01", &summary);
		assert_string_equal(summary.lead, assigned ? "ada" : "ZZ-hti-1");
		assert_true(
			case_state_officer_in(state, assigned ? "ada" : "ZZ-hti-1", "2024-06-01"));
		assert_true(case_state_officer_in(state, "x@caf", "2024-06-01"));
		case_state_free(state);
		timeline_free(timeline);
	}
}

/* What packs well and opens to much: so many bytes of others, and no more; ours are not counted. */
static void bytes_are_capped(void **unused)
{
	static char note[15001], members[15500];
	struct timeline *timeline;
	struct event_parts parts;
	size_t bytes = 0, size = 0;
	struct event event;
	unsigned n = 0;
	enum err err;

	memset(note, 'a', sizeof(note) - 1);
	snprintf(members, sizeof(members),
		"{\"type\":\"CONTACT\",\"event_id\":\"01900000-0000-7000-8000-000000000001\"," REF
		",\"occurred_on\":\"\",\"recorded_at\":\"2024-03-01T00:00:00Z\",\"recorded_by\":"
		"\"o\",\"office\":\"ZZZ\",\"note\":\"%s\"}",
		note);
	assert_ok(event_parse(bytes_str(members), &event, NULL));
	assert_ok(timeline_new(&timeline));
	do {
		struct event_id id = line_event_id(++n);

		event_set_id(&event, &id);
		assert_ok(event_split(&event, NULL, &parts, NULL));
		size = parts.part[1].packed.size;
		err = timeline_add_of(timeline, n % 2 == 0 ? "caf" : "mli",
			buf_bytes(&parts.part[1].packed), NULL);
		if (err == OK)
			bytes += size;
		else
			assert_ok(timeline_add_of(
				timeline, NULL, buf_bytes(&parts.part[1].packed), NULL));
		event_parts_release(&parts);
	} while (err == OK);
	assert_int_equal(err, ERR_LIMIT);
	assert_true(bytes <= LIMIT_CASE_FOREIGN_BYTES && bytes + size > LIMIT_CASE_FOREIGN_BYTES);
	assert_true(size > sizeof(note) - 1);
	event_release(&event);
	timeline_free(timeline);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_speaks_for_another),
		cmocka_unit_test(the_same_twice_is_once),
		cmocka_unit_test(officers_are_of_their_node),
		cmocka_unit_test(any_interleaving_is_one_timeline),
		cmocka_unit_test(authors_are_capped),
		cmocka_unit_test(nobody_takes_the_room),
		cmocka_unit_test(nobody_takes_the_lead),
		cmocka_unit_test(bytes_are_capped),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
