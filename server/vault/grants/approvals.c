#include "server/vault/grants/approvals.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/packet/packet.h"
#include "cases/seal/row.h"
#include "certs/mail_approval.h"
#include "server/vault/grants/grants.h"
#include "server/vault/refusal.h"

_Static_assert((int)APPROVAL_GRANT_BASIS == (int)GRANT_BREAK_GLASS, "for the loop");

struct approvals {
	struct approval *list; /* in the order in which they came */
	size_t count, capacity;
};

enum err approvals_new(struct approvals **ret)
{
	*ret = mem_zalloc(sizeof(**ret));
	return *ret == NULL ? ERR_NOMEM : OK;
}

void approvals_free(struct approvals *approvals)
{
	if (approvals == NULL)
		return;
	if (approvals->list != NULL)
		wipe(approvals->list, approvals->capacity * sizeof(*approvals->list));
	mem_free(approvals->list);
	mem_free(approvals);
}

/* --- memory --- */

/* Moved by hand: what stays behind is wiped. */
static enum err reserve(struct approvals *approvals)
{
	size_t capacity = approvals->capacity == 0 ? 8 : 2 * approvals->capacity;
	struct approval *list;

	if (approvals->count < approvals->capacity)
		return OK;
	list = mem_array(capacity, sizeof(*list));
	if (list == NULL)
		return ERR_NOMEM;
	if (approvals->list != NULL) {
		memcpy(list, approvals->list, approvals->count * sizeof(*list));
		wipe(approvals->list, approvals->count * sizeof(*list));
	}
	mem_free(approvals->list);
	approvals->list = list;
	approvals->capacity = capacity;
	return OK;
}

static struct approval *find(const struct book *book, const char *from, const uint8_t *id)
{
	struct approvals *approvals = book->approvals;

	for (size_t i = 0; i < approvals->count; i++)
		if (strcmp(approvals->list[i].from, from) == 0 &&
			memcmp(approvals->list[i].id, id, APPROVAL_ID_SIZE) == 0)
			return &approvals->list[i];
	return NULL;
}

static bool is_own(const struct approval *approval)
{
	return approval->from[0] == '\0';
}

/* --- rows --- */

enum err approvals_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	struct approvals *approvals = book->approvals;
	struct row_name name;
	struct buf plain;
	enum err err;

	memcpy(name.b, item->kid, sizeof(name.b));
	buf_init(&plain, ROW_PLAIN_MAX);
	err = buf_reserve(&plain, ROW_PLAIN_MAX) == NULL ? plain.err : OK;
	if (err == OK)
		err = row_unwrap(
			secret_bytes(&book->keyring_key), ROW_APPROVAL, &name, item->value, &plain);
	if (err == OK)
		err = reserve(approvals);
	if (err == OK)
		err = approval_unpack(buf_bytes(&plain), &approvals->list[approvals->count]);
	if (err == OK)
		approvals->count++;
	buf_wipe(&plain);
	return err == OK ? OK : err_wrap(ctx, err, "a row of what was opened without consent");
}

/* Keys that rest on it are looked at again. */
static void touch(struct book *book, const struct approval *approval)
{
	struct casebook_case *kase;
	struct case_ref ref;

	memcpy(ref.b, approval->case_ref, sizeof(ref.b));
	kase = casebook_find_ref(book->cases, &ref);
	if (kase != NULL && is_own(approval))
		grants_touch(book, kase);
}

/* Durable, and then so in memory. */
static enum err save(struct book *book, const struct approval *approval, struct errctx *ctx)
{
	struct approval *known = find(book, approval->from, approval->id);
	struct keyring_item item;
	struct row_name name;
	struct buf plain, value;
	enum err err = known == NULL ? reserve(book->approvals) : OK;

