#include "tests/unit/engine/harness.h"

#include <stdio.h>

/* Keys and names. */

static struct signer *signer_number(unsigned number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {0};
	struct signer *signer;

	put_u32be(seed, number);
	seed[31] = 0x77;
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

static void make_origin(const char *name, unsigned number, struct origin *ret)
{
	uint8_t random[8] = {0, 1, 2, 3, 4, 5, 6, (uint8_t)number};

	assert_int_equal(origin_make(bytes_str(NETWORK), bytes_str(name), 1, random, ret), OK);
}

static void make_actor(struct actor *actor, enum who who)
{
	static const char *const names[ACTORS] = {"anna", "ben", "cleo", "dora"};
	struct member *m = &actor->member;

	actor->name = names[who];
	actor->node = signer_number(10 * who);
	actor->log = signer_number(10 * who + 1);
	actor->mirror = signer_number(10 * who + 2);
	actor->witness = signer_number(10 * who + 3);
	make_origin(actor->name, who, &actor->origin);
	snprintf(m->name, sizeof(m->name), "%s", actor->name);
	m->role = who == ANNA ? ROLE_HQ : ROLE_OFFICE;
	snprintf(m->country, sizeof(m->country), "%s", who == ANNA ? "" : "HTI");
	m->node = *signer_public(actor->node);
	m->mirror = *signer_public(actor->mirror);
	m->witness = *signer_public(actor->witness);
	memset(m->tls_spki.b, 100 + (int)who, HASH_SIZE);
	memset(m->complaint.b, 200 + (int)who, X25519_KEY_SIZE);
}

void rig_admitted_entry(struct rig *rig, enum who who, struct buf *ret)
{
	struct buf body;
	struct ed25519_signature signature;

	buf_init(ret, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&body, NETWORK, &rig->actor[who].member), OK);
	assert_int_equal(node_sign(rig->actor[who].node, PURPOSE_NODE_ADMITTED, buf_bytes(&body),
				 &signature),
		OK);
	assert_int_equal(record_write_signed(ret, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
				 buf_bytes(&body), BYTES_ARRAY(signature.b)),
		OK);
	buf_release(&body);
}

static void make_directory(struct rig *rig)
{
	struct origin origin;
	struct buf entry;
	struct network_created created = {.network = NETWORK,
		.hq = "anna",
		.hq_node = rig->actor[ANNA].member.node,
		.created_at = 1};

	rig->directory_key = signer_number(1000);
	make_origin("directory", 99, &origin);
	chain_init(&rig->directory, &origin, rig->directory_key);
	chain_add_opened(&rig->directory, rig->actor[ANNA].node);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(network_created_write(&entry, &created, rig->actor[ANNA].node), OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&entry);
	for (enum who who = ANNA; who <= CLEO; who++) {
		rig_admitted_entry(rig, who, &entry);
		chain_add(&rig->directory, buf_bytes(&entry));
		buf_release(&entry);
	}
}

/* Chains. */

void chain_init(struct chain *chain, const struct origin *origin, const struct signer *key)
{
	*chain = (struct chain){.origin = *origin, .key = key};
}

void chain_release(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		mem_free((void *)chain->entry[i].data);
	mem_free(chain->entry);
	mem_free(chain->leaf);
	*chain = (struct chain){0};
}

void chain_add(struct chain *chain, struct bytes entry)
{
	size_t n = chain->count++;

	chain->entry = mem_resize(chain->entry, chain->count * sizeof(*chain->entry));
	chain->leaf = mem_resize(chain->leaf, chain->count * sizeof(*chain->leaf));
	assert_true(chain->entry != NULL && chain->leaf != NULL);
	chain->entry[n] = bytes_make(mem_dup(entry.data, entry.size), entry.size);
	assert_non_null(chain->entry[n].data);
	tree_leaf(entry, &chain->leaf[n]);
}

void chain_add_opened(struct chain *chain, const struct signer *node)
{
	struct log_opened opened = {.origin = chain->origin.text,
		.previous_origin = "",
		.log_key = *signer_public(chain->key),
		.opened_at = 1};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, node), OK);
	chain_add(chain, buf_bytes(&entry));
	buf_release(&entry);
}

