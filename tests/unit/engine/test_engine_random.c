/*
 * Whatever peers, disks and sticks do, in any order: everything that the engine may be told, drawn
 * at random, most of it nearly right. Two authors have two histories each, one of them with two
 * keys, members are revoked in between, writes fail, a bundle is imported. Nothing may crash, and
 * an engine that has ticked has time before it wants to tick again.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "certs/mail.h"
#include "proto/mail.pb-c.h"
#include "replication/log/evidence.h"

enum { SEEDS = 4, STEPS = 1500, CHAINS = 7, SESSIONS = 4, SIZE = 40, LETTERS = 8, STORED = 16 };

/* A log as the disk has it. */
struct disk {
	struct chain chain;
	struct buf note, pin;
};

struct story {
	struct rig *rig;
	uint64_t random;
	struct chain chain[CHAINS]; /* as others have them: 0 the directory */
	struct session_id session[SESSIONS];
	enum who who[SESSIONS];
	uint32_t stream[CHAINS]; /* that was last asked for */
	struct disk disk[STORED];
	size_t disks;
	struct buf evidence[STORED];
	size_t evidence_count;
	bool waiting; /* a frame of the bundle is under way */
	bool own, revoked;
	struct buf letter[LETTERS];
	/* What the last evidence named. */
	struct chain *fork[2];
	uint64_t fork_size[2];
	struct origin branch; /* that was last asked for, of whom */
	uint32_t branch_stream;
	struct session_id branch_session;
};

static uint64_t draw(struct story *s, uint64_t below)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (s->random * 2685821657736338717u >> 32) % below;
}

static bool often(struct story *s)
{
	return draw(s, 4) != 0;
}

static struct chain *any_chain(struct story *s)
{
	return &s->chain[draw(s, CHAINS)];
}

static uint64_t any_size(struct story *s, const struct chain *chain)
{
	return 1 + draw(s, chain->count);
}

/* ---- what is durable ---- */

static struct disk *disk_of(struct story *s, const struct origin *origin)
{
	for (size_t i = 0; i < s->disks; i++)
		if (strcmp(s->disk[i].chain.origin.text, origin->text) == 0)
			return &s->disk[i];
	assert_true(s->disks < STORED);
	struct disk *disk = &s->disk[s->disks++];

	chain_init(&disk->chain, origin, NULL);
	buf_init(&disk->note, LIMIT_NOTE_SIZE);
	buf_init(&disk->pin, LIMIT_NOTE_SIZE);
	return disk;
}

static void replace(struct buf *to, const struct buf *from)
{
	buf_clear(to);
	buf_put(to, buf_bytes(from));
}

static void apply(struct story *s, const struct store_write *write)
{
	struct disk *disk = disk_of(s, &write->origin);

	for (size_t i = 0; write->entries != NULL && !write->heal && i < write->entries->count; i++)
		chain_add(&disk->chain, write->entries->entry[i]);
	if (write->pin.size > 0)
		replace(&disk->pin, &write->pin);
	if (write->checkpoint.size > 0) {
		replace(&disk->note, &write->checkpoint);
		buf_clear(&disk->pin);
	}
	if (write->evidence.size > 0 && s->evidence_count < STORED) {
		struct buf *row = &s->evidence[s->evidence_count++];

		buf_init(row, LIMIT_EVIDENCE_SIZE);
		replace(row, &write->evidence);
	}
}

static void write_answer(struct story *s)
{
	struct rig *rig = s->rig;
	struct store_write *write = rig->writes[0];
	bool ok = draw(s, 12) != 0;

	if (write->entries != NULL && !write->heal)
		ok = ok && write->first == disk_of(s, &write->origin)->chain.count;
	if (ok)
		apply(s, write);
	rig_written(rig, ok ? OK : ERR_IO);
}

static void read_answer(struct story *s)
{
	struct rig *rig = s->rig;
	struct disk *disk = disk_of(s, &rig->reads[0].origin);

	rig_read(rig, draw(s, 10) == 0 ? NULL : &disk->chain, 1 + draw(s, 8));
}

