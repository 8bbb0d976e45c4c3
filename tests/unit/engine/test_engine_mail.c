/*
 * Mail: custody, pauses, ways, ends, caps. Ben is the engine under test; anna is headquarters, cleo
 * and dora are offices.
 */
#include <stdio.h>

#include "certs/ruling.h"
#include "proto/mail.pb-c.h"
#include "proto/stored.pb-c.h"
#include "tests/unit/engine/harness.h"

#define MAIL SAUTI__FRAME__BODY_MAIL
#define ACK  SAUTI__FRAME__BODY_MAIL_ACK

enum { MINUTE = 60 * 1000, STORED_MAX = 16 };
#define DAY (UINT64_C(24) * 60 * MINUTE)

/* What is durable, as a store has it. */
struct stored {
	struct hash item;
	struct buf body, state, inbox;
};
static struct stored stored[STORED_MAX];
static size_t stored_count;
static uint8_t next_id;

static struct stored *stored_of(const struct hash *item, bool make)
{
	for (size_t i = 0; i < stored_count; i++)
		if (hash_equal(&stored[i].item, item))
			return &stored[i];
	if (!make)
		return NULL;
	assert_true(stored_count < STORED_MAX);
	struct stored *s = &stored[stored_count++];

	s->item = *item;
	buf_init(&s->body, LIMIT_MAIL_ITEM);
	buf_init(&s->state, 8192);
	buf_init(&s->inbox, LIMIT_MAIL_ITEM);
	return s;
}

static void stored_clear(void)
{
	for (size_t i = 0; i < stored_count; i++) {
		buf_release(&stored[i].body);
		buf_release(&stored[i].state);
		buf_release(&stored[i].inbox);
	}
	stored_count = 0;
}

static void replace(struct buf *to, const struct buf *from)
{
	if (from->size == 0)
		return;
	buf_clear(to);
	buf_put(to, buf_bytes(from));
}

static void apply(const struct mail_write *write)
{
	struct stored *s = stored_of(&write->item, !write->forget);

	if (s == NULL)
		return;
	if (write->drop)
		buf_clear(&s->body);
	if (write->forget)
		buf_clear(&s->state);
	replace(&s->body, &write->body);
	replace(&s->state, &write->state);
	replace(&s->inbox, &write->inbox);
}

/* The oldest write that waits comes back. */
static void disk(struct rig *rig, enum err result)
{
	struct mail_write *write = rig->mails[0];

	assert_true(rig->mail_count > 0);
	memmove(rig->mails, rig->mails + 1, --rig->mail_count * sizeof(rig->mails[0]));
	write->result = result;
	if (result == OK)
		apply(write);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_STORED, .mail = write});
}

static void disk_all(struct rig *rig)
{
	while (rig->mail_count > 0)
		disk(rig, OK);
}

/* The oldest read that waits comes back. */
static void read_back(struct rig *rig)
{
	struct effect read = rig->mail_reads[0];
	struct stored *s = stored_of(&read.item, false);

	assert_true(rig->mail_read_count > 0 && s != NULL && s->body.size > 0);
	memmove(rig->mail_reads, rig->mail_reads + 1,
		--rig->mail_read_count * sizeof(rig->mail_reads[0]));
	rig_step(rig, &(struct event){.type = EVENT_MAIL_READ,
			      .ticket = read.ticket,
			      .entry = buf_bytes(&s->body)});
}

/* ---- items ---- */

struct letter {
	struct buf packed;
	struct hash item;
	enum who sender, recipient;
};
static struct letter letters[STORED_MAX];
static size_t letter_count;

static struct letter *letter_by(struct rig *rig, enum who sender, enum who recipient,
	const struct signer *signer, struct mail_draft draft)
{
	struct letter *letter = &letters[letter_count++];
	struct mail_item item;

	assert_true(letter_count <= STORED_MAX);
	*letter = (struct letter){.sender = sender, .recipient = recipient};
	buf_init(&letter->packed, LIMIT_MAIL_ITEM);
	draft.network = NETWORK;
	draft.sender = rig->actor[sender].name;
	draft.recipient = rig->actor[recipient].name;
	draft.made_at = 1700000000;
	draft.id[0] = ++next_id;
	assert_int_equal(mail_write(&letter->packed, &draft, signer), OK);
	assert_int_equal(
		mail_unpack(buf_bytes(&letter->packed), NETWORK, &rig->arena, &item, NULL), OK);
	letter->item = item.item;
	return letter;
}

/* An open one: of the engine's business is only the outside. */
static struct letter *open_letter(struct rig *rig, enum who sender, enum who recipient)
{
	return letter_by(rig, sender, recipient, rig->actor[sender].node,
		(struct mail_draft){.kind = MAIL_ADDRESSES, .content = bytes_str("")});
}

static struct letter *sealed_letter(
	struct rig *rig, enum who sender, enum who recipient, enum mail_class class)
{
	uint8_t private[X25519_KEY_SIZE] = {7, next_id}, ephemeral[X25519_KEY_SIZE] = {9, next_id};
	struct prekey prekey = {.number = 1};

