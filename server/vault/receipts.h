/*
 * receipts: what victims keep of the first contact (cases/receipt/receipt.h), from the six words
 * until the quorum holds the batch that their tag is in (docs/FORMAT, Receipts).
 *
 *   MAKE   the words are drawn; the item, without them, is durable in a row of the keyring: it will
 *          get into the log, whatever becomes of the case. The loop records RECEIPT_GIVEN, and only
 *          then the words leave, in that one answer. Or DROP, when it could not be recorded.
 *   STEP   every minute: what was being written and is in the log is settled (rows become LOGGED);
 *          what the quorum holds is CONFIRMED, and its item forgotten; what an older log of this
 *          node had and nobody holds waits again; and when a batch is due, its record is made,
 *          and that it is being written is durable before it leaves for the log. So a batch is
 *          never written twice, whenever the node is stopped: the next STEP looks for it in the
 *          log.
 *   SHOW   of one case, what was given and how far it is.
 *
 * The words are in memory as long as MAKE takes, and in its answer; they are nowhere else.
 *
 * Of the vault's thread, as the book.
 */
#ifndef SERVER_VAULT_RECEIPTS_H
#define SERVER_VAULT_RECEIPTS_H

#include "server/vault/internal.h"

struct receipts;

enum err receipts_new(struct receipts **ret) MUST_USE;
void receipts_free(struct receipts *receipts); /* NULL is fine */
/* A row of the keyring, ROW_RECEIPT. Errors of row_unwrap, ERR_CORRUPT, ERR_NOMEM. */
enum err receipts_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;

/* The requests RECEIPTS. MAKE: ERR_NOTFOUND: no such case, or the record of its first contact is
 * not in the log yet; ERR_DENIED: it is another office's; ERR_LIMIT past LIMIT_RECEIPTS_CASE and
 * LIMIT_RECEIPTS_OPEN; errors of scrypt and of the keyring, request->trouble is what its disk
 * refused. */
enum err receipts_answer(struct book *book, struct vault_request *request) MUST_USE;

/* Of this case (NULL: of any), given three days ago or longer and not held by the quorum: how many.
 */
uint64_t receipts_late(const struct book *book, const struct casebook_case *kase, uint64_t now_s);

#endif
