/*
 * Every cap of Sauti has its name here (DESIGN 16), and a test at the cap and just past it.
 * Sizes in bytes unless the name says otherwise.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Log and proofs. */
#define LIMIT_ENTRY_SIZE          65535
#define LIMIT_BATCH_SIZE          (256 * 1024)
#define LIMIT_BATCH_ENTRIES       1024
#define LIMIT_PROOF_HASHES        63
#define LIMIT_LOG_SIZE            ((UINT64_C(1) << 48)) /* entries in one log */
#define LIMIT_NOTE_SIZE           (64 * 1024)
#define LIMIT_NOTE_SIGNATURES_MIN 16 /* every verifier accepts at least these */
#define LIMIT_NOTE_SIGNATURES     64

/* Checkpoints that anybody submits to a witness. */
#define LIMIT_ADD_CHECKPOINT  (64 * 1024) /* bytes of one request's body */
#define LIMIT_WITNESS_MINUTE  60 /* of one log: taken in a minute; and cosigned anew, as many */
#define LIMIT_WITNESS_WAITING 64 /* that wait for the disk or a signature, of all logs */

/* What is proven without a node. */
#define LIMIT_REVEALED   100000                  /* P that were given away, remembered */
#define LIMIT_TLOG_EXTRA (LIMIT_ENTRY_SIZE + 64) /* an entry, and what opens it */
#define LIMIT_TLOG_PROOF                                                                           \
	(LIMIT_NOTE_SIZE + (LIMIT_TLOG_EXTRA + 2) / 3 * 4 + (LIMIT_PROOF_HASHES + 2) * 64)
#define LIMIT_DISCLOSURE      (64 * 1024 * 1024) /* of a ledger, in one file */
#define LIMIT_DISCLOSURE_KEYS 200000
#define LIMIT_DISCLOSURE_LOGS 64
#define LIMIT_POLICY_SIZE     (256 * 1024)
#define LIMIT_POLICY_ITEMS    512 /* logs, as many witnesses, as many groups */

/* Names. */
#define LIMIT_NETWORK_NAME 64
#define LIMIT_NODE_NAME    31
#define LIMIT_EPOCH_TEXT   27 /* u32 counter, '-', 16 hex digits */
#define LIMIT_ORIGIN       (LIMIT_NETWORK_NAME + 1 + LIMIT_NODE_NAME + 1 + LIMIT_EPOCH_TEXT)
#define LIMIT_BRANCH_HEX   32 /* an author picks both histories: no two may have one name */
#define LIMIT_LOG_NAME     (LIMIT_ORIGIN + 1 + LIMIT_BRANCH_HEX) /* a branch: origin, '~', hex */
#define LIMIT_ADDRESS      255                                   /* host:port */

/* Replication. */
#define LIMIT_FRAME_SIZE        (1024 * 1024)
#define LIMIT_PEERS             512
#define LIMIT_LOGS              4096
#define LIMIT_HAVE_LOGS         256 /* logs in one Have frame */
#define LIMIT_FETCH_WINDOW      16  /* batches one receiver lets be under way per log */
#define LIMIT_SEND_QUEUE        (8 * 1024 * 1024)  /* bytes queued to one peer: then it is closed */
#define LIMIT_SEND_TOTAL        (12 * 1024 * 1024) /* .. to all together: then the worst is */
#define LIMIT_SEND_FRAMES       16384              /* .. and frames that wait for that */
#define LIMIT_PARTIAL_TOTAL     (16 * 1024 * 1024) /* of messages that are not whole, of all */
#define LIMIT_BYE_REASON        200
#define LIMIT_HTTP_HEADER       (16 * 1024) /* of a proxy's answer */
#define LIMIT_PROXY_CREDENTIALS 255
#define LIMIT_SCHEDULE_RULES    16   /* hours with a rate of their own */
#define LIMIT_APPEND_QUEUE      4096 /* appends waiting for a commit */
#define LIMIT_EPOCHS_PER_NODE   64
#define LIMIT_COSIGNATURES      128  /* mirrors and witnesses whose newest is kept, per log */
#define LIMIT_GUESTS            8    /* sessions of peers that the directory does not list yet */
#define LIMIT_SESSIONS_UNPROVEN 64   /* inbound, before their Hello, of strangers */
#define LIMIT_SESSIONS_KNOWN    64   /* .. and of those whose address is known */
#define LIMIT_KNOWN_HOSTS       1024 /* addresses from which members came */