	assert_int_equal(x25519_public(BYTES_ARRAY(private), &prekey.key), OK);
	return letter_by(rig, sender, recipient, rig->actor[sender].node,
		(struct mail_draft){.kind = MAIL_NOTICE,
			.class = class,
			.content = bytes_str("text"),
			.prekey = &prekey,
			.ephemeral = BYTES_ARRAY(ephemeral)});
}

static void letters_clear(void)
{
	for (size_t i = 0; i < letter_count; i++)
		buf_release(&letters[i].packed);
	letter_count = 0;
}

static void bring(struct rig *rig, struct session_id session, const struct letter *letter)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct arena arena;
	Sauti__Mail *mail;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(CODEC_UNPACK(mail, buf_bytes(&letter->packed), &scan_limits_default,
				 &arena, &mail, NULL),
		OK);
	frame.body_case = MAIL;
	frame.mail = mail;
	rig_hear(rig, session, &frame);
	arena_release(&arena);
}

static void say(struct rig *rig, struct session_id session, const struct hash *item,
	Sauti__MailAck__BodyCase what, uint32_t code)
{
	Sauti__MailHop hop = SAUTI__MAIL_HOP__INIT;
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	hop.item = codec_binary(hash_bytes(item));
	hop.code = code;
	ack.body_case = what;
	ack.custody = &hop;
	frame.body_case = ACK;
	frame.mail_ack = &ack;
	rig_hear(rig, session, &frame);
}

#define CUSTODY SAUTI__MAIL_ACK__BODY_CUSTODY
#define REFUSED SAUTI__MAIL_ACK__BODY_REFUSED
#define KNOWN   SAUTI__MAIL_ACK__BODY_KNOWN
#define END     SAUTI__MAIL_ACK__BODY_END

static void end_bytes(struct rig *rig, const struct letter *letter, enum who by, struct buf *ret)
{
	struct mail_end end = {.item = letter->item, .at = 1700000100};

	snprintf(end.sender, sizeof(end.sender), "%s", rig->actor[letter->sender].name);
	snprintf(end.recipient, sizeof(end.recipient), "%s", rig->actor[letter->recipient].name);
	buf_init(ret, 2048);
	assert_int_equal(mail_end_write(ret, NETWORK, &end, rig->actor[by].node), OK);
}

/* Says that the letter has ended, signed by an actor, who should be its recipient. */
static void say_end(
	struct rig *rig, struct session_id session, const struct letter *letter, enum who by)
{
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct arena arena;
	Sauti__MailEnd *end;
	struct buf bytes;

	end_bytes(rig, letter, by, &bytes);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(
		CODEC_UNPACK(mail_end, buf_bytes(&bytes), &scan_limits_default, &arena, &end, NULL),
		OK);
	ack.body_case = END;
	ack.end = end;
	frame.body_case = ACK;
	frame.mail_ack = &ack;
	rig_hear(rig, session, &frame);
	arena_release(&arena);
	buf_release(&bytes);
}

/* In the last step exactly this was said to the session about mail. */
static void said(struct rig *rig, struct session_id session, Sauti__MailAck__BodyCase what)
{
	Sauti__Frame *frame = rig_sent(rig, session, ACK, 0);

	assert_non_null(frame);
	assert_int_equal(frame->mail_ack->body_case, what);
	assert_null(rig_sent(rig, session, ACK, 1));
}

static bool said_nothing(struct rig *rig, struct session_id session)
{
	return rig_sent(rig, session, ACK, 0) == NULL && rig_sent(rig, session, MAIL, 0) == NULL;
}

/* The letter is on its way to the session: read, and sent. */
static void handed(struct rig *rig, struct session_id session)
{
	assert_int_equal(rig->mail_read_count, 1);
	read_back(rig);
	assert_non_null(rig_sent(rig, session, MAIL, 0));
}

static void submit(struct rig *rig, const struct letter *letter)
{
	rig_step(rig, &(struct event){.type = EVENT_MAIL_SUBMIT,
			      .entry = buf_bytes(&letter->packed),
			      .ticket = ++rig->next_ticket});
}

static void submit_durably(struct rig *rig, const struct letter *letter)
{
	submit(rig, letter);
	assert_null(rig_effect(rig, EFFECT_MAIL_SUBMITTED, 0));
	disk(rig, OK);
	assert_int_equal(rig_effect(rig, EFFECT_MAIL_SUBMITTED, 0)->error, OK);
}

static struct engine_mail view(struct rig *rig, const struct letter *letter)
{
	struct engine_mail mail;

	assert_true(engine_mail_find(rig->engine, &letter->item, &mail));
	return mail;
}

/* ---- fixtures ---- */

static int setup(void **state)
{
	struct buf entry;
	struct rig *rig;

	if (rig_setup_empty(state) != 0)
		return -1;
	rig = *state;
	rig_load_directory(rig);
	rig_admitted_entry(rig, DORA, &entry);
	rig_step(rig, &(struct event){.type = EVENT_DIRECTORY_LOADED, .entry = buf_bytes(&entry)});
	buf_release(&entry);
	rig_start(rig);
	rig->now_ms += 20 * MINUTE; /* a relay expects nobody any more */
	return 0;
}

static int teardown(void **state)
{
	stored_clear();
	letters_clear();
	return rig_teardown(state);
}

