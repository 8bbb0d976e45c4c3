/*
 * What the files of control offer each other: one function per request, each of which answers at
 * once or hands the work on and answers when it comes back; and JSON answers.
 */
#ifndef SERVER_CONTROL_INTERNAL_H
#define SERVER_CONTROL_INTERNAL_H

#include <jansson.h>

#include "replication/log/tree.h"
#include "server/control/control.h"
#include "server/export/export.h"

/* Takes the reference. A document that cannot be made is an error, never half a document. */
void answer_json(struct control_request *request, json_t *json, bool last);
/* The documents from `first` on, then the end; takes `done`, whose they are. */
void answer_docs(
	struct control_request *request, struct vault_request *done, const struct vault_doc *first);
json_t *json_text_or_null(const char *text);
json_t *json_hash(const struct hash *hash); /* base64 */

/* cases.c: unlocking, recording and showing, all of it the vault's work */
void begin_unlock(struct control_request *request, Sauti__UnlockRequest *message);
void begin_lock(struct control_request *request);
void begin_panic(struct control_request *request);
void begin_append(struct control_request *request, const Sauti__CaseAppendRequest *message);
void begin_show(struct control_request *request, const Sauti__CaseShowRequest *message);
/* LIST (name ""), FORM. */
void begin_query(struct control_request *request, enum vault_type type, const char *name);
bool may_record(struct control_request *request); /* false: answered */

/* For the vault, about a case; NULL: the request was answered. */
struct vault_request *ask_named(
	struct control_request *request, enum vault_type type, const char *name);

/* grants.c */
void begin_case_share(struct control_request *request, const Sauti__CaseShareRequest *message);
void done_case_share(struct control_request *request, struct vault_request *done);
void begin_case_shares(struct control_request *request, const Sauti__CaseSharesRequest *message);
void begin_mail_refused(struct control_request *request);

/* ledger.c; done_ledger_list takes the answer; case_export.c */
void begin_ledger_list(struct control_request *request, const Sauti__LedgerListRequest *message);
void done_ledger_list(struct control_request *request, struct vault_request *done);
void begin_case_export(struct control_request *request, const Sauti__CaseExportRequest *message);
void done_case_export(struct control_request *request, struct vault_request *done);

/* prove.c */
void begin_case_prove(struct control_request *request, const Sauti__CaseProveRequest *message);
void done_case_prove(struct control_request *request, struct vault_request *done);
/* packet.c; done takes the answer. groups_read: names of groups of a case; ERR_INVALID. */
void begin_case_packet(struct control_request *request, const Sauti__CasePacketRequest *message);
void done_case_packet(struct control_request *request, struct vault_request *done);
enum err groups_read(char *const *names, size_t count, uint16_t *ret) MUST_USE;
json_t *groups_list_json(uint16_t groups);

/* receipts.c; done takes the answer */
void begin_case_receipt(struct control_request *request, const Sauti__CaseReceiptRequest *message);
void begin_case_receipts(
	struct control_request *request, const Sauti__CaseReceiptsRequest *message);
void done_case_receipts(struct control_request *request, struct vault_request *done);

/* disclose.c */
void begin_ledger_disclose(
	struct control_request *request, const Sauti__LedgerDiscloseRequest *message);
void done_ledger_disclose(struct control_request *request, struct vault_request *done);
/* approvals.c */
void begin_case_break_glass(
	struct control_request *request, const Sauti__CaseBreakGlassRequest *message);
void begin_case_report(struct control_request *request, const Sauti__CaseReportRequest *message);
void begin_approval_list(struct control_request *request);
void begin_approval_decide(
	struct control_request *request, const Sauti__ApprovalDecideRequest *message);
void begin_approval_told(
	struct control_request *request, const Sauti__ApprovalToldRequest *message);