static void mail_answer(struct story *s)
{
	struct rig *rig = s->rig;

	if (rig->mail_count > 0) {
		struct mail_write *write = rig->mails[0];

		memmove(rig->mails, rig->mails + 1, --rig->mail_count * sizeof(rig->mails[0]));
		write->result = often(s) ? OK : ERR_IO;
		rig_step(rig, &(struct event){.type = EVENT_MAIL_STORED, .mail = write});
	}
	if (rig->mail_read_count > 0) {
		struct effect read = rig->mail_reads[0];

		memmove(rig->mail_reads, rig->mail_reads + 1,
			--rig->mail_read_count * sizeof(rig->mail_reads[0]));
		rig_step(rig, &(struct event){.type = EVENT_MAIL_READ,
				      .ticket = read.ticket,
				      .error = often(s) ? OK : ERR_IO,
				      .entry = buf_bytes(&s->letter[draw(s, LETTERS)])});
	}
}

/* Queues of the harness have an end; what waits is answered in its order. */
static void answers(struct story *s, bool all)
{
	struct rig *rig = s->rig;
	size_t most = all ? 0 : 12;

	while (rig->write_count > most)
		write_answer(s);
	while (rig->read_count > most)
		read_answer(s);
	while (rig->sign_count > most / 4)
		rig_signed(rig, often(s) ? OK : ERR_LOCKED);
	while (rig->mail_count + rig->mail_read_count > most)
		mail_answer(s);
}

static void answer_some(struct story *s)
{
	struct rig *rig = s->rig;

	if (rig->write_count > 0 && often(s))
		write_answer(s);
	if (rig->read_count > 0 && often(s))
		read_answer(s);
	if (rig->sign_count > 0 && often(s))
		rig_signed(rig, often(s) ? OK : ERR_LOCKED);
	mail_answer(s);
}

/* ---- what is said ---- */

/* Nobody: a session that has never been. */
static struct session_id somebody(struct story *s)
{
	struct session_id session = s->session[draw(s, SESSIONS)];

	return session.value != 0 ? session : (struct session_id){UINT64_MAX};
}

static struct session_id talker(struct story *s)
{
	if (s->rig->importing.value != 0 && !s->waiting && draw(s, 3) == 0)
		return s->rig->importing;
	return somebody(s);
}

static bool is_import(const struct story *s, struct session_id session)
{
	return session.value == s->rig->importing.value;
}

static void hear(struct story *s, struct session_id session, Sauti__Frame *frame)
{
	rig_hear(s->rig, session, frame);
}

static void branch_asked(struct story *s, struct session_id session, const Sauti__Fetch *fetch)
{
	if (fetch->window == 0)
		return;
	snprintf(s->branch.text, sizeof(s->branch.text), "%s", fetch->origin);
	s->branch_stream = fetch->stream;
	s->branch_session = session;
}

/* After each step: streams that were asked for, and whether the bundle's frame was answered. */
static void look(struct story *s)
{
	Sauti__Frame *frame;

	for (size_t i = 0; i < SESSIONS; i++)
		for (size_t n = 0;
			s->session[i].value != 0 && (frame = rig_sent(s->rig, s->session[i],
							     SAUTI__FRAME__BODY_FETCH, n)) != NULL;
			n++) {
			if (strchr(frame->fetch->origin, '~') != NULL)
				branch_asked(s, s->session[i], frame->fetch);
			for (size_t c = 0; c < CHAINS; c++)
				if (strcmp(s->chain[c].origin.text, frame->fetch->origin) == 0 &&
					frame->fetch->window > 0)
					s->stream[c] = frame->fetch->stream;
		}
	if (rig_count(s->rig, EFFECT_IMPORTED) > 0)
		s->waiting = false;
	for (size_t i = 0; i < SESSIONS; i++)
		if (s->session[i].value != 0 && rig_closed(s->rig, s->session[i])) {
			struct session_id gone = s->session[i];

			s->session[i].value = 0;
			rig_disconnect(s->rig, gone);
			look(s);
			return;
		}
}