	approval_row_name(approval, &name);
	buf_init(&plain, ROW_PLAIN_MAX);
	buf_init(&value, KEYRING_VALUE_MAX);
	if (err == OK && buf_reserve(&plain, ROW_PLAIN_MAX) == NULL)
		err = plain.err;
	if (err == OK)
		err = approval_pack(approval, &plain);
	if (err == OK)
		err = row_wrap(secret_bytes(&book->keyring_key), ROW_APPROVAL, &name,
			buf_bytes(&plain), &value);
	if (err == OK) {
		memcpy(item.kid, name.b, sizeof(item.kid));
		item.value = buf_bytes(&value);
		err = keyring_update(book->opts.keyring, &item, 1, ctx);
	}
	if (err == OK && known == NULL)
		known = &book->approvals->list[book->approvals->count++];
	if (err == OK) {
		*known = *approval;
		touch(book, approval);
	}
	buf_wipe(&plain);
	buf_release(&value);
	return err;
}

/* How many there are of a node, "" being this one. */
static size_t count_of(const struct book *book, const char *from)
{
	size_t count = 0;

	for (size_t i = 0; i < book->approvals->count; i++)
		count += strcmp(book->approvals->list[i].from, from) == 0;
	return count;
}

/* The oldest question of that node (NULL: of any) that waits no more. False: there is none. */
static bool oldest_done(const struct book *book, const char *from, size_t *ret)
{
	for (size_t i = 0; i < book->approvals->count; i++) {
		const struct approval *one = &book->approvals->list[i];

		*ret = i;
		if (!is_own(one) && one->state != APPROVAL_WAITING &&
			(from == NULL || strcmp(one->from, from) == 0))
			return true;
	}
	return false;
}

static enum err forget(struct book *book, size_t i, struct errctx *ctx)
{
	struct approvals *approvals = book->approvals;
	struct keyring_item item = {.value = BYTES_NONE};
	struct row_name name;

	approval_row_name(&approvals->list[i], &name);
	memcpy(item.kid, name.b, sizeof(item.kid));
	TRY(keyring_update(book->opts.keyring, &item, 1, ctx));
	approvals->count--;
	memmove(&approvals->list[i], &approvals->list[i + 1],
		(approvals->count - i) * sizeof(approvals->list[0]));
	wipe(&approvals->list[approvals->count], sizeof(approvals->list[0]));
	return OK;
}

/* For one more question of that node. What is decided or over makes way: the ledger of whoever
 * asked has it. *ret false: as many wait as may. */
static enum err question_room(struct book *book, const char *from, bool *ret, struct errctx *ctx)
{
	size_t of_sender = count_of(book, from), i;
	size_t of_others = book->approvals->count - count_of(book, "");

	*ret = approval_room(of_others, of_sender);
	if (*ret || !oldest_done(book, of_sender >= LIMIT_APPROVALS_SENDER ? from : NULL, &i))
		return OK;
	*ret = true;
	return forget(book, i, ctx);
}

/* --- what counts --- */

bool approvals_hold(const struct book *book, const struct case_ref *ref, const char *to,
	group_set groups, uint64_t now_s)
{
	for (size_t i = 0; i < book->approvals->count; i++) {
		const struct approval *one = &book->approvals->list[i];

		if (is_own(one) && one->kind == APPROVAL_BREAK_GLASS &&
			memcmp(one->case_ref, ref->b, CASE_REF_SIZE) == 0 &&
			strcmp(one->to, to) == 0 && (groups & ~one->groups) == 0 &&
			approval_holds(one, now_s))
			return true;
	}
	return false;
}

bool approvals_opening(
	const struct book *book, const struct given *given, char ret[APPROVAL_ID_TEXT + 1])
{
	for (size_t i = book->approvals->count; i-- > 0;) {
		const struct approval *one = &book->approvals->list[i];

		if (!is_own(one) || one->kind != APPROVAL_BREAK_GLASS ||
			memcmp(one->case_ref, given->case_ref.b, CASE_REF_SIZE) != 0 ||
			strcmp(one->to, given->recipient) != 0 ||
			(given->groups & ~one->groups) != 0)
			continue;
		hex_encode(BYTES_ARRAY(one->id), ret);
		return true;
	}
	return false;
}

