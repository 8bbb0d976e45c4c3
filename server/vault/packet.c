/*
 * A packet: the consent is looked at, the page is made, and the event that says so; the loop
 * records that before a byte of the page leaves. That the event is judged anew as it is recorded is
 * as it should be: between the two a withdrawal may have come.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "cases/keys/grant.h"
#include "cases/packet/packet.h"
#include "server/vault/grants/grants.h"

/* How events write the name: a consent lists it so. */
static enum err name_as_written(const char *name, struct buf *ret)
{
	json_t *json = json_string(name);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(json);
	if (text == NULL)
		return ERR_INVALID;
	buf_put(ret, bytes_make(text + 1, strlen(text) - 2)); /* without the quotes */
	json_text_free(text);
	return ret->err;
}

/* What is there to be had: no names unless they are asked for. */
static enum err settle_groups(
	struct vault_packet *packet, const struct grant_cover *cover, struct errctx *ctx)
{
	group_set other = packet->groups & (group_set)~packet_groups();

	for (unsigned g = 1; g <= GROUP_LAST; g++)
		if ((other & GROUP_BIT(g)) != 0)
			return err_set(ctx, ERR_INVALID,
				"groups: nothing of the group %s is ever in a packet",
				group_name((enum group)g));
	if (packet->groups == 0)
		packet->groups =
			cover->groups & packet_groups() & (group_set)~GROUP_BIT(GROUP_IDENTITY);
	return packet->groups != 0 ? OK
				   : err_set(ctx, ERR_INVALID,
					     "groups: consented to is nothing that a packet holds");
}

static enum err check_consent(const struct grant_office *office, struct vault_request *request,
	const struct case_state *state, const char *today, struct grant_cover *ret)
{
	const struct vault_packet *packet = request->packet;
	struct grant_ask ask = {
		.purpose = packet->purpose[0] == '\0' ? NULL : packet->purpose,
		.groups = packet->groups,
		.day = today,
		.counts = grant_counts,
		.arg = office,
	};
	struct errctx *ctx = &request->ctx;
	struct buf name;
	enum err err;

	buf_init(&name, 6 * sizeof(packet->recipient));
	err = name_as_written(packet->recipient, &name);
	if (err == ERR_INVALID)
		err = err_set(ctx, err, "the recipient's name is no text");
	ask.to.organisation = buf_cstr(&name);
	if (err == OK)
		err = grant_check(state, &ask, ret, ctx);
	buf_release(&name);
	return err;
}

static json_t *groups_json(group_set groups)
{
	json_t *list = json_array();

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((groups & GROUP_BIT(g)) != 0)
			json_array_append_new(list, json_string(group_name((enum group)g)));
	return list;
}

/* The groups that were asked for, whatever is in them now: consent is looked at for these. */
static enum err write_line(const struct casebook_case *kase, const char *today,
	const struct packet_holds *holds, struct vault_packet *packet)
{
	char ref[2 * CASE_REF_SIZE + 1], *text;
	json_t *fields = json_array(), *json;

	case_ref_text(&kase->ref, ref);
	for (size_t i = 0; i < holds->field_count; i++)
		json_array_append_new(fields, json_string(holds->fields[i]));
	json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:s}", "type", "EXTERNAL_PACKET",
		"event_id", packet->id, "case_ref", ref, "occurred_on", today, "recipient",
		packet->recipient, "groups", groups_json(packet->groups), "fields", fields,
		"format", packet->format, "consent_ref", packet->consent);
	if (json != NULL && packet->office[0] != '\0')
		json_object_set_new(json, "office", json_string(packet->office));
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return ERR_NOMEM;
	buf_init(&packet->line, LIMIT_EVENT_JSON);
	buf_put_str(&packet->line, text);
	json_text_free(text);
	return packet->line.err;
}

/* A node without a country does not know which office's it is. */
static void find_office(const struct book *book, const struct timeline *timeline, char ret[4])
{
	size_t count = timeline_count(timeline);

	for (size_t i = 0; book->opts.country[0] == '\0' && i < count; i++)
		if (timeline_author(timeline, i)[0] == '\0')
			memcpy(ret, timeline_event(timeline, i)->office, 4);
}

static enum err write_page(struct book *book, const struct casebook_case *kase,
	const struct packet *page, struct vault_request *request, struct packet_holds *ret)
{
	struct timeline *timeline;
	enum err err;

	TRY(timeline_new(&timeline));
	err = show_read(book, kase, timeline, &request->unread, &request->ctx);
	if (err == OK) {
		find_office(book, timeline, request->packet->office);
		buf_init(&request->file, PACKET_MAX);
		err = packet_write(page, timeline, &request->file, ret);
	}
	timeline_free(timeline);
	if (err == ERR_LIMIT)
		return err_set(&request->ctx, err,
			"the packet would be larger than %d KiB: ask for fewer groups",
			PACKET_MAX / 1024);
	return err;
}

static enum err new_id(struct book *book, uint64_t now_ms, struct event_id *ret)
{
	uint8_t random[10];

	TRY(pool_draw(&book->pool, random, sizeof(random)));
	*ret = event_id_make(now_ms, random);
	return OK;
}

static enum err make(struct book *book, const struct casebook_case *kase,
	const struct grant_cover *cover, const char *today, struct vault_request *request)
{
	struct vault_packet *packet = request->packet;
	char purpose[sizeof(packet->purpose)];
	struct packet_holds holds;
	struct packet page = {
		.recipient = packet->recipient,
		.node = book->opts.node,
		.network = book->opts.network,
		.made_on = today,
		.until = packet->until,
		.purpose = purpose,
		.legal_basis = packet->legal_basis[0] == '\0' ? NULL : packet->legal_basis,
		.groups = packet->groups,
		.services = cover->services,
	};

	snprintf(purpose, sizeof(purpose), "%.*s", BYTES_FMT(cover->purpose));
	snprintf(packet->until, sizeof(packet->until), "%s", cover->until);
	TRY(new_id(book, request->now_ms, &page.id));
	event_id_text(&page.id, packet->id);
	TRY(write_page(book, kase, &page, request, &holds));
	sha256(buf_bytes(&request->file), &request->file_hash);
	buf_put(&request->refs, BYTES_ARRAY(kase->ref.b));
	request->groups = packet->groups;
	request->events = holds.events;
	TRY(request->refs.err);
	if (page.legal_basis != NULL)
		return OK;
	event_id_text(&cover->event, packet->consent);
	return write_line(kase, today, &holds, packet);
}

enum err packet_make(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct grant_cover cover = {.covered = false};
	char today[11];

	request_today(request, today);
	TRY(case_named(book, request, &kase, &state));
	if (request->packet->legal_basis[0] == '\0')
		TRY(check_consent(
			&(struct grant_office){book, kase}, request, state, today, &cover));
	TRY(settle_groups(request->packet, &cover, &request->ctx));
	return make(book, kase, &cover, today, request);
}