static void say_have(struct story *s)
{
	struct chain *chain = any_chain(s);
	uint64_t size = any_size(s, chain);
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *list[1] = {&state};
	Sauti__Cosigned item[3], *items[3];
	struct buf note, line[3];
	struct hash root[3];
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	chain_note(chain, size, &note);
	state.origin = (char *)chain->origin.text;
	state.size = size;
	state.checkpoint = codec_binary(buf_bytes(&note));
	for (size_t i = 0; i < 3; i++) {
		uint64_t at = any_size(s, chain);

		rig_cosignature(s->rig, (enum who)draw(s, ACTORS), chain, at, &line[i]);
		chain_root(chain, at, &root[i]);
		sauti__cosigned__init(&item[i]);
		item[i].size = draw(s, 30) == 0 ? at + 1 : at;
		item[i].root = codec_binary(hash_bytes(&root[i]));
		item[i].line = codec_binary(buf_bytes(&line[i]));
		items[i] = &item[i];
	}
	state.n_cosigned = draw(s, 4);
	state.cosigned = items;
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &have;
	s->rig->vouched = draw(s, 8);

	struct session_id session = talker(s);

	s->waiting |= is_import(s, session);
	hear(s, session, &frame);
	buf_release(&note);
	for (size_t i = 0; i < 3; i++)
		buf_release(&line[i]);
}

static void say_batch(struct story *s)
{
	size_t at = draw(s, CHAINS);
	struct chain *chain = &s->chain[at];
	struct session_id session = talker(s);
	struct batch_opts opts = {.stream = s->stream[at]};
	struct engine_log log;
	uint64_t held = rig_log(s->rig, &chain->origin, &log) ? log.size : 0;

	opts.first = often(s) && held < chain->count ? held : draw(s, chain->count);
	opts.count = 1 + draw(s, chain->count - opts.first);
	opts.target = often(s) ? opts.first + opts.count : chain->count;
	opts.note = is_import(s, session) || often(s);
	s->waiting |= is_import(s, session);
	rig_hear_batch(s->rig, session, chain, opts);
}

static void say_fetch(struct story *s)
{
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct chain *chain = any_chain(s);

	fetch.origin = (char *)chain->origin.text;
	fetch.stream = 1 + (uint32_t)draw(s, 3);
	fetch.from = draw(s, chain->count + 3);
	fetch.window = (uint32_t)draw(s, LIMIT_FETCH_WINDOW + 3);
	fetch.up_to = draw(s, 3) == 0 ? draw(s, chain->count) : 0;
	fetch.rate = draw(s, 3) == 0 ? draw(s, 100000) : 0;
	frame.body_case = SAUTI__FRAME__BODY_FETCH;
	frame.fetch = &fetch;
	hear(s, somebody(s), &frame);
}

static void say_prove(struct story *s)
{
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct chain *chain = any_chain(s);
	struct buf note;

	chain_note(chain, any_size(s, chain), &note);
	prove.origin = (char *)chain->origin.text;
	prove.checkpoint = codec_binary(buf_bytes(&note));
	frame.body_case = SAUTI__FRAME__BODY_PROVE;
	frame.prove = &prove;
	hear(s, somebody(s), &frame);
	buf_release(&note);
}

static void say_proved(struct story *s)
{
	Sauti__Proved proved = SAUTI__PROVED__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES];
	struct chain *chain = any_chain(s);
	uint64_t to = any_size(s, chain), size = 1 + draw(s, to);
	struct proof proof;
	struct hash root;
	struct buf note;

	chain_note(chain, to, &note);
	chain_root(chain, size, &root);
	chain_proof(chain, size, to, &proof);
	for (size_t i = 0; i < proof.count; i++)
		hashes[i] = codec_binary(hash_bytes(&proof.hashes[i]));
	proved.origin = (char *)chain->origin.text;
	proved.size = size;
	if (often(s)) {
		proved.root = codec_binary(hash_bytes(&root));
		proved.n_proof = proof.count;
		proved.proof = hashes;
		proved.checkpoint = codec_binary(buf_bytes(&note));
	}
	frame.body_case = SAUTI__FRAME__BODY_PROVED;
	frame.proved = &proved;
	hear(s, somebody(s), &frame);
	buf_release(&note);
}

