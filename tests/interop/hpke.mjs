// @hpke/core for test_hpke.py: one JSON request a line on stdin, one JSON answer a line on stdout.
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { createInterface } from "node:readline";

const suite = new CipherSuite({
	kem: new DhkemX25519HkdfSha256(),
	kdf: new HkdfSha256(),
	aead: new Aes256Gcm(),
});
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");

async function answer(request) {
	const info = bytes(request.info);
	const aad = bytes(request.aad);
	if (request.what === "keys") {
		const pair = await suite.kem.generateKeyPair();
		return {
			public: hex(await suite.kem.serializePublicKey(pair.publicKey)),
			private: hex(await suite.kem.serializePrivateKey(pair.privateKey)),
		};
	}
	if (request.what === "seal") {
		const recipientPublicKey = await suite.kem.deserializePublicKey(bytes(request.key));
		const sealed = await suite.seal({ recipientPublicKey, info }, bytes(request.data), aad);
		return { data: hex(sealed.enc) + hex(sealed.ct) };
	}
	const recipientKey = await suite.kem.deserializePrivateKey(bytes(request.key));
	const data = bytes(request.data);
	const context = { recipientKey, info, enc: data.slice(0, 32) };
	return { data: hex(await suite.open(context, data.slice(32), aad)) };
}

for await (const line of createInterface({ input: process.stdin })) {
	let said;
	try {
		said = await answer(JSON.parse(line));
	} catch (error) {
		said = { error: String(error) };
	}
	process.stdout.write(JSON.stringify(said) + "\n");
}
