#include "replication/log/tlog_policy.h"

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"

enum { WORDS_MAX = LIMIT_POLICY_ITEMS + 3, NOBODY = -1 };

/* A witness or a group; both can be members, and the quorum. */
struct party {
	struct bytes name; /* a view of policy->text */
	struct note_key key;
	bool group;
	size_t needed;
	int member_of; /* the party that lists it; NOBODY */
};

struct tlog_policy {
	struct buf text;
	struct note_key logs[LIMIT_POLICY_ITEMS];
	size_t log_count;
	struct party parties[2 * LIMIT_POLICY_ITEMS];
	size_t party_count, witness_count;
	bool has_quorum;
	int quorum; /* NOBODY: none */
};

/* --- reading --- */

struct line {
	size_t number;
	struct bytes words[WORDS_MAX];
	size_t count;
	struct errctx *ctx;
};

static enum err bad(const struct line *line, enum err err, const char *what)
{
	return err_set(line->ctx, err, "line %zu: %s", line->number, what);
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static enum err split(struct bytes text, struct line *line)
{
	size_t at = 0;

	line->count = 0;
	for (size_t i = 0; i < text.size; i++)
		if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
			return bad(line, ERR_MALFORMED, "a control character");
	while (at < text.size) {
		size_t end = at;

		while (end < text.size && !blank(text.data[end]))
			end++;
		if (end > at && line->count == 0 && text.data[at] == '#')
			return OK;
		if (end > at && line->count == WORDS_MAX)
			return bad(line, ERR_LIMIT, "too many words");
		if (end > at)
			line->words[line->count++] = bytes_make(text.data + at, end - at);
		at = end + 1;
	}
	return OK;
}

static int party_find(const struct tlog_policy *policy, struct bytes name)
{
	for (size_t i = 0; i < policy->party_count; i++)
		if (bytes_equal(policy->parties[i].name, name))
			return (int)i;
	return NOBODY;
}

static enum err key_read(
	const struct line *line, struct bytes vkey, enum note_type type, struct note_key *ret)
{
	enum err err = note_key_parse(vkey, ret);

	if (err == ERR_NOMEM)
		return err;
	if (err == ERR_UNSUPPORTED)
		return bad(line, err, "a verifier key of a type that is not known here");
	if (err != OK || ret->type != type)
		return bad(line, ERR_MALFORMED,
			type == NOTE_ED25519 ? "no verifier key of a log"
					     : "no verifier key of a cosigner");
	return OK;
}

static bool same_key(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->key.b, b->key.b, sizeof(a->key.b)) == 0;
}

static enum err read_log(struct tlog_policy *policy, const struct line *line)
{
	struct note_key *key = &policy->logs[policy->log_count];

	if (line->count != 2 && line->count != 3)
		return bad(line, ERR_MALFORMED, "log KEY [URL] is expected");
	if (policy->log_count == LIMIT_POLICY_ITEMS)
		return bad(line, ERR_LIMIT, "too many logs");
	TRY(key_read(line, line->words[1], NOTE_ED25519, key));
	for (size_t i = 0; i < policy->log_count; i++)
		if (same_key(&policy->logs[i], key))
			return bad(line, ERR_MALFORMED, "that key is there already");
	policy->log_count++;
	return OK;
}

static enum err name_new(const struct tlog_policy *policy, const struct line *line)
{
	struct bytes name = line->words[1];

	if (bytes_equal_str(name, "none") || party_find(policy, name) != NOBODY)
		return bad(line, ERR_MALFORMED, "that name is taken");
	return OK;
}

static enum err read_witness(struct tlog_policy *policy, const struct line *line)
{
	struct party *party = &policy->parties[policy->party_count];

