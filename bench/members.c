/*
 * bench_members: admits COUNT more offices to a network, without their joining one by one.
 *
 *   bench_members DIR PASSPHRASE-FILE COUNT OUT
 *
 * DIR is headquarters', which must not be running and must have run once. The records go into its
 * directory with its own keys. OUT/NAME.pem gets each office's key and certificates. Prints a JSON
 * list: each office's name, and a log of one entry that is its own: origin, the entry (hex), the
 * signed checkpoint.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "certs/record.h"
#include "certs/x509.h"
#include "keys.h"
#include "lib.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"
#include "rig.h"

struct office {
	char name[LIMIT_NODE_NAME + 1];
	struct signer *node, *mirror, *witness, *log;
	struct member member;
};

static struct signer *new_signer(void)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer = NULL;

	check(random_bytes(seed, sizeof(seed)), NULL, "random");
	check(signer_new(BYTES_ARRAY(seed), &signer), NULL, "make a key");
	return signer;
}

static void office_init(struct office *office, uint64_t number)
{
	*office = (struct office){.node = new_signer(),
		.mirror = new_signer(),
		.witness = new_signer(),
		.log = new_signer()};
	snprintf(office->name, sizeof(office->name), "peer-%llu", (unsigned long long)number);
	office->member = (struct member){.role = ROLE_OFFICE, .country = "HTI"};
	snprintf(office->member.name, sizeof(office->member.name), "%s", office->name);
	office->member.node = *signer_public(office->node);
	office->member.mirror = *signer_public(office->mirror);
	office->member.witness = *signer_public(office->witness);
	check(random_bytes(office->member.complaint.b, sizeof(office->member.complaint.b)), NULL,
		"random");
	office->member.made_at = (uint64_t)time(NULL);
}

static void office_release(struct office *office)
{
	signer_free(office->node);
	signer_free(office->mirror);
	signer_free(office->witness);
	signer_free(office->log);
}

static void read_issuing(const struct own_node *own, struct buf *ret)
{
	struct errctx ctx = {""};
	struct buf pem;

	buf_init(&pem, 2 * LIMIT_CERTIFICATE_SIZE);
	check(files_read(own->paths.chain, 2 * LIMIT_CERTIFICATE_SIZE, &pem, &ctx), &ctx, "chain");
	check(certificate_from_pem(buf_bytes(&pem), 1, ret, &ctx), &ctx, "issuing certificate");
	buf_release(&pem);
}

static void put_key(struct buf *out, struct bytes der)
{
	struct buf text;

	buf_init(&text, LIMIT_CERTIFICATE_SIZE);
	base64_encode(&text, der);
	buf_put_str(out, "-----BEGIN PRIVATE KEY-----\n");
	for (size_t i = 0; i < text.size; i += 64) {
		buf_put(out, bytes_make(text.data + i, text.size - i < 64 ? text.size - i : 64));
		buf_put_str(out, "\n");
	}
	buf_put_str(out, "-----END PRIVATE KEY-----\n");
	buf_release(&text);
}

/* A TLS key with its certificate, into a file; its hash into the member. */
static void make_certificate(struct office *office, const struct own_node *own,
	const struct buf *issuing, const char *directory)
{
	struct buf spki, certificate, pem;
	char path[PATH_MAX], file[LIMIT_NODE_NAME + 8];
	struct errctx ctx = {""};
	struct secret key;

	buf_init(&spki, LIMIT_CERTIFICATE_SIZE);
	buf_init(&certificate, LIMIT_CERTIFICATE_SIZE);
	buf_init(&pem, 4 * LIMIT_CERTIFICATE_SIZE);
	check(tls_key_new(&key), NULL, "TLS key");
	check(tls_key_spki(secret_bytes(&key), &spki, &office->member.tls_spki), NULL, "TLS key");
	check(node_certificate_make(own->genesis.network, office->name, buf_bytes(&spki),
		      secret_bytes(&own->keys.issuing_key), buf_bytes(issuing),
		      (uint64_t)time(NULL), &certificate),
		NULL, "certificate");
	put_key(&pem, secret_bytes(&key));
	check(certificate_pem(buf_bytes(&certificate), &pem), NULL, "certificate");
	check(certificate_pem(buf_bytes(issuing), &pem), NULL, "certificate");
	snprintf(file, sizeof(file), "%s.pem", office->name);
	check(files_join(directory, file, path, &ctx), &ctx, "make a path");
	check(files_write(path, buf_bytes(&pem), 0600, &ctx), &ctx, "write");
	secret_release(&key);
	buf_release(&spki);
	buf_release(&certificate);
	buf_wipe(&pem);
}