/* A restart with what is durable. */
static void restart(struct rig *rig)
{
	struct buf entry;

	rig_restart(rig);
	rig_load_directory(rig);
	rig_admitted_entry(rig, DORA, &entry);
	rig_step(rig, &(struct event){.type = EVENT_DIRECTORY_LOADED, .entry = buf_bytes(&entry)});
	buf_release(&entry);
	for (size_t i = 0; i < stored_count; i++)
		if (stored[i].state.size > 0)
			rig_step(rig, &(struct event){.type = EVENT_MAIL_LOADED,
					      .entry = buf_bytes(&stored[i].state)});
	rig_start(rig);
}

/* ---- tests ---- */

static void a_relay_takes_custody_hands_on_and_lets_go(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna;
	struct letter *letter = sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY);

	bring(rig, cleo, letter);
	assert_true(said_nothing(rig, cleo)); /* not before it is durable */
	disk(rig, OK);
	said(rig, cleo, CUSTODY);
	anna = rig_session(rig, ANNA);
	handed(rig, anna);
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	say_end(rig, anna, letter, ANNA);
	assert_true(said_nothing(rig, anna) && said_nothing(rig, cleo));
	assert_true(rig->mails[0]->drop);
	disk(rig, OK);
	said(rig, anna, KNOWN);
	said(rig, cleo, END);
	assert_int_equal(stored_of(&letter->item, false)->body.size, 0);
	say(rig, cleo, &letter->item, KNOWN, 0);
	disk_all(rig);
	/* Told once, each. */
	rig_tick(rig, 8 * DAY);
	assert_true(said_nothing(rig, cleo) && said_nothing(rig, anna));
}

static void nobody_else_is_handed_it_for_seven_days(void **state)
{
	struct rig *rig = *state;
	struct session_id anna, dora;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);

	submit_durably(rig, letter);
	dora = rig_connect(rig, DORA, false);
	anna = rig_session(rig, ANNA);
	handed(rig, anna);
	rig_hello(rig, dora, DORA);
	assert_int_equal(rig->mail_read_count, 0); /* one at a time */
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	assert_string_equal(view(rig, letter).custodian, "anna");
	rig_disconnect(rig, anna);
	rig_disconnect(rig, dora);
	rig->now_ms += 7 * DAY - 1000;
	dora = rig_session(rig, DORA);
	rig_tick(rig, 1);
	assert_int_equal(rig->mail_read_count, 0);
	rig_tick(rig, 2000);
	rig_tick(rig, MINUTE);
	handed(rig, dora);
	say(rig, dora, &letter->item, CUSTODY, 0);
	disk_all(rig);
	assert_string_equal(view(rig, letter).custodian, "dora");
	/* Its recipient is handed it all the same. */
	handed(rig, rig_session(rig, CLEO));
}

/* It came while a relay had the item and had not answered yet. */
static void the_recipient_is_handed_it_once_a_relay_has_answered(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = rig_session(rig, DORA), cleo;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);

	submit_durably(rig, letter);
	handed(rig, dora);
	cleo = rig_session(rig, CLEO);
	assert_int_equal(rig->mail_read_count, 0); /* one at a time */
	say(rig, dora, &letter->item, CUSTODY, 0);
	handed(rig, cleo);
	say(rig, cleo, &letter->item, CUSTODY, 0);
	assert_int_equal(rig->mail_read_count, 0); /* once */
}

static void another_way_is_tried_before_the_same_again(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA), dora;

	submit_durably(rig, letter);
	handed(rig, anna);
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	rig_disconnect(rig, anna);
	rig->now_ms += 7 * DAY + 1000;
	anna = rig_session(rig, ANNA);
	rig_tick(rig, 0);
	handed(rig, anna); /* nobody else is there: perhaps it knows of the end */
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	rig_disconnect(rig, anna);
	rig->now_ms += 7 * DAY + 1000;
	anna = rig_connect(rig, ANNA, false);
	dora = rig_session(rig, DORA);
	rig_hello(rig, anna, ANNA);
	handed(rig, dora);
}

static void custody_survives_a_restart(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA);

	submit_durably(rig, letter);
	handed(rig, anna);
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	restart(rig);
	assert_string_equal(view(rig, letter).custodian, "anna");
	rig_session(rig, ANNA);
	rig_session(rig, DORA);
	assert_int_equal(rig->mail_read_count, 0);
	handed(rig, rig_session(rig, CLEO));
	/* What was not answered is handed over again. */
	restart(rig);
	handed(rig, rig_session(rig, CLEO));
	/* Sixty days in the dark lose nothing. */
	rig->now_ms += 60 * DAY;
	restart(rig);
	handed(rig, rig_session(rig, CLEO));
}

static void duplicates_are_answered_at_once(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY);
	struct session_id cleo = rig_session(rig, CLEO), dora = rig_session(rig, DORA);

	bring(rig, cleo, letter);
	bring(rig, dora, letter); /* before it is durable: with it */
	assert_int_equal(rig->mail_count, 1);
	disk(rig, OK);
	said(rig, cleo, CUSTODY);
	said(rig, dora, CUSTODY);
	bring(rig, cleo, letter);
	said(rig, cleo, CUSTODY);
	assert_int_equal(engine_mail_count(rig->engine), 1);
	/* Not to whom it came from, ever. */
	disk_all(rig);
	rig_tick(rig, 8 * DAY);
	assert_int_equal(rig->mail_read_count, 0);
}

