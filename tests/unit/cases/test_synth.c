/* scripts/synth: deterministic, and every line is an event that can be split and put together. */
#include "cases_test.h"

#include "cases/book/casebook.h"
#include "cases/fold/timeline.h"
#include "cases/rules/rules.h"
#include "cases/schema/schema.h"

static struct casebook *book;

static FILE *synth(const char *environment, const char *arguments)
{
	char command[500];
	FILE *pipe;

	snprintf(command, sizeof command, "%s python3 '%s/scripts/synth' %s", environment,
		SAUTI_SOURCE_DIR, arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	return pipe;
}

static struct hash hash_of(const char *environment, const char *arguments)
{
	static uint8_t text[8 * 1024 * 1024];
	FILE *pipe = synth(environment, arguments);
	size_t size = fread(text, 1, sizeof text, pipe);
	struct hash hash;

	assert_int_equal(pclose(pipe), 0);
	assert_in_range(size, 100000, sizeof text - 1);
	sha256(bytes_make(text, size), &hash);
	return hash;
}

static void same_seed_same_bytes(void **state)
{
	struct hash a = hash_of("PYTHONHASHSEED=1", "--seed 7");
	struct hash b = hash_of("PYTHONHASHSEED=2 LC_ALL=C", "--seed 7 --size demo");
	struct hash c = hash_of("", "--seed 8");

	assert_true(hash_equal(&a, &b));
	assert_false(hash_equal(&a, &c));
}

static struct casebook_key *key_for(const struct part_info *part)
{
	struct keyring_entry entry = {
		.case_ref = part->case_ref, .group = part->group, .author = "haiti"};
	struct casebook_case *kase = casebook_find_ref(book, &part->case_ref);
	struct casebook_key *key = NULL;

	if (kase != NULL)
		key = casebook_find_key(kase, part->group, bytes_str("haiti"));
	if (key != NULL)
		return key;
	assert_ok(secret_random(&entry.key, SEAL_KEY_SIZE));
	assert_ok(casebook_add_key(book, &entry, &key));
	keyring_entry_release(&entry);
	return key;
}

static void note_part(struct bytes packed, uint64_t index)
{
	struct part_info part;
	struct casebook_key *key;
	struct casebook_at at = {.index = index};

	assert_ok(part_info_read(packed, &part, NULL));
	key = key_for(&part);
	at.i = key->next_i;
	assert_ok(casebook_note(book, key, &at, &part));
}

static struct event_parts split(const struct event *event)
{
	struct casebook_event_info info;
	struct errctx ctx = {""};
	struct event_parts parts;
	struct event_id corrected;
	bool known = event_corrects(event, &corrected) == OK &&
		     casebook_find_event(book, &corrected, &info);

	if (event_split(event, known ? &info.target : NULL, &parts, &ctx) != OK)
		fail_msg("%s", ctx.text);
	return parts;
}

/* Merged, written, read and split again: the same parts. */
static void check_round_trip(const struct event_parts *parts)
{
	struct bytes views[GROUP_CASE_LAST];
	struct event_parts again;
	struct event merged, back;
	struct buf line;

	for (size_t i = 0; i < parts->count; i++)
		views[i] = buf_bytes(&parts->part[i].packed);
	assert_ok(event_merge(views, parts->count, &merged, NULL));
	buf_init(&line, LIMIT_EVENT_JSON);
	event_write(&merged, &line);
	assert_ok(event_parse(buf_bytes(&line), &back, NULL));
	again = split(&back);
	assert_int_equal(again.count, parts->count);
	for (size_t i = 0; i < parts->count; i++)
		assert_true(bytes_equal(buf_bytes(&again.part[i].packed), views[i]));
	event_parts_release(&again);
	event_release(&merged);
	event_release(&back);
	buf_release(&line);
}

static void every_line_is_an_event(void **state)
{
	struct casebook_options options = {0};
	static char line[LIMIT_EVENT_JSON];
	FILE *pipe = synth("", "--seed 1 --office HTI,COD,CAF");
	size_t complaints = 0, lines = 0;
	group_set seen = 0;

	assert_ok(casebook_new(&options, &book));
	for (; fgets(line, sizeof line, pipe) != NULL; lines++) {
		struct event_parts parts;
		struct event event;
		struct errctx ctx = {""};

		if (event_parse(bytes_str(line), &event, &ctx) != OK ||
			event_check_complete(&event, &ctx) != OK ||
			schema_check(&event, &ctx) != OK)
			fail_msg("line %zu: %s", lines + 1, ctx.text);
		assert_memory_equal(event.recorded_by, "ZZ-", 3);
		complaints += event.type == EVENT_COMPLAINT_RECEIVED;
		parts = split(&event);
		check_round_trip(&parts);
		for (size_t i = 0; i < parts.count; i++) {
			seen |= GROUP_BIT(parts.part[i].group);
			note_part(buf_bytes(&parts.part[i].packed), lines);
		}
		event_parts_release(&parts);
		event_release(&event);
	}
	assert_int_equal(pclose(pipe), 0);
	assert_in_range(lines, 3500, 4200);
	assert_int_equal(casebook_event_count(book), lines);
	assert_int_equal(casebook_case_count(book), 200 + complaints);
	for (size_t i = 0; i < casebook_case_count(book); i++)
		assert_memory_equal(casebook_case_at(book, i)->code, "ZZ-", 3);
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		assert_true((seen & GROUP_BIT(g)) != 0);
	casebook_free(book);
}

/* One case as it grows: its state, and the parts to fold it anew from. */
static struct {
	struct case_state *state;
	struct event_id ids[1000];
	struct event_target targets[1000];
	struct buf parts[3000];
	size_t events, part_count;
} kase;

static void kase_clear(void)
{
	case_state_free(kase.state);
	for (size_t i = 0; i < kase.part_count; i++)
		buf_release(&kase.parts[i]);
	kase.events = kase.part_count = 0;
	assert_ok(case_state_new(&kase.state));
}

static const struct event_target *kase_target(const struct event *event)
{
	struct event_id id;

	if (event_corrects(event, &id) != OK)
		return NULL;
	for (size_t i = 0; i < kase.events; i++)
		if (memcmp(&kase.ids[i], &id, sizeof id) == 0)
			return &kase.targets[i];
	return NULL;
}

static void kase_keep(const struct event *event)
{
	struct event_target *target = &kase.targets[kase.events];
	struct event_parts parts;

	assert_ok(event_split(event, kase_target(event), &parts, NULL));
	kase.ids[kase.events++] = event->id;
	*target = (struct event_target){.type = event->type};
	for (size_t i = 0; i < parts.count; i++) {
		target->groups |= GROUP_BIT(parts.part[i].group);
		if (parts.part[i].main)
			target->main = parts.part[i].group;
		kase.parts[kase.part_count++] = parts.part[i].packed;
	}
}

static void kase_fold(void)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < kase.part_count; i++)
		assert_ok(timeline_add(timeline, buf_bytes(&kase.parts[i]), NULL));
	assert_ok(timeline_finish(timeline));
	case_state_free(kase.state);
	assert_ok(timeline_state(timeline, &kase.state));
	timeline_free(timeline);
}