static void admit(struct rig *rig, const struct office *office, const char *network)
{
	struct entries *entries = NULL;
	struct buf body, entry;
	struct bytes view;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	check(node_admitted_body(&body, network, &office->member), NULL, "make NodeAdmitted");
	check(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body),
		      office->node),
		NULL, "make NodeAdmitted");
	view = buf_bytes(&entry);
	check(entries_make(&view, 1, &entries), NULL, "make NodeAdmitted");
	rig_append(rig, entries);
	buf_release(&body);
	buf_release(&entry);
}

static void print_log(const struct office *office, const char *network, bool first)
{
	struct log_opened opened = {.previous_origin = "",
		.log_key = *signer_public(office->log),
		.opened_at = (uint64_t)time(NULL)};
	struct checkpoint checkpoint = {.size = 1};
	struct buf entry, note;
	uint8_t random[8];

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&note, LIMIT_NOTE_SIZE);
	check(random_bytes(random, sizeof(random)), NULL, "random");
	check(origin_make(
		      bytes_str(network), bytes_str(office->name), 1, random, &checkpoint.origin),
		NULL, "make an origin");
	opened.origin = checkpoint.origin.text;
	check(log_opened_write(&entry, &opened, office->node), NULL, "make LogOpened");
	tree_leaf(buf_bytes(&entry), &checkpoint.root);
	check(checkpoint_sign(&note, &checkpoint, office->log), NULL, "sign");
	printf("%s{\"name\": \"%s\", \"origin\": \"%s\", \"entry\": \"", first ? "" : ", ",
		office->name, checkpoint.origin.text);
	for (size_t i = 0; i < entry.size; i++)
		printf("%02x", entry.data[i]);
	printf("\", \"checkpoint\": \"");
	for (size_t i = 0; i < note.size; i++)
		printf(note.data[i] == '\n' ? "\\n" : "%c", note.data[i]);
	printf("\"}");
	buf_release(&entry);
	buf_release(&note);
}

int main(int argc, char **argv)
{
	struct own_node own;
	struct rig_opts opts;
	struct signer *directory = NULL;
	struct rig rig;
	struct buf issuing;

	if (argc != 5)
		die("usage: bench_members DIR PASSPHRASE-FILE COUNT OUT");
	check(crypto_init(), NULL, "start OpenSSL");
	own_open(&own, argv[1], argv[2]);
	check(signer_new(secret_bytes(&own.keys.directory_seed), &directory), NULL, "key");
	buf_init(&issuing, LIMIT_CERTIFICATE_SIZE);
	read_issuing(&own, &issuing);
	opts = (struct rig_opts){
		.store = own.paths.store,
		.guard = own.paths.guard,
		.network = own.genesis.network,
		.node = own.config.name,
		.directory = own.genesis.origin,
		.directory_key = own.genesis.key,
		.directory_own = true,
		.origin = own.keys.directory_origin,
		.log = directory,
		.node_key = own.node,
	};
	rig_open(&rig, &opts);
	printf("[");
	for (uint64_t i = 0; i < number_of(argv[3]); i++) {
		struct office office;

		office_init(&office, i + 1);
		make_certificate(&office, &own, &issuing, argv[4]);
		admit(&rig, &office, own.genesis.network);
		print_log(&office, own.genesis.network, i == 0);
		office_release(&office);
	}
	printf("]\n");
	rig_close(&rig);
	signer_free(directory);
	buf_release(&issuing);
	own_release(&own);
	crypto_release();
	return 0;
}