void chain_grow(struct chain *chain, size_t count)
{
	char text[LIMIT_LOG_NAME + 32];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s entry %zu", chain->origin.text, chain->count);
		chain_add(chain, bytes_str(text));
	}
}

void chain_root(const struct chain *chain, uint64_t size, struct hash *ret)
{
	struct compact compact;

	assert_true(size <= chain->count);
	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&compact, &chain->leaf[i]);
	compact_root(&compact, ret);
}

void chain_note(const struct chain *chain, uint64_t size, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = chain->origin, .size = size};

	buf_init(ret, LIMIT_NOTE_SIZE);
	chain_root(chain, size, &checkpoint.root);
	assert_int_equal(checkpoint_sign(ret, &checkpoint, chain->key), OK);
}

static enum err chain_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct chain *chain = arg;
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&compact, &chain->leaf[i]);
	compact_root(&compact, ret);
	return OK;
}

void chain_proof(const struct chain *chain, uint64_t from, uint64_t to, struct proof *ret)
{
	struct tree_source source = {chain_node, (void *)chain};

	assert_true(to <= chain->count);
	*ret = (struct proof){0};
	assert_int_equal(tree_prove_consistency(&source, from, to, ret), OK);
}

struct entries *chain_entries(const struct chain *chain, uint64_t first, size_t count)
{
	struct entries *entries;

	assert_true(first + count <= chain->count);
	assert_int_equal(entries_make(chain->entry + first, count, &entries), OK);
	return entries;
}

/* The rig. */

int rig_setup_empty(void **state)
{
	struct rig *rig = mem_zalloc(sizeof(*rig));

	if (rig == NULL || crypto_init() != OK)
		return -1;
	for (enum who who = ANNA; who < ACTORS; who++)
		make_actor(&rig->actor[who], who);
	make_directory(rig);
	arena_init(&rig->arena, LIMIT_ARENA_SIZE);
	rig->now_ms = 1000 * 1000;
	rig->opts = (struct engine_opts){.network = NETWORK,
		.node = "ben",
		.directory = rig->directory.origin,
		.directory_key = *signer_public(rig->directory_key),
		.timing = engine_timing_default,
		.seed = 7};
	assert_int_equal(engine_new(&rig->opts, &rig->engine), OK);
	*state = rig;
	return 0;
}

int rig_setup(void **state)
{
	if (rig_setup_empty(state) != 0)
		return -1;
	rig_load_directory(*state);
	rig_start(*state);
	return 0;
}

static void forget_pending(struct rig *rig)
{
	for (size_t i = 0; i < rig->write_count; i++)
		store_write_free(rig->writes[i]);
	for (size_t i = 0; i < rig->sign_count; i++)
		buf_release(&rig->signs[i].body);
	for (size_t i = 0; i < rig->mail_count; i++)
		mail_write_free(rig->mails[i]);
	rig->mail_count = rig->mail_read_count = 0;
	for (size_t i = 0; i < rig->witness_count; i++)
		buf_release(&rig->witness[i].body);
	rig->witness_count = 0;
	rig->write_count = rig->read_count = rig->sign_count = 0;
	effects_release(&rig->out);
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	forget_pending(rig);
	engine_free(rig->engine);
	arena_release(&rig->arena);
	chain_release(&rig->directory);
	signer_free(rig->directory_key);
	for (size_t i = 0; i < ACTORS; i++) {
		signer_free(rig->actor[i].node);
		signer_free(rig->actor[i].log);
		signer_free(rig->actor[i].mirror);
		signer_free(rig->actor[i].witness);
	}
	mem_free(rig);
	crypto_release();
	return 0;
}

void rig_restart(struct rig *rig)
{
	forget_pending(rig);
	engine_free(rig->engine);
	assert_int_equal(engine_new(&rig->opts, &rig->engine), OK);
}

void rig_load(struct rig *rig, const struct chain *chain, uint64_t size, uint64_t noted,
	enum who cosigner)
{
	struct log_head head = {.origin = chain->origin, .size = size};
	struct buf line;
	struct hash root;