/* queries.c */
void begin_case_find(struct control_request *request, const Sauti__CaseFindRequest *message);
void begin_case_today(struct control_request *request, const Sauti__CaseTodayRequest *message);
/* With the time, and with what the quorum holds. */
void submit_query(struct control_request *request, struct vault_request *ask);

/* drafts.c */
void begin_draft_put(struct control_request *request, const Sauti__DraftPutRequest *message);
void begin_draft_list(struct control_request *request);
void begin_draft_show(struct control_request *request, uint32_t number);
void begin_draft_remove(struct control_request *request, uint32_t number);

/* officers.c: who is who. vault_ask: a request to the vault in the name of the officer who asks;
 * NULL: no memory, and the request has failed. open_session: an unlock went well, and its answer
 * brings the token; ERR_LOCKED, and errors of sessions_begin. */
struct vault_request *vault_ask(struct control_request *request, enum vault_type type);
enum err open_session(struct control_request *request, const char *name, uint32_t roles) MUST_USE;
json_t *roles_json(uint32_t roles);
void begin_whoami(struct control_request *request);
void begin_logout(struct control_request *request, const Sauti__ControlRequest *message);
void begin_officer_docs(struct control_request *request, enum vault_type type); /* names, list */
void begin_officer_add(struct control_request *request, Sauti__OfficerAddRequest *message);
void begin_officer_disable(
	struct control_request *request, const Sauti__OfficerDisableRequest *message);
void begin_officer_passphrase(
	struct control_request *request, Sauti__OfficerPassphraseRequest *message);
void done_officer(struct control_request *request, const struct vault_request *done);
/* A passphrase was wrong, or not tried: for the log. */
void officer_refused(struct runtime *rt, const struct vault_request *done);
json_t *officers_json(struct control_request *request); /* who is logged in */

/* erase.c */
void begin_case_erase(struct control_request *request, const Sauti__CaseEraseRequest *message);
void done_case_erase(struct control_request *request, struct vault_request *done);
void begin_erase_show(struct control_request *request, const char *name);
void begin_case_hold(struct control_request *request, Sauti__CaseHoldRequest *message);
void done_case_hold_vouch(struct control_request *request, struct vault_request *done);
void done_case_hold(struct control_request *request, struct vault_request *done);
/* recover.c */
void begin_recover_setup(
	struct control_request *request, const Sauti__RecoverSetupRequest *message);
void begin_recover_status(struct control_request *request);
void begin_recover_look(struct control_request *request, const Sauti__RecoverLookRequest *message);
void begin_recover(struct control_request *request, const Sauti__RecoverRequest *message);

/* complain.c */
void begin_complain(struct control_request *request, const Sauti__ComplainRequest *message);
void done_complain(struct control_request *request, struct vault_request *done);

/* logs.c; export.c */
void begin_log_list(struct control_request *request);
void begin_log_show(struct control_request *request, const Sauti__LogShowRequest *message);
void begin_log_verify(struct control_request *request, const Sauti__LogVerifyRequest *message);
void begin_log_export(struct control_request *request, const Sauti__LogExportRequest *message);
void begin_log_policy(struct control_request *request, const Sauti__LogPolicyRequest *message);
json_t *logs_json(const struct runtime *rt);
/* The key that a cosignature must verify with: the member's mirror or witness. */
enum err cosigner_key(const struct runtime *rt, const struct engine_cosigned *cosigned,
	const struct member *member, struct note_key *ret) MUST_USE;

/* Of an entry that is durable here: how well it is held (safe.h). */
json_t *entry_state_json(const struct runtime *rt, size_t position, uint64_t index);

/* evidence.c */
void begin_log_evidence(struct control_request *request, const Sauti__LogEvidenceRequest *message);

/* picture.c: of one log, taken on the loop: its newest checkpoint, and the cosignatures of exactly
 * this one by nodes that the directory lists. What is put into a checkpoint file, wherever that is
 * written to. `opts` borrows from the rest of it; release it even when taking it failed. */