static void an_ended_item_is_answered_by_its_end(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY);
	struct session_id cleo = rig_session(rig, CLEO), anna, dora;

	bring(rig, cleo, letter);
	disk(rig, OK);
	anna = rig_session(rig, ANNA);
	handed(rig, anna);
	say_end(rig, anna, letter, ANNA);
	disk_all(rig);
	restart(rig);
	dora = rig_session(rig, DORA);
	bring(rig, dora, letter); /* a replay by a relay */
	said(rig, dora, END);
	assert_int_equal(stored_of(&letter->item, false)->body.size, 0);
	say(rig, dora, &letter->item, KNOWN, 0);
	/* Who brings the end of what ended is thanked. */
	say_end(rig, dora, letter, ANNA);
	said(rig, dora, KNOWN);
}

static void only_the_recipient_ends_an_item(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY), lie = *letter;
	struct session_id cleo = rig_session(rig, CLEO);
	struct session_id dora = rig_session(rig, DORA);

	bring(rig, cleo, letter);
	disk(rig, OK);
	say_end(rig, dora, letter, DORA); /* as if anna's, by another key */
	assert_true(rig_noticed(rig, NOTICE_INFO, "did not sign"));
	lie.recipient = DORA; /* as if for dora */
	say_end(rig, dora, &lie, DORA);
	assert_true(said_nothing(rig, dora));
	assert_int_equal(rig->mail_count, 0);
	assert_false(view(rig, letter).ended);
}

static void what_is_forged_or_of_no_member_is_refused(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = rig_session(rig, DORA);
	struct letter *forged = letter_by(rig, CLEO, ANNA, rig->actor[DORA].node,
		(struct mail_draft){.kind = MAIL_ADDRESSES, .content = bytes_str("")});
	struct letter *letter = open_letter(rig, CLEO, ANNA);

	bring(rig, dora, forged);
	said(rig, dora, REFUSED);
	assert_int_equal(rig->mail_count, 0);
	assert_false(rig_closed(rig, dora));
	/* Not readable: its bringer's fault. */
	letter->packed.data[4] ^= 0xff;
	bring(rig, dora, letter);
	assert_true(rig_closed(rig, dora));
}

static void strangers_use_no_room(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct letter *letter;

	rig_restart(rig); /* without dora */
	rig_load_directory(rig);
	rig_start(rig);
	anna = rig_session(rig, ANNA);
	letter = open_letter(rig, DORA, CLEO);
	bring(rig, anna, letter);
	said(rig, anna, REFUSED);
	letter = open_letter(rig, CLEO, DORA);
	bring(rig, anna, letter);
	said(rig, anna, REFUSED);
	letter = open_letter(rig, BEN, DORA);
	submit(rig, letter);
	assert_int_equal(rig_effect(rig, EFFECT_MAIL_SUBMITTED, 0)->error, ERR_DENIED);
}

static void a_disk_that_refuses_leaves_it_with_the_sender(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct letter *letter = sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY);
	struct letter *own = sealed_letter(rig, BEN, ANNA, MAIL_ORDINARY);

	bring(rig, cleo, letter);
	disk(rig, ERR_FULL);
	said(rig, cleo, REFUSED);
	assert_int_equal(engine_mail_count(rig->engine), 0);
	submit(rig, own);
	disk(rig, ERR_FULL);
	assert_int_equal(rig_effect(rig, EFFECT_MAIL_SUBMITTED, 0)->error, ERR_FULL);
	/* Later there is room. */
	bring(rig, cleo, letter);
	disk(rig, OK);
	said(rig, cleo, CUSTODY);
}

/* ---- withdrawn ---- */

static void withdraw(struct rig *rig, const struct letter *letter)
{
	rig_step(rig, &(struct event){.type = EVENT_MAIL_WITHDRAW,
			      .item = letter->item,
			      .ticket = ++rig->next_ticket});
}

static enum err withdrawn(struct rig *rig)
{
	struct effect *effect = rig_effect(rig, EFFECT_MAIL_WITHDRAWN, 0);

	assert_non_null(effect);
	assert_int_equal(effect->ticket, rig->next_ticket);
	return effect->error;
}