/* Evidence of forks. One has two notes of one signature, a proof and a LogOpened. */
#define LIMIT_LOG_OPENED          4096 /* bytes of the entry: it stands in evidence */
#define LIMIT_EVIDENCE_SIZE       (16 * 1024)
#define LIMIT_EVIDENCE_PER_ORIGIN 4 /* the first, and a few more */
#define LIMIT_EVIDENCE            2048
#define LIMIT_EVIDENCE_FILE       (LIMIT_EVIDENCE * (4 + LIMIT_EVIDENCE_SIZE)) /* of an export */

/* Mail. */
#define LIMIT_MAIL_ITEM          (64 * 1024) /* packed, as it is stored and sent */
#define LIMIT_MAIL_PLAIN         64000       /* sealed content, padded: the last step */
#define LIMIT_MAIL_CONTENT       60000       /* of one kind, before it is packed */
#define LIMIT_MAIL_HELD          40000       /* items one node holds, of all its members */
#define LIMIT_MAIL_BYTES         (UINT64_C(512) << 20) /* .. and bytes of them */
#define LIMIT_MAIL_RECIPIENT     10000                 /* .. for one recipient */
#define LIMIT_MAIL_PAIR          1000                  /* .. of one sender for one recipient */
#define LIMIT_MAIL_CARRIED       30000 /* on their way between others: the rest is for one's own */
#define LIMIT_MAIL_CARRIED_BYTES (UINT64_C(384) << 20)
#define LIMIT_MAIL_SENDER        4000 /* .. of one sender */
#define LIMIT_MAIL_SENDER_BYTES  (UINT64_C(48) << 20)
#define LIMIT_MAIL_RESERVE       10          /* a tenth of each is for erasures alone */
#define LIMIT_MAIL_ENDS          20000       /* items of which it is remembered that they ended */
#define LIMIT_MAIL_FLIGHTS       8           /* handed to one peer and not answered */
#define LIMIT_MAIL_FLIGHT_BYTES  (64 * 1024) /* .. in bytes, but one item at least */
#define LIMIT_MAIL_INBOX         1000        /* notices received and kept */
#define LIMIT_MAIL_INBOX_SENDER  100         /* .. of one sender */
#define LIMIT_MAIL_COPY_DAY      (UINT64_C(1) << 30) /* bytes copied a day to be rid of bodies */
#define LIMIT_MAIL_TEXT          4096                /* of an operator's notice */
#define LIMIT_MAIL_COPIES        1000                /* of notices sent, until they have ended */
#define LIMIT_MAIL_TRIES         3                   /* that one is sealed again */
#define LIMIT_MAIL_ADDRESSES     8                   /* of one node */
#define LIMIT_PREKEYS            64                  /* private halves that a node keeps */
#define LIMIT_SILENCE_RELEASES   64                  /* nodes, while headquarters is silent */
#define LIMIT_PREKEYS_GONE       64                  /* .. and destroyed ones it remembers */

/* Messages. */
#define LIMIT_MESSAGE_DEPTH   8
#define LIMIT_MESSAGE_FIELDS  8192
#define LIMIT_MESSAGE_UNKNOWN 32
#define LIMIT_ARENA_SIZE      (4 * 1024 * 1024)