	compact_init(&head.compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&head.compact, &chain->leaf[i]);
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	buf_put(&head.first_entry, chain->entry[0]);
	if (noted > 0)
		chain_note(chain, noted, &head.checkpoint);
	head.cosignatures = mem_array(2, sizeof(*head.cosignatures));
	assert_non_null(head.cosignatures);
	for (int witness = 0; cosigner != ACTORS && witness < 1 + (cosigner == BEN); witness++) {
		struct store_cosignature *c = &head.cosignatures[head.cosignature_count++];

		snprintf(c->cosigner, sizeof(c->cosigner), "%s%s", witness ? "witness/" : "",
			rig->actor[cosigner].name);
		c->size = noted;
		buf_init(&c->line, LIMIT_NOTE_SIZE);
		chain_root(chain, noted, &root);
		rig_cosignature_at(rig, cosigner, witness, 1700000001, chain, noted, &line);
		buf_put(&c->line, hash_bytes(&root));
		buf_put(&c->line, buf_bytes(&line));
		buf_release(&line);
	}
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	assert_false(rig_noticed(rig, NOTICE_ALARM, "cannot be loaded"));
	log_head_release(&head);
}

void rig_load_directory(struct rig *rig)
{
	rig_load(rig, &rig->directory, rig->directory.count, rig->directory.count, BEN);
	for (size_t i = 0; i < rig->directory.count; i++)
		rig_step(rig, &(struct event){.type = EVENT_DIRECTORY_LOADED,
				      .entry = rig->directory.entry[i]});
}

void rig_start(struct rig *rig)
{
	rig_step(rig, &(struct event){.type = EVENT_START});
}

/* Every byte of an effect, for comparing two runs. */
static void tape_effect(struct buf *tape, const struct effect *e)
{
	buf_printf(tape, "%d %llu %s %s %llu %llu %d %d %s\n", e->type,
		(unsigned long long)e->session.value, e->peer, e->origin.text,
		(unsigned long long)e->ticket, (unsigned long long)e->index, e->error, e->notice,
		e->text);
	buf_put(tape, buf_bytes(&e->frame));
	buf_put(tape, buf_bytes(&e->body));
	if (e->write != NULL) {
		buf_printf(tape, "write %s %llu %s", e->write->origin.text,
			(unsigned long long)e->write->first, e->write->cosigner);
		for (size_t i = 0; e->write->entries != NULL && i < e->write->entries->count; i++)
			buf_put(tape, e->write->entries->entry[i]);
		buf_put(tape, buf_bytes(&e->write->checkpoint));
		buf_put(tape, buf_bytes(&e->write->cosignature));
	}
	if (e->write != NULL) {
		buf_put(tape, buf_bytes(&e->write->pin));
		buf_put(tape, buf_bytes(&e->write->witness));
		buf_put(tape, buf_bytes(&e->write->evidence));
	}
	if (e->mail != NULL) {
		buf_put(tape, hash_bytes(&e->mail->item));
		buf_put(tape, buf_bytes(&e->mail->body));
		buf_put(tape, buf_bytes(&e->mail->state));
	}
	if (e->type == EFFECT_READ)
		buf_printf(tape, "read %llu %llu %llu", (unsigned long long)e->read.first,
			(unsigned long long)e->read.target, (unsigned long long)e->read.ticket);
}

static void step_at(struct rig *rig, struct event *event);

/* What it brings about comes behind what is being looked at. */
static void remembered(struct rig *rig, struct store_write *write)
{
	write->result = OK;
	step_at(rig, &(struct event){.type = EVENT_WRITTEN, .write = write});
}