static void what_is_withdrawn_is_gone(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct letter *other = sealed_letter(rig, DORA, CLEO, MAIL_ORDINARY);
	struct session_id anna;

	withdraw(rig, letter);
	assert_int_equal(withdrawn(rig), ERR_NOTFOUND);
	/* Before it is durable: it becomes so, and is dropped. */
	submit(rig, letter);
	withdraw(rig, letter);
	assert_null(rig_effect(rig, EFFECT_MAIL_WITHDRAWN, 0));
	disk(rig, OK);
	assert_null(rig_effect(rig, EFFECT_MAIL_WITHDRAWN, 0));
	disk(rig, OK);
	assert_int_equal(withdrawn(rig), OK);
	assert_int_equal(engine_mail_count(rig->engine), 0);
	/* A disk that refuses keeps it, and it goes on. */
	submit_durably(rig, letter);
	withdraw(rig, letter);
	disk(rig, ERR_FULL);
	assert_int_equal(withdrawn(rig), ERR_FULL);
	assert_true(view(rig, letter).held);
	anna = rig_session(rig, ANNA);
	assert_true(rig->mail_read_count > 0);
	/* Read for somebody, and withdrawn before it is there: nothing leaves. */
	withdraw(rig, letter);
	read_back(rig);
	assert_null(rig_sent(rig, anna, MAIL, 0));
	disk(rig, OK);
	assert_int_equal(withdrawn(rig), OK);
	rig_disconnect(rig, anna);
	rig_tick(rig, 24 * 60 * MINUTE);
	anna = rig_session(rig, ANNA);
	assert_int_equal(rig->mail_read_count, 0);
	/* Whoever brings it back is sent away, and its end ends nothing. */
	bring(rig, anna, letter);
	said(rig, anna, REFUSED);
	assert_int_equal(engine_mail_count(rig->engine), 0);
	/* Another's is its sender's to withdraw. */
	bring(rig, anna, other);
	disk(rig, OK);
	withdraw(rig, other);
	assert_int_equal(withdrawn(rig), ERR_NOTFOUND);
}

static void a_refusal_is_another_way_and_an_hour(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA), dora = rig_session(rig, DORA);

	submit_durably(rig, letter);
	handed(rig, anna);
	say(rig, anna, &letter->item, REFUSED, 1);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "no room"));
	handed(rig, dora);
	say(rig, dora, &letter->item, REFUSED, 1);
	assert_int_equal(rig->mail_read_count, 0);
	rig_tick(rig, 59 * MINUTE);
	assert_int_equal(rig->mail_read_count, 0);
	rig_disconnect(rig, anna);
	rig_disconnect(rig, dora);
	rig->now_ms += 2 * MINUTE;
	handed(rig, rig_session(rig, ANNA));
	assert_string_equal(view(rig, letter).custodian, "");
}

static void no_answer_is_a_refusal(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA), dora = rig_session(rig, DORA);

	submit_durably(rig, letter);
	handed(rig, anna);
	/* Custody that nobody asked for is nothing. */
	say(rig, dora, &letter->item, CUSTODY, 0);
	assert_string_equal(view(rig, letter).custodian, "");
	for (unsigned i = 0; i < 11; i++) { /* both stay alive meanwhile */
		Sauti__Ping ping = SAUTI__PING__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;

		frame.body_case = SAUTI__FRAME__BODY_PING;
		frame.ping = &ping;
		rig_tick(rig, MINUTE);
		if (rig->mail_read_count > 0)
			break;
		rig_hear(rig, anna, &frame);
		rig_hear(rig, dora, &frame);
	}
	handed(rig, dora);
}

static void the_own_mail_is_processed_once_and_after_unlock(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, CLEO, BEN, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA);
	struct buf end;

	end_bytes(rig, letter, BEN, &end);
	bring(rig, anna, letter);
	disk(rig, OK);
	said(rig, anna, CUSTODY);
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0); /* locked */
	rig_step(rig, &(struct event){.type = EVENT_MAIL_OPEN});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 1);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_OPEN});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0); /* it has it */
	/* Not now: once more with the next sweep. */
	rig_step(rig,
		&(struct event){.type = EVENT_MAIL_DONE, .item = letter->item, .error = ERR_FULL});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0);
	rig_tick(rig, MINUTE);
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 1);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_DONE,
			      .item = letter->item,
			      .entry = buf_bytes(&end),
			      .line = bytes_str("inbox")});
	assert_true(said_nothing(rig, anna)); /* not before it is durable */
	disk(rig, ERR_IO);
	assert_false(view(rig, letter).ended);
	rig_tick(rig, MINUTE);
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 1);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_DONE,
			      .item = letter->item,
			      .entry = buf_bytes(&end),
			      .line = bytes_str("inbox")});
	anna = rig_session(rig, ANNA);
	disk(rig, OK);
	said(rig, anna, END);
	assert_int_equal(stored_of(&letter->item, false)->inbox.size, 5);
	restart(rig);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_OPEN});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0);
	anna = rig_session(rig, ANNA);
	said(rig, anna, END); /* it did not say that it knows */
	bring(rig, anna, letter);
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0);
	buf_release(&end);
}

static void open_mail_is_taken_while_locked(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = open_letter(rig, CLEO, BEN);

	bring(rig, rig_session(rig, ANNA), letter);
	disk(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 1);
	rig_step(rig, &(struct event){
			      .type = EVENT_MAIL_DONE, .item = letter->item, .error = ERR_LOCKED});
	rig_step(rig, &(struct event){.type = EVENT_MAIL_OPEN});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 1);
}

/* A state as it is stored, of an item that nobody ever sees. */
static void load_state(
	struct rig *rig, const char *sender, const char *recipient, unsigned number, bool ended)
{
	Sauti__MailState s = SAUTI__MAIL_STATE__INIT;
	uint8_t item[HASH_SIZE] = {0xee}, id[MAIL_ID_SIZE] = {0}, end[1] = {0};
	struct buf packed;