/* Sealing and cases. */
#define LIMIT_PART_SIZE       (64 * 1024) /* decompressed */
#define LIMIT_PLAINTEXT_SIZE  65000       /* padded, the last step */
#define LIMIT_LOCATOR_GAP     16
#define LIMIT_RECEIPT_ITEM    153  /* bytes of one in a batch, no more and no less */
#define LIMIT_RECEIPTS_BATCH  64   /* items of a batch, when there are more than the next */
#define LIMIT_RECEIPTS_FEW    16   /* .. else */
#define LIMIT_RECEIPTS_CASE   16   /* given for one case */
#define LIMIT_RECEIPTS_OPEN   4096 /* of a node that the quorum does not hold yet */
#define LIMIT_EVENT_JSON      (48 * 1024)
#define LIMIT_EVENT_FIELDS    64
#define LIMIT_CASES           200000
#define LIMIT_CASE_EVENTS     10000
#define LIMIT_CASE_CONSENTS   1024        /* kept in the state of a case */
#define LIMIT_CASE_ITEMS      4096        /* .. persons, referrals, claims, concerns.. */
#define LIMIT_CASE_OFFICERS   1024        /* .. assignments */
#define LIMIT_CASE_AWAITED    1024        /* .. parents that were not seen */
#define LIMIT_CASE_CONFLICTS  1024        /* shown of one case */
#define LIMIT_CASE_TEXT       61440       /* .. bytes of ids, codes and names, each once */
#define LIMIT_ERASE_ROWS      512         /* rows of the keyring that are destroyed at a time */
#define LIMIT_ERASE_KEYS      256         /* keys that one order names: as many as a case has */
#define LIMIT_ERASE_PREKEYS   64          /* .. and prekeys of its recipient */
#define LIMIT_ERASE_REVEALED  64          /* .. and values that were shown */
#define LIMIT_ERASE_HOLDERS   64          /* nodes that have to confirm one */
#define LIMIT_ERASURES        4000        /* that a node remembers; half are others' at most */
#define LIMIT_ERASURES_SENDER 1000        /* .. ordered by one other node */
#define LIMIT_ERASE_TEXT      120         /* bytes of an authority's name */
#define LIMIT_HOLDS           200         /* cases that are held at a time */
#define LIMIT_DRAFT           (64 * 1024) /* answers of one event that is not recorded yet */
#define LIMIT_DRAFTS          200         /* .. kept by a node */
#define LIMIT_DRAFTS_OFFICER  32          /* .. of one officer */
/* Keys of other nodes. */
#define LIMIT_APPROVALS          1000               /* own ones, and as many of others, kept */
#define LIMIT_APPROVALS_SENDER   50                 /* .. of one other node */
#define LIMIT_GRANT_KEYS         256                /* in one grant */
#define LIMIT_CASE_FOREIGN       10000              /* events of all of them in one case */
#define LIMIT_CASE_FOREIGN_BYTES (16 * 1024 * 1024) /* of their parts, opened, in one case */
#define LIMIT_FOREIGN_AUTHORS    LIMIT_PEERS

/* Keys given to other nodes, and received from them. */
#define LIMIT_GRANTS          65536 /* remembered: given, and as many received */
#define LIMIT_GRANTS_SENDER   20000 /* .. of one sender */
#define LIMIT_GRANT_KEYS_MADE 64    /* of one grant that this node makes: a list in the ledger */
#define LIMIT_GRANT_PREKEYS   8     /* to which one was sealed, again and again */
#define LIMIT_GRANTS_TOUCHED  256   /* cases to be looked at: past it all are */
#define LIMIT_REFUSALS        1000  /* items of mail that were refused, remembered */
/* Escrow of case keys. */
#define LIMIT_ESCROW_CHUNK        61440 /* sealed bytes of one chunk */
#define LIMIT_ESCROW_CHUNK_KEYS   850   /* keys in it */
#define LIMIT_ESCROW_ORIGINS      8     /* .. of so many logs */
#define LIMIT_ESCROW_CHUNKS       1200  /* in one manifest */
#define LIMIT_ESCROW_CUSTODIANS   16
#define LIMIT_ESCROW_MAIL_KEYS    512   /* version keys in one item of mail */
#define LIMIT_ESCROW_VERSION_KEYS 4096  /* of one node, retired ones too */
#define LIMIT_ESCROW_SIGNERS      16    /* node keys, former ones too, whose manifests count */
#define LIMIT_CUSTODY_ASKS        64    /* wishes of owners that wait */
#define LIMIT_CUSTODY_OWNER       16384 /* version keys kept for one node */
#define LIMIT_CUSTODY             65536 /* .. for all */

/* The node's ledger. */
#define LIMIT_LEDGER_EVENTS 1000000
#define LIMIT_LEDGER_VIEWS                                                                         \
	900000 /* from here on no more views: the rest is for exports, grants.. */
#define LIMIT_LEDGER_FOREIGN 100000 /* events of another node's ledger, at an auditor */
#define LIMIT_LEDGER_LIST    100000 /* events in one answer */
#define LIMIT_VIEWS_PENDING  1024   /* views of cases that wait to be written */
#define LIMIT_VIEWS_DAY      65536  /* pairs of officer and case whose view today is remembered */
#define LIMIT_PURPOSE        200    /* bytes of what a view or an export was for */
#define LIMIT_EXPORT_BYTES   (64 * 1024 * 1024) /* of cases, in one file */
#define LIMIT_EXPORT_CASES   4096               /* named for one */
#define LIMIT_LEDGER_LIST    100000             /* events in one answer */
#define LIMIT_VIEWS_PENDING  1024               /* views of cases that wait to be written */
#define LIMIT_VIEWS_DAY      65536 /* pairs of officer and case whose view today is remembered */
#define LIMIT_PURPOSE        200   /* bytes of what a view or an export was for */
#define LIMIT_EXPORT_BYTES   (64 * 1024 * 1024) /* of cases, in one file */
#define LIMIT_EXPORT_CASES   4096               /* named for one */
#define LIMIT_EXPORTS        2                  /* under way at a time */