	if (line->count != 3 && line->count != 4)
		return bad(line, ERR_MALFORMED, "witness NAME KEY [URL] is expected");
	TRY(name_new(policy, line));
	if (policy->witness_count == LIMIT_POLICY_ITEMS)
		return bad(line, ERR_LIMIT, "too many witnesses");
	TRY(key_read(line, line->words[2], NOTE_COSIGNATURE, &party->key));
	for (size_t i = 0; i < policy->party_count; i++)
		if (!policy->parties[i].group && same_key(&policy->parties[i].key, &party->key))
			return bad(line, ERR_MALFORMED, "that key is there already");
	party->name = line->words[1];
	party->member_of = NOBODY;
	policy->party_count++;
	policy->witness_count++;
	return OK;
}

static enum err group_needed(const struct line *line, size_t *ret)
{
	struct bytes how = line->words[2];
	size_t members = line->count - 3;
	uint64_t k = 0;

	if (bytes_equal_str(how, "all")) {
		*ret = members;
		return OK;
	}
	if (bytes_equal_str(how, "any")) {
		*ret = 1;
		return OK;
	}
	if (decimal_parse(how, members, &k) != OK || k == 0)
		return bad(line, ERR_MALFORMED,
			"all, any, or a number from 1 to that of the members is expected");
	*ret = (size_t)k;
	return OK;
}

static enum err read_group(struct tlog_policy *policy, const struct line *line)
{
	struct party *party = &policy->parties[policy->party_count];

	if (line->count < 4)
		return bad(line, ERR_MALFORMED, "group NAME all|any|K MEMBER.. is expected");
	TRY(name_new(policy, line));
	if (policy->party_count - policy->witness_count == LIMIT_POLICY_ITEMS)
		return bad(line, ERR_LIMIT, "too many groups");
	TRY(group_needed(line, &party->needed));
	for (size_t i = 3; i < line->count; i++) {
		int member = party_find(policy, line->words[i]);

		if (member == NOBODY)
			return bad(line, ERR_MALFORMED, "a member that is not defined before");
		if (policy->parties[member].member_of != NOBODY)
			return bad(line, ERR_MALFORMED, "a member of two groups, or twice of one");
		policy->parties[member].member_of = (int)policy->party_count;
	}
	party->name = line->words[1];
	party->group = true;
	party->member_of = NOBODY;
	policy->party_count++;
	return OK;
}

static enum err read_quorum(struct tlog_policy *policy, const struct line *line)
{
	if (line->count != 2)
		return bad(line, ERR_MALFORMED, "quorum NAME is expected");
	if (policy->has_quorum)
		return bad(line, ERR_MALFORMED, "a second quorum");
	policy->has_quorum = true;
	policy->quorum = party_find(policy, line->words[1]);
	if (policy->quorum == NOBODY && !bytes_equal_str(line->words[1], "none"))
		return bad(line, ERR_MALFORMED, "a quorum that is not defined before");
	return OK;
}

static enum err read_line(struct tlog_policy *policy, const struct line *line)
{
	if (line->count == 0)
		return OK;
	if (bytes_equal_str(line->words[0], "log"))
		return read_log(policy, line);
	if (bytes_equal_str(line->words[0], "witness"))
		return read_witness(policy, line);
	if (bytes_equal_str(line->words[0], "group"))
		return read_group(policy, line);
	if (bytes_equal_str(line->words[0], "quorum"))
		return read_quorum(policy, line);
	return bad(line, ERR_MALFORMED, "log, witness, group or quorum is expected");
}

static enum err read_lines(struct tlog_policy *policy, struct errctx *ctx)
{
	struct cursor rest = cursor_make(buf_bytes(&policy->text));
	struct line line = {.ctx = ctx};

	while (rest.rest.size > 0) {
		struct bytes text = cursor_until(&rest, '\n');

		line.number++;
		if (rest.err != OK)
			return bad(&line, ERR_MALFORMED, "the last line has no end");
		TRY(split(text, &line));
		TRY(read_line(policy, &line));
	}
	return policy->has_quorum ? OK : err_set(ctx, ERR_MALFORMED, "no quorum");
}

static enum err tlog_policy_new(struct tlog_policy **ret)
{
	struct tlog_policy *policy = mem_zalloc(sizeof(*policy));