	put_u32be(item + 4, number);
	s.item = codec_binary(BYTES_ARRAY(item));
	s.id = codec_binary(BYTES_ARRAY(id));
	s.sender = (char *)sender;
	s.recipient = (char *)recipient;
	s.size = 300;
	s.accepted_at = 1700000000 + number;
	if (ended)
		s.end = codec_binary(BYTES_ARRAY(end));
	buf_init(&packed, 1024);
	codec_pack(&packed, &s);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_LOADED, .entry = buf_bytes(&packed)});
	buf_release(&packed);
}

static void accepted(struct rig *rig, struct session_id session, struct letter *letter, bool taken)
{
	size_t count = engine_mail_count(rig->engine);

	bring(rig, session, letter);
	assert_int_equal(rig->mail_count, taken);
	if (taken) {
		disk(rig, OK);
		said(rig, session, CUSTODY);
	} else {
		said(rig, session, REFUSED);
	}
	assert_int_equal(engine_mail_count(rig->engine), count + taken);
}

static void a_pair_has_its_quota_and_erasures_their_reserve(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	enum { ORDINARY = LIMIT_MAIL_PAIR - LIMIT_MAIL_PAIR / LIMIT_MAIL_RESERVE };
	unsigned n = 0;

	while (n < ORDINARY - 1)
		load_state(rig, "cleo", "dora", n++, false);
	accepted(rig, anna, open_letter(rig, CLEO, DORA), true);
	accepted(rig, anna, open_letter(rig, CLEO, DORA), false);
	assert_int_equal(engine_mail_refused(rig->engine), 1);
	/* Others are not hit by it. */
	accepted(rig, anna, open_letter(rig, CLEO, BEN), true);
	accepted(rig, anna, open_letter(rig, DORA, CLEO), true);
	while (n < LIMIT_MAIL_PAIR - 2)
		load_state(rig, "cleo", "dora", n++, false);
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), true);
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), false);
}

static void a_recipient_has_its_cap(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	enum { ORDINARY = LIMIT_MAIL_RECIPIENT - LIMIT_MAIL_RECIPIENT / LIMIT_MAIL_RESERVE };
	char name[LIMIT_NODE_NAME + 1];
	unsigned n = 0;

	for (; n < ORDINARY - 1; n++) {
		snprintf(name, sizeof(name), "n%u", n / 500);
		load_state(rig, name, "dora", n, false);
	}
	accepted(rig, anna, open_letter(rig, CLEO, DORA), true);
	accepted(rig, anna, open_letter(rig, CLEO, DORA), false);
	accepted(rig, anna, open_letter(rig, CLEO, BEN), true);
	for (; n < LIMIT_MAIL_RECIPIENT - 2; n++) {
		snprintf(name, sizeof(name), "n%u", n / 500);
		load_state(rig, name, "dora", n, false);
	}
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), true);
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), false);
}

static void a_node_has_its_cap(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	enum {
		CARRIED = LIMIT_MAIL_CARRIED - LIMIT_MAIL_CARRIED / LIMIT_MAIL_RESERVE,
		ORDINARY = LIMIT_MAIL_HELD - LIMIT_MAIL_HELD / LIMIT_MAIL_RESERVE
	};
	char from[LIMIT_NODE_NAME + 1], to[LIMIT_NODE_NAME + 1];
	unsigned n;

	for (n = 0; n < CARRIED - 1; n++) {
		snprintf(from, sizeof(from), "n%u", n / 500);
		snprintf(to, sizeof(to), "m%u", n / 500);
		load_state(rig, from, to, n, false);
	}
	accepted(rig, anna, open_letter(rig, CLEO, DORA), true);
	accepted(rig, anna, open_letter(rig, CLEO, DORA), false);
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), true);
	/* The rest is for what this node itself is sent, and sends. */
	for (; n < ORDINARY - 3; n++) {
		snprintf(from, sizeof(from), "n%u", n / 500);
		load_state(rig, from, "ben", n, false);
	}
	accepted(rig, anna, open_letter(rig, CLEO, BEN), true);
	accepted(rig, anna, open_letter(rig, CLEO, BEN), false);
	accepted(rig, anna, sealed_letter(rig, CLEO, BEN, MAIL_ERASURE), true);
}

/* Who writes to everybody keeps nobody else's mail out, whatever class it says it is. */
static void a_sender_has_its_share(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	char to[LIMIT_NODE_NAME + 1];

	for (unsigned n = 0; n < LIMIT_MAIL_SENDER - 1; n++) {
		snprintf(to, sizeof(to), "m%u", n / 500);
		load_state(rig, "cleo", to, n, false);
	}
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), true);
	accepted(rig, anna, sealed_letter(rig, CLEO, DORA, MAIL_ERASURE), false);
	accepted(rig, anna, open_letter(rig, CLEO, BEN), true);
	accepted(rig, anna, open_letter(rig, DORA, CLEO), true);
}

/* Cleo is revoked; the record comes from anna. */
static void revoke_cleo(struct rig *rig, struct session_id anna)
{
	struct revocation revocation = {.name = "cleo", .reason = "stolen", .revoked_at = 5};
	struct buf body, entry;
	Sauti__Frame *frame;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&body);
	buf_release(&entry);
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	frame = rig_sent(rig, anna, SAUTI__FRAME__BODY_FETCH, 0);
	assert_non_null(frame);
	rig_hear_batch(rig, anna, &rig->directory,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = rig->directory.count - 1,
			.count = 1,
			.target = rig->directory.count,
			.note = true});
	rig_written(rig, OK);
}