/* Complaints about staff. */
#define LIMIT_COMPLAINTS_SENDER  1000 /* taken from one node; more wait with their sender */
#define LIMIT_COMPLAINTS_WAITING 16   /* sealed here and not yet in log and mail */
#define LIMIT_COMPLAINT_ROW      LIMIT_MAIL_ITEM /* bytes of one of these */

/* Exports. */
#define LIMIT_EXPORT_UNSYNCED (32 * 1024 * 1024) /* written and not synced: then it is */
#define LIMIT_EXPORT_FILES    512                /* .. and how many files */

/* Tables of cases, read and written. */
#define LIMIT_CSV_COLUMNS      512
#define LIMIT_CSV_ROW          (64 * 1024)
#define LIMIT_CSV_CELL         (16 * 1024)
#define LIMIT_TABLE_SIZE       (16 * 1024 * 1024) /* a register's file */
#define LIMIT_TABLE_LINES      (64 * 1024 * 1024) /* what it becomes, as JSON lines */
#define LIMIT_TABLE_EVENTS     200000             /* .. and how many */
#define LIMIT_TABLE_FINDINGS   50                 /* told of in one run */
#define LIMIT_MAPPING_SIZE     (64 * 1024)
#define LIMIT_MAPPING_LINE     1024
#define LIMIT_MAPPING_SECTIONS 64
#define LIMIT_MAPPING_ENTRIES  2048 /* keys of all sections */

/* Bundles. */
#define LIMIT_BUNDLE_PART_MIN (128 * 1024) /* bytes of one part: any frame of one entry fits */
#define LIMIT_BUNDLE_PART     ((UINT64_C(1) << 40))
#define LIMIT_BUNDLE_PARTS    9999               /* of one bundle */
#define LIMIT_BUNDLE_SEGMENTS 4096               /* of one part, each with its hash */
#define LIMIT_BUNDLE_HEADER   (4 * 1024 * 1024)  /* the manifest, with its padding */
#define LIMIT_BUNDLE_FIELDS   65536              /* in a manifest: LIMIT_LOGS logs fit */
#define LIMIT_BUNDLE_FRAMES   (1024 * 1024)      /* in one part */
#define LIMIT_BUNDLE_USELESS  4096               /* frames of a part that are refused: then it is */
#define LIMIT_BUNDLE_FILES    256                /* one import takes */
#define LIMIT_BUNDLE_INDEX    (1024 * 1024)      /* batches of a set that is audited */
#define LIMIT_BUNDLE_NOTES    (16 * 1024 * 1024) /* bytes of its checkpoints */
/* Damage. */
#define LIMIT_DAMAGE_MARKS  65536 /* of single entries in one log, by one repair */
#define LIMIT_FSCK_FINDINGS 20    /* damaged pages told of one by one */

/* Many cases at once. */
#define LIMIT_TRIALS         4                  /* files checked at one time, before recording */
#define LIMIT_TRIAL_EVENTS   2000000            /* of all of them */
#define LIMIT_TRIAL_BYTES    (32 * 1024 * 1024) /* of parts that one keeps to fold cases anew */
#define LIMIT_TRIAL_IDLE_MS  (10 * 60 * 1000)
#define LIMIT_REFOLD_PARTS   (1U << 21) /* read again by one request, for events that come late */
#define LIMIT_FINDER_ENTRIES (1U << 21) /* of one log, whose locators an unlock has in memory */

