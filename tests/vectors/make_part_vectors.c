/*
 * Writes tests/vectors/part.json to standard output: events as JSON lines and the parts they are
 * split into (proto/part.proto), byte for byte; and bytes that are no part.
 */
#include <assert.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/text.h"
#include "cases/event/event.h"
#include "proto/codec.h"
#include "proto/part.pb-c.h"

static char hex[2 * LIMIT_PART_SIZE + 1];
static bool first = true;

#define HEAD(id, type)                                                                             \
	"{\"type\":\"" type "\",\"event_id\":\"0190c0de-0000-7000-8000-0000000000" id              \
	"\",\"case_ref\":\"00112233445566778899aabbccddeeff\",\"occurred_on\":\"2024-02-29\","     \
	"\"precision\":\"D\",\"recorded_at\":\"2024-03-01T08:09:10Z\",\"recorded_by\":\"ZZ-hti-"   \
	"1\","                                                                                     \
	"\"office\":\"HTI\""

static const char *const lines[] = {
	HEAD("01", "CONTACT") ",\"language\":\"ht\",\"channel\":\"PHONE\",\"direction\":\"OUT\","
			      "\"result\":\"REACHED\",\"note\":\"lorem ipsum\"}",
	HEAD("02", "CASE_OPENED") ",\"case_code\":\"ZZ-HTI-7K3Q-5\",\"intake_channel\":\"PHONE\","
				  "\"preferred_language\":\"ht\",\"do_not_contact_windows\":["
				  "\"08:00-12:00\"]}",
	HEAD("03", "PERSON_RECORDED") ",\"person_ref\":\"P-1\",\"role\":\"VICTIM\",\"sex\":\"99\","
				      "\"disability_status\":\"0\",\"names\":[\"ZZ \\u0639\"],"
				      "\"contacts\":[\"ZZ-0\"]}",
	HEAD("04", "NEEDS_ASSESSED") ",\"parents\":[\"0190c0de-0000-7000-8000-000000000003\"],"
				     "\"service_code\":[\"LEGAL\",\"PSY\"],\"pregnant\":\"98\"}",
	HEAD("05", "REFERRAL_MADE") ",\"consent_refs\":[\"0190c0de-0000-7000-8000-000000000009\"],"
				    "\"referral_id\":\"R-1\",\"service_code\":\"MED\","
				    "\"consent_ref\":\"0190c0de-0000-7000-8000-000000000009\"}",
	HEAD("06", "VICTIM_VIEW") ",\"supersedes\":[\"0190c0de-0000-7000-8000-000000000007\"],"
				  "\"subject\":\"INVESTIGATION\",\"view\":\"lorem\"}",
	"{\"type\":\"FEEDBACK\",\"event_id\":\"0190c0de-0000-7000-8000-000000000008\",\"case_ref\":"
	"\"00112233445566778899aabbccddeeff\",\"occurred_on\":\"\",\"precision\":\"UNKNOWN\","
	"\"recorded_at\":\"1970-01-01T00:00:00Z\",\"recorded_by\":\"ZZ-hti-1\",\"office\":\"HTI\","
	"\"items\":[\"Y\",\"98\"]}",
};

static void put_hex(struct bytes data)
{
	hex_encode(data, hex);
	printf("\"%s\"", hex);
}

static void put_line(const char *line)
{
	putchar('"');
	for (; *line != 0; line++) {
		if (*line == '"' || *line == '\\')
			putchar('\\');
		putchar(*line);
	}
	putchar('"');
}

static void good(const char *line)
{
	struct event_parts parts;
	struct event event;

	assert(event_parse(bytes_str(line), &event, NULL) == OK);
	assert(event_split(&event, NULL, &parts, NULL) == OK);
	printf("%s\n\t{\n\t\t\"event\": ", first ? "" : ",");
	first = false;
	put_line(line);
	printf(",\n\t\t\"parts\": [");
	for (size_t i = 0; i < parts.count; i++) {
		printf("%s\n\t\t\t", i == 0 ? "" : ",");
		put_hex(buf_bytes(&parts.part[i].packed));
	}
	printf("\n\t\t]\n\t}");
	event_parts_release(&parts);
	event_release(&event);
}

static uint8_t id[16] = {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80};

static Sauti__Part sound(void)
{
	Sauti__Part part = SAUTI__PART__INIT;

	part.event_id = codec_binary(BYTES_ARRAY(id));
	part.case_ref = codec_binary(BYTES_ARRAY(id));
	part.type = 16;
	part.group = 3;
	part.occurred_on = (char *)"2024";
	part.precision = (char *)"Y";
	part.recorded_by = (char *)"ZZ-1";
	part.main = true;
	part.office = (char *)"HTI";
	return part;
}

static void bad(const char *name, const Sauti__Part *part)
{
	struct part_info info;
	struct buf packed;

	buf_init(&packed, LIMIT_PART_SIZE);
	codec_pack(&packed, part);
	assert(part_info_read(buf_bytes(&packed), &info, NULL) != OK);
	printf("%s\n\t{\n\t\t\"name\": \"%s\",\n\t\t\"part\": ", first ? "" : ",", name);
	first = false;
	put_hex(buf_bytes(&packed));
	printf("\n\t}");
	buf_release(&packed);
}

static void bad_heads(void)
{
	Sauti__Part part = sound();

	part.event_id.len = 15;
	bad("event_id of 15 bytes", &part);
	part = sound();
	part.case_ref.len = 0;
	bad("no case_ref", &part);
	part = sound();
	part.type = 0;
	bad("no type", &part);
	part = sound();
	part.group = 11;
	bad("a group of the ledger", &part);
	part = sound();
	part.occurred_on = (char *)"2024-13";
	part.precision = (char *)"M";
	bad("no such month", &part);
	part = sound();
	part.precision = (char *)"D";
	bad("precision that does not fit", &part);
	part = sound();
	part.main = false;
	bad("office outside of the main part", &part);
	part = sound();
	part.recorded_by = (char *)"";
	bad("nobody recorded it", &part);
}

static void bad_fields(void)
{
	Sauti__PartField a = SAUTI__PART_FIELD__INIT, b = SAUTI__PART_FIELD__INIT;
	Sauti__PartField *fields[] = {&a, &b};
	Sauti__Part part = sound();

	part.fields = fields;
	part.n_fields = 2;
	a.name = b.name = (char *)"channel";
	a.json = b.json = (char *)"\"PHONE\"";
	bad("a field twice", &part);
	b.name = (char *)"event_id";
	bad("a common member as a field", &part);
	b.name = (char *)"result";
	b.json = (char *)"REACHED";
	bad("a value that is no JSON", &part);
	b.json = (char *)"1.5";
	bad("a number with a fraction", &part);
}

int main(void)
{

	if (crypto_init() != OK)
		return 1;
	printf("{\n\"good\": [");
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		good(lines[i]);
	printf("\n],\n\"bad\": [");
	first = true;
	bad_heads();
	bad_fields();
	printf("\n]\n}\n");
	crypto_release();
	return 0;
}