static void keep_pending(struct rig *rig, struct effect *e)
{
	if (e->type == EFFECT_WRITE && e->witness && !rig->witness_waits) {
		struct store_write *write = e->write;

		e->write = NULL;
		remembered(rig, write);
	} else if (e->type == EFFECT_WRITE) {
		assert_true(rig->write_count < WRITES_MAX);
		rig->writes[rig->write_count++] = e->write;
		e->write = NULL;
	} else if (e->type == EFFECT_READ) {
		assert_true(rig->read_count < READS_MAX);
		rig->reads[rig->read_count++] = e->read;
	} else if (e->type == EFFECT_SIGN || e->type == EFFECT_COSIGN) {
		struct pending_sign *list = e->witness ? rig->witness : rig->signs;
		size_t *count = e->witness ? &rig->witness_count : &rig->sign_count;

		assert_true(*count < SIGNS_MAX);
		list[(*count)++] = (struct pending_sign){
			.origin = e->origin, .body = e->body, .cosign = e->type == EFFECT_COSIGN};
		buf_init(&e->body, 0);
	} else if (e->type == EFFECT_MAIL_WRITE) {
		assert_true(rig->mail_count < WRITES_MAX);
		rig->mails[rig->mail_count++] = e->mail;
		e->mail = NULL;
	} else if (e->type == EFFECT_MAIL_READ) {
		assert_true(rig->mail_read_count < READS_MAX);
		rig->mail_reads[rig->mail_read_count++] =
			(struct effect){.item = e->item, .ticket = e->ticket};
	}
}

static void step_at(struct rig *rig, struct event *event)
{
	event->now_ms = rig->now_ms;
	event->wall_s = 1700000000 + rig->now_ms / 1000;
	assert_int_equal(engine_step(rig->engine, event, &rig->out), OK);
}

/* The kernel takes what is sent, and what comes after it, all in the same step. */
static void kernel_takes(struct rig *rig)
{
	for (size_t i = 0; !rig->kernel_full && i < rig->out.count; i++) {
		const struct effect *e = &rig->out.list[i];

		if (e->type == EFFECT_SEND)
			step_at(rig, &(struct event){.type = EVENT_SENT,
					     .session = e->session,
					     .size = e->frame.size});
	}
}

void rig_step(struct rig *rig, struct event *event)
{
	effects_clear(&rig->out);
	arena_clear(&rig->arena);
	step_at(rig, event);
	kernel_takes(rig);
	for (size_t i = 0; i < rig->out.count; i++) {
		if (rig->tape != NULL)
			tape_effect(rig->tape, &rig->out.list[i]);
		keep_pending(rig, &rig->out.list[i]);
	}
}

void rig_tick(struct rig *rig, uint64_t later_ms)
{
	rig->now_ms += later_ms;
	rig_step(rig, &(struct event){.type = EVENT_TICK});
}

size_t rig_count(const struct rig *rig, enum effect_type type)
{
	size_t count = 0;

	while (rig_effect(rig, type, count) != NULL)
		count++;
	return count;
}

struct effect *rig_effect(const struct rig *rig, enum effect_type type, size_t n)
{
	for (size_t i = 0; i < rig->out.count; i++)
		if (rig->out.list[i].type == type && !rig->out.list[i].witness && n-- == 0)
			return &rig->out.list[i];
	return NULL;
}

bool rig_noticed(const struct rig *rig, enum notice level, const char *part)
{
	const struct effect *e;

	for (size_t i = 0; (e = rig_effect(rig, EFFECT_NOTICE, i)) != NULL; i++)
		if (e->notice == level && strstr(e->text, part) != NULL)
			return true;
	return false;
}

bool rig_closed(const struct rig *rig, struct session_id session)
{
	const struct effect *e;

	for (size_t i = 0; (e = rig_effect(rig, EFFECT_CLOSE, i)) != NULL; i++)
		if (e->session.value == session.value)
			return true;
	return false;
}

Sauti__Frame *rig_sent(
	struct rig *rig, struct session_id session, Sauti__Frame__BodyCase kind, size_t n)
{
	const struct effect *e;

	for (size_t i = 0; (e = rig_effect(rig, EFFECT_SEND, i)) != NULL; i++) {
		Sauti__Frame *frame;
		struct bytes body;

		if (session.value != 0 && e->session.value != session.value)
			continue;
		assert_true(e->frame.size > FRAME_HEADER_SIZE &&
			    e->frame.size <= LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
		body = bytes_make(
			e->frame.data + FRAME_HEADER_SIZE, e->frame.size - FRAME_HEADER_SIZE);
		assert_int_equal(
			CODEC_UNPACK(frame, body, &scan_limits_strict, &rig->arena, &frame, NULL),
			OK);
		if (frame->body_case == kind && n-- == 0)
			return frame;
	}
	return NULL;
}

void rig_is_silent(const struct rig *rig)
{
	assert_int_equal(rig_count(rig, EFFECT_SEND), 0);
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 0);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	assert_int_equal(rig_count(rig, EFFECT_CLOSE), 0);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
}

