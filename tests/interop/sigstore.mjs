// Sigstore's verifier of transparency-log entries behind lines, in and out, for test_sigstore.py:
//
//	entry INDEX SIZE ENTRY ROOT PROOF KEYID PUBLIC NOTE
//
// A TransparencyLogEntry with that inclusion proof and that checkpoint, and one trusted log: key id
// (4 bytes) and Ed25519 key. ENTRY and hashes are hex, NOTE is base64.
import { createRequire } from 'node:module';
import { createPublicKey } from 'node:crypto';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { verifyTLogTimestamp } = require('./node_modules/@sigstore/verify/dist/timestamp/index.js');
const spki = Buffer.from('302a300506032b6570032100', 'hex'); // RFC 8410: then the key's 32 bytes

function hashes(text) {
  return text === '-' ? [] : text.split(',').map((hash) => Buffer.from(hash, 'hex'));
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, index, size, entry, root, path, id, key, note] = line.split(' ');
  const publicKey = createPublicKey({
    key: Buffer.concat([spki, Buffer.from(key, 'hex')]), format: 'der', type: 'spki' });
  const logID = Buffer.from(id, 'hex');
  const trusted = { logID, publicKey, baseURL: '', validFor: { start: new Date(0), end: new Date(8.64e15) } };
  const told = {
    logIndex: index,
    logId: { keyId: logID },
    integratedTime: '1767225600',
    canonicalizedBody: entry === '-' ? Buffer.alloc(0) : Buffer.from(entry, 'hex'),
    inclusionPromise: undefined,
    inclusionProof: {
      logIndex: index,
      rootHash: Buffer.from(root, 'hex'),
      treeSize: size,
      hashes: hashes(path),
      checkpoint: { envelope: Buffer.from(note, 'base64').toString('utf-8') },
    },
  };
  try {
    verifyTLogTimestamp(told, [trusted]);
    console.log('ok');
  } catch (e) {
    console.log(`no: ${e.code ?? e.name}: ${e.message.split('\n')[0]}`);
  }
}
