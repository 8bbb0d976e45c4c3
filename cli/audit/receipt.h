/*
 * receipt: 'sauti receipt check': is there, in the logs of a source, an item that six words open,
 * and does it name an entry that the log has? It is a run of the audit (cli/audit/log.h) that looks
 * for items on its way: every log is walked, and its signatures judged, as 'audit log' does.
 *
 *   receipt.c       the command: the words, the report, the proofs as files
 *   receipt_look.c  what takes part in the run, and what is said of each item that was found
 *
 * The words stay in this process. What is asked of a source is whole logs: whoever serves them does
 * not learn which receipt was looked for.
 */
#ifndef CLI_RECEIPT_H
#define CLI_RECEIPT_H

#include "cases/receipt/receipt_batch.h"
#include "cli/audit/log.h"

enum { RECEIPT_FOUND_MAX = 16, RECEIPT_ORDERS = 720 };

/* One item that has the tag of the words. */
enum receipt_verdict {
	RECEIPT_PROVEN,
	RECEIPT_FALSE_ITEM,  /* it has the tag, and was not made with the words */
	RECEIPT_FALSE_ENTRY, /* the entry it names is not that one, or no sealed one */
	RECEIPT_STRANGE,     /* .. is another node's: that one has not said so */
	RECEIPT_NOT_THERE,   /* its log is not in the source, or not so far */
};
struct receipt_found {
	size_t log;     /* of run->logs: where the batch stands */
	uint64_t index; /* .. in it */
	struct receipt_item item;
	size_t key;   /* of keys: which order of the words */
	unsigned own; /* 3: it names a log of the node whose batch it is in; 2: one that is not
			 known here; 1: of another node; 0: it does not open */
	enum receipt_verdict verdict;
	struct receipt_box box; /* but for FALSE_ITEM */
	size_t record_log;      /* of run->logs: that the box names; SIZE_MAX: none */
	size_t record_size;     /* bytes of the entry; 0: it was not read */
};

struct receipt_check {
	struct receipt_words words; /* secret */
	bool any_order, progress;
	char network[LIMIT_NETWORK_NAME + 1]; /* that keys are of; "": none yet */
	struct receipt_keys *keys;            /* secret */
	size_t key_count;
	struct receipt_found found[RECEIPT_FOUND_MAX];
	size_t found_count;
	uint64_t found_all, batches, malformed;
	size_t malformed_log; /* the first: of run->logs */
	uint64_t malformed_index;
};
void receipt_check_release(struct receipt_check *check); /* wipes */

/* The row of audit_hooks. It does nothing unless run->receipt is set. */
extern const struct audit_hook receipt_hook;

/* After the run: what each item that was found says. */
enum err receipt_judge(struct audit_run *run, struct errctx *ctx) MUST_USE;

/* The proof of one entry of a log that was walked, under the checkpoint of the run, as a
 * .tlog-proof with the entry's bytes: it is read and hashed once more. ERR_PROOF: it is not what
 * was walked. */
enum err receipt_prove(const struct audit_run *run, size_t log, uint64_t index, struct buf *out,
	struct errctx *ctx) MUST_USE;

#endif
