#include "cases/keys/approval.h"

#include "cases/event/event.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

_Static_assert((int)APPROVAL_REF_SIZE == (int)CASE_REF_SIZE &&
		       (int)APPROVAL_CODE_MAX == (int)CASE_CODE_MAX &&
		       (int)APPROVAL_EVENT_TEXT == (int)EVENT_ID_TEXT,
	"as events have it");

const char *approval_kind_name(uint32_t kind)
{
	return kind == APPROVAL_BREAK_GLASS ? "BREAK_GLASS"
	       : kind == APPROVAL_REPORT    ? "MANDATORY_REPORT"
					    : "";
}

const char *approval_state_name(uint32_t state)
{
	static const char *const names[] = {"", "WAITING", "APPROVED", "REFUSED", "WITHDRAWN"};

	return state < sizeof names / sizeof names[0] ? names[state] : "";
}

const char *approval_verdict_text(enum approval_verdict verdict)
{
	switch (verdict) {
	case APPROVAL_COUNTS:
		break;
	case APPROVAL_IS_LATE:
		return "its 72 hours are over: it is withdrawn";
	case APPROVAL_IS_OWN:
		return "whoever opened it cannot decide about it: another officer does";
	case APPROVAL_IS_OTHER:
		return "it is not what was asked";
	case APPROVAL_IS_DONE:
		return "it is decided already";
	}
	return "";
}

uint64_t approval_deadline(const struct approval *approval)
{
	return approval->asked_at + APPROVAL_S;
}

bool approval_holds(const struct approval *approval, uint64_t now_s)
{
	return approval->state == APPROVAL_APPROVED ||
	       (approval->state == APPROVAL_WAITING && now_s <= approval_deadline(approval));
}

static bool is_of(const char *officer, const char *node)
{
	const char *at = strchr(officer, '@');

	return at != NULL && strcmp(at + 1, node) == 0;
}

enum approval_verdict approval_judge(const struct approval *approval, const char *decider,
	const struct hash *asked, uint64_t now_s)
{
	if (asked != NULL && !hash_equal(asked, &approval->asked))
		return APPROVAL_IS_OTHER;
	if (strcmp(decider, approval->who) == 0 || is_of(decider, approval->to))
		return APPROVAL_IS_OWN;
	if (approval->state == APPROVAL_APPROVED || approval->state == APPROVAL_REFUSED)
		return APPROVAL_IS_DONE;
	return approval_holds(approval, now_s) ? APPROVAL_COUNTS : APPROVAL_IS_LATE;
}

bool approval_room(size_t kept, size_t of_sender)
{
	return kept < LIMIT_APPROVALS && of_sender < LIMIT_APPROVALS_SENDER;
}

void approval_time_text(uint64_t seconds, char ret[21])
{
	event_time_text(seconds, ret);
}

void approval_report_id(const struct approval *approval, char ret[APPROVAL_EVENT_TEXT + 1])
{
	struct event_id id = event_id_make(approval->asked_at * 1000, approval->id);

	event_id_text(&id, ret);
}

/* --- rows --- */

void approval_row_name(const struct approval *approval, struct row_name *ret)
{
	uint8_t name[APPROVAL_ID_SIZE + LIMIT_NODE_NAME];
	size_t size = strlen(approval->from);

	memcpy(name, approval->id, APPROVAL_ID_SIZE);
	memcpy(name + APPROVAL_ID_SIZE, approval->from, size);
	row_name(ROW_APPROVAL, bytes_make(name, APPROVAL_ID_SIZE + size), ret);
}

enum err approval_pack(const struct approval *approval, struct buf *out)
{
	Sauti__StoredApproval row = SAUTI__STORED_APPROVAL__INIT;

	row.id = codec_binary(BYTES_ARRAY(approval->id));
	row.kind = approval->kind;
	row.state = approval->state;
	row.told = approval->told;
	row.from = (char *)approval->from;
	row.case_ref = codec_binary(BYTES_ARRAY(approval->case_ref));
	row.case_code = (char *)approval->case_code;
	row.to = (char *)approval->to;
	row.groups = approval->groups;
	row.reason = (char *)approval->reason;
	row.legal_basis = (char *)approval->legal_basis;
	row.packet = (char *)approval->packet;
	row.office = (char *)approval->office;
	row.told_before = approval->told_before;
	row.who = (char *)approval->who;
	row.asked_at = approval->asked_at;
	row.asked = codec_binary(hash_bytes(&approval->asked));
	row.decider = (char *)approval->decider;
	row.decided_at = approval->decided_at;
	row.victim_told_on = (char *)approval->victim_told_on;
	codec_pack(out, &row);
	return out->err;
}

static bool row_ok(const Sauti__StoredApproval *row)
{
	return row->id.len == APPROVAL_ID_SIZE && approval_kind_name(row->kind)[0] != '\0' &&
	       row->state >= APPROVAL_WAITING && row->state <= APPROVAL_WITHDRAWN &&
	       row->told <= APPROVAL_WITHDRAWN && strlen(row->from) <= LIMIT_NODE_NAME &&
	       row->case_ref.len == CASE_REF_SIZE && strlen(row->case_code) <= CASE_CODE_MAX &&
	       strlen(row->to) <= APPROVAL_NAME_MAX && row->groups <= UINT16_MAX &&
	       strlen(row->reason) <= LIMIT_PURPOSE &&
	       strlen(row->legal_basis) <= APPROVAL_NAME_MAX &&
	       strlen(row->packet) <= EVENT_ID_TEXT && strlen(row->office) <= 3 &&
	       strlen(row->who) <= APPROVAL_WHO_MAX && row->asked.len == HASH_SIZE &&
	       strlen(row->decider) <= APPROVAL_WHO_MAX && strlen(row->victim_told_on) <= 10;
}

static void copy(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

enum err approval_unpack(struct bytes plain, struct approval *ret)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__StoredApproval *row;
	enum err err;

	arena_init(&arena, 8 * ROW_PLAIN_MAX);
	err = CODEC_UNPACK(stored_approval, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	if (!row_ok(row))
		return ERR_CORRUPT;
	*ret = (struct approval){.kind = (enum approval_kind)row->kind,
		.state = (enum approval_state)row->state,
		.told = (enum approval_state)row->told,
		.groups = (group_set)row->groups,
		.told_before = row->told_before,
		.asked_at = row->asked_at,
		.decided_at = row->decided_at};
	memcpy(ret->id, row->id.data, APPROVAL_ID_SIZE);
	memcpy(ret->case_ref, row->case_ref.data, CASE_REF_SIZE);
	memcpy(ret->asked.b, row->asked.data, HASH_SIZE);
	copy(ret->from, row->from);
	copy(ret->case_code, row->case_code);
	copy(ret->to, row->to);
	copy(ret->reason, row->reason);
	copy(ret->legal_basis, row->legal_basis);
	copy(ret->packet, row->packet);
	copy(ret->office, row->office);
	copy(ret->who, row->who);
	copy(ret->decider, row->decider);
	copy(ret->victim_told_on, row->victim_told_on);
	return OK;
}