struct log_picture {
	struct export_opts opts; /* origin, key, note, cosignatures */
	uint64_t size;           /* of the checkpoint */
	struct buf note, lines;
	struct export_cosignature *cosignatures;
};
void picture_init(struct log_picture *picture);
/* ERR_NOTFOUND: no key or no checkpoint is known; ERR_NOMEM. */
enum err picture_take(const struct runtime *rt, size_t position, struct log_picture *picture,
	struct errctx *ctx) MUST_USE;
void picture_release(struct log_picture *picture);

/* public.c, public_status.c: what anybody may ask */
void begin_public_file(struct control_request *request, const Sauti__PublicFileRequest *message);
void begin_public_logs(struct control_request *request);
void begin_public_status(struct control_request *request);
void begin_public_evidence(
	struct control_request *request, const Sauti__PublicEvidenceRequest *message);
/* May this log be given out to who asks? */
bool public_gives(const struct control_request *request, const char *origin);

/* witness.c */
void begin_add_checkpoint(
	struct control_request *request, const Sauti__AddCheckpointRequest *message);
void begin_witness_checkpoint(
	struct control_request *request, const Sauti__WitnessCheckpointRequest *message);

/* backups.c */
void begin_backup(struct control_request *request, const Sauti__BackupRequest *message);

/* mail.c */
void begin_mail_send(struct control_request *request, const Sauti__MailSendRequest *message);
void begin_mail_list(struct control_request *request);
void begin_mail_show(struct control_request *request, const char *id);
void begin_mail_delete(struct control_request *request, const char *id);
void begin_mail_release(struct control_request *request, Sauti__MailReleaseRequest *message);
void done_mail_release(struct control_request *request, struct vault_request *done);
void done_mail_send(struct control_request *request, struct vault_request *done);
void done_mail_show(struct control_request *request, struct vault_request *done);
json_t *mail_status_json(const struct runtime *rt);

/* bundle_export.c, bundle_import.c */
void begin_bundle_export(
	struct control_request *request, const Sauti__BundleExportRequest *message);
void begin_bundle_import(
	struct control_request *request, const Sauti__BundleImportRequest *message);

/* nodes.c */
void begin_node_list(struct control_request *request, const Sauti__NodeListRequest *message);
void begin_invite(struct control_request *request, const Sauti__NodeInviteRequest *message);

/* prekeys.c */
void begin_node_prekeys(struct control_request *request);
json_t *prekeys_status_json(struct runtime *rt);

/* confirm.c: node keys as words. null: not known, while the node is locked */
void begin_node_confirm(struct control_request *request, const Sauti__NodeConfirmRequest *message);
void done_node_confirm(struct control_request *request, const struct vault_request *done);
json_t *own_words_json(const struct runtime *rt);
json_t *words_json(const struct runtime *rt, const struct member *member);
json_t *confirmed_json(const struct runtime *rt, const struct member *member);

/* members.c: what headquarters lays down */
void begin_node_revoke(struct control_request *request, const Sauti__NodeRevokeRequest *message);
void begin_node_policy(struct control_request *request, const Sauti__NodePolicyRequest *message);
void begin_node_dispute(struct control_request *request, const Sauti__NodeDisputeRequest *message);
/* Of each log that is closed: origin, size, and how much of it others show. */
json_t *closing_json(const struct runtime *rt, const struct revocation *closing);
json_t *disputes_json(const struct runtime *rt, const char *node); /* of that node */
void members_disputes(const struct runtime *rt, json_t *alarms);
/* What status says of this node's own standing; "" when there is nothing to say. */
void members_alarm(const struct runtime *rt, char *out, size_t size);

/* give.c: a file, in pieces, each once the client has taken the one before; then the request ends,
 * whether or not the client is still there, and done is called. Something was said before. */
struct giving {
	struct control_request *request;
	struct bytes file; /* stays where it is until done */
	void (*done)(void *arg);
	void *arg;
	size_t sent;
};
void give_file(struct giving *giving);

#endif