	if (policy == NULL)
		return ERR_NOMEM;
	buf_init(&policy->text, LIMIT_POLICY_SIZE);
	policy->quorum = NOBODY;
	*ret = policy;
	return OK;
}

enum err tlog_policy_parse(struct bytes text, struct tlog_policy **ret, struct errctx *ctx)
{
	struct tlog_policy *policy;
	enum err err;

	if (text.size > LIMIT_POLICY_SIZE)
		return err_set(ctx, ERR_LIMIT, "over %d bytes", LIMIT_POLICY_SIZE);
	TRY(tlog_policy_new(&policy));
	buf_put(&policy->text, text);
	err = policy->text.err;
	if (err == OK)
		err = read_lines(policy, ctx);
	if (err != OK) {
		tlog_policy_free(policy);
		return err;
	}
	*ret = policy;
	return OK;
}

enum err tlog_policy_of_log(
	const struct note_key *log, struct tlog_policy **ret, struct errctx *ctx)
{
	struct tlog_policy *policy;

	if (log->type != NOTE_ED25519)
		return err_set(ctx, ERR_MALFORMED, "no verifier key of a log");
	TRY(tlog_policy_new(&policy));
	policy->logs[policy->log_count++] = *log;
	*ret = policy;
	return OK;
}

void tlog_policy_free(struct tlog_policy *policy)
{
	if (policy == NULL)
		return;
	buf_release(&policy->text);
	mem_free(policy);
}

/* --- judging --- */

const struct note_key *tlog_policy_log(const struct tlog_policy *policy, const char *origin)
{
	for (size_t i = 0; i < policy->log_count; i++)
		if (strcmp(policy->logs[i].name, origin) == 0)
			return &policy->logs[i];
	return NULL;
}

const struct note_key *tlog_policy_log_at(const struct tlog_policy *policy, size_t position)
{
	return position < policy->log_count ? &policy->logs[position] : NULL;
}

static int witness_of(const struct tlog_policy *policy, const struct note_line *line)
{
	for (size_t i = 0; i < policy->party_count; i++) {
		const struct party *party = &policy->parties[i];

		if (!party->group && party->key.id == line->id &&
			bytes_equal_str(line->name, party->key.name))
			return (int)i;
	}
	return NOBODY;
}

/* Members stand before their groups. */
static bool quorum_met(const struct tlog_policy *policy, const bool *cosigned)
{
	size_t counts[2 * LIMIT_POLICY_ITEMS] = {0};
	bool met = policy->quorum == NOBODY;

	for (size_t i = 0; i < policy->party_count; i++) {
		const struct party *party = &policy->parties[i];
		bool yes = party->group ? counts[i] >= party->needed : cosigned[i];

		if (yes && party->member_of != NOBODY)
			counts[party->member_of]++;
		if (yes && (int)i == policy->quorum)
			met = true;
	}
	return met;
}

static enum err judge_lines(const struct tlog_policy *policy, const struct note *note,
	struct tlog_judgement *judgement, bool *cosigned)
{
	struct tlog_verdict *verdict = &judgement->verdict;

	for (size_t i = 0; i < note->count; i++) {
		const struct note_line *line = &note->lines[i];
		int at = witness_of(policy, line);
		uint64_t time_s = 0;
		enum err err;

		if (at == NOBODY) {
			verdict->unknown += line->id != verdict->log->id ||
					    !bytes_equal_str(line->name, verdict->log->name);
			continue;
		}
		err = cosignature_verify(line, note->text, &policy->parties[at].key, &time_s);
		if (err == ERR_NOMEM)
			return err;
		if (err != OK) {
			if (judgement->bad++ == 0)
				judgement->first_bad = policy->parties[at].key.name;
			continue;
		}
		if (cosigned[at])
			continue;
		cosigned[at] = true;
		verdict->cosigners[verdict->count++] =
			(struct tlog_cosigner){policy->parties[at].key.name, time_s};
	}
	return OK;
}

