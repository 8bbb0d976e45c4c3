/*
 * Opening everything, in order: configuration, trust anchor, identity, store, engine, threads,
 * surfaces. Whatever fails names what and where; what was opened is released by runtime_free.
 */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "certs/keystore.h"
#include "server/control/control.h"
#include "server/crash.h"
#include "server/internal.h"
#include "server/locking.h"
#include "server/log.h"
#include "server/mail.h"
#include "server/safe.h"

enum { HANDSHAKE_MS = 10 * 1000 }; /* DESIGN 11: strangers */

static enum err load_certificates(struct runtime *rt, struct errctx *ctx)
{
	struct buf pem;
	struct certificate_info info;
	enum err err;

	buf_init(&pem, 4 * LIMIT_CERTIFICATE_SIZE);
	err = files_read(rt->paths.root, LIMIT_CERTIFICATE_SIZE, &pem, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 0, &rt->root_certificate, ctx);
	buf_clear(&pem);
	if (err == OK)
		err = files_read(rt->paths.chain, 2 * LIMIT_CERTIFICATE_SIZE, &pem, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 0, &rt->node_certificate, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 1, &rt->issuing_certificate, ctx);
	if (err == OK)
		err = certificate_read(buf_bytes(&rt->node_certificate), &info, ctx);
	if (err == OK && strcmp(info.name, rt->node) != 0)
		err = err_set(ctx, ERR_INVALID, "'%s' names '%s', the configuration '%s'",
			rt->paths.chain, info.name, rt->node);
	buf_release(&pem);
	return err;
}

/* What the configuration names; headquarters speaks the join protocol besides. */
static void list_alpns(const struct runtime *rt, const char **ret)
{
	const struct member *self = directory_find(rt->genesis.directory, bytes_str(rt->node));
	size_t count = 0;

	while (count < CONFIG_ALPN_MAX && rt->config.alpn[count][0] != '\0') {
		ret[count] = rt->config.alpn[count];
		count++;
	}
	if (self != NULL && self->role == ROLE_HQ)
		ret[count++] = TLS_ALPN_JOIN;
	ret[count] = NULL;
}

static enum err load_identity(struct runtime *rt, struct errctx *ctx)
{
	const char *alpns[CONFIG_ALPN_MAX + 2];
	struct boot_keys boot = {0};
	struct buf file;

	list_alpns(rt, alpns);
	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	enum err err = files_read_private(rt->paths.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);

	if (err == OK)
		err = boot_keys_read(buf_bytes(&file), &boot, ctx);
	buf_wipe(&file);
	if (err == OK && (strcmp(boot.node, rt->node) != 0 ||
				 strcmp(boot.network, rt->genesis.network) != 0))
		err = err_set(ctx, ERR_INVALID, "'%s' holds the keys of '%s' in '%s'",
			rt->paths.boot, boot.node, boot.network);
	memcpy(rt->first_log.text, boot.log_origin, sizeof(boot.log_origin));
	if (err == OK)
		err = signer_new(secret_bytes(&boot.mirror_seed), &rt->mirror);
	if (err == OK)
		err = signer_new(secret_bytes(&boot.witness_seed), &rt->witness);
	if (err == OK)
		err = load_certificates(rt, ctx);
	if (err == OK) {
		struct tls_opts opts = {
			.key = secret_bytes(&boot.tls_key),
			.chain = {buf_bytes(&rt->node_certificate),
				buf_bytes(&rt->issuing_certificate)},
			.root = buf_bytes(&rt->root_certificate),
			.alpns = alpns,
			.judge = session_judge,
			.judge_arg = rt,
		};

		err = tls_context_new(&opts, &rt->tls, ctx);
	}
	boot_keys_release(&boot);
	return err;
}