/* Of chain n against chain n + 1, which are two histories of one log. */
static void say_evidence(struct story *s)
{
	size_t at = 1 + 2 * draw(s, 3);
	struct chain *left = &s->chain[at], *right = &s->chain[at + 1];
	uint64_t m = any_size(s, left), n = m + draw(s, right->count - m + 1);
	struct session_id session = talker(s);
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf a, b, made;
	struct evidence_parts parts = {.opened = left->entry[0]};
	struct note_key key;
	struct hash root;
	struct proof proof;
	struct arena arena;

	chain_note(left, m, &a);
	chain_note(right, n, &b);
	buf_init(&made, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	parts.a = buf_bytes(&a);
	parts.b = buf_bytes(&b);
	if (m < n) {
		chain_root(right, m, &root);
		chain_proof(right, m, n, &proof);
		parts.root = &root;
		parts.proof = &proof;
	}
	assert_int_equal(log_note_key(&left->origin, signer_public(left->key), &key), OK);
	if (evidence_make(&parts, &key, &made, NULL) == OK) {
		assert_int_equal(CODEC_UNPACK(evidence, buf_bytes(&made), &scan_limits_strict,
					 &arena, &frame.evidence, NULL),
			OK);
		frame.body_case = SAUTI__FRAME__BODY_EVIDENCE;
		s->fork[0] = left;
		s->fork[1] = right;
		s->fork_size[0] = m;
		s->fork_size[1] = n;
		if (draw(s, 20) == 0)
			frame.evidence->opened.len--;
		s->waiting |= is_import(s, session);
		hear(s, session, &frame);
	}
	arena_release(&arena);
	buf_release(&a);
	buf_release(&b);
	buf_release(&made);
}

/* Of a branch: shown, asked for, brought. */
static void say_branch(struct story *s)
{
	size_t at = draw(s, 2);
	bool asked = false;
	struct chain named;
	struct checkpoint end;
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *list[1] = {&state};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData entries[SIZE + 8];
	struct engine_log log;
	struct origin name;
	struct buf note;

	if (s->fork[at] == NULL)
		return;
	named = *s->fork[at];
	end = (struct checkpoint){.origin = named.origin, .size = s->fork_size[at]};
	chain_root(&named, end.size, &end.root);
	branch_name(&end, &name);
	asked = strcmp(name.text, s->branch.text) == 0;
	chain_note(&named, end.size, &note);
	if (draw(s, 3) == 0) {
		rig_hear_fetch(s->rig, somebody(s), &name, 1 + (uint32_t)draw(s, 3),
			draw(s, end.size), (uint32_t)draw(s, 4));
	} else if (!asked || draw(s, 4) == 0) {
		state.origin = name.text;
		state.size = end.size;
		state.checkpoint = codec_binary(buf_bytes(&note));
		have.n_logs = 1;
		have.logs = list;
		frame.body_case = SAUTI__FRAME__BODY_HAVE;
		frame.have = &have;
		hear(s, somebody(s), &frame);
	} else {
		batch.origin = name.text;
		batch.stream = s->branch_stream;
		batch.first = rig_log(s->rig, &name, &log) && log.size < end.size ? log.size : 0;
		batch.n_entries = (size_t)(end.size - batch.first);
		for (size_t i = 0; i < batch.n_entries; i++)
			entries[i] = codec_binary(named.entry[batch.first + i]);
		batch.entries = entries;
		batch.checkpoint = codec_binary(buf_bytes(&note));
		frame.body_case = SAUTI__FRAME__BODY_BATCH;
		frame.batch = &batch;
		hear(s, s->branch_session, &frame);
	}
	buf_release(&note);
}

static void say_held(struct story *s)
{
	size_t at = draw(s, SESSIONS);
	struct chain *chain = any_chain(s);

	if (s->session[at].value != 0)
		rig_hear_held(s->rig, s->session[at], s->who[at], chain, any_size(s, chain));
}

static void say_mail(struct story *s)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;
	Sauti__MailHop hop = SAUTI__MAIL_HOP__INIT;
	struct engine_mail mail;
	size_t count = engine_mail_count(s->rig->engine);
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (count == 0 || draw(s, 2) == 0) {
		assert_int_equal(CODEC_UNPACK(mail, buf_bytes(&s->letter[draw(s, LETTERS)]),
					 &scan_limits_strict, &arena, &frame.mail, NULL),
			OK);
		frame.body_case = SAUTI__FRAME__BODY_MAIL;
	} else {
		engine_mail_at(s->rig->engine, draw(s, count), &mail);
		hop.item = codec_binary(hash_bytes(&mail.item));
		hop.code = (uint32_t)draw(s, 4);
		ack.body_case = (Sauti__MailAck__BodyCase)(1 + draw(s, 3));
		ack.custody = &hop;
		if (ack.body_case == SAUTI__MAIL_ACK__BODY_END)
			ack.body_case = SAUTI__MAIL_ACK__BODY_CUSTODY;
		frame.body_case = SAUTI__FRAME__BODY_MAIL_ACK;
		frame.mail_ack = &ack;
	}
	hear(s, somebody(s), &frame);
	arena_release(&arena);
}