/* Connections. */

struct session_id rig_connect(struct rig *rig, enum who peer, bool outgoing)
{
	struct session_id session = {++rig->next_session};

	rig_step(rig, &(struct event){.type = EVENT_CONNECTED,
			      .session = session,
			      .peer = rig->actor[peer].name,
			      .outgoing = outgoing});
	return session;
}

void rig_hello(struct rig *rig, struct session_id session, enum who peer)
{
	Sauti__Hello hello = SAUTI__HELLO__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	hello.network = (char *)NETWORK;
	hello.node = (char *)rig->actor[peer].name;
	hello.protocol_min = hello.protocol_max = PROTOCOL_VERSION;
	hello.max_frame = LIMIT_FRAME_SIZE;
	hello.format = FORMAT_VERSION;
	frame.body_case = SAUTI__FRAME__BODY_HELLO;
	frame.hello = &hello;
	rig_hear(rig, session, &frame);
}

struct session_id rig_session(struct rig *rig, enum who peer)
{
	struct session_id session = rig_connect(rig, peer, false);

	assert_false(rig_closed(rig, session));
	rig_hello(rig, session, peer);
	assert_true(rig_connected(rig, peer));
	return session;
}

void rig_disconnect(struct rig *rig, struct session_id session)
{
	rig_step(rig, &(struct event){.type = EVENT_DISCONNECTED, .session = session});
}

bool rig_connected(const struct rig *rig, enum who peer)
{
	struct engine_peer shown;

	for (size_t i = 0; i < engine_peer_count(rig->engine); i++) {
		engine_peer_at(rig->engine, i, &shown);
		if (strcmp(shown.name, rig->actor[peer].name) == 0)
			return shown.connected;
	}
	return false;
}

/* What peers say. */

void rig_hear(struct rig *rig, struct session_id session, Sauti__Frame *frame)
{
	struct buf wire;

	buf_init(&wire, LIMIT_FRAME_SIZE);
	codec_pack(&wire, frame);
	assert_int_equal(wire.err, OK);
	rig_step(rig,
		&(struct event){.type = session.value == rig->importing.value ? EVENT_IMPORT_FRAME
									      : EVENT_FRAME,
			.session = session,
			.frame = buf_bytes(&wire),
			.vouched = rig->vouched});
	buf_release(&wire);
}

void rig_hear_have(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size)
{
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *list[1] = {&state};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf note;

	chain_note(chain, size, &note);
	state.origin = (char *)chain->origin.text;
	state.size = size;
	state.checkpoint = codec_binary(buf_bytes(&note));
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &have;
	rig_hear(rig, session, &frame);
	buf_release(&note);
}

void rig_hear_fetch(struct rig *rig, struct session_id session, const struct origin *origin,
	uint32_t stream, uint64_t from, uint32_t window)
{
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	fetch.origin = (char *)origin->text;
	fetch.stream = stream;
	fetch.from = from;
	fetch.window = window;
	frame.body_case = SAUTI__FRAME__BODY_FETCH;
	frame.fetch = &fetch;
	rig_hear(rig, session, &frame);
}

void rig_hear_batch(struct rig *rig, struct session_id session, const struct chain *chain,
	struct batch_opts opts)
{
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData list[LIMIT_BATCH_ENTRIES + 1], hashes[LIMIT_PROOF_HASHES];
	struct proof proof = {0};
	struct buf note = {0};

	assert_true(opts.count <= LIMIT_BATCH_ENTRIES + 1);
	for (size_t i = 0; i < opts.count; i++)
		list[i] = codec_binary(chain->entry[opts.first + i]);
	if (opts.first + opts.count <= opts.target)
		chain_proof(chain, opts.first + opts.count, opts.target, &proof);
	for (size_t i = 0; i < proof.count; i++)
		hashes[i] = codec_binary(hash_bytes(&proof.hashes[i]));
	batch.origin = (char *)chain->origin.text;
	batch.stream = opts.stream;
	batch.first = opts.first;
	batch.n_entries = opts.count;
	batch.entries = list;
	batch.n_proof = proof.count;
	batch.proof = hashes;
	if (opts.note) {
		chain_note(chain, opts.target, &note);
		batch.checkpoint = codec_binary(buf_bytes(&note));
	}
	frame.body_case = SAUTI__FRAME__BODY_BATCH;
	frame.batch = &batch;
	rig_hear(rig, session, &frame);
	buf_release(&note);
}