/* Says at once what the operator must know; status goes on saying it. */
static void report_guard(const struct runtime *rt)
{
	const char *why = rt->guard_state.why;

	switch (rt->guard_state.verdict) {
	case GUARD_NEW:
	case GUARD_SAME:
		break;
	case GUARD_ROLLED:
		log_line(LOG_WARNING,
			"guard: %s; what is missing is fetched again, and cosigned only then", why);
		break;
	case GUARD_BEHIND:
	case GUARD_STOPPED:
		log_line(LOG_ALARM,
			"guard: %s: nothing can be recorded until this is settled; see "
			"'sauti status'",
			why);
		break;
	case GUARD_OTHER:
		log_line(LOG_ALARM,
			"guard: %s: the old log is not continued; the next unlock opens "
			"a new one",
			why);
		break;
	}
}

/* The first unlock makes the keyring, and opens the node's log. */
static bool was_unlocked(const struct runtime *rt)
{
	char path[PATH_MAX];

	return files_join(rt->paths.keyring, "data.mdb", path, NULL) == OK &&
	       access(path, F_OK) == 0;
}

/* What was put back, or is at work elsewhere too, may lack what the witness key has signed: then
 * that key is used no more, whatever comes back from others. */
static enum err witness_judge(struct runtime *rt, struct errctx *ctx)
{
	enum guard_verdict verdict = rt->guard_state.verdict;
	const struct ed25519_public *key = signer_public(rt->witness);
	struct store_marks marks;

	TRY(store_marks(rt->store, &marks, ctx));
	rt->witness_lost =
		(verdict != GUARD_NEW && verdict != GUARD_SAME) || rt->guard_state.paused ||
		(marks.witness_lost &&
			(!marks.witness_named || memcmp(&marks.witness, key, sizeof(*key)) == 0));
	if (rt->witness_lost)
		log_line(LOG_WARNING, "%s", witness_lost_text);
	return OK;
}

static enum err open_guard(struct runtime *rt, struct errctx *ctx)
{
	const struct member *self = directory_find(rt->genesis.directory, bytes_str(rt->node));
	struct guard_opts opts = {
		.path = rt->paths.guard,
		.network = rt->genesis.network,
		.node = rt->node,
		.directory = self != NULL && self->role == ROLE_HQ ? rt->genesis.origin.text : "",
	};
	struct guard_record record;
	struct errctx why = {""};

	opts.used = was_unlocked(rt);
	TRY(guard_open(&opts, &rt->guard, ctx));
	TRY(guard_check(rt->guard, rt->store, &rt->guard_state.verdict, &why, ctx));
	snprintf(rt->guard_state.why, sizeof(rt->guard_state.why), "%.*s", GUARD_WHY_MAX, why.text);
	rt->guard_state.paused = rt->guard_state.verdict == GUARD_ROLLED ||
				 rt->guard_state.verdict == GUARD_BEHIND ||
				 guard_commits_missing(rt->guard);
	rt->guard_state.directory_ended = guard_get(rt->guard, &record) && record.directory_ended;
	report_guard(rt);
	return witness_judge(rt, ctx);
}

static void no_wake(void *arg) {}

/* The first start after init or join: the directory comes from the genesis file, which was verified
 * when it was read. */
static enum err import_genesis(struct runtime *rt, struct errctx *ctx)
{
	struct writer_opts opts = {rt->store, rt->guard, no_wake, NULL};
	struct log_head head;
	struct writer *writer;
	struct store_write *write;
	enum err err = store_head(rt->store, &rt->genesis.origin, &head, ctx);

	if (err == OK) {
		log_head_release(&head);
		return OK;
	}
	if (err != ERR_NOTFOUND)
		return err;
	write = store_write_new(&rt->genesis.origin);
	if (write == NULL)
		return ERR_NOMEM;
	write->entries = entries_ref(rt->genesis.entries);
	buf_put(&write->checkpoint, buf_bytes(&rt->genesis.note));
	err = write->checkpoint.err;
	if (err == OK)
		err = writer_start(&opts, &writer, ctx);
	if (err != OK) {
		store_write_free(write);
		return err;
	}
	writer_submit(writer, write);
	writer_stop(writer);
	write = writer_done(writer, ctx);
	assert(write != NULL && write->next == NULL);
	err = write->result;
	store_write_free(write);
	writer_free(writer);
	return err;
}