void approvals_of_case(const struct book *book, const struct case_ref *ref, size_t *ret_waiting,
	size_t *ret_withdrawn)
{
	*ret_waiting = *ret_withdrawn = 0;
	for (size_t i = 0; i < book->approvals->count; i++) {
		const struct approval *one = &book->approvals->list[i];

		if (!is_own(one) || memcmp(one->case_ref, ref->b, CASE_REF_SIZE) != 0)
			continue;
		*ret_waiting += one->state == APPROVAL_WAITING;
		*ret_withdrawn += one->state == APPROVAL_WITHDRAWN;
	}
}

struct vault_approval_counts approvals_count(const struct book *book)
{
	struct vault_approval_counts counts = {0};

	for (size_t i = 0; i < book->approvals->count; i++) {
		const struct approval *one = &book->approvals->list[i];

		if (!is_own(one)) {
			counts.asked += one->state == APPROVAL_WAITING;
			continue;
		}
		counts.waiting += one->state == APPROVAL_WAITING;
		counts.approved += one->state == APPROVAL_APPROVED;
		counts.refused += one->state == APPROVAL_REFUSED;
		counts.withdrawn += one->state == APPROVAL_WITHDRAWN;
		counts.due += one->state != one->told;
	}
	return counts;
}

/* --- documents --- */

static void put_text(struct buf *json, const char *name, const char *text)
{
	buf_printf(json, ",\"%s\":\"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_put_u8(json, '\\');
		buf_put_u8(json, (uint8_t)*text >= ' ' ? (uint8_t)*text : ' ');
	}
	buf_put_u8(json, '"');
}

static void put_time(struct buf *json, const char *name, uint64_t seconds)
{
	char text[21] = "";

	if (seconds != 0)
		event_time_text(seconds, text);
	buf_printf(json, ",\"%s\":\"%s\"", name, text);
}

static void put_one(const struct approval *one, uint64_t now_s, struct buf *json)
{
	char id[APPROVAL_ID_TEXT + 1];
	const char *between = "";

	hex_encode(BYTES_ARRAY(one->id), id);
	buf_printf(json, "{\"opening\":\"%s\",\"kind\":\"%s\",\"state\":\"%s\",\"late\":%s", id,
		approval_kind_name(one->kind), approval_state_name(one->state),
		one->state == APPROVAL_WAITING && now_s > approval_deadline(one) ? "true"
										 : "false");
	put_text(json, "from", one->from);
	put_text(json, "case", one->case_code);
	put_text(json, "to", one->to);
	buf_put_str(json, ",\"groups\":[");
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++) {
		if ((one->groups & GROUP_BIT(g)) == 0)
			continue;
		buf_printf(json, "%s\"%s\"", between, group_name((enum group)g));
		between = ",";
	}
	buf_put_u8(json, ']');
	put_text(json, "reason", one->reason);
	put_text(json, "legal_basis", one->legal_basis);
	put_text(json, "packet", one->packet);
	put_text(json, "who", one->who);
	put_time(json, "opened_at", one->asked_at);
	put_time(json, "until", approval_deadline(one));
	put_text(json, "decided_by", one->decider);
	put_time(json, "decided_at", one->decided_at);
	put_text(json, "victim_told_on", one->victim_told_on);
	buf_put_u8(json, '}');
}

void approvals_put_case(
	const struct book *book, const struct case_ref *ref, uint64_t now_s, struct buf *json)
{
	const char *between = "";

	buf_put_u8(json, '[');
	for (size_t i = book->approvals->count; i-- > 0;) {
		const struct approval *one = &book->approvals->list[i];

		if (!is_own(one) || memcmp(one->case_ref, ref->b, CASE_REF_SIZE) != 0)
			continue;
		buf_put_str(json, between);
		put_one(one, now_s, json);
		between = ",";
	}
	buf_put_u8(json, ']');
}

