#include "server/officers/sessions.h"

#include "base/alloc.h"
#include "base/crypto.h"

enum { SESSIONS_MAX = LIMIT_SESSIONS };

struct slot {
	struct hash hash; /* of the token */
	struct officer_session session;
};

struct sessions {
	struct sessions_opts opts;
	struct slot slots[SESSIONS_MAX]; /* the first `count` are in use */
	size_t count;
};

enum err sessions_new(const struct sessions_opts *opts, struct sessions **ret)
{
	struct sessions *sessions = mem_zalloc(sizeof(*sessions));

	if (sessions == NULL)
		return ERR_NOMEM;
	sessions->opts = *opts;
	*ret = sessions;
	return OK;
}

void sessions_free(struct sessions *sessions)
{
	if (sessions == NULL)
		return;
	wipe(sessions, sizeof(*sessions));
	mem_free(sessions);
}

static void slot_remove(struct sessions *sessions, size_t at)
{
	sessions->slots[at] = sessions->slots[--sessions->count];
	wipe(&sessions->slots[sessions->count], sizeof(sessions->slots[0]));
}

/* After what may have ended sessions; the table is in order, whatever the hook does. */
static void tell_if_last(struct sessions *sessions, size_t count_before)
{
	if (count_before > 0 && sessions->count == 0 && sessions->opts.last_ended != NULL)
		sessions->opts.last_ended(sessions->opts.arg);
}

/* When a session is over. */
static uint64_t end_ms(const struct sessions *sessions, const struct officer_session *session)
{
	uint64_t idle = session->used_ms + sessions->opts.idle_ms;
	uint64_t absolute = session->since_ms + sessions->opts.absolute_ms;

	return idle < absolute ? idle : absolute;
}

uint64_t sessions_expire(struct sessions *sessions, uint64_t now_ms)
{
	size_t before = sessions->count;
	uint64_t next = UINT64_MAX;

	for (size_t i = sessions->count; i > 0; i--) {
		uint64_t end = end_ms(sessions, &sessions->slots[i - 1].session);

		if (end <= now_ms)
			slot_remove(sessions, i - 1);
		else if (end < next)
			next = end;
	}
	tell_if_last(sessions, before);
	return sessions->count == 0 ? 0 : next - now_ms;
}

/* An officer who never logs out makes room for nobody's loss but their own. */
static void make_room(struct sessions *sessions, const char *name)
{
	size_t count = 0, oldest = 0;

	for (size_t i = 0; i < sessions->count; i++) {
		if (strcmp(sessions->slots[i].session.name, name) != 0)
			continue;
		if (count == 0 || sessions->slots[i].session.used_ms <
					  sessions->slots[oldest].session.used_ms)
			oldest = i;
		count++;
	}
	if (count == LIMIT_OFFICER_SESSIONS)
		slot_remove(sessions, oldest);
}

enum err sessions_begin(struct sessions *sessions, const char *name, uint32_t roles,
	uint64_t now_ms, uint64_t wall_s, uint8_t ret_token[SESSION_TOKEN_SIZE])
{
	uint8_t token[SESSION_TOKEN_SIZE];
	struct slot *slot;

	TRY(random_bytes(token, sizeof(token)));
	make_room(sessions, name);
	if (sessions->count == SESSIONS_MAX) /* more officers than the keystore has slots */
		return ERR_LIMIT;
	slot = &sessions->slots[sessions->count++];
	*slot = (struct slot){
		.session = {
			.roles = roles, .since_ms = now_ms, .used_ms = now_ms, .since_s = wall_s}};
	strncpy(slot->session.name, name, LIMIT_OFFICER_NAME);
	sha256(BYTES_ARRAY(token), &slot->hash);
	memcpy(ret_token, token, sizeof(token));
	wipe(token, sizeof(token));
	return OK;
}

/* SESSIONS_MAX: none. Which one it is does not show in the time it takes. */
static size_t find(const struct sessions *sessions, struct bytes token)
{
	size_t found = SESSIONS_MAX;
	struct hash hash;

	if (token.size != SESSION_TOKEN_SIZE)
		return SESSIONS_MAX;
	sha256(token, &hash);
	for (size_t i = 0; i < sessions->count; i++)
		if (equal_secret(hash_bytes(&sessions->slots[i].hash), hash_bytes(&hash)))
			found = i;
	return found;
}

const struct officer_session *sessions_find(
	struct sessions *sessions, struct bytes token, uint64_t now_ms, bool use)
{
	size_t at;

	(void)sessions_expire(sessions, now_ms);
	at = find(sessions, token);
	if (at == SESSIONS_MAX)
		return NULL;
	if (use)
		sessions->slots[at].session.used_ms = now_ms;
	return &sessions->slots[at].session;
}

void sessions_end(struct sessions *sessions, struct bytes token)
{
	size_t before = sessions->count, at = find(sessions, token);

	if (at != SESSIONS_MAX)
		slot_remove(sessions, at);
	tell_if_last(sessions, before);
}

void sessions_end_officer(struct sessions *sessions, const char *name)
{
	size_t before = sessions->count;

	for (size_t i = sessions->count; i > 0; i--)
		if (strcmp(sessions->slots[i - 1].session.name, name) == 0)
			slot_remove(sessions, i - 1);
	tell_if_last(sessions, before);
}

void sessions_end_all(struct sessions *sessions)
{
	while (sessions != NULL && sessions->count > 0)
		slot_remove(sessions, sessions->count - 1);
}

const struct officer_session *sessions_at(const struct sessions *sessions, size_t n)
{
	return n < sessions->count ? &sessions->slots[n].session : NULL;
}