static void cosign(struct rig *rig, enum who who, bool witness, uint64_t time_s, struct bytes text,
	struct buf *ret)
{
	const struct actor *actor = &rig->actor[who];
	char name[NOTE_KEY_NAME_MAX + 1];

	buf_init(ret, LIMIT_NOTE_SIZE);
	snprintf(name, sizeof(name), NETWORK "/%s/%s", witness ? "witness" : "mirror", actor->name);
	assert_int_equal(
		cosignature_sign(ret, text, time_s, name, witness ? actor->witness : actor->mirror),
		OK);
}

void rig_cosignature(
	struct rig *rig, enum who mirror, const struct chain *chain, uint64_t size, struct buf *ret)
{
	rig_cosignature_at(rig, mirror, false, 1700000001, chain, size, ret);
}

void rig_cosignature_at(struct rig *rig, enum who who, bool witness, uint64_t time_s,
	const struct chain *chain, uint64_t size, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = chain->origin, .size = size};
	struct buf text;

	buf_init(&text, LIMIT_NOTE_SIZE);
	chain_root(chain, size, &checkpoint.root);
	checkpoint_format(&text, &checkpoint);
	cosign(rig, who, witness, time_s, buf_bytes(&text), ret);
	buf_release(&text);
}

void rig_hear_held(struct rig *rig, struct session_id session, enum who mirror,
	const struct chain *chain, uint64_t size)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct hash root;
	struct buf line;

	chain_root(chain, size, &root);
	rig_cosignature(rig, mirror, chain, size, &line);
	item.size = size;
	item.root = codec_binary(hash_bytes(&root));
	item.line = codec_binary(buf_bytes(&line));
	held.origin = (char *)chain->origin.text;
	held.cosigned = &item;
	frame.body_case = SAUTI__FRAME__BODY_HELD;
	frame.held = &held;
	rig_hear(rig, session, &frame);
	buf_release(&line);
}

/* Answers. */

void rig_written(struct rig *rig, enum err result)
{
	struct store_write *write;

	assert_true(rig->write_count > 0);
	write = rig->writes[0];
	rig->write_count--;
	memmove(rig->writes, rig->writes + 1, rig->write_count * sizeof(*rig->writes));
	write->result = result;
	rig_step(rig, &(struct event){.type = EVENT_WRITTEN, .write = write});
}

static const struct signer *signer_of(const struct rig *rig, const struct origin *origin)
{
	if (strcmp(origin->text, rig->directory.origin.text) == 0)
		return rig->directory_key;
	return rig->actor[BEN].log;
}

static struct pending_sign take_sign(struct pending_sign *list, size_t *count, size_t at)
{
	struct pending_sign asked = list[at];

	memmove(list + at, list + at + 1, (--*count - at) * sizeof(*list));
	return asked;
}

static void answer_sign(struct rig *rig, struct pending_sign asked, bool witness, enum err error);

void rig_signed(struct rig *rig, enum err error)
{
	struct pending_sign asked;

	assert_true(rig->sign_count > 0);
	asked = take_sign(rig->signs, &rig->sign_count, 0);
	for (size_t i = 0; asked.cosign && i < rig->witness_count; i++)
		if (strcmp(rig->witness[i].origin.text, asked.origin.text) == 0) {
			answer_sign(rig, take_sign(rig->witness, &rig->witness_count, i), true, OK);
			break;
		}
	answer_sign(rig, asked, false, error);
}