/* What nobody will ever be handed keeps no room from others. */
static void a_revoked_node_leaves_nothing_behind(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct letter *of = open_letter(rig, CLEO, DORA), *to = open_letter(rig, DORA, CLEO);
	struct letter *other = open_letter(rig, ANNA, DORA);

	accepted(rig, anna, of, true);
	accepted(rig, anna, to, true);
	accepted(rig, anna, other, true);
	revoke_cleo(rig, anna);
	rig_tick(rig, MINUTE);
	assert_int_equal(rig->mail_count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(rig->mails[i]->forget && rig->mails[i]->drop);
	disk_all(rig);
	assert_int_equal(engine_mail_count(rig->engine), 1);
	rig_tick(rig, MINUTE);
	assert_int_equal(rig->mail_count, 0);
}

static void ends_are_remembered_to_a_number(void **state)
{
	struct rig *rig = *state;

	for (unsigned n = 0; n < LIMIT_MAIL_ENDS; n++)
		load_state(rig, "cleo", "dora", n, true);
	rig_tick(rig, MINUTE);
	assert_int_equal(engine_mail_count(rig->engine), LIMIT_MAIL_ENDS);
	load_state(rig, "cleo", "dora", LIMIT_MAIL_ENDS, true);
	rig_tick(rig, MINUTE);
	assert_int_equal(engine_mail_count(rig->engine), LIMIT_MAIL_ENDS);
	assert_int_equal(rig->mail_count, 1);
	assert_true(rig->mails[0]->forget);
	assert_int_equal(get_u32be(rig->mails[0]->item.b + 4), 0); /* the oldest */
}

/* An end whose state is being written is not forgotten: the item may come again before that is
 * over, and would be said to be durable by a write that was not its own. */
static void an_end_that_is_being_written_stays(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct hash oldest = {{0xee}};

	for (unsigned n = 0; n <= LIMIT_MAIL_ENDS; n++)
		load_state(rig, "cleo", "dora", n, true);
	cleo = rig_session(rig, CLEO);
	say(rig, cleo, &oldest, KNOWN, 0);
	assert_int_equal(rig->mail_count, 1);
	assert_true(hash_equal(&rig->mails[0]->item, &oldest));
	rig_tick(rig, MINUTE);
	assert_int_equal(engine_mail_count(rig->engine), LIMIT_MAIL_ENDS);
	for (size_t i = 1; i < rig->mail_count; i++)
		assert_false(rig->mails[i]->forget && hash_equal(&rig->mails[i]->item, &oldest));
}

/* A clock that jumps by years must not make anything be processed again. */
static void no_end_is_forgotten_for_its_age(void **state)
{
	struct rig *rig = *state;

	load_state(rig, "cleo", "dora", 1, true);
	rig_tick(rig, 4000 * DAY);
	rig_tick(rig, MINUTE);
	assert_int_equal(engine_mail_count(rig->engine), 1);
	assert_int_equal(rig->mail_count, 0);
}

static void erasures_go_first_and_flights_are_few(void **state)
{
	struct rig *rig = *state;
	struct letter *letter[LIMIT_MAIL_FLIGHTS + 2];
	struct session_id cleo;

	for (size_t i = 0; i < LIMIT_MAIL_FLIGHTS + 2; i++) {
		letter[i] = sealed_letter(
			rig, BEN, CLEO, i == LIMIT_MAIL_FLIGHTS + 1 ? MAIL_ERASURE : MAIL_ORDINARY);
		submit_durably(rig, letter[i]);
	}
	cleo = rig_session(rig, CLEO);
	assert_int_equal(rig->mail_read_count, LIMIT_MAIL_FLIGHTS);
	assert_true(hash_equal(&rig->mail_reads[0].item, &letter[LIMIT_MAIL_FLIGHTS + 1]->item));
	for (size_t i = 0; i < LIMIT_MAIL_FLIGHTS; i++)
		read_back(rig);
	say(rig, cleo, &letter[0]->item, CUSTODY, 0);
	assert_int_equal(rig->mail_read_count, 1);
	assert_true(hash_equal(&rig->mail_reads[0].item, &letter[LIMIT_MAIL_FLIGHTS - 1]->item));
}

static void a_clock_that_was_put_back_stops_nothing(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id anna;

	rig->now_ms += 4000 * DAY; /* the clock of the wall too: years ahead */
	submit_durably(rig, letter);
	anna = rig_session(rig, ANNA);
	handed(rig, anna);
	say(rig, anna, &letter->item, CUSTODY, 0);
	disk_all(rig);
	rig->now_ms -= 4000 * DAY;
	restart(rig);
	handed(rig, rig_session(rig, DORA));
}

static void fold_revocation(struct rig *rig)
{
	struct revocation revocation = {.name = "cleo", .reason = "stolen", .revoked_at = 5};
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	rig_step(rig, &(struct event){.type = EVENT_DIRECTORY_LOADED, .entry = buf_bytes(&entry)});
	buf_release(&body);
	buf_release(&entry);
}

/* Neither taken, nor handed on, nor opened, whoever brings it. */
static void a_revoked_node_gets_and_gives_nothing(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna, dora;

	bring(rig, cleo, sealed_letter(rig, CLEO, ANNA, MAIL_ORDINARY));
	disk(rig, OK);
	bring(rig, cleo, sealed_letter(rig, CLEO, BEN, MAIL_ORDINARY));
	disk(rig, OK);
	submit_durably(rig, sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY));
	while (rig->mail_read_count > 0)
		rig->mail_read_count--; /* it was not sent yet */
	rig_disconnect(rig, cleo);
	fold_revocation(rig);
	anna = rig_session(rig, ANNA);
	assert_int_equal(rig->mail_read_count, 0);
	rig_step(rig, &(struct event){.type = EVENT_MAIL_OPEN});
	assert_int_equal(rig_count(rig, EFFECT_MAIL_DELIVER), 0);
	dora = rig_session(rig, DORA);
	bring(rig, dora, sealed_letter(rig, CLEO, DORA, MAIL_ORDINARY));
	said(rig, dora, REFUSED);
	bring(rig, anna, sealed_letter(rig, ANNA, CLEO, MAIL_ERASURE));
	said(rig, anna, REFUSED);
	submit(rig, sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY));
	assert_int_equal(rig_effect(rig, EFFECT_MAIL_SUBMITTED, 0)->error, ERR_DENIED);
}