/* ---- what happens ---- */

static void reconnect(struct story *s)
{
	size_t at = draw(s, SESSIONS);

	if (s->session[at].value != 0) {
		struct session_id gone = s->session[at];

		s->session[at].value = 0;
		rig_disconnect(s->rig, gone);
		look(s);
	}
	s->session[at].value = ++s->rig->next_session;
	rig_step(s->rig, &(struct event){.type = EVENT_CONNECTED,
				 .session = s->session[at],
				 .peer = s->rig->actor[s->who[at]].name,
				 .outgoing = draw(s, 2) == 0,
				 .guest = draw(s, 6) == 0});
	look(s);
	if (s->session[at].value != 0)
		rig_hello(s->rig, s->session[at], s->who[at]);
}

static void bundle(struct story *s)
{
	struct rig *rig = s->rig;

	if (rig->importing.value == 0) {
		rig->importing.value = ++rig->next_session;
		s->waiting = false;
		rig_step(rig, &(struct event){.type = EVENT_IMPORT,
				      .session = rig->importing,
				      .peer = often(s) ? "" : "cleo"});
	} else if (!s->waiting && draw(s, 4) == 0) {
		rig_step(rig, &(struct event){.type = EVENT_IMPORT_END, .session = rig->importing});
		rig->importing.value = 0;
	}
}

static void own(struct story *s)
{
	struct chain *chain = &s->chain[5]; /* ben's */
	struct engine_log log;
	uint64_t size = rig_log(s->rig, &chain->origin, &log) ? log.size : 0;

	switch (draw(s, 6)) {
	case 0:
		rig_step(s->rig, &(struct event){.type = EVENT_LOCKED});
		break;
	case 1:
		rig_unlock(s->rig);
		break;
	default:
		if (size < chain->count)
			rig_append(s->rig, chain, size, 1);
		break;
	}
}