/* An officer sees those of the cases that she sees; what others ask is for everybody. */
static bool sees(struct book *book, const struct vault_request *request, const struct approval *one)
{
	const struct casebook_case *kase;
	const struct case_state *state = NULL;
	struct case_ref ref;

	if (!is_own(one) || strcmp(one->who, request->officer) == 0 ||
		(request->roles & ACCOUNT_SUPERVISOR) != 0)
		return true;
	memcpy(ref.b, one->case_ref, sizeof(ref.b));
	kase = casebook_find_ref(book->cases, &ref);
	return one->state == APPROVAL_WAITING || /* somebody has to decide */
	       (kase != NULL && states_get(book, kase, &state, NULL) == OK && state != NULL &&
		       officer_sees(request, state));
}

static enum err list(struct book *book, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;

	for (size_t i = book->approvals->count; i-- > 0;) {
		const struct approval *one = &book->approvals->list[i];

		TRY(book_go_on(book));
		if (!sees(book, request, one))
			continue;
		put_one(one, request->now_s, &book->json);
		TRY(show_doc(book, &last));
	}
	return OK;
}

/* --- opening --- */

static enum err check_new(const struct vault_request *request, const struct approval *one)
{
	struct errctx *ctx = (struct errctx *)&request->ctx;

	if (one->reason[0] == '\0')
		return err_set(ctx, ERR_INVALID, "say why, in at most %d bytes", LIMIT_PURPOSE);
	if (one->groups == 0 || (one->groups & ~GROUP_SET_CASE) != 0)
		return err_set(ctx, ERR_INVALID, "say which data groups of the case");
	if (one->kind != APPROVAL_REPORT)
		return OK;
	if (one->legal_basis[0] == '\0')
		return err_set(ctx, ERR_INVALID, "say on which legal basis");
	if ((one->groups & GROUP_BIT(GROUP_IDENTITY)) != 0 &&
		strstr(one->legal_basis, "identity") == NULL)
		return err_set(ctx, ERR_INVALID,
			"groups: identity is not reported unless the law names it; then the legal "
			"basis says so with the word identity");
	return OK;
}

static enum err write_asked(const struct approval *one, struct buf *ret)
{
	struct mail_approval_asked asked = {.kind = one->kind,
		.to = one->to,
		.reason = one->reason,
		.legal_basis = one->legal_basis,
		.officer = one->who,
		.groups = one->groups,
		.asked_at = one->asked_at};

	memcpy(asked.id, one->id, sizeof(asked.id));
	return mail_approval_asked_write(ret, &asked);
}

static enum err open_new(struct book *book, struct vault_request *request)
{
	struct approval *one = &request->approval->one;
	const struct casebook_case *kase;
	const struct case_state *state;

	TRY(case_named(book, request, &kase, &state));
	TRY(check_new(request, one));
	if (count_of(book, "") >= LIMIT_APPROVALS)
		return err_set(&request->ctx, ERR_FULL, "%d openings are kept, and no more",
			LIMIT_APPROVALS);
	TRY(pool_draw(&book->pool, one->id, sizeof(one->id)));
	one->state = APPROVAL_WAITING;
	one->told = APPROVAL_WAITING;
	memcpy(one->case_ref, kase->ref.b, sizeof(one->case_ref));
	snprintf(one->case_code, sizeof(one->case_code), "%s", kase->code);
	snprintf(one->who, sizeof(one->who), "%s", request->officer);
	one->asked_at = request->now_s;
	TRY(write_asked(one, &request->mail));
	sha256(buf_bytes(&request->mail), &one->asked);
	return OK;
}

/* --- deciding --- */