/* The end comes while the custody is still on its way to the disk. */
static void an_end_does_not_wait_for_custody(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id cleo = rig_session(rig, CLEO);

	submit_durably(rig, letter);
	handed(rig, cleo);
	say(rig, cleo, &letter->item, CUSTODY, 0);
	say_end(rig, cleo, letter, CLEO);
	assert_int_equal(rig->mail_count, 2);
	disk(rig, OK);
	assert_true(said_nothing(rig, cleo));
	disk(rig, OK);
	said(rig, cleo, KNOWN);
	assert_true(view(rig, letter).ended);
}

/* Who brings what has ended again and again is told, and writes nothing to this disk. */
static void a_replay_costs_no_write(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, BEN, CLEO, MAIL_ORDINARY);
	struct session_id cleo = rig_session(rig, CLEO);

	submit_durably(rig, letter);
	handed(rig, cleo);
	say_end(rig, cleo, letter, CLEO);
	disk_all(rig);
	for (unsigned i = 0; i < 3; i++) {
		bring(rig, cleo, letter);
		said(rig, cleo, END);
		say(rig, cleo, &letter->item, KNOWN, 0);
		assert_int_equal(rig->mail_count, 0);
	}
}

static void a_relay_waits_for_whom_it_knows(void **state)
{
	struct rig *rig = *state;
	struct letter *letter = sealed_letter(rig, ANNA, CLEO, MAIL_ORDINARY);
	struct session_id anna = rig_session(rig, ANNA), dora = rig_session(rig, DORA), cleo;

	cleo = rig_session(rig, CLEO);
	rig_disconnect(rig, cleo);
	bring(rig, anna, letter);
	disk(rig, OK);
	assert_int_equal(rig->mail_read_count, 0); /* dora need not carry it: cleo comes back */
	rig_disconnect(rig, dora);
	rig->now_ms += 7 * DAY + 1000;
	dora = rig_session(rig, DORA);
	rig_tick(rig, 1);
	handed(rig, dora);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_relay_takes_custody_hands_on_and_lets_go),
		TEST(nobody_else_is_handed_it_for_seven_days),
		TEST(the_recipient_is_handed_it_once_a_relay_has_answered),
		TEST(another_way_is_tried_before_the_same_again),
		TEST(custody_survives_a_restart),
		TEST(duplicates_are_answered_at_once),
		TEST(an_ended_item_is_answered_by_its_end),
		TEST(only_the_recipient_ends_an_item),
		TEST(what_is_forged_or_of_no_member_is_refused),
		TEST(strangers_use_no_room),
		TEST(a_disk_that_refuses_leaves_it_with_the_sender),
		TEST(a_refusal_is_another_way_and_an_hour),
		TEST(what_is_withdrawn_is_gone),
		TEST(no_answer_is_a_refusal),
		TEST(the_own_mail_is_processed_once_and_after_unlock),
		TEST(open_mail_is_taken_while_locked),
		TEST(a_pair_has_its_quota_and_erasures_their_reserve),
		TEST(a_recipient_has_its_cap),
		TEST(a_node_has_its_cap),
		TEST(a_sender_has_its_share),
		TEST(a_revoked_node_leaves_nothing_behind),
		TEST(ends_are_remembered_to_a_number),
		TEST(an_end_that_is_being_written_stays),
		TEST(no_end_is_forgotten_for_its_age),
		TEST(erasures_go_first_and_flights_are_few),
		TEST(a_clock_that_was_put_back_stops_nothing),
		TEST(a_relay_waits_for_whom_it_knows),
		TEST(a_revoked_node_gets_and_gives_nothing),
		TEST(an_end_does_not_wait_for_custody),
		TEST(a_replay_costs_no_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