static void answer_sign(struct rig *rig, struct pending_sign asked, bool witness, enum err error)
{
	struct event event = {.error = error, .witness = witness};
	struct buf line = {0};

	event.type = asked.cosign ? EVENT_COSIGNED : EVENT_SIGNED;
	event.origin = &asked.origin;
	if (error == OK && asked.cosign) {
		cosign(rig, BEN, witness, 1700000000 + rig->now_ms / 1000, buf_bytes(&asked.body),
			&line);
		event.line = buf_bytes(&line);
	} else if (error == OK) {
		assert_int_equal(signer_sign(signer_of(rig, &asked.origin), buf_bytes(&asked.body),
					 &event.signature),
			OK);
	}
	rig_step(rig, &event);
	buf_release(&line);
	buf_release(&asked.body);
}

void rig_witness_signed(struct rig *rig, enum err error)
{
	assert_true(rig->witness_count > 0);
	answer_sign(rig, take_sign(rig->witness, &rig->witness_count, 0), true, error);
}

void rig_read(struct rig *rig, const struct chain *chain, size_t count_max)
{
	struct event event = {.type = EVENT_READ};
	struct store_read read;
	size_t count;

	assert_true(rig->read_count > 0);
	read = rig->reads[0];
	rig->read_count--;
	memmove(rig->reads, rig->reads + 1, rig->read_count * sizeof(*rig->reads));
	event.ticket = read.ticket;
	if (chain == NULL) {
		event.error = ERR_IO;
	} else {
		assert_string_equal(read.origin.text, chain->origin.text);
		assert_true(read.target <= chain->count);
	}
	if (chain != NULL && read.kind == READ_PROOF) {
		assert_true(read.first >= 1 && read.first <= read.target);
		chain_root(chain, read.first, &event.batch.root);
		chain_proof(chain, read.first, read.target, &event.batch.proof);
	} else if (chain != NULL) {
		assert_true(read.first < read.target);
		count = read.target - read.first;
		count = count < count_max ? count : count_max;
		event.batch.entries = chain_entries(chain, read.first, count);
		chain_proof(chain, read.first + count, read.target, &event.batch.proof);
	}
	rig_step(rig, &event);
}

/* Whole stories. */

void rig_unlock(struct rig *rig)
{
	rig_step(rig, &(struct event){.type = EVENT_UNLOCKED,
			      .origin = &rig->actor[BEN].origin,
			      .key = signer_public(rig->actor[BEN].log)});
}

uint64_t rig_append(struct rig *rig, const struct chain *chain, uint64_t first, size_t count)
{
	struct event event = {.type = EVENT_APPEND,
		.origin = &chain->origin,
		.entries = chain_entries(chain, first, count),
		.ticket = ++rig->next_ticket};

	rig_step(rig, &event);
	return rig->next_ticket;
}

void rig_chain(struct rig *rig, enum who author, struct chain *chain, uint64_t size)
{
	chain_init(chain, &rig->actor[author].origin, rig->actor[author].log);
	chain_add_opened(chain, rig->actor[author].node);
	chain_grow(chain, size - 1);
}

void rig_own_log(struct rig *rig, struct chain *chain, uint64_t size)
{
	struct effect *appended;

	rig_chain(rig, BEN, chain, size);
	rig_unlock(rig);
	rig_append(rig, chain, 0, size);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	appended = rig_effect(rig, EFFECT_APPENDED, 0);
	assert_non_null(appended);
	assert_int_equal(appended->error, OK);
}

void rig_fetch_all(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size)
{
	Sauti__Frame *frame;
	struct engine_log log;
	uint64_t first = 0;

	if (rig_log(rig, &chain->origin, &log))
		first = log.size;
	rig_hear_have(rig, session, chain, size);
	frame = rig_sent(rig, session, SAUTI__FRAME__BODY_FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, first);
	rig_hear_batch(rig, session, chain,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = first,
			.count = size - first,
			.target = size,
			.note = true});
	rig_written(rig, OK);
	/* A node does not cosign its own logs, of whatever epoch. */
	if (strncmp(chain->origin.text, NETWORK "/ben/", strlen(NETWORK "/ben/")) != 0)
		rig_signed(rig, OK);
	assert_int_equal(rig->sign_count, 0);
	assert_true(rig_log(rig, &chain->origin, &log));
	assert_int_equal(log.size, size);
}

bool rig_log(const struct rig *rig, const struct origin *origin, struct engine_log *ret)
{
	size_t position;

	return engine_log_find(rig->engine, bytes_str(origin->text), ret, &position);
}