enum err tlog_policy_judge(const struct tlog_policy *policy, const struct note_key *log,
	struct bytes data, struct tlog_judgement *ret, struct errctx *ctx)
{
	bool cosigned[2 * LIMIT_POLICY_ITEMS] = {false};
	struct tlog_judgement judgement = {.bad = 0};
	struct tlog_verdict *verdict = &judgement.verdict;
	struct note note;

	TRY(checkpoint_peek(data, &verdict->checkpoint, ctx));
	verdict->log = log != NULL ? log : tlog_policy_log(policy, verdict->checkpoint.origin.text);
	if (verdict->log == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "of log '%s', whose key was not given",
			verdict->checkpoint.origin.text);
	TRY(checkpoint_open(data, verdict->log, &verdict->checkpoint, NULL, ctx));
	TRY(note_parse(data, &note, ctx));
	TRY(judge_lines(policy, &note, &judgement, cosigned));
	judgement.quorum = quorum_met(policy, cosigned);
	*ret = judgement;
	return OK;
}

enum err tlog_policy_check(const struct tlog_policy *policy, struct bytes data,
	struct tlog_verdict *ret, struct errctx *ctx)
{
	struct tlog_judgement judgement;

	TRY(tlog_policy_judge(policy, NULL, data, &judgement, ctx));
	if (judgement.bad > 0)
		return err_set(ctx, ERR_UNTRUSTED, "the cosignature of '%s' does not verify",
			judgement.first_bad);
	if (!judgement.quorum)
		return err_set(ctx, ERR_UNTRUSTED,
			"the quorum of the policy has not cosigned it, only %zu of those that it "
			"lists",
			judgement.verdict.count);
	*ret = judgement.verdict;
	return OK;
}

/* --- how far a quorum reaches --- */

bool tlog_tally_add(const struct tlog_policy *policy, struct tlog_tally *tally,
	const struct note_key *key, uint64_t size)
{
	for (size_t i = 0; i < policy->party_count; i++) {
		const struct party *party = &policy->parties[i];

		if (party->group || party->key.type != key->type || party->key.id != key->id ||
			!same_key(&party->key, key) || strcmp(party->key.name, key->name) != 0)
			continue;
		if (size > tally->sizes[i])
			tally->sizes[i] = size;
		return true;
	}
	return false;
}

/* The needed-th largest of what the members of a group reach: every smaller checkpoint is covered
 * by as many of them. */
static uint64_t group_reach(
	const struct tlog_policy *policy, size_t group, const uint64_t *reach, size_t needed)
{
	uint64_t largest = UINT64_MAX;
	size_t above = 0;

	/* From the largest down; several may reach as far. */
	while (above < needed) {
		uint64_t next = 0;
		size_t count = 0;

		for (size_t i = 0; i < group; i++) {
			if (policy->parties[i].member_of != (int)group)
				continue;
			if (above > 0 && reach[i] >= largest)
				continue;
			if (count == 0 || reach[i] > next) {
				next = reach[i];
				count = 1;
			} else if (reach[i] == next) {
				count++;
			}
		}
		largest = next;
		above += count;
	}
	return largest;
}

/* Members stand before their groups. */
uint64_t tlog_policy_reach(const struct tlog_policy *policy, const struct tlog_tally *tally)
{
	uint64_t reach[2 * LIMIT_POLICY_ITEMS];

	if (policy->quorum == NOBODY)
		return UINT64_MAX;
	for (size_t i = 0; i <= (size_t)policy->quorum; i++) {
		const struct party *party = &policy->parties[i];

		reach[i] = party->group ? group_reach(policy, i, reach, party->needed)
					: tally->sizes[i];
	}
	return reach[policy->quorum];
}

const struct note_key *tlog_policy_cosigner(
	const struct tlog_policy *policy, size_t n, bool *ret_counts)
{
	for (size_t i = 0; i < policy->party_count; i++) {
		int top = (int)i;

		if (policy->parties[i].group || n-- > 0)
			continue;
		while (policy->parties[top].member_of != NOBODY && top != policy->quorum)
			top = policy->parties[top].member_of;
		*ret_counts = top == policy->quorum;
		return &policy->parties[i].key;
	}
	return NULL;
}