/* Surfaces. */
#define LIMIT_CONTROL_REQUEST   (1024 * 1024)
#define LIMIT_CONTROL_RESPONSE  (1024 * 1024) /* one response frame; a reply may have many */
#define LIMIT_CONTROL_CLIENTS   32
#define LIMIT_CONTROL_URGENT    4            /* more, that may only lock */
#define LIMIT_PUBLIC_CLIENTS    64           /* connections to the public socket */
#define LIMIT_PUBLIC_REQUEST    (128 * 1024) /* bytes of one request on it */
#define LIMIT_PUBLIC_FILES      4            /* files of logs given out at a time; others wait */
#define LIMIT_PUBLIC_STALL_MS   20000        /* half a request, or an answer that is not taken */
#define LIMIT_WAITS             16           /* clients that wait until something is held or safe */
#define LIMIT_WAIT_MS           (5 * 60 * 1000) /* in one request */
#define LIMIT_CONFIG_SIZE       (256 * 1024)
#define LIMIT_MAP_SIZE_MIN      (UINT64_C(1) << 20) /* of the store's map */
#define LIMIT_MAP_SIZE          (UINT64_C(16) << 40)
#define LIMIT_PASSPHRASE        1024
#define LIMIT_KEYSTORE_SIZE     (64 * 1024)
#define LIMIT_CERTIFICATE_SIZE  (16 * 1024)
#define LIMIT_JOIN_TOKEN        2048
#define LIMIT_INVITES           256
#define LIMIT_DIRECTORY_RECORDS 65536
#define LIMIT_REASON            500  /* of a revocation, or the text of a dispute; bytes */
#define LIMIT_DISPUTES          4    /* kept of one node; the first ones */
#define LIMIT_DISPUTE_SIZE      2048 /* of one, as a record */
#define LIMIT_POLICY_MIRRORS    64   /* named in a policy; so its quorum is not larger either */
#define LIMIT_POLICY_FLOOR      1000 /* that a policy may raise a statistics floor to */
#define LIMIT_KEY_CHANGES       256  /* of one name, in the directory */
#define LIMIT_ROTATION_AGE      256  /* records that may come between its signing and its place */
#define LIMIT_CONFIRMED         1024 /* names whose node key an officer has confirmed */

/* What outsiders read over HTTP. */
#define LIMIT_HTTP_BODY        (64 * 1024) /* of a request */
#define LIMIT_HTTP_TARGET      512         /* path of a request, or a whole URI */
#define LIMIT_WEB_HOSTS        16          /* names that requests may be addressed to */
#define LIMIT_WEB_HOST         255
#define LIMIT_WEB_CONNECTIONS  1024
#define LIMIT_WEB_WORKERS      16 /* requests to the node at one time */
#define LIMIT_WEB_QUEUE        64 /* requests that wait for one of these */
#define LIMIT_WEB_ANSWER       (256 * (2 + LIMIT_ENTRY_SIZE)) /* the largest file of a log */
#define LIMIT_WEB_ANSWERS      (64 * 1024 * 1024)             /* of all that are under way */
#define LIMIT_WEB_ANSWER_PARTS 8192              /* responses of the node to one request */
#define LIMIT_WEB_METRICS      (8 * 1024 * 1024) /* those of LIMIT_LOGS logs fit */

/* Locking. */
#define LIMIT_SWAPS        32 /* areas of swap that are looked at; the kernel has fewer */
#define LIMIT_SWAP_DEPTH   16 /* devices that lie on one another */
#define LIMIT_SWAP_DEVICES 64 /* .. and beside one another */
#define LIMIT_IDLE_MIN     10 /* seconds without a request until a node locks itself */
#define LIMIT_IDLE         (24 * 3600)

/* Officers. */
#define LIMIT_OFFICER_NAME     31
#define LIMIT_OFFICERS         64  /* accounts listed, disabled ones too; 16 may unlock */
#define LIMIT_OFFICER_SESSIONS 8   /* of one */
#define LIMIT_LOCKOUT_NAMES    128 /* of which wrong passphrases are counted */
#define LIMIT_SESSIONS         ((16 * LIMIT_OFFICER_SESSIONS)) /* of all who may unlock */

/* Backups. */
#define LIMIT_BACKUP_MANIFEST (1024 * 1024)         /* LIMIT_LOGS lines fit */
#define LIMIT_BACKUP_STORE    ((UINT64_C(1) << 44)) /* bytes of the store's file in one */

/* Audits. */
#define LIMIT_HTTP_RETRIES  6                  /* of one file, when a server is busy */
#define LIMIT_FINDINGS      1000               /* kept of one audit; all are counted */
#define LIMIT_FINDING_PROOF 65536              /* bytes of one of its proofs that are kept */
#define LIMIT_AUDIT_STATE   (32 * 1024 * 1024) /* bytes of what is remembered of the last one */
#define LIMIT_AUDIT_PAGE    (16 * 1024 * 1024) /* bytes of a report for people, about */

#endif