static void revoke(struct story *s)
{
	struct revocation revocation = {
		.name = "dora", .reason = "stolen", .revoked_at = 5, .log_count = 0};
	struct revoked_log last;
	struct chain *chain = &s->chain[3 + draw(s, 2)];
	struct buf body, entry, note;
	struct note parsed;

	if (s->revoked || draw(s, 40) != 0)
		return;
	s->revoked = true;
	last.size = any_size(s, chain);
	strcpy(last.origin, chain->origin.text);
	chain_root(chain, last.size, &last.root);
	chain_note(chain, last.size, &note);
	assert_int_equal(note_parse(buf_bytes(&note), &parsed, NULL), OK);
	memcpy(last.signature.b, parsed.lines[0].blob, ED25519_SIGNATURE_SIZE);
	revocation.logs = &last;
	revocation.log_count = draw(s, 2);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), s->rig->actor[ANNA].node),
		OK);
	chain_add(&s->chain[0], buf_bytes(&entry));
	buf_release(&note);
	buf_release(&body);
	buf_release(&entry);
}

/* As by a power cut; some entries are damaged. */
static void load(struct story *s, const struct disk *disk)
{
	struct rig *rig = s->rig;
	const struct chain *chain = &disk->chain;
	struct log_head head = {
		.origin = chain->origin, .size = chain->count, .checkpoint = disk->note};
	bool damaged = chain->count > 0 && draw(s, 4) == 0;
	struct store_mark mark = {.index = 0};

	if (chain->count == 0)
		return;
	compact_init(&head.compact);
	for (size_t i = 0; i < chain->count; i++)
		compact_append(&head.compact, &chain->leaf[i]);
	head.pin = disk->pin;
	mark.index = draw(s, chain->count);
	mark.leaf = chain->leaf[mark.index];
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	if (!damaged || mark.index != 0)
		buf_put(&head.first_entry, chain->entry[0]);
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	assert_false(rig_noticed(rig, NOTICE_ALARM, "cannot be loaded"));
	buf_release(&head.first_entry);
	if (damaged)
		rig_step(rig,
			&(struct event){
				.type = EVENT_DAMAGED, .origin = &chain->origin, .mark = &mark});
}

static void restart(struct story *s)
{
	struct rig *rig = s->rig;
	const struct disk *directory = disk_of(s, &rig->directory.origin);

	rig_restart(rig);
	rig->importing.value = 0;
	for (size_t i = 0; i < s->evidence_count; i++) {
		rig_step(rig, &(struct event){.type = EVENT_EVIDENCE_LOADED,
				      .entry = buf_bytes(&s->evidence[i])});
		assert_false(rig_noticed(rig, NOTICE_ALARM, "cannot be loaded"));
	}
	for (size_t i = 0; i < s->disks; i++)
		load(s, &s->disk[i]);
	for (size_t i = 0; i < directory->chain.count; i++)
		rig_step(rig, &(struct event){.type = EVENT_DIRECTORY_LOADED,
				      .entry = directory->chain.entry[i]});
	rig_start(rig);
	memset(s->session, 0, sizeof(s->session));
	s->waiting = false;
}

static void step(struct story *s)
{
	switch (draw(s, 18)) {
	case 0:
	case 1:
	case 2:
		say_have(s);
		break;
	case 3:
	case 4:
	case 5:
		say_batch(s);
		break;
	case 6:
		say_fetch(s);
		break;
	case 7:
		say_prove(s);
		break;
	case 8:
		say_proved(s);
		break;
	case 9:
		if (draw(s, 8) == 0)
			say_evidence(s);
		else
			say_branch(s);
		break;
	case 10:
		say_held(s);
		break;
	case 11:
		say_mail(s);
		break;
	case 12:
		reconnect(s);
		break;
	case 13:
		bundle(s);
		break;
	case 14:
		own(s);
		break;
	case 15:
		revoke(s);
		if (draw(s, 8) == 0)
			restart(s);
		break;
	case 16:
		rig_tick(s->rig, draw(s, 3) == 0 ? draw(s, 900 * 1000) : draw(s, 5000));
		assert_true(engine_deadline(s->rig->engine) > s->rig->now_ms);
		break;
	default:
		answer_some(s);
		break;
	}
	look(s);
	answers(s, false);
	look(s);
}

static void another(struct chain *chain, size_t common, size_t size)
{
	char text[64];

	while (chain->count < size) {
		snprintf(text, sizeof(text), "another history %zu %zu", common, chain->count);
		chain_add(chain, bytes_str(text));
	}
}