static enum err load_directory(struct runtime *rt, struct errctx *ctx)
{
	struct log_head head;
	struct buf entry;
	enum err err = store_head(rt->store, &rt->genesis.origin, &head, ctx);

	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	for (uint64_t i = 0; err == OK && i < head.size; i++) {
		buf_clear(&entry);
		err = store_entry(rt->store, &rt->genesis.origin, i, &entry, ctx);
		if (err == OK)
			runtime_step(rt, &(struct event){.type = EVENT_DIRECTORY_LOADED,
						 .entry = buf_bytes(&entry)});
	}
	if (err == OK)
		log_head_release(&head);
	buf_release(&entry);
	return err;
}

static void timing(const struct config_timing *from, struct engine_timing *to)
{
	*to = engine_timing_default;
#define TAKE(name)                                                                                 \
	if (from->name != 0)                                                                       \
	to->name = from->name
	TAKE(hello_timeout);
	TAKE(idle_ping);
	TAKE(idle_close);
	TAKE(metered_ping);
	TAKE(metered_close);
	TAKE(dial_min);
	TAKE(dial_max);
	TAKE(have_delay);
	TAKE(cosigned_delay);
	TAKE(fetch_timeout);
#undef TAKE
}

/* What the engine has fetched again. Of ranges in doubt nobody knows what should stand there. */
static enum err load_damage(struct runtime *rt, struct errctx *ctx)
{
	struct store_damage *list = NULL;
	size_t count = 0;

	if (!rt->damaged)
		return OK;
	TRY(store_damage_list(rt->store, &list, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		struct store_mark mark = {list[i].index, list[i].expected};

		if (list[i].known)
			runtime_step(rt, &(struct event){.type = EVENT_DAMAGED,
						 .origin = &list[i].origin,
						 .mark = &mark});
	}
	mem_free(list);
	return OK;
}

/* Which log the engine takes for this node's own. */
static void own_log(const struct runtime *rt, struct engine_opts *opts)
{
	struct guard_record record;
	const struct guard_log *own =
		guard_get(rt->guard, &record) ? guard_record_own(&record) : NULL;

	if (rt->guard_state.verdict == GUARD_BEHIND || rt->guard_state.verdict == GUARD_OTHER) {
		opts->own = OWN_NONE;
	} else if (own != NULL) {
		opts->own = OWN_LOG;
		opts->own_log = own->origin;
	} else if (rt->first_log.text[0] != '\0') {
		/* Others show logs of this name before the first unlock: the former machine's. */
		opts->own = OWN_LOG;
		opts->own_log = rt->first_log;
	}
}

/* Before the logs: what is frozen is so from the start. */
static enum err load_evidence(struct runtime *rt, struct errctx *ctx)
{
	struct store_evidence *list = NULL;
	size_t count = 0, damaged = 0;

	TRY(store_evidence_list(rt->store, &list, &count, &damaged, ctx));
	for (size_t i = 0; i < count; i++)
		runtime_step(rt, &(struct event){.type = EVENT_EVIDENCE_LOADED,
					 .entry = buf_bytes(&list[i].message)});
	store_evidence_free(list, count);
	if (damaged > 0)
		log_line(LOG_ALARM, "%zu stored evidences of forks are damaged; see sautid --fsck",
			damaged);
	return OK;
}

static enum err load_dispute(void *arg, struct bytes record)
{
	runtime_step(arg, &(struct event){.type = EVENT_DISPUTE_LOADED, .entry = record});
	return OK;
}

/* Behind the directory, whose keys vouch for them. */
static enum err load_disputes(struct runtime *rt, struct errctx *ctx)
{
	size_t damaged = 0;