static void record(struct event *event, size_t line)
{
	static const struct rules_context context = {.today = "2026-01-01", .node = "haiti"};
	struct errctx ctx = {""};
	enum err err;

	if (rules_fill(kase.state, event, &context, &ctx) != OK ||
		schema_check(event, &ctx) != OK ||
		rules_check(kase.state, event, &context, &ctx) != OK)
		fail_msg("line %zu: %s: %s", line, event_type_get(event->type)->name, ctx.text);
	kase_keep(event);
	err = case_state_apply(kase.state, event);
	if (err == ERR_AGAIN)
		kase_fold();
	else
		assert_ok(err);
}

/* Cases stand one behind the other. Not one refusal, and nothing irregular in the end. */
static void every_case_obeys_the_rules(void **state)
{
	static char line[LIMIT_EVENT_JSON];
	FILE *pipe = synth("", "--seed 1 --size country");
	size_t lines = 0, cases = 0, resolved = 0;

	while (fgets(line, sizeof line, pipe) != NULL) {
		struct case_summary summary;
		struct event event;

		assert_ok(event_parse(bytes_str(line), &event, NULL));
		if (event.type == EVENT_CASE_OPENED)
			kase_clear();
		record(&event, ++lines);
		case_state_summary(kase.state, "2026-01-01", &summary);
		if (summary.irregular != 0)
			fail_msg("line %zu: irregular", lines);
		cases += event.type == EVENT_CASE_OPENED;
		resolved += event.type == EVENT_CONFLICT_RESOLVED;
		event_release(&event);
	}
	assert_int_equal(pclose(pipe), 0);
	kase_clear();
	case_state_free(kase.state);
	assert_true(cases > 2000 && resolved > 0);
}

/* .. that stands in a case. */
static void every_type_occurs(void **state)
{
	static char line[LIMIT_EVENT_JSON];
	FILE *pipe = synth("", "--seed 1 --size country");
	bool seen[EVENT_TYPE_LAST + 1] = {false};

	while (fgets(line, sizeof line, pipe) != NULL) {
		struct event event;
		struct errctx ctx = {""};

		if (event_parse(bytes_str(line), &event, &ctx) != OK ||
			schema_check(&event, &ctx) != OK)
			fail_msg("%s", ctx.text);
		seen[event.type] = true;
		event_release(&event);
	}
	assert_int_equal(pclose(pipe), 0);
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++)
		assert_int_equal(seen[n], event_type_get(n)->rule != EVENT_RULE_LEDGER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_bytes),
		cmocka_unit_test(every_line_is_an_event),
		cmocka_unit_test(every_type_occurs),
		cmocka_unit_test(every_case_obeys_the_rules),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
