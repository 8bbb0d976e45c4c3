#include "replication/audit/finding.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

struct findings {
	struct finding *list; /* LIMIT_FINDINGS of them; proofs are the list's own copies */
	size_t count;
	uint64_t of[FINDING_VIOLATION + 1];
};

#define FINDING_ROW(kind, severity) {#kind, FINDING_##severity},
static const struct {
	const char *word;
	enum finding_severity severity;
} kinds[FINDING_KIND_COUNT] = {FINDING_KINDS(FINDING_ROW)};
#undef FINDING_ROW

void finding_kind_name(enum finding_kind kind, char ret[FINDING_NAME_SIZE])
{
	size_t i;

	for (i = 0; kinds[kind].word[i] != '\0' && i < FINDING_NAME_SIZE - 1; i++) {
		char c = kinds[kind].word[i];

		ret[i] = c == '_' ? '-' : (char)tolower((unsigned char)c);
	}
	ret[i] = '\0';
}

enum finding_severity finding_kind_severity(enum finding_kind kind)
{
	return kinds[kind].severity;
}

enum err findings_new(struct findings **ret)
{
	struct findings *findings = mem_zalloc(sizeof(*findings));

	if (findings == NULL)
		return ERR_NOMEM;
	findings->list = mem_array(LIMIT_FINDINGS, sizeof(*findings->list));
	if (findings->list == NULL) {
		mem_free(findings);
		return ERR_NOMEM;
	}
	*ret = findings;
	return OK;
}

static void release_proofs(struct finding *finding)
{
	for (size_t i = 0; i < finding->proof_count; i++)
		mem_free((void *)finding->proofs[i].data.data);
	finding->proof_count = 0;
}

void findings_free(struct findings *findings)
{
	if (findings == NULL)
		return;
	for (size_t i = 0; i < findings->count; i++)
		release_proofs(&findings->list[i]);
	mem_free(findings->list);
	mem_free(findings);
}

static enum err copy_proofs(struct finding *to, const struct finding *from)
{
	to->proof_count = 0;
	for (size_t i = 0; i < from->proof_count; i++) {
		const struct finding_proof *proof = &from->proofs[i];
		size_t size = proof->data.size;
		uint8_t *copy;

		if (size > LIMIT_FINDING_PROOF)
			size = LIMIT_FINDING_PROOF;
		copy = mem_alloc(size + 1);
		if (copy == NULL) {
			release_proofs(to);
			return ERR_NOMEM;
		}
		memcpy(copy, proof->data.data, size);
		to->proofs[to->proof_count++] =
			(struct finding_proof){proof->name, {copy, size}, size < proof->data.size};
	}
	return OK;
}

/* The last one that matters less, once there is no room. */
static size_t least(const struct findings *findings, enum finding_severity than)
{
	for (size_t i = findings->count; i-- > 0;)
		if (finding_kind_severity(findings->list[i].kind) < than)
			return i;
	return findings->count;
}

enum err findings_add(struct findings *findings, const struct finding *finding)
{
	enum finding_severity severity = finding_kind_severity(finding->kind);
	struct finding copy = *finding;
	size_t at = findings->count;

	if (at == LIMIT_FINDINGS)
		at = least(findings, severity);
	if (at < LIMIT_FINDINGS) {
		TRY(copy_proofs(&copy, finding));
		if (at < findings->count) {
			release_proofs(&findings->list[at]);
			memmove(&findings->list[at], &findings->list[at + 1],
				(findings->count - at - 1) * sizeof(*findings->list));
			findings->count--;
		}
		findings->list[findings->count++] = copy;
	}
	findings->of[severity]++;
	return OK;
}

size_t findings_count(const struct findings *findings)
{
	return findings->count;
}

const struct finding *findings_at(const struct findings *findings, size_t i)
{
	return &findings->list[i];
}

uint64_t findings_of(const struct findings *findings, enum finding_severity severity)
{
	return findings->of[severity];
}