	TRY(store_disputes(rt->store, load_dispute, rt, &damaged, ctx));
	if (damaged > 0)
		log_line(LOG_ALARM, "%zu stored disputes are damaged; see sautid --fsck", damaged);
	return OK;
}

static enum err start_engine(struct runtime *rt, struct errctx *ctx)
{
	const struct member *self = directory_find(rt->genesis.directory, bytes_str(rt->node));
	struct log_head *heads = NULL;
	struct rate_link link;
	size_t count = 0;
	struct engine_opts opts = {
		.network = rt->genesis.network,
		.node = rt->node,
		.directory = rt->genesis.origin,
		.directory_key = rt->genesis.key,
		.mirror = *signer_public(rt->mirror),
		.directory_own =
			self != NULL && self->role == ROLE_HQ && guard_directory_ok(rt->guard),
		.cosigning_paused = rt->guard_state.paused,
		.witness_lost = rt->witness_lost,
		.daily_bytes = rt->config.daily_bytes,
	};

	config_link(&rt->config, NULL, &link);
	opts.link = &link;
	own_log(rt, &opts);
	timing(&rt->config.timing, &opts.timing);
	TRY(random_bytes((uint8_t *)&opts.seed, sizeof(opts.seed)));
	TRY(engine_new(&opts, &rt->engine));
	safe_start(rt);
	TRY(load_evidence(rt, ctx));
	TRY(store_heads(rt->store, &heads, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		runtime_step(rt, &(struct event){.type = EVENT_LOG_LOADED, .head = &heads[i]});
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	TRY(load_directory(rt, ctx));
	TRY(load_disputes(rt, ctx));
	return load_damage(rt, ctx);
}

static enum err start_peers(struct runtime *rt, struct errctx *ctx)
{
	rt->peers = mem_array(LIMIT_PEERS, sizeof(*rt->peers));
	if (rt->peers == NULL)
		return ERR_NOMEM;
	TRY(config_proxy_credentials(&rt->config, &rt->proxy_credentials, ctx));
	for (size_t i = 0; i < rt->config.peer_count; i++) {
		const struct config_peer *peer = &rt->config.peers[i];
		struct peer_state *state = peer_state_add(rt, peer->name);

		state->address = peer->address;
		state->proxy = config_proxy(&rt->config, peer);
		if (config_peer_has_link(peer)) {
			struct rate_link link;

			config_link(&rt->config, peer, &link);
			runtime_step(rt,
				&(struct event){
					.type = EVENT_LINK, .peer = state->name, .link = &link});
		}
		if (peer->address[0] != '\0' && strcmp(peer->name, rt->node) != 0)
			runtime_step(rt, &(struct event){.type = EVENT_PEER, .peer = state->name});
	}
	addresses_start(rt);
	return OK;
}

static const char *country_of(const struct runtime *rt)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));

	return self == NULL ? "" : self->country;
}

static enum err start_threads(struct runtime *rt, struct errctx *ctx)
{
	struct vault_opts vault = {
		.store = rt->store,
		.guard = rt->guard,
		.keystore = rt->paths.keystore,
		.keyring = rt->paths.keyring,
		.drafts = rt->paths.drafts,
		.network = rt->genesis.network,
		.node = rt->node,
		.country = country_of(rt),
		.compression = rt->config.compression,
		.wake = runtime_wake,
		.wake_arg = &rt->vault_async,
	};

	struct writer_opts writer = {rt->store, rt->guard, runtime_wake, &rt->writer_async};

	TRY(writer_start(&writer, &rt->writer, ctx));
	if (rt->witness_lost)
		writer_witness_lost(rt->writer, signer_public(rt->witness));
	return vault_start(&vault, &rt->vault, ctx);
}

static enum err start_control(struct runtime *rt, struct errctx *ctx)
{
	struct control_opts control = {.path = rt->paths.socket};
	struct control_opts public = {
		.path = rt->config.public_socket, .public = true, .group = rt->config.public_group};

	TRY(control_server_new(rt, &control, &rt->control, ctx));
	if (public.path[0] == '\0')
		return OK;
	return control_server_new(rt, &public, &rt->public, ctx);
}

