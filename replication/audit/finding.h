/*
 * finding: what an audit has found, with the bytes that prove it. Kinds have names that do not
 * change, so that programs can go by them.
 *
 * A list keeps LIMIT_FINDINGS of them and counts all; when it is full, what matters more takes the
 * place of what matters less.
 */
#ifndef REPLICATION_AUDIT_FINDING_H
#define REPLICATION_AUDIT_FINDING_H

#include "base/buf.h"
#include "replication/log/checkpoint.h"

enum finding_severity { FINDING_NOTE, FINDING_WARNING, FINDING_VIOLATION };

/* kind, severity. Its name in reports is the lower-case word: "entry-changed". */
#define FINDING_KINDS(X)                                                                           \
	X(ENTRY_CHANGED, VIOLATION)     /* an entry is not the one under the signed root */        \
	X(ENTRY_CUT, VIOLATION)         /* a file of entries ends too early, or says more */       \
	X(TILE_CHANGED, VIOLATION)      /* a tile is not what its entries make */                  \
	X(FILE_MISSING, VIOLATION)      /* a file that the checkpoint promises is not there */     \
	X(CHECKPOINT_BAD, VIOLATION)    /* malformed, of another log, or not signed by its key */  \
	X(ROOT_DIFFERS, VIOLATION)      /* the entries' root is not the signed one */              \
	X(QUORUM_MISSING, VIOLATION)    /* too few have cosigned */                                \
	X(COSIGNATURE_BAD, VIOLATION)   /* by somebody known, and it does not verify */            \
	X(COSIGNATURE_UNKNOWN, NOTE)    /* by nobody who is known: it counts for nothing */        \
	X(OPENED_BAD, VIOLATION)        /* index 0 is no LogOpened of this log */                  \
	X(KEY_NOT_ADMITTED, VIOLATION)  /* a key signed that the directory never admitted */       \
	X(BEFORE_ADMISSION, VIOLATION)  /* a key signed before it was admitted */                  \
	X(KEY_REVOKED, VIOLATION)       /* a key signed after its end */                           \
	X(BEYOND_REVOCATION, VIOLATION) /* a log goes on past where its author was cut off */      \
	X(LOG_MISSING, VIOLATION)       /* a member's log is not in the source */                  \
	X(EPOCH_GAP, VIOLATION)         /* a log names a previous one that is not there */         \
	X(ROLLBACK, VIOLATION)          /* smaller than at the last visit */                       \
	X(FORK, VIOLATION)              /* two histories under one key */                          \
	X(FROZEN, WARNING)              /* nothing new, not even a cosignature, for too long */    \
	X(EVIDENCE_HELD, VIOLATION)     /* the source holds proof of a fork */                     \
	X(EVIDENCE_BAD, WARNING)        /* .. which proves nothing */                              \
	X(DIRECTORY_ODD, VIOLATION)     /* a record of the directory breaks its rules */           \
	X(LEDGER_BAD, VIOLATION)        /* what the ledger shows is against the rules */           \
	X(LEDGER_OPEN, NOTE)            /* .. cannot be judged from what was disclosed */          \
	X(ERASURE_OPEN, WARNING)        /* ordered, and not every holder has said it is done */    \
	X(SOURCE_DAMAGED, WARNING)      /* of a bundle: what of it cannot be read as written */    \
	X(UNFINISHED, NOTE)             /* could not be looked at: a bundle without tiles, .. */

#define FINDING_ENUM(kind, severity) FINDING_##kind,
enum finding_kind { FINDING_KINDS(FINDING_ENUM) FINDING_KIND_COUNT };
#undef FINDING_ENUM

enum { FINDING_NAME_SIZE = 32 };
void finding_kind_name(enum finding_kind kind, char ret[FINDING_NAME_SIZE]); /* "entry-changed" */
enum finding_severity finding_kind_severity(enum finding_kind kind);

/* Bytes that prove something, with a name: "checkpoint", "remembered checkpoint", "entry", "tile",
 * "evidence". */
enum { FINDING_PROOFS = 4 };
struct finding_proof {
	const char *name; /* static */
	struct bytes data;
	bool cut; /* there was more of it */
};

struct finding {
	enum finding_kind kind;
	char origin[LIMIT_LOG_NAME + 1]; /* "": of no log */
	bool has_index;
	uint64_t index; /* the first bad one */
	char text[512]; /* a sentence */
	size_t proof_count;
	struct finding_proof proofs[FINDING_PROOFS];
};

struct findings;

/* ERR_NOMEM. */
enum err findings_new(struct findings **ret) MUST_USE;
void findings_free(struct findings *findings); /* NULL is fine */

/* Copies all of it, proofs too, each up to LIMIT_FINDING_PROOF bytes (then it is `cut`).
 * ERR_NOMEM. */
enum err findings_add(struct findings *findings, const struct finding *finding) MUST_USE;

size_t findings_count(const struct findings *findings); /* those that are kept */
const struct finding *findings_at(const struct findings *findings, size_t i);
/* All that were added of this severity, kept or not. */
uint64_t findings_of(const struct findings *findings, enum finding_severity severity);

#endif