static enum err find_prefix(
	const struct book *book, struct vault_request *request, struct approval **ret)
{
	const char *prefix = request->approval->prefix;
	struct approval *found = NULL;

	for (size_t i = 0; strlen(prefix) >= 4 && i < book->approvals->count; i++) {
		struct approval *one = &book->approvals->list[i];
		char id[APPROVAL_ID_TEXT + 1];

		hex_encode(BYTES_ARRAY(one->id), id);
		if (strncmp(id, prefix, strlen(prefix)) != 0)
			continue;
		if (found != NULL)
			return err_set(&request->ctx, ERR_INVALID,
				"more than one opening begins so: give more of its id");
		found = one;
	}
	if (found == NULL)
		return err_set(&request->ctx, ERR_NOTFOUND,
			"nothing of that id was opened, or asked: 'sauti approvals list'; its "
			"first 4 digits or more are needed");
	*ret = found;
	return OK;
}

/* What the node that asked is told. */
static enum err write_answer(const struct vault_request *request, struct buf *ret)
{
	const struct approval *one = &request->approval->one;
	struct mail_approval answer = {.asked = one->asked,
		.approved = request->approval->approve,
		.officer = request->officer,
		.at = request->now_s};

	memcpy(answer.id, one->id, sizeof(answer.id));
	return mail_approval_write(ret, &answer);
}

static void decide(struct approval *one, bool approve, const char *decider, uint64_t now_s)
{
	one->state = approve ? APPROVAL_APPROVED : APPROVAL_REFUSED;
	one->decided_at = now_s;
	snprintf(one->decider, sizeof(one->decider), "%s", decider);
}

static enum err judge(struct book *book, struct vault_request *request, bool change)
{
	struct vault_approval *ask = request->approval;
	struct approval *one, after;

	TRY(find_prefix(book, request, &one));
	ask->verdict = approval_judge(one, request->officer, NULL, request->now_s);
	after = *one;
	if (change && ask->verdict == APPROVAL_COUNTS) {
		decide(&after, ask->approve, request->officer, request->now_s);
		/* Of a report that is approved TICK tells the case and the ledger. */
		if (!is_own(&after) || after.kind != APPROVAL_REPORT || !ask->approve)
			after.told = after.state;
		TRY(save(book, &after, &request->ctx));
	}
	ask->one = after;
	return is_own(&after) || !change || ask->verdict != APPROVAL_COUNTS
		       ? OK
		       : write_answer(request, &request->mail);
}

/* --- time --- */

static enum err tick(struct book *book, struct vault_request *request)
{
	for (size_t i = 0; i < book->approvals->count; i++) {
		struct approval after = book->approvals->list[i];

		if (after.state == APPROVAL_WAITING && !approval_holds(&after, request->now_s)) {
			after.state = APPROVAL_WITHDRAWN;
			after.decided_at = request->now_s;
			if (!is_own(&after))
				after.told = after.state;
			TRY(save(book, &after, &request->ctx));
		}
		if (is_own(&after) && after.told != after.state) {
			request->approval->one = after;
			request->approval->found = true;
			return OK;
		}
	}
	return OK;
}

static enum err said(struct book *book, struct vault_request *request)
{
	const struct approval *given = &request->approval->one;
	struct approval *one = find(book, given->from, given->id), after;

	if (one == NULL)
		return ERR_NOTFOUND;
	after = *one;
	after.told = given->state;
	return save(book, &after, &request->ctx);
}

static enum err victim(struct book *book, struct vault_request *request)
{
	struct approval *one, after;

	TRY(find_prefix(book, request, &one));
	if (!is_own(one))
		return err_set(&request->ctx, ERR_INVALID,
			"another office opened it, and tells the victim");
	after = *one;
	memcpy(after.victim_told_on, request->approval->one.victim_told_on,
		sizeof(after.victim_told_on));
	TRY(save(book, &after, &request->ctx));
	request->approval->one = after;
	return OK;
}