static enum err start_surfaces(struct runtime *rt, struct errctx *ctx)
{
	struct net_opts opts = {
		.loop = &rt->loop,
		.tls = rt->tls,
		.handshake_ms = HANDSHAKE_MS,
		.congestion_system = rt->config.congestion_system,
		.events = session_events,
		.arg = rt,
	};

	TRY(locking_start(rt, ctx));
	TRY(officers_boot(rt));
	TRY(net_new(&opts, &rt->net));
	if (rt->config.listen[0] != '\0')
		TRY(net_listen(rt->net, rt->config.listen, &rt->port, ctx));
	return start_control(rt, ctx);
}

/* The beginning and the end of each step, not what is between. */
static enum err tell_upgrade(void *arg, const struct migrate_progress *progress, struct errctx *ctx)
{
	const struct migrate_step *step = progress->step;

	if (progress->done)
		log_line(
			LOG_INFO, "upgraded '%s' to format %u", progress->path, (unsigned)step->to);
	else if (progress->transactions == 0)
		log_line(LOG_INFO,
			"upgrading '%s' from format %u to %u: %s. An older Sauti cannot open it "
			"any more; going back needs the backup from before the upgrade",
			progress->path, (unsigned)step->from, (unsigned)step->to, step->name);
	return OK;
}

/* What a repair left to be fetched again is said at every start. */
static enum err look_for_damage(struct runtime *rt, struct errctx *ctx)
{
	struct store_damage *list = NULL;
	size_t count = 0;
	uint64_t entries = 0;

	TRY(store_damage_list(rt->store, &list, &count, ctx));
	for (size_t i = 0; i < count; i++)
		entries += list[i].count;
	if (count > 0) {
		rt->damaged = true;
		rt->damaged_left = entries;
		log_line(LOG_ALARM,
			"%llu entries are damaged and to be fetched again, the first %llu of '%s'; "
			"they are not given out",
			(unsigned long long)entries, (unsigned long long)list[0].index,
			list[0].origin.text);
	}
	mem_free(list);
	return OK;
}

static enum err start_store(struct runtime *rt, const struct store_opts *opts, struct errctx *ctx)
{
	TRY(store_open(opts, &rt->store, ctx));
	TRY(look_for_damage(rt, ctx));
	TRY(open_guard(rt, ctx));
	TRY(import_genesis(rt, ctx));
	return start_engine(rt, ctx);
}

enum err boot(struct runtime *rt, const char *config_file, struct errctx *ctx)
{
	TRY(config_load(config_file, &rt->config, ctx));
	TRY(config_paths(&rt->config, &rt->paths, ctx));
	snprintf(rt->node, sizeof(rt->node), "%s", rt->config.name);
	TRY(genesis_load(rt->paths.genesis, &rt->genesis, ctx));
	if (rt->config.network[0] != '\0' && strcmp(rt->config.network, rt->genesis.network) != 0)
		return err_set(ctx, ERR_INVALID, "%s is of network '%s', the configuration of '%s'",
			rt->paths.genesis, rt->genesis.network, rt->config.network);
	TRY(safe_boot(rt, ctx));
	TRY(load_identity(rt, ctx));
	struct store_opts store = {
		.path = rt->paths.store,
		.network = rt->genesis.network,
		.node = rt->node,
		.map_size = (size_t)rt->config.map_size,
		.reserve = rt->config.reserve,
		.watch = {.progress = tell_upgrade},
	};

	crash_install(rt->paths.store, config_file);

	enum err err = start_store(rt, &store, ctx);

	if (err == ERR_CORRUPT) {
		struct errctx said = *ctx;

		err_set(ctx, err, "%.320s; what to do: run  sautid --fsck --config '%.120s'",
			err_message(&said, err), config_file);
	}
	TRY(err);
	TRY(mail_boot(rt, ctx));
	TRY(start_threads(rt, ctx));
	TRY(start_surfaces(rt, ctx));
	return start_peers(rt, ctx);
}
