// verify_export checks one exported log with code that nobody here wrote: golang.org/x/mod, which
// verifies Go's own module checksums. Only the file names and the bundles of entries are ours.
//
//	verify_export DIRECTORY-OF-THE-LOG VKEY
//
// The signature (note.Open), the tree rebuilt from the entries (tlog.StoredHashes, tlog.TreeHash),
// every tile file against it (tlog.ReadTileData), and inclusion and consistency proofs that are
// made from the tile files (tlog.TileHashReader, which by itself does not look at every tile:
// CVE-2026-56865). Exit status 0 when all of it is right, 1 if not.
//
//	verify_export -
//
// answers lines, "ok .." or "no: ..": see answer.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// file gives the name of a tile in the tlog-tiles layout: without the height, which is fixed.
func file(t tlog.Tile) string {
	return strings.Replace(t.Path(), "tile/8/", "tile/", 1)
}

func bundle(n int64, width int) string {
	return strings.Replace(file(tlog.Tile{H: height, L: 0, N: n, W: width}), "tile/0/", "tile/entries/", 1)
}

// wrong is what a check panics with; judged turns it into an error.
type wrong struct{ error }

func fail(format string, arguments ...any) {
	panic(wrong{fmt.Errorf(format, arguments...)})
}

func judged(check func() string) (said string, err error) {
	defer func() {
		if r := recover(); r != nil {
			w, is := r.(wrong)
			if !is {
				panic(r)
			}
			err = w.error
		}
	}()
	return check(), nil
}

// tree takes size and root from the text of a checkpoint that was opened.
func tree(text, origin string) tlog.Tree {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		fail("checkpoint: not of the log %s", origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		fail("checkpoint: size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("checkpoint: %v", err)
	}
	return tlog.Tree{N: size, Hash: root}
}

func open(directory, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		fail("key: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		fail("%v", err)
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		fail("checkpoint: %v", err)
	}
	return tree(opened.Text, verifier.Name())
}

// bundleOf reads the entries of one bundle.
func bundleOf(directory string, n int64, width int) (all [][]byte) {
	name := bundle(n, width)
	data, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		fail("%v", err)
	}
	for i := 0; i < width; i++ {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			fail("%s: entry %d is cut short", name, n*256+int64(i))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		all = append(all, data[2:end])
		data = data[end:]
	}
	if len(data) != 0 {
		fail("%s: has more than %d entries", name, width)
	}
	return all
}

// entries reads all bundles.
func entries(directory string, size int64) (all [][]byte) {
	for n := int64(0); n*256 < size; n++ {
		width := 256
		if size-n*256 < 256 {
			width = int(size - n*256)
		}
		all = append(all, bundleOf(directory, n, width)...)
	}
	return all
}

// stored is the tree in memory, in the order of x/mod's own storage.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not there", i)
		}
		out = append(out, s[i])
	}
	return out, nil
}

// tiles reads tile files.
type tiles string

func (d tiles) Height() int { return height }

func (d tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range want {
		data, err := os.ReadFile(filepath.Join(string(d), file(t)))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func (d tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func rebuild(all [][]byte) stored {
	var hashes stored
	for i, entry := range all {
		more, err := tlog.StoredHashes(int64(i), entry, hashes)
		if err != nil {
			fail("entry %d: %v", i, err)
		}
		hashes = append(hashes, more...)
	}
	return hashes
}

// compareTiles holds every file of this size against the tree rebuilt from the entries.
func compareTiles(directory string, size int64, hashes stored) int {
	count := 0
	for _, t := range tlog.NewTiles(height, 0, size) {
		here := size >> (height * uint(t.L))
		if t.W < 256 && t.N*256+int64(t.W) != here {
			continue // of an older size
		}
		want, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			fail("%v", err)
		}
		got, err := os.ReadFile(filepath.Join(directory, file(t)))
		if err != nil {
			fail("%v", err)
		}
		if !bytes.Equal(want, got) {
			fail("%s is not the tile of the entries", file(t))
		}
		count++
	}
	return count
}

func checkProofs(directory string, head tlog.Tree, all [][]byte, hashes stored) int {
	reader := tlog.TileHashReader(head, tiles(directory))
	count := 0
	for _, i := range []int64{0, head.N / 3, head.N / 2, head.N - 1} {
		proof, err := tlog.ProveRecord(head.N, i, reader)
		if err != nil {
			fail("entry %d: %v", i, err)
		}
		if err := tlog.CheckRecord(proof, head.N, head.Hash, i, tlog.RecordHash(all[i])); err != nil {
			fail("entry %d: %v", i, err)
		}
		older, err := tlog.TreeHash(i+1, hashes)
		if err != nil {
			fail("%v", err)
		}
		way, err := tlog.ProveTree(head.N, i+1, reader)
		if err != nil {
			fail("size %d: %v", i+1, err)
		}
		if err := tlog.CheckTree(way, head.N, head.Hash, i+1, older); err != nil {
			fail("size %d: %v", i+1, err)
		}
		count += 2
	}
	return count
}

// verify checks all of one log.
func verify(directory, vkey string) string {
	head := open(directory, vkey)
	all := entries(directory, head.N)
	hashes := rebuild(all)
	root, err := tlog.TreeHash(head.N, hashes)
	if err != nil {
		fail("%v", err)
	}
	if root != head.Hash {
		fail("checkpoint: its root is not that of the entries")
	}
	count := compareTiles(directory, head.N, hashes)
	proofs := checkProofs(directory, head, all, hashes)
	return fmt.Sprintf("ok %d entries, %d tiles, %d proofs", head.N, count, proofs)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && os.Args[1] == "-" {
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			said, err := judged(func() string { return answer(strings.Fields(lines.Text())) })
			if err != nil {
				said = "no: " + strings.ReplaceAll(err.Error(), "\n", " ")
			}
			fmt.Println(said)
		}
		return
	}
	if len(os.Args) != 3 {
		log.Fatal("usage: verify_export DIRECTORY-OF-THE-LOG VKEY, or -")
	}
	said, err := judged(func() string { return verify(os.Args[1], os.Args[2]) })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(said)
}