enum err approvals_answer(struct book *book, struct vault_request *request)
{
	switch (request->approval->op) {
	case APPROVAL_OP_NEW:
		return open_new(book, request);
	case APPROVAL_OP_PUT:
		return save(book, &request->approval->one, &request->ctx);
	case APPROVAL_OP_JUDGE:
		return judge(book, request, false);
	case APPROVAL_OP_DECIDE:
		return judge(book, request, true);
	case APPROVAL_OP_TICK:
		return tick(book, request);
	case APPROVAL_OP_SAID:
		return said(book, request);
	case APPROVAL_OP_VICTIM:
		return victim(book, request);
	case APPROVAL_OP_LIST:
		return list(book, request);
	}
	return ERR_UNSUPPORTED;
}

/* --- mail --- */

static void refuse(struct vault_request *request, enum mail_refusal why)
{
	request->refusal = why;
	request->outcome = MAIL_REFUSED;
}

static void take_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
}

enum err approval_asked_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_approval_asked asked;
	struct approval one = {.state = APPROVAL_WAITING, .told = APPROVAL_WAITING};
	bool room = false;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = mail_approval_asked_read(body, &arena, &asked, &request->ctx);
	if (err == ERR_NOMEM)
		return err;
	request->outcome = MAIL_PROCESSED;
	request->mail_kind = MAIL_APPROVAL_ASKED;
	if (err != OK || approval_kind_name(asked.kind)[0] == '\0' ||
		(asked.groups & ~(uint32_t)GROUP_SET_CASE) != 0) {
		refuse(request, REFUSED_FORM);
		return OK;
	}
	if (find(book, item->sender, asked.id) != NULL)
		return OK; /* again */
	TRY(question_room(book, item->sender, &room, &request->ctx));
	if (!room) {
		refuse(request, REFUSED_SENDER);
		return OK;
	}
	memcpy(one.id, asked.id, sizeof(one.id));
	one.kind = (enum approval_kind)asked.kind;
	one.groups = (group_set)asked.groups;
	/* By this node's clock: the other's may be anything. */
	one.asked_at = asked.asked_at < request->now_s ? asked.asked_at : request->now_s;
	sha256(body, &one.asked);
	take_text(one.from, sizeof(one.from), item->sender);
	take_text(one.to, sizeof(one.to), asked.to);
	take_text(one.reason, sizeof(one.reason), asked.reason);
	take_text(one.legal_basis, sizeof(one.legal_basis), asked.legal_basis);
	snprintf(one.who, sizeof(one.who), "%s@%s", asked.officer, item->sender);
	err = save(book, &one, &request->ctx);
	wipe(&one, sizeof(one));
	return err;
}

enum err approval_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_approval answer;
	struct approval *one = NULL, after;
	char decider[APPROVAL_WHO_MAX + 1];
	enum approval_verdict verdict;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = mail_approval_read(body, &arena, &answer, &request->ctx);
	if (err == ERR_NOMEM)
		return err;
	request->outcome = MAIL_PROCESSED;
	request->mail_kind = MAIL_APPROVAL;
	if (err == OK)
		one = find(book, "", answer.id);
	if (one == NULL) {
		refuse(request, err != OK ? REFUSED_FORM : REFUSED_SENDER);
		return OK;
	}
	snprintf(decider, sizeof(decider), "%s@%s", answer.officer, item->sender);
	verdict = approval_judge(one, decider, &answer.asked, request->now_s);
	if (verdict != APPROVAL_COUNTS) {
		refuse(request, verdict == APPROVAL_IS_LATE || verdict == APPROVAL_IS_DONE
					? REFUSED_ENDED
					: REFUSED_SENDER);
		return OK;
	}
	after = *one;
	decide(&after, answer.approved, decider, request->now_s);
	return save(book, &after, &request->ctx); /* TICK has it told to the ledger */
}
