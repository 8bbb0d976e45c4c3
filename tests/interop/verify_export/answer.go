package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// answer takes the words of a line:
//
//	export LOG VKEY                              all of one exported log
//	note VKEY NOTE                               a signed checkpoint; also one that is cosigned by VKEY
//	inclusion INDEX SIZE LEAF ROOT PROOF         tlog.CheckRecord
//	consistency SIZE1 SIZE2 ROOT1 ROOT2 PROOF    tlog.CheckTree
//	reader LOG VKEY INDEX                        that entry, by tlog.TileHashReader alone
//	prove-inclusion INDEX SIZE                   from the entries of the last export: PROOF
//	prove-consistency SIZE1 SIZE2
func answer(words []string) string {
	if len(words) == 0 {
		fail("an empty line")
	}
	switch words[0] {
	case "export":
		return verify(words[1], words[2])
	case "reader":
		return readerAlone(words[1], words[2], number(words[3]))
	case "load":
		proving = rebuild(entries(words[1], open(words[1], words[2]).N))
		return "ok"
	case "note":
		return checkNote(words[1], words[2])
	case "inclusion":
		index, size := number(words[1]), number(words[2])
		if err := tlog.CheckRecord(proof(words[5]), size, hash(words[4]), index, hash(words[3])); err != nil {
			fail("%v", err)
		}
		return "ok"
	case "consistency":
		first, second := number(words[1]), number(words[2])
		if err := tlog.CheckTree(proof(words[5]), second, hash(words[4]), first, hash(words[3])); err != nil {
			fail("%v", err)
		}
		return "ok"
	case "prove-inclusion":
		made, err := tlog.ProveRecord(number(words[2]), number(words[1]), proving)
		return proven(made, err)
	case "prove-consistency":
		made, err := tlog.ProveTree(number(words[2]), number(words[1]), proving)
		return proven(made, err)
	}
	fail("what is %q?", words[0])
	return ""
}

// readerAlone believes an entry whose hash is the one that the tiles have, as Go's own client of its
// checksum database does.
func readerAlone(directory, vkey string, index int64) string {
	head := open(directory, vkey)
	leaf, err := tlog.TileHashReader(head, tiles(directory)).ReadHashes(
		[]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		fail("%v", err)
	}
	width := int(head.N - index/256*256)
	if width > 256 {
		width = 256
	}
	if tlog.RecordHash(bundleOf(directory, index/256, width)[index%256]) != leaf[0] {
		fail("entry %d: its hash is not that of the tiles", index)
	}
	return "ok"
}

var proving stored

func proven(hashes []tlog.Hash, err error) string {
	if err != nil {
		fail("%v", err)
	}
	var all []string
	for _, h := range hashes {
		all = append(all, hex.EncodeToString(h[:]))
	}
	if len(all) == 0 {
		return "ok -"
	}
	return "ok " + strings.Join(all, ",")
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fail("%v", err)
	}
	return n
}

func hash(text string) (ret tlog.Hash) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != len(ret) {
		fail("%q is no hash", text)
	}
	copy(ret[:], data)
	return ret
}

func proof(text string) []tlog.Hash {
	var all []tlog.Hash
	for _, one := range strings.Split(text, ",") {
		if one != "-" {
			all = append(all, hash(one))
		}
	}
	return all
}

func checkNote(vkey, text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail("%v", err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		verifier, err = newCosigner(vkey)
	}
	if err != nil {
		fail("key: %v", err)
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		fail("%v", err)
	}
	origin := verifier.Name()
	if _, is := verifier.(cosigner); is {
		origin = strings.SplitN(opened.Text, "\n", 2)[0]
	}
	tree(opened.Text, origin)
	return "ok"
}

// cosigner is a note.Verifier for C2SP cosignatures, which this version of x/mod does not know: the
// bytes that are signed are put together here, notes and signatures are judged by Go's own code.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("no verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, fmt.Errorf("not the key of a cosigner")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if hex.EncodeToString(sum[:4]) != parts[1] {
		return nil, fmt.Errorf("id and key do not fit")
	}
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), key[1:]}, nil
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }

func (c cosigner) Verify(message, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	if time > 1<<63-1 {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, message)
	return ed25519.Verify(c.key, []byte(signed), signature[8:])
}