static void chains(struct story *s)
{
	struct rig *rig = s->rig;
	struct buf admitted;

	chain_init(&s->chain[0], &rig->directory.origin, rig->directory_key);
	for (size_t i = 0; i < rig->directory.count; i++)
		chain_add(&s->chain[0], rig->directory.entry[i]);
	rig_admitted_entry(rig, DORA, &admitted);
	chain_add(&s->chain[0], buf_bytes(&admitted));
	buf_release(&admitted);
	rig_chain(rig, ANNA, &s->chain[1], SIZE);
	rig_chain(rig, ANNA, &s->chain[2], 8);
	another(&s->chain[2], 8, SIZE);
	/* The same log, opened with two keys. */
	rig_chain(rig, DORA, &s->chain[3], SIZE);
	chain_init(&s->chain[4], &rig->actor[DORA].origin, rig->actor[CLEO].log);
	chain_add_opened(&s->chain[4], rig->actor[DORA].node);
	another(&s->chain[4], 1, SIZE);
	rig_chain(rig, BEN, &s->chain[5], SIZE);
	rig_chain(rig, BEN, &s->chain[6], 3);
	another(&s->chain[6], 3, SIZE);
}

static void letters(struct story *s)
{
	static const enum who pairs[][2] = {{ANNA, BEN}, {CLEO, BEN}, {ANNA, CLEO}, {CLEO, ANNA},
		{DORA, CLEO}, {CLEO, DORA}, {BEN, CLEO}, {DORA, BEN}};

	for (size_t i = 0; i < LETTERS; i++) {
		struct mail_draft draft = {.network = NETWORK,
			.sender = s->rig->actor[pairs[i][0]].name,
			.recipient = s->rig->actor[pairs[i][1]].name,
			.kind = MAIL_ADDRESSES,
			.made_at = 1700000000};

		draft.id[0] = (uint8_t)i;
		buf_init(&s->letter[i], LIMIT_MAIL_ITEM);
		assert_int_equal(
			mail_write(&s->letter[i], &draft, s->rig->actor[pairs[i][0]].node), OK);
	}
}

static void run(void **state, uint64_t seed)
{
	struct rig *rig = *state;
	struct story s = {.rig = rig, .random = seed * 0x9e3779b97f4a7c15u + 1};
	static const enum who who[SESSIONS] = {ANNA, CLEO, DORA, CLEO};

	memcpy(s.who, who, sizeof(who));
	chains(&s);
	letters(&s);
	/* What the fixture has loaded is durable. */
	struct disk *directory = disk_of(&s, &rig->directory.origin);

	for (size_t i = 0; i < rig->directory.count; i++)
		chain_add(&directory->chain, rig->directory.entry[i]);
	chain_note(&rig->directory, rig->directory.count, &directory->note);
	for (size_t i = 0; i < SESSIONS; i++)
		reconnect(&s);
	for (unsigned i = 0; i < STEPS; i++)
		step(&s);
	answers(&s, true);
	for (size_t i = 0; i < CHAINS; i++)
		chain_release(&s.chain[i]);
	for (size_t i = 0; i < s.disks; i++) {
		chain_release(&s.disk[i].chain);
		buf_release(&s.disk[i].note);
		buf_release(&s.disk[i].pin);
	}
	for (size_t i = 0; i < s.evidence_count; i++)
		buf_release(&s.evidence[i]);
	for (size_t i = 0; i < LETTERS; i++)
		buf_release(&s.letter[i]);
}

static void test_anything_in_any_order(void **state)
{
	const char *text = getenv("SAUTI_RANDOM_SEED");
	uint64_t first = text == NULL ? 1 : strtoull(text, NULL, 10);

	(void)state;
	for (uint64_t seed = first; seed < first + SEEDS; seed++) {
		void *rig;

		assert_int_equal(rig_setup(&rig), 0);
		run(&rig, seed);
		rig_teardown(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anything_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
